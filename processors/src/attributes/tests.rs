use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use sha2::{Digest, Sha256};
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Outbox, Processor};
use tidegate_pdata::{Batch, Context, Outcome, Payload, Receipt, Signal};

use super::Config;

fn try_build(config: serde_json::Value, signal: Signal) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = serde_json::from_value(config).unwrap();
    let mut cx = BuildContext::detached("processor", "attributes".parse().unwrap());
    cx.signal = Some(signal);
    config.build(&cx)
}

fn fault(config: serde_json::Value) -> String {
    let error = try_build(config, Signal::Logs).err().unwrap();
    format!("{}: {}", error.path, error.message)
}

fn attribute(key: &str, value: Option<Value>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: value.map(|value| AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn payload(attributes: Vec<KeyValue>) -> Payload {
    let record = LogRecord {
        attributes,
        ..LogRecord::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![record],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let admitted = Payload::admit(Signal::Logs, request.encode_to_vec().into(), None);
    admitted.unwrap().payload
}

/// The attributes of the one record after one batch.
fn edited(
    processor: &mut dyn Processor,
    attributes: Vec<KeyValue>,
    context: Context,
) -> Vec<(String, Option<Value>)> {
    let mut out = Outbox::default();
    let batch = Batch::new(payload(attributes), context, Receipt::none());
    processor.process(batch, &mut out);
    let batch = out.take().pop().unwrap();
    let bytes = batch.payload().segments()[0].bytes().clone();
    let request = ExportLogsServiceRequest::decode(bytes).unwrap();
    plain(
        request.resource_logs[0].scope_logs[0].log_records[0]
            .attributes
            .clone(),
    )
}

fn plain(attributes: Vec<KeyValue>) -> Vec<(String, Option<Value>)> {
    let pair = |entry: KeyValue| (entry.key, entry.value.and_then(|value| value.value));
    attributes.into_iter().map(pair).collect()
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.to_owned()))
}

#[test]
fn takes_values_from_the_context_of_each_batch() {
    let actions = json!({"actions": [
        {"key": "tenant", "from_context": "metadata.tenant", "action": "insert"},
        {"key": "peer", "from_context": "client.address", "action": "upsert"},
        {"key": "who", "from_context": "auth.subject", "default_value": "nobody", "action": "insert"},
    ]});
    let mut processor = try_build(actions, Signal::Logs).unwrap();
    let context = Context::builder()
        .metadata("tenant", "a")
        .metadata("tenant", "b")
        .peer("10.1.2.3:4".parse().unwrap())
        .build();
    let expected = [
        ("tenant".to_owned(), text("a;b")),
        ("peer".to_owned(), text("10.1.2.3")),
        ("who".to_owned(), text("nobody")),
    ];
    assert_eq!(edited(&mut *processor, Vec::new(), context), expected);
    let without = edited(&mut *processor, Vec::new(), Context::default());
    let expected = [
        ("peer".to_owned(), text("")),
        ("who".to_owned(), text("nobody")),
    ];
    assert_eq!(without, expected);
}

#[test]
fn later_actions_see_what_earlier_ones_did() {
    let actions = json!({"actions": [
        {"key": "b", "from_attribute": "a", "action": "insert"},
        {"key": "a", "action": "delete"},
        {"key": "b", "pattern": "^(?P<c>[^@]*)@(?P<d>.*?)(?P<e>x)?$", "action": "extract"},
        {"key": "b", "action": "hash"},
    ]});
    let mut processor = try_build(actions, Signal::Logs).unwrap();
    let found = edited(
        &mut *processor,
        vec![attribute("a", text("jo@home"))],
        Context::default(),
    );
    let digest = "19f180a26cb8acc5b59f5f5643ff0d0452f4abefdb90cd6fb548aa7f6d8cf15e";
    assert_eq!(
        found,
        [
            ("b".to_owned(), text(digest)),
            ("c".to_owned(), text("jo")),
            ("d".to_owned(), text("home")),
            ("e".to_owned(), text("")),
        ]
    );
}

#[test]
fn passes_on_what_it_does_not_change_byte_for_byte() {
    let actions = json!({"actions": [{"key": "absent", "value": 1, "action": "update"}]});
    let mut processor = try_build(actions, Signal::Logs).unwrap();
    let payload = payload(vec![attribute("a", text("b"))]);
    let before = payload.segments()[0].bytes().clone();
    let (receipt, pending) = Receipt::new();
    let mut out = Outbox::default();
    processor.process(Batch::new(payload, Context::default(), receipt), &mut out);
    let batch = out.take().pop().unwrap();
    assert_eq!(
        batch.payload().segments()[0].bytes().as_ptr(),
        before.as_ptr()
    );
    assert_eq!(pending.now(), None);
    batch.into_parts().2.settle(&Outcome::Delivered);
    assert_eq!(pending.now(), Some(Outcome::Delivered));
}

#[test]
fn names_the_action_and_the_key_at_fault() {
    let one = |action: serde_json::Value| fault(json!({"actions": [action]}));
    assert_eq!(fault(json!({})), "actions: there is no action");
    assert_eq!(
        one(json!({"action": "insert", "value": 1})),
        "actions::0: `insert` has no `key`"
    );
    assert_eq!(
        one(json!({"action": "upsert", "key": "a"})),
        "actions::0: `upsert` has no value"
    );
    assert_eq!(
        one(json!({"action": "upsert", "key": "a", "value": 1, "from_attribute": "b"})),
        "actions::0: `upsert` has several values"
    );
    assert_eq!(
        one(json!({"action": "hash", "key": "a", "value": 1})),
        "actions::0::value: `hash` makes no use of `value`"
    );
    assert_eq!(
        one(json!({"action": "extract", "key": "a", "pattern": "(.)"})),
        "actions::0::pattern: a group has no name"
    );
    assert_eq!(
        one(json!({"action": "extract", "key": "a", "pattern": "."})),
        "actions::0::pattern: the pattern has no group"
    );
    assert_eq!(
        one(json!({"action": "convert", "key": "a"})),
        "actions::0: `convert` has no `converted_type`"
    );
    assert!(one(json!({"action": "delete", "pattern": "("})).starts_with("actions::0::pattern: "));
}

// The same actions on prost's types, written without regard to speed.

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        "[a-c0-9]{0,4}".prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|value| Some(Value::BoolValue(value))),
        any::<i64>().prop_map(|value| Some(Value::IntValue(value))),
        (-1e9..1e9).prop_map(|value| Some(Value::DoubleValue(value))),
        Just(Some(Value::BytesValue(vec![1, 2]))),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Put(&'static str, String, i64),
    Copy(&'static str, String, String),
    Delete(String),
    Hash(String),
    DeleteLike(&'static str),
    HashLike(&'static str),
    Extract(String),
    ToInt(String),
}

const EXTRACT: &str = "^(?P<b>[a-c])(?P<e>.*)$";

fn act() -> impl Strategy<Value = Act> {
    let when = || prop::sample::select(vec!["insert", "update", "upsert"]);
    let like = || prop::sample::select(vec!["^[ab]$", "c", "."]);
    prop_oneof![
        (when(), key(), any::<i64>()).prop_map(|(when, key, value)| Act::Put(when, key, value)),
        (when(), key(), key()).prop_map(|(when, key, from)| Act::Copy(when, key, from)),
        key().prop_map(Act::Delete),
        key().prop_map(Act::Hash),
        like().prop_map(Act::DeleteLike),
        like().prop_map(Act::HashLike),
        key().prop_map(Act::Extract),
        key().prop_map(Act::ToInt),
    ]
}

impl Act {
    fn json(&self) -> serde_json::Value {
        match self {
            Self::Put(when, key, value) => json!({"action": when, "key": key, "value": value}),
            Self::Copy(when, key, from) => {
                json!({"action": when, "key": key, "from_attribute": from})
            }
            Self::Delete(key) => json!({"action": "delete", "key": key}),
            Self::Hash(key) => json!({"action": "hash", "key": key}),
            Self::DeleteLike(pattern) => json!({"action": "delete", "pattern": pattern}),
            Self::HashLike(pattern) => json!({"action": "hash", "pattern": pattern}),
            Self::Extract(key) => json!({"action": "extract", "key": key, "pattern": EXTRACT}),
            Self::ToInt(key) => json!({"action": "convert", "key": key, "converted_type": "int"}),
        }
    }

    fn apply(&self, all: &mut Vec<(String, Option<Value>)>) {
        let at = |all: &[(String, Option<Value>)], key: &str| {
            all.iter().position(|(name, _)| name == key)
        };
        let like = |pattern: &str| regex::Regex::new(pattern).unwrap();
        match self {
            Self::Put(when, key, value) => put(all, when, key, Some(Value::IntValue(*value))),
            Self::Copy(when, key, from) => {
                if let Some(at) = at(all, from) {
                    let value = all[at].1.clone();
                    put(all, when, key, value);
                }
            }
            Self::Delete(key) => {
                at(all, key).map(|at| all.remove(at));
            }
            Self::Hash(key) => {
                if let Some(at) = at(all, key) {
                    all[at].1 = text(&hashed(all[at].1.as_ref()));
                }
            }
            Self::DeleteLike(pattern) => all.retain(|(key, _)| !like(pattern).is_match(key)),
            Self::HashLike(pattern) => {
                for (key, value) in all {
                    if like(pattern).is_match(key) {
                        *value = text(&hashed(value.as_ref()));
                    }
                }
            }
            Self::Extract(key) => {
                let Some(at) = at(all, key) else { return };
                let Some(Value::StringValue(source)) = all[at].1.clone() else {
                    return;
                };
                if let Some(groups) = like(EXTRACT).captures(&source) {
                    put(all, "upsert", "b", text(&groups["b"]));
                    put(all, "upsert", "e", text(&groups["e"]));
                }
            }
            Self::ToInt(key) => {
                let Some(at) = at(all, key) else { return };
                let converted = match &all[at].1 {
                    Some(Value::StringValue(text)) => text.parse().ok(),
                    Some(Value::BoolValue(value)) => Some(i64::from(*value)),
                    Some(Value::DoubleValue(value)) => Some(*value as i64),
                    _ => None,
                };
                if let Some(value) = converted {
                    all[at].1 = Some(Value::IntValue(value));
                }
            }
        }
    }
}

fn put(all: &mut Vec<(String, Option<Value>)>, when: &str, key: &str, value: Option<Value>) {
    match (all.iter().position(|(name, _)| name == key), when) {
        (Some(at), "update" | "upsert") => all[at].1 = value,
        (None, "insert" | "upsert") => all.push((key.to_owned(), value)),
        _ => {}
    }
}

fn hashed(value: Option<&Value>) -> String {
    let bytes = match value {
        Some(Value::StringValue(text)) => text.clone().into_bytes(),
        Some(Value::BoolValue(value)) => vec![u8::from(*value)],
        Some(Value::IntValue(value)) => value.to_le_bytes().to_vec(),
        Some(Value::DoubleValue(value)) => value.to_le_bytes().to_vec(),
        _ => return String::new(),
    };
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

proptest! {
    #[test]
    fn edits_as_the_same_actions_on_decoded_records_do(
        attributes in prop::collection::vec((key(), value()), 0..6),
        actions in prop::collection::vec(act(), 1..6),
    ) {
        let json: Vec<_> = actions.iter().map(Act::json).collect();
        let mut processor = try_build(json!({"actions": json}), Signal::Logs).unwrap();
        let before: Vec<KeyValue> = attributes
            .iter()
            .map(|(key, value)| attribute(key, value.clone()))
            .collect();
        let mut expected = plain(before.clone());
        actions.iter().for_each(|action| action.apply(&mut expected));
        let found = edited(&mut *processor, before, Context::default());
        prop_assert_eq!(found, expected);
    }
}
