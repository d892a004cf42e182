//! The keys of `memory_limiter`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::memory::{resident_memory, total_memory};
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Gate, Processor, Stability};
use tidegate_document::Duration;
use tidegate_pdata::Signal;

use super::{Limits, MemoryLimiter, Threshold};

/// Refuses data at the door while the process holds too much.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often the process's memory is looked at. What telemetry holds is always known.
    check_interval: Duration,
    /// The hard limit in MiB; goes before `limit_percentage`.
    limit_mib: u32,
    /// How far below `limit_mib` the soft limit lies, in MiB; a fifth of the limit where this is 0.
    spike_limit_mib: u32,
    /// The hard limit in percent of the memory of the cgroup or the host.
    limit_percentage: u32,
    /// How far below `limit_percentage` the soft limit lies, in percent of the same memory; a fifth of the limit
    /// where this is 0.
    spike_limit_percentage: u32,
    /// How often a collection of garbage is forced above the soft limit.
    #[schemars(extend("x-no-effect" = "there is no garbage to collect; remove it"))]
    min_gc_interval_when_soft_limited: Duration,
    /// How often a collection of garbage is forced above the hard limit.
    #[schemars(extend("x-no-effect" = "there is no garbage to collect; remove it"))]
    min_gc_interval_when_hard_limited: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            check_interval: Duration::from_secs(0),
            limit_mib: 0,
            spike_limit_mib: 0,
            limit_percentage: 0,
            spike_limit_percentage: 0,
            min_gc_interval_when_soft_limited: Duration::from_secs(10),
            min_gc_interval_when_hard_limited: Duration::from_secs(0),
        }
    }
}

const MIB: u64 = 1 << 20;

impl Config {
    fn check(&self) -> Result<(), BuildError> {
        if self.check_interval.is_zero() {
            return Err(
                BuildError::at("check_interval", "the interval must be more than zero")
                    .remedy("write for example `check_interval: 1s`"),
            );
        }
        if self.limit_mib == 0 && self.limit_percentage == 0 {
            return Err(BuildError::at("", "there is no limit")
                .remedy("write `limit_mib` or `limit_percentage`"));
        }
        for (key, percent) in [
            ("limit_percentage", self.limit_percentage),
            ("spike_limit_percentage", self.spike_limit_percentage),
        ] {
            if percent > 100 {
                return Err(BuildError::at(key, format!("{percent} % is more than all"))
                    .remedy("write at most 100"));
            }
        }
        below(
            ("spike_limit_mib", self.spike_limit_mib),
            ("limit_mib", self.limit_mib),
        )?;
        below(
            ("spike_limit_percentage", self.spike_limit_percentage),
            ("limit_percentage", self.limit_percentage),
        )
    }

    /// The limits in bytes, where the process may use `total` of them.
    pub(super) fn limits(&self, total: u64) -> Limits {
        let percent = |percent: u32| total * u64::from(percent) / 100;
        let (hard, spike) = match self.limit_mib {
            0 => (
                percent(self.limit_percentage),
                percent(self.spike_limit_percentage),
            ),
            mib => (u64::from(mib) * MIB, u64::from(self.spike_limit_mib) * MIB),
        };
        let spike = if spike == 0 { hard / 5 } else { spike };
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Limits {
            hard: size(hard),
            soft: size(hard - spike),
        }
    }
}

/// Checks that a spike limit lies below the limit, where there is one.
fn below(
    (spike_key, spike): (&str, u32),
    (limit_key, limit): (&str, u32),
) -> Result<(), BuildError> {
    if limit == 0 || spike < limit {
        return Ok(());
    }
    let message = format!("{spike} is not less than {limit_key}, {limit}");
    Err(BuildError::at(spike_key, message).remedy("lower it, or leave it out for a fifth"))
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "memory_limiter";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        self.check()?;
        let total = match (self.limit_mib, total_memory()) {
            (0, None) => {
                return Err(BuildError::at(
                    "limit_percentage",
                    "the kernel does not tell how much memory there is",
                )
                .remedy("write `limit_mib`"));
            }
            (_, total) => total.unwrap_or_default(),
        };
        let threshold = cx.shared.value(|| {
            Threshold::new(
                Arc::clone(&cx.budget),
                self.limits(total),
                self.check_interval.into(),
                resident_memory,
            )
        });
        cx.gates.add(threshold as Arc<dyn Gate>);
        let items = cx.signal.unwrap_or(Signal::Traces).items();
        Ok(Box::new(MemoryLimiter {
            accepted: cx.metrics.counter(
                &format!("otelcol_processor_accepted_{items}"),
                "Items that the processor took.",
                &[],
            ),
        }))
    }
}
