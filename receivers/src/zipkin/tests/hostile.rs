//! Nothing that is sent makes the receiver panic, and what it makes is OTLP.

use proptest::prelude::*;

use super::*;
use crate::hostile::zipkin;

/// A valid body of each format.
fn samples() -> [(Format, Vec<u8>); 4] {
    [
        (Format::V1Thrift, v1::thrift()),
        (Format::V1Json, include_bytes!("samples/v1.json").to_vec()),
        (Format::V2Json, include_bytes!("samples/v2.json").to_vec()),
        (Format::V2Protobuf, protobuf::list(&[7; 16])),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for way in 0..4 {
            zipkin(way, &bytes);
        }
    }

    #[test]
    fn damaged_samples_are_read_or_refused(
        at in any::<prop::sample::Index>(),
        damage in prop::collection::vec(any::<u8>(), 0..6),
        cut in 0_usize..4,
    ) {
        for (way, (_, mut body)) in (0x80..).zip(samples()) {
            let at = at.index(body.len());
            let end = (at + cut).min(body.len());
            body.splice(at..end, damage.iter().copied());
            zipkin(way, &body);
        }
    }
}

#[test]
fn counts_of_thrift_that_nothing_follows_are_refused_at_once() {
    let mut body = vec![12];
    body.extend(i32::MAX.to_be_bytes());
    body.extend([0; 64]);
    let Err(Stop::Malformed(what)) = translated(Format::V1Thrift, &body, false) else {
        panic!("nothing follows");
    };
    assert_eq!(what, "span 0: 2147483647 elements pass the end at byte 5");
}

#[test]
fn thrift_that_nests_without_end_is_refused() {
    // A field that nothing knows: a list of lists of lists…
    let mut body = vec![12, 0, 0, 0, 1, 15, 0, 99];
    for _ in 0..1000 {
        body.extend([15, 0, 0, 0, 1]);
    }
    let Err(Stop::Malformed(what)) = translated(Format::V1Thrift, &body, false) else {
        panic!("it nests too deep");
    };
    assert!(
        what.starts_with("span 0: nested deeper than 32 levels"),
        "{what}"
    );
}

#[test]
fn json_that_nests_without_end_is_refused() {
    let body = format!(r#"[{{"x":{}"#, "[".repeat(100_000));
    assert!(translated(Format::V2Json, body.as_bytes(), false).is_err());
}

#[test]
fn spans_of_very_many_services_are_sorted_in_no_time() {
    let span = |at: usize| {
        format!(
            r#"{{"traceId":"1","id":"1","localEndpoint":{{"serviceName":"s{at}"}},"tags":{{"otel.scope.name":"{}"}}}}"#,
            at % 3
        )
    };
    let spans: Vec<_> = (0..50_000).map(span).collect();
    let body = format!("[{}]", spans.join(","));
    let request = translated(Format::V2Json, body.as_bytes(), false).unwrap();
    assert_eq!(request["resourceSpans"].as_array().unwrap().len(), 50_000);
}
