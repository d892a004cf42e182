//! Items that carry a number, as OTLP requests, and the numbers read back out of what arrives.
//!
//! A span has its number as span ID, a log record too, a data point as its value. Numbers are never
//! used twice, so that what arrives twice was doubled behind the client.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// A nanosecond of January 2026, so that no item looks old.
const TIME: u64 = 1_767_323_045_678_901_234;
const MINUTE: u64 = 60_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Logs,
    Metrics,
}

impl Signal {
    pub const ALL: [Self; 3] = [Self::Traces, Self::Logs, Self::Metrics];

    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// The signal of an OTLP path, and whether it is gRPC's.
    pub fn of_path(path: &str) -> Option<(Self, bool)> {
        Self::ALL.into_iter().find_map(|signal| {
            if path == format!("/v1/{}", signal.name()) {
                Some((signal, false))
            } else {
                (path == signal.grpc_path()).then_some((signal, true))
            }
        })
    }

    pub fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

/// Consecutive numbers, `padding` bytes beside each.
#[derive(Clone, Copy, Debug)]
pub struct Items {
    pub first: u64,
    pub count: u64,
    pub padding: usize,
}

impl Items {
    pub fn numbers(self) -> std::ops::Range<u64> {
        self.first..self.first + self.count
    }

    /// When an item was: of two neighbours one is a minute later, so that they lie in two partitions.
    fn time(number: u64) -> u64 {
        TIME + number % 2 * MINUTE
    }

    fn attributes(self) -> Vec<KeyValue> {
        if self.padding == 0 {
            return Vec::new();
        }
        vec![attribute("padding", "x".repeat(self.padding))]
    }

    pub fn traces(self) -> ExportTraceServiceRequest {
        let spans = self.numbers().map(|number| Span {
            trace_id: [[0x5a; 8], number.to_be_bytes()].concat(),
            span_id: number.to_be_bytes().to_vec(),
            name: "numbered".to_owned(),
            start_time_unix_nano: Self::time(number),
            end_time_unix_nano: Self::time(number) + 1,
            attributes: self.attributes(),
            ..Span::default()
        });
        let scope_spans = vec![ScopeSpans {
            scope: scope(),
            spans: spans.collect(),
            ..ScopeSpans::default()
        }];
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: resource(),
                scope_spans,
                ..ResourceSpans::default()
            }],
        }
    }

    pub fn logs(self) -> ExportLogsServiceRequest {
        let records = self.numbers().map(|number| LogRecord {
            time_unix_nano: Self::time(number),
            span_id: number.to_be_bytes().to_vec(),
            trace_id: vec![0x5a; 16],
            attributes: self.attributes(),
            ..LogRecord::default()
        });
        let scope_logs = vec![ScopeLogs {
            scope: scope(),
            log_records: records.collect(),
            ..ScopeLogs::default()
        }];
        ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: resource(),
                scope_logs,
                ..ResourceLogs::default()
            }],
        }
    }

    pub fn metrics(self) -> ExportMetricsServiceRequest {
        let points = self.numbers().map(|number| NumberDataPoint {
            time_unix_nano: Self::time(number),
            value: i64::try_from(number).ok().map(Number::AsInt),
            attributes: self.attributes(),
            ..NumberDataPoint::default()
        });
        let gauge = Gauge {
            data_points: points.collect(),
        };
        let metrics = vec![Metric {
            name: "numbered".to_owned(),
            data: Some(Data::Gauge(gauge)),
            ..Metric::default()
        }];
        let scope_metrics = vec![ScopeMetrics {
            scope: scope(),
            metrics,
            ..ScopeMetrics::default()
        }];
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: resource(),
                scope_metrics,
                ..ResourceMetrics::default()
            }],
        }
    }

    pub fn encode(self, signal: Signal) -> Vec<u8> {
        match signal {
            Signal::Traces => self.traces().encode_to_vec(),
            Signal::Logs => self.logs().encode_to_vec(),
            Signal::Metrics => self.metrics().encode_to_vec(),
        }
    }
}

fn attribute(key: &str, value: String) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value)),
        }),
        ..KeyValue::default()
    }
}

#[allow(clippy::unnecessary_wraps)] // as the field wants it
fn resource() -> Option<Resource> {
    Some(Resource {
        attributes: vec![attribute("service.name", "faults".to_owned())],
        ..Resource::default()
    })
}

#[allow(clippy::unnecessary_wraps)] // as the field wants it
fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "faults".to_owned(),
        ..InstrumentationScope::default()
    })
}

/// The numbers in a request; zero stands for an item that has none.
pub fn numbers(signal: Signal, body: &[u8]) -> Result<Vec<u64>, prost::DecodeError> {
    Ok(match signal {
        Signal::Traces => {
            let request = ExportTraceServiceRequest::decode(body)?;
            let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
            let spans = scopes.flat_map(|scope| &scope.spans);
            spans.map(|span| of_id(&span.span_id)).collect()
        }
        Signal::Logs => {
            let request = ExportLogsServiceRequest::decode(body)?;
            let scopes = request.resource_logs.iter().flat_map(|r| &r.scope_logs);
            let records = scopes.flat_map(|scope| &scope.log_records);
            records.map(|record| of_id(&record.span_id)).collect()
        }
        Signal::Metrics => {
            let request = ExportMetricsServiceRequest::decode(body)?;
            let scopes = request.resource_metrics.iter();
            let scopes = scopes.flat_map(|r| &r.scope_metrics);
            let metrics = scopes.flat_map(|scope| &scope.metrics);
            metrics.flat_map(of_metric).collect()
        }
    })
}

/// The number of an ID that was made text.
pub fn of_text(id: &str) -> u64 {
    u64::from_str_radix(id, 16).unwrap_or(0)
}

fn of_id(id: &[u8]) -> u64 {
    id.try_into().map_or(0, u64::from_be_bytes)
}

fn of_metric(metric: &Metric) -> Vec<u64> {
    let Some(Data::Gauge(gauge)) = &metric.data else {
        return vec![0];
    };
    let number = |point: &NumberDataPoint| match point.value {
        Some(Number::AsInt(value)) => u64::try_from(value).unwrap_or(0),
        _ => 0,
    };
    gauge.data_points.iter().map(number).collect()
}

#[test]
fn numbers_come_back_out_of_every_signal() {
    let items = Items {
        first: 7,
        count: 3,
        padding: 5,
    };
    for signal in Signal::ALL {
        let read = numbers(signal, &items.encode(signal)).expect("a request");
        assert_eq!(read, [7, 8, 9], "{}", signal.name());
    }
}
