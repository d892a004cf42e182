//! Protobuf, read with prost.

use std::sync::Arc;

use prost::Message;

use super::*;
use crate::prometheus::config::Keys;
use crate::prometheus::ingest;
use crate::prometheus::naming::Escaping;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1 as otlp;
use tidegate_component::BuildContext;
use tidegate_pdata::{Payload, Segment, Signal};

/// `io.prometheus.client`, as far as it is written.
mod client {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct LabelPair {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Time {
        #[prost(int64, tag = "1")]
        pub(super) seconds: i64,
        #[prost(int32, tag = "2")]
        pub(super) nanos: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(super) label: Vec<LabelPair>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(message, optional, tag = "3")]
        pub(super) timestamp: Option<Time>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Gauge {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Counter {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(message, optional, tag = "2")]
        pub(super) exemplar: Option<Exemplar>,
        #[prost(message, optional, tag = "3")]
        pub(super) created: Option<Time>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Pair {
        #[prost(double, tag = "1")]
        pub(super) quantile: f64,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Summary {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "2")]
        pub(super) sum: f64,
        #[prost(message, repeated, tag = "3")]
        pub(super) quantile: Vec<Pair>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Bucket {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "2")]
        pub(super) bound: f64,
        #[prost(message, optional, tag = "3")]
        pub(super) exemplar: Option<Exemplar>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Span {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "2")]
        pub(super) sum: f64,
        #[prost(message, repeated, tag = "3")]
        pub(super) bucket: Vec<Bucket>,
        #[prost(sint32, tag = "5")]
        pub(super) schema: i32,
        #[prost(double, tag = "6")]
        pub(super) zero_threshold: f64,
        #[prost(uint64, tag = "7")]
        pub(super) zero_count: u64,
        #[prost(message, repeated, tag = "9")]
        pub(super) negative_span: Vec<Span>,
        #[prost(sint64, repeated, packed = "false", tag = "10")]
        pub(super) negative_delta: Vec<i64>,
        #[prost(message, repeated, tag = "12")]
        pub(super) positive_span: Vec<Span>,
        #[prost(sint64, repeated, packed = "false", tag = "13")]
        pub(super) positive_delta: Vec<i64>,
        #[prost(message, optional, tag = "15")]
        pub(super) created: Option<Time>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub(super) label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        pub(super) gauge: Option<Gauge>,
        #[prost(message, optional, tag = "3")]
        pub(super) counter: Option<Counter>,
        #[prost(message, optional, tag = "4")]
        pub(super) summary: Option<Summary>,
        #[prost(int64, tag = "6")]
        pub(super) timestamp_ms: i64,
        #[prost(message, optional, tag = "7")]
        pub(super) histogram: Option<Histogram>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct MetricFamily {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) help: String,
        #[prost(int32, tag = "3")]
        pub(super) kind: i32,
        #[prost(message, repeated, tag = "4")]
        pub(super) metric: Vec<Metric>,
    }
}

use client::{MetricFamily, Span};

fn families(data: Vec<otlp::metric::Data>) -> Vec<MetricFamily> {
    let keys: Keys = serde_json::from_str(
        r#"{"without_scope_info": true, "send_timestamps": true, "translation_strategy": "NoTranslation"}"#,
    )
    .unwrap();
    let settings = keys.settings().unwrap();
    let cx = BuildContext::detached("exporter", "prometheus".parse().unwrap());
    let store = Store::new(settings, &cx);
    let metrics = data.into_iter().enumerate().map(|(at, data)| otlp::Metric {
        name: format!("m.{at}"),
        description: "What it \"says\".".to_owned(),
        data: Some(data),
        ..otlp::Metric::default()
    });
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![otlp::ResourceMetrics {
            scope_metrics: vec![otlp::ScopeMetrics {
                metrics: metrics.collect(),
                ..otlp::ScopeMetrics::default()
            }],
            ..otlp::ResourceMetrics::default()
        }],
    };
    let segment = Segment::new(request.encode_to_vec().into(), 1, None);
    let taken = ingest::take(&store, &Payload::from_segment(Signal::Metrics, segment));
    assert_eq!(taken.rejected, 0);
    let style = Style {
        exposition: Exposition {
            format: Format::Protobuf,
            escaping: Escaping::AllowUtf8,
        },
        timestamps: true,
    };
    let mut scrape = Scrape::new(Arc::new(store), style);
    let pieces: Vec<_> = std::iter::from_fn(|| scrape.piece()).collect();
    let mut bytes = &pieces.concat()[..];
    std::iter::from_fn(|| {
        (!bytes.is_empty()).then(|| MetricFamily::decode_length_delimited(&mut bytes).unwrap())
    })
    .collect()
}

fn point() -> otlp::NumberDataPoint {
    otlp::NumberDataPoint {
        attributes: vec![KeyValue {
            key: "a.b".to_owned(),
            value: Some(AnyValue {
                value: Some(any_value::Value::StringValue("x\"y\nz".to_owned())),
            }),
            ..KeyValue::default()
        }],
        start_time_unix_nano: 1_000_000_007,
        time_unix_nano: 5_000_000_000,
        value: Some(otlp::number_data_point::Value::AsDouble(2.5)),
        exemplars: vec![otlp::Exemplar {
            span_id: vec![0xab; 8],
            time_unix_nano: 2_000_000_000,
            value: Some(otlp::exemplar::Value::AsInt(3)),
            ..otlp::Exemplar::default()
        }],
        ..otlp::NumberDataPoint::default()
    }
}

