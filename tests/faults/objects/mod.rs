//! Each item is in exactly one object: the process dies, and puts fail, at every step from the seal of an
//! object to the marks of its records.

mod gate;
mod proxy;
mod read;
mod seals;
mod shim;
mod store;

use std::collections::HashSet;
use std::time::Duration;

use gate::{Deed, Gate, Place};
use seals::{Held, Moment};
use store::{Kind, Store};

use crate::clients::Pattern;
use crate::finding::Finding;
use crate::rig::{Mode, Plan, Rig};
use crate::{rounds, some_time, until};

const PATIENCE: Duration = Duration::from_secs(120);

/// What happens in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is killed at a random moment.
    Whenever,
    /// Objects are full, and nothing of their seals is written.
    BeforeSeal,
    /// A seal is written, and not synced.
    SealUnsynced,
    /// A seal is on disk, and nobody was told.
    AfterSeal,
    /// The put of an object is at this place.
    Put(Place),
    /// The store has told that it has an object.
    Told,
    /// The same, and nothing of that is written.
    BeforeEnd,
    /// That is on disk, and no record is marked.
    AfterEnd,
    /// The put is under way, and arrives when a new process has put the object again, or is about to.
    Late,
    /// Puts fail at this place, and nobody dies.
    Fail(Place),
}

const STEPS: [Step; 14] = [
    Step::Whenever,
    Step::BeforeSeal,
    Step::Put(Place::Before),
    Step::Put(Place::In),
    Step::Put(Place::After),
    Step::Fail(Place::After),
    Step::SealUnsynced,
    Step::AfterSeal,
    Step::Told,
    Step::Fail(Place::In),
    Step::BeforeEnd,
    Step::AfterEnd,
    Step::Late,
    Step::Fail(Place::Before),
];

/// A process and the store of its objects.
struct Round<'a> {
    rig: &'a mut Rig,
    gate: &'a dyn Gate,
    /// The newest segment of the seals that former lives left.
    before: u64,
}

impl Round<'_> {
    /// Has a step happen; says why if it cannot here.
    fn run(&mut self, step: Step) -> Result<(), String> {
        let mut held = None;
        match step {
            Step::Whenever => std::thread::sleep(some_time(50..600)),
            Step::BeforeSeal => held = Some(self.hold_seal(Moment::BeforeWrite)?),
            Step::SealUnsynced => held = Some(self.hold_seal(Moment::BeforeSync)?),
            Step::AfterSeal => held = Some(self.hold_seal(Moment::AfterSync)?),
            Step::Put(place) => {
                self.stall(place);
                std::thread::sleep(some_time(0..50));
            }
            Step::Told => {
                self.stall(Place::After);
                self.go_on();
                std::thread::sleep(some_time(0..10));
            }
            Step::BeforeEnd => held = Some(self.hold_end(Moment::BeforeWrite)?),
            Step::AfterEnd => held = Some(self.hold_end(Moment::AfterSync)?),
            Step::Late => self.stall(Place::Before),
            Step::Fail(place) => {
                self.gate.arm(place, Deed::Fail);
                until("puts fail", PATIENCE, || self.gate.reached() >= 3);
                self.go_on();
                return Ok(());
            }
        }
        if let Some(held) = held {
            held.kill();
        }
        self.rig.kill();
        self.before = seals::newest(self.rig);
        self.gate.let_pass();
        if step == Step::Late {
            self.arrive_late();
        } else {
            self.gate.release(false);
            self.rig.start();
        }
        Ok(())
    }

    /// Waits until the put of an object stands at a place.
    fn stall(&self, place: Place) {
        self.gate.arm(place, Deed::Stall);
        until("a put is there", PATIENCE, || self.gate.reached() > 0);
    }

    fn go_on(&self) {
        self.gate.let_pass();
        self.gate.release(true);
    }

    /// Has a seal held at this moment of being written: while puts wait, no end is.
    fn hold_seal(&mut self, moment: Moment) -> Result<Held, String> {
        // The first comes when all objects of former lives are there.
        until("an object is sealed", PATIENCE, || {
            seals::sealed_since(self.rig, self.before)
        });
        self.gate.arm(Place::Before, Deed::Stall);
        let held = Held::next(self.rig, moment);
        if held.is_err() {
            self.go_on();
        }
        held
    }

    /// Lets the store tell of an object; that will be held at this moment of being written.
    fn hold_end(&mut self, moment: Moment) -> Result<Held, String> {
        self.stall(Place::After);
        let held = Held::next(self.rig, moment);
        self.go_on();
        held
    }

    fn arrive_late(&mut self) {
        let puts = self.gate.puts();
        self.rig.start();
        if rand::random() {
            until("it is put again", PATIENCE, || self.gate.puts() > puts);
        }
        self.gate.release(true);
    }
}

