use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use tidegate_component::testing::{ProcessorBench, read};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::json::from_json;
use tidegate_pdata::{Payload, Signal};

use super::Config;

/// Deltas of one counter, each with a start, a time and a value.
fn counter(name: &str, points: &[(u64, u64, i64)]) -> Payload {
    let points = points.iter().map(|(start, time, value)| {
        json!({"startTimeUnixNano": start.to_string(), "timeUnixNano": time.to_string(), "asInt": value.to_string()})
    });
    let sum = json!({"aggregationTemporality": 1, "dataPoints": points.collect::<Vec<_>>()});
    payload(json!({"name": name, "sum": sum}))
}

fn payload(metric: Value) -> Payload {
    let request =
        json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).to_string();
    let bytes = from_json(Signal::Metrics, request.as_bytes(), &mut |_| true).unwrap();
    Payload::admit(Signal::Metrics, bytes.into(), None)
        .unwrap()
        .payload
}

fn bench(yaml: &str) -> ProcessorBench {
    ProcessorBench::new::<Config>(yaml, Signal::Metrics)
}

/// The metrics emitted since the last call, as JSON.
fn metrics(bench: &mut ProcessorBench) -> Vec<Value> {
    let mut metrics = Vec::new();
    for (payload, _) in bench.take_emitted() {
        for segment in payload.segments() {
            let request = ExportMetricsServiceRequest::decode(segment.bytes().clone()).unwrap();
            let scope = &request.resource_metrics[0].scope_metrics[0];
            metrics.extend(
                scope
                    .metrics
                    .iter()
                    .map(|metric| serde_json::to_value(metric).unwrap()),
            );
        }
    }
    metrics
}

/// `start..time=value` of the points emitted since the last call.
fn totals(bench: &mut ProcessorBench) -> Vec<String> {
    let mut totals = Vec::new();
    for metric in metrics(bench) {
        assert_eq!(metric["sum"]["aggregationTemporality"], 2);
        for point in metric["sum"]["dataPoints"].as_array().unwrap() {
            let field = |name: &str| point[name].as_str().unwrap().to_owned();
            let (start, time) = (field("startTimeUnixNano"), field("timeUnixNano"));
            totals.push(format!("{start}..{time}={}", field("asInt")));
        }
    }
    totals
}

#[tokio::test(start_paused = true)]
async fn totals_begin_anew_when_a_series_was_gone_for_long() {
    let mut bench = bench("max_stale: 10s");
    bench.send(counter("a", &[(1, 2, 3), (2, 4, 5)]));
    bench.advance(Duration::from_secs(8)).await;
    bench.send(counter("a", &[(4, 6, 1)]));
    assert_eq!(totals(&mut bench), ["1..2=3", "1..4=8", "1..6=9"]);
    bench.advance(Duration::from_secs(11)).await;
    bench.send(counter("a", &[(6, 8, 1)]));
    assert_eq!(totals(&mut bench), ["6..8=1"]);
    bench.advance(Duration::from_secs(60)).await;
    assert_eq!((bench.held().1, bench.deadline()), (0, None));
}

#[test]
fn what_cannot_be_added_is_left_out_and_counted() {
    let mut bench = bench("max_streams: 1");
    bench.send(counter("a", &[(5, 6, 1), (4, 7, 1), (6, 6, 1), (6, 8, 1)]));
    bench.send(counter("b", &[(5, 6, 1), (6, 7, 1)]));
    assert_eq!(totals(&mut bench), ["5..6=1", "5..8=2"]);
    let dropped = ["older_start", "out_of_order", "stream_limit"].map(|why| bench.dropped(why));
    assert_eq!(dropped, [1, 1, 2]);
}

#[test]
fn points_without_a_value_pass_and_change_nothing() {
    let mut bench = bench("{}");
    let stale = json!({"timeUnixNano": "4", "flags": 1});
    let stale = json!({"name": "a", "sum": {"aggregationTemporality": 1, "dataPoints": [stale]}});
    bench.send(counter("a", &[(1, 2, 3)]));
    bench.send(payload(stale));
    bench.send(counter("a", &[(2, 6, 3)]));
    let emitted = metrics(&mut bench);
    assert_eq!(emitted[1]["sum"]["dataPoints"][0]["flags"], 1);
    assert_eq!(emitted[2]["sum"]["dataPoints"][0]["asInt"], "6");
}

#[test]
fn buckets_of_a_total_are_at_most_160_on_a_side() {
    let mut bench = bench("{}");
    let histogram = |time: u64, offset: i32| {
        let point = json!({"timeUnixNano": time.to_string(), "count": "1", "scale": 5,
                           "positive": {"offset": offset, "bucketCounts": ["1"]}});
        json!({"name": "e", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [point]}})
    };
    bench.send(payload(histogram(1, 0)));
    bench.send(payload(histogram(2, i32::MAX)));
    bench.send(payload(histogram(3, i32::MIN)));
    let emitted = metrics(&mut bench);
    let last = &emitted[2]["exponentialHistogram"]["dataPoints"][0];
    let counts = last["positive"]["bucketCounts"].as_array().unwrap();
    let total: u64 = counts
        .iter()
        .map(|count| count.as_str().unwrap().parse::<u64>().unwrap())
        .sum();
    assert!(counts.len() <= 160, "{}", counts.len());
    assert_eq!((total, &last["count"]), (3, &json!("3")));
}

#[test]
fn a_series_that_is_forgotten_at_once_is_refused() {
    let cx = BuildContext::detached("processor", "d".parse().unwrap());
    let error = read::<Config>("max_stale: 0s").build(&cx).err().unwrap();
    assert_eq!(
        (error.path.as_str(), error.remedy.is_some()),
        ("max_stale", true)
    );
}
