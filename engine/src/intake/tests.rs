//! Who gets in when there is not room for all.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tidegate_component::delivery::{Delivery, SendingQueue};
use tidegate_component::testing::{FakePeer, unavailable};
use tidegate_component::{BuildContext, Ceiling, Gate, Intake, Outbox};
use tidegate_pdata::{Batch, Context, Outcome, Payload, Refusal, Segment, Signal};

use crate::testing::{ProcessorFake, Rig, Run, row};

const LOGS: Signal = Signal::Logs;
const KIB: usize = 1 << 10;

/// A client of this run, by the last number of its address.
fn client(run: &Run, last: u8) -> Context {
    let address = [10, 0, 0, last].into();
    let client = run.engine.budget().client(Some(address));
    Context::builder().client(client).build()
}

/// Sends one item of `bytes` bytes as a receiver does.
async fn send(door: &Intake, sender: &Context, bytes: usize) -> Result<Outcome, Refusal> {
    let hold = door.admit(bytes, sender, None).await?;
    let segment = Segment::new(Bytes::from(vec![0; bytes]), 1, Some(Arc::new(hold)));
    let payload = Payload::from_segment(LOGS, segment);
    door.bring(payload, sender.clone(), None).await
}

/// Sends until it is refused; says how often it was not, and why it was in the end.
async fn flood(door: &Intake, sender: &Context, bytes: usize) -> (usize, Refusal) {
    for sent in 0.. {
        match send(door, sender, bytes).await {
            Ok(outcome) => assert_eq!(outcome, Outcome::TakenOver),
            Err(refusal) => return (sent, refusal),
        }
    }
    unreachable!("a budget is finite")
}

/// A run whose only exporter delivers nothing, behind a queue of this many requests.
async fn stalled(queue_size: usize) -> Run {
    let queue = SendingQueue {
        queue_size: Some(queue_size),
        ..SendingQueue::default()
    };
    let keys = Delivery {
        sending_queue: Some(queue),
        ..Delivery::default()
    };
    let rig = Rig::default()
        .peer("out", Arc::new(FakePeer::always(unavailable)), keys)
        .pipeline("logs", &["in"], &[], &["out"]);
    rig.start().await
}

fn turned_away(run: &Run, reason: &str) -> u64 {
    let labels = [
        ("receiver", "in"),
        ("transport", ""),
        ("signal", "logs"),
        ("reason", reason),
    ];
    run.counter("tidegate_receiver_refused_requests", &labels)
}

