//! Random lives of a log against a simple model, on a file system that crashes anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::{Process, draft, number_of, small_segments};
use crate::disk::memory::{Faults, MemoryDisk};
use crate::{Options, Position, Withdrawal};

#[derive(Clone, Debug)]
enum Action {
    Append(Vec<usize>),
    /// Appends what somebody delivers meanwhile.
    Deliver(Vec<usize>),
    /// Takes one of those back.
    Withdraw(prop::sample::Index),
    Work,
    Mark(prop::sample::Index),
    /// Marks all but every so many-th record.
    MarkMost(usize),
    /// Marks every record: the file becomes the next segment's.
    MarkAll,
    /// Has the marks made so far synced.
    Persist,
    /// Reads some of what former lives left.
    Replay(usize),
    /// The process will die after so many more changes of files.
    DieAfter(u64),
    Full(bool),
    SyncsFail(bool),
    Kill,
    PowerLoss(u64),
    /// A crash, after which the next process dies after so many changes while it opens or reads.
    Stumble(u64, u64),
    Close,
}

fn action() -> impl Strategy<Value = Action> {
    let sizes = prop::collection::vec(prop_oneof![0_usize..300, 2_000_usize..20_000], 0..4);
    prop_oneof![
        12 => sizes.clone().prop_map(Action::Append),
        6 => sizes.prop_map(Action::Deliver),
        5 => any::<prop::sample::Index>().prop_map(Action::Withdraw),
        8 => Just(Action::Work),
        4 => any::<prop::sample::Index>().prop_map(Action::Mark),
        3 => (2_usize..20).prop_map(Action::MarkMost),
        3 => Just(Action::MarkAll),
        3 => Just(Action::Persist),
        1 => (1_usize..10).prop_map(Action::Replay),
        2 => (0_u64..40).prop_map(Action::DieAfter),
        1 => any::<bool>().prop_map(Action::Full),
        1 => any::<bool>().prop_map(Action::SyncsFail),
        1 => Just(Action::Kill),
        3 => any::<u64>().prop_map(Action::PowerLoss),
        2 => (0_u64..12, any::<u64>()).prop_map(|(changes, seed)| Action::Stumble(changes, seed)),
        1 => Just(Action::Close),
    ]
}

/// What a client of the log knows.
#[derive(Default)]
struct Model {
    /// Sizes of every batch that was ever appended.
    appended: BTreeMap<u64, Vec<usize>>,
    durable: BTreeMap<u64, Position>,
    /// Taken back before they were written: they never come.
    withdrawn: BTreeSet<u64>,
    marked: BTreeSet<u64>,
    /// Marked, and told that no crash takes the marks.
    gone: BTreeSet<u64>,
    /// Whether nothing went wrong since the log was last read whole.
    unharmed: bool,
}

struct World {
    process: Option<Process>,
    disk: MemoryDisk,
    faults: Faults,
    /// What this process may still take back.
    underway: BTreeMap<u64, Withdrawal>,
    model: Model,
}

impl World {
    fn new() -> Self {
        let disk = MemoryDisk::default();
        let mut world = Self {
            process: None,
            disk,
            faults: Faults::default(),
            underway: BTreeMap::new(),
            model: Model::default(),
        };
        world.restart(world.disk.clone());
        world.model.unharmed = true;
        world
    }

    fn options() -> Options {
        Options {
            max_deaths: 0,
            ..small_segments()
        }
    }

    fn act(&mut self, action: Action) {
        let Some(process) = &mut self.process else {
            return self.recover(action);
        };
        match action {
            Action::Append(sizes) => {
                let number = self.model.appended.len() as u64;
                process.append(number, &sizes);
                self.model.appended.insert(number, sizes);
            }
            Action::Deliver(sizes) => {
                let number = self.model.appended.len() as u64;
                let withdrawal = process.append_underway(number, &sizes);
                self.underway.insert(number, withdrawal);
                self.model.appended.insert(number, sizes);
            }
            Action::Withdraw(index) => self.withdraw(index),
            Action::Work => {
                process.work();
                self.listen();
            }
            Action::Mark(index) => {
                let live: Vec<u64> = self.model.live().collect();
                if !live.is_empty() {
                    self.mark(*index.get(&live));
                }
            }
            Action::MarkMost(every) => {
                let live: Vec<u64> = self.model.live().collect();
                for number in live {
                    if !(number as usize).is_multiple_of(every) {
                        self.mark(number);
                    }
                }
            }
            Action::MarkAll => {
                let live: Vec<u64> = self.model.live().collect();
                live.into_iter().for_each(|number| self.mark(number));
            }
            Action::Persist => {
                let told = Arc::new(Mutex::new(None));
                let tell = Arc::clone(&told);
                process
                    .log
                    .persist_marks(move |kept| *tell.lock().unwrap() = Some(kept.is_ok()));
                process.work();
                self.listen();
                let told = *told.lock().unwrap();
                if told.expect("it was told") {
                    self.model.gone.clone_from(&self.model.marked);
                }
            }
            Action::Replay(count) => {
                for record in process.log.replay().take(count) {
                    assert!(record.is_ok() || !self.model.unharmed);
                }
            }
            Action::DieAfter(changes) => {
                self.harm(|faults| faults.dies_after = Some(changes));
            }
            Action::Full(full) => self.harm(|faults| faults.capacity = full.then_some(200 << 10)),
            Action::SyncsFail(fail) => self.harm(|faults| faults.syncs_fail = fail),
            Action::Kill | Action::PowerLoss(_) | Action::Stumble(..) => self.recover(action),
            Action::Close => self.close(),
        }
    }

