//! What the exporters over OTLP share: the methods, and what a peer's answer means.

mod answer;
mod grpc;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use answer::{MalformedAnswer, delivered, delivered_json};
pub(crate) use grpc::GrpcExporter;
