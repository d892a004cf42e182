//! The second format in JSON.

use serde_json::json;

use super::*;

fn v2(body: &str) -> Json {
    translated(Format::V2Json, body.as_bytes(), false).unwrap()
}

fn one(body: &str) -> Json {
    span(Format::V2Json, body.as_bytes(), false)
}

/// A span with these keys beside its IDs.
fn with(keys: &str) -> String {
    format!(r#"[{{"traceId":"1","id":"2","timestamp":1,{keys}}}]"#)
}

#[test]
fn the_sample_of_the_data_model_becomes_a_span() {
    let body = include_str!("samples/v2.json");
    assert_eq!(
        v2(body),
        json!({"resourceSpans": [{
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "backend"}}],
                "droppedAttributesCount": 0, "entityRefs": []
            },
            "schemaUrl": "",
            "scopeSpans": [{
                "schemaUrl": "",
                "scope": {"name": "", "version": "", "attributes": [], "droppedAttributesCount": 0},
                "spans": [{
                    "traceId": "00000000000000005af7183fb1d4cf5f",
                    "spanId": "352bff9a74ca9ad2",
                    "parentSpanId": "6b221d5bc9e6496c",
                    "traceState": "",
                    "name": "get /api",
                    "kind": 2,
                    "startTimeUnixNano": "1556604172355737000",
                    "endTimeUnixNano": "1556604172357168000",
                    "attributes": [
                        {"key": "http.method", "value": {"stringValue": "GET"}},
                        {"key": "http.path", "value": {"stringValue": "/api"}},
                        {"key": "network.local.address", "value": {"stringValue": "192.168.99.1"}},
                        {"key": "net.host.port", "value": {"intValue": "3306"}},
                        {"key": "network.peer.address", "value": {"stringValue": "172.19.0.2"}},
                        {"key": "net.peer.port", "value": {"intValue": "58648"}}
                    ],
                    "droppedAttributesCount": 0, "droppedEventsCount": 0, "droppedLinksCount": 0,
                    "events": [], "links": [], "flags": 0, "status": null
                }]
            }]
        }]})
    );
}

