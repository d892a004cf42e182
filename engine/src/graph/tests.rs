use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::FutureExt;
use tidegate_component::{Delivered, ExportError, Outbox, Processor};
use tidegate_pdata::{Batch, Context, Outcome, Refusal, Signal};
use tokio::time::Instant;

use crate::Pool;
use crate::testing::{Hold, ProcessorFake, Rig, Run, Script, row};

const TRACES: Signal = Signal::Traces;

fn pass() -> impl Processor {
    ProcessorFake(|batch: Batch, out: &mut Outbox| out.push(batch))
}

#[tokio::test]
async fn batch_passes_receiver_processors_and_queue_in_one_call() {
    let rig = Rig::default()
        .processor("first", |_| pass())
        .processor("second", |_| pass())
        .pipeline("traces", &["in"], &["first", "second"], &["out"]);
    let run = rig.start().await;
    assert_eq!(run.send("in", TRACES, 5).await, Outcome::TakenOver);
    assert_eq!(rig.bin("out").sizes(), [5]);
    let accepted = [("receiver", "in"), ("transport", "")];
    assert_eq!(run.counter("otelcol_receiver_accepted_spans", &accepted), 5);
    let rows = run.shutdown().await;
    for component in ["in", "first", "second"] {
        let row = row(&rows, component, TRACES);
        assert_eq!((row.r#in, row.out, row.held), (5, 5, 0));
    }
    assert_eq!(row(&rows, "out", TRACES).consumed, 5);
}

#[tokio::test]
async fn batches_emitted_by_one_call_keep_their_order() {
    let split = || {
        ProcessorFake(|batch: Batch, out: &mut Outbox| {
            for items in [1, 2, 3] {
                let payload = crate::testing::payload(TRACES, items);
                let receipt = batch.receipt().fork();
                out.push(Batch::new(payload, batch.context().clone(), receipt));
            }
            batch.into_parts().2.settle(&Outcome::Delivered);
        })
    };
    let rig = Rig::default()
        .processor("split", move |_| split())
        .processor("pass", |_| pass())
        .pipeline("traces", &["in"], &["split", "pass"], &["a", "b"]);
    let run = rig.start().await;
    assert_eq!(run.send("in", TRACES, 6).await, Outcome::TakenOver);
    assert_eq!(rig.bin("a").sizes(), [1, 2, 3]);
    assert_eq!(rig.bin("b").sizes(), [1, 2, 3]);
    run.shutdown().await;
}

#[tokio::test]
async fn sender_sees_the_worst_outcome_of_all_branches() {
    let refusal = Refusal::new("full", Duration::from_secs(3));
    let refused = Outcome::Refused(refusal);
    let script = Script {
        outcome: Some(refused.clone()),
        ..Script::default()
    };
    let rig = Rig::default()
        .queue("bad", script)
        .pipeline("traces/1", &["in"], &[], &["good", "bad"])
        .pipeline("traces/2", &["in"], &[], &["other"]);
    let run = rig.start().await;
    assert_eq!(run.send("in", TRACES, 2).await, refused);
    assert_eq!(rig.bin("good").items(), 2);
    assert_eq!(rig.bin("other").items(), 2);
    let labels = [("receiver", "in"), ("transport", "")];
    assert_eq!(run.counter("otelcol_receiver_refused_spans", &labels), 2);
    assert_eq!(run.counter("otelcol_receiver_accepted_spans", &labels), 0);
    run.shutdown().await;
}

#[tokio::test]
async fn panic_in_a_processor_costs_the_batch_and_the_instance_alone() {
    let built = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&built);
    let fragile = move || {
        count.fetch_add(1, SeqCst);
        let mut seen = 0;
        ProcessorFake(move |batch: Batch, out: &mut Outbox| {
            seen += 1;
            assert_ne!(batch.items(), 13, "on purpose, at batch {seen}");
            out.push(batch);
        })
    };
    let rig = Rig::default()
        .processor("fragile", move |_| fragile())
        .pipeline("traces", &["in"], &["fragile"], &["out"]);
    let run = rig.start().await;
    assert_eq!(run.send("in", TRACES, 1).await, Outcome::TakenOver);
    let before = built.load(SeqCst);
    assert_eq!(run.send("in", TRACES, 13).await, Outcome::Lost);
    assert_eq!(built.load(SeqCst), before + 1);
    assert_eq!(run.send("in", TRACES, 2).await, Outcome::TakenOver);
    assert_eq!(rig.bin("out").sizes(), [1, 2]);
    let labels = [("receiver", "in"), ("transport", "")];
    assert_eq!(run.counter("otelcol_receiver_failed_spans", &labels), 13);
    let rows = run.shutdown().await;
    assert_eq!(row(&rows, "fragile", TRACES).dropped["panic"], 13);
}

#[tokio::test(start_paused = true)]
async fn panic_counts_what_the_instance_held() {
    let fragile = || {
        let mut hold = Hold::new(Duration::from_secs(1));
        FragileHold(
            move |batch: Batch, out: &mut Outbox| {
                assert_ne!(batch.items(), 13, "on purpose");
                hold.process(batch, out);
                hold.held()
            },
            (0, 0),
        )
    };
    let rig = Rig::default()
        .processor("fragile", move |_| fragile())
        .pipeline("traces", &["in"], &["fragile"], &["out"]);
    let run = rig.start().await;
    assert_eq!(run.send("in", TRACES, 4).await, Outcome::TakenOver);
    assert_eq!(run.send("in", TRACES, 13).await, Outcome::Lost);
    let rows = run.shutdown().await;
    assert_eq!(row(&rows, "fragile", TRACES).dropped["panic"], 17);
    assert_eq!(rig.bin("out").items(), 0);
}

struct FragileHold<F>(F, (usize, usize));

impl<F: FnMut(Batch, &mut Outbox) -> (usize, usize)> Processor for FragileHold<F> {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        self.1 = (self.0)(batch, out);
    }

    fn held(&self) -> (usize, usize) {
        self.1
    }
}

