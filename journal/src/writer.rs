//! Writes one log: its active segment, its marks, and what goes away.

use std::io::{self, IoSlice};
use std::sync::Arc;

use crate::append::{Append, Persist};
use crate::catalog::{Position, Segment, State};
use crate::disk::{File, write_fully};
use crate::error::Refused;
use crate::format::{ALIGNMENT, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader};
use crate::marks::Marks;
use crate::seal::{end_active, resize};
use crate::spare::Spare;
use crate::state::{LogState, marks_path, segment_path};

/// What writes one log.
#[derive(Debug)]
pub(crate) struct Writer {
    log: Arc<LogState>,
    active: Option<Active>,
    staged: Vec<Append>,
    /// Written, and durable with the next sync.
    unsynced: Vec<(Append, Position)>,
    marks: Marks,
    /// Who waits for the marks to be on stable storage.
    asked: Vec<Persist>,
    untidy: bool,
    /// Whether a segment may be worth rewriting.
    sparse: bool,
    /// What the next segment can be made of.
    spare: Option<Spare>,
}

/// The segment that is being written.
#[derive(Debug)]
struct Active {
    number: u32,
    file: Arc<dyn File>,
    size: u64,
    end: u64,
    synced: u64,
    next: u32,
}

impl Writer {
    pub(crate) fn new(log: Arc<LogState>) -> Self {
        let marks = Marks::of(&log);
        Self {
            log,
            active: None,
            staged: Vec::new(),
            unsynced: Vec::new(),
            marks,
            asked: Vec::new(),
            untidy: true,
            sparse: true,
            spare: None,
        }
    }

    pub(crate) const fn log(&self) -> &Arc<LogState> {
        &self.log
    }

    /// Puts a record into the next group.
    pub(crate) fn stage(&mut self, append: Append) {
        self.staged.push(append);
    }

    /// Writes what is staged. With `at_once` it counts as done when it is written, synced or not.
    pub(crate) fn commit(&mut self, at_once: bool) {
        let mut staged = std::mem::take(&mut self.staged).into_iter().peekable();
        while let Some(first) = staged.peek() {
            let span = first.span();
            let room = match self.room(span) {
                Ok(room) => room,
                Err(why) => {
                    if let Some(append) = staged.next() {
                        append.refuse(why);
                    }
                    continue;
                }
            };
            let mut left = room;
            let mut run = Vec::new();
            while let Some(next) = staged.next_if(|next| next.span() <= left) {
                left -= next.span();
                run.push(next);
            }
            self.write_run(run);
            if at_once {
                self.publish();
            }
        }
    }

    /// Syncs what was written and tells those who wait for it.
    pub(crate) fn sync(&mut self) {
        let Some(active) = &mut self.active else {
            return;
        };
        if active.end == active.synced {
            return;
        }
        self.log.tally.syncs.add(1);
        let synced = active.file.sync().and_then(|()| active.file.is_linked());
        match synced {
            Ok(true) => {
                active.synced = active.end;
                self.publish();
            }
            // The bytes are safe in a file that nobody will ever find.
            Ok(false) => self.abandon(&Refused::Gone),
            Err(error) => {
                self.log.tally.failed_syncs.add(1);
                // Not what the error would say of a write: it may be of any earlier one.
                self.abandon(&Refused::Failed(Arc::new(error)));
            }
        }
    }

    /// Makes what was written readable and tells its owners.
    fn publish(&mut self) {
        let Some(active) = &self.active else {
            return;
        };
        let done = std::mem::take(&mut self.unsynced);
        let mut catalog = self.log.catalog();
        if let Some(segment) = catalog.segments.get_mut(&active.number) {
            segment.end = active.end;
        }
        for (_, position) in &done {
            catalog.add(*position);
        }
        drop(catalog);
        for (append, position) in done {
            append.take(position);
        }
    }

