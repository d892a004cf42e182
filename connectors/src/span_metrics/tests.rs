use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;
use tidegate_component::testing::{ConnectorBench, Contract, findings, realistic};
use tidegate_component::{BuildContext, ComponentConfig, Connector, Promise, Route, Routes};
use tidegate_pdata::compose::{Request, span};
use tidegate_pdata::{Batch, Context, Outcome, Payload, Receipt, Signal};
use tokio::time::Instant;

use super::Config;

const FULL: &str = "
namespace: spans
histogram: {unit: s, explicit: {buckets: [1ms, 1s]}, dimensions: [{name: process.pid}]}
dimensions: [{name: http.route, default: none}]
calls_dimensions: [{name: http.url}]
exclude_dimensions: [span.kind]
include_instrumentation_scope: [express]
resource_metrics_cache_size: 2
resource_metrics_key_attributes: [service.name]
add_resource_attributes: true
aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA
metrics_flush_interval: 15s
metrics_expiration: 5m
metric_timestamp_cache_size: 10
aggregation_cardinality_limit: 100
max_series: 1000
exemplars: {enabled: true, max_per_data_point: 3}
events: {enabled: true, dimensions: [{name: exception.type}]}
enable_metrics_sampling_method: true
dimensions_cache_size: 1000
";

#[test]
fn keeps_the_contract() {
    Contract::<Config>::new("{}", &[FULL, "histogram: {exponential: {max_size: 20}}"]).connector();
}

/// So many spans of a service, each with a name of its own if they are to have that.
fn spans(service: &str, names: usize, spans: usize) -> Payload {
    let mut request = Request::new(Signal::Traces);
    request.resource(|resource| {
        if !service.is_empty() {
            resource.attribute(1, "service.name", service);
        }
    });
    for at in 0..spans {
        request.record(|record| {
            record.some_bytes(span::TRACE_ID, &[1; 16]);
            record.some_bytes(span::SPAN_ID, &[2; 8]);
            record.string(span::NAME, &format!("name {}", at % names));
            record.fixed64(span::START_TIME, 1_000_000);
            record.fixed64(span::END_TIME, 4_000_000);
        });
    }
    request.finish(None).unwrap()
}

/// The values of all counts of spans that a payload tells.
fn calls(payload: &Payload) -> Vec<i64> {
    let mut values = Vec::new();
    for segment in payload.segments() {
        let read = ExportMetricsServiceRequest::decode(segment.bytes().clone()).unwrap();
        let scopes = read
            .resource_metrics
            .into_iter()
            .flat_map(|group| group.scope_metrics);
        for metric in scopes.flat_map(|scope| scope.metrics) {
            let Some(Data::Sum(sum)) = metric.data else {
                continue;
            };
            values.extend(sum.data_points.into_iter().map(|point| match point.value {
                Some(Value::AsInt(value)) => value,
                other => panic!("{other:?}"),
            }));
        }
    }
    values.sort_unstable();
    values
}

#[tokio::test(start_paused = true)]
async fn the_last_flush_tells_what_none_has_told() {
    let mut bench = ConnectorBench::new::<Config>("{}", Signal::Traces, &[Signal::Metrics]);
    assert_eq!(bench.send(spans("shop", 2, 6)), Some(Outcome::TakenOver));
    bench.flush();
    assert!(bench.emitted().is_empty(), "nothing is due yet");
    tokio::time::advance(Duration::from_secs(60)).await;
    bench.flush();
    assert_eq!(calls(&bench.emitted()[0].1), [0, 0]);
    bench.finish();
    assert_eq!(calls(&bench.emitted()[1].1), [3, 3]);
    bench.finish();
    assert_eq!(bench.emitted().len(), 2, "nothing is told twice");
}

#[test]
fn the_last_flush_tells_counts_at_once() {
    let mut bench = ConnectorBench::new::<Config>("{}", Signal::Traces, &[Signal::Metrics]);
    bench.send(spans("shop", 1, 5));
    bench.finish();
    assert_eq!(calls(&bench.emitted()[0].1), [5]);
}

#[test]
fn spans_of_resources_without_a_name_are_accounted_for() {
    let mut bench = ConnectorBench::new::<Config>("{}", Signal::Traces, &[Signal::Metrics]);
    bench.send(spans("", 1, 5));
    bench.finish();
    assert!(bench.emitted().is_empty());
    assert_eq!(bench.dropped("no_service_name"), 5);
}

