//! Four times as much as the backend takes.

use std::time::{Duration, Instant};

use crate::finding::Finding;
use crate::flood::{Flood, Flow};
use crate::rig::{Mode, Plan, Rig};
use crate::sink::Answer;
use crate::{lasting, whole};

/// What the process may take at most, in MiB.
const MOST: u64 = 256;

/// Requests that the backend answers at a time per exporter and signal, items in each, and how long an
/// answer takes: 500 items a second of each of three signals.
const CONSUMERS: u64 = 2;
const BATCH: u64 = 100;
const ANSWER: Duration = Duration::from_millis(400);
const TAKEN_A_SECOND: u64 = BATCH * CONSUMERS * 1000 / ANSWER.as_millis() as u64 * 3;

/// How many times that is sent, and must have been answered at least.
const SENT: u64 = 5;
const LEAST: f64 = 4.0;

fn overloaded(mode: Mode) {
    let mut plan = Plan::new(mode);
    plan.processors = "memory_limiter: {check_interval: 1s, limit_mib: 160}, \
         batch: {timeout: 50ms, send_batch_size: 100, send_batch_max_size: 100}";
    plan.chain = match mode {
        Mode::Delivered => "memory_limiter",
        _ => "memory_limiter, batch",
    };
    plan.queue = "num_consumers: 2, queue_size: 50";
    plan.storage = "segment_size: 1MiB, max_size: 12MiB";
    plan.shutdown = "60s";
    let mut rig = Rig::new(plan);
    rig.sink.always(Answer::Slow(ANSWER));
    rig.start();
    let flow = Flow {
        requests_a_second: TAKEN_A_SECOND * SENT / BATCH,
        items: BATCH,
        padding: 400,
    };
    let start = Instant::now();
    let flood = Flood::start(&rig.books, &rig.ports.grpc, &rig.ports.http, flow);
    let least = lasting(Duration::from_secs(5), Duration::from_secs(60));
    let times = || flood.answered_a_second() / TAKEN_A_SECOND as f64;
    // A busy machine may need longer to send too much.
    let enough = || {
        let refused = flood.tally.of(&flood.tally.refusals) > 0;
        refused && (!whole() || times() >= LEAST)
    };
    while start.elapsed() < least || !enough() && start.elapsed() < least * 6 {
        std::thread::sleep(Duration::from_millis(100));
    }
    let (seconds, offered) = (start.elapsed().as_secs(), times());
    let tally = flood.stop();
    rig.sink.always(Answer::Take);
    let audit = rig.drain(Duration::from_secs(120));
    let peak = peak_memory(rig.process().id());
    let ledger = rig.terminate().ledger;
    let (refusals, bare) = (tally.of(&tally.refusals), tally.of(&tally.bare));
    let finding = Finding::new("overload", mode, 1, &audit)
        .ledger(&ledger)
        .exactly(&ledger, &audit)
        .note(format!(
            "{offered:.1} times what the backend takes for {seconds} s; {peak} MiB at most; \
             {refusals} refusals, {bare} without a time to come again"
        ));
    println!("{finding:?}");
    assert!(peak < MOST, "it took {peak} MiB");
    assert_eq!(bare, 0, "of {refusals} refusals");
    assert!(refusals > 0, "nothing was refused");
    assert!(
        offered >= LEAST || !whole(),
        "{offered:.1} times what the backend takes"
    );
    finding.judge();
}

/// The largest resident set of a process so far, in MiB.
fn peak_memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.expect("the kernel says it") / 1024
}

#[test]
fn what_is_accepted_under_overload_is_delivered() {
    for mode in Mode::ALL {
        overloaded(mode);
    }
}
