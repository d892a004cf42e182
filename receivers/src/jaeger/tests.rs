//! The receiver over real sockets, and what becomes of spans.

mod batch;
mod hostile;
mod sockets;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value as Json;
use tidegate_pdata::{Budget, Payload};

use super::*;

/// The OTLP/JSON of a message, or why there is none.
fn translated(
    message: &[u8],
    translate: impl FnOnce(&[u8], &mut Grouped<'_>) -> Result<(), Stop>,
) -> Result<Json, Status> {
    let hold = Budget::new(usize::MAX).try_reserve(0).unwrap();
    received(message, hold, translate).map(|payload| json(&payload))
}

fn json(payload: &Payload) -> Json {
    let bytes = payload.segments().iter().flat_map(|one| one.bytes().iter());
    let bytes: Vec<u8> = bytes.copied().collect();
    let request = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
    serde_json::to_value(request).unwrap()
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
