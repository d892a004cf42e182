//! The keys of `rate_limiter`.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Gate, Processor, Stability};
use tidegate_document::Duration;
use tidegate_pdata::Signal;

use super::bucket::Limit;
use super::key::KeyBy;
use super::{Counts, Limiter, RateLimiter, Strategy};

/// Refuses at the door what a client or a tenant sends beyond its rate.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What tells tenants apart: `client.address`, `metadata.KEY` (a header), `auth.KEY` (a field of
    /// the identity) or `resource.KEY` (a resource attribute). Without any, all senders share one limit.
    key_by: Vec<String>,
    /// Client metadata keys that tell tenants apart, beside `key_by`. The receiver needs `include_metadata`.
    metadata_keys: Vec<String>,
    /// What is counted; `requests` unless told.
    strategy: Strategy,
    /// How much each tenant may send a second.
    rate: u64,
    /// How much it may send at once when it sent nothing for a while; as much as `rate` unless told, as for `0`.
    burst: u64,
    /// Tenants that are told apart at a time; those beyond share one limit.
    max_keys: u32,
    /// Limits of tenants by their key: its value, or `name:value;name:value` where several values make it up.
    overrides: BTreeMap<String, Override>,
    /// What happens to what is over the rate; `error` unless told.
    throttle_behavior: ThrottleBehavior,
    /// Where rates are counted; `local` unless told.
    #[serde(rename = "type")]
    kind: Kind,
    /// Without effect: nothing is counted by intervals.
    #[schemars(extend("x-no-effect" = "nothing is counted by intervals; remove it"))]
    throttle_interval: Option<Duration>,
    /// Without effect: clients are told when there will be room.
    #[schemars(extend("x-no-effect" = "clients are told when there will be room; remove it"))]
    retry_delay: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            key_by: Vec::new(),
            metadata_keys: Vec::new(),
            strategy: Strategy::default(),
            rate: 0,
            burst: 0,
            max_keys: 10_000,
            overrides: BTreeMap::new(),
            throttle_behavior: ThrottleBehavior::default(),
            kind: Kind::default(),
            throttle_interval: None,
            retry_delay: None,
        }
    }
}

/// A tenant's own limit.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Override {
    /// How much it may send a second; `rate` unless told.
    rate: Option<u64>,
    /// How much it may send at once; unless told `burst`, or with a `rate` of its own as much as that.
    burst: Option<u64>,
    /// Without effect: nothing is counted by intervals.
    #[schemars(extend("x-no-effect" = "nothing is counted by intervals; remove it"))]
    throttle_interval: Option<Duration>,
}

/// What happens to what is over the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ThrottleBehavior {
    /// It is refused, and the client is told when to come again.
    #[default]
    Error,
    /// It waits: not built.
    Delay,
}

/// Where rates are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// In this process.
    #[default]
    Local,
    /// In a Gubernator cluster: not built.
    Gubernator,
}

impl Config {
    fn check(&self) -> Result<(), BuildError> {
        if self.rate == 0 {
            return Err(BuildError::at("rate", "there is no rate")
                .remedy("write how much a tenant may send a second, as `rate: 1000`"));
        }
        if self.throttle_behavior == ThrottleBehavior::Delay {
            let message = "requests over the rate are refused, not held up";
            return Err(BuildError::at("throttle_behavior", message)
                .remedy("write `error`: clients are told when to come again, and SDKs do"));
        }
        if self.kind == Kind::Gubernator {
            let message = "rates are counted in this process alone";
            return Err(BuildError::at("type", message)
                .remedy("write `local`, with a rate that is this process's part of the whole"));
        }
        if self.max_keys == 0 {
            return Err(
                BuildError::at("max_keys", "at least one tenant is told apart")
                    .remedy("leave `key_by` and `metadata_keys` out for one limit for all"),
            );
        }
        Ok(())
    }

    fn limit(&self) -> Limit {
        Limit {
            rate: self.rate,
            burst: if self.burst == 0 {
                self.rate
            } else {
                self.burst
            },
        }
    }

    /// The limits of tenants that have their own.
    fn named(&self, keys: &KeyBy) -> Result<Vec<(Box<str>, Limit)>, BuildError> {
        if keys.is_empty() && !self.overrides.is_empty() {
            let message = "nothing tells tenants apart";
            return Err(BuildError::at("overrides", message)
                .remedy("write `key_by` or `metadata_keys`, or leave `overrides` out"));
        }
        let all = self.limit();
        let mut named: Vec<(Box<str>, Limit)> = Vec::new();
        for (written, own) in &self.overrides {
            for (name, value) in [("rate", own.rate), ("burst", own.burst)] {
                if value == Some(0) {
                    let path = format!("overrides::{written}::{name}");
                    return Err(BuildError::at(
                        path,
                        format!("the {name} must be more than 0"),
                    ));
                }
            }
            let limit = Limit {
                rate: own.rate.unwrap_or(all.rate),
                burst: own.burst.or(own.rate).unwrap_or(all.burst),
            };
            let key: Box<str> = keys.written(written).into();
            if named.iter().any(|(other, _)| *other == key) {
                let message =
                    format!("{written:?} is another spelling of a tenant that is there already");
                return Err(BuildError::at("overrides", message).remedy("name each tenant once"));
            }
            named.push((key, limit));
        }
        Ok(named)
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "rate_limiter";
    const STABILITY: Stability = Stability::Alpha;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        self.check()?;
        let keys = KeyBy::new(&self.key_by, &self.metadata_keys)?;
        let named = self.named(&keys)?;
        let limiter = cx.shared.value(|| {
            let counts = Counts::new(&cx.metrics);
            Limiter::new(
                keys,
                self.strategy,
                self.limit(),
                (self.max_keys as usize, named),
                counts,
            )
        });
        Limiter::show(&limiter, &cx.metrics);
        cx.gates.add(limiter as Arc<dyn Gate>);
        let items = cx.signal.unwrap_or(Signal::Traces).items();
        Ok(Box::new(RateLimiter {
            accepted: cx.metrics.counter(
                &format!("otelcol_processor_accepted_{items}"),
                "Items that the processor took.",
                &[],
            ),
        }))
    }
}
