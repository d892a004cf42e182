//! A web shop that does not exist, and the telemetry that it would send.
//!
//! The same seed gives the same services, requests and failures; only the times are now.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What the shop is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) services: u32,
    pub(super) cardinality: u32,
    /// Percent of requests that fail.
    pub(super) errors: u8,
    pub(super) seed: u64,
}

/// The shop and its random numbers.
pub(super) struct Shop {
    pub(super) settings: Settings,
    random: StdRng,
}

/// A kind of request that the shop serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Typical time at the front door, in microseconds.
    pub(super) micros: u64,
}

const SERVICES: [&str; 12] = [
    "frontend",
    "cart",
    "checkout",
    "payment",
    "catalog",
    "shipping",
    "currency",
    "email",
    "recommendation",
    "ads",
    "accounts",
    "search",
];

pub(super) const ROUTES: [Route; 6] = [
    route("GET", "/", 4_000),
    route("GET", "/product/{id}", 9_000),
    route("POST", "/cart", 6_000),
    route("POST", "/checkout", 45_000),
    route("GET", "/search", 18_000),
    route("POST", "/login", 12_000),
];

const fn route(method: &'static str, path: &'static str, micros: u64) -> Route {
    Route {
        method,
        path,
        micros,
    }
}

impl Shop {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            random: StdRng::seed_from_u64(settings.seed),
        }
    }

    /// The name of a service; past the twelve that have one they are numbered.
    pub(super) fn service(&self, at: u32) -> String {
        let at = at % self.settings.services;
        let name = SERVICES[at as usize % SERVICES.len()];
        match at as usize / SERVICES.len() {
            0 => name.to_owned(),
            round => format!("{name}-{}", round + 1),
        }
    }

    /// The resource of a service.
    pub(super) fn resource(&self, service: u32) -> Resource {
        let name = self.service(service);
        Resource {
            attributes: vec![
                text(
                    "service.instance.id",
                    format!("{name}-7d9c-{}", service % 3),
                ),
                text("service.name", name),
                text("service.namespace", "shop"),
                text("service.version", "1.4.2"),
                text("deployment.environment.name", "demo"),
                text("host.name", format!("node-{}", service % 4)),
            ],
            ..Resource::default()
        }
    }

    pub(super) fn scope(&self) -> InstrumentationScope {
        InstrumentationScope {
            name: "tidegate.generate".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        }
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.random.random_range(0..end.max(1))
    }

    pub(super) fn route(&mut self) -> Route {
        ROUTES[self.below(ROUTES.len() as u64) as usize]
    }

    /// Whether a request fails.
    pub(super) fn fails(&mut self) -> bool {
        self.below(100) < u64::from(self.settings.errors)
    }

    /// A user, one of as many as the cardinality says.
    pub(super) fn user(&mut self) -> String {
        let user = self.below(u64::from(self.settings.cardinality));
        format!("user-{user}")
    }

    /// A duration around a typical one: most are near it, a few take many times as long.
    pub(super) fn micros(&mut self, typical: u64) -> u64 {
        let near = typical / 2 + self.below(typical);
        if self.below(50) == 0 { near * 8 } else { near }
    }

    /// A random ID that is not all zeros.
    pub(super) fn id<const N: usize>(&mut self) -> Vec<u8> {
        let mut id = [0; N];
        self.random.fill(&mut id[..]);
        id[0] |= 1;
        id.to_vec()
    }
}

/// A string attribute.
pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// An integer attribute.
pub(super) fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
