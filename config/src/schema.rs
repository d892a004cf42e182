//! The JSON Schema of a whole configuration, by which an editor completes and checks it.

use schemars::Schema;
use serde_json::{Map, Value, json};

use crate::describe::{pipeline_schema, service_schema};
use crate::{Kind, spellings};

/// Makes the schema of a configuration that may hold the given components, each by kind, newest type name and
/// schema.
pub fn whole_schema(components: &[(Kind, &str, Schema)]) -> Value {
    let mut definitions = Map::new();
    let mut properties = Map::new();
    for kind in Kind::ALL {
        let mut patterns = Map::new();
        for (_, name, schema) in components.iter().filter(|(of, ..)| *of == kind) {
            let definition = format!("{}.{name}", kind.section());
            define(&definition, schema, &mut definitions);
            let names: Vec<&str> = spellings(kind, name).collect();
            patterns.insert(
                format!("^({})(/.+)?$", names.join("|")),
                // A name with nothing below it has every default.
                json!({"anyOf": [{"$ref": format!("#/$defs/{definition}")}, {"type": "null"}]}),
            );
        }
        properties.insert(
            kind.section().to_owned(),
            json!({
                "description": format!("Every {kind} by name: its type, with `/name` behind it as one likes."),
                "type": ["object", "null"],
                "patternProperties": patterns,
                "additionalProperties": false,
            }),
        );
    }
    define("service", &service_schema(), &mut definitions);
    define("pipeline", &pipeline_schema(), &mut definitions);
    if let Some(pipelines) = definitions
        .get_mut("service")
        .and_then(|service| service.pointer_mut("/properties/pipelines"))
    {
        *pipelines = json!({
            "description": "The pipelines by signal, with `/name` behind it as one likes.",
            "type": "object",
            "patternProperties": {"^(traces|metrics|logs)(/.+)?$": {"$ref": "#/$defs/pipeline"}},
            "additionalProperties": false,
        });
    }
    properties.insert("service".to_owned(), json!({"$ref": "#/$defs/service"}));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tidegate configuration",
        "type": "object",
        "properties": properties,
        "required": ["service"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// Adds a schema under a name, with its own definitions under names that start with it.
fn define(name: &str, schema: &Schema, definitions: &mut Map<String, Value>) {
    let mut schema = schema.as_value().clone();
    let own = match &mut schema {
        Value::Object(keys) => {
            keys.remove("$schema");
            keys.remove("$defs")
        }
        _ => None,
    };
    rename(&mut schema, name);
    definitions.insert(name.to_owned(), schema);
    if let Some(Value::Object(own)) = own {
        for (inner, mut definition) in own {
            rename(&mut definition, name);
            definitions.insert(format!("{name}.{inner}"), definition);
        }
    }
}

fn rename(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(keys) => {
            for (key, value) in keys {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        *reference = match reference.strip_prefix("#/$defs/") {
                            Some(name) => format!("#/$defs/{prefix}.{name}"),
                            // A type that refers to itself refers to the root.
                            None => format!("#/$defs/{prefix}"),
                        };
                    }
                    other => rename(other, prefix),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| rename(value, prefix)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use tidegate_document::schema::of;

    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Tls {
        insecure: bool,
    }

    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Exporter {
        endpoint: String,
        tls: Option<Tls>,
        inner: Option<Box<Exporter>>,
    }

    fn whole() -> Value {
        whole_schema(&[(Kind::Exporter, "otlp_grpc", of::<Exporter>())])
    }

    #[test]
    fn a_component_is_found_under_every_spelling() {
        let whole = whole();
        let patterns = &whole["properties"]["exporters"]["patternProperties"];
        let pattern = patterns.as_object().unwrap().keys().next().unwrap();
        assert_eq!(pattern, "^(otlp_grpc|otlp)(/.+)?$");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(keys) => {
                    found.extend(keys.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    keys.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let whole = whole();
        let mut found = Vec::new();
        references(&whole, &mut found);
        assert!(found.len() > 5, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(whole.pointer(pointer).is_some(), "{reference}");
        }
    }
}
