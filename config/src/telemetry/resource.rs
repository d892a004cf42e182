//! The attributes of the collector itself, in both forms in which they are written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use tidegate_document::{Node, Value};

/// Attributes of the collector itself; none takes away one that is there by default.
///
/// They are written as a mapping, `{service.name: gateway}`, or as a list under `attributes`,
/// `[{name: service.name, value: gateway}]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// The attributes in the order written.
    pub attributes: IndexMap<String, Option<String>>,
}

#[derive(Deserialize)]
struct Attribute {
    name: String,
    value: Option<Node>,
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = BTreeMap::<String, Node>::deserialize(deserializer)?;
        let mut attributes = IndexMap::new();
        // `schema_url` and the detectors say nothing of attributes.
        for key in ["schema_url", "detectors", "detection/development"] {
            keys.remove(key);
        }
        if let Some(list) = keys.remove("attributes") {
            if !keys.is_empty() {
                return Err(D::Error::custom(
                    "attributes stand in both forms; move them all below `attributes`",
                ));
            }
            for node in list.as_seq().unwrap_or_default() {
                let attribute: Attribute =
                    tidegate_document::read_plain(node).map_err(D::Error::custom)?;
                let value = attribute.value.as_ref().and_then(text);
                attributes.insert(attribute.name, value);
            }
        }
        for (key, node) in keys {
            attributes.insert(key, text(&node));
        }
        Ok(Self { attributes })
    }
}

fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        _ => Some(match node.as_str() {
            Some(text) => text.to_owned(),
            None => serde_json::Value::from(node).to_string(),
        }),
    }
}

impl JsonSchema for Resource {
    fn schema_name() -> Cow<'static, str> {
        "Resource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Attributes of the collector itself; a null takes one away that is there by default.",
            "type": "object",
            "properties": {
                "attributes": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string"},
                            "value": {},
                            "type": {"type": "string"},
                        },
                        "required": ["name"],
                        "additionalProperties": false,
                    },
                },
                "schema_url": {"type": ["string", "null"]},
                "detectors": {
                    "type": "object",
                    "x-no-effect": "write the attributes out, or use the `resource_detection` processor",
                },
                "detection/development": {
                    "type": "object",
                    "x-no-effect": "write the attributes out, or use the `resource_detection` processor",
                },
            },
            "additionalProperties": {"type": ["string", "null"]},
        })
    }
}
