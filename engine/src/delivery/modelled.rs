//! The hand-over under a model checker, which tries the orders in which threads can run.
//!
//! The same source is compiled once more over loom's atomics in place of [`super::sync`]; the
//! product never sees them. It takes a second or two and runs with the other tests; alone, it is
//! `cargo test -p tidegate-engine modelled`. `LOOM_LOG=trace` and `LOOM_LOCATION=1` show the
//! order that fails.

// Twice on purpose: `super::sync` is its only way to the world, and here it is the checker's.
#[expect(clippy::duplicate_mod)]
#[path = "handover.rs"]
mod handover;
mod sync;

use loom::model::Builder;
use loom::sync::{Arc, Mutex};
use loom::thread;

use handover::{Handover, Seat};
use sync::block_on;

/// A hand-over and what came out of it.
#[derive(Clone)]
struct Run {
    handover: Arc<Handover<u32>>,
    seen: Arc<Mutex<Vec<u32>>>,
    workers: usize,
    total: usize,
}

impl Run {
    fn new(consumers: usize, workers: usize, total: usize) -> Self {
        Self {
            handover: Arc::new(Handover::new(consumers, workers, 0)),
            seen: Arc::new(Mutex::new(Vec::new())),
            workers,
            total,
        }
    }

    fn put(&self, entry: u32, near: usize) {
        if let Some(seat) = self.handover.put(entry, near) {
            self.consume(seat);
        }
    }

    fn consume(&self, seat: std::sync::Arc<Seat>) {
        assert!(seat.worker() < self.workers, "a seat is one of a worker");
        let run = self.clone();
        thread::spawn(move || {
            let mut entry = run.handover.first();
            loop {
                run.saw(entry);
                let next = run.handover.next(&seat, |new| run.consume(new));
                match block_on(next) {
                    Some(next) => entry = next,
                    None => return,
                }
            }
        });
    }

    /// Closes the hand-over with the last entry.
    fn saw(&self, entry: u32) {
        let mut seen = self.seen.lock().unwrap();
        assert!(!seen.contains(&entry), "an entry comes out once");
        seen.push(entry);
        if seen.len() == self.total {
            self.handover.close();
            assert!(self.handover.left().is_none(), "all came out");
        }
    }
}

/// Every order must end, with every entry out: a model that hangs fails.
fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut model = Builder::new();
    model.preemption_bound = Some(2);
    model.check(run);
}

#[test]
fn two_threads_that_put_lose_nothing_to_one_consumer() {
    model(|| {
        let run = Run::new(1, 1, 2);
        let other = run.clone();
        let thread = thread::spawn(move || other.put(1, 0));
        run.put(2, 0);
        thread.join().unwrap();
    });
}

#[test]
fn consumers_of_two_workers_wake_each_other_for_what_comes_meanwhile() {
    model(|| {
        let run = Run::new(2, 2, 3);
        run.put(1, 0);
        run.put(2, 1);
        run.put(3, 0);
    });
}

#[test]
fn entry_that_comes_back_meets_one_that_is_new() {
    model(|| {
        let run = Run::new(1, 1, 2);
        let other = run.clone();
        let thread = thread::spawn(move || {
            if let Some(seat) = other.handover.put_again(1, 0) {
                other.consume(seat);
            }
        });
        run.put(2, 0);
        thread.join().unwrap();
    });
}

#[test]
fn entry_that_is_withdrawn_reaches_no_consumer() {
    model(|| {
        let run = Run::new(1, 1, 2);
        let other = run.clone();
        let thread = thread::spawn(move || {
            if let Some(entry) = other.handover.withdraw() {
                other.saw(entry);
            }
        });
        run.put(1, 0);
        run.put(2, 0);
        thread.join().unwrap();
    });
}
