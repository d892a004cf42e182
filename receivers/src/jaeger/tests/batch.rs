//! Batches in protobuf and in thrift.

use serde_json::json;
use tidegate_pdata::wire::{put_bytes, put_fixed64, put_uint};

use super::*;
use crate::thrift::testing::{Both, Wire, Writer, read};
use crate::thrift::{Binary, Protocol};

/// A tag, to be written in either encoding.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(&'static str),
    Truth(bool),
    Whole(i64),
    Double(f64),
    Bytes(&'static [u8]),
    Odd,
}

type Tags = Vec<(&'static str, Value)>;

/// A span, to be written in either encoding.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) trace_id: u128,
    pub(super) id: u64,
    /// Only thrift has it.
    pub(super) parent: u64,
    pub(super) name: &'static str,
    /// Trace, span, and whether it is a child of that.
    pub(super) references: Vec<(u128, u64, bool)>,
    pub(super) flags: u32,
    /// Microseconds.
    pub(super) start: i64,
    pub(super) duration: i64,
    pub(super) tags: Tags,
    pub(super) logs: Vec<(i64, Tags)>,
    /// Only protobuf has it.
    pub(super) process: Option<(&'static str, Tags)>,
}

fn message(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn proto_tags(out: &mut Vec<u8>, number: u32, tags: &Tags) {
    for (key, value) in tags {
        let tag = message(|tag| {
            put_bytes(tag, 1, key.as_bytes());
            match value {
                Value::Text(text) => put_bytes(tag, 3, text.as_bytes()),
                Value::Truth(truth) => {
                    put_uint(tag, 2, 1);
                    put_uint(tag, 4, (*truth).into());
                }
                Value::Whole(number) => {
                    put_uint(tag, 2, 2);
                    put_uint(tag, 5, *number as u64);
                }
                Value::Double(number) => {
                    put_uint(tag, 2, 3);
                    put_fixed64(tag, 6, number.to_bits());
                }
                Value::Bytes(bytes) => {
                    put_uint(tag, 2, 4);
                    put_bytes(tag, 7, bytes);
                }
                Value::Odd => put_uint(tag, 2, 9),
            }
        });
        put_bytes(out, number, &tag);
    }
}

fn proto_time(out: &mut Vec<u8>, number: u32, microseconds: i64) {
    let time = message(|time| {
        put_uint(time, 1, (microseconds / 1_000_000) as u64);
        put_uint(time, 2, (microseconds % 1_000_000 * 1000) as u64);
    });
    put_bytes(out, number, &time);
}

fn proto_process(service: &str, tags: &Tags) -> Vec<u8> {
    message(|process| {
        put_bytes(process, 1, service.as_bytes());
        proto_tags(process, 2, tags);
    })
}

fn proto_span(sample: &Sample) -> Vec<u8> {
    message(|span| {
        put_bytes(span, 1, &sample.trace_id.to_be_bytes());
        put_bytes(span, 2, &sample.id.to_be_bytes());
        put_bytes(span, 3, sample.name.as_bytes());
        for (trace_id, id, is_child) in &sample.references {
            let reference = message(|reference| {
                put_bytes(reference, 1, &trace_id.to_be_bytes());
                put_bytes(reference, 2, &id.to_be_bytes());
                put_uint(reference, 3, u64::from(!is_child));
            });
            put_bytes(span, 4, &reference);
        }
        put_uint(span, 5, sample.flags.into());
        proto_time(span, 6, sample.start);
        proto_time(span, 7, sample.duration);
        proto_tags(span, 8, &sample.tags);
        for (time, tags) in &sample.logs {
            let log = message(|log| {
                proto_time(log, 1, *time);
                proto_tags(log, 2, tags);
            });
            put_bytes(span, 9, &log);
        }
        if let Some((service, tags)) = &sample.process {
            put_bytes(span, 10, &proto_process(service, tags));
        }
    })
}

/// A `PostSpansRequest`.
pub(super) fn proto(service: &str, tags: &Tags, spans: &[Sample]) -> Vec<u8> {
    let batch = message(|batch| {
        for span in spans {
            put_bytes(batch, 1, &proto_span(span));
        }
        put_bytes(batch, 2, &proto_process(service, tags));
    });
    message(|request| put_bytes(request, 1, &batch))
}

fn thrift_tags(wire: Wire, tags: &Tags) -> Vec<Vec<u8>> {
    let tag = |(key, value): &(&str, Value)| {
        Writer::fields(wire, |tag| {
            tag.bytes(1, key.as_bytes());
            let kind = match value {
                Value::Text(_) => 0,
                Value::Double(_) => 1,
                Value::Truth(_) => 2,
                Value::Whole(_) => 3,
                Value::Bytes(_) => 4,
                Value::Odd => 9,
            };
            tag.i32(2, kind);
            match value {
                Value::Text(text) => tag.bytes(3, text.as_bytes()),
                Value::Double(number) => tag.double(4, *number),
                Value::Truth(truth) => tag.truth(5, *truth),
                Value::Whole(number) => tag.i64(6, *number),
                Value::Bytes(bytes) => tag.bytes(7, bytes),
                Value::Odd => {}
            }
        })
    };
    tags.iter().map(tag).collect()
}

fn thrift_span(wire: Wire, sample: &Sample) -> Vec<u8> {
    Writer::fields(wire, |span| {
        span.i64(1, sample.trace_id as i64);
        span.i64(2, (sample.trace_id >> 64) as i64);
        span.i64(3, sample.id as i64);
        span.i64(4, sample.parent as i64);
        span.bytes(5, sample.name.as_bytes());
        let reference = |(trace_id, id, is_child): &(u128, u64, bool)| {
            Writer::fields(wire, |reference| {
                reference.i32(1, i32::from(!is_child));
                reference.i64(2, *trace_id as i64);
                reference.i64(3, (*trace_id >> 64) as i64);
                reference.i64(4, *id as i64);
            })
        };
        let references: Vec<_> = sample.references.iter().map(reference).collect();
        span.list(6, &references);
        span.i32(7, sample.flags as i32);
        span.i64(8, sample.start);
        span.i64(9, sample.duration);
        span.list(10, &thrift_tags(wire, &sample.tags));
        let log = |(time, tags): &(i64, Tags)| {
            Writer::fields(wire, |log| {
                log.i64(1, *time);
                log.list(2, &thrift_tags(wire, tags));
            })
        };
        let logs: Vec<_> = sample.logs.iter().map(log).collect();
        span.list(11, &logs);
    })
}

/// A `Batch`.
pub(super) fn thrift(wire: Wire, service: &str, tags: &Tags, spans: &[Sample]) -> Vec<u8> {
    let process = Writer::fields(wire, |process| {
        process.bytes(1, service.as_bytes());
        process.list(2, &thrift_tags(wire, tags));
    });
    let spans: Vec<_> = spans.iter().map(|span| thrift_span(wire, span)).collect();
    Writer::fields(wire, |batch| {
        batch.nested(1, &process);
        batch.list(2, &spans);
        batch.i64(3, 17); // seqNo
    })
}

/// Reads a batch in either of thrift's protocols.
pub(super) struct Batch<'o, 'r>(pub(super) &'o mut Grouped<'r>);

impl<'a> Both<'a, Result<(), Stop>> for Batch<'_, '_> {
    fn with<P: Protocol<'a> + Clone>(self, mut from: P) -> Result<(), Stop> {
        thrift::translate(&mut from, self.0)
    }
}

/// What becomes of a batch in protobuf, and in both of thrift's protocols.
fn all(service: &str, tags: &Tags, spans: &[Sample]) -> [Json; 3] {
    let compact = thrift(Wire::Compact, service, tags, spans);
    let binary = thrift(Wire::Binary, service, tags, spans);
    let thrift = |wire: Wire, bytes: &[u8]| {
        translated(bytes, |bytes, out| read(wire, bytes, Batch(out))).unwrap()
    };
    [
        translated(&proto(service, tags, spans), protobuf::translate).unwrap(),
        thrift(Wire::Compact, &compact),
        thrift(Wire::Binary, &binary),
    ]
}

/// The only span of a request.
fn only(request: &Json) -> &Json {
    &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
}

/// A span with these tags, whichever way it comes.
fn tagged(tags: Tags) -> [Json; 3] {
    let sample = Sample {
        trace_id: 1,
        id: 2,
        tags,
        ..Sample::default()
    };
    all("s", &Vec::new(), &[sample]).map(|request| only(&request).clone())
}

fn pair(key: &str, value: Json) -> (String, Json) {
    (key.to_owned(), value)
}

pub(super) fn sample() -> Sample {
    Sample {
        trace_id: 0x463a_c35c_9f64_13ad_4848_5a39_53bb_6124,
        id: 2,
        name: "get",
        references: vec![
            (0x463a_c35c_9f64_13ad_4848_5a39_53bb_6124, 3, true),
            (9, 10, false),
        ],
        flags: 3,
        start: 1_556_604_172_355_737,
        duration: 1431,
        tags: vec![
            ("span.kind", Value::Text("server")),
            ("http.url", Value::Text("/api")),
            ("n", Value::Whole(-7)),
            ("f", Value::Double(1.5)),
            ("t", Value::Truth(true)),
            ("b", Value::Bytes(&[1, 2])),
        ],
        logs: vec![
            (
                1_556_604_172_355_740,
                vec![("event", Value::Text("miss")), ("key", Value::Text("k"))],
            ),
            (1_556_604_172_355_741, vec![]),
        ],
        ..Sample::default()
    }
}

#[test]
fn a_span_is_the_same_in_every_encoding() {
    let process = vec![
        ("hostname", Value::Text("web-1")),
        ("jaeger.version", Value::Text("Go-2.30.0")),
        ("ip", Value::Text("10.0.0.1")),
    ];
    for request in all("shop", &process, &[sample()]) {
        let resource = &request["resourceSpans"][0]["resource"];
        assert_eq!(
            attributes(resource),
            [
                pair("service.name", json!("shop")),
                pair("host.name", json!("web-1")),
                pair("opencensus.exporterversion", json!("Jaeger-Go-2.30.0")),
                pair("ip", json!("10.0.0.1")),
            ]
        );
        let span = only(&request);
        assert_eq!(span["traceId"], "463ac35c9f6413ad48485a3953bb6124");
        assert_eq!(span["spanId"], "0000000000000002");
        assert_eq!(span["parentSpanId"], "0000000000000003");
        assert_eq!(span["name"], "get");
        assert_eq!(span["kind"], 2);
        assert_eq!(span["flags"], 1);
        assert_eq!(span["startTimeUnixNano"], "1556604172355737000");
        assert_eq!(span["endTimeUnixNano"], "1556604172357168000");
        assert_eq!(
            attributes(span),
            [
                pair("http.url", json!("/api")),
                pair("n", json!("-7")),
                pair("f", json!(1.5)),
                pair("t", json!(true)),
                pair("b", json!("AQI=")),
            ]
        );
        let events = span["events"].as_array().unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0]["name"], "miss");
        assert_eq!(events[0]["timeUnixNano"], "1556604172355740000");
        assert_eq!(attributes(&events[0]), [pair("key", json!("k"))]);
        assert_eq!(events[1]["name"], "");
        let links = span["links"].as_array().unwrap();
        assert_eq!(links.len(), 1);
        assert_eq!(links[0]["traceId"], "00000000000000000000000000000009");
        assert_eq!(links[0]["spanId"], "000000000000000a");
        assert_eq!(
            attributes(&links[0]),
            [pair("opentracing.ref_type", json!("follows_from"))]
        );
        assert_eq!(span["status"], Json::Null);
    }
}

