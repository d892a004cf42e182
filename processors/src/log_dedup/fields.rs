//! Fields of log records, deep in bodies and attributes.

use tidegate_pdata::compose::{Fields, Value, log_record};
use tidegate_pdata::view::{AnyValue, Attributes, KeyValue, LogRecord, View};
use tidegate_pdata::wire::Cursor;

use crate::message::attribute;

/// The keys on the way to a field, the last one its own; none for all attributes.
type Keys = [Box<[u8]>];

/// A field of a log record.
pub(super) struct Field {
    in_body: bool,
    keys: Vec<Box<[u8]>>,
}

impl Field {
    /// Reads `body.KEY.KEY` or `attributes.KEY`.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        let mut parts: Vec<String> = vec![String::new()];
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("\\.") {
                put(&mut parts, '.');
                rest = after;
                continue;
            }
            match char {
                '.' => parts.push(String::new()),
                char => put(&mut parts, char),
            }
            rest = &rest[char.len_utf8()..];
        }
        let keys = parts.iter().skip(1).map(|part| part.as_bytes().into());
        let keys: Vec<Box<[u8]>> = keys.collect();
        let in_body = match parts[0].as_str() {
            "body" if keys.is_empty() => return Err("the body as a whole cannot be named"),
            "body" => true,
            "attributes" => false,
            _ => return Err("a field is in the body or in the attributes"),
        };
        Ok(Self { in_body, keys })
    }

    /// Its value in a record.
    pub(super) fn of<'a>(&self, record: LogRecord<'a>) -> Option<AnyValue<'a>> {
        let mut map = match self.in_body {
            true => record.body()?,
            false => AnyValue::KeyValues(record.attributes()),
        };
        for key in &self.keys {
            let AnyValue::KeyValues(entries) = map else {
                return None;
            };
            map = entries.get(key)?;
        }
        (!self.keys.is_empty()).then_some(map)
    }
}

fn put(parts: &mut [String], char: char) {
    if let Some(last) = parts.last_mut() {
        last.push(char);
    }
}

/// Writes a record without fields.
pub(super) fn without(record: LogRecord<'_>, fields: &[Field], out: &mut Fields) {
    let keys = |in_body: bool| -> Vec<&Keys> {
        let fields = fields.iter().filter(|field| field.in_body == in_body);
        fields.map(|field| &field.keys[..]).collect()
    };
    let (of_body, of_attributes) = (keys(true), keys(false));
    let message = record.bytes();
    for field in Cursor::new(message) {
        match field.number {
            log_record::BODY if !of_body.is_empty() => out.message(log_record::BODY, |out| {
                value_without(AnyValue::of(field.bytes), field.bytes, &of_body, out);
            }),
            log_record::ATTRIBUTES if !of_attributes.is_empty() => {
                let entry = KeyValue::of(field.bytes);
                entry_without(log_record::ATTRIBUTES, entry, &of_attributes, out);
            }
            _ => out.raw(&message[field.start..field.end]),
        }
    }
}

/// Writes a value without what these keys lead to.
fn value_without(value: AnyValue<'_>, whole: &[u8], fields: &[&Keys], out: &mut Fields) {
    match value {
        AnyValue::KeyValues(entries) => out.any_map(|out| map_without(entries, fields, out)),
        _ => out.raw(whole),
    }
}

fn map_without(entries: Attributes<'_>, fields: &[&Keys], out: &mut Fields) {
    for entry in entries.entries() {
        entry_without(1, entry, fields, out);
    }
}

fn entry_without(number: u32, entry: KeyValue<'_>, fields: &[&Keys], out: &mut Fields) {
    let key = entry.key();
    let mut deeper: Vec<&Keys> = Vec::new();
    for field in fields {
        match field {
            [] => return,
            [first, rest @ ..] if **first == *key.as_bytes() => {
                if rest.is_empty() {
                    return;
                }
                deeper.push(rest);
            }
            _ => {}
        }
    }
    if deeper.is_empty() {
        let whole = Value::Message(entry.value_bytes());
        return attribute(out, number, key.as_bytes(), whole);
    }
    out.message(number, |out| {
        out.some_bytes(1, key.as_bytes());
        out.message(2, |out| {
            value_without(entry.value(), entry.value_bytes(), &deeper, out);
        });
    });
}
