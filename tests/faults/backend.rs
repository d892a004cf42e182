//! The backend fails in every way that a backend can.

use std::time::Duration;

use crate::clients::Pattern;
use crate::finding::Finding;
use crate::rig::{Mode, Plan, Rig};
use crate::sink::Answer;
use crate::{lasting, rounds};

const DRAIN: Duration = Duration::from_secs(90);

/// Lets a scenario happen under load, then everything is well again.
#[must_use]
fn under(id: &str, plan: Plan, rounds: u64, mut happen: impl FnMut(&Rig)) -> Finding {
    let mode = plan.mode;
    let mut rig = Rig::running(plan);
    let load = rig.load(&Pattern::default());
    for _ in 0..rounds {
        happen(&rig);
    }
    rig.sink.always(Answer::Take);
    // The clients of `wait_for_result` need one more round trip for an acknowledgement.
    std::thread::sleep(Duration::from_millis(300));
    load.stop();
    let audit = rig.drain(DRAIN);
    let ledger = rig.terminate().ledger;
    Finding::new(id, mode, rounds, &audit)
        .ledger(&ledger)
        .exactly(&ledger, &audit)
}

/// How long each round of a scenario lasts.
fn spell() -> Duration {
    lasting(Duration::from_millis(1_200), Duration::from_secs(10))
}

fn scripted(id: &str, mode: Mode, answer: impl Fn(u64) -> Answer + Send + Copy + 'static) {
    under(id, Plan::new(mode), 1, |rig| {
        rig.sink.script(move |call| answer(call.index));
        std::thread::sleep(spell());
    })
    .judge();
}

#[test]
fn a_backend_that_is_down_gets_everything_when_it_is_up() {
    let down = lasting(Duration::from_secs(2), Duration::from_secs(150));
    std::thread::scope(|scope| {
        for mode in Mode::ALL {
            scope.spawn(move || {
                under("down", Plan::new(mode), 1, |rig| {
                    std::thread::sleep(Duration::from_millis(200));
                    rig.sink.down();
                    std::thread::sleep(down);
                    rig.sink.up();
                    std::thread::sleep(Duration::from_secs(1));
                })
                .note(format!("away for {} s", down.as_secs()))
                .judge();
            });
        }
    });
}

#[test]
fn what_is_given_up_is_in_the_ledger() {
    let mut plan = Plan::new(Mode::Memory);
    plan.retry = "initial_interval: 20ms, max_interval: 50ms, max_elapsed_time: 400ms";
    under("given-up", plan, rounds(1, 10), |rig| {
        rig.sink.down();
        std::thread::sleep(Duration::from_millis(1_500));
        rig.sink.up();
        std::thread::sleep(Duration::from_millis(500));
    })
    .judge();
}

#[test]
fn a_slow_backend_loses_nothing() {
    for mode in Mode::ALL {
        scripted("slow", mode, |_| Answer::Slow(Duration::from_millis(300)));
    }
}

#[test]
fn what_was_taken_after_the_timeout_is_sent_again() {
    for mode in Mode::ALL {
        let mut plan = Plan::new(mode);
        plan.exporter = "timeout: 200ms";
        under("timeout", plan, 1, |rig| {
            rig.sink.script(|call| match call.index % 3 {
                0 => Answer::Slow(Duration::from_millis(400)),
                1 => Answer::Silent,
                _ => Answer::Take,
            });
            std::thread::sleep(spell());
        })
        .judge();
    }
}

#[test]
fn broken_connections_lose_nothing() {
    for mode in Mode::ALL {
        scripted("reset", mode, |index| match index % 5 {
            0 => Answer::Reset,
            2 => Answer::TakeThenReset,
            _ => Answer::Take,
        });
    }
}

#[test]
fn what_is_refused_for_now_is_sent_again() {
    for mode in Mode::ALL {
        scripted("refusing", mode, |index| match index % 6 {
            0 => Answer::Unavailable(None),
            2 => Answer::Exhausted(Some(Duration::from_millis(300))),
            3 => Answer::Unavailable(Some(Duration::from_millis(100))),
            4 => Answer::Exhausted(None),
            _ => Answer::Take,
        });
    }
}

#[test]
fn what_a_backend_takes_in_part_is_not_sent_again() {
    for mode in Mode::ALL {
        scripted("partial", mode, |index| match index % 3 {
            0 => Answer::EvenOnly,
            _ => Answer::Take,
        });
    }
}

#[test]
fn a_rejected_item_takes_no_other_with_it() {
    const POISON: u64 = 211;
    for mode in Mode::ALL {
        let mut plan = Plan::new(mode);
        plan.processors = "batch: {timeout: 50ms, send_batch_size: 200, send_batch_max_size: 200}";
        let rig_books = std::sync::Mutex::new(None);
        under("poison", plan, 1, |rig| {
            rig.sink.script(|call| {
                let poison = call.numbers.iter().any(|number| number % POISON == 0);
                if poison {
                    Answer::Invalid
                } else {
                    Answer::Take
                }
            });
            std::thread::sleep(spell());
            let start = std::time::Instant::now();
            while rig.books.rejected().is_empty() && start.elapsed() < DRAIN {
                std::thread::sleep(Duration::from_millis(50));
            }
            *rig_books.lock().expect("one thread") = Some(std::sync::Arc::clone(&rig.books));
        })
        .judge();
        let books = rig_books.into_inner().expect("one thread");
        let rejected = books.expect("it happened").rejected();
        assert!(!rejected.is_empty(), "something was poisonous");
        // A client whose request is answered by its delivery hears of it for the whole request.
        if mode != Mode::Delivered {
            let others = rejected.iter().filter(|number| *number % POISON != 0);
            assert_eq!(others.count(), 0, "of {rejected:?}");
        }
    }
}

#[test]
fn nonsense_is_told_from_a_delivery() {
    for mode in Mode::ALL {
        under("garbage", Plan::new(mode), 1, |rig| {
            rig.sink.script(|call| match call.index % 4 {
                0 => Answer::Garbage,
                _ => Answer::Take,
            });
            std::thread::sleep(spell() / 2);
            rig.sink.noise(true);
            rig.sink.cut();
            std::thread::sleep(spell() / 2);
            rig.sink.noise(false);
        })
        .judge();
    }
}
