//! What waits for the committer: records to be written, and marks to be kept.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;

use crate::catalog::Position;
use crate::error::Refused;
use crate::format::{Header, Kind, data_sum};
use crate::log::{Done, Draft, Kept};
use crate::state::LogState;
use crate::withdrawal::Withdrawal;

/// A record on its way to the file. Dropped on the way, it is refused.
pub(crate) struct Append {
    pub(crate) log: Arc<LogState>,
    pub(crate) draft: Draft,
    payload: u64,
    /// What takes it back, and how long its delivery usually takes.
    pub(crate) withdrawal: Option<(Withdrawal, Duration)>,
    done: Option<Done>,
}

impl std::fmt::Debug for Append {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Append").finish_non_exhaustive()
    }
}

impl Append {
    pub(crate) fn new(log: &Arc<LogState>, draft: Draft, done: Done) -> Self {
        let payload = draft.payload.iter().map(|part| part.len() as u64).sum();
        let append = Self {
            log: Arc::clone(log),
            draft,
            payload,
            withdrawal: None,
            done: Some(done),
        };
        log.unresolved.fetch_add(append.size(), Relaxed);
        append
    }

    pub(crate) fn may_be_withdrawn(&mut self, withdrawal: Withdrawal, usual: Duration) {
        self.withdrawal = Some((withdrawal, usual));
    }

    pub(crate) fn context_is_too_large(&self) -> bool {
        self.draft.context.len() > usize::from(u16::MAX)
    }

    /// Bytes on disk.
    pub(crate) fn span(&self) -> u64 {
        crate::format::span(self.size())
    }

    pub(crate) fn size(&self) -> u64 {
        self.payload + self.draft.context.len() as u64
    }

    pub(crate) fn header(&self, segment: u32, ordinal: u32, synced: u64, now: u64) -> Header {
        Header {
            kind: Kind::Record,
            // Both were bounded before the record was sent here.
            payload: u32::try_from(self.payload).unwrap_or(u32::MAX),
            context: u16::try_from(self.draft.context.len()).unwrap_or(u16::MAX),
            ordinal,
            segment,
            synced: u32::try_from(synced).unwrap_or(u32::MAX),
            appended: now,
            items: self.draft.items,
            id: self.draft.id,
            data_sum: data_sum(self.parts()),
        }
    }

    /// The parts in the order in which they are written.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Bytes> {
        self.draft.payload.iter().chain([&self.draft.context])
    }

    pub(crate) fn refuse(mut self, why: Refused) {
        self.resolve(Err(why));
    }

    pub(crate) fn take(mut self, position: Position) {
        self.resolve(Ok(position));
    }

    /// Has it written from here on; none where it was taken back, of which nobody is told.
    pub(crate) fn begin(mut self) -> Option<Self> {
        let taken = self.withdrawal.as_ref().is_none_or(|(by, _)| by.take());
        if taken {
            return Some(self);
        }
        self.done = None;
        self.log.unresolved.fetch_sub(self.size(), Relaxed);
        self.log.tally.withdrawn_records.add(1);
        None
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawal
            .as_ref()
            .is_some_and(|(by, _)| by.is_withdrawn())
    }

    fn resolve(&mut self, outcome: Result<Position, Refused>) {
        let Some(done) = self.done.take() else {
            return;
        };
        let tally = &self.log.tally;
        self.log.unresolved.fetch_sub(self.size(), Relaxed);
        match &outcome {
            Ok(position) => {
                tally.appended_records.add(1);
                tally.appended_items.add(self.draft.items);
                tally.appended_bytes.add(u64::from(position.length));
            }
            Err(_) => tally.refused_records.add(1),
        }
        // A panic of the one who is told must not end the thread that all logs need.
        let told = std::panic::AssertUnwindSafe(|| done(outcome));
        let _ = std::panic::catch_unwind(told);
    }
}

impl Drop for Append {
    fn drop(&mut self) {
        self.resolve(Err(Refused::Closed));
    }
}

/// Somebody who waits for marks to be on stable storage. Dropped on the way, it is refused.
pub(crate) struct Persist {
    pub(crate) log: Arc<LogState>,
    done: Option<Kept>,
}

impl std::fmt::Debug for Persist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Persist").finish_non_exhaustive()
    }
}

impl Persist {
    pub(crate) fn new(log: &Arc<LogState>, done: Kept) -> Self {
        Self {
            log: Arc::clone(log),
            done: Some(done),
        }
    }

    pub(crate) fn tell(mut self, outcome: Result<(), Refused>) {
        self.resolve(outcome);
    }

    fn resolve(&mut self, outcome: Result<(), Refused>) {
        if let Some(done) = self.done.take() {
            let told = std::panic::AssertUnwindSafe(|| done(outcome));
            let _ = std::panic::catch_unwind(told);
        }
    }
}

impl Drop for Persist {
    fn drop(&mut self) {
        self.resolve(Err(Refused::Closed));
    }
}
