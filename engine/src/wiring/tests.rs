use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_component::{
    BuildContext, Connector, Gate, Outbox, Partition, Processor, Promise, Routes, SAME_SIGNAL,
};
use tidegate_pdata::{Batch, Context, Outcome, Refusal, Signal};

use crate::graph::{Make, Place};
use crate::sink::Room;
use crate::testing::{ProcessorFake, Rig, Script, id, row};
use crate::wiring::order::{Unit, order};

const TRACES: Signal = Signal::Traces;

fn pass(_: &BuildContext) -> impl Processor + use<> {
    ProcessorFake(|batch: Batch, out: &mut Outbox| out.push(batch))
}

struct Forward;

impl Connector for Forward {
    fn process(&mut self, batch: Batch, out: &mut Routes<'_>) {
        out.broadcast(batch);
    }
}

/// Makes a log record of every span.
struct Describe;

impl Connector for Describe {
    fn promise(&self, _: Promise) -> Promise {
        Promise::Memory
    }

    fn process(&mut self, batch: Batch, out: &mut Routes<'_>) {
        let payload = crate::testing::payload(Signal::Logs, batch.items());
        let context = batch.context().clone();
        out.broadcast(Batch::new(payload, context, batch.into_parts().2));
    }
}

const TO_LOGS: &[(Signal, Signal)] = &[(Signal::Traces, Signal::Logs)];

/// traces/b is written before traces/a, which feeds it.
fn joined() -> Rig {
    Rig::default()
        .connector("forward", SAME_SIGNAL, |_| Forward)
        .connector("describe", TO_LOGS, |_| Describe)
        .processor("p", pass)
        .pipeline("traces/b", &["forward"], &["p"], &["b"])
        .pipeline("traces/c", &["forward", "in"], &[], &["c"])
        .pipeline("logs", &["describe"], &["p"], &["logs"])
        .pipeline("traces/a", &["in"], &["p"], &["forward", "describe", "a"])
}

#[test]
fn what_feeds_comes_before_what_is_fed() {
    let order = order(&joined().parts);
    let at = |unit: Unit| order.iter().position(|other| *other == unit).unwrap();
    let forward = at(Unit::Connector(id("forward"), TRACES));
    let describe = at(Unit::Connector(id("describe"), TRACES));
    assert!(at(Unit::Pipeline(3)) < forward.min(describe));
    assert!(forward < at(Unit::Pipeline(0)).min(at(Unit::Pipeline(1))));
    assert!(describe < at(Unit::Pipeline(2)));
    assert_eq!(order.len(), 6);
}

