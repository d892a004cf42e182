//! What an earlier life left on disk.

use std::time::Duration;

use crate::clients::{Answer as Told, Client};
use crate::finding::Finding;
use crate::rig::{Mode, Plan, Rig};
use crate::rounds;
use crate::sink::Answer;
use crate::wire::{Items, Signal};

const DRAIN: Duration = Duration::from_secs(60);

/// Sends so many requests of five items; each must be acknowledged.
fn leave(rig: &Rig, client: &mut Client, requests: u64) {
    for _ in 0..requests {
        let items = Items {
            first: rig.books.issue(5),
            count: 5,
            padding: 100,
        };
        let answer = client.call(Signal::Traces, items);
        assert_eq!(answer, Told::Taken { rejected: 0 });
        rig.books.acknowledge(items.numbers());
    }
}

fn left_behind(plan: Plan, requests: u64) -> Rig {
    let mut rig = Rig::new(plan);
    rig.sink.down();
    rig.start();
    let mut client = rig.client();
    leave(&rig, &mut client, requests);
    rig.kill();
    rig
}

#[test]
fn a_new_life_takes_data_before_it_has_delivered_what_the_last_one_left() {
    let few = rounds(1, 5);
    for _ in 0..few {
        let mut plan = Plan::new(Mode::Storage);
        plan.chain = "";
        plan.queue = "num_consumers: 1";
        let mut rig = left_behind(plan, 100);
        rig.sink.always(Answer::Slow(Duration::from_millis(300)));
        rig.sink.up();
        rig.start();
        let mut client = rig.client();
        leave(&rig, &mut client, 1);
        let then = rig.books.audit();
        assert!(
            then.arrived < 400,
            "{} had arrived when it took data",
            then.arrived
        );
        rig.sink.always(Answer::Take);
        let audit = rig.drain(DRAIN);
        let ledger = rig.terminate().ledger;
        Finding::new("restart", Mode::Storage, 1, &audit)
            .ledger(&ledger)
            .note("new data was taken while the old waited")
            .judge();
    }
}

#[test]
fn the_log_of_a_removed_exporter_is_reported_and_kept() {
    let few = rounds(1, 5);
    for _ in 0..few {
        let mut plan = Plan::new(Mode::Storage);
        plan.suffix = "/old";
        let mut rig = left_behind(plan, 20);
        rig.plan.suffix = "/new";
        rig.sink.up();
        rig.start();
        let mut client = rig.client();
        leave(&rig, &mut client, 1);
        let log = rig.terminate().log;
        let told = log.lines().find(|line| line.contains("otlp_grpc/old"));
        assert!(
            told.is_some(),
            "the log that was left is not told of: {log}"
        );
        assert_eq!(
            rig.books.audit().arrived,
            5,
            "what the new exporter was given"
        );
        rig.plan.suffix = "/old";
        rig.start();
        let audit = rig.drain(DRAIN);
        let ledger = rig.terminate().ledger;
        Finding::new("removed-exporter", Mode::Storage, 1, &audit)
            .ledger(&ledger)
            .judge();
    }
}
