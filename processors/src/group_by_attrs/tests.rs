use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tidegate_component::testing::{ProcessorBench, realistic};
use tidegate_pdata::{Payload, Signal};

use super::Config;

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue((*value).to_owned())),
        }),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

fn resource(pairs: &[(&str, &str)]) -> Option<Resource> {
    Some(Resource {
        attributes: attributes(pairs),
        ..Resource::default()
    })
}

fn scope(name: &str) -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: name.to_owned(),
        ..InstrumentationScope::default()
    })
}

fn log(text: &str, pairs: &[(&str, &str)]) -> LogRecord {
    LogRecord {
        severity_text: text.to_owned(),
        attributes: attributes(pairs),
        ..LogRecord::default()
    }
}

fn logs(of: &[(&str, &str)], name: &str, records: Vec<LogRecord>) -> ResourceLogs {
    ResourceLogs {
        resource: resource(of),
        scope_logs: vec![ScopeLogs {
            scope: scope(name),
            log_records: records,
            ..ScopeLogs::default()
        }],
        schema_url: "schema".to_owned(),
    }
}

fn payload(signal: Signal, request: &impl Message) -> Payload {
    Payload::admit(signal, request.encode_to_vec().into(), None)
        .unwrap()
        .payload
}

fn grouped<M: Message + Default>(yaml: &str, payload: Payload) -> M {
    let mut bench = ProcessorBench::new::<Config>(yaml, payload.signal());
    bench.send(payload);
    let emitted = bench.emitted();
    assert_eq!((emitted.len(), emitted[0].segments().len()), (1, 1));
    M::decode(emitted[0].segments()[0].bytes().clone()).unwrap()
}

#[test]
fn attributes_move_to_resources_that_records_then_share() {
    let request = ExportLogsServiceRequest {
        resource_logs: vec![
            logs(
                &[("host", "old"), ("region", "eu")],
                "a",
                vec![
                    log("1", &[("host", "web"), ("user", "jo")]),
                    log("2", &[("user", "al")]),
                    log("3", &[("host", "web")]),
                ],
            ),
            logs(
                &[("region", "eu"), ("host", "web")],
                "b",
                vec![log("4", &[])],
            ),
            logs(
                &[("region", "eu")],
                "a",
                vec![log("5", &[("host", "web"), ("host", "second")])],
            ),
        ],
    };
    let made: ExportLogsServiceRequest =
        grouped("keys: [host, host]", payload(Signal::Logs, &request));
    let mut web = logs(
        &[("region", "eu"), ("host", "web")],
        "a",
        vec![
            log("1", &[("user", "jo")]),
            log("3", &[]),
            log("5", &[("host", "second")]),
        ],
    );
    let by_b = logs(&[], "b", vec![log("4", &[])]).scope_logs;
    web.scope_logs.extend(by_b);
    let old = logs(
        &[("host", "old"), ("region", "eu")],
        "a",
        vec![log("2", &[("user", "al")])],
    );
    assert_eq!(made.resource_logs, [web, old]);
}

#[test]
fn without_keys_what_belongs_together_is_put_together() {
    let request = ExportLogsServiceRequest {
        resource_logs: vec![
            logs(
                &[("a", "1"), ("b", "2")],
                "x",
                vec![log("1", &[("a", "9")])],
            ),
            logs(&[("a", "1")], "x", vec![log("2", &[])]),
            logs(&[("b", "2"), ("a", "1")], "x", vec![log("3", &[])]),
        ],
    };
    let made: ExportLogsServiceRequest = grouped("{}", payload(Signal::Logs, &request));
    let both = logs(
        &[("a", "1"), ("b", "2")],
        "x",
        vec![log("1", &[("a", "9")]), log("3", &[])],
    );
    assert_eq!(
        made.resource_logs,
        [both, logs(&[("a", "1")], "x", vec![log("2", &[])])]
    );
}

fn point(value: i64, pairs: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(pairs),
        time_unix_nano: u64::try_from(value).unwrap(),
        ..NumberDataPoint::default()
    }
}

fn gauge(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: "s".to_owned(),
        data: Some(metric::Data::Gauge(Gauge {
            data_points: points,
        })),
        ..Metric::default()
    }
}

fn sum(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    Metric {
        data: Some(metric::Data::Sum(Sum {
            data_points: points,
            aggregation_temporality: 2,
            is_monotonic: true,
        })),
        ..gauge(name, Vec::new())
    }
}

fn metrics(of: &[(&str, &str)], metrics: Vec<Metric>) -> ResourceMetrics {
    ResourceMetrics {
        resource: resource(of),
        scope_metrics: vec![ScopeMetrics {
            scope: scope("a"),
            metrics,
            ..ScopeMetrics::default()
        }],
        ..ResourceMetrics::default()
    }
}

#[test]
fn points_take_their_metrics_along() {
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![metrics(
            &[],
            vec![
                gauge(
                    "one",
                    vec![
                        point(1, &[("pod", "a")]),
                        point(2, &[("pod", "b"), ("x", "y")]),
                    ],
                ),
                sum("one", vec![point(3, &[("pod", "a")])]),
                gauge("one", vec![point(4, &[("pod", "a")])]),
            ],
        )],
    };
    let made: ExportMetricsServiceRequest =
        grouped("keys: [pod]", payload(Signal::Metrics, &request));
    let a = metrics(
        &[("pod", "a")],
        vec![
            gauge("one", vec![point(1, &[]), point(4, &[])]),
            sum("one", vec![point(3, &[])]),
        ],
    );
    let b = metrics(
        &[("pod", "b")],
        vec![gauge("one", vec![point(2, &[("x", "y")])])],
    );
    assert_eq!(made.resource_metrics, [a, b]);
}

#[test]
fn nothing_is_lost_and_own_metrics_tell_of_it() {
    for signal in Signal::ALL {
        let mut bench = ProcessorBench::new::<Config>("keys: [service.name, http.method]", signal);
        bench.send(realistic(signal, 100));
        let emitted: usize = bench.emitted().iter().map(|payload| payload.items()).sum();
        assert_eq!(emitted, 100, "{signal}");
        let families = bench.context().metrics.registry().families();
        let counts = families
            .iter()
            .filter(|(name, _)| name.contains("grouped_"))
            .flat_map(|(_, family)| family.series.values());
        let counts = counts.map(|series| match series {
            tidegate_component::metrics::Series::Counter(counter) => counter.value(),
            _ => 0,
        });
        assert_eq!(counts.sum::<u64>(), 100, "{signal}");
    }
}

#[test]
fn a_key_without_a_name_is_found_when_built() {
    use tidegate_component::ComponentConfig;
    let cx = tidegate_component::BuildContext::detached("processor", "g".parse().unwrap());
    let error = tidegate_component::testing::read::<Config>("keys: [a, '']").build(&cx);
    let error = error.err().unwrap();
    assert_eq!((&*error.path, error.remedy.is_some()), ("keys::1", true));
}
