//! What speaks OTLP: `otlp_grpc`, and `jaeger`, which is the same with Jaeger's defaults.

mod answer;
mod grpc;
pub mod jaeger;

pub use grpc::Config as GrpcConfig;
