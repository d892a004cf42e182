//! `failover` between two backends: one dies, the other gets the data, and the first has it again when it is
//! back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::clients::Pattern;
use crate::rig::{Mode, Plan, Rig};
use crate::sink::{Answer, Sink};

const PATIENCE: Duration = Duration::from_secs(90);

fn plan(mode: Mode, second: &str) -> Plan {
    let (queue, storage, extensions) = match mode {
        Mode::Storage => (
            "sending_queue: {storage: file_storage}",
            "file_storage: {directory: queue, create_directory: true}",
            "admin, file_storage",
        ),
        _ => ("sending_queue: {queue_size: 1000}", "", "admin"),
    };
    let exporter = |endpoint: &str| {
        format!(
            "{{endpoint: '{endpoint}', compression: none, tls: {{insecure: true}}, timeout: 5s, {queue}}}"
        )
    };
    let (first, second) = (exporter("{sink}"), exporter(second));
    let pipelines = ["traces", "metrics", "logs"].map(|signal| {
        format!(
            "    {signal}: {{receivers: [otlp], exporters: [failover]}}
    {signal}/first: {{receivers: [failover], exporters: [otlp_grpc/first]}}
    {signal}/second: {{receivers: [failover], exporters: [otlp_grpc/second]}}
"
        )
    });
    Plan::whole(
        mode,
        format!(
            "
extensions:
  admin: {{endpoint: '{{admin}}'}}
  {storage}
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{{grpc}}'}}, http: {{endpoint: '{{http}}'}}}}}}}}
connectors:
  failover:
    retry_interval: 300ms
    priority_levels: [[traces/first, metrics/first, logs/first], [traces/second, metrics/second, logs/second]]
exporters:
  otlp_grpc/first: {first}
  otlp_grpc/second: {second}
service:
  extensions: [{extensions}]
  shutdown_timeout: 20s
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
{}",
            pipelines.concat()
        ),
    )
}

/// Takes everything and counts it.
fn counting(sink: &Sink) -> Arc<AtomicU64> {
    let taken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&taken);
    sink.script(move |call| {
        count.fetch_add(call.numbers.len() as u64, Relaxed);
        Answer::Take
    });
    taken
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a backend has taken so many items more.
fn more(what: &str, taken: &AtomicU64, items: u64) {
    let before = taken.load(Relaxed);
    until(what, || taken.load(Relaxed) >= before + items);
}

fn failed_over(mode: Mode) {
    let books = Arc::new(crate::books::Books::default());
    let other = Sink::start(&books);
    let mut rig = Rig::with_books(plan(mode, &other.address()), books);
    let (first, second) = (counting(&rig.sink), counting(&other));
    rig.start();
    let load = rig.load(&Pattern::default());
    more("the first level takes data", &first, 200);
    assert_eq!(
        second.load(Relaxed),
        0,
        "the second level has nothing to do"
    );

    for _ in 0..2 {
        rig.sink.down();
        more(
            "the second level takes what the first does not",
            &second,
            500,
        );
        rig.sink.up();
        more("the first level is used again by itself", &first, 300);
        until("the second level has nothing to do any more", || {
            let before = second.load(Relaxed);
            more("the first level is in use", &first, 200);
            second.load(Relaxed) == before
        });
    }
    load.stop();
    let audit = rig.drain(PATIENCE);
    let ended = rig.terminate();
    assert!(audit.acknowledged > 0, "{audit:?}");
    assert_eq!(
        (audit.lost, audit.invented),
        (0, 0),
        "{audit:?}\n{}",
        ended.log
    );
    assert!(ended.ledger.balanced(), "{:?}", ended.ledger);
    // What a level gives back is no loss: it is in its row, and in that of the next.
    let mut dropped = ended.ledger.dropped();
    dropped.remove("handed_back");
    dropped.remove("refused");
    dropped.remove("expired");
    assert!(dropped.is_empty(), "{dropped:?}\n{}", ended.log);
    assert!(
        ended.log.contains("a level fails") && ended.log.contains("a higher level works again")
    );
}

#[test]
fn data_goes_to_the_second_backend_while_the_first_is_dead_and_comes_back_by_itself() {
    failed_over(Mode::Memory);
}

#[test]
fn queues_on_disk_behind_a_failover_lose_nothing_and_hold_nothing_up() {
    failed_over(Mode::Storage);
}
