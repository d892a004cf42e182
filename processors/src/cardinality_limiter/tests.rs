//! Points within a limit stay as they are, and those beyond it go into one.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    Sum, Summary, SummaryDataPoint, metric,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tidegate_component::metrics::Series;
use tidegate_component::testing::{ProcessorBench, read};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::{Context, Payload, Signal};

use super::Config;

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn number(user: &str, time: u64, value: i64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![attribute("user", user)],
        start_time_unix_nano: time / 2,
        time_unix_nano: time,
        value: Some(Value::AsInt(value)),
        ..NumberDataPoint::default()
    }
}

fn counter(points: Vec<NumberDataPoint>) -> metric::Data {
    metric::Data::Sum(Sum {
        data_points: points,
        aggregation_temporality: 2,
        is_monotonic: true,
    })
}

/// A request of a service with metrics.
fn request(service: &str, metrics: Vec<(&str, metric::Data)>) -> Payload {
    let metrics = metrics.into_iter().map(|(name, data)| Metric {
        name: name.to_owned(),
        data: Some(data),
        ..Metric::default()
    });
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", service)],
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                metrics: metrics.collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    let bytes = request.encode_to_vec().into();
    let admitted = Payload::admit(Signal::Metrics, bytes, None).unwrap();
    admitted.payload
}

fn bench(yaml: &str) -> ProcessorBench {
    ProcessorBench::new::<Config>(yaml, Signal::Metrics)
}

fn emitted(bench: &mut ProcessorBench) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for (payload, _) in bench.take_emitted() {
        for segment in payload.segments() {
            let request = ExportMetricsServiceRequest::decode(segment.bytes().clone()).unwrap();
            let scopes = request
                .resource_metrics
                .into_iter()
                .flat_map(|r| r.scope_metrics);
            metrics.extend(scopes.flat_map(|scope| scope.metrics));
        }
    }
    metrics
}

fn name_of(attributes: &[KeyValue]) -> String {
    let [one] = attributes else {
        panic!("{attributes:?}");
    };
    match one.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::BoolValue(true)) => format!("({})", one.key),
        other => panic!("{other:?}"),
    }
}

/// The values by user, with the times.
fn values(metrics: &[Metric]) -> BTreeMap<String, (i64, u64, u64)> {
    let mut values = BTreeMap::new();
    for metric in metrics {
        let points = match metric.data.as_ref().unwrap() {
            metric::Data::Sum(sum) => &sum.data_points,
            metric::Data::Gauge(gauge) => &gauge.data_points,
            other => panic!("{other:?}"),
        };
        for point in points {
            let Some(Value::AsInt(value)) = point.value else {
                panic!("{point:?}");
            };
            let times = (value, point.start_time_unix_nano, point.time_unix_nano);
            let before = values.insert(name_of(&point.attributes), times);
            assert_eq!(before, None, "a series has one point");
        }
    }
    values
}

const OVERFLOW: &str = "(otel.metric.overflow)";

