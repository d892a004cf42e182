//! Whole graphs in which an exporter keeps what others give up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tidegate_component::delivery::{Delivery, SendingQueue};
use tidegate_component::status::Summary;
use tidegate_component::testing::{FakePeer, unavailable};
use tidegate_component::{Delivered, ExportError, Exporter};
use tidegate_pdata::{Outcome, Signal};

use crate::testing::{Rig, id, row};

const LOGS: Signal = Signal::Logs;

fn rejecting() -> Arc<dyn Exporter> {
    Arc::new(FakePeer::always(|| ExportError::Permanent {
        endpoint: "peer:4317".into(),
        reason: "no such index".to_owned(),
        divisible: false,
    }))
}

fn keys(letters: Option<&str>) -> Delivery {
    Delivery {
        on_permanent_error: letters.map(id),
        ..Delivery::default()
    }
}

/// As a `file`.
fn unqueued(letters: Option<&str>) -> Delivery {
    Delivery {
        sending_queue: Some(SendingQueue {
            enabled: Some(false),
            ..SendingQueue::default()
        }),
        ..keys(letters)
    }
}

#[tokio::test(start_paused = true)]
async fn exporter_that_no_pipeline_names_keeps_what_another_gives_up() {
    let letters = Arc::new(FakePeer::default());
    let rig = Rig::default()
        .peer("letters", letters.clone(), unqueued(None))
        .peer("picky", rejecting(), keys(Some("letters")))
        .pipeline("logs", &["in"], &[], &["picky"]);
    let run = rig.start().await;
    assert_eq!(run.send("in", LOGS, 5).await, Outcome::TakenOver);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(letters.items(), 5);
    let pipelines = run.running.status().pipelines();
    let shown = pipelines[0].exporters.iter().map(|shown| &*shown.id);
    assert_eq!(shown.collect::<Vec<_>>(), ["picky", "letters"]);
    let labels = |exporter: &'static str, reason| {
        let exporter = ("exporter", exporter);
        [
            exporter,
            ("pipeline", ""),
            ("signal", "logs"),
            ("reason", reason),
        ]
    };
    let letter = labels("picky", "permanent");
    assert_eq!(run.counter("tidegate_dead_letter_items", &letter), 5);
    assert_eq!(run.counter("tidegate_lost_items", &letter), 0);
    let rows = run.shutdown().await;
    let picky = row(&rows, "picky", LOGS);
    assert_eq!((picky.r#in, picky.out, picky.dropped.len()), (5, 5, 0));
    assert_eq!(picky.dead_letters["permanent"], 5);
    let kept = row(&rows, "letters", LOGS);
    assert_eq!((kept.r#in, kept.consumed), (5, 5));
    let sum = Summary::of(&rows);
    assert_eq!((sum.received, sum.delivered, sum.lost_items()), (5, 5, 0));
}

#[tokio::test(start_paused = true)]
async fn who_takes_on_the_spot_keeps_letters_too() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let rig = Rig::default()
        .inline("show", move |batch| {
            count.fetch_add(batch.items(), SeqCst);
            Ok(Delivered::default())
        })
        .peer("picky", rejecting(), keys(Some("show")))
        .pipeline("logs", &["in"], &[], &["picky"]);
    let run = rig.start().await;
    run.send("in", LOGS, 4).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let rows = run.shutdown().await;
    assert_eq!(seen.load(SeqCst), 4);
    assert_eq!(row(&rows, "picky", LOGS).dead_letters["permanent"], 4);
    assert_eq!(row(&rows, "show", LOGS).consumed, 4);
}

#[tokio::test(start_paused = true)]
async fn letters_go_on_to_the_letters_of_who_rejects_them_and_come_to_an_end() {
    let last = Arc::new(FakePeer::default());
    let rig = Rig::default()
        .peer("z_last", last.clone(), unqueued(None))
        .peer("a_second", rejecting(), unqueued(Some("z_last")))
        .peer("m_first", rejecting(), keys(Some("a_second")))
        .pipeline("logs", &["in"], &[], &["m_first"]);
    let run = rig.start().await;
    run.send("in", LOGS, 3).await;
    let rows = run.shutdown().await;
    assert_eq!(last.items(), 3);
    for exporter in ["m_first", "a_second"] {
        assert_eq!(row(&rows, exporter, LOGS).dead_letters["permanent"], 3);
    }
    assert_eq!(row(&rows, "z_last", LOGS).consumed, 3);
}

#[tokio::test(start_paused = true)]
async fn letters_written_in_the_last_moment_are_still_delivered() {
    let letters = Arc::new(FakePeer::default().then(|| Err(unavailable())));
    let rig = Rig::default()
        .peer("letters", letters.clone(), keys(None))
        .peer("picky", rejecting(), keys(Some("letters")))
        .pipeline("logs", &["in"], &[], &["picky"]);
    let run = rig.start().await;
    run.send("in", LOGS, 6).await;
    let rows = run.shutdown().await;
    assert_eq!(letters.items(), 6);
    assert_eq!(row(&rows, "letters", LOGS).consumed, 6);
}
