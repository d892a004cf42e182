//! Entries and plain lines as a request.

use tidegate_pdata::compose::{Fields, Request, log_record};
use tidegate_pdata::{MalformedRequest, Payload, Reservation, Signal};

use super::entry::Entry;
use super::severity;
use super::value::{Map, Value};

/// Values nested deeper than this are written as text: the door takes messages of a bounded depth.
const MAX_DEPTH: usize = 16;

/// The fields of `AnyValue` that hold text and bytes.
const STRING: u32 = 1;
const BYTES: u32 = 7;

/// A request that grows by log records.
#[derive(Debug)]
pub(crate) struct Composer {
    request: Request,
    /// The resource of the records that are being written, encoded, and its scope.
    resource: Vec<u8>,
    scope: String,
    scratch: Fields,
    begun: bool,
}

impl Default for Composer {
    fn default() -> Self {
        Self {
            request: Request::new(Signal::Logs),
            resource: Vec::new(),
            scope: String::new(),
            scratch: Fields::new(),
            begun: false,
        }
    }
}

impl Composer {
    /// Log records in it.
    pub(crate) const fn items(&self) -> usize {
        self.request.items()
    }

    /// Bytes written so far.
    pub(crate) fn size(&self) -> usize {
        self.request.size()
    }

    /// Adds a record of a line and attributes that have been encoded; without a scope's name.
    pub(crate) fn line(&mut self, resource: &[u8], body: Line<'_>, attributes: &[u8], now: u64) {
        self.belong(resource, "");
        self.request.record(|record| {
            record.message(log_record::BODY, |any| match body {
                Line::Text(text) => any.some_bytes(STRING, text),
                Line::Bytes(bytes) => any.some_bytes(BYTES, bytes),
            });
            record.raw(attributes);
            record.fixed64(log_record::OBSERVED_TIME, now);
        });
    }

    /// Adds an entry.
    pub(crate) fn entry(&mut self, entry: &Entry) {
        self.scratch.clear();
        attributes(&mut self.scratch, 1, &entry.resource);
        let resource = std::mem::take(&mut self.scratch);
        self.belong(resource.bytes(), &entry.scope);
        self.scratch = resource;
        self.request.record(|record| {
            record.fixed64(log_record::TIME, entry.timestamp.unwrap_or(0));
            record.uint(log_record::SEVERITY_NUMBER, entry.severity.into());
            let text = match &*entry.severity_text {
                "" => severity::shown(entry.severity),
                text => text,
            };
            record.string(log_record::SEVERITY_TEXT, text);
            if entry.body != Value::Null {
                record.message(log_record::BODY, |any| value(any, &entry.body, 0));
            }
            attributes(record, log_record::ATTRIBUTES, &entry.attributes);
            record.fixed32(log_record::FLAGS, entry.trace_flags.into());
            if let Some(id) = &entry.trace_id {
                record.some_bytes(log_record::TRACE_ID, id);
            }
            if let Some(id) = &entry.span_id {
                record.some_bytes(log_record::SPAN_ID, id);
            }
            record.fixed64(log_record::OBSERVED_TIME, entry.observed);
        });
    }

    /// Opens a resource and a scope, unless they are open.
    fn belong(&mut self, resource: &[u8], scope: &str) {
        if !self.begun || self.resource != resource {
            self.request.resource(|fields| fields.raw(resource));
            self.resource.clear();
            self.resource.extend_from_slice(resource);
            self.begun = true;
        } else if self.scope == scope {
            return;
        }
        self.request.scope(scope, "");
        self.scope.clear();
        self.scope.push_str(scope);
    }

    /// The request; what is written afterwards begins a new one.
    pub(crate) fn finish(
        &mut self,
        hold: Option<Reservation>,
    ) -> Result<Payload, MalformedRequest> {
        self.begun = false;
        let request = std::mem::replace(&mut self.request, Request::new(Signal::Logs));
        let hold = hold.map(|mut hold| {
            hold.resize(request.size());
            hold
        });
        request.finish(hold)
    }
}

