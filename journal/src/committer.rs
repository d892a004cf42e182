//! The one thread of a directory that writes: records of all logs in groups, a sync a group.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::catalog::Position;
use crate::error::Refused;
use crate::format::{Header, Kind};
use crate::log::{Done, Draft, Kept};
use crate::options::Fsync;
use crate::rewrite::rewrite;
use crate::state::{Directory, LogState};
use crate::writer::Writer;

/// Bytes after which a group is closed, however many more wait: it bounds how long one takes.
const GROUP: u64 = 32 << 20;

/// Groups that may pass before a segment is rewritten although there is no pause.
const PATIENCE: u32 = 256;

/// What the committer is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Write a record.
    Append(Append),
    /// Write down that a record is dead.
    Marked {
        log: Arc<LogState>,
        position: Position,
    },
    /// Sync the marks of a log, then tell.
    Persist(Persist),
    /// See whether a segment of the log can go.
    Tidy { log: Arc<LogState> },
    /// Do all that was asked before, then tell.
    Flush(Sender<()>),
    /// Do all that was asked before, end the segments, and stop.
    Close,
}

/// A record on its way to the file. Dropped on the way, it is refused.
pub(crate) struct Append {
    log: Arc<LogState>,
    pub(crate) draft: Draft,
    payload: u64,
    data_sum: u32,
    done: Option<Done>,
}

impl std::fmt::Debug for Append {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Append").finish_non_exhaustive()
    }
}

impl Append {
    pub(crate) fn new(
        log: &Arc<LogState>,
        draft: Draft,
        payload: u64,
        data_sum: u32,
        done: Done,
    ) -> Self {
        Self {
            log: Arc::clone(log),
            draft,
            payload,
            data_sum,
            done: Some(done),
        }
    }

    pub(crate) fn context_is_too_large(&self) -> bool {
        self.draft.context.len() > usize::from(u16::MAX)
    }

    /// Bytes on disk.
    pub(crate) fn span(&self) -> u64 {
        crate::format::span(self.size())
    }

