//! The journal as a whole.

mod damage;
mod faults;
mod life;
mod model;
mod races;
mod reuse;
mod withdrawn;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::committer::Committer;
use crate::disk::memory::MemoryDisk;
use crate::options::MIN_SEGMENT;
use crate::{Draft, Journal, Log, Options, Position, Record, Refused, Withdrawal};

pub(super) const DIRECTORY: &str = "/queue";
const LOG: &str = "otlp/edge-traces";

/// Answers to appends, in the order in which they came, by the number of the batch.
pub(super) type Answers = Arc<Mutex<Vec<(u64, Result<Position, Refused>)>>>;

pub(super) fn small_segments() -> Options {
    Options {
        segment_size: MIN_SEGMENT,
        ..Options::default()
    }
}

/// The payload of a batch: what its number and size make it, in parts.
pub(super) fn draft(number: u64, sizes: &[usize]) -> Draft {
    let part = |(at, size): (usize, &usize)| {
        let seed = number as usize * 31 + at * 7;
        (0..*size).map(|byte| (seed + byte) as u8).collect()
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    Draft {
        payload: sizes.iter().enumerate().map(part).collect(),
        context: Bytes::from(format!("context of {number}")),
        items: number + 1,
        id,
    }
}

pub(super) fn number_of(record: &Record) -> u64 {
    u64::from_le_bytes(record.id[..8].try_into().unwrap())
}

/// One process with one log, whose committer works when it is told to.
pub(super) struct Process {
    pub(super) disk: MemoryDisk,
    pub(super) journal: Journal,
    pub(super) committer: Committer,
    pub(super) log: Log,
    pub(super) answers: Answers,
}

impl Process {
    pub(super) fn start(disk: &MemoryDisk, options: Options) -> Result<Self, crate::OpenError> {
        let on = Arc::new(disk.clone());
        let (journal, committer) = Journal::unattended(on, Path::new(DIRECTORY), options)?;
        let log = journal.log(LOG)?;
        Ok(Self {
            disk: disk.clone(),
            journal,
            committer,
            log,
            answers: Answers::default(),
        })
    }

    pub(super) fn append(&self, number: u64, sizes: &[usize]) {
        self.append_to(&self.log, number, sizes);
    }

    pub(super) fn append_to(&self, log: &Log, number: u64, sizes: &[usize]) {
        let answers = Arc::clone(&self.answers);
        log.append(draft(number, sizes), move |answer| {
            answers.lock().unwrap().push((number, answer));
        });
    }

    /// Appends what is usually delivered at once.
    pub(super) fn append_underway(&self, number: u64, sizes: &[usize]) -> Withdrawal {
        self.append_delivered_in(Duration::ZERO, number, sizes)
    }

    pub(super) fn append_delivered_in(
        &self,
        usual: Duration,
        number: u64,
        sizes: &[usize],
    ) -> Withdrawal {
        let answers = Arc::clone(&self.answers);
        let done = move |answer| answers.lock().unwrap().push((number, answer));
        let draft = draft(number, sizes);
        self.log.append_unless_withdrawn(draft, usual, done)
    }

    /// Lets the committer do all that was asked.
    pub(super) fn work(&mut self) {
        for _ in 0..3 {
            self.committer.turn(false);
        }
    }

    pub(super) fn answers(&self) -> Vec<(u64, Result<Position, Refused>)> {
        std::mem::take(&mut *self.answers.lock().unwrap())
    }

    /// Appends one batch and returns where it is.
    pub(super) fn put(&mut self, number: u64, sizes: &[usize]) -> Position {
        self.append(number, sizes);
        self.work();
        let (_, answer) = self.answers().pop().unwrap();
        answer.unwrap()
    }

    /// Every live record of the log, and nothing else.
    pub(super) fn all(&self) -> Vec<u64> {
        let records = self.log.scan(0, u64::MAX);
        records.map(|record| number_of(&record.unwrap())).collect()
    }

    /// The next process after this one was killed.
    pub(super) fn after_kill(&self, options: Options) -> Self {
        Self::start(&self.disk.after_kill(), options).unwrap()
    }

    /// The next process after this one ended in good order.
    pub(super) fn after_close(mut self, options: Options) -> Self {
        let sender = &self.journal.directory().sender;
        sender.send(crate::committer::Command::Close).unwrap();
        while self.committer.turn(false) {}
        Self::start(&self.disk.after_kill(), options).unwrap()
    }

    pub(super) fn file(&self, end: &str) -> std::path::PathBuf {
        let files = self.disk.files();
        let found = files
            .into_iter()
            .find(|(path, _)| path.to_string_lossy().ends_with(end));
        found.unwrap().0
    }
}