#[tokio::test]
async fn inline_exporter_answers_on_the_spot_and_harms_no_sibling() {
    let apply = |batch: &Batch| match batch.items() {
        1 => Ok(Delivered {
            rejected: 1,
            message: None,
        }),
        2 => Err(ExportError::Retryable {
            endpoint: "console".into(),
            source: "busy".into(),
        }),
        3 => panic!("on purpose"),
        _ => Ok(Delivered::default()),
    };
    let rig = Rig::default().inline("console", apply).pipeline(
        "traces",
        &["in"],
        &[],
        &["console", "out"],
    );
    let run = rig.start().await;
    assert_eq!(run.send("in", TRACES, 1).await, Outcome::TakenOver);
    assert!(matches!(
        run.send("in", TRACES, 2).await,
        Outcome::Refused(_)
    ));
    assert!(!run.running.status().pipelines()[0].healthy);
    assert_eq!(run.send("in", TRACES, 3).await, Outcome::Lost);
    assert_eq!(run.send("in", TRACES, 4).await, Outcome::TakenOver);
    assert!(run.running.status().pipelines()[0].healthy);
    assert_eq!(rig.bin("out").sizes(), [1, 2, 3, 4]);
    let sent = [("exporter", "console")];
    assert_eq!(run.counter("otelcol_exporter_sent_spans", &sent), 4);
    assert_eq!(run.counter("otelcol_exporter_send_failed_spans", &sent), 6);
    let rows = run.shutdown().await;
    let row = row(&rows, "console", TRACES);
    assert_eq!((row.r#in, row.consumed), (10, 4));
    let dropped = [("panic", 3), ("refused", 2), ("rejected", 1)];
    let dropped = dropped.map(|(reason, items)| (reason.to_owned(), items));
    assert_eq!(row.dropped, dropped.into());
}

#[tokio::test(start_paused = true)]
async fn held_data_is_flushed_at_its_deadline_and_idle_graphs_sleep() {
    let rig = Rig::default()
        .processor("hold", |_| Hold::new(Duration::from_millis(200)))
        .pipeline("traces", &["in"], &["hold"], &["out"]);
    let run = rig.start().await;
    let start = Instant::now();
    assert_eq!(run.send("in", TRACES, 2).await, Outcome::TakenOver);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(run.send("in", TRACES, 3).await, Outcome::TakenOver);
    assert_eq!(rig.bin("out").items(), 0);
    tokio::time::sleep_until(start + Duration::from_millis(201)).await;
    assert_eq!(rig.bin("out").sizes(), [5]);
    // The next window starts with the next batch, not with the last flush.
    tokio::time::sleep(Duration::from_millis(150)).await;
    run.send("in", TRACES, 1).await;
    tokio::time::sleep(Duration::from_millis(199)).await;
    assert_eq!(rig.bin("out").sizes(), [5]);
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(rig.bin("out").sizes(), [5, 1]);
    run.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn node_that_stays_due_does_not_keep_the_worker_busy() {
    struct Restless(Arc<AtomicUsize>);
    impl Processor for Restless {
        fn process(&mut self, batch: Batch, out: &mut Outbox) {
            out.push(batch);
        }
        fn deadline(&self) -> Option<Instant> {
            Some(Instant::now())
        }
        fn flush(&mut self, _: Instant, _: &mut Outbox) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let flushes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&flushes);
    let rig = Rig::default()
        .processor("restless", move |_| Restless(Arc::clone(&count)))
        .pipeline("traces", &["in"], &["restless"], &["out"]);
    let run = rig.start().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!((10..=60).contains(&flushes.load(SeqCst)));
    run.shutdown().await;
}

#[tokio::test]
async fn batches_from_other_threads_run_on_workers() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let spy = move |_: &tidegate_component::BuildContext| {
        let record = Arc::clone(&record);
        ProcessorFake(move |batch: Batch, out: &mut Outbox| {
            let thread = std::thread::current();
            record
                .lock()
                .unwrap()
                .push(thread.name().unwrap().to_owned());
            out.push(batch);
        })
    };
    let rig = Rig::default()
        .processor("spy", spy)
        .pipeline("traces", &["in"], &["spy"], &["out"]);
    let pool = Pool::start(2).unwrap();
    let run = rig.start_on(pool.clone()).await;
    for _ in 0..4 {
        assert_eq!(run.send("in", TRACES, 1).await, Outcome::TakenOver);
    }
    let mut threads = seen.lock().unwrap().clone();
    threads.sort();
    assert_eq!(threads, ["worker-0", "worker-0", "worker-1", "worker-1"]);
    run.shutdown().await;
    pool.stop().await;
}

/// Allocations that bringing in one request of this many items costs.
fn allocations(run: &Run, items: usize) -> u64 {
    let door = run.intake("in", TRACES);
    let payload = crate::testing::payload(TRACES, items);
    let deliver = door.deliver(payload, Context::default(), None);
    let counted = allocation_counter::measure(|| {
        let outcome = deliver.now_or_never();
        assert_eq!(outcome, Some(Outcome::Delivered));
    });
    counted.count_total
}

#[tokio::test]
async fn request_costs_its_receipt_and_nothing_per_record() {
    let rig = Rig::default()
        .processor("first", |_| pass())
        .processor("second", |_| pass())
        .inline("a", |_| Ok(Delivered::default()))
        .pipeline("traces", &["in"], &["first", "second"], &["a"]);
    let run = rig.start().await;
    // The first one makes the counters.
    allocations(&run, 1);
    assert_eq!(allocations(&run, 1), 1);
    assert_eq!(allocations(&run, 10_000), 1);
    run.shutdown().await;
}

#[tokio::test]
async fn branches_share_the_bytes_and_the_receipt() {
    let rig = Rig::default()
        .inline("a", |_| Ok(Delivered::default()))
        .inline("b", |_| Ok(Delivered::default()))
        .pipeline("traces/1", &["in"], &[], &["a", "b"])
        .pipeline("traces/2", &["in"], &[], &["a", "b"]);
    let run = rig.start().await;
    allocations(&run, 1);
    // One more: bytes that lay in a vector get a count of their users.
    assert_eq!(allocations(&run, 10_000), 2);
    run.shutdown().await;
}
