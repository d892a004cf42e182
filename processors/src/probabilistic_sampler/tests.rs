use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::json;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Outbox, Processor};
use tidegate_pdata::testing::realistic_traces;
use tidegate_pdata::{Batch, Context, Outcome, Payload, Pending, Receipt, Signal};

use super::Config;

fn context(signal: Signal) -> BuildContext {
    let mut cx = BuildContext::detached("processor", "probabilistic_sampler".parse().unwrap());
    cx.signal = Some(signal);
    cx
}

fn try_build(json: serde_json::Value, signal: Signal) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = serde_json::from_value(json).unwrap();
    config.build(&context(signal))
}

fn batch(signal: Signal, request: Vec<u8>) -> (Batch, Pending) {
    let payload = Payload::admit(signal, request.into(), None)
        .unwrap()
        .payload;
    let (receipt, pending) = Receipt::new();
    (Batch::new(payload, Context::default(), receipt), pending)
}

fn process(processor: &mut dyn Processor, signal: Signal, request: Vec<u8>) -> Option<Batch> {
    let mut out = Outbox::default();
    processor.process(batch(signal, request).0, &mut out);
    out.take().pop()
}

fn id(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn spans(groups: Vec<Vec<Span>>) -> Vec<u8> {
    let group = |spans| ResourceSpans {
        scope_spans: vec![ScopeSpans {
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    let resource_spans = groups.into_iter().map(group).collect();
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// The trace state of a span after sampling, if it passes.
fn sampled_span(config: serde_json::Value, span: Span) -> Option<String> {
    let mut processor = try_build(config, Signal::Traces).unwrap();
    let batch = process(&mut *processor, Signal::Traces, spans(vec![vec![span]]))?;
    let bytes = batch.payload().segments()[0].bytes().clone();
    let request = ExportTraceServiceRequest::decode(bytes).unwrap();
    Some(
        request.resource_spans[0].scope_spans[0].spans[0]
            .trace_state
            .clone(),
    )
}

fn span(trace_id: &str, trace_state: &str) -> Span {
    Span {
        trace_id: id(trace_id),
        trace_state: trace_state.to_owned(),
        ..Span::default()
    }
}

const HIGH: &str = "fefefefefefefefefe80000000000000";

fn in_mode(
    mode: &str,
    percentage: f64,
    precision: u8,
    trace_id: &str,
    state: &str,
) -> Option<String> {
    let config = json!({
        "mode": mode, "sampling_percentage": percentage, "sampling_precision": precision,
    });
    sampled_span(config, span(trace_id, state))
}

#[test]
fn equalizing_and_proportional_update_the_threshold_as_specified() {
    // Percentage, digits, trace ID, arriving state, and what either mode makes of it.
    let forty = "a0a0a0a0a0a0a0a0a0b0000000000000";
    let most = "000102030405060708ffffffffffffff";
    let cases = [
        (50.0, 4, HIGH, "", Some("ot=th:8"), Some("ot=th:8")),
        (
            50.0,
            4,
            HIGH,
            "vendor=1",
            Some("ot=th:8,vendor=1"),
            Some("ot=th:8,vendor=1"),
        ),
        (50.0, 4, HIGH, "ot=rv:7fffffffffffff", None, None),
        (
            50.0,
            4,
            "ffffffffffffffffffe0000000000000",
            "ot=th:c",
            Some("ot=th:c"),
            Some("ot=th:e"),
        ),
        (
            50.0,
            4,
            HIGH,
            "ot=rv:c0000000000000;th:8",
            Some("ot=rv:c0000000000000;th:8"),
            Some("ot=rv:c0000000000000;th:c"),
        ),
        (
            40.0,
            3,
            HIGH,
            "ot=rv:a0000000000000",
            Some("ot=rv:a0000000000000;th:99a"),
            Some("ot=rv:a0000000000000;th:99a"),
        ),
        (
            40.0,
            6,
            "a0a0a0a0a0a0a0a0a0d0000000000000",
            "ot=th:8",
            Some("ot=th:99999a"),
            Some("ot=th:cccccd"),
        ),
        (40.0, 3, forty, "ot=th:8", Some("ot=th:99a"), None),
        (
            40.0,
            3,
            "a0a0a0a0a0a0a0a0a080000000000000",
            "ot=th:8",
            None,
            None,
        ),
        (
            0.006_103_515_625,
            4,
            most,
            "ot=th:fffc",
            Some("ot=th:fffc"),
            Some("ot=th:fffffff"),
        ),
        (
            0.0625,
            4,
            most,
            "ot=th:fffffffffffff8",
            Some("ot=th:fffffffffffff8"),
            None,
        ),
    ];
    for (percentage, digits, trace_id, state, equalizing, proportional) in cases {
        let found = in_mode("equalizing", percentage, digits, trace_id, state);
        assert_eq!(
            found.as_deref(),
            equalizing,
            "equalizing {percentage} of {state:?}"
        );
        let found = in_mode("proportional", percentage, digits, trace_id, state);
        assert_eq!(
            found.as_deref(),
            proportional,
            "proportional {percentage} of {state:?}"
        );
    }
}

#[test]
fn what_is_faulty_passes_only_where_it_may() {
    let nothing = "00000000000000000000000000000000";
    let faults = [
        (nothing, "", "ot=th:0"),
        (HIGH, "ot=rv:abababababababab", "ot=rv:abababababababab"),
        (HIGH, "ot=th:-1", "ot=th:-1"),
        ("ffffffffffffffffff70000000000000", "ot=th:8", "ot=th:0"),
        (
            HIGH,
            "ot=th:8;rv:70000000000000",
            "ot=rv:70000000000000;th:0",
        ),
    ];
    for (trace_id, state, open) in faults {
        for mode in ["equalizing", "proportional"] {
            let sampled = |fail_closed: bool| {
                let config =
                    json!({"mode": mode, "sampling_percentage": 99, "fail_closed": fail_closed});
                sampled_span(config, span(trace_id, state))
            };
            assert_eq!(sampled(true), None, "{state}");
            assert_eq!(sampled(false).as_deref(), Some(open), "{state}");
        }
    }
}

#[test]
fn a_hash_of_the_trace_id_decides_and_is_told() {
    // What the Collector has decided at 50 % since its first version.
    let decisions = [
        (653, "474a03c76d75951a4b4c537ced8f1122", true),
        (563, "53a518291e91307e43cd8467bb06f986", true),
        (904, "4e40762d3ee97a1c0932e4fa584f89a8", false),
        (38, "0c8717ced36216037af657e9d7f8b35b", true),
        (561, "2a8aa76c18d08e1e8be935541f9318c7", false),
        (757, "9e3d0f9481dc422cb613ea550897ae71", false),
        (22, "66a66c516ac22054673e5da5e6492545", false),
        (172, "84a1ce7bcea3e66194e72b4aa2694e31", true),
        (790, "7629ecbea89398bfd9752a2f51c2c137", true),
        (6, "d6a68b47c66d1f94eed46b8ddc72faf4", false),
        (16, "2533c732bed8c1ba4721c25a1205f06c", false),
        (928, "f1813835ac0f456721ef3aac39c0269a", true),
    ];
    for (seed, trace_id, expected) in decisions {
        let config = json!({"sampling_percentage": 50, "hash_seed": seed});
        let state = sampled_span(config, span(trace_id, ""));
        assert_eq!(state.is_some(), expected, "{seed} {trace_id}");
        if let Some(state) = state {
            assert!(
                state.starts_with("ot=rv:") && state.ends_with(";th:8"),
                "{state}"
            );
        }
    }
}

#[test]
fn hashes_of_14_bits_give_thresholds_of_14_bits() {
    for (percentage, digits) in [
        (75.0, "4"),
        (50.0, "8"),
        (25.0, "c"),
        (10.0, "e668"),
        (100.0 / 3.0, "aaac"),
    ] {
        let mut states = (0..200_u32).filter_map(|seed| {
            let config = json!({"sampling_percentage": percentage, "hash_seed": seed});
            sampled_span(config, span(HIGH, ""))
        });
        let state = states.next().unwrap();
        assert!(state.ends_with(&format!(";th:{digits}")), "{state}");
    }
}

#[test]
fn hashing_leaves_alone_what_is_sampled_otherwise() {
    for state in ["ot=th:8", "ot=rv:c0000000000000"] {
        let config =
            |fail_closed: bool| json!({"sampling_percentage": 50, "fail_closed": fail_closed});
        assert_eq!(sampled_span(config(true), span(HIGH, state)), None);
        assert_eq!(
            sampled_span(config(false), span(HIGH, state)).as_deref(),
            Some(state)
        );
    }
}

#[test]
fn a_priority_is_never_for_zero_and_always_for_more() {
    let with = |value: Value, percentage: f64| {
        let span = Span {
            attributes: vec![attribute("sampling.priority", value)],
            ..span(HIGH, "")
        };
        sampled_span(json!({"sampling_percentage": percentage}), span).is_some()
    };
    for zero in [Value::IntValue(0), Value::DoubleValue(0.0), text("0.0")] {
        assert!(!with(zero.clone(), 99.99) && !with(zero, 100.0));
    }
    for more in [Value::IntValue(1), Value::DoubleValue(0.1), text("2")] {
        assert!(with(more, 0.0));
    }
    for neither in [Value::IntValue(-1), text("x"), Value::BoolValue(true)] {
        assert!(!with(neither, 0.0));
    }
}

#[test]
fn at_a_hundred_percent_everything_passes_untouched() {
    let mut processor = try_build(json!({"sampling_percentage": 100}), Signal::Traces).unwrap();
    let request = realistic_traces(5).encode_to_vec();
    let (batch, _pending) = batch(Signal::Traces, request);
    let before = batch.payload().segments()[0].bytes().as_ptr();
    let mut out = Outbox::default();
    processor.process(batch, &mut out);
    let batch = out.take().pop().unwrap();
    assert_eq!(batch.payload().segments()[0].bytes().as_ptr(), before);
    let anonymous = span("", "ot=broken;");
    let config = json!({"sampling_percentage": 200});
    assert_eq!(
        sampled_span(config, anonymous).as_deref(),
        Some("ot=broken;")
    );
}

#[tokio::test]
async fn what_is_sampled_out_counts_as_delivered_and_leaves_no_empty_group() {
    let cx = context(Signal::Traces);
    let config: Config =
        serde_json::from_value(json!({"mode": "proportional", "sampling_percentage": 50})).unwrap();
    let mut processor = config.build(&cx).unwrap();
    let low = "fefefefefefefefefe00000000000001";
    let groups = vec![vec![span(HIGH, ""), span(low, "")], vec![span(low, "")]];
    let kept = process(&mut *processor, Signal::Traces, spans(groups)).unwrap();
    let bytes = kept.payload().segments()[0].bytes().clone();
    let request = ExportTraceServiceRequest::decode(bytes).unwrap();
    assert_eq!(request.resource_spans.len(), 1);
    assert_eq!(kept.items(), 1);
    let (all_out, pending) = batch(Signal::Traces, spans(vec![vec![span(low, "")]]));
    let mut out = Outbox::default();
    processor.process(all_out, &mut out);
    assert!(out.take().is_empty());
    assert_eq!(pending.outcome().await, Outcome::Delivered);
    assert_eq!(cx.reasons.counts(), [("sampled_out", 3)]);
    let counter = |sampled| {
        let labels = [("policy", "trace_id_w3c"), ("sampled", sampled)];
        let name = "otelcol_processor_probabilistic_sampler_count_traces_sampled";
        cx.metrics.counter(name, "", &labels).value()
    };
    assert_eq!((counter("true"), counter("false")), (1, 3));
}

fn sampled_record(config: serde_json::Value, record: LogRecord) -> Option<Vec<(String, Value)>> {
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![record],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let mut processor = try_build(config, Signal::Logs).unwrap();
    let batch = process(&mut *processor, Signal::Logs, request.encode_to_vec())?;
    let bytes = batch.payload().segments()[0].bytes().clone();
    let request = ExportLogsServiceRequest::decode(bytes).unwrap();
    let attributes = request.resource_logs[0].scope_logs[0].log_records[0]
        .attributes
        .clone();
    let pair = |entry: KeyValue| Some((entry.key, entry.value?.value?));
    Some(attributes.into_iter().filter_map(pair).collect())
}

fn record(trace_id: &str, attributes: Vec<KeyValue>) -> LogRecord {
    LogRecord {
        trace_id: id(trace_id),
        attributes,
        ..LogRecord::default()
    }
}

#[test]
fn log_records_tell_their_sampling_in_attributes() {
    let config = json!({"mode": "proportional", "sampling_percentage": 50});
    let found = sampled_record(config.clone(), record(HIGH, Vec::new())).unwrap();
    assert_eq!(found, [("sampling.threshold".to_owned(), text("8"))]);
    let before = vec![
        attribute("sampling.threshold", text("8")),
        attribute("sampling.randomness", text("f0000000000000")),
    ];
    let found = sampled_record(config.clone(), record("", before)).unwrap();
    assert_eq!(found[0], ("sampling.threshold".to_owned(), text("c")));
    assert_eq!(
        found[1],
        ("sampling.randomness".to_owned(), text("f0000000000000"))
    );
    let faulty = vec![attribute("sampling.threshold", text("x"))];
    assert_eq!(sampled_record(config, record(HIGH, faulty)), None);
}

#[test]
fn log_records_are_hashed_by_trace_id_or_attribute() {
    let with = |source: &str, trace_id: &str, key: Option<Value>| {
        let config = json!({
            "sampling_percentage": 99.99, "attribute_source": source, "from_attribute": "key",
        });
        let attributes = key
            .map(|value| attribute("key", value))
            .into_iter()
            .collect();
        let found = sampled_record(config, record(trace_id, attributes))?;
        let randomness = found
            .into_iter()
            .find(|(key, _)| key == "sampling.randomness");
        randomness.map(|(_, value)| value)
    };
    let by_id = with("traceID", HIGH, Some(text("7"))).unwrap();
    let by_key = with("record", HIGH, Some(text("7"))).unwrap();
    assert_ne!(by_id, by_key);
    assert_eq!(with("traceID", "", Some(text("7"))), Some(by_key.clone()));
    assert_eq!(
        with("record", HIGH, Some(Value::IntValue(7))),
        Some(by_key.clone())
    );
    assert_eq!(
        with("record", HIGH, Some(Value::BytesValue(b"7".to_vec()))),
        Some(by_key)
    );
    assert_eq!(with("record", HIGH, Some(text(""))), None);
    assert_eq!(with("record", HIGH, None), None);
}

#[test]
fn a_log_record_may_have_a_percentage_of_its_own() {
    let with = |percentage: f64, priority: Value| {
        let config = json!({
            "mode": "equalizing", "sampling_percentage": percentage, "sampling_priority": "priority",
        });
        sampled_record(config, record(HIGH, vec![attribute("priority", priority)]))
    };
    let told = |found: Option<Vec<(String, Value)>>| found.map(|found| found.get(1).cloned());
    let threshold = |digits| Some(Some(("sampling.threshold".to_owned(), text(digits))));
    assert_eq!(told(with(0.0, Value::IntValue(50))), threshold("8"));
    assert_eq!(told(with(0.0, Value::DoubleValue(100.0))), threshold("0"));
    assert_eq!(with(99.0, Value::DoubleValue(10.0)), None);
    assert_eq!(with(100.0, Value::DoubleValue(10.0)), None);
    assert_eq!(told(with(100.0, Value::IntValue(0))), Some(None));
}

#[test]
fn names_what_is_out_of_range() {
    let fault = |json| {
        let error = try_build(json, Signal::Traces).err().unwrap();
        format!("{}: {}", error.path, error.message)
    };
    assert_eq!(
        fault(json!({"sampling_percentage": -5})),
        "sampling_percentage: -5 is less than nothing"
    );
    assert!(fault(json!({"sampling_percentage": 1e-17})).contains("less than can be told"));
    assert_eq!(
        fault(json!({"sampling_precision": 0})),
        "sampling_precision: 0 is not from 1 to 14"
    );
    assert_eq!(
        fault(json!({"sampling_precision": 15})),
        "sampling_precision: 15 is not from 1 to 14"
    );
}
