//! Realistic requests, the same ones each time: what the benchmarks measure on.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
    summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// The resources that a request's records are dealt over.
const RESOURCES: usize = 5;

const START: u64 = 1_760_000_000_000_000_000;

/// A request of `count` spans over five resources; 439 bytes each with ten attributes, the
/// resources' share included, where there are a hundred or so.
#[must_use]
pub fn realistic_traces(count: usize) -> ExportTraceServiceRequest {
    let mut random = Random(1);
    ExportTraceServiceRequest {
        resource_spans: dealt(count)
            .map(|(index, count)| ResourceSpans {
                resource: Some(resource(index)),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope()),
                    spans: (0..count).map(|_| span(&mut random)).collect(),
                    schema_url: String::new(),
                }],
                schema_url: "https://opentelemetry.io/schemas/1.37.0".into(),
            })
            .collect(),
    }
}

/// A request of `count` log records over five resources.
#[must_use]
pub fn realistic_logs(count: usize) -> ExportLogsServiceRequest {
    let mut random = Random(2);
    ExportLogsServiceRequest {
        resource_logs: dealt(count)
            .map(|(index, count)| ResourceLogs {
                resource: Some(resource(index)),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope()),
                    log_records: (0..count).map(|_| log_record(&mut random)).collect(),
                    schema_url: String::new(),
                }],
                schema_url: "https://opentelemetry.io/schemas/1.37.0".into(),
            })
            .collect(),
    }
}

/// A request of `count` data points of all kinds over five resources, up to ten in a metric.
#[must_use]
pub fn realistic_metrics(count: usize) -> ExportMetricsServiceRequest {
    let mut random = Random(3);
    ExportMetricsServiceRequest {
        resource_metrics: dealt(count)
            .map(|(index, count)| ResourceMetrics {
                resource: Some(resource(index)),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics: (0..count.div_ceil(10))
                        .map(|metric| {
                            let points = (count - metric * 10).min(10);
                            metric_of(&mut random, metric, points)
                        })
                        .collect(),
                    schema_url: String::new(),
                }],
                schema_url: "https://opentelemetry.io/schemas/1.37.0".into(),
            })
            .collect(),
    }
}

/// The indices of the resources that have a share of `count` records, and their shares.
fn dealt(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..RESOURCES)
        .map(move |index| (index, (count + RESOURCES - 1 - index) / RESOURCES))
        .filter(|(_, share)| *share > 0)
}

/// Numbers that look random (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn id(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn double(&mut self, limit: f64) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 20) * limit
    }
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        key_strindex: 0,
    }
}

fn string(key: &str, value: impl Into<String>) -> KeyValue {
    key_value(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: u64) -> KeyValue {
    key_value(key, Value::IntValue(value as i64))
}

fn resource(index: usize) -> Resource {
    const SERVICES: [&str; RESOURCES] = ["checkout", "cart", "frontend", "payment", "shipping"];
    Resource {
        attributes: vec![
            string("service.name", SERVICES[index]),
            string("service.namespace", "shop"),
            string("service.instance.id", format!("pod-7f9c{index:04}")),
            string("telemetry.sdk.language", "go"),
        ],
        dropped_attributes_count: 0,
        entity_refs: Vec::new(),
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "go.opentelemetry.io/contrib/net/http".into(),
        version: "0.63.0".into(),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
    }
}

fn span(random: &mut Random) -> Span {
    let start = START + random.below(1_000_000_000_000);
    let order = random.below(1_000_000);
    Span {
        trace_id: random.id(16),
        span_id: random.id(8),
        trace_state: String::new(),
        parent_span_id: random.id(8),
        flags: 257,
        name: "GET /api/orders/{id}".into(),
        kind: 2 + random.below(2) as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start + random.below(900_000_000),
        attributes: vec![
            string("http.request.method", random.of(&["GET", "PUT", "POST"])),
            string("url.path", format!("/api/orders/{order:06}")),
            int("http.response.status_code", 200 + random.below(4) * 100),
            string("http.route", "/api/orders/{id}"),
            string(
                "server.address",
                random.of(&["shop.example.com", "api2.example.com"]),
            ),
            int("server.port", 8443),
            string(
                "client.address",
                format!("10.{}.0.7", 10 + random.below(90)),
            ),
            string(
                "user_agent.original",
                "okhttp/4.12.0 (Android 15; Pixel 9a)",
            ),
            key_value("app.cache.hit", Value::BoolValue(random.below(2) == 0)),
            key_value("app.cart.total", Value::DoubleValue(random.double(500.0))),
        ],
        dropped_attributes_count: 0,
        events: Vec::new(),
        dropped_events_count: 0,
        links: Vec::new(),
        dropped_links_count: 0,
        status: Some(Status {
            message: String::new(),
            code: random.below(3) as i32,
        }),
    }
}

fn log_record(random: &mut Random) -> LogRecord {
    let time = START + random.below(1_000_000_000_000);
    let order = random.below(1_000_000);
    let body = format!("order {order} was accepted by the payment provider");
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time + random.below(1_000_000),
        severity_number: 9,
        severity_text: random.of(&["INFO", "WARN"]).into(),
        body: Some(AnyValue {
            value: Some(Value::StringValue(body)),
        }),
        attributes: vec![
            string("log.logger", "com.example.orders.OrderService"),
            string("thread.name", format!("http-worker-{}", random.below(32))),
            string("http.request.method", random.of(&["GET", "PUT", "POST"])),
            int("order.id", order),
            int("duration_ms", random.below(2_000)),
        ],
        dropped_attributes_count: 0,
        flags: 1,
        trace_id: random.id(16),
        span_id: random.id(8),
        event_name: String::new(),
    }
}

