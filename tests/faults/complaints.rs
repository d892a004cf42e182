//! What users of the Go collector have had open for years, by the number of its issue.

use std::time::Duration;

use crate::clients::{Answer as Told, Client, Pattern};
use crate::rig::{Ended, Mode, Plan, Rig};
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

/// A refusal for every reason that there is, over gRPC and HTTP: what was full, and the wait that was named.
fn refusals() -> Vec<(&'static str, Option<Duration>)> {
    let mut found = Vec::new();
    let mut both = |what, rig: &Rig| {
        found.push((what, refusal(rig, rig.client())));
        found.push((what, refusal(rig, rig.http_client())));
    };

    // A full queue in memory.
    let mut plan = Plan::new(Mode::Memory);
    plan.chain = "";
    plan.queue = "queue_size: 2, num_consumers: 1";
    plan.shutdown = "100ms";
    let rig = Rig::running(plan);
    rig.sink.down();
    both("a full queue", &rig);

    // A delivery that does not come about while the client waits.
    let mut plan = Plan::new(Mode::Delivered);
    plan.shutdown = "100ms";
    let rig = Rig::running(plan);
    rig.sink.always(Answer::Silent);
    both("a late delivery", &rig);

    // More than the memory limit.
    let mut plan = Plan::new(Mode::Memory);
    plan.processors = "memory_limiter: {check_interval: 10ms, limit_mib: 1}";
    plan.chain = "memory_limiter";
    plan.shutdown = "100ms";
    let rig = Rig::running(plan);
    both("no memory", &rig);
    found
}

/// core#15126: refusals reach clients without RetryInfo, so they drop the data.
#[test]
fn core_15126_refusals_carry_retry_info() {
    for (what, after) in refusals() {
        assert!(after.is_some(), "{what}");
    }
}

/// core#669: the OTLP receiver tells clients that a refusal is for good when it is not, or the other way round.
#[test]
fn core_669_what_passes_can_be_sent_again_and_what_never_will_cannot() {
    let mut plan = Plan::new(Mode::Delivered);
    plan.retry = "enabled: false";
    let rig = Rig::running(plan);
    for mut client in [rig.client(), rig.http_client()] {
        rig.sink.always(Answer::Unavailable(None));
        let told = one(&rig, &mut client);
        assert!(matches!(told, Told::Refused { .. }), "{told:?}");
        rig.sink.always(Answer::Invalid);
        let told = one(&rig, &mut client);
        assert!(matches!(told, Told::Rejected(_)), "{told:?}");
        rig.sink.always(Answer::Take);
        assert_eq!(one(&rig, &mut client), Told::Taken { rejected: 0 });
    }
}

/// Nothing that was acknowledged is lost, and the ledger adds up.
fn nothing_lost(rig: &Rig, ended: &Ended) {
    let audit = rig.books.audit();
    assert!(audit.acknowledged > 0, "{audit:?}");
    let wrong = (audit.lost, audit.invented);
    assert_eq!(wrong, (0, 0), "{audit:?}\n{}", ended.log);
    assert!(ended.ledger.balanced(), "{:?}", ended.ledger);
}

/// What is left on disk, if anything is, is delivered by the next life.
fn deliver_the_rest(rig: &mut Rig) -> Ended {
    rig.start();
    rig.drain(Duration::from_secs(60));
    rig.terminate()
}

/// core#12443: `batch` drops what the exporter behind it does not take.
#[test]
fn core_12443_batch_keeps_what_is_not_taken_behind_it() {
    for mode in [Mode::Memory, Mode::Storage] {
        let mut plan = Plan::new(mode);
        plan.queue = "queue_size: 100000";
        let mut rig = Rig::running(plan);
        rig.sink.script(|call| match call.index {
            0..30 => Answer::Unavailable(None),
            _ => Answer::Take,
        });
        let load = rig.load(&Pattern::default());
        std::thread::sleep(Duration::from_millis(500));
        load.stop();
        rig.drain(Duration::from_secs(60));
        let ended = rig.terminate();
        nothing_lost(&rig, &ended);
    }
}

/// core#12711: what is downstream fails for longer than a sender waits, and what it sent is lost meanwhile.
#[test]
fn core_12711_error_downstream_is_told_to_the_sender_or_outlived() {
    for mode in Mode::ALL {
        let mut plan = Plan::new(mode);
        plan.queue = "queue_size: 100000";
        let mut rig = Rig::running(plan);
        rig.sink.down();
        let load = rig.load(&Pattern::default());
        std::thread::sleep(Duration::from_millis(1500));
        rig.sink.up();
        std::thread::sleep(Duration::from_millis(500));
        load.stop();
        rig.drain(Duration::from_secs(60));
        let ended = rig.terminate();
        nothing_lost(&rig, &ended);
    }
}

