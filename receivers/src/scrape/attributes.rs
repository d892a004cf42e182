//! What users choose of the attributes of resources: the section `resource_attributes`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use tidegate_component::BuildError;
use tidegate_pdata::compose::Fields;

use crate::host_metrics::matching::{Names, ValueKeys, any, values};

/// The attributes that the resources of a receiver may have.
pub(crate) trait AttributeTable: 'static {
    /// Their names, whether they are sent where nobody says, and what they tell.
    const ALL: &'static [(&'static str, bool, &'static str)];
}

/// The keys of one attribute.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    /// Sends it.
    enabled: Option<bool>,
    /// Only resources with one of these values are told of.
    metrics_include: Vec<ValueKeys>,
    /// Resources with one of these values are not told of.
    metrics_exclude: Vec<ValueKeys>,
}

/// The section `resource_attributes`, as it is written.
#[derive(Clone, Debug)]
pub(crate) struct AttributeChoices<T> {
    keys: BTreeMap<String, Keys>,
    table: PhantomData<fn() -> T>,
}

impl<T> Default for AttributeChoices<T> {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            table: PhantomData,
        }
    }
}

impl<'de, T: AttributeTable> Deserialize<'de> for AttributeChoices<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys: BTreeMap<String, Option<Keys>> = BTreeMap::deserialize(deserializer)?;
        let known = |name: &String| T::ALL.iter().any(|(known, ..)| known == name);
        if let Some(unknown) = keys.keys().find(|name| !known(name)) {
            let message = format!("there is no attribute `{unknown}`");
            return Err(serde::de::Error::custom(message));
        }
        let keys = keys.into_iter();
        Ok(Self {
            keys: keys
                .map(|(name, keys)| (name, keys.unwrap_or_default()))
                .collect(),
            table: PhantomData,
        })
    }
}

impl<T: AttributeTable> JsonSchema for AttributeChoices<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("attributes of {}", std::any::type_name::<T>()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let filter = generator.subschema_for::<Vec<ValueKeys>>();
        let attributes = T::ALL.iter().map(|(name, on, description)| {
            let section = json!({
                "type": ["object", "null"],
                "additionalProperties": false,
                "description": description,
                "properties": {
                    "enabled": {"type": "boolean", "default": on, "description": "Sends it."},
                    "metrics_include": described(&filter, "Only resources with one of these values are told of."),
                    "metrics_exclude": described(&filter, "Resources with one of these values are not told of."),
                },
            });
            ((*name).to_owned(), section)
        });
        let attributes: Map<String, Value> = attributes.collect();
        let mut section = Map::new();
        section.insert("type".to_owned(), json!(["object", "null"]));
        section.insert("properties".to_owned(), Value::Object(attributes));
        section.insert("additionalProperties".to_owned(), json!(false));
        section.into()
    }
}

fn described(schema: &Schema, description: &str) -> Value {
    let mut value = schema.as_value().clone();
    value["description"] = json!(description);
    value
}

#[derive(Clone, Debug)]
struct Choice {
    name: &'static str,
    enabled: bool,
    include: Option<Vec<Names>>,
    exclude: Option<Vec<Names>>,
}

/// What is done with the attributes of resources.
#[derive(Clone, Debug)]
pub(crate) struct ChosenAttributes(Vec<Choice>);

impl ChosenAttributes {
    /// Checks the keys, which stand at `path`.
    pub(crate) fn new<T: AttributeTable>(
        written: &AttributeChoices<T>,
        path: &str,
    ) -> Result<Self, BuildError> {
        let choice = |(name, on, _): &(&'static str, bool, &'static str)| {
            let keys = written.keys.get(*name).cloned().unwrap_or_default();
            let at = |key: &str| format!("{path}::{name}::{key}");
            Ok(Choice {
                name,
                enabled: keys.enabled.unwrap_or(*on),
                include: values(&keys.metrics_include, &at("metrics_include"))?,
                exclude: values(&keys.metrics_exclude, &at("metrics_exclude"))?,
            })
        };
        let choices: Result<_, BuildError> = T::ALL.iter().map(choice).collect();
        choices.map(Self)
    }

    fn of(&self, name: &str) -> Option<&Choice> {
        let choice = self.0.iter().find(|choice| choice.name == name);
        choice.filter(|choice| choice.enabled)
    }

    /// Whether a resource with these attributes is told of.
    pub(crate) fn takes(&self, attributes: &[(&'static str, &str)]) -> bool {
        attributes.iter().all(|(name, value)| {
            let Some(choice) = self.of(name) else {
                return true;
            };
            let has = |names: &Vec<Names>| any(names, value);
            choice.include.as_ref().is_none_or(has) && !choice.exclude.as_ref().is_some_and(has)
        })
    }

    /// Writes those of a resource's attributes that are sent.
    pub(crate) fn write(&self, attributes: &[(&'static str, &str)], resource: &mut Fields) {
        for (name, value) in attributes {
            if self.of(name).is_some() {
                resource.attribute(1, name, *value);
            }
        }
    }
}
