//! The receiver over real sockets, and what becomes of spans.

mod hostile;
mod http;
mod protobuf;
mod v1;
mod v2;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value as Json;
use tidegate_pdata::Budget;

use super::{Format, Stop};
use crate::grouped::{Grouped, payload};

/// The OTLP/JSON of a body, or why there is none.
fn translated(format: Format, body: &[u8], parse: bool) -> Result<Json, Stop> {
    let mut room = |_| true;
    let mut spans = Grouped::new(&mut room);
    format.translate(body, parse, &mut spans)?;
    let hold = Budget::new(usize::MAX).try_reserve(0).unwrap();
    let payload = payload(spans.finish(), hold).unwrap();
    let bytes = payload.segments().iter().flat_map(|one| one.bytes().iter());
    let bytes: Vec<u8> = bytes.copied().collect();
    let request = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
    Ok(serde_json::to_value(request).unwrap())
}

/// The one span of a body.
fn span(format: Format, body: &[u8], parse: bool) -> Json {
    let mut request = translated(format, body, parse).unwrap();
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0].take()
}

/// Attributes as a list of keys and values.
fn attributes(of: &Json) -> Vec<(String, Json)> {
    let all = of["attributes"].as_array().into_iter().flatten();
    let pair = |entry: &Json| {
        let value = entry["value"].as_object().unwrap().values().next();
        let key = entry["key"].as_str().unwrap().to_owned();
        (key, value.cloned().unwrap_or_default())
    };
    all.map(pair).collect()
}

/// What is wrong with a body in JSON, the place taken off that must be told, too.
fn fault(format: Format, body: &str) -> String {
    let told = match translated(format, body.as_bytes(), false) {
        Err(Stop::Malformed(what)) => what,
        other => panic!("{body}: {other:?}"),
    };
    let (what, column) = told.split_once(" at line 1 column ").expect(&told);
    let column: usize = column.parse().expect(&told);
    assert!(column <= body.len(), "{told}");
    what.to_owned()
}
