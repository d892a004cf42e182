//! The process dies: killed at random moments, or ended in order under load.

use std::time::Duration;

use crate::books::Audit;
use crate::clients::Pattern;
use crate::finding::Finding;
use crate::rig::{Mode, Plan, Rig};
use crate::sink::Answer;
use crate::{rounds, some_time};

const DRAIN: Duration = Duration::from_secs(60);

fn killed(mode: Mode, rounds: u64) {
    let mut rig = Rig::running(Plan::new(mode));
    // Some of it always waits or is on its way.
    rig.sink.script(|call| match call.index % 8 {
        0 => Answer::Unavailable(None),
        _ => Answer::Slow(Duration::from_millis(5)),
    });
    let load = rig.load(&Pattern::default());
    for _ in 0..rounds {
        std::thread::sleep(some_time(100..600));
        rig.kill();
        rig.start();
    }
    load.stop();
    let audit = rig.drain(DRAIN);
    let ended = rig.terminate();
    Finding::new("kill", mode, rounds, &audit)
        .ledger(&ended.ledger)
        .judge();
}

#[test]
fn a_killed_process_loses_nothing_that_was_on_disk() {
    killed(Mode::Storage, rounds(5, 100));
}

#[test]
fn a_killed_process_loses_nothing_that_was_delivered_before_the_answer() {
    killed(Mode::Delivered, rounds(5, 100));
}

#[test]
fn a_killed_process_loses_what_it_held_in_memory() {
    killed(Mode::Memory, rounds(5, 100));
}

/// Ends a process in order again and again.
fn terminated(mode: Mode, rounds: u64) {
    let mut rig = Rig::running(Plan::new(mode));
    let load = rig.load(&Pattern::default());
    let mut ledgers = Vec::new();
    for _ in 0..rounds {
        std::thread::sleep(some_time(50..400));
        ledgers.push(rig.terminate().ledger);
        rig.start();
    }
    load.stop();
    let audit = rig.drain(DRAIN);
    ledgers.push(rig.terminate().ledger);
    let finding = Finding::new("terminate", mode, rounds, &audit);
    ledgers.iter().fold(finding, Finding::ledger).judge();
}

#[test]
fn what_a_queue_on_disk_holds_at_the_end_is_delivered_by_the_next_life() {
    terminated(Mode::Storage, rounds(4, 50));
}

#[test]
fn a_memory_queue_is_drained_at_the_end() {
    terminated(Mode::Memory, rounds(4, 50));
}

#[test]
fn requests_that_wait_for_their_delivery_are_answered_at_the_end() {
    terminated(Mode::Delivered, rounds(4, 50));
}

/// A process after the other takes the sockets over from the one before.
fn handed_over(mode: Mode, rounds: u64) {
    let mut plan = Plan::new(mode);
    plan.handover = true;
    let mut rig = Rig::running(plan);
    let load = rig.load(&Pattern::default());
    let mut ledgers = Vec::new();
    for _ in 0..rounds {
        std::thread::sleep(some_time(50..400));
        ledgers.push(rig.hand_over().ledger);
    }
    let tally = load.stop();
    let audit = rig.drain(DRAIN);
    ledgers.push(rig.terminate().ledger);
    let finding = Finding::new("handover", mode, rounds, &audit);
    let (broken, refused) = (tally.of(&tally.broken), tally.of(&tally.unreachable));
    assert_eq!(refused, 0, "connections were refused");
    let finding = ledgers.iter().fold(finding, Finding::ledger);
    let note = format!("{refused} connections were refused, {broken} requests got no answer");
    finding.note(note).judge();
}

#[test]
fn who_hands_its_sockets_over_refuses_nobody_and_loses_nothing() {
    for mode in Mode::ALL {
        handed_over(mode, rounds(2, 50));
    }
}

/// Ended in order while nobody takes the data: a memory pipeline states what it lost.
fn terminated_beside_a_dead_backend(mode: Mode, rounds: u64) {
    let mut plan = Plan::new(mode);
    plan.shutdown = "500ms";
    let mut rig = Rig::new(plan);
    rig.sink.down();
    rig.start();
    let mut finding = Finding::new("terminate-dead", mode, rounds, &Audit::default());
    let (mut taken, mut ended, mut held) = (0, 0, 0);
    for _ in 0..rounds {
        let load = rig.load(&Pattern::default());
        std::thread::sleep(some_time(200..500));
        let ledger = rig.terminate().ledger;
        load.stop();
        taken += ledger.taken();
        ended += ledger.dropped_items();
        held += ledger.held();
        finding = finding.ledger(&ledger);
        rig.start();
    }
    rig.sink.up();
    if mode == Mode::Delivered {
        // Nothing was acknowledged so far, and something must be.
        let load = rig.load(&Pattern::default());
        std::thread::sleep(Duration::from_millis(500));
        load.stop();
    }
    let audit = rig.drain(DRAIN);
    let last = rig.terminate().ledger;
    finding = finding.ledger(&last);
    if mode == Mode::Memory {
        // What was being tried when time was up may be stated as held.
        assert_eq!(
            taken,
            ended + held,
            "nothing arrived, so all of it is stated"
        );
        finding.ended.insert("held at the end".to_owned(), held);
    }
    let found = Finding::new("terminate-dead", mode, rounds, &audit);
    Finding {
        ended: finding.ended,
        balanced: finding.balanced,
        ..found
    }
    .judge();
}

#[test]
fn what_a_dead_backend_cannot_be_given_is_stated_at_the_end() {
    for mode in Mode::ALL {
        terminated_beside_a_dead_backend(mode, rounds(2, 20));
    }
}