#[tokio::test(start_paused = true)]
async fn counters_beyond_the_limit_are_added_up_in_one() {
    let mut bench = bench("limits: [{per: [metric], series: 2}]");
    let points = || {
        let users = ["a", "b", "c", "d"].iter().zip(1..);
        users
            .map(|(user, n)| number(user, 100 + n, 10 * n as i64))
            .collect::<Vec<_>>()
    };
    bench.send(request("cart", vec![("hits", counter(points()))]));
    let values = values(&emitted(&mut bench));
    assert_eq!(values["a"].0, 10);
    assert_eq!(values["b"].0, 20);
    // The sum, since the earliest start, at the latest time.
    assert_eq!(values[OVERFLOW], (70, 51, 104));
    assert_eq!(values.len(), 3);
    assert_eq!(bench.dropped("folded"), 1);
    let families = bench.context().metrics.registry().families();
    let series = &families["tidegate_cardinality_limiter_points_beyond_limit"].series;
    let hits = series
        .iter()
        .find(|(labels, _)| format!("{labels:?}").contains("hits"));
    let Some((_, Series::Counter(hits))) = hits else {
        panic!("{series:?}");
    };
    assert_eq!(hits.value(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_within_the_limit_passes_untouched() {
    let mut bench = bench("{}");
    let points = (0..2000)
        .map(|user| number(&user.to_string(), 5, 1))
        .collect();
    let payload = request("cart", vec![("hits", counter(points))]);
    let bytes = payload.segments()[0].bytes().clone();
    bench.send(payload);
    let (emitted, _) = bench.take_emitted().pop().unwrap();
    assert_eq!(emitted.segments()[0].bytes(), &bytes);
    assert_eq!(emitted.segments()[0].bytes().as_ptr(), bytes.as_ptr());
}

#[tokio::test(start_paused = true)]
async fn of_gauges_the_latest_counts_and_what_cannot_be_added_is_counted_as_lost() {
    let mut bench = bench("limits: [{per: [metric], series: 1}]");
    let gauge = metric::Data::Gauge(Gauge {
        data_points: vec![number("a", 10, 1), number("b", 30, 2), number("c", 20, 3)],
    });
    let summary = |user: &str| SummaryDataPoint {
        attributes: vec![attribute("user", user)],
        time_unix_nano: 10,
        count: 1,
        ..SummaryDataPoint::default()
    };
    let summary = metric::Data::Summary(Summary {
        data_points: vec![summary("a"), summary("b")],
    });
    bench.send(request("cart", vec![("g", gauge), ("s", summary)]));
    let metrics = emitted(&mut bench);
    let values = values(&metrics[..1]);
    assert_eq!(values[OVERFLOW].0, 2);
    assert_eq!(values["a"].0, 1);
    assert_eq!(
        (bench.dropped("folded"), bench.dropped("series_limit")),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn histograms_of_the_same_bounds_are_added_up() {
    let mut bench = bench("limits: [{per: [metric], series: 1}]");
    let point = |user: &str, bounds: &[f64]| HistogramDataPoint {
        attributes: vec![attribute("user", user)],
        time_unix_nano: 10,
        count: 3,
        sum: Some(1.5),
        bucket_counts: vec![1; bounds.len() + 1],
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    };
    let points = vec![
        point("a", &[1.0, 2.0]),
        point("b", &[1.0, 2.0]),
        point("c", &[1.0, 2.0]),
        point("d", &[3.0, 4.0]),
    ];
    let histogram = metric::Data::Histogram(Histogram {
        data_points: points,
        aggregation_temporality: 2,
    });
    bench.send(request("cart", vec![("h", histogram)]));
    let metrics = emitted(&mut bench);
    let Some(metric::Data::Histogram(of)) = &metrics[0].data else {
        panic!("{metrics:?}");
    };
    let [first, folded] = &of.data_points[..] else {
        panic!("{of:?}");
    };
    assert_eq!(name_of(&first.attributes), "a");
    assert_eq!(name_of(&folded.attributes), OVERFLOW);
    assert_eq!(
        (folded.count, folded.sum, &*folded.bucket_counts),
        (6, Some(3.0), &[2, 2, 2][..])
    );
    // The one of other bounds.
    assert_eq!(
        (bench.dropped("folded"), bench.dropped("series_limit")),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn services_and_tenants_have_limits_of_their_own() {
    let mut bench = bench(
        "limits: [{per: [service], series: 3}, {per: [metadata.X-Tenant, metric], series: 2}]",
    );
    let points = |count: u64| {
        (0..count)
            .map(|user| number(&user.to_string(), 5, 1))
            .collect()
    };
    let mut send = |tenant: &str, service: &str, name: &str| {
        let context = Context::builder().metadata("x-tenant", tenant).build();
        let payload = request(service, vec![(name, counter(points(4)))]);
        bench.send_from(payload, context);
        let values = values(&emitted(&mut bench));
        values.keys().filter(|user| *user != OVERFLOW).count()
    };
    assert_eq!(send("gold", "cart", "a"), 2);
    assert_eq!(send("gold", "cart", "b"), 1);
    assert_eq!(send("gold", "cart", "c"), 0);
    assert_eq!(send("gold", "shop", "a"), 0);
    assert_eq!(send("silver", "shop", "a"), 2);
}

#[tokio::test(start_paused = true)]
async fn series_that_went_make_room() {
    let mut bench = bench("{limits: [{per: [metric], series: 1}], window: 10s}");
    let one = |user: &str| request("cart", vec![("hits", counter(vec![number(user, 5, 1)]))]);
    let send = |bench: &mut ProcessorBench, user: &str| {
        bench.send(one(user));
        values(&emitted(bench)).into_keys().next()
    };
    assert_eq!(send(&mut bench, "a").as_deref(), Some("a"));
    assert_eq!(send(&mut bench, "b").as_deref(), Some(OVERFLOW));
    bench.advance(Duration::from_secs(25)).await;
    assert_eq!(send(&mut bench, "b").as_deref(), Some("b"));
    assert_eq!(send(&mut bench, "a").as_deref(), Some(OVERFLOW));
}

#[test]
fn keys_that_make_no_sense_are_refused() {
    let fault = |text: &str| {
        let id = "cardinality_limiter".parse().unwrap();
        let context = BuildContext::detached("processor", id);
        let error = read::<Config>(text).build(&context).err().unwrap();
        format!("{}: {error}", error.path)
    };
    assert_eq!(fault("limits: []"), "limits: nothing is limited");
    assert_eq!(
        fault("limits: [{per: [], series: 1}]"),
        "limits::0::per: nothing says what shares the limit"
    );
    assert_eq!(
        fault("limits: [{per: [metric, tenant], series: 1}]"),
        "limits::0::per::1: \"tenant\" is nothing that has series"
    );
    assert_eq!(fault("window: 0s"), "window: no series would count");
    assert!(fault("max_series: 100000000").starts_with("max_series: more than"));
}
