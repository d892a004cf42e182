use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::testing::laws::{self, door_reads_as_prost};
use crate::testing::{
    Entropy, Request, arbitrary_any, entropy, hostile_encoding, realistic_logs, realistic_metrics,
    realistic_traces,
};
use crate::wire::{put_bytes, put_uint};
use crate::{Budget, Signal};

fn admit(signal: Signal, bytes: &[u8]) -> Result<Admitted, MalformedRequest> {
    Payload::admit(signal, Bytes::copy_from_slice(bytes), None)
}

fn bytes_of(admitted: &Admitted) -> Vec<u8> {
    laws::bytes_of(&admitted.payload)
}

/// A message of one field that holds a message, from the outermost inwards.
fn nested(numbers: &[u32], innermost: &[u8]) -> Vec<u8> {
    numbers
        .iter()
        .rev()
        .fold(innermost.to_vec(), |body, number| {
            let mut out = Vec::new();
            put_bytes(&mut out, *number, &body);
            out
        })
}

fn refusal(signal: Signal, bytes: &[u8]) -> String {
    admit(signal, bytes).unwrap_err().to_string()
}

#[test]
fn realistic_requests_are_canonical_and_counted() {
    let requests = [
        Request::Traces(realistic_traces(103)),
        Request::Metrics(realistic_metrics(103)),
        Request::Logs(realistic_logs(103)),
    ];
    for request in requests {
        let bytes = request.encode();
        let admitted = admit(request.signal(), &bytes).unwrap();
        assert!(!admitted.rewritten);
        assert_eq!(admitted.payload.items(), 103);
        assert_eq!(bytes_of(&admitted), bytes);
    }
}

#[test]
fn empty_request_has_no_items() {
    for signal in Signal::ALL {
        let admitted = admit(signal, &[]).unwrap();
        assert_eq!((admitted.payload.items(), admitted.rewritten), (0, false));
    }
}

#[test]
fn refusals_name_the_field_and_the_byte() {
    let attribute = nested(&[1, 2, 2, 9], &[0x0a, 1, b'k', 0x12, 30]);
    assert_eq!(
        refusal(Signal::Traces, &attribute),
        "resource_spans.scope_spans.spans.attributes.value: length 30 passes the end at byte 12"
    );
    let time = nested(&[1, 2, 2], &[0x38, 1]);
    assert_eq!(
        refusal(Signal::Traces, &time),
        "resource_spans.scope_spans.spans.start_time_unix_nano: \
         found a varint instead of 8 bytes at byte 6"
    );
    let group = nested(&[1], &[0x0b, 0x0c]);
    assert_eq!(
        refusal(Signal::Logs, &group),
        "resource_logs.resource: found a group instead of a length-prefixed value at byte 2"
    );
    let ragged = nested(&[1, 2, 2, 9, 1], &[0x32, 3, 0, 0, 0]);
    assert_eq!(
        refusal(Signal::Metrics, &ragged),
        "resource_metrics.scope_metrics.metrics.histogram.data_points.bucket_counts: \
         packed values do not fill their length at byte 12"
    );
    assert_eq!(
        refusal(Signal::Logs, &[0x0a]),
        "resource_logs: the value is cut off at byte 1"
    );
    assert_eq!(
        refusal(Signal::Logs, &[0x00]),
        "field number 0 does not exist at byte 0"
    );
}

/// An attribute's value of so many nested arrays, in a log record's body.
fn deep_body(arrays: usize) -> Vec<u8> {
    let mut numbers = vec![1, 2, 2, 5];
    for _ in 0..arrays {
        numbers.extend([5, 1]);
    }
    nested(&numbers, &[])
}

#[test]
fn nesting_is_taken_to_the_limit_and_refused_beyond() {
    // The body is at level 4, and an array with its value takes two.
    assert!(admit(Signal::Logs, &deep_body(30)).is_ok());
    let refusal = refusal(Signal::Logs, &deep_body(31));
    assert!(
        refusal.contains("nested deeper than 64 levels"),
        "{refusal}"
    );
    // Further down than any stack would carry a reader that does not count.
    assert!(admit(Signal::Logs, &deep_body(5_000)).is_err());
}

#[test]
fn groups_in_unknown_fields_count_towards_the_depth() {
    let with_groups = |levels: usize| {
        let mut groups = [0xfb, 0x01].repeat(levels);
        groups.extend([0xfc, 0x01].repeat(levels));
        nested(&[1, 2, 2], &groups)
    };
    let admitted = admit(Signal::Traces, &with_groups(61)).unwrap();
    assert!(!admitted.rewritten);
    assert!(refusal(Signal::Traces, &with_groups(62)).contains("nested deeper"));
}