    fn harm(&mut self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults);
        self.model.unharmed = false;
        self.disk.set_faults(self.faults);
    }

    fn mark(&mut self, number: u64) {
        if let Some(process) = &self.process {
            process.log.mark(self.model.durable[&number]);
            self.model.marked.insert(number);
        }
    }

    fn withdraw(&mut self, index: prop::sample::Index) {
        if self.underway.is_empty() {
            return;
        }
        let numbers: Vec<u64> = self.underway.keys().copied().collect();
        let number = *index.get(&numbers);
        if self
            .underway
            .remove(&number)
            .is_some_and(|by| by.withdraw())
        {
            self.model.withdrawn.insert(number);
        }
    }

    fn listen(&mut self) {
        let answers = self.process.as_ref().map(Process::answers);
        for (number, answer) in answers.unwrap_or_default() {
            assert!(!self.model.withdrawn.contains(&number), "told of {number}");
            if let Ok(position) = answer {
                assert_eq!(self.model.durable.insert(number, position), None);
            }
        }
    }

    /// Ends the process one way or the other, and reads what the next one finds.
    fn recover(&mut self, action: Action) {
        self.listen();
        self.model.unharmed = false;
        let disk = match action {
            Action::PowerLoss(seed) => after_power_loss(&self.disk, seed),
            Action::Stumble(changes, seed) => {
                let disk = after_power_loss(&self.disk, seed);
                disk.set_faults(Faults {
                    dies_after: Some(changes),
                    ..Faults::default()
                });
                if let Ok(mut process) = Process::start(&disk, Self::options()) {
                    // It may die on the way, and read no further.
                    let read = process.log.replay().take_while(Result::is_ok).count();
                    assert!(read <= self.model.appended.len());
                    process.work();
                }
                after_power_loss(&disk, seed.rotate_left(32))
            }
            _ => self.disk.after_kill(),
        };
        self.restart(disk);
        self.check();
    }

    fn close(&mut self) {
        if let Some(mut process) = self.process.take() {
            let directory = process.journal.directory();
            let _ = directory.sender.send(crate::committer::Command::Close);
            while process.committer.turn(false) {}
            self.process = Some(process);
            self.listen();
            self.restart(self.disk.after_kill());
            self.check();
        }
    }

    fn restart(&mut self, disk: MemoryDisk) {
        self.process = None;
        self.underway.clear();
        self.faults = Faults::default();
        self.disk = disk;
        self.process = Some(Process::start(&self.disk, Self::options()).unwrap());
    }

    fn check(&mut self) {
        let Some(process) = &mut self.process else {
            return;
        };
        let mut found = BTreeMap::new();
        for record in process.log.replay() {
            let record = record.unwrap();
            let number = number_of(&record);
            let sizes = self
                .model
                .appended
                .get(&number)
                .expect("an invented record");
            let draft = draft(number, sizes);
            assert_eq!(record.payload, draft.payload.concat(), "other bytes");
            assert_eq!(record.context, draft.context, "another context");
            assert_eq!(record.items, draft.items);
            let again = process.log.read(record.position).unwrap();
            assert_eq!(again.payload, record.payload);
            assert_eq!(found.insert(number, record.position), None, "twice");
        }
        for number in &self.model.gone {
            assert!(!found.contains_key(number), "{number} came back");
        }
        for number in &self.model.withdrawn {
            assert!(!found.contains_key(number), "{number} was taken back");
        }
        for number in self.model.live() {
            assert!(found.contains_key(&number), "lost {number}");
        }
        let counts = process.log.counts();
        assert_eq!((counts.damaged_records, counts.damaged_regions), (0, 0));
        if self.model.unharmed {
            assert_eq!(found.len(), self.model.live().count(), "came again");
        }
        self.model
            .durable
            .retain(|number, _| found.contains_key(number));
        // What came back without having been told durable is live now, and may be marked; but
        // only what was told durable must survive the next crash.
        for (number, position) in found {
            if let Some(known) = self.model.durable.get_mut(&number) {
                assert_eq!(*known, position, "another number");
                *known = position;
            } else {
                process.log.mark(position);
            }
            self.model.marked.remove(&number);
        }
        self.model.unharmed = true;
        process.work();
    }
}

impl Model {
    fn live(&self) -> impl Iterator<Item = u64> {
        let live = self.durable.keys();
        live.filter(|number| !self.marked.contains(number)).copied()
    }
}

fn after_power_loss(disk: &MemoryDisk, seed: u64) -> MemoryDisk {
    let mut random = seed | 1;
    disk.after_power_loss(&mut || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random & 4 == 0
    })
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_told_durable_comes_back_once_after_every_crash(
        actions in prop::collection::vec(action(), 1..80),
        last in any::<u64>(),
    ) {
        let mut world = World::new();
        for action in actions {
            world.act(action);
        }
        world.act(Action::PowerLoss(last));
        world.act(Action::Close);
    }
}