#[tokio::test(start_paused = true)]
async fn client_that_floods_the_budget_leaves_room_for_modest_ones() {
    let run = stalled(100_000).await;
    let door = run.intake("in", LOGS);
    let (sent, refusal) = flood(&door, &client(&run, 1), 8 * KIB).await;
    assert_eq!(sent, 1024 / 9);
    assert!(
        refusal.reason.contains("more than its share"),
        "{refusal:?}"
    );
    assert_eq!(refusal.after, Duration::from_secs(1));
    for modest in 2..12 {
        let sender = client(&run, modest);
        assert_eq!(send(&door, &sender, 8 * KIB).await, Ok(Outcome::TakenOver));
        assert!(send(&door, &client(&run, 1), 8 * KIB).await.is_err());
    }
    assert_eq!(turned_away(&run, "share"), 11);
    let rows = run.shutdown().await;
    let queue = row(&rows, "out", LOGS);
    assert_eq!(queue.r#in, sent as u64 + 10);
}

#[tokio::test(start_paused = true)]
async fn client_that_fills_a_queue_leaves_places_for_others() {
    let run = stalled(90).await;
    let door = run.intake("in", LOGS);
    let (sent, refusal) = flood(&door, &client(&run, 1), 16).await;
    assert_eq!(sent, 81);
    assert!(
        refusal.reason.contains("queue is nearly full"),
        "{refusal:?}"
    );
    for modest in 2..10 {
        let sender = client(&run, modest);
        assert_eq!(send(&door, &sender, 16).await, Ok(Outcome::TakenOver));
    }
    run.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn senders_that_are_nobody_in_particular_may_use_all_of_it() {
    let run = stalled(90).await;
    let door = run.intake("in", LOGS);
    let (sent, _) = flood(&door, &Context::default(), 16).await;
    assert_eq!(sent, 90);
    run.shutdown().await;
}

/// A gate that charges requests until it has none left.
#[derive(Default)]
struct Meter {
    left: Mutex<usize>,
    ceiling: Option<usize>,
}

impl Meter {
    fn of(left: usize) -> Arc<Self> {
        Arc::new(Self {
            left: Mutex::new(left),
            ..Self::default()
        })
    }
}

impl Gate for Meter {
    fn refusal(&self, _: usize, _: &Context) -> Option<Refusal> {
        None
    }

    fn charge(&self, _: &Payload, _: &Context) -> Result<(), Refusal> {
        let mut left = self.left.lock().unwrap();
        *left = (left.checked_sub(1)).ok_or(Refusal::new("no more", Duration::from_secs(5)))?;
        Ok(())
    }

    fn discharge(&self, _: &Payload, _: &Context) {
        *self.left.lock().unwrap() += 1;
    }

    fn ceiling(&self) -> Option<Ceiling> {
        self.ceiling.map(|bytes| Ceiling {
            bytes,
            reason: "over the ceiling",
        })
    }
}

/// A run of which each pipeline has one of the gates.
async fn gated(gates: &[Arc<Meter>]) -> (Rig, Run) {
    let mut rig = Rig::default();
    for (at, gate) in gates.iter().enumerate() {
        let (name, gate) = (format!("gate/{at}"), Arc::clone(gate));
        let make = move |cx: &BuildContext| {
            cx.gates.add(Arc::clone(&gate) as Arc<dyn Gate>);
            ProcessorFake(|batch: Batch, out: &mut Outbox| out.push(batch))
        };
        rig = rig.processor(&name, make);
        let pipeline = format!("logs/{at}");
        rig = rig.pipeline(&pipeline, &["in"], &[&name], &["out"]);
    }
    let run = rig.start().await;
    (rig, run)
}

#[tokio::test]
async fn request_over_one_quota_is_charged_to_none_and_seen_by_nothing() {
    let (plenty, scarce) = (Meter::of(10), Meter::of(1));
    let (rig, run) = gated(&[Arc::clone(&plenty), Arc::clone(&scarce)]).await;
    let door = run.intake("in", LOGS);
    let sender = Context::default();
    assert!(send(&door, &sender, 1).await.unwrap().is_kept());
    let refusal = send(&door, &sender, 1).await.unwrap_err();
    assert_eq!((&*refusal.reason, refusal.after.as_secs()), ("no more", 5));
    assert_eq!(*plenty.left.lock().unwrap(), 9);
    assert_eq!(rig.bin("out").items(), 2);
    assert_eq!(turned_away(&run, "gate"), 1);
    let labels = [("receiver", "in"), ("transport", "")];
    let refused = run.counter("otelcol_receiver_refused_log_records", &labels);
    assert_eq!(refused, 1);
    run.shutdown().await;
}

#[tokio::test]
async fn lowest_ceiling_bounds_what_comes_in_and_what_it_grows_to() {
    let below = |bytes| {
        Arc::new(Meter {
            ceiling: Some(bytes),
            ..Meter::default()
        })
    };
    let (_rig, run) = gated(&[below(2000), below(1000)]).await;
    let door = run.intake("in", LOGS);
    let sender = Context::default();
    let mut hold = door.admit(900, &sender, None).await.unwrap();
    assert!(!hold.try_resize(1001));
    let refusal = door.admit(101, &sender, None).await.unwrap_err();
    assert_eq!(refusal.reason, "over the ceiling");
    drop(hold);
    run.shutdown().await;
}
