//! The keys of `log_dedup`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Processor, Promise, Stability,
};
use tidegate_document::Duration;
use tidegate_pdata::splice::Splicer;
use tidegate_pdata::{Receipt, Signals};

use super::fields::Field;
use super::held::Held;
use super::{Edit, LogDedup};

/// Passes on one log record for all that are the same within an interval, with how many they were.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long records wait for others; so long senders wait too where the pipeline promises more than memory.
    interval: Duration,
    /// The attribute that says how many records there were.
    log_count_attribute: String,
    /// The time zone of `first_observed_timestamp` and `last_observed_timestamp`, as `Europe/Berlin`.
    timezone: String,
    /// Fields that make no difference and are taken out: `body.KEY` or `attributes.KEY`, deeper ones as
    /// `body.KEY.KEY`; a dot within a key is written `\.`.
    exclude_fields: Vec<String>,
    /// Fields that alone make the difference; where a record has none of them, everything does.
    include_fields: Vec<String>,
    /// Conditions in OTTL for which records this is done: not built.
    conditions: Vec<String>,
    /// Different records that are held at a time; others pass as they come. `0` sets no limit.
    max_records: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            log_count_attribute: "log_count".to_owned(),
            timezone: "UTC".to_owned(),
            exclude_fields: Vec::new(),
            include_fields: Vec::new(),
            conditions: Vec::new(),
            max_records: 100_000,
        }
    }
}

impl Config {
    fn check(&self) -> Result<(), BuildError> {
        let interval: std::time::Duration = self.interval.into();
        if interval.is_zero() {
            return Err(
                BuildError::at("interval", "no record would wait for another")
                    .remedy("write how long records wait, as `10s`"),
            );
        }
        if self.log_count_attribute.is_empty() {
            return Err(
                BuildError::at("log_count_attribute", "an attribute has a name")
                    .remedy("name it, or leave this out for `log_count`"),
            );
        }
        if !self.conditions.is_empty() {
            return Err(BuildError::at("conditions", "conditions are not built")
                .remedy("leave them out, and send what is to pass through a pipeline of its own"));
        }
        if !self.exclude_fields.is_empty() && !self.include_fields.is_empty() {
            let message = "`include_fields` and `exclude_fields` cannot both be there";
            return Err(BuildError::at("include_fields", message).remedy("remove one of them"));
        }
        Ok(())
    }

    fn fields(list: &[String], key: &str) -> Result<Vec<Field>, BuildError> {
        let fields = list.iter().enumerate().map(|(at, text)| {
            let wrong = |message: &str| {
                BuildError::at(format!("{key}::{at}"), message)
                    .remedy("write `body.KEY` or `attributes.KEY`")
            };
            if list[..at].contains(text) {
                return Err(wrong("the field is there twice"));
            }
            Field::new(text).map_err(wrong)
        });
        fields.collect()
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "log_dedup";
    const STABILITY: Stability = Stability::Beta;
    const SIGNALS: Signals = Signals::LOGS;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        self.check()?;
        let zone = jiff::tz::TimeZone::get(&self.timezone).map_err(|_| {
            let message = format!("{:?} is no time zone that this host knows", self.timezone);
            BuildError::at("timezone", message).remedy("write a name as `Europe/Berlin`, or `UTC`")
        })?;
        let most = match self.max_records {
            0 => usize::MAX,
            most => most as usize,
        };
        Ok(Box::new(LogDedup {
            splicer: Splicer::default(),
            edit: Edit {
                excluded: Self::fields(&self.exclude_fields, "exclude_fields")?,
                held: Held::new(
                    cx,
                    Self::fields(&self.include_fields, "include_fields")?,
                    most,
                ),
                now: 0,
                took: 0,
                repeated: 0,
                record: Default::default(),
            },
            interval: self.interval.into(),
            zone,
            count_attribute: self.log_count_attribute.as_str().into(),
            due: None,
            carries: cx.promise > Promise::Memory,
            receipt: Receipt::none(),
            budget: Arc::clone(&cx.budget),
            repeated: cx.reason("repeated"),
            malformed: cx.loss("malformed"),
            aggregated: cx.metrics.histogram(
                "otelcol_dedup_processor_aggregated_logs",
                "Log records that one record stands for.",
                &[],
                &[
                    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0, 10_000.0,
                ],
            ),
        }))
    }
}
