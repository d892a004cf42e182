//! Requests for tests: any that OTLP allows, realistic ones, and odd encodings of both.
//!
//! The oracle is opentelemetry-proto's prost types: [`Request`] is one of the three, decoded.

mod arbitrary;
mod corpus;
pub(crate) mod edits;
mod entropy;
mod flat;
mod hostile;
pub mod laws;
mod metrics;
pub(crate) mod normal;
pub(crate) mod owned;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use proptest::prelude::*;
use prost::{DecodeError, Message};

pub use corpus::{realistic_logs, realistic_metrics, realistic_traces};
pub use entropy::Entropy;
pub use flat::{Flat, FlatRecord};
pub use hostile::hostile_encoding;

use crate::Signal;

/// A request as prost decodes it.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Data points.
    Metrics(ExportMetricsServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
}

impl Request {
    /// Decodes a request of a signal.
    ///
    /// # Errors
    /// When prost refuses the bytes.
    pub fn decode(signal: Signal, bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(match signal {
            Signal::Traces => Self::Traces(Message::decode(bytes)?),
            Signal::Metrics => Self::Metrics(Message::decode(bytes)?),
            Signal::Logs => Self::Logs(Message::decode(bytes)?),
        })
    }

    /// The request as prost encodes it. Where two requests are compared, compare these: a NaN
    /// equals none.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Traces(request) => request.encode_to_vec(),
            Self::Metrics(request) => request.encode_to_vec(),
            Self::Logs(request) => request.encode_to_vec(),
        }
    }

    /// The kind of telemetry.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        match self {
            Self::Traces(_) => Signal::Traces,
            Self::Metrics(_) => Signal::Metrics,
            Self::Logs(_) => Signal::Logs,
        }
    }

    /// Spans, data points or log records in it.
    #[must_use]
    pub fn items(&self) -> usize {
        match self {
            Self::Traces(request) => (request.resource_spans.iter())
                .flat_map(|resource| &resource.scope_spans)
                .map(|scope| scope.spans.len())
                .sum(),
            Self::Metrics(request) => (request.resource_metrics.iter())
                .flat_map(|resource| &resource.scope_metrics)
                .flat_map(|scope| &scope.metrics)
                .map(data_points)
                .sum(),
            Self::Logs(request) => (request.resource_logs.iter())
                .flat_map(|resource| &resource.scope_logs)
                .map(|scope| scope.log_records.len())
                .sum(),
        }
    }

    /// Any request that a signal's types can hold, from entropy.
    #[must_use]
    pub fn generate(signal: Signal, entropy: &mut Entropy<'_>) -> Self {
        match signal {
            Signal::Traces => Self::Traces(arbitrary::traces(entropy)),
            Signal::Metrics => Self::Metrics(metrics::metrics(entropy)),
            Signal::Logs => Self::Logs(arbitrary::logs(entropy)),
        }
    }
}

fn data_points(metric: &Metric) -> usize {
    match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    }
}

/// Any of the three signals.
pub fn arbitrary_signal() -> impl Strategy<Value = Signal> {
    prop::sample::select(&Signal::ALL[..])
}

/// Any request of a signal: every field of OTLP, absent, empty, usual and odd.
///
/// It is made from a string of bytes, and shrinks as that does.
pub fn arbitrary_request(signal: Signal) -> impl Strategy<Value = Request> {
    entropy().prop_map(move |bytes| Request::generate(signal, &mut Entropy::new(&bytes)))
}

/// Any request of any signal.
pub fn arbitrary_any() -> impl Strategy<Value = Request> {
    (arbitrary_signal(), entropy())
        .prop_map(|(signal, bytes)| Request::generate(signal, &mut Entropy::new(&bytes)))
}

/// Any request of spans.
pub fn arbitrary_traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    entropy().prop_map(|bytes| arbitrary::traces(&mut Entropy::new(&bytes)))
}

/// Any request of data points.
pub fn arbitrary_metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    entropy().prop_map(|bytes| metrics::metrics(&mut Entropy::new(&bytes)))
}

/// Any request of log records.
pub fn arbitrary_logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    entropy().prop_map(|bytes| arbitrary::logs(&mut Entropy::new(&bytes)))
}

/// Bytes to make something of.
pub fn entropy() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..3000)
}
