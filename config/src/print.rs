//! The document back out, for `print-config`.

use schemars::Schema;
use tidegate_document::{ComponentId, Entry, Map, Node, Value, redact, redact_by_name, yaml};

use crate::describe::service_schema;
use crate::{Kind, canonical};

/// Whether secrets are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They read `[REDACTED]`.
    #[default]
    Redacted,
    /// They are shown.
    Unredacted,
}

/// The language of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// YAML in block style.
    #[default]
    Yaml,
    /// JSON, indented.
    Json,
}

/// Writes a document out, ending with a line break.
///
/// `schema_of` gives the schema of a component by the newest spelling of its type; of a component that has none,
/// values under keys that sound secret are hidden.
pub fn print(
    document: &Node,
    mode: Mode,
    format: Format,
    schema_of: &dyn Fn(Kind, &str) -> Option<Schema>,
) -> String {
    let shown = match mode {
        Mode::Unredacted => document.clone(),
        Mode::Redacted => redacted(document, schema_of),
    };
    match format {
        Format::Yaml => yaml::emit(&shown),
        Format::Json => format!("{:#}\n", serde_json::Value::from(&shown)),
    }
}

fn redacted(document: &Node, schema_of: &dyn Fn(Kind, &str) -> Option<Schema>) -> Node {
    let section = |key: &str, node: &Node| -> Node {
        if key == "service" {
            return redact(node, &service_schema());
        }
        match Kind::ALL.into_iter().find(|kind| kind.section() == key) {
            Some(kind) => each(node, |id, node| {
                let id: Option<ComponentId> = id.parse().ok();
                let schema = id.and_then(|id| schema_of(kind, canonical(kind, id.kind())));
                match schema {
                    Some(schema) => redact(node, &schema),
                    None => redact_by_name(node),
                }
            }),
            None => redact_by_name(node),
        }
    };
    each(document, section)
}

fn each(node: &Node, change: impl Fn(&str, &Node) -> Node) -> Node {
    let Value::Map(map) = &node.value else {
        return redact_by_name(node);
    };
    let map: Map = map
        .iter()
        .map(|(key, entry)| {
            let node = change(key, &entry.node);
            (key.clone(), Entry::new(entry.key_span(), node))
        })
        .collect();
    Node::new(Value::Map(map), node.span)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use tidegate_document::{Secret, schema, yaml::parse_str};

    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Config {
        endpoint: String,
        token: Secret,
    }

    const TEXT: &str = "
exporters:
  otlp/a: {endpoint: 'x:1', token: hunter2}
  vendor: {api_key: hunter2, region: eu}
service:
  telemetry:
    metrics:
      readers: [{periodic: {exporter: {otlp: {endpoint: x, headers: {auth: hunter2}}}}}]
";

    fn printed(mode: Mode, format: Format) -> String {
        let schema_of = |kind: Kind, name: &str| {
            (kind == Kind::Exporter && name == "otlp_grpc").then(schema::of::<Config>)
        };
        print(&parse_str(TEXT).unwrap(), mode, format, &schema_of)
    }

    #[test]
    fn secrets_are_hidden_unless_asked_for() {
        insta::assert_snapshot!(printed(Mode::Redacted, Format::Yaml));
        assert!(!printed(Mode::Redacted, Format::Json).contains("hunter2"));
        assert_eq!(
            printed(Mode::Unredacted, Format::Json)
                .matches("hunter2")
                .count(),
            3
        );
    }
}
