//! The first format, in JSON and in thrift.

use serde_json::json;

use super::*;
use crate::thrift::testing::{Wire, Writer};

fn v1(body: &str) -> Json {
    translated(Format::V1Json, body.as_bytes(), false).unwrap()
}

fn one(body: &str) -> Json {
    span(Format::V1Json, body.as_bytes(), false)
}

/// A span with these keys beside its IDs.
fn with(keys: &str) -> String {
    format!(r#"[{{"traceId":"0000000000000001","id":"0000000000000002","timestamp":1,{keys}}}]"#)
}

fn pair(key: &str, value: &str) -> (String, Json) {
    (key.to_owned(), json!(value))
}

#[test]
fn a_span_of_a_server_is_read_from_its_annotations() {
    let request = v1(include_str!("samples/v1.json"));
    let of = &request["resourceSpans"][0];
    assert_eq!(
        attributes(&of["resource"]),
        [
            pair("service.name", "zipkin-query"),
            pair("ipv4", "192.168.1.2"),
            pair("port", "9411")
        ]
    );
    let span = &of["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "5982fe77008310cc80f1da5e10147517");
    assert_eq!(span["spanId"], "bd7a977555f6b982");
    assert_eq!(span["parentSpanId"], "ebf33e1a81dc6f71");
    assert_eq!(span["name"], "get");
    assert_eq!(span["kind"], 2);
    assert_eq!(span["startTimeUnixNano"], "1458702548467000000");
    assert_eq!(span["endTimeUnixNano"], "1458702548853000000");
    assert_eq!(
        attributes(span),
        [
            pair("http.path", "/api/v1/services"),
            ("ca".to_owned(), json!(true))
        ]
    );
    let events = span["events"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["name"], "cache.miss");
    assert_eq!(events[0]["timeUnixNano"], "1458702548600000000");
}

#[test]
fn the_first_side_that_is_said_is_the_kind() {
    for (values, kind) in [
        ("", 0),
        ("cs cr", 3),
        ("ss cs", 2),
        ("ms", 4),
        ("mr", 5),
        ("other mr ms", 5),
    ] {
        let annotations: Vec<_> = values
            .split_whitespace()
            .map(|value| format!(r#"{{"timestamp":1,"value":"{value}"}}"#))
            .collect();
        let span = one(&with(&format!(
            r#""annotations":[{}]"#,
            annotations.join(",")
        )));
        assert_eq!(span["kind"], kind, "{values}");
    }
}

#[test]
fn a_service_is_the_one_of_a_side_or_of_a_tag_or_a_component() {
    let side = r#"{"timestamp":1,"value":"sr","endpoint":{"serviceName":"side"}}"#;
    let tag = r#"{"key":"k","value":"v","endpoint":{"serviceName":"tag"}}"#;
    let component = r#"{"key":"lc","value":"component"}"#;
    for (annotations, binary, service) in [
        (side, tag, "side"),
        ("", tag, "tag"),
        ("", component, "component"),
        ("", &format!("{component},{tag}"), "tag"),
        ("", "", "unknown-service"),
    ] {
        let keys = format!(r#""annotations":[{annotations}],"binaryAnnotations":[{binary}]"#);
        let request = v1(&with(&keys));
        let resource = &request["resourceSpans"][0]["resource"];
        assert_eq!(attributes(resource)[0], pair("service.name", service));
    }
    let span = one(&with(&format!(r#""binaryAnnotations":[{component}]"#)));
    assert_eq!(attributes(&span), [pair("component", "component")]);
}

#[test]
fn times_are_told_or_those_of_the_annotations_or_the_present_one() {
    let ids = r#""traceId":"0000000000000001","id":"0000000000000002""#;
    let span = one(&format!(
        r#"[{{{ids},"annotations":[{{"timestamp":5,"value":"cr"}},{{"timestamp":3,"value":"cs"}}]}}]"#
    ));
    assert_eq!(span["startTimeUnixNano"], "3000");
    assert_eq!(span["endTimeUnixNano"], "5000");
    let span = one(&format!("[{{{ids}}}]"));
    let key = "otel.zipkin.absentField.startTime".to_owned();
    assert_eq!(attributes(&span), [(key, json!(true))]);
    let start: u64 = span["startTimeUnixNano"].as_str().unwrap().parse().unwrap();
    assert!(start > 1_700_000_000_000_000_000, "{start}");
    assert_eq!(span["startTimeUnixNano"], span["endTimeUnixNano"]);
}

#[test]
fn of_several_statuses_the_most_telling_holds() {
    for (tags, code, message, left) in [
        (vec![], None, "", vec![]),
        (vec![("census.status_code", "0")], Some(1), "", vec![]),
        (
            vec![
                ("census.status_code", "5"),
                ("census.status_description", "gone"),
                ("otel.status_code", "1"),
            ],
            Some(2),
            "gone",
            vec![],
        ),
        (
            vec![
                ("otel.status_code", "1"),
                ("otel.status_description", "fine"),
                ("error", "true"),
            ],
            Some(1),
            "fine",
            vec![],
        ),
        (
            vec![
                ("error", ""),
                ("opencensus.status_description", "why"),
                ("http.status_code", "200"),
            ],
            Some(2),
            "why",
            vec!["http.status_code"],
        ),
        (vec![("otel.status_code", "ERROR")], Some(2), "", vec![]),
        (vec![("error", "no route")], Some(2), "", vec!["error"]),
        (
            vec![("http.status_code", "404"), ("http.status_message", "gone")],
            Some(2),
            "gone",
            vec!["http.status_code", "http.status_message"],
        ),
        (
            vec![("http.status_code", "301")],
            Some(0),
            "",
            vec!["http.status_code"],
        ),
        (
            vec![("http.status_code", "none")],
            None,
            "",
            vec!["http.status_code"],
        ),
    ] {
        let binary: Vec<_> = tags
            .iter()
            .map(|(key, value)| format!(r#"{{"key":"{key}","value":"{value}"}}"#))
            .collect();
        let span = one(&with(&format!(
            r#""binaryAnnotations":[{}]"#,
            binary.join(",")
        )));
        let status = span["status"].as_object();
        assert_eq!(
            status.map(|status| status["code"].as_i64().unwrap()),
            code,
            "{tags:?}"
        );
        let told = status.map_or("", |status| status["message"].as_str().unwrap());
        assert_eq!(told, message, "{tags:?}");
        let keys: Vec<_> = attributes(&span).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, left, "{tags:?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let fault = |body: &str| fault(Format::V1Json, body);
    for (body, what) in [
        (
            r#"[{"traceId":"1"}]"#,
            "span 0: traceId: \"1\" is no ID of 16 or 32 digits",
        ),
        (
            r#"[{"traceId":"0000000000000001","id":"0"}]"#,
            "span 0: id: \"0\" is no ID of 16 digits",
        ),
        (
            r#"[{"traceId":"0000000000000000","id":"0000000000000001"}]"#,
            "span 0: it has no traceId, or that is 0",
        ),
        (
            r#"[{"binaryAnnotations":[{"key":"a","value":{}}]}]"#,
            "span 0: invalid type: map, expected a string, a number or a truth value",
        ),
    ] {
        assert_eq!(fault(body), what, "{body}");
    }
}

/// A list of one span.
pub(super) fn thrift() -> Vec<u8> {
    let fields = |write: &dyn Fn(&mut Writer)| Writer::fields(Wire::Binary, |to| write(to));
    let host = fields(&|host| {
        host.i32(1, i32::from_be_bytes([10, 0, 0, 1]));
        host.i16(2, 9411);
        host.bytes(3, b"backend");
        host.bytes(4, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    });
    let annotation = |time: i64, value: &str| {
        fields(&|one| {
            one.i64(1, time);
            one.bytes(2, value.as_bytes());
            one.nested(3, &host);
        })
    };
    let binary = |key: &str, value: &[u8], kind: i32| {
        fields(&|one| {
            one.bytes(1, key.as_bytes());
            one.bytes(2, value);
            one.i32(3, kind);
        })
    };
    let span = fields(&|span| {
        span.i64(1, 0x4848_5a39_53bb_6124);
        span.bytes(3, b"get");
        span.i64(4, 2);
        span.i64(5, -1);
        span.list(
            6,
            &[
                annotation(10, "sr"),
                annotation(15, "wr"),
                annotation(20, "ss"),
            ],
        );
        span.list(
            8,
            &[
                binary("bool", &[1], 0),
                binary("bytes", &[1, 2], 1),
                binary("i16", &7_i16.to_be_bytes(), 2),
                binary("i32", &8_i32.to_be_bytes(), 3),
                binary("i64", &(-9_i64).to_be_bytes(), 4),
                binary("double", &1.5_f64.to_be_bytes(), 5),
                binary("string", b"text", 6),
                binary("short", &[1], 4),
                binary("odd", &[1], 9),
            ],
        );
        span.truth(9, true);
        span.i64(10, 1_000_000);
        span.i64(11, 5);
        span.i64(12, 0x463a_c35c_9f64_13ad);
    });
    let mut list = Writer::new(Wire::Binary);
    list.structs(&[span]);
    list.out
}

#[test]
fn thrift_says_the_same() {
    let body = thrift();
    let request = translated(Format::V1Thrift, &body, false).unwrap();
    assert_eq!(
        attributes(&request["resourceSpans"][0]["resource"]),
        [
            pair("service.name", "backend"),
            pair("ipv4", "10.0.0.1"),
            pair("ipv6", "2001:db8::1"),
            pair("port", "9411"),
        ]
    );
    let span = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "463ac35c9f6413ad48485a3953bb6124");
    assert_eq!(span["spanId"], "0000000000000002");
    assert_eq!(span["parentSpanId"], "ffffffffffffffff");
    assert_eq!(span["name"], "get");
    assert_eq!(span["kind"], 2);
    assert_eq!(span["startTimeUnixNano"], "1000000000");
    assert_eq!(span["endTimeUnixNano"], "1000005000");
    assert_eq!(span["events"][0]["name"], "wr");
    assert_eq!(
        attributes(span),
        [
            ("bool".to_owned(), json!(true)),
            pair("bytes", "AQI="),
            pair("i16", "7"),
            pair("i32", "8"),
            pair("i64", "-9"),
            ("double".to_owned(), json!(1.5)),
            pair("string", "text"),
            pair("short", "<not enough bytes representing the number>"),
            pair("odd", "<unknown zipkin v1 binary annotation type (9)>"),
        ]
    );
}

#[test]
fn thrift_that_is_cut_off_is_told_with_its_place() {
    let body = thrift();
    for end in 0..body.len() {
        let cut = translated(Format::V1Thrift, &body[..end], false);
        assert!(matches!(cut, Err(Stop::Malformed(_))), "{end}: {cut:?}");
    }
    let Err(Stop::Malformed(what)) = translated(Format::V1Thrift, &body[..20], false) else {
        panic!("it is cut off");
    };
    assert_eq!(what, "span 0: the value is cut off at byte 19");
}