#[test]
fn the_status_is_among_the_tags() {
    use Value::{Text, Truth, Whole};
    let server = ("span.kind", Text("server"));
    let client = ("span.kind", Text("client"));
    for (tags, expected, left) in [
        (vec![], None, 0),
        (vec![("error", Truth(true))], Some((2, "")), 0),
        (vec![("error", Truth(false))], None, 1),
        (vec![("error", Text("true"))], None, 1),
        (
            vec![
                ("error", Truth(true)),
                ("otel.status_code", Text("OK")),
                ("otel.status_description", Text("why")),
            ],
            Some((2, "why")),
            0,
        ),
        (
            vec![
                ("error", Truth(true)),
                ("http.status_message", Text("gone")),
            ],
            Some((2, "gone")),
            1,
        ),
        (
            vec![
                ("otel.status_code", Text("ok")),
                ("otel.status_description", Text("fine")),
            ],
            Some((1, "fine")),
            0,
        ),
        (vec![("otel.status_code", Text("what"))], Some((0, "")), 0),
        (vec![("http.status_code", Whole(500))], Some((2, "")), 1),
        (
            vec![
                ("http.status_code", Text("503")),
                ("http.status_message", Text("later")),
            ],
            Some((2, "later")),
            2,
        ),
        (
            vec![("http.status_code", Whole(404)), client],
            Some((2, "")),
            1,
        ),
        (vec![("http.status_code", Whole(404)), server], None, 1),
        (vec![("http.response.status_code", Whole(200))], None, 1),
        (vec![("http.status_code", Text("none"))], None, 1),
    ] {
        for span in tagged(tags.clone()) {
            let status = span["status"].as_object();
            let status = status.map(|status| {
                let message = status["message"].as_str().unwrap();
                (status["code"].as_i64().unwrap(), message)
            });
            assert_eq!(status, expected, "{tags:?}");
            assert_eq!(attributes(&span).len(), left, "{tags:?}");
        }
    }
}

