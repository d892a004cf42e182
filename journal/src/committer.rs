//! The one thread of a directory that writes: records of all logs in groups, a sync a group.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::append::{Append, Persist};
use crate::catalog::Position;
use crate::options::Fsync;
use crate::rewrite::rewrite;
use crate::state::{Directory, LogState};
use crate::withdrawal::Patience;
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

/// Writes what comes in, group by group.
#[derive(Debug)]
pub(crate) struct Committer {
    directory: Arc<Directory>,
    receiver: Receiver<Command>,
    writers: Vec<Option<Writer>>,
    last_sync: Instant,
    /// When the last group of records began.
    last_group: Option<Instant>,
    /// What is being delivered, and until when that may save its writing; the first come first.
    held: VecDeque<(Instant, Append)>,
    patience: Patience,
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

impl Group {
    fn add(&mut self, append: Append) {
        self.bytes += append.span();
        self.appends.push(append);
    }
}

impl Committer {
    pub(crate) fn new(directory: Arc<Directory>, receiver: Receiver<Command>) -> Self {
        Self {
            patience: Patience::new(directory.options.group_commit),
            directory,
            receiver,
            writers: Vec::new(),
            last_sync: Instant::now(),
            last_group: None,
            held: VecDeque::new(),
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
        let began = Instant::now();
        let mut idle = true;
        for append in std::mem::take(&mut group.appends) {
            let Some(append) = append.begin() else {
                continue;
            };
            idle = false;
            let log = Arc::clone(&append.log);
            self.writer(&log).stage(append);
        }
        let interval = match self.directory.options.fsync {
            Fsync::Group | Fsync::Always => None,
            Fsync::Interval(every) => Some(every),
        };
        let due = interval.is_none_or(|every| began >= self.last_sync + every);
        if due || group.closing {
            self.last_sync = began;
        }
        for writer in self.writers.iter_mut().flatten() {
            writer.commit(interval.is_some());
        }
        if due || group.closing {
            for writer in self.writers.iter_mut().flatten() {
                writer.sync();
            }
        }
        if !idle {
            self.patience.learn(began.elapsed());
        }
        self.tidy(idle && self.held.is_empty());
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
        if first.is_none() && self.held.is_empty() {
            return;
        }
        if wait {
            self.pace();
        }
        let (began, held) = (Instant::now(), self.held.len());
        if let Some(first) = first {
            self.take(first, group);
        }
        while !group.closing && !self.is_full(group) {
            match self.receiver.try_recv() {
                Ok(command) => self.take(command, group),
                Err(_) => break,
            }
        }
        if !group.appends.is_empty() || self.held.len() > held {
            self.last_group = Some(began);
        }
        self.release(group);
    }

    /// Puts into the group what was held long enough.
    fn release(&mut self, group: &mut Group) {
        let all = group.closing || !group.flushed.is_empty();
        let now = Instant::now();
        while let Some((until, append)) = self.held.front() {
            let is_over = append.is_withdrawn();
            if !is_over && !all && (*until > now || self.is_full(group)) {
                return;
            }
            if let Some((_, append)) = self.held.pop_front() {
                group.add(append);
            }
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
        let held = self.held.front();
        let held = held.map(|(until, _)| until.saturating_duration_since(Instant::now()));
        let patience = held.map_or(patience, |left| patience.min(left));
        match self.receiver.recv_timeout(patience) {
            Ok(command) => Some(command),
            Err(RecvTimeoutError::Timeout) => None,
            // Every handle holds a sender, so nobody is left to append.
            Err(RecvTimeoutError::Disconnected) => Some(Command::Close),
        }
    }

    fn take(&mut self, command: Command, group: &mut Group) {
        match command {
            Command::Append(append) => match self.held_until(&append) {
                Some(until) => self.held.push_back((until, append)),
                None => group.add(append),
            },
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

    /// Until when a record is held, where it is.
    fn held_until(&self, append: &Append) -> Option<Instant> {
        let (_, usual) = append.withdrawal.as_ref()?;
        if self.directory.options.fsync == Fsync::Always {
            return None;
        }
        let now = Instant::now();
        let until = self.patience.until(now, *usual);
        (until > now).then_some(until)
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
