//! The tables against the descriptors of the proto files that they are written from.

use std::collections::BTreeMap;

use super::*;
use crate::wire::{Cursor, Field};

/// A field as `descriptor.proto` describes it.
#[derive(Debug, PartialEq)]
struct Described {
    name: String,
    is_repeated: bool,
    is_one_of: bool,
    /// `FieldDescriptorProto.Type`.
    kind: u64,
    /// The full name of the message that it holds.
    of: String,
}

type Messages = BTreeMap<String, BTreeMap<u32, Described>>;

fn text(message: &Field<'_>, number: u32) -> String {
    let field = message.message().find(|field| field.number == number);
    field.map_or_else(String::new, |field| {
        String::from_utf8(field.bytes.to_vec()).unwrap()
    })
}

fn number(message: &Field<'_>, number: u32) -> Option<u64> {
    let field = message.message().find(|field| field.number == number);
    field.map(|field| field.scalar)
}

/// Reads a `DescriptorProto` and those within it.
fn read(prefix: &str, message: &Field<'_>, messages: &mut Messages) {
    let name = format!("{prefix}.{}", text(message, 1));
    let mut fields = BTreeMap::new();
    for field in message.message() {
        if field.number == 3 {
            read(&name, &field, messages);
        }
        if field.number == 2 {
            let is_optional = number(&field, 17).unwrap_or(0) != 0;
            let described = Described {
                name: text(&field, 1),
                is_repeated: number(&field, 4) == Some(3),
                is_one_of: number(&field, 9).is_some() && !is_optional,
                kind: number(&field, 5).unwrap(),
                of: text(&field, 6),
            };
            fields.insert(number(&field, 3).unwrap() as u32, described);
        }
    }
    messages.insert(name, fields);
}

fn descriptors() -> Messages {
    let mut messages = Messages::new();
    for file in Cursor::new(opentelemetry_proto::DESCRIPTORS) {
        let package = format!(".{}", text(&file, 2));
        for message in file.message().filter(|field| field.number == 4) {
            read(&package, &message, &mut messages);
        }
    }
    messages
}

/// The wire type of a single value of a `FieldDescriptorProto.Type`.
fn wire_type(kind: u64) -> WireType {
    match kind {
        1 | 6 | 16 => WireType::Fixed64,
        2 | 7 | 15 => WireType::Fixed32,
        9 | 11 | 12 => WireType::Len,
        _ => WireType::Varint,
    }
}

/// Checks a table and those that it refers to; `checked` has what is checked or being so.
fn check(message: &Message, name: &str, messages: &Messages, checked: &mut Vec<String>) {
    if checked.iter().any(|checked| checked == name) {
        return;
    }
    checked.push(name.to_owned());
    let described = &messages[name];
    let names = |fields: &BTreeMap<u32, Described>| -> Vec<(u32, String)> {
        fields
            .iter()
            .map(|(number, field)| (*number, field.name.clone()))
            .collect()
    };
    let known: Vec<_> = message
        .fields
        .iter()
        .map(|field| (field.number, field.name.to_owned()))
        .collect();
    assert_eq!(known, names(described), "{name}");
    for field in message.fields {
        let described = &described[&field.number];
        let place = format!("{name}.{}", field.name);
        let element = wire_type(described.kind);
        let is_packed = described.is_repeated && element != WireType::Len;
        assert_eq!(
            field.kind.element(),
            is_packed.then_some(element),
            "{place}"
        );
        if !is_packed {
            assert_eq!(field.kind.wire(), element, "{place}");
            assert_eq!(field.label.is_repeated(), described.is_repeated, "{place}");
        }
        assert_eq!(field.label.is_one_of(), described.is_one_of, "{place}");
        assert_eq!(
            field.kind.message().is_some(),
            described.kind == 11,
            "{place}"
        );
        if let Some(inner) = field.kind.message() {
            check(inner, &described.of, messages, checked);
        }
    }
}

#[test]
fn tables_are_the_schema_to_the_last_field() {
    let messages = descriptors();
    let mut checked = Vec::new();
    for (signal, name) in [
        (Signal::Traces, "trace.v1.ExportTraceServiceRequest"),
        (Signal::Metrics, "metrics.v1.ExportMetricsServiceRequest"),
        (Signal::Logs, "logs.v1.ExportLogsServiceRequest"),
    ] {
        let name = format!(".opentelemetry.proto.collector.{name}");
        check(Message::request(signal), &name, &messages, &mut checked);
    }
    // Requests, containers, records and all that they hold.
    assert_eq!(checked.len(), 34, "{checked:#?}");
}

#[test]
fn rules_are_found_by_number() {
    for signal in Signal::ALL {
        let message = Message::request(signal);
        assert_eq!(message.rule(1).role, Role::Container);
        assert!(message.field(2).is_none() && message.field(u32::MAX).is_none());
    }
}