#[test]
fn kinds_are_among_the_tags() {
    for (name, kind) in [
        ("internal", 1),
        ("server", 2),
        ("client", 3),
        ("producer", 4),
        ("consumer", 5),
        ("x", 0),
    ] {
        for span in tagged(vec![("span.kind", Value::Text(name))]) {
            assert_eq!(span["kind"], kind);
            assert_eq!(attributes(&span), []);
        }
    }
}

#[test]
fn scopes_and_trace_states_come_in_protobuf_only() {
    let tags = vec![
        ("otel.scope.name", Value::Text("lib")),
        ("otel.scope.version", Value::Text("1")),
        ("w3c.tracestate", Value::Text("a=1")),
    ];
    let sample = Sample {
        trace_id: 1,
        id: 1,
        tags,
        ..Sample::default()
    };
    let [proto, compact, binary] = all("s", &Vec::new(), &[sample]);
    let scope = &proto["resourceSpans"][0]["scopeSpans"][0]["scope"];
    assert_eq!(
        (&scope["name"], &scope["version"]),
        (&json!("lib"), &json!("1"))
    );
    assert_eq!(only(&proto)["traceState"], "a=1");
    assert_eq!(attributes(only(&proto)), []);
    for thrift in [compact, binary] {
        assert_eq!(
            thrift["resourceSpans"][0]["scopeSpans"][0]["scope"]["name"],
            ""
        );
        assert_eq!(attributes(only(&thrift)).len(), 3);
    }
}

