//! The keys of `probabilistic_sampler`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor, Stability};
use tidegate_pdata::{Signal, Signals};

use super::decision::Mode;
use super::threshold::{DIGITS, Threshold};
use super::{Sampler, logs, traces};

/// Passes on a share of the spans or log records.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The share that passes, in percent. 100 and more passes everything as it is; 0 passes what a priority demands.
    sampling_percentage: f32,
    /// How the share is chosen: `hash_seed` by a hash of the trace ID, `proportional` and `equalizing` by the
    /// randomness that OpenTelemetry specifies, the one as a share of what arrives, the other up to one share of
    /// everything.
    mode: ModeName,
    /// What goes into the hash beside the trace ID: tiers of collectors with different seeds choose differently.
    hash_seed: u32,
    /// Whether items are dropped whose randomness is missing or whose sampling information is faulty.
    fail_closed: bool,
    /// The digits of thresholds, 1 to 14.
    sampling_precision: u8,
    /// For log records: whether the trace ID is hashed where there is one, or always the attribute.
    attribute_source: AttributeSource,
    /// For log records: the attribute that is hashed where no trace ID is.
    from_attribute: String,
    /// For log records: the attribute with a percentage of the record's own.
    sampling_priority: String,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ModeName {
    HashSeed,
    Proportional,
    Equalizing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
enum AttributeSource {
    #[serde(rename = "traceID")]
    TraceId,
    #[serde(rename = "record")]
    Record,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sampling_percentage: 0.0,
            mode: ModeName::HashSeed,
            hash_seed: 0,
            fail_closed: true,
            sampling_precision: 4,
            attribute_source: AttributeSource::TraceId,
            from_attribute: String::new(),
            sampling_priority: String::new(),
        }
    }
}

impl Config {
    fn check(&self) -> Result<(), BuildError> {
        let percentage = self.sampling_percentage;
        let least = 100.0 * (-56.0_f32).exp2();
        let fault = if !percentage.is_finite() {
            Some("this is no percentage".to_owned())
        } else if percentage < 0.0 {
            Some(format!("{percentage} is less than nothing"))
        } else if percentage > 0.0 && percentage < least {
            Some(format!(
                "{percentage} is less than can be told from nothing"
            ))
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(BuildError::at("sampling_percentage", fault)
                .remedy("write 0 to 100, for example 15.5"));
        }
        if !(1..=DIGITS).contains(&usize::from(self.sampling_precision)) {
            let message = format!("{} is not from 1 to 14", self.sampling_precision);
            return Err(BuildError::at("sampling_precision", message)
                .remedy("write 4, which is enough for `hash_seed`, or more"));
        }
        Ok(())
    }

    /// Whether everything passes.
    fn passes_all(&self) -> bool {
        self.sampling_percentage >= 100.0
    }

    fn mode(&self) -> Mode {
        if self.sampling_percentage == 0.0 {
            return Mode::Never;
        }
        let percentage = self.sampling_percentage.min(100.0);
        let ratio = f64::from(percentage) / 100.0;
        match self.mode {
            ModeName::HashSeed => {
                // In 32 bits and rounded down, as decisions have been taken since the first version.
                let accepted = (percentage * 163.84) as u32;
                if accepted == 0 {
                    return Mode::Never;
                }
                Mode::HashSeed {
                    seed: self.hash_seed,
                    threshold: Threshold::rejecting_of_14_bits((1 << 14) - accepted),
                }
            }
            ModeName::Equalizing => Mode::Equalizing {
                threshold: Threshold::of_probability(ratio, self.sampling_precision)
                    .unwrap_or(Threshold::NEVER),
            },
            ModeName::Proportional => Mode::Proportional {
                ratio,
                digits: self.sampling_precision,
            },
        }
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "probabilistic_sampler";
    const SIGNALS: Signals = Signals::TRACES.and(Signals::LOGS);
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        self.check()?;
        let sampled = cx.reason("sampled_out");
        let mode = self.mode();
        Ok(if cx.signal == Some(Signal::Logs) {
            let edit = logs::Logs::new(logs::Settings {
                mode,
                fail_closed: self.fail_closed,
                by_trace_id: self.attribute_source == AttributeSource::TraceId,
                attribute: self.from_attribute.clone(),
                priority: self.sampling_priority.clone(),
                digits: self.sampling_precision,
                passes_all: self.passes_all(),
            });
            let counts = super::Counts::new(cx, "logs", &self.from_attribute);
            Box::new(Sampler::new(edit, counts, sampled))
        } else {
            let edit = traces::Traces::new(mode, self.fail_closed, self.passes_all());
            let counts = super::Counts::new(cx, "traces", "");
            Box::new(Sampler::new(edit, counts, sampled))
        })
    }
}
