//! What the splicer promises beside equal results: bytes that stay, counts, budgets, read-through.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::*;
use crate::view::{self, View};
use crate::{Budget, Signal, wire};

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..Default::default()
    }
}

fn span(name: &str) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![3; 8],
        name: name.to_owned(),
        attributes: vec![text("a", "1"), text("b", "2"), text("a", "3")],
        end_time_unix_nano: 5,
        ..Default::default()
    }
}

/// Spans by scope by resource.
fn traces(groups: &[&[&[&str]]]) -> Payload {
    let request = ExportTraceServiceRequest {
        resource_spans: (groups.iter())
            .map(|scopes| ResourceSpans {
                resource: Some(Default::default()),
                scope_spans: (scopes.iter())
                    .map(|names| ScopeSpans {
                        scope: Some(Default::default()),
                        spans: names.iter().map(|name| span(name)).collect(),
                        schema_url: "scope".into(),
                    })
                    .collect(),
                schema_url: "resource".into(),
            })
            .collect(),
    };
    let items = groups
        .iter()
        .flat_map(|scopes| *scopes)
        .map(|names| names.len())
        .sum();
    let segment = Segment::new(Bytes::from(request.encode_to_vec()), items, None);
    Payload::from_segment(Signal::Traces, segment)
}

fn decode(payload: &Payload) -> ExportTraceServiceRequest {
    let bytes: Vec<u8> = (payload.segments().iter())
        .flat_map(|segment| segment.bytes().to_vec())
        .collect();
    Message::decode(&bytes[..]).unwrap()
}

fn names(payload: &Payload) -> Vec<Vec<Vec<String>>> {
    let spans = |scope: &ScopeSpans| scope.spans.iter().map(|span| span.name.clone()).collect();
    let scopes = |group: &ResourceSpans| group.scope_spans.iter().map(spans).collect();
    decode(payload).resource_spans.iter().map(scopes).collect()
}

/// Edits made by a closure for each span.
struct EachSpan<F>(F);

impl<F: FnMut(&mut SpanEditor<'_>) -> Verdict> Edits for EachSpan<F> {
    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        (self.0)(span)
    }
}

