use std::time::Duration;

use prost::Message;
use serde_json::json;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Gate, Outbox, Processor};
use tidegate_pdata::testing::realistic_traces;
use tidegate_pdata::{Batch, Budget, Context, Payload, Receipt, Refusal, Signal};

use super::{COME_AGAIN, Config, Limits, Threshold};

fn config(json: serde_json::Value) -> Config {
    serde_json::from_value(json).unwrap()
}

fn build(json: serde_json::Value) -> Result<(BuildContext, Box<dyn Processor>), BuildError> {
    let mut cx = BuildContext::detached("processor", "memory_limiter".parse().unwrap());
    cx.signal = Some(Signal::Traces);
    let processor = config(json).build(&cx)?;
    Ok((cx, processor))
}

fn fault(json: serde_json::Value) -> String {
    let error = build(json).err().unwrap();
    format!("{}: {}", error.path, error.message)
}

fn refusal(threshold: &Threshold) -> Option<Refusal> {
    threshold.refusal(1, &Context::default())
}

fn threshold(resident: fn() -> Option<u64>) -> Threshold {
    let limits = Limits {
        hard: 1000,
        soft: 800,
    };
    Threshold::new(
        Budget::new(usize::MAX),
        limits,
        Duration::from_secs(1),
        resident,
    )
}

const MIB: usize = 1 << 20;

#[test]
fn the_soft_limit_lies_a_spike_below_the_hard_one() {
    let limits = |json| config(json).limits(1000);
    let of = |hard, soft| Limits { hard, soft };
    assert_eq!(
        limits(json!({"limit_mib": 100, "spike_limit_mib": 30})),
        of(100 * MIB, 70 * MIB)
    );
    assert_eq!(limits(json!({"limit_mib": 100})), of(100 * MIB, 80 * MIB));
    assert_eq!(
        limits(json!({"limit_percentage": 50, "spike_limit_percentage": 10})),
        of(500, 400)
    );
    assert_eq!(limits(json!({"limit_percentage": 50})), of(500, 400));
    let both = json!({"limit_mib": 100, "limit_percentage": 50, "spike_limit_percentage": 10});
    assert_eq!(limits(both), of(100 * MIB, 80 * MIB));
}

#[test]
fn names_the_limits_that_contradict_each_other() {
    assert_eq!(
        fault(json!({"limit_mib": 1})),
        "check_interval: the interval must be more than zero"
    );
    assert_eq!(
        fault(json!({"check_interval": "1s"})),
        ": there is no limit"
    );
    assert_eq!(
        fault(json!({"check_interval": "1s", "limit_mib": 5, "spike_limit_mib": 5})),
        "spike_limit_mib: 5 is not less than limit_mib, 5"
    );
    assert_eq!(
        fault(json!({"check_interval": "1s", "limit_percentage": 101})),
        "limit_percentage: 101 % is more than all"
    );
    let spike = json!({"check_interval": "1s", "limit_percentage": 5, "spike_limit_percentage": 6});
    assert_eq!(
        fault(spike),
        "spike_limit_percentage: 6 is not less than limit_percentage, 5"
    );
}

#[test]
fn the_soft_limit_is_the_ceiling_of_what_comes_in() {
    let (cx, _processor) = build(json!({"check_interval": "1s", "limit_mib": 10_000})).unwrap();
    let [gate] = &cx.gates.list()[..] else {
        panic!("one gate is set")
    };
    assert_eq!(
        gate.ceiling().map(|ceiling| ceiling.bytes),
        Some(8000 * MIB)
    );
}

#[test]
fn workers_share_one_gate_and_limiters_have_their_own() {
    let (mut cx, _first) = build(json!({"check_interval": "1s", "limit_mib": 10_000})).unwrap();
    let config = config(json!({"check_interval": "1s", "limit_mib": 5000}));
    cx.worker = 1;
    let _second = config.build(&cx).unwrap();
    assert_eq!(cx.gates.list().len(), 1);
    cx.shared = tidegate_component::Shared::default();
    let _other = config.build(&cx).unwrap();
    assert_eq!(cx.gates.list().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn past_the_hard_limit_what_is_inside_must_leave_first() {
    let threshold = threshold(|| Some(1000));
    assert_eq!(refusal(&threshold), None);
    let held = threshold.budget.overdraw(1);
    assert_eq!(refusal(&threshold).unwrap().after, COME_AGAIN);
    drop(held);
    assert_eq!(refusal(&threshold), None);
}

#[tokio::test(start_paused = true)]
async fn looks_at_the_process_once_an_interval() {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static RESIDENT: AtomicU64 = AtomicU64::new(1);
    let threshold = threshold(|| Some(RESIDENT.load(Relaxed)));
    let _held = threshold.budget.overdraw(1);
    assert_eq!(refusal(&threshold), None);
    RESIDENT.store(5000, Relaxed);
    assert_eq!(refusal(&threshold), None);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(refusal(&threshold).is_some());
    RESIDENT.store(1, Relaxed);
    assert!(refusal(&threshold).is_some());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(refusal(&threshold), None);
}

#[test]
fn passes_on_and_counts_what_is_inside_already() {
    let (cx, mut processor) = build(json!({"check_interval": "1s", "limit_mib": 1})).unwrap();
    let _held = cx.budget.overdraw(5 * MIB);
    let request = realistic_traces(3).encode_to_vec();
    let admitted = Payload::admit(Signal::Traces, request.into(), None);
    let payload = admitted.unwrap().payload;
    let mut out = Outbox::default();
    processor.process(
        Batch::new(payload, Context::default(), Receipt::none()),
        &mut out,
    );
    assert_eq!(out.take().len(), 1);
    let accepted = (cx.metrics).counter("otelcol_processor_accepted_spans", "", &[]);
    assert_eq!(accepted.value(), 3);
}
