//! Attributes that a receiver gives to all of its records and resources.

use std::collections::BTreeMap;

use tidegate_component::BuildError;

use super::chain::Label;
use super::entry::Entry;
use super::value::{Map, Text, Value};

/// What all records and resources are given.
#[derive(Default)]
pub(crate) struct Stamps {
    attributes: Map,
    resource: Map,
    /// Those whose text depends on the entry.
    made: Vec<(Part, Text, Label)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Attributes,
    Resource,
}

impl Stamps {
    /// Reads the keys `attributes` and `resource`.
    pub(crate) fn build(
        attributes: &BTreeMap<String, Value>,
        resource: &BTreeMap<String, Value>,
    ) -> Result<Self, BuildError> {
        let mut stamps = Self::default();
        for (part, name, values) in [
            (Part::Attributes, "attributes", attributes),
            (Part::Resource, "resource", resource),
        ] {
            for (key, value) in values {
                let key_text = Text::Shared(key.as_str().into());
                let label = match value {
                    Value::Str(text) => Some(Label::parse(text, &format!("{name}::{key}"))?),
                    _ => None,
                };
                match (label, part) {
                    (Some(label @ Label::Made(_)), _) => stamps.made.push((part, key_text, label)),
                    (_, Part::Attributes) => stamps.attributes.insert(key_text, shared(value)),
                    (_, Part::Resource) => stamps.resource.insert(key_text, shared(value)),
                }
            }
        }
        Ok(stamps)
    }

    /// Those that are the same for all entries: attributes of the record and of the resource.
    pub(crate) fn constant(&self) -> (Map, Map) {
        (self.attributes.clone(), self.resource.clone())
    }

    /// Those of the resource that are the same for all entries.
    pub(crate) fn resource(&self) -> Map {
        self.resource.clone()
    }

    /// Whether some depend on the entry.
    pub(crate) const fn varies(&self) -> bool {
        !self.made.is_empty()
    }

    /// Adds those that depend on the entry; one that comes to nothing is left out.
    pub(crate) fn apply(&self, entry: &mut Entry) {
        for (part, key, label) in &self.made {
            let Ok(text) = label.render(entry) else {
                continue;
            };
            let map = match part {
                Part::Attributes => &mut entry.attributes,
                Part::Resource => &mut entry.resource,
            };
            map.insert(key.clone(), text.into());
        }
    }
}

/// A value whose text costs no copy to clone.
fn shared(value: &Value) -> Value {
    match value {
        Value::Str(text) => Value::Str(Text::Shared((**text).into())),
        other => other.clone(),
    }
}
