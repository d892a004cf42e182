//! What users choose of a scraper's metrics: the section `metrics`.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use tidegate_pdata::compose::Kind;

use super::{Metric, Table};

/// How points are joined that differ in nothing once attributes are left out.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Aggregation {
    /// Their sum.
    Sum,
    /// Their average.
    Avg,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl Aggregation {
    const NAMES: [&'static str; 4] = ["sum", "avg", "min", "max"];

    /// What holds where nobody says.
    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Sum { .. } => Self::Sum,
            _ => Self::Avg,
        }
    }
}

/// The keys of one metric.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    enabled: Option<bool>,
    aggregation_strategy: Option<Aggregation>,
    attributes: Option<Vec<String>>,
}

/// The section `metrics` of a scraper, as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Choices<T> {
    keys: BTreeMap<String, Keys>,
    table: PhantomData<fn() -> T>,
}

impl<T> Default for Choices<T> {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            table: PhantomData,
        }
    }
}

impl<'de, T: Table> Deserialize<'de> for Choices<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys: BTreeMap<String, Option<Keys>> = BTreeMap::deserialize(deserializer)?;
        let keys = keys.into_iter();
        let keys: BTreeMap<_, _> = keys
            .map(|(name, keys)| (name, keys.unwrap_or_default()))
            .collect();
        let known = |name: &String| T::ALL.iter().any(|metric| metric.name == name);
        if let Some(unknown) = keys.keys().find(|name| !known(name)) {
            let message = format!("there is no metric `{unknown}`");
            return Err(serde::de::Error::custom(message));
        }
        Ok(Self {
            keys,
            table: PhantomData,
        })
    }
}

impl<T: Table> JsonSchema for Choices<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("metrics of {}", std::any::type_name::<T>()).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let metrics = T::ALL.iter().map(|metric| {
            let mut section = section(keys_of(metric));
            section.insert("description".to_owned(), json!(metric.description));
            (metric.name.to_owned(), Value::Object(section))
        });
        section(metrics.collect()).into()
    }
}

/// A section with these keys and no others.
fn section(keys: Map<String, Value>) -> Map<String, Value> {
    let mut section = Map::new();
    section.insert("type".to_owned(), json!(["object", "null"]));
    section.insert("properties".to_owned(), Value::Object(keys));
    section.insert("additionalProperties".to_owned(), json!(false));
    section
}

fn keys_of(metric: &Metric) -> Map<String, Value> {
    let mut keys = Map::new();
    let mut enabled = json!({
        "type": "boolean",
        "default": metric.enabled,
        "description": "Makes it.",
    });
    if let Some(why) = metric.without_effect {
        enabled["x-no-effect"] = json!(why);
    }
    keys.insert("enabled".to_owned(), enabled);
    if !metric.attributes.is_empty() {
        let default = Aggregation::NAMES[Aggregation::of(metric.kind) as usize];
        let strategy = json!({
            "enum": Aggregation::NAMES,
            "default": default,
            "description": "How points are joined when attributes are left out.",
        });
        keys.insert("aggregation_strategy".to_owned(), strategy);
        let attributes = json!({
            "type": "array",
            "items": {"enum": metric.attributes},
            "description": "The attributes to keep; all of them unless told.",
        });
        keys.insert("attributes".to_owned(), attributes);
    }
    keys
}

/// What is made of one metric.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) enabled: bool,
    pub(super) aggregation: Aggregation,
    /// The attributes that are kept, by a bit for each; none where all are.
    pub(super) kept: Option<u32>,
}

/// What is made of a scraper's metrics, in the order of its table.
#[derive(Clone, Debug)]
pub(crate) struct Chosen<T> {
    choices: Arc<[Choice]>,
    table: PhantomData<fn() -> T>,
}

impl<T: Table> Chosen<T> {
    /// What was chosen.
    pub(crate) fn new(written: &Choices<T>) -> Self {
        let choice = |one: &T| {
            let metric = &T::ALL[one.at()];
            let keys = written.keys.get(metric.name).cloned().unwrap_or_default();
            let kept = keys.attributes.map(|names| {
                let kept = |(_, name): &(usize, &&str)| names.iter().any(|one| one == *name);
                let bits = metric.attributes.iter().enumerate().filter(kept);
                bits.fold(0, |bits, (at, _)| bits | 1 << at)
            });
            let all = (1_u32 << metric.attributes.len()) - 1;
            Choice {
                enabled: keys.enabled.unwrap_or(metric.enabled) && metric.without_effect.is_none(),
                aggregation: keys
                    .aggregation_strategy
                    .unwrap_or(Aggregation::of(metric.kind)),
                kept: kept.filter(|kept| *kept != all),
            }
        };
        Self {
            choices: T::EACH.iter().map(choice).collect(),
            table: PhantomData,
        }
    }

    /// Whether a metric is made.
    pub(crate) fn has(&self, metric: T) -> bool {
        self.of(metric).enabled
    }

    /// Whether one of these is made.
    pub(crate) fn any(&self, metrics: &[T]) -> bool {
        metrics.iter().any(|metric| self.has(*metric))
    }

    pub(super) fn of(&self, metric: T) -> &Choice {
        &self.choices[metric.at()]
    }
}
