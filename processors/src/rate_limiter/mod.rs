//! `rate_limiter`: quotas per client or tenant, in requests, items or bytes a second.
//!
//! It stands at the door, not in the chain: a sender whose bucket is empty is refused before its body is
//! read, and a request is charged when its body is there and before anything behind the door has
//! seen it. So nothing of a refused request is kept, and it can be sent again as a whole. The refusal names the
//! tenant and the limit, and says when the bucket will have room: RESOURCE_EXHAUSTED with RetryInfo,
//! 429 with Retry-After.
//!
//! Where resources tell tenants apart, a request may hold data of several. It is let in if each of them has room,
//! and refused as a whole otherwise: OTLP's partial success would tell the sender never to send the
//! rest again.
//!
//! Limits hold for the whole process: workers, signals and pipelines that name the same
//! `rate_limiter` draw from the same buckets.

mod bucket;
mod buckets;
mod config;
mod cost;
mod key;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::metrics::{Counter, Metrics};
use tidegate_component::{Gate, Outbox, Processor};
use tidegate_pdata::{Batch, Context, Payload, Refusal};
use tokio::time::Instant;

use bucket::Limit;
use buckets::Buckets;
pub use config::Config;
use cost::{Costs, costs};
use key::KeyBy;

/// How often the log says that a tenant is over its rate.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Strategy {
    /// Requests.
    #[default]
    Requests,
    /// Spans, data points, log records.
    Records,
    /// The same as `records`.
    Items,
    /// Bytes of OTLP protobuf, uncompressed.
    Bytes,
}

impl Strategy {
    const fn unit(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Records | Self::Items => "items",
            Self::Bytes => "bytes",
        }
    }
}

/// What a limiter counts of what it does.
#[derive(Clone, Debug)]
struct Counts {
    early: Counter,
    late: Counter,
    items: Counter,
    shared: Counter,
}

impl Counts {
    fn new(metrics: &Metrics) -> Self {
        let refused = |when| {
            let name = "tidegate_rate_limiter_refused_requests";
            let help = "Requests over their tenant's rate, by when that was known.";
            metrics.counter(name, help, &[("when", when)])
        };
        Self {
            early: refused("before_body"),
            late: refused("after_body"),
            items: metrics.counter(
                "tidegate_rate_limiter_refused_items",
                "Items of requests that were refused after their bodies were read.",
                &[],
            ),
            shared: metrics.counter(
                "tidegate_rate_limiter_shared_requests",
                "Requests of tenants beyond max_keys, which share one limit.",
                &[],
            ),
        }
    }
}

/// The gate that one limiter sets, for all its workers, signals and pipelines.
struct Limiter {
    keys: KeyBy,
    strategy: Strategy,
    buckets: Buckets,
    counts: Counts,
    since: Instant,
    /// When the log last said something, in nanoseconds since `since`.
    said: AtomicU64,
}

impl Limiter {
    fn new(
        keys: KeyBy,
        strategy: Strategy,
        limit: Limit,
        (most, named): (usize, Vec<(Box<str>, Limit)>),
        counts: Counts,
    ) -> Self {
        Self {
            keys,
            strategy,
            buckets: Buckets::new(limit, most, named),
            counts,
            since: Instant::now(),
            said: AtomicU64::new(0),
        }
    }

    /// Serves how many tenants it tells apart.
    fn show(limiter: &Arc<Self>, metrics: &Metrics) {
        let read = Arc::downgrade(limiter);
        metrics.gauge_of(
            "tidegate_rate_limiter_tenants",
            "Tenants told apart that are not idle, beside those with limits of their own.",
            &[],
            move || {
                read.upgrade()
                    .map_or(0, |limiter| limiter.buckets.count() as i64)
            },
        );
    }

    /// Nanoseconds since a second before it was made, so that none is 0.
    fn now(&self) -> u64 {
        let since = self.since.elapsed() + Duration::from_secs(1);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes what each tenant owes, or nothing.
    fn take(&self, costs: &Costs<'_>, now: u64) -> Result<(), Refusal> {
        for (at, (key, cost)) in costs.iter().enumerate() {
            let take = |bucket: &bucket::Bucket| (bucket.take(*cost, now), bucket.limit());
            let ((taken, limit), shared) = self.buckets.with(key, now, take);
            if shared {
                self.counts.shared.add(1);
            }
            if let Err(wait) = taken {
                self.give_back(&costs[..at], now);
                return Err(self.refusal(key, limit, wait, shared));
            }
        }
        Ok(())
    }

    fn give_back(&self, costs: &[(Cow<'_, str>, u64)], now: u64) {
        for (key, cost) in costs {
            self.buckets
                .with(key, now, |bucket| bucket.give_back(*cost));
        }
    }

    /// Names the tenant and the limit to the client, and now and then to the log.
    fn refusal(&self, key: &str, limit: Limit, wait: Duration, shared: bool) -> Refusal {
        let Limit { rate, burst } = limit;
        let unit = self.strategy.unit();
        let tenant = self.keys.tenant(key);
        let others = match shared {
            true => ", which it shares with other tenants beyond max_keys",
            false => "",
        };
        let now = self.now();
        let said = self.said.load(Relaxed);
        let is_due = said == 0 || now.saturating_sub(said) >= SAID_EVERY.as_nanos() as u64;
        if is_due && (self.said.compare_exchange(said, now, Relaxed, Relaxed)).is_ok() {
            tracing::warn!(tenant, rate, burst, unit, "over its rate; refused");
        }
        Refusal {
            reason: Cow::Owned(format!(
                "{tenant}: over the limit of {rate} {unit} a second with bursts of {burst}{others}"
            )),
            after: wait,
        }
    }
}

impl Gate for Limiter {
    fn refusal(&self, _: usize, sender: &Context) -> Option<Refusal> {
        if self.keys.is_in_resource() {
            return None;
        }
        let key = self.keys.key(sender, &[]);
        let now = self.now();
        // What it will cost is not known: compressed bodies grow, and JSON shrinks.
        let look = |bucket: &bucket::Bucket| Some((bucket.wait(1, now)?, bucket.limit()));
        let (wait, limit) = self.buckets.look(&key, look)?;
        self.counts.early.add(1);
        Some(self.refusal(&key, limit, wait, false))
    }

    fn charge(&self, payload: &Payload, sender: &Context) -> Result<(), Refusal> {
        let costs = costs(self.strategy, &self.keys, payload, sender);
        self.take(&costs, self.now()).inspect_err(|_| {
            self.counts.late.add(1);
            self.counts.items.add(payload.items() as u64);
        })
    }

    fn discharge(&self, payload: &Payload, sender: &Context) {
        let costs = costs(self.strategy, &self.keys, payload, sender);
        self.give_back(&costs, self.now());
    }
}

/// Counts what comes in; its limiter stands at the door.
struct RateLimiter {
    accepted: Counter,
}

impl Processor for RateLimiter {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        self.accepted.add(batch.items() as u64);
        out.push(batch);
    }
}
