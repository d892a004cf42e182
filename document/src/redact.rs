//! A tree with its secrets taken out, as told by a schema.

use serde_json::Value as Json;

use schemars::Schema;

use crate::schema::{branches, resolve};
use crate::types::REDACTED;
use crate::{Entry, Map, Node, Value};

/// Gives a copy of a tree in which every value whose schema carries `"x-secret": true` reads `[REDACTED]`.
///
/// Where a schema has several branches a value is hidden if any of them would.
pub fn redact(node: &Node, schema: &Schema) -> Node {
    hide(schema.as_value(), &[schema.as_value()], node)
}

/// Gives a copy of a tree in which every value is hidden that stands under a key that sounds secret, for settings
/// whose schema is not known.
pub fn redact_by_name(node: &Node) -> Node {
    by_name(node, false)
}

fn hide(root: &Json, schemas: &[&Json], node: &Node) -> Node {
    let schemas = all_branches(root, schemas);
    let secret = schemas
        .iter()
        .any(|s| s.get("x-secret") == Some(&Json::Bool(true)));
    if secret && !node.is_null() {
        return hidden(node);
    }
    let value = match &node.value {
        Value::Seq(list) => {
            let items: Vec<&Json> = schemas.iter().filter_map(|s| s.get("items")).collect();
            Value::Seq(list.iter().map(|item| hide(root, &items, item)).collect())
        }
        Value::Map(map) => Value::Map(
            map.iter()
                .map(|(key, entry)| {
                    let below: Vec<&Json> = schemas.iter().flat_map(|s| under(s, key)).collect();
                    let node = hide(root, &below, &entry.node);
                    (key.clone(), Entry::new(entry.key_span(), node))
                })
                .collect::<Map>(),
        ),
        other => other.clone(),
    };
    Node::new(value, node.span)
}

fn hidden(node: &Node) -> Node {
    Node::new(Value::String(REDACTED.to_owned()), node.span)
}

/// Gives the schemas themselves and every branch of them, references followed.
fn all_branches<'s>(root: &'s Json, schemas: &[&'s Json]) -> Vec<&'s Json> {
    let mut all: Vec<&Json> = Vec::new();
    let mut open: Vec<&Json> = schemas.to_vec();
    while let Some(schema) = open.pop() {
        if all.iter().any(|seen| std::ptr::eq(*seen, schema)) {
            continue;
        }
        all.push(schema);
        open.push(resolve(root, schema));
        open.extend(branches(schema).into_iter().flatten());
        open.extend(
            schema
                .get("allOf")
                .and_then(Json::as_array)
                .into_iter()
                .flatten(),
        );
    }
    all
}

/// Gives the schemas of what stands under a key.
fn under<'s>(schema: &'s Json, key: &str) -> Vec<&'s Json> {
    let properties = schema.get("properties").and_then(Json::as_object);
    let named = properties.into_iter().flatten().filter(|(name, property)| {
        let aliases = property.get("x-aliases").and_then(Json::as_array);
        *name == key || aliases.is_some_and(|list| list.iter().any(|alias| alias == key))
    });
    let mut below: Vec<&Json> = named.map(|(_, property)| property).collect();
    if below.is_empty() {
        let patterns = schema.get("patternProperties").and_then(Json::as_object);
        below.extend(patterns.into_iter().flatten().map(|(_, values)| values));
        below.extend(
            schema
                .get("additionalProperties")
                .filter(|any| any.is_object()),
        );
    }
    below
}

fn by_name(node: &Node, secret: bool) -> Node {
    let value = match &node.value {
        Value::Seq(list) => Value::Seq(list.iter().map(|item| by_name(item, secret)).collect()),
        Value::Map(map) => Value::Map(
            map.iter()
                .map(|(key, entry)| {
                    let node = by_name(&entry.node, secret || sounds_secret(key));
                    (key.clone(), Entry::new(entry.key_span(), node))
                })
                .collect::<Map>(),
        ),
        Value::Null => Value::Null,
        _ if secret => return hidden(node),
        other => other.clone(),
    };
    Node::new(value, node.span)
}

fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let parts = [
        "password",
        "passwd",
        "secret",
        "token",
        "api_key",
        "apikey",
        "api-key",
        "access_key",
        "private_key",
        "key_pem",
        "headers",
        "authorization",
        "credential",
        "license_key",
        "connection_string",
        "dsn",
    ];
    parts.iter().any(|part| key.contains(part)) && !key.ends_with("_file")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemars::JsonSchema;

    use super::*;
    use crate::{Secret, yaml};

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Client {
        endpoint: String,
        #[schemars(extend("x-aliases" = ["bearer"]))]
        token: Option<Secret>,
        headers: Headers,
        inner: Option<Box<Client>>,
    }

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Headers {
        Map(BTreeMap<String, Secret>),
        List(Vec<Header>),
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Header {
        name: String,
        value: Secret,
    }

    fn redacted(text: &str) -> serde_json::Value {
        let node = yaml::parse_str(text).unwrap();
        serde_json::Value::from(&redact(&node, &crate::schema::of::<Client>()))
    }

    #[test]
    fn secrets_are_hidden_wherever_the_schema_has_them() {
        assert_eq!(
            redacted("{endpoint: x, token: a, bearer: 5, headers: {k: v}, inner: {token: [b]}}"),
            serde_json::json!({
                "endpoint": "x", "token": "[REDACTED]", "bearer": "[REDACTED]",
                "headers": {"k": "[REDACTED]"}, "inner": {"token": "[REDACTED]"},
            })
        );
        assert_eq!(
            redacted("{headers: [{name: n, value: v}], token: }"),
            serde_json::json!({"headers": [{"name": "n", "value": "[REDACTED]"}], "token": null})
        );
    }

    #[test]
    fn without_a_schema_names_tell() {
        let node = yaml::parse_str("{auth: {api_key: k, token_file: /f}, headers: {a: [1]}, x: y}")
            .unwrap();
        assert_eq!(
            serde_json::Value::from(&redact_by_name(&node)),
            serde_json::json!({
                "auth": {"api_key": "[REDACTED]", "token_file": "/f"},
                "headers": {"a": ["[REDACTED]"]}, "x": "y",
            })
        );
    }
}
