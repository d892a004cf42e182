//! What is written, of what, and what comes of the answers.

mod peer;
mod schema;
mod sending;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    Summary, SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;
use tidegate_component::testing::{hostile, odd, realistic};
use tidegate_pdata::{Payload, Segment, Signal};

use super::*;
use crate::otlp::testing::config;
use schema::Written;

/// A second, in nanoseconds, and a time in milliseconds that the tests write at.
const SECOND: u64 = 1_000_000_000;
const AT: u64 = 1_700_000_000 * SECOND;
const MS: i64 = 1_700_000_000_000;

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let attribute = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue((*value).to_owned())),
        }),
        ..KeyValue::default()
    };
    pairs.iter().map(attribute).collect()
}

fn number(value: f64, pairs: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(pairs),
        start_time_unix_nano: AT - 60 * SECOND,
        time_unix_nano: AT,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: format!("about {name}"),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn counter(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    sum(name, points, AggregationTemporality::Cumulative)
}

fn sum(name: &str, points: Vec<NumberDataPoint>, temporality: AggregationTemporality) -> Metric {
    let sum = Sum {
        data_points: points,
        aggregation_temporality: temporality.into(),
        is_monotonic: true,
    };
    metric(name, "", Data::Sum(sum))
}

fn gauge(name: &str, unit: &str, points: Vec<NumberDataPoint>) -> Metric {
    let data_points = points;
    metric(name, unit, Data::Gauge(Gauge { data_points }))
}

fn classic(points: Vec<HistogramDataPoint>) -> Metric {
    let histogram = Histogram {
        data_points: points,
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
    };
    metric("http.duration", "s", Data::Histogram(histogram))
}

/// The metrics of a shop.
fn request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope = InstrumentationScope {
        name: "lib".to_owned(),
        version: "1".to_owned(),
        ..InstrumentationScope::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: attributes(&[
                    ("service.name", "cart"),
                    ("service.namespace", "shop"),
                    ("service.instance.id", "i-1"),
                    ("host.name", "node"),
                ]),
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn payload(metrics: Vec<Metric>) -> Payload {
    let bytes = request(metrics).encode_to_vec();
    Payload::admit(Signal::Metrics, bytes.into(), None)
        .unwrap()
        .payload
}

/// What keys make of metrics: everything written, and the points that were rejected.
fn written_of(keys: &str, payload: &Payload) -> (Written, u64) {
    let config: Config = config(&format!("{{endpoint: 'http://a', {keys}}}"));
    let plan = config.plan().unwrap();
    let converted = plan.convert(payload, MS);
    let mut written = Written::default();
    for request in &converted.requests {
        let body: Vec<u8> = request
            .body
            .iter()
            .flat_map(|piece| piece.to_vec())
            .collect();
        written.read(&body, plan.version);
    }
    (written, converted.rejected.total())
}

fn written(keys: &str, metrics: Vec<Metric>) -> Written {
    written_of(keys, &payload(metrics)).0
}

#[test]
fn labels_are_those_of_the_exposition_in_the_order_of_their_names() {
    let metrics = vec![counter(
        "http.requests",
        vec![number(
            17.0,
            &[
                ("http.route", "/"),
                ("Code", "200"),
                ("empty", ""),
                ("a-b", "1"),
                ("a.b", "2"),
            ],
        )],
    )];
    let found = written("external_labels: {region: eu, http.route: no}", metrics);
    let names: Vec<String> = found.series.keys().cloned().collect();
    assert_eq!(
        names,
        [
            r#"Code="200",__name__="http_requests_total",a_b="1;2",http_route="/",instance="i-1",job="shop/cart",otel_scope_name="lib",otel_scope_version="1",region="eu""#,
            r#"__name__="target_info",host_name="node",http_route="no",instance="i-1",job="shop/cart",region="eu""#,
        ]
    );
    assert_eq!(found.numbers("http_requests_total"), [(MS, 17.0)]);
    assert_eq!(found.numbers("target_info"), [(MS, 1.0)]);
}

#[test]
fn keys_change_names_and_labels() {
    let metrics = || vec![gauge("queue.size", "By", vec![number(1.0, &[("a", "1")])])];
    for (keys, expected) in [
        (
            "namespace: shop, disable_scope_info: true, target_info: {enabled: false}",
            r#"__name__="shop_queue_size_bytes",a="1",instance="i-1",job="shop/cart""#,
        ),
        (
            "add_metric_suffixes: false, disable_scope_info: true, target_info: {enabled: false}",
            r#"__name__="queue_size",a="1",instance="i-1",job="shop/cart""#,
        ),
        (
            "translation_strategy: NoTranslation, disable_scope_info: true, target_info: {enabled: false}",
            r#"__name__="queue.size",a="1",instance="i-1",job="shop/cart""#,
        ),
        (
            "disable_scope_info: true, target_info: {enabled: false}, resource_to_telemetry_conversion: {enabled: true, exclude_service_attributes: true}",
            r#"__name__="queue_size_bytes",a="1",host_name="node",instance="i-1",job="shop/cart""#,
        ),
        (
            "disable_scope_info: true, target_info: {enabled: false}, resource_to_telemetry_conversion: {enabled: true}",
            r#"__name__="queue_size_bytes",a="1",host_name="node",instance="i-1",job="shop/cart",service_instance_id="i-1",service_name="cart",service_namespace="shop""#,
        ),
    ] {
        let found = written(keys, metrics());
        let names: Vec<&String> = found.series.keys().collect();
        assert_eq!(names, [expected], "{keys}");
    }
}

fn histogram_point() -> HistogramDataPoint {
    HistogramDataPoint {
        start_time_unix_nano: AT - SECOND,
        time_unix_nano: AT,
        count: 6,
        sum: Some(1.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 1_000_000.0],
        exemplars: vec![Exemplar {
            time_unix_nano: AT,
            value: Some(exemplar::Value::AsDouble(0.7)),
            trace_id: vec![0xab; 16],
            span_id: vec![0xcd; 8],
            filtered_attributes: attributes(&[("user", "u")]),
        }],
        ..HistogramDataPoint::default()
    }
}

#[test]
fn histograms_become_buckets_a_sum_and_a_count() {
    let found = written(
        "target_info: {enabled: false}",
        vec![classic(vec![histogram_point()])],
    );
    let bucket = |le: &str| found.with("http_duration_seconds_bucket", &format!("le=\"{le}\""));
    for (le, count) in [("0.5", 1.0), ("1000000", 3.0), ("+Inf", 6.0)] {
        assert_eq!(bucket(le).numbers(), [(MS, count)], "{le}");
    }
    assert_eq!(found.numbers("http_duration_seconds_sum"), [(MS, 1.5)]);
    assert_eq!(found.numbers("http_duration_seconds_count"), [(MS, 6.0)]);
    let id = "ab".repeat(16);
    assert_eq!(
        bucket("1000000").exemplars,
        [(
            format!(r#"span_id="{}",trace_id="{id}",user="u""#, "cd".repeat(8)),
            0.7,
            MS
        )]
    );
    assert!(bucket("0.5").exemplars.is_empty() && bucket("+Inf").exemplars.is_empty());
}

#[test]
fn attributes_of_an_exemplar_that_are_too_long_are_left_out() {
    let mut point = histogram_point();
    point.exemplars[0].filtered_attributes = attributes(&[("url", &"x".repeat(100))]);
    let found = written("", vec![classic(vec![point])]);
    let exemplars = &found
        .with("http_duration_seconds_bucket", "le=\"1000000\"")
        .exemplars;
    assert!(!exemplars[0].0.contains("url"), "{exemplars:?}");
    assert!(exemplars[0].0.contains("trace_id"), "{exemplars:?}");
}

#[test]
fn summaries_become_quantiles_a_sum_and_a_count() {
    let point = SummaryDataPoint {
        time_unix_nano: AT,
        count: 3,
        sum: 6.0,
        quantile_values: vec![ValueAtQuantile {
            quantile: 0.99,
            value: 4.0,
        }],
        ..SummaryDataPoint::default()
    };
    let summary = Summary {
        data_points: vec![point],
    };
    let found = written("", vec![metric("s", "", Data::Summary(summary))]);
    assert_eq!(found.with("s", "quantile=\"0.99\"").numbers(), [(MS, 4.0)]);
    assert_eq!(found.numbers("s_sum"), [(MS, 6.0)]);
    assert_eq!(found.numbers("s_count"), [(MS, 3.0)]);
}

fn exponential(flags: u32) -> Metric {
    let point = ExponentialHistogramDataPoint {
        start_time_unix_nano: AT - SECOND,
        time_unix_nano: AT,
        count: 7,
        sum: Some(9.0),
        scale: 1,
        zero_count: 1,
        positive: Some(Buckets {
            offset: -1,
            bucket_counts: vec![2, 0, 0, 0, 3],
        }),
        negative: Some(Buckets {
            offset: 0,
            bucket_counts: vec![1],
        }),
        flags,
        ..ExponentialHistogramDataPoint::default()
    };
    let histogram = ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
    };
    metric("rpc", "", Data::ExponentialHistogram(histogram))
}

#[test]
fn exponential_histograms_become_native_ones_in_both_versions() {
    for keys in ["", "protobuf_message: io.prometheus.write.v2.Request"] {
        let found = written(keys, vec![exponential(0)]);
        let native = &found.with("rpc", "").natives[0];
        assert_eq!(
            (native.count_int, native.zero_count_int),
            (Some(7), Some(1))
        );
        assert_eq!((native.sum, native.schema), (9.0, 1));
        assert_eq!((native.timestamp, native.zero_threshold), (MS, 1e-128));
        // Prometheus's bucket of index i ends where OTLP's of index i - 1 does; three empty ones are a gap.
        let spans = |spans: &[schema::Span]| -> Vec<(i32, u32)> {
            spans
                .iter()
                .map(|span| (span.offset, span.length))
                .collect()
        };
        assert_eq!(spans(&native.positive_spans), [(0, 1), (3, 1)]);
        assert_eq!(native.positive_deltas, [2, 1]);
        assert_eq!(spans(&native.negative_spans), [(1, 1)]);
        assert_eq!(native.negative_deltas, [1]);
    }
}

#[test]
fn points_without_a_value_end_their_series() {
    let mut point = number(0.0, &[]);
    point.flags = 1;
    point.value = None;
    let mut buckets = histogram_point();
    (buckets.flags, buckets.sum) = (1, None);
    buckets.exemplars.clear();
    let metrics = vec![
        counter("c", vec![point]),
        classic(vec![buckets]),
        exponential(1),
    ];
    let found = written("target_info: {enabled: false}", metrics);
    assert_eq!(found.series.len(), 1 + 5 + 1);
    for (labels, series) in &found.series {
        let numbers = series.samples.iter().map(|(_, bits, _)| *bits);
        let natives = series.natives.iter().map(|native| native.sum.to_bits());
        let all: Vec<u64> = numbers.chain(natives).collect();
        assert_eq!(all, [0x7ff0_0000_0000_0002], "{labels}");
    }
}

#[test]
fn deltas_are_rejected_and_the_rest_is_written() {
    let delta = sum(
        "d",
        vec![number(1.0, &[]), number(2.0, &[("a", "1")])],
        AggregationTemporality::Delta,
    );
    let metrics = vec![
        delta,
        counter("c", vec![number(1.0, &[])]),
        gauge("", "", vec![number(1.0, &[])]),
    ];
    let (found, rejected) = written_of("", &payload(metrics));
    assert_eq!(rejected, 3);
    assert_eq!(found.series.len(), 2);
}

#[test]
fn samples_of_one_series_are_together_in_the_order_of_time() {
    let at = |seconds: u64, value| NumberDataPoint {
        time_unix_nano: AT + seconds * SECOND,
        ..number(value, &[])
    };
    let metrics = vec![
        counter("c", vec![at(2, 3.0), at(0, 1.0)]),
        counter("c", vec![at(1, 2.0), at(1, 2.5)]),
    ];
    let found = written("", metrics);
    assert_eq!(
        found.numbers("c_total"),
        [(MS, 1.0), (MS + 1000, 2.5), (MS + 2000, 3.0)]
    );
    // Without a time it is that of the conversion.
    let point = NumberDataPoint {
        time_unix_nano: 0,
        ..number(1.0, &[])
    };
    assert_eq!(
        written("", vec![counter("c", vec![point])]).numbers("c_total"),
        [(MS, 1.0)]
    );
}

#[test]
fn the_second_version_has_metadata_and_start_times() {
    let metrics = || {
        vec![
            counter("c", vec![number(1.0, &[])]),
            gauge("g", "By/s", vec![number(1.0, &[])]),
        ]
    };
    let found = written(
        "protobuf_message: io.prometheus.write.v2.Request",
        metrics(),
    );
    let c = found.with("c_total", "");
    assert_eq!(c.metadata, Some((1, "about c".to_owned(), String::new())));
    assert_eq!(c.samples[0].2, MS - 60_000);
    assert_eq!(c.created, MS - 60_000);
    let g = found.with("g_bytes_per_second", "");
    assert_eq!(
        g.metadata,
        Some((2, "about g".to_owned(), "bytes_per_second".to_owned()))
    );
    assert_eq!((g.samples[0].2, g.created), (0, 0));
    let one = written("send_metadata: true", metrics());
    assert_eq!(
        one.families["g_bytes_per_second"],
        (2, "about g".to_owned(), "bytes_per_second".to_owned())
    );
    assert!(written("", metrics()).families.is_empty());
}

#[test]
fn large_batches_are_cut_into_requests_that_share_no_series() {
    let points = (0..500)
        .map(|at| number(f64::from(at), &[("at", &at.to_string())]))
        .collect();
    let payload = payload(vec![counter("c", points)]);
    let whole = written_of("", &payload).0;
    for version in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
        let keys =
            format!("max_batch_size_bytes: 2000, protobuf_message: {version}, send_metadata: true");
        let config: Config = config(&format!("{{endpoint: 'http://a', {keys}}}"));
        let converted = config.plan().unwrap().convert(&payload, MS);
        assert!(converted.requests.len() > 10);
        for request in &converted.requests {
            let size: usize = request.body.iter().map(bytes::Bytes::len).sum();
            assert!(size <= 2000, "{size}");
        }
        let parts = written_of(&keys, &payload).0;
        assert_eq!(parts.twice, 0);
        assert!(parts.series.keys().eq(whole.series.keys()));
    }
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    for (keys, path) in [
        ("{}", "endpoint"),
        ("{endpoint: 'prometheus:9090'}", "endpoint"),
        ("{http: {headers: {a: b}}}", "http::endpoint"),
        ("{endpoint: 'http://a', compression: gzip}", "compression"),
        (
            "{endpoint: 'http://a', external_labels: {a: ''}}",
            "external_labels",
        ),
        (
            "{endpoint: 'http://a', external_labels: {_: a}}",
            "external_labels",
        ),
        (
            "{endpoint: 'http://a', remote_write_queue: {queue_size: 0}}",
            "remote_write_queue::queue_size",
        ),
        (
            "{endpoint: 'http://a', max_batch_request_parallelism: 0}",
            "max_batch_request_parallelism",
        ),
    ] {
        let cx = BuildContext::detached("exporter", Config::TYPE.parse().unwrap());
        let error = config::<Config>(keys).build(&cx).unwrap_err();
        assert_eq!(error.path, path, "{keys}: {error}");
    }
}

#[test]
fn its_queue_is_the_deliverys() {
    let shaped = |keys: &str, delivery: &str| {
        let mut found: Delivery = {
            let node = tidegate_document::yaml::parse_str(delivery).unwrap();
            tidegate_document::read(&node).unwrap()
        };
        config::<Config>(keys).shape_delivery(&mut found);
        let queue = found.sending_queue.unwrap();
        (
            queue.enabled,
            queue.queue_size,
            found.timeout.map(|time| time.as_secs()),
        )
    };
    assert_eq!(shaped("{}", "{}"), (None, Some(10_000), None));
    assert_eq!(
        shaped(
            "{remote_write_queue: {enabled: false, queue_size: 5}, http: {timeout: 7s}}",
            "{}"
        ),
        (Some(false), Some(5), Some(7))
    );
    assert_eq!(
        shaped(
            "{remote_write_queue: {queue_size: 5}, http: {timeout: 7s}}",
            "{sending_queue: {enabled: true, queue_size: 3}, timeout: 1s}"
        ),
        (Some(true), Some(3), Some(1))
    );
    assert_eq!(
        shaped("{}", "{sending_queue: {storage: file_storage}}").1,
        None
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_both_versions_say_the_same(seed in any::<u64>(), sort in 0..3) {
        let payload = match sort {
            0 => realistic(Signal::Metrics, 50),
            1 => odd(Signal::Metrics, seed),
            _ => hostile(Signal::Metrics, seed),
        };
        let (one, rejected) = written_of("", &payload);
        let second = "protobuf_message: io.prometheus.write.v2.Request, max_batch_size_bytes: 300";
        let (two, _) = written_of(second, &payload);
        prop_assert!(rejected <= payload.items() as u64);
        prop_assert!(one.series.keys().eq(two.series.keys()));
        for (labels, series) in &one.series {
            let other = &two.series[labels];
            let plain = |series: &schema::Series| -> Vec<(i64, u64)> {
                series.samples.iter().map(|(time, bits, _)| (*time, *bits)).collect()
            };
            prop_assert_eq!(plain(series), plain(other));
            prop_assert_eq!(series.exemplars.len(), other.exemplars.len());
            prop_assert_eq!(series.natives.len(), other.natives.len());
            let sorted = series.samples.is_sorted_by(|a, b| a.0 < b.0);
            prop_assert!(sorted, "{}", labels);
            let names: Vec<&str> = series.names.iter().map(String::as_str).collect();
            prop_assert!(names.is_sorted_by(|a, b| a < b), "{:?}", names);
        }
    }
}

/// A batch of metrics for the exporter.
fn batch(metrics: Vec<Metric>) -> Batch {
    let mut whole = Payload::empty(Signal::Metrics);
    for segment in payload(metrics).into_segments() {
        whole.push(Segment::new(segment.bytes().clone(), segment.items(), None));
    }
    Batch::new(
        whole,
        Context::default(),
        tidegate_pdata::Receipt::default(),
    )
}