    /// Ends the active segment as it is, for good: it is never written or synced again, and
    /// what was not told yet is refused.
    fn abandon(&mut self, why: &Refused) {
        let Some(active) = self.active.take() else {
            return;
        };
        let mut catalog = self.log.catalog();
        if let Some(segment) = catalog.segments.get_mut(&active.number) {
            segment.state = State::Closed;
            segment.file = None;
        }
        drop(catalog);
        for (append, position) in std::mem::take(&mut self.unsynced) {
            // Its sender sends it again, so it should not come back from here; that it may is no loss.
            self.marks.put(self.log.id, position);
            append.refuse(why.clone());
        }
        self.untidy = true;
    }

    /// Bytes that the active segment has room for, at least `span`, in a new segment if need be.
    fn room(&mut self, span: u64) -> Result<u64, Refused> {
        let kept = RECORD_HEADER as u64;
        if let Some(active) = &self.active
            && active.end + span + kept <= active.size
        {
            return Ok(active.size - kept - active.end);
        }
        if self.log.is_full() {
            return Err(Refused::Full("no room was found a moment ago"));
        }
        let size = self.log.directory.options.segment();
        let size = size.max(SEGMENT_HEADER as u64 + span + kept);
        let begun = match self
            .spare
            .take_if(|_| size == self.log.directory.options.segment())
        {
            Some(spare) => self.is_locked().and_then(|()| {
                self.rotate();
                self.begin_again(spare, size)
            }),
            None => self.set_aside(size).and_then(|file| {
                // Only now, so that smaller records go on where a large one finds no room.
                self.rotate();
                self.begin(file, size)
            }),
        };
        match begun {
            Ok(active) => {
                let room = active.size - kept - active.end;
                self.active = Some(active);
                self.log.set_full(false);
                Ok(room)
            }
            Err(why) => {
                self.log.set_full(matches!(why, Refused::Full(_)));
                Err(why)
            }
        }
    }

    /// Ends the active segment in good order.
    fn rotate(&mut self) {
        // First what the footer stands for: one that a crash keeps must not speak for records
        // that it takes.
        self.sync();
        let settled = self.active.as_ref().is_some_and(|active| self.end(active));
        if let Some(active) = self.active.take() {
            let mut catalog = self.log.catalog();
            if let Some(segment) = catalog.segments.get_mut(&active.number) {
                segment.state = State::Closed;
                segment.file = None;
                segment.settled = settled;
            }
        }
        self.untidy = true;
    }

    /// Writes and syncs the footer of a segment whose records are synced.
    fn end(&self, active: &Active) -> bool {
        let (id, number) = (self.log.id, active.number);
        let ended = end_active(
            &*active.file,
            id,
            number,
            (active.end, active.size),
            active.next,
        );
        let Ok(size) = ended else {
            return false;
        };
        resize(&self.log, number, size);
        self.log.tally.syncs.add(1);
        let synced = active.file.sync().is_ok();
        if !synced {
            self.log.tally.failed_syncs.add(1);
        }
        synced
    }

    fn next_number(&self) -> u32 {
        let catalog = self.log.catalog();
        let last = catalog.segments.last_key_value();
        last.map_or(1, |(number, _)| number + 1).max(self.log.born)
    }

    /// Gets room for the next segment.
    fn set_aside(&self, size: u64) -> Result<Arc<dyn File>, Refused> {
        let directory = &self.log.directory;
        if !directory.fits(size) {
            return Err(Refused::Full("`max_size` of its storage is reached"));
        }
        self.is_locked()?;
        let path = segment_path(&self.log.path, self.next_number());
        let file = self.log.disk().create(&path).map_err(Refused::from_io)?;
        if let Err(error) = file.allocate(size) {
            // If it stays, it holds nothing, and the next attempt takes its place.
            let _ = self.log.disk().remove(&path);
            return Err(Refused::from_io(error));
        }
        Ok(file)
    }

    /// Makes sure that the directory is the one that this process has locked.
    fn is_locked(&self) -> Result<(), Refused> {
        // One that was made anew has no lock of ours.
        match self.log.directory.lock.is_linked() {
            Ok(true) => Ok(()),
            _ => Err(Refused::Gone),
        }
    }

    /// The head of the next segment.
    fn next_head(&self) -> SegmentHeader {
        let number = self.next_number();
        let catalog = self.log.catalog();
        let before = catalog.segments.get(&number.wrapping_sub(1));
        SegmentHeader {
            log: self.log.id,
            segment: number,
            follows_settled: before.is_some_and(|segment| segment.settled),
        }
    }