#[tokio::test]
async fn connectors_join_pipelines_and_account_for_every_item() {
    let rig = joined();
    let run = rig.start().await;
    assert_eq!(run.send("in", TRACES, 4).await, Outcome::TakenOver);
    assert_eq!(rig.bin("a").items(), 4);
    assert_eq!(rig.bin("b").items(), 4);
    // Once through the connector, once from the receiver.
    assert_eq!(rig.bin("c").items(), 8);
    assert_eq!(rig.bin("logs").items(), 4);
    let rows = run.shutdown().await;
    let forward = row(&rows, "forward", TRACES);
    assert_eq!((forward.r#in, forward.created, forward.out), (4, 4, 8));
    let describe = row(&rows, "describe", TRACES);
    assert_eq!((describe.r#in, describe.consumed), (4, 4));
    assert_eq!((describe.created, describe.out), (4, 4));
}

#[tokio::test]
async fn every_edge_points_to_a_later_node() {
    let run = joined().start().await;
    let graph = run.running.graph();
    for (at, node) in graph.nodes.iter().enumerate() {
        let next = match &node.make {
            Make::Processor(_, next) => std::slice::from_ref(next),
            Make::Connector(_, _, entries) => entries,
        };
        for place in next {
            if let Place::Node(next) = place {
                assert!(*next as usize > at);
            }
        }
    }
    run.shutdown().await;
}

#[tokio::test]
async fn promise_is_the_weakest_and_receipts_are_carried_for_the_strongest() {
    let script = |promise, binds| Script {
        promise,
        binds,
        ..Script::default()
    };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let spy = move |cx: &BuildContext| {
        let pipeline = cx.pipeline.clone().unwrap();
        seen.lock().unwrap().push((pipeline, cx.promise));
        pass(cx)
    };
    let rig = Rig::default()
        .connector("forward", SAME_SIGNAL, |_| Forward)
        .processor("spy", spy)
        .queue("disk", script(Promise::Durable, true))
        .queue("memory", script(Promise::Memory, false))
        .queue("direct", script(Promise::Delivered, false))
        .pipeline("traces/mixed", &["in"], &["spy"], &["disk", "memory"])
        .pipeline("traces/direct", &["in"], &["spy"], &["direct"])
        .pipeline("traces/disk", &["forward"], &["spy"], &["disk"])
        .pipeline("traces/before", &["in"], &["spy"], &["forward"]);
    let run = rig.start().await;
    let status = run.running.status().pipelines();
    let promises: Vec<_> = status.iter().map(|p| (&*p.name, p.promise)).collect();
    let expected = [
        ("traces/mixed", "memory"),
        ("traces/direct", "delivered"),
        ("traces/disk", "durable"),
        ("traces/before", "durable"),
    ];
    assert_eq!(promises, expected);
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    asked.dedup();
    let expected = [
        ("traces/before", Promise::Durable),
        ("traces/direct", Promise::Memory),
        ("traces/disk", Promise::Durable),
        ("traces/mixed", Promise::Durable),
    ];
    assert_eq!(
        asked,
        expected.map(|(name, promise)| (name.to_owned(), promise))
    );
    assert_eq!(run.intake("in", TRACES).promise(), Promise::Memory);
    run.shutdown().await;
}

struct Shutter(Mutex<bool>);

impl Gate for Shutter {
    fn refusal(&self, _: usize, _: &Context) -> Option<Refusal> {
        let refusal = Refusal::new("limit", Duration::from_secs(2));
        self.0.lock().unwrap().then_some(refusal)
    }
}

#[tokio::test]
async fn door_asks_gates_queues_and_budget_behind_connectors_too() {
    let gate = Arc::new(Shutter(Mutex::new(false)));
    let set = Arc::clone(&gate);
    let limiter = move |cx: &BuildContext| {
        cx.gates.add(Arc::clone(&set) as Arc<dyn Gate>);
        pass(cx)
    };
    let script = Script::default();
    let room = Arc::clone(&script.room);
    let rig = Rig::default()
        .connector("forward", SAME_SIGNAL, |_| Forward)
        .processor("limiter", limiter)
        .queue("far", script)
        .pipeline("traces/1", &["in"], &[], &["forward"])
        .pipeline("traces/2", &["forward"], &["limiter"], &["far"]);
    let run = rig.start().await;
    let door = run.intake("in", TRACES);
    assert_eq!(
        door.admit(10, &Context::default(), None)
            .await
            .unwrap()
            .bytes(),
        10
    );
    *gate.0.lock().unwrap() = true;
    assert_eq!(
        door.admit(10, &Context::default(), None)
            .await
            .unwrap_err()
            .reason,
        "limit"
    );
    *gate.0.lock().unwrap() = false;
    let refusal = Refusal::new("queue full", Duration::from_secs(1));
    *room.lock().unwrap() = Room::Refused(refusal.clone());
    assert_eq!(
        door.admit(10, &Context::default(), None).await.unwrap_err(),
        refusal
    );
    *room.lock().unwrap() = Room::Free;
    assert!(
        door.admit(2 << 20, &Context::default(), None)
            .await
            .is_err()
    );
    for (reason, requests) in [
        ("gate", 1),
        ("queue", 1),
        ("budget", 1),
        ("share", 0),
        ("stopping", 0),
    ] {
        let labels = [
            ("receiver", "in"),
            ("transport", ""),
            ("signal", "traces"),
            ("reason", reason),
        ];
        let counted = run.counter("tidegate_receiver_refused_requests", &labels);
        assert_eq!(counted, requests, "{reason}");
    }
    run.shutdown().await;
    assert_eq!(
        door.admit(1, &Context::default(), None)
            .await
            .unwrap_err()
            .reason,
        "shutting down"
    );
}

struct Keyed(Partition);

impl Processor for Keyed {
    fn partition(&self) -> Partition {
        self.0
    }

    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        out.push(batch);
    }
}

#[tokio::test]
async fn exchange_stands_only_where_records_lie_otherwise() {
    let rig = Rig::default()
        .processor("any", pass)
        .processor("trace", |_| Keyed(Partition::TraceId))
        .processor("tenant", |_| Keyed(Partition::Tenant))
        .pipeline(
            "traces",
            &["in"],
            &["any", "trace", "any", "trace", "tenant"],
            &["out"],
        );
    let exchanges = |run: &crate::testing::Run| {
        let nodes = run.running.graph().nodes.iter();
        nodes.map(|node| node.exchange).collect::<Vec<_>>()
    };
    let pool = crate::Pool::start(2).unwrap();
    let run = rig.start_on(pool.clone()).await;
    let trace = Some(Partition::TraceId);
    let expected = [None, trace, None, None, Some(Partition::Tenant)];
    assert_eq!(exchanges(&run), expected);
    run.shutdown().await;
    pool.stop().await;
    let run = rig.start().await;
    assert_eq!(exchanges(&run), [None; 5]);
    run.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn sender_waits_at_a_full_queue_that_wants_it_so() {
    let script = Script::default();
    let room = Arc::clone(&script.room);
    let rig = Rig::default()
        .queue("out", script)
        .pipeline("traces", &["in"], &[], &["out"]);
    let run = rig.start().await;
    let door = run.intake("in", TRACES);
    *room.lock().unwrap() = Room::Later;
    let start = tokio::time::Instant::now();
    let late = door.admit(1, &Context::default(), None).await.unwrap_err();
    assert_eq!(late.reason, "a queue stays full");
    assert_eq!(start.elapsed(), Duration::from_secs(8));
    let waiter = tokio::spawn({
        let door = door.clone();
        async move {
            door.admit(1, &Context::default(), None)
                .await
                .map(|admission| admission.bytes())
        }
    });
    tokio::task::yield_now().await;
    *room.lock().unwrap() = Room::Free;
    run.engine.budget().ring();
    assert_eq!(waiter.await.unwrap(), Ok(1));
    run.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn pull_receiver_waits_whatever_shuts_the_door() {
    let script = Script::default();
    let room = Arc::clone(&script.room);
    let rig = Rig::default()
        .queue("out", script)
        .pipeline("traces", &["in"], &[], &["out"]);
    let run = rig.start().await;
    let door = run.intake("in", TRACES);
    let held = door.ready(1 << 20).await;
    let waiter = tokio::spawn({
        let door = door.clone();
        async move { door.ready(1 << 21).await.bytes() }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!waiter.is_finished());
    // More than the budget gets in alone.
    drop(held);
    assert_eq!(waiter.await.unwrap(), 1 << 21);
    let refusal = Refusal::new("queue full", Duration::from_secs(1));
    *room.lock().unwrap() = Room::Refused(refusal);
    let waiter = tokio::spawn(async move { door.ready(1).await.bytes() });
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished());
    *room.lock().unwrap() = Room::Free;
    assert_eq!(waiter.await.unwrap(), 1);
    run.shutdown().await;
}