fn point_attributes(random: &mut Random) -> Vec<KeyValue> {
    vec![
        string("http.request.method", random.of(&["GET", "PUT", "POST"])),
        int("http.response.status_code", 200 + random.below(4) * 100),
        string("http.route", format!("/api/route/{}", random.below(40))),
        string("server.address", "shop.example.com"),
    ]
}

fn metric_of(random: &mut Random, kind: usize, points: usize) -> Metric {
    let (name, unit, data) = match kind % 5 {
        0 => ("http.server.requests", "{request}", sum(random, points)),
        1 => ("process.memory.usage", "By", gauge(random, points)),
        2 => (
            "http.server.request.duration",
            "s",
            histogram(random, points),
        ),
        3 => ("rpc.server.duration", "ms", exponential(random, points)),
        _ => ("gc.pause", "ms", summary(random, points)),
    };
    Metric {
        name: name.into(),
        description: "What the name says, over the life of the process.".into(),
        unit: unit.into(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn repeat<T>(points: usize, point: impl FnMut(usize) -> T) -> Vec<T> {
    (0..points).map(point).collect()
}

fn number_point(random: &mut Random, value: number_data_point::Value) -> NumberDataPoint {
    NumberDataPoint {
        attributes: point_attributes(random),
        start_time_unix_nano: START,
        time_unix_nano: START + random.below(1_000_000_000_000),
        exemplars: Vec::new(),
        flags: 0,
        value: Some(value),
    }
}

fn sum(random: &mut Random, points: usize) -> Data {
    Data::Sum(Sum {
        data_points: repeat(points, |_| {
            let value = random.below(1_000_000) as i64;
            number_point(random, number_data_point::Value::AsInt(value))
        }),
        aggregation_temporality: 2,
        is_monotonic: true,
    })
}

fn gauge(random: &mut Random, points: usize) -> Data {
    Data::Gauge(Gauge {
        data_points: repeat(points, |_| {
            let value = random.double(1e9);
            number_point(random, number_data_point::Value::AsDouble(value))
        }),
    })
}

fn histogram(random: &mut Random, points: usize) -> Data {
    const BOUNDS: [f64; 14] = [
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    ];
    Data::Histogram(Histogram {
        data_points: repeat(points, |_| {
            let bucket_counts: Vec<u64> = (0..=BOUNDS.len()).map(|_| random.below(900)).collect();
            HistogramDataPoint {
                attributes: point_attributes(random),
                start_time_unix_nano: START,
                time_unix_nano: START + random.below(1_000_000_000_000),
                count: bucket_counts.iter().sum(),
                sum: Some(random.double(1e4)),
                bucket_counts,
                explicit_bounds: BOUNDS.to_vec(),
                exemplars: Vec::new(),
                flags: 0,
                min: Some(random.double(0.01)),
                max: Some(10.0 + random.double(10.0)),
            }
        }),
        aggregation_temporality: 2,
    })
}

fn exponential(random: &mut Random, points: usize) -> Data {
    Data::ExponentialHistogram(ExponentialHistogram {
        data_points: repeat(points, |_| {
            let bucket_counts: Vec<u64> = (0..40).map(|_| random.below(300)).collect();
            ExponentialHistogramDataPoint {
                attributes: point_attributes(random),
                start_time_unix_nano: START,
                time_unix_nano: START + random.below(1_000_000_000_000),
                count: bucket_counts.iter().sum::<u64>() + 3,
                sum: Some(random.double(1e5)),
                scale: 3,
                zero_count: 3,
                positive: Some(Buckets {
                    offset: -12,
                    bucket_counts,
                }),
                negative: None,
                flags: 0,
                exemplars: Vec::new(),
                min: Some(random.double(0.01)),
                max: Some(10.0 + random.double(10.0)),
                zero_threshold: 1e-9,
            }
        }),
        aggregation_temporality: 2,
    })
}

fn summary(random: &mut Random, points: usize) -> Data {
    Data::Summary(Summary {
        data_points: repeat(points, |_| SummaryDataPoint {
            attributes: point_attributes(random),
            start_time_unix_nano: START,
            time_unix_nano: START + random.below(1_000_000_000_000),
            count: random.below(10_000),
            sum: random.double(1e5),
            quantile_values: [0.5, 0.9, 0.99]
                .map(|quantile| ValueAtQuantile {
                    quantile,
                    value: random.double(100.0),
                })
                .to_vec(),
            flags: 0,
        }),
    })
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn spans_of_the_corpus_weigh_439_bytes() {
        let request = realistic_traces(100).encode_to_vec();
        assert_eq!(request.len().div_ceil(100), 439);
    }

    #[test]
    fn corpora_have_as_many_items_as_asked_for() {
        for count in [0, 1, 4, 5, 7, 103] {
            let traces = super::super::Request::Traces(realistic_traces(count));
            let logs = super::super::Request::Logs(realistic_logs(count));
            let metrics = super::super::Request::Metrics(realistic_metrics(count));
            assert_eq!([traces.items(), logs.items(), metrics.items()], [count; 3]);
        }
    }
}