#[test]
fn resource_that_comes_twice_is_merged_and_comes_first() {
    let mut resource_logs = Vec::new();
    put_bytes(&mut resource_logs, 2, &nested(&[2], &[]));
    put_bytes(&mut resource_logs, 1, &[0x10, 1]);
    put_bytes(&mut resource_logs, 1, &[0x10, 2]);
    let admitted = admit(Signal::Logs, &nested(&[1], &resource_logs)).unwrap();
    assert!(admitted.rewritten);
    assert_eq!(admitted.payload.items(), 1);
    let expected = [0x0a, 8, 0x0a, 2, 0x10, 2, 0x12, 2, 0x12, 0];
    assert_eq!(bytes_of(&admitted), expected);
}

#[test]
fn points_of_a_replaced_metric_kind_do_not_count() {
    let mut metric = Vec::new();
    put_bytes(&mut metric, 7, &nested(&[1], &[]));
    put_bytes(&mut metric, 5, &nested(&[1], &[]));
    put_bytes(&mut metric, 5, &nested(&[1], &[]));
    let admitted = admit(Signal::Metrics, &nested(&[1, 2, 2], &metric)).unwrap();
    assert!(admitted.rewritten);
    assert_eq!(admitted.payload.items(), 2);
    let kept = nested(&[1, 2, 2, 5], &[0x0a, 0, 0x0a, 0]);
    assert_eq!(bytes_of(&admitted), kept);
}

#[test]
fn lengths_of_four_bytes_are_canonical() {
    // As .NET writes them: the length is filled in when the content is known.
    let span = [0x12, 0x82, 0x80, 0x80, 0x00, 0x30, 0x01];
    let request = nested(&[1, 2], &span);
    let admitted = admit(Signal::Traces, &request).unwrap();
    assert!(!admitted.rewritten);
    assert_eq!(admitted.payload.items(), 1);
}

#[test]
fn rewritten_request_holds_what_it_weighs() {
    let budget = Budget::new(10);
    let mut point = Vec::new();
    put_bytes(&mut point, 8, &[0x10, 7]);
    let request = nested(&[1, 2, 2, 10, 1], &point);
    let hold = budget.try_reserve(10).unwrap();
    let admitted = Payload::admit(Signal::Metrics, request.into(), Some(hold)).unwrap();
    assert!(admitted.rewritten);
    assert_eq!(budget.used(), admitted.payload.bytes());
    drop(admitted);
    assert_eq!(budget.used(), 0);
}

#[test]
fn unknown_fields_are_kept() {
    let mut span = Vec::new();
    put_uint(&mut span, 6, 1);
    put_uint(&mut span, 99, 5);
    put_uint(&mut span, 6, 2);
    let admitted = admit(Signal::Traces, &nested(&[1, 2, 2], &span)).unwrap();
    let mut kept = Vec::new();
    put_uint(&mut kept, 6, 2);
    put_uint(&mut kept, 99, 5);
    assert_eq!(bytes_of(&admitted), nested(&[1, 2, 2], &kept));
}

proptest! {
    #[test]
    fn any_request_as_encoded_is_canonical(request in arbitrary_any()) {
        let bytes = request.encode();
        let admitted = admit(request.signal(), &bytes).unwrap();
        prop_assert!(!admitted.rewritten);
        prop_assert_eq!(admitted.payload.items(), request.items());
        prop_assert_eq!(bytes_of(&admitted), bytes);
    }

    #[test]
    fn odd_encodings_become_canonical_and_read_the_same(
        request in arbitrary_any(),
        odd in entropy(),
    ) {
        let signal = request.signal();
        let bytes = hostile_encoding(signal, &request.encode(), &mut Entropy::new(&odd));
        let read = Request::decode(signal, &bytes).unwrap();
        prop_assert_eq!(read.encode(), request.encode());
        door_reads_as_prost(signal, &bytes);
    }

    #[test]
    fn rewriting_keeps_unknown_fields(request in arbitrary_any(), odd in entropy()) {
        let signal = request.signal();
        let bytes = hostile_encoding(signal, &request.encode(), &mut Entropy::new(&odd));
        let count = |bytes: &[u8]| bytes.windows(7).filter(|seven| seven == b"unknown").count();
        let admitted = admit(signal, &bytes).unwrap();
        prop_assert!(count(&bytes_of(&admitted)) >= count(&bytes));
    }

    #[test]
    fn mutated_requests_are_read_as_prost_reads_them_or_refused(
        request in arbitrary_any(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = request.encode();
        if bytes.is_empty() {
            return Ok(());
        }
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        door_reads_as_prost(request.signal(), &bytes);
        let cut = cut.index(bytes.len());
        door_reads_as_prost(request.signal(), &bytes[..cut]);
    }

    #[test]
    fn any_bytes_are_read_as_prost_reads_them_or_refused(bytes: Vec<u8>) {
        for signal in Signal::ALL {
            door_reads_as_prost(signal, &bytes);
        }
    }
}

#[test]
fn decoded_corpus_counts_like_the_door() {
    let request = realistic_traces(17).encode_to_vec();
    assert_eq!(canonical_items(Signal::Traces, &request), Some(17));
}
