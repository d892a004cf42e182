//! Single values: types, ranges, formats, choices.

use serde_json::Value as Json;

use super::Walker;
use crate::{ByteSize, Diagnostic, Duration, Kind, Node, Value, did_you_mean};

impl<'s> Walker<'s, '_> {
    /// Checks a value against a schema of scalars; none means that the value is a collection, or no scalar of the
    /// schema fits.
    pub(super) fn scalar(
        &mut self,
        schema: &'s Json,
        kinds: &[&str],
        node: &Node,
        path: &str,
    ) -> Option<Node> {
        let takes = |kind: &str| kinds.contains(&kind);
        match &node.value {
            Value::Bool(_) if takes("boolean") => return Some(node.clone()),
            Value::Null if takes("null") => return Some(node.clone()),
            Value::Int(number) if takes("integer") || takes("number") => {
                self.integer(schema, *number, node, path);
                return Some(node.clone());
            }
            Value::Float(number) if takes("number") => {
                self.number(schema, *number, node, path);
                return Some(node.clone());
            }
            // As in the Collector, 5.0 is an integer; 5.5 is none.
            Value::Float(number)
                if takes("integer") && number.fract() == 0.0 && number.abs() < 9e15 =>
            {
                let number = *number as i128;
                self.integer(schema, number, node, path);
                return Some(self.same_place(node, Value::Int(number)));
            }
            Value::String(text) if takes("array") && !takes("string") => {
                return self.split_list(schema, text, node, path);
            }
            _ => {}
        }
        if !takes("string") {
            return None;
        }
        let text = node.as_str()?;
        self.text(schema, text, node, path);
        Some(Node::new(Value::String(text.to_owned()), node.span))
    }

    fn integer(&mut self, schema: &Json, number: i128, node: &Node, path: &str) {
        if format(schema) == Some(Duration::FORMAT) {
            if number != 0 {
                let message = match node.text {
                    None => format!("a duration needs a unit; write for example `{number}s`"),
                    Some(_) => "a duration needs a unit; write for example `30s`".to_owned(),
                };
                self.invalid(node, path, message);
            }
            return;
        }
        let (least, most) = limits(format(schema));
        let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
        let least = bound("minimum").map_or(least, |b| least.max(b.ceil() as i128));
        let least = bound("exclusiveMinimum").map_or(least, |b| least.max(b.floor() as i128 + 1));
        let most = bound("maximum").map_or(most, |b| most.min(b.floor() as i128));
        let most = bound("exclusiveMaximum").map_or(most, |b| most.min(b.ceil() as i128 - 1));
        if number < least || number > most {
            let range = match (least == i128::from(i64::MIN), most >= i128::from(i64::MAX)) {
                (_, true) => format!("at least {least}"),
                (true, false) => format!("at most {most}"),
                _ => format!("{least} to {most}"),
            };
            self.invalid(
                node,
                path,
                format!("the number is out of range; write {range}"),
            );
        }
    }

    fn number(&mut self, schema: &Json, number: f64, node: &Node, path: &str) {
        let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
        let out = bound("minimum").is_some_and(|b| number < b)
            || bound("exclusiveMinimum").is_some_and(|b| number <= b)
            || bound("maximum").is_some_and(|b| number > b)
            || bound("exclusiveMaximum").is_some_and(|b| number >= b)
            || number.is_nan();
        if !out {
            return;
        }
        let least = bound("minimum")
            .map(|b| format!("at least {b}"))
            .or_else(|| bound("exclusiveMinimum").map(|b| format!("more than {b}")));
        let most = bound("maximum")
            .map(|b| format!("at most {b}"))
            .or_else(|| bound("exclusiveMaximum").map(|b| format!("less than {b}")));
        let range: Vec<String> = least.into_iter().chain(most).collect();
        let range = match range.is_empty() {
            true => "a number".to_owned(),
            false => range.join(" and "),
        };
        self.invalid(
            node,
            path,
            format!("the number is out of range; write {range}"),
        );
    }

    fn text(&mut self, schema: &Json, text: &str, node: &Node, path: &str) {
        let fault = match format(schema) {
            Some(Duration::FORMAT) => text.parse::<Duration>().err().map(|e| e.to_string()),
            Some(ByteSize::FORMAT) => text.parse::<ByteSize>().err().map(|e| e.to_string()),
            _ => None,
        };
        if let Some(fault) = fault {
            return self.invalid(node, path, fault);
        }
        let least = schema.get("minLength").and_then(Json::as_u64).unwrap_or(0);
        if (text.chars().count() as u64) < least {
            let message = match text.is_empty() {
                true => "the text is empty".to_owned(),
                false => format!("the text is shorter than {least} characters"),
            };
            self.invalid(node, path, message);
        }
    }

    /// Reads `a,b` where a list of strings is wanted, as the Collector does.
    fn split_list(
        &mut self,
        schema: &'s Json,
        text: &str,
        node: &Node,
        path: &str,
    ) -> Option<Node> {
        let items = crate::schema::resolve(self.root, schema.get("items")?);
        if !super::kinds(items).contains(&"string") {
            return None;
        }
        let list: Vec<Node> = text
            .split(',')
            .filter(|_| !text.is_empty())
            .map(|part| Node::new(Value::String(part.to_owned()), node.span))
            .collect();
        let list = Node::new(Value::Seq(list), node.span);
        Some(self.value(schema, &list, path))
    }

    pub(super) fn choice(
        &mut self,
        known: &[&str],
        any_case: bool,
        node: &Node,
        path: &str,
    ) -> Node {
        if node.is_null() {
            return node.clone();
        }
        let Some(text) = node.as_str() else {
            self.wrong_type(&["string"], node, path);
            return node.clone();
        };
        let matching = known.iter().find(|name| match any_case {
            true => name.eq_ignore_ascii_case(text),
            false => **name == text,
        });
        if let Some(name) = matching {
            return Node::new(Value::String((*name).to_owned()), node.span);
        }
        let message = match node.text {
            None => format!("`{text}` is none of the values known here"),
            Some(_) => "the value is none of those known here".to_owned(),
        };
        let help = match did_you_mean(text, known.iter().copied()) {
            Some(help) if help.starts_with("did") => help,
            _ => format!("write one of: {}", known.join(", ")),
        };
        self.found.push(
            Diagnostic::error(Kind::InvalidValue, message)
                .path(path)
                .at(node.span)
                .help(help),
        );
        node.clone()
    }
}

fn format(schema: &Json) -> Option<&str> {
    schema.get("format").and_then(Json::as_str)
}

/// Gives the range of Rust's integer types, by the `format` that schemars gives them.
fn limits(format: Option<&str>) -> (i128, i128) {
    match format {
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint64" | "uint") => (0, u64::MAX.into()),
        Some("int8") => (i8::MIN.into(), i8::MAX.into()),
        Some("int16") => (i16::MIN.into(), i16::MAX.into()),
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        Some(ByteSize::FORMAT) => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}
