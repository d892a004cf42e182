use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::Budget;
use crate::testing::laws::{bytes_of, check_pieces, laid_flat, regrouped};
use crate::testing::{
    Entropy, FlatRecord, Request, arbitrary_request, arbitrary_signal, hostile_encoding,
    realistic_logs, realistic_metrics, realistic_traces,
};

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

fn payload_of(requests: &[Request]) -> Payload {
    let signal = requests[0].signal();
    let mut payload = Payload::empty(signal);
    for request in requests {
        let bytes = Bytes::from(request.encode());
        payload.append(Payload::admit(signal, bytes, None).unwrap().payload);
    }
    payload
}

/// A payload of one to three segments, with unknown fields and padded lengths here and there.
fn arbitrary_payload() -> impl Strategy<Value = Payload> {
    let odd = prop::collection::vec(any::<u8>(), 0..60);
    arbitrary_signal()
        .prop_flat_map(move |signal| {
            prop::collection::vec((arbitrary_request(signal), odd.clone()), 1..4)
        })
        .prop_map(|requests| {
            let mut payload = Payload::empty(requests[0].0.signal());
            for (request, odd) in requests {
                let signal = request.signal();
                let bytes = hostile_encoding(signal, &request.encode(), &mut Entropy::new(&odd));
                payload.append(Payload::admit(signal, bytes.into(), None).unwrap().payload);
            }
            payload
        })
}

proptest! {
    #[test]
    fn chunks_by_items_are_full_and_hold_all(payload in arbitrary_payload(), size in 1..12_usize) {
        let chunks = payload.clone().chunk_items(count(size));
        for (index, chunk) in chunks.iter().enumerate() {
            let is_last = index + 1 == chunks.len();
            prop_assert!(chunk.items() == size || is_last && chunk.items() <= size);
        }
        check_pieces(&payload, &chunks);
    }

    #[test]
    fn head_has_as_many_items_as_asked_for(payload in arbitrary_payload(), size in 0..30_usize) {
        let items = payload.items();
        let (head, rest) = payload.clone().split_items(size);
        prop_assert_eq!(head.items(), size.min(items));
        check_pieces(&payload, &[head, rest]);
    }

    #[test]
    fn halves_differ_by_one_item_at_most(payload in arbitrary_payload()) {
        match payload.clone().bisect() {
            Some((first, second)) => {
                prop_assert!(second.items() - first.items() <= 1 && !first.is_empty());
                check_pieces(&payload, &[first, second]);
            }
            None => prop_assert!(payload.items() < 2),
        }
    }

    #[test]
    fn chunks_by_bytes_fit_unless_one_record_does_not(
        payload in arbitrary_payload(),
        limit in 1..3000_usize,
    ) {
        let chunks = payload.clone().chunk_bytes(count(limit));
        for chunk in &chunks {
            let parts = chunk.items() + laid_flat(chunk).barren.len();
            prop_assert!(chunk.bytes() <= limit || parts <= 1);
        }
        check_pieces(&payload, &chunks);
    }

    #[test]
    fn front_by_bytes_fits_unless_one_record_does_not(
        payload in arbitrary_payload(),
        limit in 1..3000_usize,
    ) {
        let (front, rest) = payload.clone().split_bytes(count(limit));
        let parts = front.items() + laid_flat(&front).barren.len();
        prop_assert!(front.bytes() <= limit || parts <= 1);
        check_pieces(&payload, &[front, rest]);
    }

    #[test]
    fn partitions_hold_their_records_in_order(payload in arbitrary_payload(), outputs in 1..6_usize) {
        let mut dealt = Vec::new();
        let pieces = payload.clone().partition(count(outputs), |record| {
            let output = record.record.len() % outputs;
            dealt.push(output);
            output
        });
        prop_assert_eq!(pieces.len(), outputs);
        let whole = laid_flat(&payload);
        for (output, piece) in pieces.iter().enumerate() {
            let is_here = |(record, to): (&FlatRecord, &usize)| {
                (*to == output).then(|| record.clone())
            };
            if outputs > 1 {
                let expected: Vec<_> =
                    whole.records.iter().zip(&dealt).filter_map(is_here).collect();
                let piece = laid_flat(piece);
                prop_assert_eq!(&piece.records, &regrouped(&expected));
                prop_assert!(piece.barren.is_empty());
            }
        }
    }

    #[test]
    fn traces_stay_together(requests in prop::collection::vec(arbitrary_request(Signal::Traces), 1..4)) {
        let payload = payload_of(&requests);
        let hash = |id: &[u8]| id.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        let pieces = payload.clone().partition_by_trace(count(3), hash);
        let mut items = 0;
        for (output, piece) in pieces.iter().enumerate() {
            items += piece.items();
            let Request::Traces(request) = Request::decode(Signal::Traces, &bytes_of(piece)).unwrap()
            else {
                unreachable!("traces were decoded");
            };
            let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
            for span in scopes.flat_map(|scope| &scope.spans) {
                prop_assert_eq!(hash(&span.trace_id) % 3, output as u64);
            }
        }
        prop_assert_eq!(items, payload.items());
    }
}

/// A payload of a hundred spans, held by a budget.
fn held(budget: &std::sync::Arc<Budget>) -> Payload {
    let bytes = Bytes::from(realistic_traces(100).encode_to_vec());
    let hold = budget.overdraw(bytes.len());
    Payload::admit(Signal::Traces, bytes, Some(hold))
        .unwrap()
        .payload
}

