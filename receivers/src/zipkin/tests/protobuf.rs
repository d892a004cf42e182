//! The second format in protobuf.

use serde_json::json;
use tidegate_pdata::wire::{put_bytes, put_fixed64, put_uint};

use super::*;

fn message(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn tag(key: &str, value: &str) -> Vec<u8> {
    message(|tag| {
        put_bytes(tag, 1, key.as_bytes());
        put_bytes(tag, 2, value.as_bytes());
    })
}

/// A list of one span.
pub(super) fn list(trace_id: &[u8]) -> Vec<u8> {
    let span = message(|span| {
        put_bytes(span, 1, trace_id);
        put_bytes(span, 2, &[0, 0, 0, 0, 0, 0, 0, 3]);
        put_bytes(span, 3, &[0, 0, 0, 0, 0, 0, 0, 2]);
        put_uint(span, 4, 3);
        put_bytes(span, 5, b"send");
        put_fixed64(span, 6, 1_556_604_172_355_737);
        put_uint(span, 7, 1431);
        let local = message(|local| {
            put_bytes(local, 1, b"shop");
            put_bytes(local, 2, &[10, 0, 0, 1]);
            put_uint(local, 4, 80);
        });
        put_bytes(span, 8, &local);
        let remote = message(|remote| {
            put_bytes(
                remote,
                3,
                &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            );
        });
        put_bytes(span, 9, &remote);
        let annotation = message(|annotation| {
            put_fixed64(annotation, 1, 7);
            put_bytes(annotation, 2, b"ws");
        });
        put_bytes(span, 10, &annotation);
        put_bytes(span, 11, &tag("k", "v"));
        put_bytes(span, 11, &tag("error", "true"));
        put_uint(span, 12, 1);
        put_uint(span, 13, 1);
    });
    message(|list| put_bytes(list, 1, &span))
}

#[test]
fn protobuf_says_the_same() {
    for (id, trace_id) in [
        (&[1; 16][..], "01010101010101010101010101010101"),
        (&[1; 8], "00000000000000000101010101010101"),
    ] {
        let request = translated(Format::V2Protobuf, &list(id), false).unwrap();
        let resource = &request["resourceSpans"][0]["resource"];
        assert_eq!(
            attributes(resource),
            [("service.name".to_owned(), json!("shop"))]
        );
        let span = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], trace_id);
        assert_eq!(span["spanId"], "0000000000000002");
        assert_eq!(span["parentSpanId"], "0000000000000003");
        assert_eq!(span["name"], "send");
        assert_eq!(span["kind"], 4);
        assert_eq!(span["startTimeUnixNano"], "1556604172355737000");
        assert_eq!(span["endTimeUnixNano"], "1556604172357168000");
        assert_eq!(span["status"]["code"], 2);
        assert_eq!(span["events"][0]["name"], "ws");
        assert_eq!(span["events"][0]["timeUnixNano"], "7000");
        assert_eq!(
            attributes(span),
            [
                ("k".to_owned(), json!("v")),
                ("network.local.address".to_owned(), json!("10.0.0.1")),
                ("net.host.port".to_owned(), json!("80")),
                ("network.peer.address".to_owned(), json!("2001:db8::1")),
            ]
        );
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let fault = |span: Vec<u8>| {
        let body = message(|list| put_bytes(list, 1, &span));
        match translated(Format::V2Protobuf, &body, false) {
            Err(Stop::Malformed(what)) => what,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fault(Vec::new()), "span 0: it has no trace_id");
    assert_eq!(
        fault(message(|span| put_bytes(span, 1, &[1; 5]))),
        "span 0: trace_id has 5 bytes, not 8 or 16"
    );
    assert_eq!(
        fault(message(|span| put_bytes(span, 3, &[1; 4]))),
        "span 0: id has 4 bytes, not 8"
    );
    assert_eq!(
        fault(message(|span| put_uint(span, 5, 1))),
        "span 0: found a varint instead of a length-prefixed value at byte 2"
    );
    let body = list(&[1; 16]);
    let cut = translated(Format::V2Protobuf, &body[..body.len() - 1], false);
    let Err(Stop::Malformed(what)) = cut else {
        panic!("it is cut off");
    };
    assert!(
        what.starts_with("span 0: length ") && what.ends_with(" passes the end at byte 1"),
        "{what}"
    );
}
