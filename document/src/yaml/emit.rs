//! A tree written as YAML.

use std::fmt::Write;

use super::scalar::plain;
use crate::{Node, Value};

/// Writes a tree as YAML in block style, ending with a line break; reading it gives the same values.
pub fn emit(node: &Node) -> String {
    let mut out = String::new();
    match &node.value {
        Value::Map(map) if !map.is_empty() => block(node, 0, &mut out),
        Value::Seq(list) if !list.is_empty() => block(node, 0, &mut out),
        _ => inline(node, &mut out),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn block(node: &Node, indent: usize, out: &mut String) {
    match &node.value {
        Value::Map(map) => {
            for (i, (key, entry)) in map.iter().enumerate() {
                if i > 0 {
                    pad(indent, out);
                }
                text(key, true, out);
                out.push(':');
                below(&entry.node, indent, out);
            }
        }
        Value::Seq(list) => {
            for (i, item) in list.iter().enumerate() {
                if i > 0 {
                    pad(indent, out);
                }
                out.push('-');
                match is_block(item) {
                    true => {
                        out.push(' ');
                        block(item, indent + 2, out);
                    }
                    false => below(item, indent, out),
                }
            }
        }
        _ => inline(node, out),
    }
}

fn is_block(node: &Node) -> bool {
    match &node.value {
        Value::Map(map) => !map.is_empty(),
        Value::Seq(list) => !list.is_empty(),
        _ => false,
    }
}

fn below(node: &Node, indent: usize, out: &mut String) {
    if is_block(node) {
        out.push('\n');
        pad(indent + 2, out);
        block(node, indent + 2, out);
        return;
    }
    if !node.is_null() {
        out.push(' ');
    }
    inline(node, out);
    out.push('\n');
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn inline(node: &Node, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = match &node.value {
        Value::Null => Ok(()),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Int(value) => write!(out, "{value}"),
        Value::Float(value) if value.is_nan() => write!(out, ".nan"),
        Value::Float(value) if value.is_infinite() => {
            write!(out, "{}.inf", if *value < 0.0 { "-" } else { "" })
        }
        Value::Float(value) => write!(out, "{value:?}"),
        Value::String(value) => {
            text(value, false, out);
            Ok(())
        }
        Value::Seq(_) => write!(out, "[]"),
        Value::Map(_) => write!(out, "{{}}"),
    };
}

/// Writes a string, plain where that reads back the same, else in double quotes.
fn text(text: &str, is_key: bool, out: &mut String) {
    let reads_back = matches!(plain(text), Value::String(_)) && text != "<<"
        || is_key && text != "<<" && !text.is_empty();
    let safe = |c: char| {
        c.is_alphanumeric()
            || matches!(
                c,
                '_' | '/' | '.' | '-' | '+' | '(' | ')' | '=' | '$' | '^' | ';'
            )
    };
    let first_safe =
        text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '$' | '^'));
    let mut inner_ok = true;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next_safe = chars.peek().copied().is_some_and(safe);
        inner_ok &= safe(c) || matches!(c, ':' | ' ' | '*' | ',' | '\\') && next_safe && c != ',';
    }
    if reads_back && first_safe && inner_ok && !text.starts_with("---") && !text.starts_with("...")
    {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::parse_str;
    use crate::{Entry, Map, Span};

    #[test]
    fn a_configuration_is_written_in_blocks() {
        let text = "\
receivers:
  otlp:
    protocols:
      grpc:
      http:
        endpoint: localhost:4318
exporters:
  debug: {}
list:
  - a
  - b: 1
    c:
      - true
      - 0.5
  - - x
  - []
text: \"a: b # c\"
octal: \"0123\"
";
        assert_eq!(emit(&parse_str(text).unwrap()), text);
    }

    fn node() -> impl Strategy<Value = Node> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|i| Value::Int(i.into())),
            any::<u64>().prop_map(|i| Value::Int(i.into())),
            any::<f64>()
                .prop_filter("equal to itself", |f| !f.is_nan())
                .prop_map(Value::Float),
            r"(\PC|[a-c:\-\[\]{},&*<|>'#%!?\n\t \\]|: | #|<<|0x1|1e5|null){0,8}"
                .prop_map(Value::String),
            "(null|~|true|0123|1e5|-|---|\\.nan|<<|=)".prop_map(Value::String),
        ];
        let leaf = scalar.prop_map(|value| Node::new(value, Span::NONE));
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4)
                    .prop_map(|list| Node::new(Value::Seq(list), Span::NONE)),
                proptest::collection::vec((r"(\PC|[a-c: #\-]|<<|\?){0,5}", inner), 0..4).prop_map(
                    |entries| {
                        let map: Map = entries
                            .into_iter()
                            .map(|(key, node)| (key, Entry::new(Span::NONE, node)))
                            .collect();
                        Node::new(Value::Map(map), Span::NONE)
                    }
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(node in node()) {
            let text = emit(&node);
            let read = parse_str(&text);
            prop_assert_eq!(read.as_ref().ok(), Some(&node), "{}", text);
        }
    }
}