#[test]
fn greater_part_of_a_segment_is_shared_and_the_lesser_copied() {
    let budget = Budget::new(usize::MAX);
    // Five resources of twenty spans: a cut between two of them leaves requests on both sides.
    let payload = held(&budget);
    let whole = payload.bytes();
    let start = payload.segments()[0].bytes().as_ptr();

    let (head, rest) = payload.split_items(80);
    assert_eq!(head.segments()[0].bytes().as_ptr(), start);
    assert_ne!(
        rest.segments()[0].bytes().as_ptr(),
        start.wrapping_add(head.bytes())
    );
    assert_eq!(budget.used(), whole + rest.bytes());

    drop(head);
    assert_eq!(budget.used(), rest.bytes());
    drop(rest);
    assert_eq!(budget.used(), 0);
}

#[test]
fn piece_that_is_cut_within_a_resource_pins_nothing() {
    let budget = Budget::new(usize::MAX);
    let (head, rest) = held(&budget).split_items(50);
    assert_eq!(budget.used(), head.bytes() + rest.bytes());
}

#[test]
fn segments_that_fall_into_one_piece_are_shared() {
    let requests = [10, 20, 30].map(|spans| Request::Traces(realistic_traces(spans)));
    let payload = payload_of(&requests);
    let pointers: Vec<_> = payload
        .segments()
        .iter()
        .map(|s| s.bytes().as_ptr())
        .collect();

    let chunks = payload.clone().chunk_items(count(30));
    let shared: Vec<_> = chunks
        .iter()
        .flat_map(|chunk| chunk.segments())
        .map(|s| s.bytes().as_ptr())
        .collect();
    assert_eq!(shared, pointers);

    let to_one = payload.partition(count(4), |_| 2);
    let shared: Vec<_> = to_one[2]
        .segments()
        .iter()
        .map(|s| s.bytes().as_ptr())
        .collect();
    assert_eq!(shared, pointers);
}

#[test]
fn records_larger_than_the_limit_are_pieces_of_their_own() {
    for request in [
        Request::Traces(realistic_traces(3)),
        Request::Logs(realistic_logs(3)),
        Request::Metrics(realistic_metrics(3)),
    ] {
        let chunks = payload_of(&[request]).chunk_bytes(count(1));
        assert_eq!(
            chunks.iter().map(Payload::items).collect::<Vec<_>>(),
            [1, 1, 1]
        );
    }
}

#[test]
fn chunks_by_bytes_use_the_room_they_have() {
    let payload = payload_of(&[Request::Traces(realistic_traces(100))]);
    let (whole, limit) = (payload.bytes(), 10_000);
    let chunks = payload.chunk_bytes(count(limit));
    let longest_span = 500;
    for chunk in &chunks[..chunks.len() - 1] {
        assert!(chunk.bytes() > limit - longest_span);
    }
    assert!(chunks.len() <= whole / (limit - longest_span) + 1);
}

#[test]
fn data_points_of_a_metric_are_divided() {
    let payload = payload_of(&[Request::Metrics(realistic_metrics(50))]);
    let (head, rest) = payload.split_items(3);
    let metric = |piece: &Payload| laid_flat(piece).records[0].metric.clone();
    // Name, unit, temporality and all: both parts say the same of their points.
    assert_eq!(metric(&head), metric(&rest));
}

/// One point of each kind, of the series that the number tells, its attributes in this order.
fn points(series: u32, backwards: bool) -> [Payload; 4] {
    use crate::compose::{
        Kind, Request, Temporality, exponential_point, histogram_point, number_point, summary_point,
    };
    let kinds = [
        (Kind::Gauge, number_point::ATTRIBUTES),
        (
            Kind::Histogram(Temporality::Delta),
            histogram_point::ATTRIBUTES,
        ),
        (
            Kind::ExponentialHistogram(Temporality::Delta),
            exponential_point::ATTRIBUTES,
        ),
        (Kind::Summary, summary_point::ATTRIBUTES),
    ];
    kinds.map(|(kind, field)| {
        let mut request = Request::new(Signal::Metrics);
        let names = if backwards { ["b", "a"] } else { ["a", "b"] };
        request.resource(|resource| {
            for name in names {
                resource.attribute(1, name, "of the resource");
            }
        });
        request.scope(if backwards { "one" } else { "other" }, "");
        request.metric("metric", "", "", kind);
        request.point(|point| {
            for name in names {
                let value = format!("{name}{series}");
                point.attribute(field, name, &value);
            }
        });
        request.finish(None).unwrap()
    })
}

#[test]
fn points_of_a_series_go_one_way_whatever_the_order_of_attributes() {
    let hash = |bytes: &[u8]| {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        hasher.finish()
    };
    let way = |payload: Payload| {
        let pieces = payload.partition_by_series(count(4), hash);
        let full = pieces.iter().position(|piece| piece.items() == 1);
        assert_eq!(pieces.iter().map(Payload::items).sum::<usize>(), 1);
        full.unwrap()
    };
    let mut ways = [[0; 4]; 4];
    for series in 0..100 {
        let pairs = points(series, false).into_iter().zip(points(series, true));
        for (kind, (one, other)) in pairs.enumerate() {
            let taken = way(one);
            assert_eq!(taken, way(other), "{series} of kind {kind}");
            ways[kind][taken] += 1;
        }
    }
    for of_kind in ways {
        assert!(
            of_kind.iter().all(|series| (10..50).contains(series)),
            "{ways:?}"
        );
    }
}

#[test]
fn what_is_no_point_goes_to_the_first() {
    let payload = payload_of(&[Request::Logs(realistic_logs(7))]);
    let pieces = payload.partition_by_series(count(3), |_| 1);
    let items: Vec<_> = pieces.iter().map(Payload::items).collect();
    assert_eq!(items, [7, 0, 0]);
}