#[test]
fn there_are_no_more_series_than_allowed() {
    let mut bench = ConnectorBench::new::<Config>(
        "{max_series: 10, histogram: {disable: true}}",
        Signal::Traces,
        &[Signal::Metrics],
    );
    bench.send(spans("shop", 100, 300));
    bench.send(spans("cart", 1, 7));
    assert_eq!(bench.dropped("series_limit"), 7);
    bench.finish();
    let told = calls(&bench.emitted()[0].1);
    // Ten series of three spans, and one for all others.
    assert_eq!((told.len(), told.iter().sum::<i64>()), (11, 300));
}

#[test]
fn what_workers_counted_is_added_up() {
    let config: Config = tidegate_component::testing::read("{}");
    let mut cx = BuildContext::detached("connector", "span_metrics".parse().unwrap());
    cx.signal = Some(Signal::Traces);
    cx.workers = 2;
    cx.routes = vec![Route {
        pipeline: "metrics".to_owned(),
        signal: Signal::Metrics,
    }];
    let mut instances: Vec<Box<dyn Connector>> = Vec::new();
    for worker in [0, 1, 1] {
        cx.worker = worker;
        instances.push(config.build(&cx).unwrap());
    }
    assert!(instances[0].deadline().is_some() && instances[1].deadline().is_none());
    assert_eq!(instances[0].promise(Promise::Durable), Promise::Memory);
    let mut out = Routes::new(&cx.routes);
    for instance in &mut instances {
        let batch = Batch::new(spans("shop", 1, 4), Context::default(), Receipt::none());
        instance.process(batch, &mut out);
    }
    // One of them was built anew in the place of another, whose counts stay.
    drop(instances.remove(1));
    let last = Instant::now() + Duration::from_secs(1 << 30);
    let told = instances.iter_mut().map(|instance| {
        instance.flush(last, &mut out);
        out.take()
            .iter()
            .flat_map(|(_, batch)| calls(batch.payload()))
            .collect::<Vec<_>>()
    });
    assert_eq!(told.collect::<Vec<_>>(), [vec![12], vec![]]);
}

#[test]
fn spans_as_they_are_sent_are_counted() {
    let mut bench =
        ConnectorBench::new::<Config>("{}", Signal::Traces, &[Signal::Metrics, Signal::Metrics]);
    bench.send(realistic(Signal::Traces, 1000));
    bench.finish();
    assert_eq!(calls(&bench.emitted()[0].1).iter().sum::<i64>(), 1000);
    assert_eq!(bench.items()[0], bench.items()[1]);
}

#[test]
fn what_cannot_be_is_told() {
    for (yaml, expected) in [
        ("metrics_flush_interval: 0s", "metrics_flush_interval"),
        ("histogram: {explicit: {}, exponential: {}}", "histogram"),
        (
            "histogram: {explicit: {buckets: [1s, 1s]}}",
            "histogram::explicit::buckets::1",
        ),
        (
            "histogram: {exponential: {max_size: 1}}",
            "histogram::exponential::max_size",
        ),
        ("dimensions: [{name: span.name}]", "dimensions::0::name"),
        ("dimensions: [{name: a}, {name: a}]", "dimensions::1::name"),
        (
            "calls_dimensions: [{name: span.kind}]",
            "calls_dimensions::0::name",
        ),
        ("dimensions: [{name: ''}]", "dimensions::0::name"),
        ("events: {enabled: true}", "events::dimensions"),
    ] {
        let config: Config = tidegate_component::testing::read(yaml);
        let cx = BuildContext::detached("connector", "span_metrics".parse().unwrap());
        let error = config.build(&cx).err();
        let error = error.unwrap_or_else(|| panic!("`{yaml}` is built"));
        assert_eq!(error.path, expected, "{yaml}");
        assert!(error.remedy.is_some(), "{yaml}");
    }
    for yaml in [
        "histogram: {unit: h}",
        "resource_metrics_cache_size: 0",
        "metric_timestamp_cache_size: 0",
        "aggregation_cardinality_limit: -1",
        "metrics_expiration: -20s",
        "aggregation_temporality: delta",
    ] {
        let (_, found) = findings::<Config>(yaml);
        assert!(!found.is_empty(), "`{yaml}` is read");
    }
}