fn each_span(payload: Payload, edit: impl FnMut(&mut SpanEditor<'_>) -> Verdict) -> Payload {
    Splicer::default().edit(payload, &mut EachSpan(edit))
}

#[test]
fn a_segment_without_a_change_is_passed_on_as_it_is() {
    let payload = traces(&[&[&["one", "two"]], &[]]);
    let bytes = payload.segments()[0].bytes().clone();
    let edited = each_span(payload, |span| {
        let mut attributes = span.attributes();
        attributes.update("absent", "x");
        attributes.delete("absent");
        attributes.insert("a", "x");
        Verdict::Keep
    });
    let same = edited.segments()[0].bytes();
    assert_eq!((same.as_ptr(), same.len()), (bytes.as_ptr(), bytes.len()));
}

#[test]
fn what_holds_no_record_any_more_goes_and_what_came_empty_stays() {
    let payload = traces(&[&[&["x"], &["x", "keep"]], &[&["x"], &["x"]], &[&[]], &[]]);
    let edited = each_span(payload, |span| Verdict::from(span.view().name() == "keep"));
    assert_eq!(edited.items(), 1);
    let none: Vec<Vec<String>> = vec![];
    assert_eq!(
        names(&edited),
        [vec![vec!["keep".to_owned()]], vec![vec![]], none]
    );
}

#[test]
fn a_payload_with_nothing_left_is_empty() {
    let mut payload = traces(&[&[&["x"]]]);
    payload.append(traces(&[&[&["x", "x"]]]));
    let edited = each_span(payload, |_| Verdict::Drop);
    assert!(edited.is_empty());
    assert_eq!((edited.segments().len(), edited.bytes()), (0, 0));
}

#[test]
fn only_the_segments_that_change_are_written_anew() {
    let mut payload = traces(&[&[&["x"]]]);
    payload.append(traces(&[&[&["y", "x"]]]));
    let second = payload.segments()[1].bytes().as_ptr();
    let mut first = true;
    let edited = each_span(payload, |_| Verdict::from(!std::mem::take(&mut first)));
    assert_eq!(edited.items(), 2);
    assert_eq!(edited.segments()[0].bytes().as_ptr(), second);
}

#[test]
fn records_that_nobody_touches_keep_their_bytes() {
    let payload = traces(&[&[&["one", "two", "three"]]]);
    let spans = |payload: &Payload| -> Vec<Vec<u8>> {
        let scopes = payload.resource_spans().flat_map(|group| group.scopes());
        scopes
            .flat_map(|scope| scope.spans())
            .map(|span| span.bytes().to_vec())
            .collect()
    };
    let before = spans(&payload);
    let after = spans(&each_span(payload, |span| {
        if span.view().name() == "two" {
            span.attributes().upsert("new", "x".repeat(300).as_str());
        }
        Verdict::Keep
    }));
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
    assert_eq!(after[1].len(), before[1].len() + 3 + 5 + 3 + 3 + 300);
}

#[test]
fn a_new_segment_takes_its_exact_size_from_the_budget_of_the_old() {
    let budget = Budget::new(10);
    let payload = traces(&[&[&["x"]]]);
    let bytes = payload.segments()[0].bytes().clone();
    let hold = Arc::new(budget.overdraw(bytes.len()));
    let payload = Payload::from_segment(Signal::Traces, Segment::new(bytes, 1, Some(hold)));
    let edited = each_span(payload, |span| {
        span.set_name("longer than before");
        Verdict::Keep
    });
    assert_eq!(budget.used(), edited.bytes());
    drop(edited);
    assert_eq!(budget.used(), 0);
}

#[test]
fn edits_are_read_through_in_their_order() {
    let edited = each_span(traces(&[&[&["x"]]]), |span| {
        let mut attributes = span.attributes();
        let held = attributes.hold("b").unwrap();
        assert!(attributes.insert("c", held));
        assert!(attributes.delete("b"));
        let digest = match attributes.get("c") {
            Some(view::AnyValue::String(text)) => [text.as_bytes()[0], 0xff],
            other => panic!("{other:?}"),
        };
        assert!(attributes.update("c", NewValue::Hex(&digest)));
        assert!(attributes.get("b").is_none());
        span.set_name("first");
        assert_eq!(span.view().name(), "first");
        span.set_name("second");
        assert_eq!(span.view().attributes().count(), 3);
        Verdict::Keep
    });
    let span = &decode(&edited).resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "second");
    assert_eq!(
        span.attributes,
        [text("a", "1"), text("a", "3"), text("c", "32ff")]
    );
}

#[test]
fn of_equal_keys_the_first_is_updated_and_deleted() {
    let edited = each_span(traces(&[&[&["x"]]]), |span| {
        let mut attributes = span.attributes();
        attributes.update("a", "new");
        attributes.delete("a");
        attributes.upsert("a", 4);
        Verdict::Keep
    });
    let span = &decode(&edited).resource_spans[0].scope_spans[0].spans[0];
    let mut last = text("a", "");
    last.value = Some(AnyValue {
        value: Some(Value::IntValue(4)),
    });
    assert_eq!(span.attributes, [text("b", "2"), last]);
}

#[test]
fn new_attributes_keep_their_order_whatever_is_replaced_between() {
    let edited = each_span(traces(&[&[&["x"]]]), |span| {
        let mut attributes = span.attributes();
        attributes.insert("first", "1");
        attributes.update_at(2, "the last there was");
        attributes.insert("second", "2");
        Verdict::Keep
    });
    let span = &decode(&edited).resource_spans[0].scope_spans[0].spans[0];
    let keys: Vec<&str> = span.attributes.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["a", "b", "a", "first", "second"]);
}

