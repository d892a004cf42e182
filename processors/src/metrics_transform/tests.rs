use serde_json::{Value, json};
use tidegate_component::testing::{ProcessorBench, read};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::json::from_json;
use tidegate_pdata::{Payload, Signal};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;

use super::Config;

fn payload(metrics: Value) -> Payload {
    let request = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]});
    let request = request.to_string();
    let bytes = from_json(Signal::Metrics, request.as_bytes(), &mut |_| true).unwrap();
    Payload::admit(Signal::Metrics, bytes.into(), None)
        .unwrap()
        .payload
}

fn point(value: i64, labels: &[(&str, &str)]) -> Value {
    let attributes = labels.iter();
    let attributes =
        attributes.map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}));
    json!({"asInt": value.to_string(), "attributes": attributes.collect::<Vec<_>>()})
}

fn gauge(name: &str, points: &[Value]) -> Value {
    json!({"name": name, "gauge": {"dataPoints": points}})
}

/// What a transform makes of metrics: `name{labels} value` of each point.
fn lines(bench: &mut ProcessorBench, metrics: Value) -> Vec<String> {
    bench.send(payload(metrics));
    let mut lines = Vec::new();
    for (payload, _) in bench.take_emitted() {
        let bytes = payload.segments()[0].bytes().clone();
        let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
        let request = serde_json::to_value(&request.resource_metrics[0].scope_metrics[0]).unwrap();
        for metric in request["metrics"].as_array().unwrap() {
            for point in metric["gauge"]["dataPoints"].as_array().unwrap() {
                let labels = point["attributes"].as_array().unwrap().iter();
                let labels: String = labels
                    .map(|label| {
                        let key = label["key"].as_str().unwrap();
                        format!("{key}={} ", label["value"]["stringValue"].as_str().unwrap())
                    })
                    .collect();
                let value = point["asInt"].as_str().unwrap();
                let name = metric["name"].as_str().unwrap();
                lines.push(format!("{name}{{{}}} {value}", labels.trim_end()));
            }
        }
    }
    lines
}

fn bench(transform: &str) -> ProcessorBench {
    let yaml = format!("transforms: [{transform}]");
    ProcessorBench::new::<Config>(&yaml, Signal::Metrics)
}

#[test]
fn what_does_not_match_passes_as_it_is() {
    let mut bench = bench("{include: a, action: update, new_name: b}");
    let payload = payload(json!([gauge("x", &[point(1, &[])])]));
    let before = payload.segments()[0].bytes().as_ptr();
    bench.send(payload);
    let emitted = bench.take_emitted();
    assert_eq!(emitted[0].0.segments()[0].bytes().as_ptr(), before);
}

#[test]
fn points_of_a_combined_metric_that_do_not_match_stay() {
    let mut bench = bench(
        "{include: '^(a|b)$', match_type: regexp, action: combine, new_name: c, submatch_case: upper, \
          experimental_match_labels: {x: '1'}}",
    );
    let a = gauge("a", &[point(1, &[("x", "1")]), point(2, &[("x", "2")])]);
    let b = gauge("b", &[point(3, &[("x", "1")])]);
    assert_eq!(
        lines(&mut bench, json!([a, b])),
        ["a{x=2} 2", "c{x=1 $1=A} 1", "c{x=1 $1=B} 3"]
    );
}

#[test]
fn labels_are_renamed_and_get_other_values_at_once() {
    let mut bench = bench(
        "{include: a, action: update, operations: [{action: update_label, label: x, new_label: y, \
          value_actions: [{value: '1', new_value: one}]}]}",
    );
    let a = gauge("a", &[point(1, &[("x", "1"), ("z", "1"), ("y", "0")])]);
    assert_eq!(lines(&mut bench, json!([a])), ["a{z=1 y=one} 1"]);
}

#[test]
fn points_are_counted_whether_one_or_many() {
    let mut bench = bench(
        "{include: a, action: update, operations: [{action: aggregate_labels, label_set: [x], \
          aggregation_type: count}]}",
    );
    let one = |y: &str, x: &str| point(7, &[("x", x), ("y", y)]);
    let a = gauge("a", &[one("1", "1"), one("2", "1"), one("3", "2")]);
    assert_eq!(lines(&mut bench, json!([a])), ["a{x=1} 2", "a{x=2} 1"]);
    assert_eq!(bench.dropped("aggregated"), 1);
}

#[test]
fn histograms_far_apart_become_coarser() {
    let mut bench = bench(
        "{include: e, action: update, operations: [{action: aggregate_labels, label_set: [], \
          aggregation_type: sum}]}",
    );
    let point = |offset: i32| {
        json!({"count": "2", "scale": 10, "attributes": [{"key": "o", "value": {"intValue": offset.to_string()}}],
               "positive": {"offset": offset, "bucketCounts": ["2"]}})
    };
    let data = json!({"aggregationTemporality": 1, "dataPoints": [point(-2_000_000_000), point(2_000_000_000)]});
    bench.send(payload(
        json!([{"name": "e", "exponentialHistogram": data}]),
    ));
    let bytes = bench.emitted()[0].segments()[0].bytes().clone();
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let request = serde_json::to_value(&request.resource_metrics[0].scope_metrics[0]).unwrap();
    let point = &request["metrics"][0]["exponentialHistogram"]["dataPoints"][0];
    assert_eq!(
        (&point["count"], point["scale"].as_i64()),
        (&json!("4"), Some(10 - 16))
    );
    let counts = point["positive"]["bucketCounts"].as_array().unwrap();
    assert_eq!((counts.len(), &counts[0]), (61_036, &json!("2")));
}

#[test]
fn what_an_action_needs_is_asked_for() {
    let fault = |transform: &str| {
        let yaml = format!("transforms: [{transform}]");
        let cx = BuildContext::detached("processor", "m".parse().unwrap());
        let error = read::<Config>(&yaml).build(&cx).err().unwrap();
        assert!(error.remedy.is_some(), "{yaml}");
        error.path
    };
    assert_eq!(fault("{action: update}"), "transforms::0::include");
    assert_eq!(fault("{include: a}"), "transforms::0::action");
    assert_eq!(
        fault("{include: a, action: insert}"),
        "transforms::0::new_name"
    );
    assert_eq!(
        fault("{include: a, action: group}"),
        "transforms::0::group_resource_labels"
    );
    assert_eq!(
        fault("{include: '(', match_type: regexp, action: update}"),
        "transforms::0::include"
    );
    let operation = |operation: &str| {
        let path = fault(&format!(
            "{{include: a, action: update, operations: [{operation}]}}"
        ));
        path.trim_start_matches("transforms::0::operations::0")
            .to_owned()
    };
    assert_eq!(operation("{label: a}"), "");
    assert_eq!(
        operation("{action: add_label, new_label: a}"),
        "::new_value"
    );
    assert_eq!(operation("{action: update_label}"), "::label");
    assert_eq!(
        operation("{action: experimental_scale_value}"),
        "::experimental_scale"
    );
}
