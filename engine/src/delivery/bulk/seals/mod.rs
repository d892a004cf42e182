//! Seals: what each object holds is on disk before the object is committed.
//!
//! ```text
//! sealed ─▶ its seal on disk ─▶ committed ─▶ its end on disk ─▶ its records marked ─▶ marks synced
//!                                                                        its seal is marked ◀─┘
//! ```
//!
//! A crash before the seal is on disk leaves no object, so its records are added anew. One behind
//! it has the next life make the same object again under the same name. Once its end is on disk,
//! none of its items goes into another object, whichever marks of records a crash may take: those
//! that lie in it are left out for as long as the seal lives, and the seal lives until no crash
//! can bring one of its records back.

mod codec;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use tidegate_component::{Items, Position, Sealed, StartError};
use tidegate_journal::{Draft, Log, Position as Record, Refused};
use tidegate_pdata::Signal;
use tokio::time::Instant;

use codec::Entry;

use crate::delivery::job::COME_AGAIN;
pub(super) use codec::Fate;

/// The bits of a position that tell the signal.
const SIGNAL_BITS: u32 = 2;

/// The position of a record of a signal's log.
pub(super) const fn position(signal: Signal, record: u64) -> Position {
    Position(record << SIGNAL_BITS | signal.index() as u64)
}

/// The number of the record that a position means.
pub(super) const fn record_of(position: Position) -> u64 {
    position.0 >> SIGNAL_BITS
}

/// The signal of a position; none where there is none of that number.
pub(super) fn signal_of(position: Position) -> Option<Signal> {
    let index = position.0 & ((1 << SIGNAL_BITS) - 1);
    Signal::ALL.get(index as usize).copied()
}

/// The signal of the batches that an object holds.
fn signal_of_object(sealed: &Sealed) -> Option<Signal> {
    signal_of(sealed.parts.first()?.position)
}

/// The log of seals, and what its live entries say.
#[derive(Debug)]
pub(super) struct Seals {
    log: Log,
    /// The logs of the signals that are delivered in this life.
    records: [Option<Log>; Signal::ALL.len()],
    /// By the number of the seal.
    live: BTreeMap<u64, Seal>,
    /// What lies in objects of former lives, of records that may be handed out.
    claims: HashMap<Position, Vec<Claim>>,
    /// Signals whose marks are being synced.
    syncing: [bool; Signal::ALL.len()],
    /// Until when that is not tried again, as it failed.
    rest: Option<Instant>,
}

/// An object whose seal is on disk.
#[derive(Debug)]
struct Seal {
    record: Record,
    signal: Signal,
    /// Records of its batches that are not known to be dead.
    left: Vec<u64>,
    /// Where its end is written down; none while it has not ended.
    ended: Option<Record>,
}

/// What one object has of a batch.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) items: Items,
    pub(super) fate: Fate,
}

/// What former lives left.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Objects whose end is not known, in the order in which they were sealed, with the numbers
    /// of their seals.
    pub(super) open: Vec<(u64, Sealed)>,
    /// The first ordinal that nothing has which lives.
    pub(super) first_ordinal: u64,
}

impl Seal {
    /// Whether its object has ended and none of its records is live.
    fn is_spent(&mut self, records: &Log) -> bool {
        while self.left.last().is_some_and(|last| !records.is_live(*last)) {
            self.left.pop();
        }
        self.ended.is_some() && self.left.is_empty()
    }
}

impl Seals {
    /// Reads what former lives left. It blocks.
    ///
    /// # Errors
    /// When a seal cannot be read: without it what it stands for would be delivered twice.
    pub(super) fn open(
        log: Log,
        records: [Option<Log>; Signal::ALL.len()],
    ) -> Result<(Self, Left), StartError> {
        let mut seals = Self {
            log,
            records,
            live: BTreeMap::new(),
            claims: HashMap::new(),
            syncing: [false; Signal::ALL.len()],
            rest: None,
        };
        let mut left = Left::default();
        let (mut found, mut ends) = (BTreeMap::new(), Vec::new());
        for read in seals.log.replay() {
            let wrong = |fault| StartError::new("cannot read the seals of the queue", fault);
            let record = read.map_err(wrong)?;
            let wrong = |fault| StartError::new("cannot read a seal of the queue", fault);
            match Entry::decode(&record.payload).map_err(wrong)? {
                Entry::Seal(sealed) => {
                    left.first_ordinal = left.first_ordinal.max(sealed.ordinal);
                    found.insert(record.position.number(), (record.position, sealed));
                }
                Entry::Ended { seal, fate } => ends.push((record.position, seal, fate)),
            }
        }
        left.first_ordinal += 1;
        for (record, seal, fate) in ends {
            match found.remove(&seal) {
                Some((sealed_at, sealed)) => {
                    seals.take(sealed_at, &sealed);
                    seals.ended(seal, record);
                    seals.claim(&sealed, &fate);
                }
                // Its seal went before it.
                None => {
                    seals.log.mark(record);
                }
            }
        }
        for (number, (record, sealed)) in found {
            if seals.take(record, &sealed) {
                left.open.push((number, sealed));
            }
        }
        Ok((seals, left))
    }