#[test]
fn numbers_carry_labels_times_and_exemplars() {
    let read = families(vec![
        otlp::metric::Data::Gauge(otlp::Gauge {
            data_points: vec![point()],
        }),
        otlp::metric::Data::Sum(otlp::Sum {
            data_points: vec![point()],
            aggregation_temporality: 2,
            is_monotonic: true,
        }),
    ]);
    let [gauge, counter] = &read[..] else {
        panic!("{read:?}")
    };
    assert_eq!((gauge.name.as_str(), gauge.kind), ("m.0", 1));
    assert_eq!(gauge.help, "What it \"says\".");
    let label = &gauge.metric[0].label[0];
    assert_eq!(
        (label.name.as_str(), label.value.as_str()),
        ("a.b", "x\"y\nz")
    );
    assert_eq!(gauge.metric[0].gauge.as_ref().unwrap().value, 2.5);
    assert_eq!(gauge.metric[0].timestamp_ms, 5000);
    assert_eq!(counter.kind, 0);
    let counter = counter.metric[0].counter.as_ref().unwrap();
    let created = counter.created.as_ref().unwrap();
    assert_eq!((counter.value, created.seconds, created.nanos), (2.5, 1, 7));
    let exemplar = counter.exemplar.as_ref().unwrap();
    assert_eq!((exemplar.value, exemplar.label.len()), (3.0, 1));
    assert_eq!(exemplar.label[0].value, "abababababababab");
    assert_eq!(exemplar.timestamp.as_ref().unwrap().seconds, 2);
}

#[test]
fn exponential_buckets_become_spans_and_differences() {
    let sides = |offset, counts: &[u64]| {
        Some(otlp::exponential_histogram_data_point::Buckets {
            offset,
            bucket_counts: counts.to_vec(),
        })
    };
    let read = families(vec![otlp::metric::Data::ExponentialHistogram(
        otlp::ExponentialHistogram {
            data_points: vec![otlp::ExponentialHistogramDataPoint {
                count: 16,
                sum: Some(12.0),
                scale: 3,
                zero_count: 2,
                start_time_unix_nano: 1_000_000_001,
                positive: sides(-3, &[1, 0, 0, 4, 3, 0, 0, 0, 2]),
                negative: sides(2, &[4]),
                ..otlp::ExponentialHistogramDataPoint::default()
            }],
            aggregation_temporality: 2,
        },
    )]);
    assert_eq!(read[0].kind, 4);
    let histogram = read[0].metric[0].histogram.as_ref().unwrap();
    assert_eq!((histogram.count, histogram.sum), (16, 12.0));
    assert_eq!((histogram.schema, histogram.zero_count), (3, 2));
    assert_eq!(histogram.zero_threshold, 1e-128);
    let span = |offset, length| Span { offset, length };
    // Two empty buckets are written as such, three end a span.
    assert_eq!(histogram.positive_span, [span(-2, 5), span(3, 1)]);
    assert_eq!(histogram.positive_delta, [1, -1, 0, 4, -1, -1]);
    assert_eq!(histogram.negative_span, [span(3, 1)]);
    assert_eq!(histogram.negative_delta, [4]);
    assert_eq!(histogram.created.as_ref().unwrap().nanos, 1);
}

#[test]
fn buckets_are_accumulated_and_summaries_whole() {
    let read = families(vec![
        otlp::metric::Data::Histogram(otlp::Histogram {
            data_points: vec![otlp::HistogramDataPoint {
                count: 7,
                sum: Some(1.5),
                bucket_counts: vec![1, 2, 4],
                explicit_bounds: vec![0.5, 1.0],
                exemplars: vec![otlp::Exemplar {
                    value: Some(otlp::exemplar::Value::AsDouble(9.0)),
                    ..otlp::Exemplar::default()
                }],
                ..otlp::HistogramDataPoint::default()
            }],
            aggregation_temporality: 2,
        }),
        otlp::metric::Data::Summary(otlp::Summary {
            data_points: vec![otlp::SummaryDataPoint {
                count: 3,
                sum: 4.5,
                quantile_values: vec![otlp::summary_data_point::ValueAtQuantile {
                    quantile: 0.5,
                    value: 1.5,
                }],
                ..otlp::SummaryDataPoint::default()
            }],
        }),
    ]);
    let histogram = read[0].metric[0].histogram.as_ref().unwrap();
    let buckets: Vec<_> = histogram
        .bucket
        .iter()
        .map(|b| (b.count, b.bound))
        .collect();
    assert_eq!(buckets, [(1, 0.5), (3, 1.0), (7, f64::INFINITY)]);
    assert!(histogram.bucket[2].exemplar.is_some());
    assert_eq!(histogram.created, None);
    let summary = read[1].metric[0].summary.as_ref().unwrap();
    assert_eq!((summary.count, summary.sum), (3, 4.5));
    assert_eq!(
        (summary.quantile[0].quantile, summary.quantile[0].value),
        (0.5, 1.5)
    );
}
