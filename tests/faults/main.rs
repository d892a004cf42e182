//! Nothing acknowledged is lost: clients send numbered items, a fault is injected, and what was
//! acknowledged is compared with what arrived and with the ledger.
//!
//! A plain `cargo test --test faults` runs a few rounds of everything. `tests/faults/run` runs all rounds
//! and writes `docs/reliability.md` from what it found.

// What the tests share is public for all of them, and some of it prints.
#![allow(unreachable_pub, clippy::print_stdout)]

mod backend;
mod books;
mod clients;
mod clock;
mod complaints;
mod damage;
mod death;
mod disk;
mod failover;
mod finding;
mod flood;
mod foreign;
mod ledger;
mod letters;
mod network;
mod objects;
mod overload;
mod page;
mod promises;
mod restart;
mod rig;
mod rpc;
mod sink;
#[path = "../support/mod.rs"]
mod support;
mod system;
mod wire;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The threads of the clients and of the backends of all scenarios.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads can be started")
});

/// Whether all rounds are run.
fn whole() -> bool {
    std::env::var_os("TIDEGATE_FAULTS").is_some_and(|value| value == "all")
}

/// The rounds of a scenario: the first number is those of a plain `cargo test`.
fn rounds(few: u64, all: u64) -> u64 {
    if whole() { all } else { few }
}

/// The length of a scenario, likewise.
fn lasting(short: Duration, long: Duration) -> Duration {
    if whole() { long } else { short }
}

/// A random time of so many milliseconds.
fn some_time(milliseconds: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rand::random_range(milliseconds))
}

/// Waits until something is so.
fn until(what: &str, limit: Duration, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < limit, "{what} within {limit:?}");
        std::thread::sleep(Duration::from_millis(3));
    }
}