#[test]
fn odd_tags_are_taken() {
    let [proto, compact, binary] = tagged(vec![
        ("a", Value::Text("1")),
        ("a", Value::Text("2")),
        ("odd", Value::Odd),
    ]);
    let odd = |text: &str| [pair("a", json!("2")), pair("odd", json!(text))];
    assert_eq!(attributes(&proto), odd("<Unknown Jaeger TagType \"9\">"));
    assert_eq!(
        attributes(&compact),
        odd("<Unknown Jaeger TagType \"<UNSET>\">")
    );
    assert_eq!(attributes(&compact), attributes(&binary));
}

#[test]
fn a_parent_is_said_or_is_among_the_references() {
    for (parent, references, expected, links) in [
        (5, vec![], "0000000000000005", 0),
        (5, vec![(1, 5, true)], "0000000000000005", 0),
        (0, vec![(1, 6, false), (1, 7, true)], "0000000000000007", 1),
        (0, vec![(1, 6, false), (1, 7, false)], "0000000000000006", 2),
        (0, vec![(2, 6, true)], "", 1),
    ] {
        let sample = Sample {
            trace_id: 1,
            id: 1,
            parent,
            references,
            ..Sample::default()
        };
        let [_, compact, binary] = all("s", &Vec::new(), std::slice::from_ref(&sample));
        for request in [compact, binary] {
            let span = only(&request);
            assert_eq!(span["parentSpanId"], expected, "{sample:?}");
            assert_eq!(span["links"].as_array().unwrap().len(), links, "{sample:?}");
        }
    }
}

