//! Requests that have every attribute type, unicode, empties, events, links and metric type.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// 2026-01-02T03:04:05.678901234Z.
pub const TIME: u64 = 1_767_323_045_678_901_234;

pub fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

/// One attribute of every type, and odd ones.
pub fn attributes() -> Vec<KeyValue> {
    vec![
        attribute("text", text("plain")),
        attribute("unicode", text("žluťoučký kůň 🐎 \u{0}\"\\")),
        attribute("empty", text("")),
        attribute("true", Value::BoolValue(true)),
        attribute("int", Value::IntValue(-42)),
        attribute("big", Value::IntValue(i64::MAX)),
        attribute("double", Value::DoubleValue(0.1)),
        attribute("bytes", Value::BytesValue(vec![0, 1, 254, 255])),
        attribute(
            "list",
            Value::ArrayValue(ArrayValue {
                values: vec![any(text("a")), any(Value::IntValue(1)), AnyValue::default()],
            }),
        ),
        attribute(
            "map",
            Value::KvlistValue(KeyValueList {
                values: vec![
                    attribute("b", text("2")),
                    attribute("a", Value::IntValue(1)),
                ],
            }),
        ),
        KeyValue {
            key: "nothing".to_owned(),
            ..KeyValue::default()
        },
        attribute("password", text("hunter2")),
        attribute("user.email", text("jo@example.com")),
        attribute("digits", text("123")),
    ]
}

fn resource(service: &str) -> Resource {
    Resource {
        attributes: vec![
            attribute("service.name", text(service)),
            attribute("service.namespace", text("shop")),
            attribute("service.instance.id", text("i-1")),
            attribute("host.name", text("node-1")),
            attribute("deployment.environment", text("test")),
        ],
        ..Resource::default()
    }
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        attributes: vec![attribute("scope.kind", text("library"))],
        ..InstrumentationScope::default()
    }
}

fn id<const N: usize>(seed: u8) -> Vec<u8> {
    (0..N)
        .map(|at| seed.wrapping_mul(31).wrapping_add(at as u8))
        .collect()
}

/// Spans of two services: a trace with events, links and errors, and bare spans.
pub fn traces() -> ExportTraceServiceRequest {
    let full = Span {
        trace_id: id::<16>(1),
        span_id: id::<8>(1),
        trace_state: "vendor=1,ot=th:8".to_owned(),
        name: "GET /cart/{id}".to_owned(),
        flags: 0x101,
        kind: 2,
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME + 1_500_000,
        attributes: attributes(),
        dropped_attributes_count: 1,
        events: vec![
            Event {
                time_unix_nano: TIME + 10,
                name: "exception".to_owned(),
                attributes: vec![attribute("exception.message", text("no such cart"))],
                dropped_attributes_count: 2,
            },
            Event::default(),
        ],
        dropped_events_count: 3,
        links: vec![Link {
            trace_id: id::<16>(9),
            span_id: id::<8>(9),
            trace_state: "other=2".to_owned(),
            attributes: vec![attribute("link.kind", text("follows"))],
            dropped_attributes_count: 4,
            flags: 1,
        }],
        dropped_links_count: 5,
        status: Some(Status {
            message: "deadline exceeded".to_owned(),
            code: 2,
        }),
        ..Span::default()
    };
    let child = Span {
        trace_id: id::<16>(1),
        span_id: id::<8>(2),
        parent_span_id: id::<8>(1),
        name: "SELECT".to_owned(),
        kind: 3,
        start_time_unix_nano: TIME + 100,
        end_time_unix_nano: TIME + 200,
        attributes: vec![
            attribute("db.system", text("postgresql")),
            attribute("text", text("child")),
            attribute("sampling.priority", Value::IntValue(1)),
        ],
        ..Span::default()
    };
    let bare = (3..20).map(|seed| Span {
        trace_id: id::<16>(seed),
        span_id: id::<8>(seed),
        name: format!("work {seed}"),
        ..Span::default()
    });
    ExportTraceServiceRequest {
        resource_spans: vec![
            ResourceSpans {
                resource: Some(resource("cart")),
                schema_url: "https://opentelemetry.io/schemas/1.24.0".to_owned(),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope("http")),
                    spans: vec![full, child],
                    schema_url: "https://opentelemetry.io/schemas/1.21.0".to_owned(),
                }],
            },
            ResourceSpans {
                resource: Some(resource("worker")),
                scope_spans: vec![ScopeSpans {
                    spans: bare.collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            },
            ResourceSpans::default(),
        ],
    }
}