    fn size(&self) -> u64 {
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
            data_sum: self.data_sum,
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
    log: Arc<LogState>,
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

/// Writes what comes in, group by group.
#[derive(Debug)]
pub(crate) struct Committer {
    directory: Arc<Directory>,
    receiver: Receiver<Command>,
    writers: Vec<Option<Writer>>,
    last_sync: Instant,
    /// When the last group of records began.
    last_group: Option<Instant>,
    /// Groups since a segment last was worth rewriting.
    impatience: u32,
}

/// What one turn has taken up.
#[derive(Debug, Default)]
struct Group {
    appends: Vec<Append>,
    bytes: u64,
    flushed: Vec<Sender<()>>,
    closing: bool,
}

impl Committer {
    pub(crate) fn new(directory: Arc<Directory>, receiver: Receiver<Command>) -> Self {
        Self {
            directory,
            receiver,
            writers: Vec::new(),
            last_sync: Instant::now(),
            last_group: None,
            impatience: 0,
        }
    }

    /// Works until the journal is closed.
    pub(crate) fn run(mut self) {
        while self.turn(true) {}
    }

    /// Takes up what has come, writes it, syncs, and tells; false once the journal is closed.
    ///
    /// With `wait` it waits for something to do.
    pub(crate) fn turn(&mut self, wait: bool) -> bool {
        let mut group = Group::default();
        self.gather(&mut group, wait);
        let idle = group.appends.is_empty();
        for append in std::mem::take(&mut group.appends) {
            let log = Arc::clone(&append.log);
            self.writer(&log).stage(append);
        }
        let interval = match self.directory.options.fsync {
            Fsync::Group | Fsync::Always => None,
            Fsync::Interval(every) => Some(every),
        };
        let now = Instant::now();
        let due = interval.is_none_or(|every| now >= self.last_sync + every);
        if due || group.closing {
            self.last_sync = now;
        }
        for writer in self.writers.iter_mut().flatten() {
            writer.commit(interval.is_some());
        }
        if due || group.closing {
            for writer in self.writers.iter_mut().flatten() {
                writer.sync();
            }
        }
        self.tidy(idle);
        for flushed in group.flushed {
            // Whoever asked may have gone.
            let _ = flushed.send(());
        }
        if group.closing {
            self.close();
        }
        !group.closing
    }

    /// Takes commands until there are none or the group is full.
    fn gather(&mut self, group: &mut Group, wait: bool) {
        let first = if wait {
            self.wait()
        } else {
            self.receiver.try_recv().ok()
        };
        let Some(first) = first else {
            return;
        };
        if wait {
            self.pace();
        }
        let began = Instant::now();
        self.take(first, group);
        while !group.closing && !self.is_full(group) {
            match self.receiver.try_recv() {
                Ok(command) => self.take(command, group),
                Err(_) => break,
            }
        }
        if !group.appends.is_empty() {
            self.last_group = Some(began);
        }
    }

    /// Keeps groups as far apart as `group_commit` says, so that what comes meanwhile shares a sync.
    ///
    /// It sleeps rather than looking at each command as it comes, which would cost a wake-up for
    /// every one of them.
    fn pace(&self) {
        let window = self.directory.options.group_commit;
        let next = self.last_group.map(|last| last + window);
        if let Some(left) = next.and_then(|next| next.checked_duration_since(Instant::now())) {
            std::thread::sleep(left);
        }
    }

    fn is_full(&self, group: &Group) -> bool {
        let alone = self.directory.options.fsync == Fsync::Always;
        group.bytes >= GROUP || alone && !group.appends.is_empty()
    }

    /// Waits for a command, for the next sync to be due, or a pause that is long enough to tidy.
    fn wait(&self) -> Option<Command> {
        let patience = match self.directory.options.fsync {
            Fsync::Interval(every) => every,
            Fsync::Group | Fsync::Always => Duration::from_secs(1),
        };
        match self.receiver.recv_timeout(patience) {
            Ok(command) => Some(command),
            Err(RecvTimeoutError::Timeout) => None,
            // Every handle holds a sender, so nobody is left to append.
            Err(RecvTimeoutError::Disconnected) => Some(Command::Close),
        }
    }

    fn take(&mut self, command: Command, group: &mut Group) {
        match command {
            Command::Append(append) => {
                group.bytes += append.span();
                group.appends.push(append);
            }
            Command::Marked { log, position } => self.writer(&log).mark(position),
            Command::Persist(persist) => {
                let log = Arc::clone(&persist.log);
                self.writer(&log).persist(persist);
            }
            Command::Tidy { log } => self.writer(&log).wants_tidying(),
            Command::Flush(sender) => group.flushed.push(sender),
            Command::Close => group.closing = true,
        }
    }

    fn writer(&mut self, log: &Arc<LogState>) -> &mut Writer {
        if log.index >= self.writers.len() {
            self.writers.resize_with(log.index + 1, || None);
        }
        self.writers[log.index].get_or_insert_with(|| Writer::new(Arc::clone(log)))
    }

    /// Writes marks, removes spent segments, and rewrites one where there is time for it.
    fn tidy(&mut self, idle: bool) {
        self.impatience += 1;
        let rewrites = idle || self.impatience >= PATIENCE;
        if rewrites {
            self.impatience = 0;
        }
        for writer in self.writers.iter_mut().flatten() {
            writer.write_marks();
            writer.remove_spent();
            writer.drop_spare(false);
            if rewrites && let Some(segment) = writer.takes_rewrite() {
                rewrite(writer.log(), segment);
            }
        }
    }

    fn close(&mut self) {
        for writer in self.writers.iter_mut().flatten() {
            writer.close();
        }
        self.directory.close();
    }
}
