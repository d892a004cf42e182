//! The names, attribute values and numbers that records are filled with.

use super::Entropy;
use super::record::Record;

const ROUTES: [&str; 8] = [
    "/api/v1/carts/{cart_id}/items",
    "/api/v1/orders/{order_id}",
    "/api/v1/products/{product_id}",
    "/api/v1/products/{product_id}/stock",
    "/api/v1/customers/{id}/addresses",
    "/api/v1/payments/{payment_id}",
    "/api/v1/recommendations",
    "/healthz",
];
const SERVICES: [&str; 5] = ["checkout", "catalogue", "payments", "shipping", "frontend"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const STATUSES: [u64; 5] = [200, 200, 201, 404, 500];
const ALPHABET: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/// Splitmix64's finishing function: spreads one number over all bits of another.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A reproducible source of values, repetitive or not.
pub(super) struct Values {
    entropy: Entropy,
    state: u64,
}

impl Values {
    pub(super) fn new(entropy: Entropy) -> Self {
        Self {
            entropy,
            state: 0x7469_6465,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// A string of exactly `length` random characters, six bits of entropy each.
    pub(super) fn random_text(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        let mut bits = 0;
        for i in 0..length {
            if i % 10 == 0 {
                bits = self.number();
            }
            text.push(char::from(ALPHABET[(bits & 63) as usize]));
            bits >>= 6;
        }
        text
    }

    /// One of `choices`, or as many random characters.
    pub(super) fn pick(&mut self, choices: &[&str]) -> String {
        let choice = choices[self.below(choices.len() as u64) as usize];
        match self.entropy {
            Entropy::Low => choice.to_owned(),
            Entropy::High => self.random_text(choice.len()),
        }
    }

    pub(super) fn route(&mut self) -> String {
        self.pick(&ROUTES)
    }

    pub(super) fn method(&mut self) -> String {
        self.pick(&METHODS)
    }

    /// The name that instrumentation makes of a method and a route, or a random one as long.
    pub(super) fn span_name(&mut self, method: &str, route: &str) -> String {
        match self.entropy {
            Entropy::Low => format!("{method} {route}"),
            Entropy::High => self.random_text(method.len() + 1 + route.len()),
        }
    }

    pub(super) fn status(&mut self) -> u64 {
        STATUSES[self.below(STATUSES.len() as u64) as usize]
    }

    /// A host of a small fleet, or a random one, of the same length.
    pub(super) fn host(&mut self) -> String {
        match self.entropy {
            Entropy::Low => format!("node-{:02}.eu-central-1.internal", self.below(40)),
            Entropy::High => format!("{}.internal", self.random_text(20)),
        }
    }

    /// Text of exactly `length` bytes: a sentence over and over, or random characters.
    pub(super) fn text(&mut self, length: usize) -> String {
        match self.entropy {
            Entropy::Low => "took the item from the cart and reserved it in the warehouse; "
                .chars()
                .cycle()
                .take(length)
                .collect(),
            Entropy::High => self.random_text(length),
        }
    }

    /// An OTLP `Resource` of six attributes; the same index is the same resource in every request.
    pub(super) fn resource(&self, index: u32) -> Record {
        let service = SERVICES[index as usize % SERVICES.len()];
        let mut resource = Record::default();
        resource.attribute(1, "service.name", service);
        resource.attribute(1, "service.namespace", "shop");
        resource.attribute(1, "service.instance.id", &format!("{service}-{index:04}"));
        resource.attribute(1, "host.name", &format!("node-{index:02}"));
        resource.attribute(1, "telemetry.sdk.language", "rust");
        resource.int_attribute(1, "process.pid", 4000 + u64::from(index));
        resource
    }

    /// An `InstrumentationScope`.
    pub(super) fn scope(&self) -> Record {
        let mut scope = Record::default();
        scope.str(1, "shop.instrumentation.http");
        scope.str(2, "1.4.2");
        scope
    }
}