#[test]
fn a_resource_can_be_edited_from_its_records() {
    struct CountSpans(i64);
    impl Edits for CountSpans {
        fn resource(&mut self, _: &mut ResourceEditor<'_>) -> Visit {
            self.0 = 0;
            Visit::Enter
        }
        fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
            self.0 += 1;
            span.resource().attributes().upsert("spans", self.0);
            span.scope().set_schema_url("new");
            Verdict::Keep
        }
    }
    let edited = Splicer::default().edit(traces(&[&[&["x", "y"], &["z"]]]), &mut CountSpans(0));
    let group = &decode(&edited).resource_spans[0];
    let count = group.resource.as_ref().unwrap().attributes[0].value.clone();
    assert_eq!(count.unwrap().value, Some(Value::IntValue(3)));
    assert_eq!(group.scope_spans[1].schema_url, "new");
    assert_eq!(group.schema_url, "resource");
}

#[test]
fn fields_that_the_schema_does_not_know_survive_every_edit() {
    // Unknown field 100 in the span, in an attribute (beside the index of profiles), in a status.
    let mut attribute = text("a", "1").encode_to_vec();
    wire::put_uint(&mut attribute, 3, 9);
    wire::put_bytes(&mut attribute, 100, b"in the attribute");
    let mut status = Vec::new();
    wire::put_bytes(&mut status, 100, b"in the status");
    let mut message = Vec::new();
    wire::put_bytes(&mut message, 100, b"in the span");
    wire::put_bytes(&mut message, 9, &attribute);
    wire::put_bytes(&mut message, 15, &status);
    let mut request = Vec::new();
    for number in [2, 2, 1] {
        std::mem::swap(&mut request, &mut message);
        message.clear();
        wire::put_bytes(&mut message, 101, b"around it");
        wire::put_bytes(&mut message, number, &request);
    }
    let segment = Segment::new(Bytes::from(message), 1, None);
    let edited = each_span(Payload::from_segment(Signal::Traces, segment), |span| {
        span.attributes().update("a", "another");
        span.attributes().rename("a", "renamed");
        span.set_status_code(2);
        span.set_name("name");
        Verdict::Keep
    });
    let all = edited.segments()[0].bytes();
    let count = |text: &[u8]| {
        all.windows(text.len())
            .filter(|window| *window == text)
            .count()
    };
    assert_eq!(count(b"around it"), 3);
    assert_eq!(
        count(b"in the span") + count(b"in the attribute") + count(b"in the status"),
        3
    );
    let span = &decode(&edited).resource_spans[0].scope_spans[0].spans[0];
    let mut kept = text("renamed", "another");
    kept.key_strindex = 9;
    assert_eq!(span.attributes, [kept]);
    assert_eq!(span.status.as_ref().unwrap().code, 2);
}

#[test]
fn a_value_can_be_copied_from_any_level_to_any_other() {
    let edited = each_span(traces(&[&[&["x"]]]), |span| {
        let held = span.attributes().hold("b").unwrap();
        span.resource().attributes().upsert("from span", held);
        let held = span.resource().attributes().hold("from span").unwrap();
        span.scope().attributes().upsert("from resource", held);
        Verdict::Keep
    });
    let group = &decode(&edited).resource_spans[0];
    let scope = group.scope_spans[0].scope.as_ref().unwrap();
    assert_eq!(scope.attributes, [text("from resource", "2")]);
}

#[test]
fn a_hold_on_another_segment_stands_for_nothing_harmful() {
    let mut payload = traces(&[&[&["x"]]]);
    payload.append(traces(&[&[&["y"]]]));
    let mut held = None;
    let edited = each_span(payload, |span| {
        let mut attributes = span.attributes();
        if let Some(held) = held {
            attributes.upsert("stale", held);
        }
        attributes.upsert("new", "x".repeat(500).as_str());
        held = attributes.hold("new");
        Verdict::Keep
    });
    let request = edited.segments()[1].bytes();
    let group = view::ResourceSpans::of(wire::Cursor::new(request).next().unwrap().bytes);
    assert_eq!(group.scopes().flat_map(|scope| scope.spans()).count(), 1);
}
