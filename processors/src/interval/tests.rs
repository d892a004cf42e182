use std::time::Duration;

use serde_json::json;
use tidegate_component::testing::{ProcessorBench, read};
use tidegate_component::{BuildContext, ComponentConfig, Promise};
use tidegate_pdata::json::from_json;
use tidegate_pdata::{Outcome, Payload, Refusal, Signal};

use super::Config;

/// One point each of gauges with these names.
fn gauges(names: &[&str], time: u64) -> Payload {
    let metrics = names.iter().map(|name| {
        let point = json!({"timeUnixNano": time.to_string(), "asInt": time.to_string()});
        json!({"name": name, "gauge": {"dataPoints": [point]}})
    });
    let metrics: Vec<_> = metrics.collect();
    let request = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]});
    let request = request.to_string();
    let bytes = from_json(Signal::Metrics, request.as_bytes(), &mut |_| true).unwrap();
    Payload::admit(Signal::Metrics, bytes.into(), None)
        .unwrap()
        .payload
}

#[tokio::test(start_paused = true)]
async fn the_latest_points_go_on_once_an_interval() {
    let mut bench = ProcessorBench::new::<Config>("interval: 10s", Signal::Metrics);
    assert_eq!(bench.send(gauges(&["a", "b"], 5)), Some(Outcome::TakenOver));
    bench.send(gauges(&["a"], 4));
    bench.send(gauges(&["b", "c"], 6));
    assert_eq!((bench.held().0, bench.dropped("superseded")), (3, 2));
    bench.advance(Duration::from_secs(9)).await;
    assert!(bench.sizes().is_empty());
    bench.advance(Duration::from_secs(1)).await;
    assert_eq!((bench.sizes(), bench.held()), (vec![3], (0, 0)));
    let times: Vec<u64> = bench.emitted()[0]
        .resource_metrics()
        .flat_map(|resource| resource.scopes())
        .flat_map(|scope| scope.metrics())
        .map(|metric| match metric.data() {
            tidegate_pdata::view::MetricData::Gauge(gauge) => gauge.data_points(),
            other => panic!("{other:?}"),
        })
        .map(|mut points| points.next().unwrap().time_unix_nano())
        .collect();
    assert_eq!(times, [5, 6, 6]);
}

#[tokio::test(start_paused = true)]
async fn senders_wait_where_more_than_memory_is_promised() {
    let yaml = "interval: 10s";
    let mut bench = ProcessorBench::promising::<Config>(yaml, Signal::Metrics, Promise::Delivered);
    assert_eq!(bench.send(gauges(&["a"], 5)), None);
    bench.send(gauges(&["a"], 6));
    bench.far_end(Outcome::Refused(Refusal::new(
        "full",
        Duration::from_secs(1),
    )));
    bench.advance(Duration::from_secs(10)).await;
    let refused = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Refused(_)));
    assert!(bench.outcomes().iter().all(refused));
}

#[tokio::test(start_paused = true)]
async fn more_series_than_there_may_be_pass_as_they_come() {
    let mut bench = ProcessorBench::new::<Config>("max_streams: 1", Signal::Metrics);
    bench.send(gauges(&["a", "b"], 5));
    assert_eq!((bench.held().0, bench.sizes()), (1, vec![1]));
    bench.finish();
    bench.send(gauges(&["b"], 6));
    assert_eq!(bench.held().0, 1);
    bench.finish();
}

#[test]
fn an_interval_of_nothing_is_refused() {
    let cx = BuildContext::detached("processor", "i".parse().unwrap());
    let error = read::<Config>("interval: 0s").build(&cx).err().unwrap();
    assert_eq!(
        (error.path.as_str(), error.remedy.is_some()),
        ("interval", true)
    );
}