/// core#7460: data is lost in every erroneous situation; the whole chain is to be tried, with all of them at once.
#[test]
fn core_7460_delivery_is_reliable_while_everything_goes_wrong() {
    for mode in Mode::ALL {
        let mut plan = Plan::new(mode);
        plan.queue = "queue_size: 100000";
        plan.exporter = "timeout: 500ms";
        let mut rig = Rig::running(plan);
        rig.sink.script(|call| match call.index % 7 {
            0 => Answer::Unavailable(None),
            1 => Answer::Reset,
            2 => Answer::TakeThenReset,
            3 => Answer::Silent,
            4 => Answer::Exhausted(Some(Duration::from_millis(50))),
            _ => Answer::Take,
        });
        let load = rig.load(&Pattern::default());
        std::thread::sleep(Duration::from_millis(1500));
        rig.sink.always(Answer::Take);
        load.stop();
        rig.drain(Duration::from_secs(60));
        let ended = rig.terminate();
        nothing_lost(&rig, &ended);
    }
}

/// core#12647: what `batch` and the queues hold is lost at a shutdown in good order.
#[test]
fn core_12647_shutdown_delivers_what_is_held() {
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
            deliver_the_rest(&mut rig);
        }
        nothing_lost(&rig, &ended);
    }
}

/// core#15677: a persistent queue deletes what it holds at a shutdown while the backend is away: with retries,
/// and without.
#[test]
fn core_15677_queue_on_disk_deletes_nothing_at_a_shutdown_without_a_backend() {
    for retry in [
        "initial_interval: 20ms, max_interval: 50ms, max_elapsed_time: 300ms",
        "enabled: false",
    ] {
        let mut plan = Plan::new(Mode::Storage);
        plan.retry = retry;
        plan.exporter = "timeout: 60s";
        plan.shutdown = "2s";
        let mut rig = Rig::new(plan);
        // No answer comes until the backend is gone for good.
        rig.sink.always(Answer::Silent);
        rig.start();
        let load = rig.load(&Pattern::default());
        std::thread::sleep(Duration::from_millis(800));
        load.stop();
        let ended = rig.terminate();
        assert_eq!(
            ended.ledger.dropped_items(),
            0,
            "{retry}: {:?}",
            ended.ledger
        );
        rig.sink.always(Answer::Take);
        let ended = deliver_the_rest(&mut rig);
        nothing_lost(&rig, &ended);
    }
}

/// core#8115: a persistent queue keeps what was delivered, so that its disk fills for ever.
#[test]
fn core_8115_queue_on_disk_leaves_no_orphans() {
    let mut plan = Plan::new(Mode::Storage);
    plan.storage = "segment_size: 64KiB, max_size: 256MiB";
    let mut rig = Rig::running(plan);
    for _ in 0..2 {
        let load = rig.load(&Pattern {
            padding: 400,
            ..Pattern::default()
        });
        std::thread::sleep(Duration::from_millis(1200));
        load.stop();
        rig.kill();
        rig.start();
    }
    rig.drain(Duration::from_secs(60));
    let ended = rig.terminate();
    nothing_lost(&rig, &ended);
    let segments = crate::damage::files(&rig.queue(), ".seg");
    let size = |path: &std::path::PathBuf| path.metadata().map_or(0, |file| file.len());
    let bytes: u64 = segments.iter().map(size).sum();
    // The last segment of each log stays, emptied.
    assert!(
        segments.len() <= 3 && bytes < 64 << 10,
        "{bytes} bytes in {segments:?}"
    );
}

/// Data that waits on disk while there is no backend, over two deaths.
fn outage() -> Rig {
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
    rig
}

/// core#5894: a persistent queue loses data over restarts and panics on what they leave.
#[test]
fn core_5894_queue_on_disk_outlives_deaths_in_an_outage() {
    let mut rig = outage();
    rig.sink.up();
    let ended = deliver_the_rest(&mut rig);
    nothing_lost(&rig, &ended);
}

/// contrib#35899: `file_storage` does not come up on a database that may be damaged.
#[test]
fn contrib_35899_queue_on_disk_starts_on_files_that_are_damaged() {
    let mut rig = outage();
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
    let ended = deliver_the_rest(&mut rig);
    nothing_lost(&rig, &ended);
}
