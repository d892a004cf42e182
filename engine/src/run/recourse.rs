//! Whole graphs with the genuine delivery behind a connector that knows another way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use tidegate_component::delivery::{Delivery, Retry, SendingQueue};
use tidegate_component::testing::{FakePeer, unavailable};
use tidegate_component::{
    BuildContext, Connector, Delivered, ExportError, Exporter, Outbox, Promise, Reason, Routes,
    SAME_SIGNAL, async_trait,
};
use tidegate_pdata::{Batch, Context, Outcome, Payload, Receipt, Recourse, Refusal, Signal};
use tokio::time::Instant;

use crate::testing::{ProcessorFake, Rig, Run, row};

const LOGS: Signal = Signal::Logs;

/// What the first pipeline did not keep, with what is owed for it.
type Back = Arc<Mutex<(usize, VecDeque<(Payload, Receipt)>)>>;

/// Passes everything to its first pipeline, and what that does not keep to its second.
struct Elsewhere {
    back: Back,
    waker: Waker,
    shutdown: Reason,
}

#[derive(Debug)]
struct Way(Payload, Receipt, Back, Waker);

impl Recourse for Way {
    fn settled(self: Box<Self>, outcome: Outcome) {
        let Self(payload, receipt, back, waker) = *self;
        let mut back = back.lock().unwrap();
        if outcome.is_kept() {
            back.0 -= 1;
            receipt.settle(&outcome);
        } else {
            back.1.push_back((payload, receipt));
            waker.wake();
        }
    }

    fn is_expired(&self) -> bool {
        self.1.is_expired()
    }
}

impl Elsewhere {
    fn new(cx: &BuildContext) -> Self {
        Self {
            back: Back::default(),
            waker: cx.waker.clone(),
            shutdown: cx.loss("shutdown"),
        }
    }

    fn take(&self) -> Option<(Payload, Receipt)> {
        let mut back = self.back.lock().unwrap();
        let taken = back.1.pop_front()?;
        back.0 -= 1;
        Some(taken)
    }
}

impl Connector for Elsewhere {
    fn process(&mut self, batch: Batch, out: &mut Routes<'_>) {
        let (payload, context, receipt) = batch.into_parts();
        self.back.lock().unwrap().0 += 1;
        let way = Way(
            payload.clone(),
            receipt,
            self.back.clone(),
            self.waker.clone(),
        );
        let receipt = Receipt::with_recourse(Box::new(way));
        out.push(0, Batch::new(payload, context, receipt));
    }

    fn flush(&mut self, _: Instant, out: &mut Routes<'_>) {
        while let Some((payload, receipt)) = self.take() {
            out.outbox.created(payload.items());
            out.push(1, Batch::new(payload, Context::default(), receipt));
        }
    }

    fn awaits(&self) -> usize {
        self.back.lock().unwrap().0
    }