    /// Makes a segment of a file that was one before.
    fn begin_again(&self, spare: Spare, size: u64) -> Result<Active, Refused> {
        let header = self.next_head();
        let begun = spare.begin(&self.log, &header).and_then(|file| {
            self.log.disk().sync_directory(&self.log.path)?;
            Ok(file)
        });
        match begun {
            Ok(file) => Ok(self.active(file, header.segment, size)),
            Err(error) => {
                let path = segment_path(&self.log.path, header.segment);
                let _ = self.log.disk().remove(&path);
                self.log.directory.shrink(size);
                Err(Refused::from_io(error))
            }
        }
    }

    /// Makes a segment of a new file with enough room.
    fn begin(&self, file: Arc<dyn File>, size: u64) -> Result<Active, Refused> {
        let header = self.next_head();
        let number = header.segment;
        let begun = write_fully(&*file, &mut [IoSlice::new(&header.encode())], 0)
            .and_then(|()| file.sync())
            .and_then(|()| self.log.disk().sync_directory(&self.log.path));
        if let Err(error) = begun {
            let _ = self
                .log
                .disk()
                .remove(&segment_path(&self.log.path, number));
            return Err(Refused::from_io(error));
        }
        self.log.directory.grow(size);
        Ok(self.active(file, number, size))
    }

    /// Books a segment that has its name and its head.
    fn active(&self, file: Arc<dyn File>, number: u32, size: u64) -> Active {
        let end = SEGMENT_HEADER as u64;
        let mut segment = Segment::new(State::Active, end, size);
        segment.file = Some(Arc::clone(&file));
        self.log.catalog().segments.insert(number, segment);
        Active {
            number,
            file,
            size,
            end,
            synced: end,
            next: 0,
        }
    }

    /// Writes records that fit, in one go.
    fn write_run(&mut self, run: Vec<Append>) {
        const PADDING: [u8; ALIGNMENT] = [0; ALIGNMENT];
        /// Behind a group, so that nobody takes for a record what the file held before.
        const VACANT: [u8; RECORD_HEADER] = [0; RECORD_HEADER];
        let Some(active) = &mut self.active else {
            return;
        };
        let now = self.log.directory.now();
        let start = active.end;
        let (mut at, mut ordinal) = (start, active.next);
        let mut placed = Vec::with_capacity(run.len());
        for append in run {
            let header = append.header(active.number, ordinal, active.synced, now);
            let position = Position {
                segment: active.number,
                ordinal,
                offset: u32::try_from(at).unwrap_or(u32::MAX),
                length: u32::try_from(header.span()).unwrap_or(u32::MAX),
            };
            at += header.span();
            ordinal += 1;
            placed.push((header.encode(self.log.id), header, append, position));
        }
        let mut parts = Vec::with_capacity(placed.len() * 4);
        for (bytes, header, append, _) in &placed {
            parts.push(IoSlice::new(bytes));
            parts.extend(append.parts().map(|part| IoSlice::new(part)));
            let used = RECORD_HEADER as u64 + header.data();
            let padding = usize::try_from(header.span() - used).unwrap_or(0);
            parts.push(IoSlice::new(&PADDING[..padding]));
        }
        parts.push(IoSlice::new(&VACANT));
        let written = write_fully(&*active.file, &mut parts, start);
        drop(parts);
        let placed = placed
            .into_iter()
            .map(|(_, _, append, position)| (append, position));
        match written {
            Ok(()) => {
                (active.end, active.next) = (at, ordinal);
                self.unsynced.extend(placed);
            }
            Err(error) => self.end_after_failure(placed.map(|(append, _)| append), error),
        }
    }

    /// Refuses what could not be written; what was written before is still synced and told.
    fn end_after_failure(&mut self, run: impl Iterator<Item = Append>, error: io::Error) {
        let why = Refused::from_io(error);
        for append in run {
            append.refuse(why.clone());
        }
        self.log.set_full(matches!(why, Refused::Full(_)));
        if let Some(active) = &self.active {
            // What was half written should not be taken for data; a reader copes if this fails.
            let _ = active.file.set_size(active.end);
        }
        self.rotate();
    }