#[test]
fn ids_have_64_or_128_bits() {
    for (id, trace_id) in [
        ("1", "00000000000000000000000000000001"),
        ("463ac35c9f6413ad", "0000000000000000463ac35c9f6413ad"),
        (
            "463AC35C9F6413AD48485a3953bb6124",
            "463ac35c9f6413ad48485a3953bb6124",
        ),
        ("a3ad48485a3953bb6124", "000000000000a3ad48485a3953bb6124"),
    ] {
        let body = format!(r#"[{{"traceId":"{id}","id":"abc","parentId":"abc"}}]"#);
        let span = one(&body);
        assert_eq!(span["traceId"], trace_id);
        assert_eq!(span["spanId"], "0000000000000abc");
        // Its own parent is none.
        assert_eq!(span["parentSpanId"], "");
    }
}

#[test]
fn a_kind_is_said_or_is_among_the_tags() {
    for (keys, kind, left) in [
        (r#""kind":"CLIENT""#, 3, 0),
        (r#""kind":"SERVER""#, 2, 0),
        (r#""kind":"PRODUCER""#, 4, 0),
        (r#""kind":"CONSUMER""#, 5, 0),
        (r#""kind":null"#, 0, 0),
        (r#""tags":{"span.kind":"internal"}"#, 1, 0),
        (r#""tags":{"span.kind":"client"}"#, 0, 0),
        (r#""kind":"CLIENT","tags":{"span.kind":"internal"}"#, 3, 1),
    ] {
        let span = one(&with(keys));
        assert_eq!(span["kind"], kind, "{keys}");
        assert_eq!(attributes(&span).len(), left, "{keys}");
    }
}

#[test]
fn the_status_is_among_the_tags() {
    for (tags, code, message, left) in [
        (r#"{}"#, None, "", vec![]),
        (r#"{"error":"true"}"#, Some(2), "", vec![]),
        (r#"{"error":"no route"}"#, Some(2), "", vec!["error"]),
        (
            r#"{"otel.status_code":"Ok","otel.status_description":"fine"}"#,
            Some(1),
            "fine",
            vec![],
        ),
        (
            r#"{"otel.status_code":"STATUS_CODE_ERROR","error":"boom"}"#,
            Some(2),
            "",
            vec!["error"],
        ),
        (r#"{"otel.status_code":"OK"}"#, Some(1), "", vec![]),
        (r#"{"otel.status_code":"what"}"#, Some(0), "", vec![]),
        (
            r#"{"otel.status_description":"of what?"}"#,
            None,
            "",
            vec!["otel.status_description"],
        ),
    ] {
        let span = one(&with(&format!(r#""tags":{tags}"#)));
        let status = span["status"].as_object();
        assert_eq!(
            status.map(|status| status["code"].as_i64().unwrap()),
            code,
            "{tags}"
        );
        let told = status.map_or("", |status| status["message"].as_str().unwrap());
        assert_eq!(told, message, "{tags}");
        let keys: Vec<_> = attributes(&span).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, left, "{tags}");
    }
}

#[test]
fn endpoints_become_attributes_and_win_over_tags() {
    let span = one(&with(
        r#""localEndpoint":{"serviceName":"a","ipv4":"10.0.0.1","ipv6":"2001:DB8::c001","port":80},
           "remoteEndpoint":{"serviceName":"b","ipv6":"::ffff:10.0.0.2","port":8080},
           "tags":{"service.peer.name":"c","k":"1","net.peer.port":"2"}"#,
    ));
    assert_eq!(
        attributes(&span),
        [
            ("k".to_owned(), json!("1")),
            ("network.local.address".to_owned(), json!("2001:db8::c001")),
            ("net.host.port".to_owned(), json!("80")),
            ("service.peer.name".to_owned(), json!("b")),
            ("network.peer.address".to_owned(), json!("10.0.0.2")),
            ("net.peer.port".to_owned(), json!("8080")),
        ]
    );
}

#[test]
fn spans_are_put_under_their_service_and_scope() {
    let span = |service: &str, tags: &str, id: u32| {
        format!(
            r#"{{"traceId":"1","id":"{id}","timestamp":1,
                "localEndpoint":{{"serviceName":"{service}"}},"tags":{{{tags}}}}}"#
        )
    };
    let scope = r#""otel.scope.name":"lib","otel.scope.version":"1""#;
    let library = r#""otel.library.name":"lib","otel.library.version":"1""#;
    let on = |host: &str| format!(r#""host.name":"{host}""#);
    let body = format!(
        "[{},{},{},{},{},{},{}]",
        span("a", "", 1),
        span("b", scope, 2),
        span("a", scope, 3),
        span("b", library, 4),
        span("a", &on("x"), 5),
        span("a", &on("y"), 6),
        span("a", &on("x"), 7),
    );
    let groups: Vec<_> = v2(&body)["resourceSpans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| {
            let scopes = of["scopeSpans"].as_array().unwrap().iter();
            let scopes: Vec<_> = scopes
                .map(|scope| {
                    let ids = scope["spans"].as_array().unwrap().iter();
                    let ids = ids.map(|span| span["spanId"].as_str().unwrap()[15..].to_owned());
                    (scope["scope"]["name"].clone(), ids.collect::<String>())
                })
                .collect();
            (attributes(&of["resource"]), scopes)
        })
        .collect();
    let pair = |key: &str, value: &str| (key.to_owned(), json!(value));
    assert_eq!(
        groups,
        [
            (
                vec![pair("service.name", "a")],
                vec![(json!(""), "1".to_owned()), (json!("lib"), "3".to_owned())]
            ),
            (
                vec![pair("service.name", "b")],
                vec![(json!("lib"), "24".to_owned())]
            ),
            (
                vec![pair("service.name", "a"), pair("host.name", "x")],
                vec![(json!(""), "57".to_owned())]
            ),
            (
                vec![pair("service.name", "a"), pair("host.name", "y")],
                vec![(json!(""), "6".to_owned())]
            ),
        ]
    );
}

#[test]
fn a_service_may_be_named_by_another_attribute_or_by_none() {
    let resource = |service: &str, tags: &str| {
        let keys = format!(r#""localEndpoint":{{"serviceName":"{service}"}},"tags":{tags}"#);
        attributes(&v2(&with(&keys))["resourceSpans"][0]["resource"])
    };
    let pair = |key: &str, value: &str| (key.to_owned(), json!(value));
    assert_eq!(
        resource("fn", r#"{"otlp.service.name.source":"faas.name"}"#),
        [pair("faas.name", "fn")]
    );
    assert_eq!(
        resource("fn", r#"{"service.name":"better"}"#),
        [pair("service.name", "better")]
    );
    assert_eq!(resource("", "{}"), []);
    assert_eq!(resource("OTLPResourceNoServiceName", "{}"), []);
}

#[test]
fn annotations_become_events_with_what_the_exporter_put_in_them() {
    let span = one(&with(
        r#""annotations":[
            {"timestamp":1,"value":"cache.miss"},
            {"timestamp":2,"value":"exception|{\"type\":\"a|b\",\"n\":3,\"f\":1.5,\"w\":2.0,\"t\":true,\"l\":[1]}|4"},
            {"timestamp":3,"value":"a|b|c"},
            {"timestamp":4,"value":"a|b"}]"#,
    ));
    let events = span["events"].as_array().unwrap();
    let names: Vec<_> = events
        .iter()
        .map(|event| event["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cache.miss", "exception", "a|b|c", "a|b"]);
    assert_eq!(events[0]["timeUnixNano"], "1000");
    assert_eq!(events[1]["droppedAttributesCount"], 4);
    let mut found = attributes(&events[1]);
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        found,
        [
            ("f".to_owned(), json!(1.5)),
            ("l".to_owned(), json!("[1]")),
            ("n".to_owned(), json!("3")),
            ("t".to_owned(), json!(true)),
            ("type".to_owned(), json!("a|b")),
            ("w".to_owned(), json!("2")),
        ]
    );
}

#[test]
fn tags_become_links_and_a_trace_state() {
    let span = one(&with(
        r#""tags":{
            "w3c.tracestate":"a=1",
            "otlp.link.0":"00000000000000000000000000000007|0000000000000008|s=2|{\"k\":\"v\"}|3",
            "otlp.link.1":"no link",
            "otlp.link.3":"00000000000000000000000000000007|0000000000000008||{}|0"}"#,
    ));
    assert_eq!(span["traceState"], "a=1");
    let links = span["links"].as_array().unwrap();
    assert_eq!(links.len(), 1);
    assert_eq!(links[0]["traceId"], "00000000000000000000000000000007");
    assert_eq!(links[0]["spanId"], "0000000000000008");
    assert_eq!(links[0]["traceState"], "s=2");
    assert_eq!(links[0]["droppedAttributesCount"], 3);
    assert_eq!(attributes(&links[0]), [("k".to_owned(), json!("v"))]);
    let keys: Vec<_> = attributes(&span).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["otlp.link.1", "otlp.link.3"]);
}

#[test]
fn a_span_without_a_time_says_so() {
    let span = one(r#"[{"traceId":"1","id":"2","duration":5}]"#);
    assert_eq!(span["startTimeUnixNano"], "0");
    assert_eq!(span["endTimeUnixNano"], "5000");
    let key = "otel.zipkin.absentField.startTime".to_owned();
    assert_eq!(attributes(&span), [(key, json!(true))]);
}

#[test]
fn numbers_in_tags_are_parsed_where_asked() {
    let body = with(r#""tags":{"n":"7","f":"1.5","t":"true","s":"x"}"#);
    let parsed = attributes(&span(Format::V2Json, body.as_bytes(), true));
    let values: Vec<_> = parsed.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [json!("7"), json!(1.5), json!(true), json!("x")]);
}

#[test]
fn odd_but_valid_bodies_are_taken() {
    assert_eq!(v2("[]"), json!({"resourceSpans": []}));
    assert_eq!(v2("[null]"), json!({"resourceSpans": []}));
    let span = one(
        r#"[{"traceId":"1","id":"2","name":null,"kind":null,"tags":null,"annotations":null,"shared":true,
            "localEndpoint":null,"remoteEndpoint":{},"timestamp":9223372036854775807,"duration":18446744073709551615,
            "unknown":{"a":[1]},"parentId":""}]"#,
    );
    assert_eq!(span["endTimeUnixNano"], u64::MAX.to_string());
    // The last of several values of a key holds.
    let span = one(&with(
        r#""tags":{"a":"1","b":"2","a":"3"},"name":"x","name":"y""#,
    ));
    assert_eq!(span["name"], "y");
    let pair = |key: &str, value: &str| (key.to_owned(), json!(value));
    assert_eq!(attributes(&span), [pair("b", "2"), pair("a", "3")]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let fault = |body: &str| fault(Format::V2Json, body);
    for (body, what) in [
        ("", "EOF while parsing a value"),
        ("{}", "invalid type: map, expected a list of spans"),
        (
            r#"["a"]"#,
            "span 0: invalid type: string \"a\", expected an object, a span",
        ),
        (
            r#"[{"traceId":"1","id":"1"},{"id":"1"}]"#,
            "span 1: it has no traceId",
        ),
        (r#"[{"traceId":"1"}]"#, "span 0: it has no id, or that is 0"),
        (
            r#"[{"traceId":"xyz"}]"#,
            "span 0: traceId: \"xyz\" is no ID of 128 bits",
        ),
        (
            r#"[{"traceId":"1","id":"11112222333344445"}]"#,
            "span 0: id: \"11112222333344445\" is no ID of 64 bits",
        ),
        (
            r#"[{"localEndpoint":{"ipv4":"10.0.0"}}]"#,
            "span 0: ipv4: \"10.0.0\" is no IP address",
        ),
        (
            r#"[{"timestamp":-1}]"#,
            "span 0: invalid value: integer `-1`, expected u64",
        ),
        (
            r#"[{"annotations":[{"value":"a"}]}]"#,
            "span 0: an annotation has no timestamp, or that is 0",
        ),
        (
            r#"[{"tags":{"a":1}}]"#,
            "span 0: invalid type: integer `1`, expected a string",
        ),
        ("[{", "span 0: EOF while parsing an object"),
        ("[] x", "trailing characters"),
    ] {
        assert_eq!(fault(body), what, "{body}");
    }
}