#[test]
fn a_span_may_have_a_process_of_its_own() {
    let span = |id: u64, process: Option<&'static str>| Sample {
        trace_id: 1,
        id,
        process: process.map(|service| (service, vec![])),
        ..Sample::default()
    };
    let spans = [
        span(1, None),
        span(2, Some("b")),
        span(3, None),
        span(4, Some("b")),
        Sample::default(),
    ];
    let request = translated(&proto("a", &Vec::new(), &spans), protobuf::translate).unwrap();
    let groups: Vec<_> = request["resourceSpans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| {
            let spans = of["scopeSpans"][0]["spans"].as_array().unwrap().iter();
            let ids = spans.map(|span| span["spanId"].as_str().unwrap()[15..].to_owned());
            (attributes(&of["resource"]), ids.collect::<String>())
        })
        .collect();
    assert_eq!(
        groups,
        [
            (vec![pair("service.name", json!("a"))], "13".to_owned()),
            (vec![pair("service.name", json!("b"))], "24".to_owned()),
        ]
    );
}

#[test]
fn spans_may_come_before_their_process() {
    let wire = Wire::Compact;
    let process = Writer::fields(wire, |process| process.bytes(1, b"late"));
    let span = thrift_span(wire, &sample());
    let bytes = Writer::fields(wire, |batch| {
        batch.list(2, &[span.clone(), span]);
        batch.nested(1, &process);
    });
    let request = translated(&bytes, |bytes, out| read(wire, bytes, Batch(out))).unwrap();
    let resource = &request["resourceSpans"][0]["resource"];
    assert_eq!(attributes(resource), [pair("service.name", json!("late"))]);
    let spans = &request["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans.as_array().unwrap().len(), 2);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let fault = |bytes: &[u8]| {
        let translate =
            |bytes: &[u8], out: &mut Grouped<'_>| thrift::translate(&mut Binary::new(bytes), out);
        translated(bytes, translate)
            .unwrap_err()
            .message
            .into_owned()
    };
    let wire = Wire::Binary;
    assert_eq!(
        fault(&[0]),
        "the message is no batch of Jaeger's: span 0: Batch lacks its field 1 at byte 1"
    );
    let process = Writer::fields(wire, |process| process.bytes(1, b"s"));
    let bytes = Writer::fields(wire, |batch| {
        batch.nested(1, &process);
        batch.list(2, &[thrift_span(wire, &sample()), vec![0]]);
    });
    let told = fault(&bytes);
    assert!(
        told.contains("span 1: Span lacks its field 1 at byte "),
        "{told}"
    );

    let fault = |bytes: &[u8]| {
        translated(bytes, protobuf::translate)
            .unwrap_err()
            .message
            .into_owned()
    };
    let span = message(|span| put_bytes(span, 1, &[1; 15]));
    let batch = message(|batch| put_bytes(batch, 1, &span));
    assert_eq!(
        fault(&message(|request| put_bytes(request, 1, &batch))),
        "the message is no batch of Jaeger's: span 0: trace_id has 15 bytes, not 16"
    );
    assert_eq!(
        fault(b"\x0a\xff"),
        "the message is no batch of Jaeger's: the value is cut off at byte 1"
    );
}

/// A datagram of `jaeger-client` 4.8.0 for Python: a parent, and a child that failed.
#[test]
fn what_a_client_sends_to_an_agent_is_read() {
    let text: String = include_str!("samples/python_client.hex")
        .split_whitespace()
        .collect();
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    let datagram: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
    let translate = |bytes: &[u8], out: &mut Grouped<'_>| {
        thrift::translate_call(crate::thrift::Compact::new(bytes), out)
    };
    let request = translated(&datagram, translate).unwrap();
    let resource = attributes(&request["resourceSpans"][0]["resource"]);
    assert_eq!(resource[0], pair("service.name", json!("shop")));
    let version = pair("opencensus.exporterversion", json!("Jaeger-Python-4.8.0"));
    assert!(resource.contains(&version), "{resource:?}");
    let spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .unwrap();
    let [child, parent] = &spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(
        (&parent["name"], &child["name"]),
        (&json!("checkout"), &json!("pay"))
    );
    assert_eq!((&parent["kind"], &child["kind"]), (&json!(2), &json!(3)));
    assert_eq!(child["traceId"], parent["traceId"]);
    assert_eq!(child["parentSpanId"], parent["spanId"]);
    assert_eq!(child["status"]["code"], 2);
    assert_eq!(child["events"][0]["name"], "declined");
    assert_eq!(
        attributes(&child["events"][0]),
        [pair("reason", json!("limit"))]
    );
    assert!(attributes(parent).contains(&pair("items", json!("3"))));
}
