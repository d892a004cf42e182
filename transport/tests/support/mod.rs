//! What the tests of clients share: a collector made with tonic, and a CA of their own.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, reason = "the files of a test are one crate")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

pub mod collector;
pub mod pki;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// The method that the tests call.
pub const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A request with this many spans, each with a name of this length.
pub fn request(spans: usize, name: usize) -> ExportTraceServiceRequest {
    let span = |at: usize| Span {
        name: "n".repeat(name),
        span_id: (at as u64).to_be_bytes().to_vec(),
        trace_id: vec![1; 16],
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (0..spans).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// The bytes of a request.
pub fn segment(request: &ExportTraceServiceRequest) -> Bytes {
    Bytes::from(request.encode_to_vec())
}