/// Log records: every severity, every kind of body.
pub fn logs() -> ExportLogsServiceRequest {
    let bodies = [
        Some(text("cart is empty")),
        Some(text("")),
        Some(Value::IntValue(7)),
        Some(Value::DoubleValue(f64::MAX)),
        Some(Value::BoolValue(false)),
        Some(Value::BytesValue(vec![1, 2, 3])),
        Some(Value::KvlistValue(KeyValueList {
            values: attributes(),
        })),
        None,
    ];
    let records = bodies.into_iter().enumerate().map(|(at, body)| LogRecord {
        time_unix_nano: TIME + at as u64,
        observed_time_unix_nano: TIME + 1000,
        severity_number: (at * 3 % 25) as i32,
        severity_text: ["", "INFO", "warn", "ERROR"][at % 4].to_owned(),
        body: body.map(any),
        attributes: if at % 2 == 0 {
            attributes()
        } else {
            Vec::new()
        },
        dropped_attributes_count: at as u32,
        flags: (at % 2) as u32,
        trace_id: if at % 3 == 0 {
            id::<16>(at as u8)
        } else {
            Vec::new()
        },
        span_id: if at % 3 == 0 {
            id::<8>(at as u8)
        } else {
            Vec::new()
        },
        event_name: if at == 1 {
            "session.start".to_owned()
        } else {
            String::new()
        },
    });
    ExportLogsServiceRequest {
        resource_logs: vec![
            ResourceLogs {
                resource: Some(resource("cart")),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope("logger")),
                    log_records: records.collect(),
                    schema_url: String::new(),
                }],
                ..ResourceLogs::default()
            },
            ResourceLogs {
                resource: Some(resource("worker")),
                scope_logs: vec![ScopeLogs::default()],
                ..ResourceLogs::default()
            },
        ],
    }
}

fn exemplar() -> Exemplar {
    Exemplar {
        filtered_attributes: vec![attribute("user.id", text("u1"))],
        time_unix_nano: TIME + 5,
        span_id: id::<8>(1),
        trace_id: id::<16>(1),
        value: Some(exemplar::Value::AsDouble(0.42)),
    }
}