    /// Knows a seal that is on disk; false where this life delivers nothing of its signal, so
    /// that it is left as it is.
    pub(super) fn take(&mut self, record: Record, sealed: &Sealed) -> bool {
        let Some(signal) = signal_of_object(sealed) else {
            self.log.mark(record);
            return false;
        };
        if self.records[signal.index()].is_none() {
            return false;
        }
        let left = sealed.parts.iter().map(|part| record_of(part.position));
        let seal = Seal {
            record,
            signal,
            left: left.collect(),
            ended: None,
        };
        self.live.insert(record.number(), seal);
        true
    }

    /// Knows that the end of an object is on disk.
    pub(super) fn ended(&mut self, seal: u64, at: Record) {
        if let Some(known) = self.live.get_mut(&seal) {
            known.ended = Some(at);
        }
    }

    /// Remembers what lies in an object of a former life, until its batches are handed out.
    pub(super) fn claim(&mut self, sealed: &Sealed, fate: &Fate) {
        let signal = signal_of_object(sealed);
        let Some(records) = signal.and_then(|signal| self.records(signal)).cloned() else {
            return;
        };
        for part in &sealed.parts {
            if *fate != Fate::Void && records.is_live(record_of(part.position)) {
                let claims = self.claims.entry(part.position).or_default();
                claims.push(Claim {
                    items: part.items.clone(),
                    fate: fate.clone(),
                });
            }
        }
    }

    /// What lies in objects of former lives of a batch that is handed out.
    pub(super) fn claims(&self, position: Position) -> &[Claim] {
        self.claims.get(&position).map_or(&[], Vec::as_slice)
    }

    /// The same, which is not asked for again.
    pub(super) fn take_claims(&mut self, position: Position) -> Vec<Claim> {
        self.claims.remove(&position).unwrap_or_default()
    }

    /// Writes a seal down; `done` is told where it is once that is durable.
    pub(super) fn seal(
        &self,
        sealed: &Sealed,
        done: impl FnOnce(Result<Record, Refused>) + Send + 'static,
    ) {
        self.log.append(draft(&Entry::Seal(sealed.clone())), done);
    }

    /// Writes down how an object ended.
    pub(super) fn end(
        &self,
        seal: u64,
        fate: Fate,
        done: impl FnOnce(Result<Record, Refused>) + Send + 'static,
    ) {
        self.log.append(draft(&Entry::Ended { seal, fate }), done);
    }

    /// The log of a signal's batches.
    pub(super) fn records(&self, signal: Signal) -> Option<&Log> {
        self.records[signal.index()].as_ref()
    }

    /// Seals that nobody needs once the marks of their signal are on stable storage.
    pub(super) fn spent(&mut self) -> Vec<(Signal, Log, Vec<u64>)> {
        let mut spent = Vec::new();
        if self.rest.is_some_and(|until| Instant::now() < until) {
            return spent;
        }
        for signal in Signal::ALL {
            if self.syncing[signal.index()] {
                continue;
            }
            let Some(records) = &self.records[signal.index()] else {
                continue;
            };
            let mut numbers = Vec::new();
            for (number, seal) in &mut self.live {
                if seal.signal == signal && seal.is_spent(records) {
                    numbers.push(*number);
                }
            }
            if !numbers.is_empty() {
                self.syncing[signal.index()] = true;
                spent.push((signal, records.clone(), numbers));
            }
        }
        spent
    }

    /// Forgets seals of a signal, as no crash brings their records back; or keeps them for
    /// another time.
    pub(super) fn forget(&mut self, signal: Signal, spent: &[u64], is_safe: bool) {
        self.syncing[signal.index()] = false;
        self.rest = (!is_safe).then(|| Instant::now() + COME_AGAIN);
        for number in spent.iter().filter(|_| is_safe) {
            if let Some(seal) = self.live.remove(number) {
                self.log.mark(seal.record);
                if let Some(ended) = seal.ended {
                    self.log.mark(ended);
                }
            }
        }
    }

    /// Forgets a seal of which nothing is left, as none of its records is there any more.
    pub(super) fn drop_seal(&mut self, seal: u64) {
        if let Some(seal) = self.live.remove(&seal) {
            self.log.mark(seal.record);
        }
    }
}

fn draft(entry: &Entry) -> Draft {
    Draft {
        payload: vec![entry.encode()],
        context: Bytes::new(),
        items: 0,
        id: [0; 16],
    }
}
