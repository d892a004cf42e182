//! Views against the types that prost decodes into, and values against the Collector's text.

mod text;

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1 as common;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::testing::normal::Normal;
use crate::testing::{Entropy, Request, arbitrary_any, entropy, hostile_encoding, owned};
use crate::{Payload, Segment, Signal};

fn payload(signal: Signal, bytes: Vec<u8>) -> Payload {
    Payload::from_segment(signal, Segment::new(Bytes::from(bytes), 0, None))
}

/// Looks at everything that there is.
fn look_at_all(payload: &Payload) -> Request {
    let request = owned::request(payload);
    let mut text = String::new();
    for group in payload.resource_logs() {
        for record in group.scopes().flat_map(|scope| scope.log_records()) {
            let body = record.body().unwrap_or_default();
            body.write_text(&mut text).unwrap();
        }
    }
    request
}

proptest! {
    #[test]
    fn views_show_what_prost_decodes(mut request in arbitrary_any()) {
        let payload = payload(request.signal(), request.encode());
        request.normalise();
        prop_assert_eq!(look_at_all(&payload).encode(), request.encode());
    }

    #[test]
    fn and_so_they_do_whatever_encoding_came_to_the_door(
        request in arbitrary_any(),
        oddities in entropy(),
    ) {
        let mut oddities = Entropy::new(&oddities);
        let odd = hostile_encoding(request.signal(), &request.encode(), &mut oddities);
        let mut decoded = Request::decode(request.signal(), &odd).unwrap();
        let admitted = Payload::admit(request.signal(), odd.into(), None).unwrap();
        decoded.normalise();
        prop_assert_eq!(look_at_all(&admitted.payload).encode(), decoded.encode());
    }

    #[test]
    fn a_method_shows_what_fields_shows(request in arbitrary_any()) {
        let payload = payload(request.signal(), request.encode());
        for span in payload.resource_spans().flat_map(|group| group.scopes()).flat_map(|scope| scope.spans()) {
            let fields = span.fields();
            prop_assert_eq!(span.trace_id(), fields.trace_id);
            prop_assert_eq!(span.name(), fields.name);
            prop_assert_eq!(span.kind(), fields.kind);
            prop_assert_eq!(span.flags(), fields.flags);
            let attributes = |view| format!("{:?}", owned::attributes(view));
            prop_assert_eq!(attributes(span.attributes()), attributes(fields.attributes));
            prop_assert_eq!(span.attributes().is_empty(), span.attributes().count() == 0);
            prop_assert_eq!(span.events().count(), fields.events.count());
            prop_assert_eq!(span.status().map(|status| status.code()), fields.status.map(|status| status.code()));
        }
        for metric in payload.resource_metrics().flat_map(|group| group.scopes()).flat_map(|scope| scope.metrics()) {
            let MetricData::ExponentialHistogram(data) = metric.data() else { continue };
            for point in data.data_points() {
                let fields = point.fields();
                prop_assert_eq!(point.scale(), fields.scale);
                prop_assert_eq!(point.zero_count(), fields.zero_count);
                prop_assert_eq!(point.sum().map(f64::to_bits), fields.sum.map(f64::to_bits));
            }
        }
    }

    #[test]
    fn any_bytes_are_looked_at_without_a_panic(
        request in arbitrary_any(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = request.encode();
        for (at, byte) in flips {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        // All three signals' views, whatever the bytes were.
        for signal in Signal::ALL {
            look_at_all(&payload(signal, bytes.clone()));
        }
    }
}

#[test]
fn a_key_finds_the_first_of_its_attributes() {
    let entry = |key: &str, value: i64| common::KeyValue {
        key: key.into(),
        value: Some(common::AnyValue {
            value: Some(common::any_value::Value::IntValue(value)),
        }),
        ..Default::default()
    };
    let list = common::KeyValueList {
        values: vec![entry("a", 1), entry("b", 2), entry("a", 3)],
    };
    let message = list.encode_to_vec();
    let attributes = Attributes::new(&message, 1);
    assert!(matches!(attributes.get("a"), Some(AnyValue::Int(1))));
    assert!(matches!(attributes.get("b"), Some(AnyValue::Int(2))));
    assert!(attributes.get("c").is_none());
}

#[test]
fn views_go_over_all_segments_of_their_own_signal() {
    let request = Request::Traces(crate::testing::realistic_traces(10));
    let mut both = payload(Signal::Traces, request.encode());
    both.append(payload(Signal::Traces, request.encode()));
    assert_eq!(both.resource_spans().count(), 10);
    assert_eq!(both.resource_logs().count(), 0);
    assert_eq!(both.resource_metrics().count(), 0);
}

#[test]
fn unknown_fields_and_padded_lengths_are_stepped_over() {
    // An unknown field, the name with a length of four bytes, a group, then the kind.
    let span = b"\xc2\x3e\x02hi\x2a\x84\x80\x80\x00name\xcb\x3e\x08\x01\xcc\x3e\x30\x03";
    let span = Span::of(span);
    assert_eq!(span.fields().name, "name");
    assert_eq!(span.fields().kind, 3);
}
