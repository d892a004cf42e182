//! What tests of these receivers share: a door whose log records are read.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use serde_json::{Map, Value, json};
use tidegate_component::testing::FakeDoor;
use tokio::time::{Instant, sleep};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A log record that came.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) severity: (i32, String),
    pub(crate) time: u64,
    pub(crate) observed: u64,
}

fn value(any: &Option<AnyValue>) -> Value {
    match any.as_ref().and_then(|any| any.value.as_ref()) {
        None => Value::Null,
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(value)) => json!(value),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(list)) => {
            let one = |any: &AnyValue| value(&Some(any.clone()));
            list.values.iter().map(one).collect()
        }
        Some(Any::KvlistValue(map)) => {
            let one = |entry: &KeyValue| (entry.key.clone(), value(&entry.value));
            Value::Object(map.values.iter().map(one).collect::<Map<_, _>>())
        }
        Some(other) => panic!("{other:?}"),
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let one = |entry: &KeyValue| {
        let text = match value(&entry.value) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        (entry.key.clone(), text)
    };
    attributes.iter().map(one).collect()
}

/// The records that came since the last look.
pub(crate) fn taken(door: &FakeDoor) -> Vec<Told> {
    let mut told = Vec::new();
    for (payload, _) in door.take() {
        for segment in payload.segments() {
            let request = ExportLogsServiceRequest::decode(segment.bytes().clone()).unwrap();
            for resource in request.resource_logs {
                let of = texts(&resource.resource.unwrap_or_default().attributes);
                for scope in resource.scope_logs {
                    assert!(scope.scope.unwrap().name.contains("/receiver/k8s"));
                    told.extend(scope.log_records.into_iter().map(|record| Told {
                        resource: of.clone(),
                        attributes: texts(&record.attributes),
                        body: value(&record.body),
                        severity: (record.severity_number, record.severity_text),
                        time: record.time_unix_nano,
                        observed: record.observed_time_unix_nano,
                    }));
                }
            }
        }
    }
    told
}

/// Waits for so many records, and no more of them.
pub(crate) async fn wait_for(door: &FakeDoor, count: usize) -> Vec<Told> {
    let told = at_least(door, count).await;
    assert_eq!(told.len(), count, "{told:?}");
    told
}

/// Waits for so many records, or more.
pub(crate) async fn at_least(door: &FakeDoor, count: usize) -> Vec<Told> {
    let end = Instant::now() + PATIENCE;
    let mut told = Vec::new();
    while told.len() < count {
        told.extend(taken(door));
        assert!(Instant::now() < end, "{} of {count}: {told:?}", told.len());
        sleep(Duration::from_millis(5)).await;
    }
    told
}
