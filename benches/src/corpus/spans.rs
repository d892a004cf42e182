//! Spans of 439 bytes with ten attributes.

use std::ops::Range;

use super::Shape;
use super::record::{PatchKind, Record};
use super::values::Values;

/// Bytes of an encoded `Span`, its own tag and length not counted.
pub(super) const SPAN_BYTES: usize = 439;

/// A `ScopeSpans` with one span per index.
pub(super) fn scope_spans(shape: &Shape, items: Range<u32>, values: &mut Values) -> Record {
    let mut scope = Record::default();
    scope.nest(1, values.scope());
    for index in items.clone() {
        let starts_trace = (index - items.start).is_multiple_of(shape.spans_per_trace);
        scope.nest(2, span(starts_trace, values));
    }
    scope
}

fn span(starts_trace: bool, values: &mut Values) -> Record {
    let mut span = Record::default();
    if starts_trace {
        span.id::<16>(1, PatchKind::NewTrace);
    } else {
        span.id::<16>(1, PatchKind::SameTrace);
    }
    span.id::<8>(2, PatchKind::Span);
    if !starts_trace {
        span.id::<8>(4, PatchKind::Parent);
    }
    let (method, route) = (values.method(), values.route());
    span.str(5, &values.span_name(&method, &route));
    span.uint(6, 1 + values.below(5));
    let duration = 1_000_000 + values.below(200_000_000) as i64;
    span.time(7, -duration);
    span.time(8, 0);
    span.attribute(9, "http.request.method", &method);
    span.attribute(9, "http.route", &route);
    span.int_attribute(9, "http.response.status_code", values.status());
    span.attribute(9, "server.address", &values.host());
    span.int_attribute(9, "server.port", 8443);
    span.attribute(9, "network.protocol.version", "1.1");
    span.attribute(9, "client.address", &values.random_text(8));
    span.bool_attribute(9, "cache.hit", values.below(2) == 1);
    span.int_attribute(9, "http.request.body.size", values.below(16_000));
    fill(&mut span, values);
    span
}

/// Brings the span to its size with a tenth attribute.
fn fill(span: &mut Record, values: &mut Values) {
    // Tags, keys and one-byte lengths around the value: 2 + 2 + key + 2 + 2.
    let overhead = 8 + "user_agent".len();
    let length = SPAN_BYTES - span.bytes.len() - overhead;
    let text = values.text(length);
    span.attribute(9, "user_agent", &text);
}
