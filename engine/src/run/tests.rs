use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tidegate_component::status::Phase;
use tidegate_component::{
    BuildContext, Connector, Outbox, Partition, Processor, Promise, Routes, SAME_SIGNAL,
};
use tidegate_pdata::testing::{Request, realistic_traces};
use tidegate_pdata::{Batch, Context, Outcome, Payload, Segment, Signal};
use tokio::time::Instant;

use crate::Pool;
use crate::testing::{Hold, Rig, Script, row};

const TRACES: Signal = Signal::Traces;
const LONG: Duration = Duration::from_secs(3600);

fn hold(_: &BuildContext) -> Hold {
    Hold::new(LONG)
}

/// Forwards what it held when it is flushed.
struct HoldAndForward(Hold);

impl Connector for HoldAndForward {
    fn process(&mut self, batch: Batch, out: &mut Routes<'_>) {
        self.0.process(batch, &mut out.outbox);
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    fn flush(&mut self, now: Instant, out: &mut Routes<'_>) {
        let mut flushed = Outbox::default();
        self.0.flush(now, &mut flushed);
        flushed
            .take()
            .into_iter()
            .for_each(|batch| out.broadcast(batch));
    }

    fn held(&self) -> (usize, usize) {
        self.0.held()
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_flushes_each_node_after_those_that_feed_it() {
    let rig = Rig::default()
        .connector("join", SAME_SIGNAL, |_| HoldAndForward(Hold::new(LONG)))
        .processor("hold", hold)
        .pipeline("traces/last", &["join"], &["hold"], &["out"])
        .pipeline("traces/first", &["in"], &["hold"], &["join", "near"]);
    let run = rig.start().await;
    for items in 1..=3 {
        assert_eq!(run.send("in", TRACES, items).await, Outcome::TakenOver);
    }
    assert_eq!(rig.bin("near").items(), 0);
    let rows = run.shutdown().await;
    assert_eq!(rig.bin("near").sizes(), [6]);
    assert_eq!(rig.bin("out").sizes(), [6]);
    assert_eq!(row(&rows, "join", TRACES).held, 0);
    assert!(rows.iter().all(|row| row.dropped.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn what_a_processor_does_not_flush_is_counted_as_lost_by_shutdown() {
    struct Miser(usize);
    impl Processor for Miser {
        fn process(&mut self, mut batch: Batch, _: &mut Outbox) {
            batch.receipt_mut().settle_in_place(&Outcome::TakenOver);
            self.0 += batch.items();
        }
        fn held(&self) -> (usize, usize) {
            (self.0, 0)
        }
    }
    let rig = Rig::default().processor("miser", |_| Miser(0)).pipeline(
        "traces",
        &["in"],
        &["miser"],
        &["out"],
    );
    let run = rig.start().await;
    run.send("in", TRACES, 7).await;
    let rows = run.shutdown().await;
    assert_eq!(row(&rows, "miser", TRACES).dropped["shutdown"], 7);
}

#[tokio::test]
async fn components_start_from_the_exporters_back_and_stop_the_other_way_round() {
    let rig = Rig::default().pipeline("traces", &["in"], &[], &["a", "b"]);
    let run = rig.start().await;
    let status = run.running.status();
    assert_eq!(status.phase(), Phase::Running);
    assert!(status.pipelines()[0].healthy);
    run.shutdown().await;
    assert_eq!(status.phase(), Phase::Stopping);
    let expected = [
        "start exporter a",
        "start exporter b",
        "start receiver in",
        "stop receiver in",
        "stop exporter a",
        "stop exporter b",
    ];
    assert_eq!(rig.diary.lines(), expected);
}

#[tokio::test]
async fn failed_start_stops_what_was_started_and_names_component_and_address() {
    let rig = Rig::default()
        .pipeline("traces", &["in"], &[], &["out"])
        .failing_receivers();
    let failure = rig.try_start(Pool::here()).await.err().unwrap();
    assert_eq!(
        failure.to_string(),
        "receiver `in` cannot be started: cannot listen on 127.0.0.1:1"
    );
    assert_eq!(
        std::error::Error::source(&failure).unwrap().to_string(),
        "taken"
    );
    let expected = ["start exporter out", "stop exporter out"];
    assert_eq!(rig.diary.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn unanswered_sender_is_refused_in_time_and_its_batch_expires() {
    let script = Script {
        outcome: None,
        promise: Promise::Delivered,
        ..Script::default()
    };
    let rig = Rig::default()
        .queue("slow", script)
        .pipeline("traces", &["in"], &[], &["slow"]);
    let run = rig.start().await;
    let start = Instant::now();
    assert!(matches!(
        run.send("in", TRACES, 1).await,
        Outcome::Refused(_)
    ));
    assert_eq!(start.elapsed(), Duration::from_secs(8));
    let until = Instant::now() + Duration::from_secs(20);
    let door = run.intake("in", TRACES);
    let payload = crate::testing::payload(TRACES, 2);
    let outcome = door.deliver(payload, Context::default(), Some(until)).await;
    assert!(matches!(outcome, Outcome::Refused(_)));
    assert_eq!(Instant::now(), until);
    let labels = [("receiver", "in"), ("transport", "")];
    assert_eq!(run.counter("otelcol_receiver_refused_spans", &labels), 3);
    run.shutdown().await;
}

#[tokio::test]
async fn empty_payload_is_delivered_without_passing_the_graph() {
    let rig = Rig::default().pipeline("logs", &["in"], &[], &["out"]);
    let run = rig.start().await;
    assert_eq!(run.send("in", Signal::Logs, 0).await, Outcome::Delivered);
    assert_eq!(rig.bin("out").sizes(), [0_usize; 0]);
    run.shutdown().await;
}

#[tokio::test]
async fn door_counts_by_transport() {
    let rig = Rig::default().pipeline("logs", &["in"], &[], &["out"]);
    let run = rig.start().await;
    let door = run.intake("in", Signal::Logs);
    for (transport, items) in [("grpc", 2), ("http", 3)] {
        let payload = crate::testing::payload(Signal::Logs, items);
        door.over(transport)
            .deliver(payload, Context::default(), None)
            .await;
        let labels = [("receiver", "in"), ("transport", transport)];
        let counted = run.counter("otelcol_receiver_accepted_log_records", &labels);
        assert_eq!(counted, items as u64);
    }
    run.shutdown().await;
}

/// A trace and the worker that saw it.
type Sighting = (Vec<u8>, usize);

/// Notes which worker saw which trace.
struct Census {
    worker: usize,
    seen: Arc<Mutex<Vec<Sighting>>>,
}

impl Processor for Census {
    fn partition(&self) -> Partition {
        Partition::TraceId
    }

    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let mut seen = self.seen.lock().unwrap();
        for trace in traces(batch.payload()) {
            seen.push((trace, self.worker));
        }
        drop(seen);
        out.push(batch);
    }
}

fn traces(payload: &Payload) -> Vec<Vec<u8>> {
    let groups = payload.resource_spans();
    let scopes = groups.flat_map(|group| group.scopes());
    let spans = scopes.flat_map(|scope| scope.spans());
    spans.map(|span| span.trace_id().to_vec()).collect()
}

/// Spans of these traces.
fn spans(traces: &[u8]) -> Payload {
    let mut request = realistic_traces(traces.len());
    let scopes = request
        .resource_spans
        .iter_mut()
        .flat_map(|group| &mut group.scope_spans);
    let spans = scopes.flat_map(|scope| &mut scope.spans);
    for (span, trace) in spans.zip(traces) {
        span.trace_id = vec![*trace; 16];
    }
    let bytes = Request::Traces(request).encode();
    Payload::from_segment(TRACES, Segment::new(bytes.into(), traces.len(), None))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn exchange_keeps_every_item_and_brings_each_trace_to_one_worker(
        batches in prop::collection::vec(prop::collection::vec(0_u8..12, 1..40), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(deal(batches));
    }
}

async fn deal(batches: Vec<Vec<u8>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let census = move |cx: &BuildContext| Census {
        worker: cx.worker,
        seen: Arc::clone(&record),
    };
    let rig = Rig::default()
        .processor("census", census)
        .processor("hold", hold)
        .pipeline("traces", &["in"], &["census", "hold"], &["out"]);
    let pool = Pool::start(3).unwrap();
    let run = rig.start_on(pool.clone()).await;
    let door = run.intake("in", TRACES);
    let mut sent = Vec::new();
    for batch in batches {
        sent.extend(batch.iter().map(|trace| vec![*trace; 16]));
        let payload = spans(&batch);
        let outcome = door.deliver(payload, Context::default(), None).await;
        assert_eq!(outcome, Outcome::TakenOver);
    }
    let rows = run.shutdown().await;
    pool.stop().await;
    let seen = seen.lock().unwrap();
    let mut owners = std::collections::BTreeMap::new();
    for (trace, worker) in &*seen {
        assert_eq!(
            owners.insert(trace.clone(), *worker).unwrap_or(*worker),
            *worker
        );
    }
    let mut arrived: Vec<_> = rig.bin("out").payloads().iter().flat_map(traces).collect();
    sent.sort();
    arrived.sort();
    assert_eq!(sent, arrived);
    assert_eq!(row(&rows, "census", TRACES).out, sent.len() as u64);
}

#[tokio::test]
async fn many_traces_are_spread_over_all_workers() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let census = move |cx: &BuildContext| Census {
        worker: cx.worker,
        seen: Arc::clone(&record),
    };
    let rig = Rig::default().processor("census", census).pipeline(
        "traces",
        &["in"],
        &["census"],
        &["out"],
    );
    let pool = Pool::start(3).unwrap();
    let run = rig.start_on(pool.clone()).await;
    let traces: Vec<u8> = (0..=255).collect();
    let door = run.intake("in", TRACES);
    door.deliver(spans(&traces), Context::default(), None).await;
    run.shutdown().await;
    pool.stop().await;
    for worker in 0..3 {
        let owned = seen
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, w)| *w == worker)
            .count();
        assert!(
            (60..110).contains(&owned),
            "worker {worker} owns {owned} of 256"
        );
    }
}
