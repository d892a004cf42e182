//! Four times as much as the backend takes.

use std::time::{Duration, Instant};

use crate::clients::Pattern;
use crate::finding::Finding;
use crate::lasting;
use crate::rig::{Mode, Plan, Rig};
use crate::sink::Answer;

/// What the process may take at most, in MiB.
const MOST: u64 = 256;

/// Requests that the backend answers at a time per exporter and signal, items in each, and how long an
/// answer takes: 1,000 items a second of each signal.
const CONSUMERS: u64 = 2;
const BATCH: u64 = 100;
const ANSWER: Duration = Duration::from_millis(200);

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
    let per_second = BATCH * CONSUMERS * 1000 / ANSWER.as_millis() as u64 * 3;
    // They do not wait when they are told to; those that wait for a delivery must be many.
    let lanes = if mode == Mode::Delivered { 240 } else { 12 };
    let pattern = Pattern {
        lanes,
        items: BATCH,
        padding: 400,
        pace: Duration::from_millis(lanes as u64 * 1000 * BATCH / (4 * per_second)),
        patient: false,
        ..Pattern::default()
    };
    let start = Instant::now();
    let load = rig.load(&pattern);
    let least = lasting(Duration::from_secs(5), Duration::from_secs(60));
    // A busy machine may need longer to send too much.
    let refused = || load.tally.of(&load.tally.refusals) > 0;
    while start.elapsed() < least || !refused() && start.elapsed() < least * 12 {
        std::thread::sleep(Duration::from_millis(100));
    }
    let tally = load.stop();
    let seconds = start.elapsed().as_secs_f64();
    let audit = rig.drain(Duration::from_secs(120));
    let peak = peak_memory(rig.process().id());
    let ledger = rig.terminate().ledger;
    let (refusals, bare) = (tally.of(&tally.refusals), tally.of(&tally.bare));
    let offered = audit.sent as f64 / seconds / per_second as f64;
    let finding = Finding::new("overload", mode, 1, &audit)
        .ledger(&ledger)
        .exactly(&ledger, &audit)
        .note(format!(
            "{offered:.1} times what the backend takes for {seconds:.0} s; {peak} MiB at most; \
             {refusals} refusals, {bare} without a time to come again"
        ));
    println!("{finding:?}");
    assert!(peak < MOST, "it took {peak} MiB");
    assert_eq!(bare, 0, "of {refusals} refusals");
    assert!(refusals > 0, "nothing was refused");
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