    fn close(&mut self, out: &mut Outbox) {
        while let Some((payload, receipt)) = self.take() {
            out.created(payload.items());
            out.dropped(&self.shutdown, payload.items());
            let refusal = Refusal::new("shutting down", Duration::from_secs(1));
            receipt.settle(&Outcome::Refused(refusal));
        }
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

/// in → elsewhere → first, or else second.
fn rig(first: Arc<dyn Exporter>, keys: Delivery, second: Arc<dyn Exporter>) -> Rig {
    Rig::default()
        .connector("elsewhere", SAME_SIGNAL, Elsewhere::new)
        .awaiting("elsewhere")
        .peer("first", first, keys)
        .peer("second", second, Delivery::default())
        .pipeline("logs", &["in"], &[], &["elsewhere"])
        .pipeline("logs/first", &["elsewhere"], &[], &["first"])
        .pipeline("logs/second", &["elsewhere"], &[], &["second"])
}

fn lost(run: &Run, exporter: &str) -> u64 {
    let reasons = ["retry_exhausted", "retry_off", "permanent", "queue_full"];
    let count = |reason| {
        let labels = [
            ("exporter", exporter),
            ("pipeline", ""),
            ("signal", "logs"),
            ("reason", reason),
        ];
        run.counter("tidegate_lost_items", &labels)
    };
    reasons.map(count).iter().sum()
}

async fn rest() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test(start_paused = true)]
async fn batch_is_given_back_at_the_first_failure_and_delivered_elsewhere() {
    let (dead, good) = (FakePeer::always(unavailable), Arc::new(FakePeer::default()));
    let run = rig(Arc::new(dead), Delivery::default(), good.clone())
        .start()
        .await;
    let start = Instant::now();
    assert_eq!(run.send("in", LOGS, 5).await, Outcome::TakenOver);
    assert!(start.elapsed() < Duration::from_millis(50));
    rest().await;
    assert_eq!((good.items(), lost(&run, "first")), (5, 0));
    let rows = run.shutdown().await;
    let first = row(&rows, "first", LOGS);
    assert_eq!((first.r#in, first.dropped["handed_back"]), (5, 5));
    let way = row(&rows, "elsewhere", LOGS);
    assert_eq!((way.r#in, way.created, way.out), (5, 5, 10));
    assert_eq!(row(&rows, "second", LOGS).consumed, 5);
}

#[tokio::test(start_paused = true)]
async fn sender_hears_of_the_delivery_where_there_is_another_way() {
    let peer = Arc::new(FakePeer::default());
    let rig = rig(
        peer.clone(),
        Delivery::default(),
        Arc::new(FakePeer::default()),
    );
    let run = rig.start().await;
    assert_eq!(run.send("in", LOGS, 5).await, Outcome::Delivered);
    assert_eq!(peer.items(), 5);
    run.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn open_breaker_gives_back_without_a_call() {
    let (dead, good) = (
        Arc::new(FakePeer::always(unavailable)),
        Arc::new(FakePeer::default()),
    );
    let run = rig(dead.clone(), Delivery::default(), good.clone())
        .start()
        .await;
    for _ in 0..100 {
        run.send("in", LOGS, 1).await;
    }
    rest().await;
    assert_eq!((dead.calls().len(), good.items()), (20, 100));
    run.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn retries_that_are_asked_for_are_made_first() {
    let failing = FakePeer::default()
        .then(|| Err(unavailable()))
        .then(|| Err(unavailable()));
    let (failing, other) = (Arc::new(failing), Arc::new(FakePeer::default()));
    let keys = Delivery {
        retry_on_failure: Some(Retry {
            initial_interval: tidegate_document::Duration::from_millis(100),
            ..Retry::default()
        }),
        ..Delivery::default()
    };
    let run = rig(failing.clone(), keys, other.clone()).start().await;
    assert_eq!(run.send("in", LOGS, 5).await, Outcome::Delivered);
    assert_eq!((failing.calls().len(), failing.items()), (3, 5));
    assert_eq!(other.items(), 0);
    run.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn rejected_batch_is_given_back_whole() {
    let reject = || ExportError::Permanent {
        endpoint: "peer:4317".into(),
        reason: "bad".to_owned(),
        divisible: true,
    };
    let (strict, other) = (
        Arc::new(FakePeer::always(reject)),
        Arc::new(FakePeer::default()),
    );
    let run = rig(strict.clone(), Delivery::default(), other.clone())
        .start()
        .await;
    run.send("in", LOGS, 5).await;
    rest().await;
    assert_eq!((strict.calls().len(), other.items()), (1, 5));
    run.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn full_queue_shuts_no_door_where_there_is_another_way() {
    let other = Arc::new(FakePeer::default());
    let keys = Delivery {
        timeout: Some(tidegate_document::Duration::from_secs(0)),
        sending_queue: Some(SendingQueue {
            queue_size: Some(2),
            num_consumers: 1,
            ..SendingQueue::default()
        }),
        ..Delivery::default()
    };
    let run = rig(Arc::new(Stuck), keys, other.clone()).start().await;
    let intake = run.intake("in", LOGS);
    for _ in 0..10 {
        assert!(intake.admit(1, &Context::default(), None).await.is_ok());
        let payload = crate::testing::payload(LOGS, 1);
        let until = Some(Instant::now() + Duration::from_millis(1));
        intake.deliver(payload, Context::default(), until).await;
    }
    rest().await;
    assert_eq!(other.items(), 8);
    let rows = run.shutdown().await;
    let first = row(&rows, "first", LOGS);
    assert_eq!((first.r#in, first.dropped["handed_back"]), (10, 10));
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_a_shutdown_still_goes_elsewhere() {
    let other = Arc::new(FakePeer::default());
    let run = rig(Arc::new(Stuck), Delivery::default(), other.clone())
        .start()
        .await;
    let intake = run.intake("in", LOGS);
    let payload = crate::testing::payload(LOGS, 7);
    let until = Some(Instant::now() + Duration::from_millis(1));
    intake.deliver(payload, Context::default(), until).await;
    assert_eq!(other.items(), 0);
    let rows = run.shutdown().await;
    assert_eq!((other.items(), row(&rows, "second", LOGS).consumed), (7, 7));
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_while_queues_are_drained_is_counted() {
    let keys = Delivery {
        timeout: Some(tidegate_document::Duration::from_secs(0)),
        ..Delivery::default()
    };
    let run = rig(Arc::new(Stuck), keys, Arc::new(FakePeer::default()))
        .start()
        .await;
    let intake = run.intake("in", LOGS);
    let payload = crate::testing::payload(LOGS, 7);
    let until = Some(Instant::now() + Duration::from_millis(1));
    intake.deliver(payload, Context::default(), until).await;
    let rows = run.shutdown().await;
    assert_eq!(row(&rows, "elsewhere", LOGS).dropped["shutdown"], 7);
    assert_eq!(row(&rows, "first", LOGS).dropped["handed_back"], 7);
}

#[tokio::test(start_paused = true)]
async fn batch_that_comes_straight_is_retried_as_ever() {
    let peer = Arc::new(FakePeer::default().then(|| Err(unavailable())));
    let other = Arc::new(FakePeer::default());
    let rig = rig(peer.clone(), Delivery::default(), other.clone());
    let rig = rig.pipeline("logs/straight", &["straight"], &[], &["first"]);
    let run = rig.start().await;
    assert_eq!(run.send("straight", LOGS, 3).await, Outcome::TakenOver);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((peer.items(), other.items()), (3, 0));
    run.shutdown().await;
}

#[tokio::test]
async fn processors_behind_are_told_to_carry_receipts() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let spy = move |cx: &BuildContext| {
        told.lock().unwrap().push(cx.promise);
        ProcessorFake(|batch: Batch, out: &mut Outbox| out.push(batch))
    };
    let peer = Arc::new(FakePeer::default());
    let rig = rig(peer.clone(), Delivery::default(), peer.clone())
        .processor("spy", spy)
        .pipeline("logs/third", &["elsewhere"], &["spy"], &["second"]);
    let run = rig.start().await;
    assert!(
        seen.lock()
            .unwrap()
            .iter()
            .all(|seen| *seen == Promise::Delivered)
    );
    assert_eq!(run.intake("in", LOGS).promise(), Promise::Delivered);
    run.shutdown().await;
}
