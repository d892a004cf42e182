//! Whole graphs with the genuine delivery, against peers that answer by a script.

use std::sync::Arc;
use std::time::Duration;

use tidegate_component::delivery::{Delivery, SendingQueue};
use tidegate_component::testing::{FakePeer, unavailable};
use tidegate_component::{Delivered, ExportError, Exporter, Outbox, Promise, async_trait};
use tidegate_pdata::{Batch, Context, Outcome, Signal};
use tokio::time::Instant;

use crate::testing::{Hold, ProcessorFake, Rig, row};

const LOGS: Signal = Signal::Logs;

fn waiting() -> Delivery {
    Delivery {
        sending_queue: Some(SendingQueue {
            wait_for_result: true,
            ..SendingQueue::default()
        }),
        ..Delivery::default()
    }
}

/// A peer that never answers.
struct Stuck;

#[async_trait]
impl Exporter for Stuck {
    async fn export(&self, _: &Batch) -> Result<Delivered, ExportError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn dead_exporter_delays_neither_its_siblings_nor_the_sender() {
    let good = Arc::new(FakePeer::default());
    let rig = Rig::default()
        .peer("dead", Arc::new(Stuck), Delivery::default())
        .peer("good", good.clone(), Delivery::default())
        .pipeline("logs", &["in"], &[], &["dead", "good"]);
    let run = rig.start().await;
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(run.send("in", LOGS, 3).await, Outcome::TakenOver);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(good.items(), 300);
    let rows = run.shutdown().await;
    assert_eq!(row(&rows, "good", LOGS).consumed, 300);
    let dead = row(&rows, "dead", LOGS);
    assert_eq!((dead.r#in, dead.consumed), (300, 0));
    assert_eq!(dead.dropped.values().sum::<u64>(), 300);
}

#[tokio::test(start_paused = true)]
async fn sender_hears_of_the_delivery_where_that_is_promised() {
    let peer = Arc::new(FakePeer::default().then(|| Err(unavailable())));
    let rig = Rig::default()
        .peer("out", peer.clone(), waiting())
        .pipeline("logs", &["in"], &[], &["out"]);
    let run = rig.start().await;
    assert_eq!(run.intake("in", LOGS).promise(), Promise::Delivered);
    assert_eq!(run.send("in", LOGS, 2).await, Outcome::Delivered);
    // The first attempt failed, the second one came after its backoff.
    assert_eq!((peer.calls().len(), peer.items()), (2, 2));
    run.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_an_expired_answer_is_discarded_and_counted() {
    let peer = Arc::new(FakePeer::always(unavailable));
    let rig = Rig::default()
        .peer("out", peer.clone(), waiting())
        .pipeline("logs", &["in"], &[], &["out"]);
    let run = rig.start().await;
    let outcome = run.send("in", LOGS, 4).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    let calls = peer.calls().len();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(peer.calls().len() <= calls + 1);
    let rows = run.shutdown().await;
    let row = row(&rows, "out", LOGS);
    assert_eq!((row.consumed, row.held), (0, 0));
    assert_eq!(row.dropped.values().sum::<u64>(), 4, "{:?}", row.dropped);
}

#[tokio::test(start_paused = true)]
async fn shutdown_delivers_what_is_held_and_queued() {
    let peer = Arc::new(FakePeer::default().then(|| Err(unavailable())));
    let rig = Rig::default()
        .processor("hold", |_| Hold::new(Duration::from_secs(3600)))
        .peer("out", peer.clone(), Delivery::default())
        .pipeline("logs/held", &["in"], &["hold"], &["out"])
        .pipeline("logs", &["in"], &[], &["out"]);
    let run = rig.start().await;
    run.send("in", LOGS, 5).await;
    let rows = run.shutdown().await;
    assert_eq!(peer.items(), 10);
    assert_eq!(row(&rows, "out", LOGS).consumed, 10);
}

#[tokio::test(start_paused = true)]
async fn what_a_shutdown_cannot_deliver_is_counted_as_its_loss() {
    let rig = Rig::default()
        .peer(
            "out",
            Arc::new(FakePeer::always(unavailable)),
            Delivery::default(),
        )
        .pipeline("logs", &["in"], &[], &["out"]);
    let run = rig.start().await;
    run.send("in", LOGS, 6).await;
    let start = Instant::now();
    let rows = run.shutdown().await;
    assert!(start.elapsed() <= Duration::from_secs(62));
    assert_eq!(row(&rows, "out", LOGS).dropped["shutdown"], 6);
}

#[tokio::test(start_paused = true)]
async fn receiver_that_does_not_stop_leaves_the_queues_time_to_deliver() {
    let slow = Arc::new(FakePeer::default().then(|| Err(unavailable())));
    let rig = Rig::default()
        .peer("out", slow.clone(), Delivery::default())
        .pipeline("logs", &["in"], &[], &["out"])
        .endless_receivers();
    let run = rig.start().await;
    run.send("in", LOGS, 3).await;
    let late = run.intake("in", LOGS);
    let rows = run.shutdown().await;
    assert_eq!(row(&rows, "out", LOGS).consumed, 3);
    let payload = crate::testing::payload(LOGS, 1);
    let outcome = late.deliver(payload, Context::default(), None).await;
    assert!(matches!(outcome, Outcome::Refused(_)));
}

#[tokio::test]
async fn item_that_a_processor_swallows_shows_in_the_ledger() {
    let swallow = |_: &tidegate_component::BuildContext| {
        ProcessorFake(|mut batch: Batch, _: &mut Outbox| {
            batch.receipt_mut().settle_in_place(&Outcome::Delivered);
        })
    };
    let rig = Rig::default().processor("swallow", swallow).pipeline(
        "logs",
        &["in"],
        &["swallow"],
        &["out"],
    );
    let run = rig.start().await;
    run.send("in", LOGS, 9).await;
    let rows = run.shutdown().await;
    assert_eq!(row(&rows, "swallow", LOGS).dropped["unaccounted"], 9);
}

/// A peer over whose batches the exporter panics.
struct Panicking;

#[async_trait]
impl Exporter for Panicking {
    async fn export(&self, _: &Batch) -> Result<Delivered, ExportError> {
        panic!("at a batch")
    }
}

#[tokio::test(start_paused = true)]
async fn panic_of_an_exporter_is_one_loss_in_the_ledger() {
    let rig = Rig::default()
        .peer("out", Arc::new(Panicking), Delivery::default())
        .pipeline("logs", &["in"], &[], &["out"]);
    let run = rig.start().await;
    run.send("in", LOGS, 4).await;
    let rows = run.shutdown().await;
    let row = row(&rows, "out", LOGS);
    assert_eq!(row.lost, [("panic".to_owned(), 4)].into());
    assert_eq!((row.dropped_items(), row.imbalance()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_waiting_sender_is_told_of_is_dropped_and_not_lost() {
    let reject = || ExportError::Permanent {
        endpoint: "peer:4317".into(),
        reason: "no".into(),
        divisible: false,
    };
    let rig = Rig::default()
        .peer("told", Arc::new(FakePeer::always(reject)), waiting())
        .peer(
            "away",
            Arc::new(FakePeer::always(reject)),
            Delivery::default(),
        )
        .pipeline("logs/told", &["first"], &[], &["told"])
        .pipeline("logs/away", &["second"], &[], &["away"]);
    let run = rig.start().await;
    assert!(matches!(
        run.send("first", LOGS, 2).await,
        Outcome::Rejected(_)
    ));
    assert_eq!(run.send("second", LOGS, 3).await, Outcome::TakenOver);
    let rows = run.shutdown().await;
    let told = row(&rows, "told", LOGS);
    assert_eq!((told.dropped["permanent"], told.lost.len()), (2, 0));
    assert_eq!(row(&rows, "away", LOGS).lost["permanent"], 3);
}

#[tokio::test(start_paused = true)]
async fn breaker_of_a_dead_peer_shows_in_the_status() {
    let rig = Rig::default()
        .peer(
            "out",
            Arc::new(FakePeer::always(unavailable)),
            Delivery::default(),
        )
        .pipeline("logs", &["in"], &[], &["out"]);
    let run = rig.start().await;
    let state = || run.running.status().pipelines()[0].exporters[0].breaker;
    assert_eq!(state(), Some("closed"));
    for _ in 0..30 {
        run.send("in", LOGS, 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(state(), Some("open"));
    run.shutdown().await;
}