/// A line as a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line<'l> {
    /// As text; nobody looks whether it is UTF-8.
    Text(&'l [u8]),
    /// As bytes.
    Bytes(&'l [u8]),
}

/// Writes attributes.
pub(crate) fn attributes(out: &mut Fields, number: u32, map: &Map) {
    for (key, inner) in map.iter() {
        out.attribute_with(number, key, |any| value(any, inner, 0));
    }
}

/// Writes a value as the content of an `AnyValue`.
fn value(any: &mut Fields, from: &Value, depth: usize) {
    use tidegate_pdata::compose::Value as Written;
    match from {
        Value::Null => {}
        Value::Bool(value) => any.any(Written::Bool(*value)),
        Value::Int(value) => any.any(Written::Int(*value)),
        Value::Double(value) => any.any(Written::Double(*value)),
        Value::Str(text) => any.any(Written::Str(text)),
        Value::Bytes(bytes) => any.any(Written::Bytes(bytes)),
        Value::List(_) | Value::Map(_) if depth >= MAX_DEPTH => {
            any.any(Written::Str(&json(from).to_string()));
        }
        Value::List(items) => any.any_array(|array| {
            for item in items {
                array.element_with(|any| value(any, item, depth + 1));
            }
        }),
        Value::Map(map) => any.any_map(|out| {
            for (key, inner) in map.iter() {
                out.attribute_with(1, key, |any| value(any, inner, depth + 1));
            }
        }),
    }
}

/// A value as JSON.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Double(value) => (*value).into(),
        Value::Str(text) => (**text).into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| (key.to_owned(), json(value)));
            serde_json::Value::Object(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Owned;
    use prost::Message;

    use super::*;

    fn read(payload: &Payload) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest::decode(payload.segments()[0].bytes().clone()).unwrap()
    }

    #[test]
    fn records_are_grouped_by_resource_and_scope() {
        let mut composer = Composer::default();
        for (pod, scope) in [("a", ""), ("a", ""), ("a", "x"), ("b", "x"), ("a", "")] {
            composer.entry(&Entry {
                resource: Map::from([("k8s.pod.name", pod.into())]),
                scope: scope.into(),
                ..Entry::with_body("line")
            });
        }
        let payload = composer.finish(None).unwrap();
        let request = read(&payload);
        let shape: Vec<Vec<usize>> = request
            .resource_logs
            .iter()
            .map(|resource| {
                resource
                    .scope_logs
                    .iter()
                    .map(|scope| scope.log_records.len())
                    .collect()
            })
            .collect();
        assert_eq!(shape, [vec![2, 1], vec![1], vec![1]]);
        assert_eq!(composer.items(), 0);
    }

    #[test]
    fn every_part_of_an_entry_is_written() {
        let mut composer = Composer::default();
        composer.entry(&Entry {
            timestamp: Some(5),
            observed: 7,
            severity: 17,
            trace_id: Some([1; 16]),
            span_id: Some([2; 8]),
            trace_flags: 1,
            attributes: Map::from([("n", Value::Int(3)), ("none", Value::Null)]),
            ..Entry::with_body("text")
        });
        let request = read(&composer.finish(None).unwrap());
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!(
            (record.time_unix_nano, record.observed_time_unix_nano),
            (5, 7)
        );
        assert_eq!(
            (record.severity_number, record.severity_text.as_str()),
            (17, "ERROR")
        );
        assert_eq!(
            (record.trace_id.len(), record.span_id.len(), record.flags),
            (16, 8, 1)
        );
        assert_eq!(record.attributes.len(), 2);
        let body = record.body.clone().and_then(|body| body.value);
        assert_eq!(body, Some(Owned::StringValue("text".to_owned())));
    }

    #[test]
    fn what_is_nested_too_deeply_is_written_as_text() {
        let mut deep = Value::Int(1);
        for _ in 0..100 {
            deep = Value::Map(Map::from([("k", deep)]));
        }
        let mut composer = Composer::default();
        composer.entry(&Entry::with_body(deep));
        let payload = composer.finish(None).unwrap();
        assert_eq!(payload.items(), 1);
    }

    #[test]
    fn lines_need_not_be_utf_8() {
        let mut composer = Composer::default();
        composer.line(&[], Line::Text(b"caf\xe9"), &[], 1);
        composer.line(&[], Line::Bytes(b"\x00\xff"), &[], 1);
        assert_eq!(composer.finish(None).unwrap().items(), 2);
    }
}
