//! What a schema says about its keys, as rows for people to read.

use schemars::Schema;
use serde_json::Value;

use crate::schema::{branches, choices, has_own_keys, resolve, without_null};
use crate::types::{ByteSize, Duration};

/// One key of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// The way to it: `tls.ca_file`, `actions[].key` in a list, `labels.*` in a map of any keys.
    pub path: String,
    /// What it takes, in words.
    pub takes: String,
    /// What holds where it is left out, unless that is nothing.
    pub default: Option<String>,
    /// What it is for, in one line.
    pub about: String,
}

/// Gives the keys of a schema, those of a section behind it.
#[must_use]
pub fn key_rows(schema: &Schema) -> Vec<KeyRow> {
    let root = schema.as_value();
    let mut walk = Walk {
        root,
        rows: Vec::new(),
        above: Vec::new(),
    };
    walk.section("", without_null(root, root), None);
    walk.rows
}

struct Walk<'s> {
    root: &'s Value,
    rows: Vec<KeyRow>,
    /// The sections around the one at hand: a schema may hold itself.
    above: Vec<&'s Value>,
}

impl<'s> Walk<'s> {
    fn section(&mut self, path: &str, section: &'s Value, default: Option<&'s Value>) {
        if self.above.iter().any(|above| std::ptr::eq(*above, section)) {
            return;
        }
        self.above.push(section);
        let properties = section.get("properties").and_then(Value::as_object);
        let required = section.get("required").and_then(Value::as_array);
        for (name, key) in properties.into_iter().flatten() {
            let is_required = required.is_some_and(|list| list.iter().any(|one| one == name));
            let default = default
                .and_then(|default| default.get(name))
                .or_else(|| key.get("default"));
            self.key(&format!("{path}{name}"), key, default, is_required);
        }
        self.above.pop();
    }

    fn key(&mut self, path: &str, key: &'s Value, default: Option<&'s Value>, is_required: bool) {
        let target = without_null(self.root, key);
        let shown = match default {
            _ if is_required => Some("required".to_owned()),
            Some(default) => shown(default),
            None => None,
        };
        self.rows.push(KeyRow {
            path: path.to_owned(),
            takes: self.takes(target),
            default: shown,
            about: about(key, target),
        });
        if let Some((inner, suffix)) = self.inner(target) {
            let default = default.filter(|_| suffix == ".");
            self.section(&format!("{path}{suffix}"), inner, default);
        }
    }

    /// The section that is in a key's value, and what stands between the key and those in it.
    fn inner(&self, target: &'s Value) -> Option<(&'s Value, &'static str)> {
        let section = |schema| Some(without_null(self.root, schema)).filter(|it| has_keys(it));
        if has_keys(target) {
            return Some((target, "."));
        }
        let element = target.get("items").and_then(section);
        let value = target.get("additionalProperties").and_then(section);
        element
            .map(|element| (element, "[]."))
            .or(value.map(|value| (value, ".*.")))
    }

    fn takes(&self, target: &'s Value) -> String {
        if let Some(choices) = choices(self.root, target) {
            let quoted = choices.into_iter().map(|choice| match choice {
                "" => "`\"\"`".to_owned(),
                choice => format!("`{choice}`"),
            });
            return quoted.collect::<Vec<_>>().join(", ");
        }
        if let Some(branches) = branches(target) {
            let mut kinds: Vec<String> = Vec::new();
            for branch in branches {
                let kind = self.takes(resolve(self.root, branch));
                if !kind.is_empty() && !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            return kinds.join(" or ");
        }
        match target.get("format").and_then(Value::as_str) {
            Some(Duration::FORMAT) => return "duration".to_owned(),
            Some(ByteSize::FORMAT) => return "size".to_owned(),
            _ => {}
        }
        let element = |schema: &'s Value| self.takes(without_null(self.root, schema));
        match first_type(target) {
            Some("array") => match target.get("items").map(element) {
                Some(kind) if !kind.is_empty() => format!("list of {kind}"),
                _ => "list".to_owned(),
            },
            Some("object") if has_keys(target) => "section".to_owned(),
            Some("object") => match target.get("additionalProperties") {
                Some(Value::Object(_)) => {
                    let kind = target.get("additionalProperties").map(element);
                    format!("map of {}", kind.unwrap_or_default())
                }
                _ => "map".to_owned(),
            },
            Some("string") => "text".to_owned(),
            Some("integer" | "number") => "number".to_owned(),
            Some("boolean") => "true or false".to_owned(),
            Some("null") => String::new(),
            _ if has_own_keys(target) => "section".to_owned(),
            _ => "any value".to_owned(),
        }
    }
}

fn has_keys(schema: &Value) -> bool {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| !properties.is_empty())
}

/// The type, or the first of several that is not null.
fn first_type(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(only) => Some(only),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null"),
        _ => None,
    }
}

/// A default in the form in which a user would write it.
fn shown(default: &Value) -> Option<String> {
    match default {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(list) if list.is_empty() => None,
        Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

fn about(key: &Value, target: &Value) -> String {
    let text = |schema: &Value, name: &str| {
        let text = schema.get(name).and_then(Value::as_str);
        text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let mut about = text(key, "description")
        .or_else(|| text(target, "description"))
        .unwrap_or_default();
    // Some say it in their own words.
    let says_so = about.contains("ithout effect");
    if let Some(why) = text(key, "x-no-effect").filter(|_| !says_so) {
        about.push_str(&format!(" No effect: {why}."));
    }
    if let Some(instead) = text(key, "x-deprecated") {
        about.push_str(&format!(" Deprecated: {instead}."));
    }
    if let Some(Value::Array(older)) = key.get("x-aliases") {
        let older: Vec<_> = older.iter().filter_map(Value::as_str).collect();
        about.push_str(&format!(" Also `{}`.", older.join("`, `")));
    }
    about.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::schema::of;

    #[derive(Default, Deserialize, JsonSchema, Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        #[default]
        Fast,
        Slow,
    }

    #[derive(Default, Deserialize, JsonSchema, Serialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        /// How many.
        count: u32,
        /// Itself again.
        again: Option<Box<Inner>>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        /// Where it is sent,
        /// in two lines.
        endpoint: String,
        /// How.
        #[serde(default)]
        mode: Mode,
        #[schemars(extend("x-no-effect" = "there is nothing to wait for"))]
        wait: Option<Duration>,
        /// Parts.
        #[serde(default)]
        parts: Vec<Inner>,
        /// More parts.
        #[serde(default)]
        named: BTreeMap<String, Inner>,
        /// One part.
        inner: Option<Inner>,
    }

    #[test]
    fn keys_are_listed_with_what_they_take_down_to_the_innermost() {
        let rows = key_rows(&of::<Outer>());
        let lines: Vec<_> = rows
            .iter()
            .map(|row| {
                let default = row.default.as_deref().unwrap_or("-");
                format!("{} | {} | {default} | {}", row.path, row.takes, row.about)
            })
            .collect();
        assert_eq!(
            lines,
            [
                "endpoint | text | required | Where it is sent, in two lines.",
                "inner | section | - | One part.",
                "inner.again | section | - | Itself again.",
                "inner.count | number | 0 | How many.",
                "mode | `fast`, `slow` | fast | How.",
                "named | map of section | - | More parts.",
                "named.*.again | section | - | Itself again.",
                "named.*.count | number | 0 | How many.",
                "parts | list of section | - | Parts.",
                "parts[].again | section | - | Itself again.",
                "parts[].count | number | 0 | How many.",
                "wait | duration | - | No effect: there is nothing to wait for.",
            ]
        );
    }
}