    pub(crate) fn mark(&mut self, position: Position) {
        self.marks.put(self.log.id, position);
        self.untidy = true;
        self.sparse = true;
    }

    pub(crate) fn wants_tidying(&mut self) {
        self.untidy = true;
        self.sparse = true;
    }

    pub(crate) fn persist(&mut self, persist: Persist) {
        self.asked.push(persist);
    }

    /// Writes the marks that came, and syncs them where somebody asked for it.
    pub(crate) fn write_marks(&mut self) {
        self.marks.write(&self.log);
        if self.asked.is_empty() {
            return;
        }
        let synced = self.marks.sync(&self.log).map_err(Arc::new);
        for persist in self.asked.drain(..) {
            persist.tell(synced.clone().map_err(Refused::Failed));
        }
    }

    /// The segment that is worth rewriting, if there is one.
    pub(crate) fn takes_rewrite(&mut self) -> Option<u32> {
        if !std::mem::take(&mut self.sparse) {
            return None;
        }
        let found = self.log.catalog().sparse(self.log.directory.since_open());
        // There may be another behind it.
        self.sparse = found.is_some();
        found
    }

    /// Removes segments in which nothing is needed any more.
    pub(crate) fn remove_spent(&mut self) {
        if !std::mem::take(&mut self.untidy) {
            return;
        }
        let spent = self.log.catalog().spent();
        for number in spent {
            let mut catalog = self.log.catalog();
            let last = catalog.segments.last_key_value().map(|(number, _)| *number);
            if last == Some(number) {
                drop(catalog);
                self.empty(number);
                continue;
            }
            let Some(segment) = catalog.segments.remove(&number) else {
                continue;
            };
            drop(catalog);
            self.marks.forget(number);
            self.log.tally.removed_segments.add(1);
            if self.take_away(number, &segment).is_ok() {
                self.marks.is_gone(number);
                let _ = self.log.disk().remove(&marks_path(&self.log.path, number));
            }
        }
    }

    /// Takes a segment's name away: its file is kept for the next one, or removed.
    ///
    /// What stays behind after an error is found spent, or read again, by the next life.
    fn take_away(&mut self, number: u32, segment: &Segment) -> io::Result<()> {
        let directory = &self.log.directory;
        let size = directory.options.segment();
        // Where room is scarce, others may need it first.
        if self.spare.is_none() && segment.is_reusable(size) && directory.fits(size) {
            self.spare = Spare::take(&self.log, number).ok();
            if self.spare.is_some() {
                return Ok(());
            }
            Spare::discard(&self.log);
        }
        directory.shrink(segment.size);
        let disk = self.log.disk();
        match disk.remove(&segment_path(&self.log.path, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        disk.sync_directory(&self.log.path)
    }

    /// Gives up a spare file that was not needed for a while, or at all events with `now`.
    pub(crate) fn drop_spare(&mut self, now: bool) {
        if self
            .spare
            .take_if(|spare| now || spare.is_stale())
            .is_some()
        {
            Spare::discard(&self.log);
            self.log
                .directory
                .shrink(self.log.directory.options.segment());
        }
    }

    /// Takes everything out of the last segment, which stays so that its number is not used again.
    fn empty(&self, number: u32) {
        let bare = SEGMENT_HEADER as u64;
        let is_bare = {
            let catalog = self.log.catalog();
            let segment = catalog.segments.get(&number);
            segment.is_none_or(|segment| segment.size <= bare)
        };
        if is_bare {
            return;
        }
        let path = segment_path(&self.log.path, number);
        let cut = self
            .log
            .disk()
            .open(&path)
            .and_then(|file| file.set_size(bare));
        if cut.is_ok() {
            resize(&self.log, number, bare);
        }
    }

    /// Ends everything in good order.
    pub(crate) fn close(&mut self) {
        self.sync();
        self.rotate();
        self.write_marks();
        self.remove_spent();
        self.drop_spare(true);
        self.log.flights.close();
    }
}
