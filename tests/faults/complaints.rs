//! What users of the Go collector have had open for years, by the number of its issue.

use std::time::Duration;

use crate::clients::{Answer as Told, Client, Pattern};
use crate::rig::{Mode, Plan, Rig};
use crate::sink::Answer;
use crate::wire::{Items, Signal};

fn one(rig: &Rig, client: &mut Client) -> Told {
    let items = Items {
        first: rig.books.issue(1),
        count: 1,
        padding: 0,
    };
    let answer = client.call(Signal::Traces, items);
    if answer == (Told::Taken { rejected: 0 }) {
        rig.books.acknowledge(items.numbers());
    }
    answer
}

/// Sends until one request is refused, and gives the wait that the refusal named.
fn refusal(rig: &Rig, mut client: Client) -> Option<Duration> {
    for _ in 0..500 {
        match one(rig, &mut client) {
            Told::Refused { after, .. } => return after,
            Told::Taken { .. } => {}
            other => panic!("neither taken nor refused: {other:?}"),
        }
    }
    panic!("500 requests were taken");
}

/// core#15126, core#669: refusals reach clients without RetryInfo, so they drop the data.
#[test]
fn core_15126_refusals_carry_retry_info() {
    // A full queue in memory.
    let mut plan = Plan::new(Mode::Memory);
    plan.chain = "";
    plan.queue = "queue_size: 2, num_consumers: 1";
    plan.shutdown = "100ms";
    let rig = Rig::running(plan);
    rig.sink.down();
    assert!(
        refusal(&rig, rig.client()).is_some(),
        "a full queue, over gRPC"
    );
    assert!(
        refusal(&rig, rig.http_client()).is_some(),
        "a full queue, over HTTP"
    );

    // A delivery that does not come about while the client waits.
    let mut plan = Plan::new(Mode::Delivered);
    plan.shutdown = "100ms";
    let rig = Rig::running(plan);
    rig.sink.always(Answer::Silent);
    assert!(
        refusal(&rig, rig.client()).is_some(),
        "a late delivery, over gRPC"
    );
    assert!(
        refusal(&rig, rig.http_client()).is_some(),
        "a late delivery, over HTTP"
    );

    // More than the memory limit.
    let mut plan = Plan::new(Mode::Memory);
    plan.processors = "memory_limiter: {check_interval: 10ms, limit_mib: 1}";
    plan.chain = "memory_limiter";
    plan.shutdown = "100ms";
    let rig = Rig::running(plan);
    assert!(
        refusal(&rig, rig.client()).is_some(),
        "no memory, over gRPC"
    );
    assert!(
        refusal(&rig, rig.http_client()).is_some(),
        "no memory, over HTTP"
    );
}

/// core#12443, core#12711, core#7460, core#12647: data is lost in `batch`, when what is downstream fails,
/// and at shutdown.
#[test]
fn core_12443_data_is_not_lost_in_batch_on_a_downstream_error_or_at_shutdown() {
    for mode in [Mode::Memory, Mode::Storage] {
        let mut plan = Plan::new(mode);
        // It would wait for long, and is told to end before.
        plan.processors = "batch: {timeout: 60s, send_batch_size: 1000000}";
        let mut rig = Rig::running(plan);
        rig.sink.script(|call| match call.index {
            0..6 => Answer::Unavailable(None),
            _ => Answer::Take,
        });
        let load = rig.load(&Pattern::default());
        std::thread::sleep(Duration::from_millis(500));
        let ended = rig.terminate();
        load.stop();
        if mode == Mode::Storage {
            // What was left on disk, if anything was, is delivered by the next life.
            rig.start();
            rig.drain(Duration::from_secs(30));
            rig.terminate();
        }
        let audit = rig.books.audit();
        assert!(audit.acknowledged > 0, "{audit:?}");
        assert_eq!(
            (audit.lost, audit.invented),
            (0, 0),
            "{audit:?}\n{}",
            ended.log
        );
        assert!(ended.ledger.balanced(), "{:?}", ended.ledger);
    }
}

/// core#15677, core#8115, core#5894, contrib#35899: the persistent queue deletes data during outages, leaves
/// orphans, panics on corruption.
#[test]
fn core_15677_persistent_queue_keeps_data_through_outages_and_corruption() {
    let mut plan = Plan::new(Mode::Storage);
    plan.retry = "initial_interval: 20ms, max_interval: 50ms, max_elapsed_time: 300ms";
    plan.shutdown = "100ms";
    let mut rig = Rig::new(plan);
    rig.sink.down();
    rig.start();
    // An outage of five times `max_elapsed_time`, and two deaths in it.
    for _ in 0..2 {
        let load = rig.load(&Pattern::default());
        std::thread::sleep(Duration::from_millis(800));
        load.stop();
        rig.kill();
        rig.start();
    }
    rig.terminate();
    // Noise after the last record, and files that are none of its own.
    let segments = crate::damage::files(&rig.queue(), ".seg");
    let marks = crate::damage::files(&rig.queue(), ".marks");
    assert!(!segments.is_empty(), "there is a queue on disk");
    for path in segments.iter().chain(&marks) {
        let mut bytes = std::fs::read(path).expect("it can be read");
        bytes.extend_from_slice(&[0xa5; 777]);
        std::fs::write(path, bytes).expect("it can be written");
        std::fs::write(path.with_extension("seg.tmp"), b"half").expect("it can be written");
    }
    rig.sink.up();
    rig.start();
    let audit = rig.drain(Duration::from_secs(60));
    let ended = rig.terminate();
    assert!(audit.acknowledged > 0, "{audit:?}");
    assert_eq!(
        (audit.lost, audit.invented),
        (0, 0),
        "{audit:?}\n{}",
        ended.log
    );
}