fn exactly_once(id: &str, kind: Kind) {
    let mut plan = Plan::new(Mode::Storage);
    // While puts wait, seals go on.
    plan.queue = "num_consumers: 100";
    let mut rig = Rig::new(plan);
    let Some(store) = Store::of(kind, &mut rig) else {
        Finding::skip(
            id,
            Mode::Storage,
            "its server is missing; tests/setup fetches it",
        );
        return;
    };
    rig.start();
    // What comes while puts wait must not be more than is made into objects after that, by whatever
    // build on whatever machine: else each life leaves more to the next.
    let load = rig.load(&Pattern {
        pace: Duration::from_millis(40),
        ..Pattern::default()
    });
    let (mut run, mut left_out) = (0, Vec::new());
    let mut round = Round {
        rig: &mut rig,
        gate: store.gate(),
        before: 0,
    };
    for step in (0..rounds(1, 4)).flat_map(|_| STEPS) {
        if kind == Kind::Directory && step == Step::Late {
            // With the process goes what it was about to do to files.
            continue;
        }
        match round.run(step) {
            Ok(()) => run += 1,
            Err(why) => left_out.push(format!("{step:?}: {why}")),
        }
        // Some objects live through many deaths, others through few.
        if rand::random() {
            let puts = store.gate().puts();
            until("objects are put", PATIENCE, || {
                store.gate().puts() >= puts + 6
            });
        }
    }
    load.stop();
    let (numbers, objects, ledger) = all_in(&mut rig, &store);
    rig.books.arrive(&numbers);
    let note = format!("{objects} objects, each put in one piece: there is no multipart upload");
    let audit = rig.books.audit();
    let finding = Finding::new(id, Mode::Storage, run, &audit).ledger(&ledger);
    assert!(objects as u64 > run, "{objects} objects in {run} rounds");
    let note = [vec![note], left_out].concat().join("; ");
    finding.note(note).judge();
}

/// Ends the process when it holds nothing more, and reads all objects.
fn all_in(rig: &mut Rig, store: &Store) -> (Vec<u64>, usize, crate::ledger::Ledger) {
    let mut lives = 0;
    loop {
        rig.drain(PATIENCE);
        let ledger = rig.terminate().ledger;
        let (numbers, objects) = store.read();
        let found: HashSet<u64> = numbers.iter().copied().collect();
        let missing = rig.books.missing();
        lives += 1;
        // What is on disk and was not read yet, the ledger does not know: another life looks.
        if missing.iter().all(|number| found.contains(number)) || lives == 3 {
            return (numbers, objects, ledger);
        }
        rig.start();
    }
}

#[test]
fn each_item_is_in_one_object_of_a_directory() {
    exactly_once("objects-directory", Kind::Directory);
}

#[test]
fn each_item_is_in_one_object_of_s3() {
    exactly_once("objects-s3", Kind::S3);
}

#[test]
fn each_item_is_in_one_object_of_azure() {
    exactly_once("objects-azure", Kind::Azure);
}