fn number(labels: &[(&str, &str)], value: number_data_point::Value) -> NumberDataPoint {
    NumberDataPoint {
        attributes: labels
            .iter()
            .map(|(key, value)| attribute(key, text(value)))
            .collect(),
        start_time_unix_nano: TIME - 60_000_000_000,
        time_unix_nano: TIME,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: format!("What {name} says."),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn sum(points: Vec<NumberDataPoint>, temporality: i32, is_monotonic: bool) -> Data {
    Data::Sum(Sum {
        data_points: points,
        aggregation_temporality: temporality,
        is_monotonic,
    })
}

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

/// Data points of every type, with units, label collisions, NaN and infinities.
pub fn metrics() -> ExportMetricsServiceRequest {
    use number_data_point::Value::{AsDouble, AsInt};
    let numbers = vec![
        metric(
            "process.memory.usage",
            "By",
            Data::Gauge(Gauge {
                data_points: vec![
                    number(&[("state", "used")], AsInt(1024)),
                    number(&[("state", "free")], AsDouble(0.5)),
                ],
            }),
        ),
        metric(
            "odd.gauge",
            "1",
            Data::Gauge(Gauge {
                data_points: vec![
                    number(&[("kind", "nan")], AsDouble(f64::NAN)),
                    number(&[("kind", "inf")], AsDouble(f64::INFINITY)),
                    number(&[("kind", "-inf")], AsDouble(f64::NEG_INFINITY)),
                    number(
                        &[("a.b", "1"), ("a_b", "2"), ("a/b", "3"), ("0x", "4")],
                        AsInt(1),
                    ),
                    number(&[("žluť", "ů"), ("quote", "a\"b\\c\nd")], AsInt(2)),
                ],
            }),
        ),
        metric(
            "http.server.requests",
            "{request}",
            sum(
                vec![
                    NumberDataPoint {
                        exemplars: vec![exemplar()],
                        ..number(&[("http.route", "/cart"), ("code", "200")], AsInt(17))
                    },
                    number(&[("http.route", "/cart"), ("code", "500")], AsInt(2)),
                ],
                CUMULATIVE,
                true,
            ),
        ),
        metric(
            "queue.depth",
            "{message}",
            sum(
                vec![number(&[("queue", "a")], AsInt(-3))],
                CUMULATIVE,
                false,
            ),
        ),
        metric(
            "io.bytes",
            "By/s",
            sum(vec![number(&[], AsDouble(12.5))], CUMULATIVE, true),
        ),
        metric(
            "delta.requests",
            "1",
            sum(vec![number(&[("code", "200")], AsInt(5))], DELTA, true),
        ),
    ];
    ExportMetricsServiceRequest {
        resource_metrics: vec![
            ResourceMetrics {
                resource: Some(resource("cart")),
                scope_metrics: vec![
                    ScopeMetrics {
                        scope: Some(scope("meter")),
                        metrics: numbers,
                        ..ScopeMetrics::default()
                    },
                    ScopeMetrics {
                        scope: Some(scope("histograms")),
                        metrics: distributions(),
                        ..ScopeMetrics::default()
                    },
                ],
                ..ResourceMetrics::default()
            },
            ResourceMetrics {
                resource: Some(resource("worker")),
                scope_metrics: vec![ScopeMetrics {
                    metrics: vec![Metric {
                        name: "nothing".to_owned(),
                        ..Metric::default()
                    }],
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            },
        ],
    }
}

fn distributions() -> Vec<Metric> {
    let histogram = HistogramDataPoint {
        attributes: vec![attribute("http.route", text("/cart"))],
        start_time_unix_nano: TIME - 60_000_000_000,
        time_unix_nano: TIME,
        count: 6,
        sum: Some(1.75),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.1, 0.5],
        exemplars: vec![exemplar()],
        min: Some(0.01),
        max: Some(0.9),
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes: vec![attribute("http.route", text("/cart"))],
        start_time_unix_nano: TIME - 60_000_000_000,
        time_unix_nano: TIME,
        count: 9,
        sum: Some(12.0),
        scale: 3,
        zero_count: 2,
        positive: Some(Buckets {
            offset: -1,
            bucket_counts: vec![1, 0, 4],
        }),
        negative: Some(Buckets {
            offset: 2,
            bucket_counts: vec![2],
        }),
        ..ExponentialHistogramDataPoint::default()
    };
    let summary = SummaryDataPoint {
        attributes: vec![attribute("job", text("gc"))],
        time_unix_nano: TIME,
        count: 10,
        sum: 5.5,
        quantile_values: vec![
            ValueAtQuantile {
                quantile: 0.5,
                value: 0.4,
            },
            ValueAtQuantile {
                quantile: 0.99,
                value: 1.2,
            },
        ],
        ..SummaryDataPoint::default()
    };
    vec![
        metric(
            "http.server.duration",
            "s",
            Data::Histogram(Histogram {
                data_points: vec![histogram],
                aggregation_temporality: CUMULATIVE,
            }),
        ),
        metric(
            "rpc.duration",
            "ms",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: CUMULATIVE,
            }),
        ),
        metric(
            "gc.pause",
            "s",
            Data::Summary(Summary {
                data_points: vec![summary],
            }),
        ),
    ]
}
