use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
};
use prost::Message;
use tidegate_component::testing::{ProcessorBench, read};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::{Payload, Signal};

use super::Config;

/// Points of one counter, each with a time and a value.
fn counter(name: &str, points: &[(u64, i64)]) -> Payload {
    let point = |(time, value): &(u64, i64)| NumberDataPoint {
        time_unix_nano: *time,
        value: Some(Value::AsInt(*value)),
        ..NumberDataPoint::default()
    };
    let metric = Metric {
        name: name.to_owned(),
        data: Some(metric::Data::Sum(Sum {
            data_points: points.iter().map(point).collect(),
            aggregation_temporality: 2,
            is_monotonic: true,
        })),
        ..Metric::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    let bytes = request.encode_to_vec().into();
    Payload::admit(Signal::Metrics, bytes, None)
        .unwrap()
        .payload
}

fn bench(yaml: &str) -> ProcessorBench {
    ProcessorBench::new::<Config>(yaml, Signal::Metrics)
}

/// The values emitted by a bench since the last call.
fn values(bench: &mut ProcessorBench) -> Vec<i64> {
    let mut values = Vec::new();
    for (payload, _) in bench.take_emitted() {
        for segment in payload.segments() {
            let request = ExportMetricsServiceRequest::decode(segment.bytes().clone()).unwrap();
            let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
            let Some(metric::Data::Sum(sum)) = &metric.data else {
                panic!("{metric:?}");
            };
            assert_eq!(sum.aggregation_temporality, 1);
            values.extend(sum.data_points.iter().map(|point| match point.value {
                Some(Value::AsInt(value)) => value,
                other => panic!("{other:?}"),
            }));
        }
    }
    values
}

#[tokio::test(start_paused = true)]
async fn what_was_not_seen_for_long_is_forgotten() {
    let mut bench = bench("{max_staleness: 10s, initial_value: drop}");
    bench.send(counter("a", &[(1, 10)]));
    let memory = bench.held().1;
    assert!(memory > 0);
    bench.advance(Duration::from_secs(6)).await;
    bench.send(counter("a", &[(2, 11)]));
    bench.send(counter("b", &[(2, 5)]));
    bench.advance(Duration::from_secs(6)).await;
    bench.send(counter("a", &[(3, 13)]));
    assert_eq!(values(&mut bench), [1, 2]);
    bench.advance(Duration::from_secs(30)).await;
    assert_eq!((bench.held().1, bench.deadline()), (0, None));
    bench.send(counter("a", &[(4, 20)]));
    assert_eq!(values(&mut bench), [0_i64; 0]);
    assert_eq!(bench.dropped("first_point"), 3);
}

#[tokio::test(start_paused = true)]
async fn no_more_series_are_remembered_than_there_may_be() {
    let mut bench = bench("{max_streams: 2, max_staleness: 1m, initial_value: keep}");
    for name in ["a", "b", "c", "c"] {
        bench.send(counter(name, &[(1, 1)]));
    }
    assert_eq!(bench.dropped("stream_limit"), 2);
    assert_eq!(values(&mut bench), [1, 1]);
    bench.advance(Duration::from_secs(120)).await;
    bench.send(counter("c", &[(1, 1)]));
    assert_eq!(values(&mut bench), [1]);
}

#[test]
fn late_points_and_resets_are_left_out_and_counted() {
    let mut bench = bench("initial_value: keep");
    bench.send(counter(
        "a",
        &[(5, 10), (3, 4), (6, 12), (7, 2), (8, 3), (8, 3)],
    ));
    assert_eq!(values(&mut bench), [10, 2, 1, 0]);
    assert_eq!(
        (bench.dropped("out_of_order"), bench.dropped("reset")),
        (1, 1)
    );
}

#[test]
fn what_cannot_be_matched_is_found_when_built() {
    let fault = |yaml: &str| {
        let cx = BuildContext::detached("processor", "c".parse().unwrap());
        let error = read::<Config>(yaml).build(&cx).err().unwrap();
        assert!(error.remedy.is_some(), "{yaml}");
        error.path
    };
    assert_eq!(fault("include: {metrics: [a]}"), "include");
    assert_eq!(
        fault("exclude: {match_type: strict}"),
        "exclude::match_type"
    );
    assert_eq!(
        fault("exclude: {metrics: ['('], match_type: regexp}"),
        "exclude::metrics"
    );
    assert_eq!(
        fault("include: {metric_types: [sum, gauge]}"),
        "include::metric_types::1"
    );
}
