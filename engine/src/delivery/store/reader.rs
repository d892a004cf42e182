//! Brings back what is on disk alone, as there is room for it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

use tidegate_journal::{Cursor, Log, Position, ReadError, Record};
use tidegate_pdata::{Batch, Budget, Context, Payload, Receipt, Signal};
use tokio::time::Instant;

use super::backlog::{Range, Rest, Resting};
use super::{Outlet, READ, Share, Store};
use crate::delivery::books::{Books, End, Why};
use crate::delivery::job::{Job, QUEUE_FULL};
use crate::sink::Depth;

/// Bytes and records that are read in one go.
const CHUNK: (usize, usize) = (4 << 20, 256);
/// Records that are read in one go while the peer is away, to see how old they are.
const LOOK: usize = 16;
/// The longest time between two such looks.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The least time between two records that are handed out to a peer that may be back.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(100);
/// How often the reader looks for room that others make.
const ROOM_EVERY: Duration = Duration::from_millis(20);
/// How long a disk that was full may take to find the room that was made.
const AFTER_FULL: Duration = Duration::from_millis(250);
/// How long the reader waits after the file system failed.
const AFTER_FAULT: Duration = Duration::from_secs(1);
/// When a record is read again that could not be read.
const AGAIN: Duration = Duration::from_secs(30);

/// Reads for one outlet.
pub(in crate::delivery) struct Reader {
    outlet: Arc<dyn Outlet>,
    store: Arc<Store>,
    log: Log,
    /// Where it reads on.
    source: Option<Source>,
    /// When to look next how old the oldest records are.
    look: Instant,
    /// Files removed before the oldest were dropped for the disk to have room.
    removed: Option<u64>,
    /// Until when enough has been dropped for that.
    relieved: Instant,
}

/// A stretch of the log that is being read.
struct Source {
    cursor: Cursor,
    /// What is left of a range of this life; none where former lives are read.
    range: Option<Range>,
    /// Items that were in quarantine when it was begun.
    quarantined: u64,
    /// Damaged stretches without a readable record that were known when it was begun.
    stretches: u64,
    /// Half-written stretches that were known then.
    torn: u64,
    /// Whether a part of it could not be read.
    faulty: bool,
}

/// A record that was read and checked.
struct Found {
    position: Position,
    size: Depth,
    age: Duration,
    deaths: u32,
    content: Result<(Payload, Context), String>,
}

/// What one reading has brought.
#[derive(Default)]
struct Chunk {
    found: Vec<Found>,
    ended: bool,
    fault: Option<ReadError>,
}

/// Whether more may be read now.
pub(in crate::delivery) enum Gate {
    Open,
    /// One, as the peer may be back.
    Probe,
    /// Not before then, unless called.
    Until(Instant),
}

impl Reader {
    /// A reader that begins with what former lives left; none before the log is open.
    pub(in crate::delivery) fn new(outlet: Arc<dyn Outlet>, store: &Arc<Store>) -> Option<Self> {
        let log = store.log()?.clone();
        Some(Self {
            source: Some(Source::new(log.replay(), None, &log)),
            look: Instant::now(),
            removed: None,
            relieved: Instant::now(),
            store: Arc::clone(store),
            outlet,
            log,
        })
    }

    /// Reads until the store is halted.
    pub(in crate::delivery) async fn run(mut self) {
        while !self.store.is_halted() {
            self.evict().await;
            let worked = match self.gate() {
                Gate::Open => self.step().await,
                Gate::Probe => self.probe().await,
                Gate::Until(at) => {
                    self.look(at).await;
                    true
                }
            };
            if !worked {
                self.idle().await;
            }
        }
        self.put_back();
    }

    fn gate(&self) -> Gate {
        if self.store.resident() >= READ && !self.store.is_at_rest() {
            // Another signal of the exporter may make the room, and calls nobody here.
            return Gate::Until(Instant::now() + ROOM_EVERY);
        }
        self.outlet.gate(Instant::now())
    }

    /// Waits until there may be something to do.
    async fn idle(&self) {
        let due = self.store.backlog().due();
        match due {
            None => self.store.called.notified().await,
            Some(due) => tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = self.store.called.notified() => {}
            },
        }
    }

    /// While the peer is away, sees whether the oldest records are too old to be kept.
    async fn look(&mut self, until: Instant) {
        let Some(max_age) = self.store.max_age() else {
            return self.rest(until).await;
        };
        if Instant::now() < self.look {
            return self.rest(until.min(self.look)).await;
        }
        self.look = Instant::now() + LOOK_EVERY.min(max_age / 4).max(AFTER_FAULT);
        while self.store.resident() < READ && self.read(LOOK).await.is_some_and(|age| age > max_age)
        {
        }
    }

    async fn rest(&self, until: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = self.store.called.notified() => {}
        }
    }

    /// Reads some records that are next, and one whose time has come; false where there is none.
    ///
    /// The first come first: what has failed is likelier to fail again.
    async fn step(&mut self) -> bool {
        let read = self.read(CHUNK.1).await.is_some();
        self.rested().await || read
    }

    /// Hands out one record to see whether the peer takes it: rather one that has not failed yet.
    async fn probe(&mut self) -> bool {
        let probed = self.read(1).await.is_some() || self.rested().await;
        if probed {
            self.rest(Instant::now() + PROBE_EVERY).await;
        }
        probed
    }

    async fn rested(&mut self) -> bool {
        let rested = self.store.backlog().rested(Instant::now());
        if let Some(rested) = rested {
            self.one(rested, false).await;
        }
        rested.is_some()
    }

    /// Reads on and hands out what is there; the age of the youngest, where there was anything.
    async fn read(&mut self, records: usize) -> Option<Duration> {
        let Some(source) = self.source.take().or_else(|| self.next_source()) else {
            let suspect = self.store.backlog().take_suspect()?;
            self.one(suspect, true).await;
            return Some(Duration::ZERO);
        };
        let (source, chunk) = self.chunk(source, records).await?;
        let source = self.source.insert(source);
        for found in &chunk.found {
            source.account(found, &self.store.books);
        }
        let youngest = chunk.found.iter().map(|found| found.age).min();
        for found in chunk.found {
            let alone = found.deaths == 0;
            self.hand_out(found, alone, 0);
        }
        if let Some(fault) = chunk.fault {
            self.report(&fault).await;
        }
        if chunk.ended {
            self.conclude();
        }
        youngest.or(Some(Duration::ZERO))
    }

    fn next_source(&self) -> Option<Source> {
        let range = self.store.backlog().begin()?;
        let cursor = self.log.scan(range.from, range.until);
        Some(Source::new(cursor, Some(range), &self.log))
    }

    async fn chunk(&self, mut source: Source, records: usize) -> Option<(Source, Chunk)> {
        let (signal, budget) = (self.store.signal, Arc::clone(&self.store.budget));
        let reading = tokio::task::spawn_blocking(move || {
            let chunk = source.read(records, signal, &budget);
            (source, chunk)
        });
        match reading.await {
            Ok(read) => Some(read),
            Err(fault) => {
                // What was being read comes back with the next process.
                tracing::error!(exporter = self.outlet.name(), %fault, "reading the queue failed");
                self.store.backlog().finish(None);
                self.store.replayed.store(true, Release);
                None
            }
        }
    }

    /// Reads one record and hands it out.
    async fn one(&mut self, known: Resting, is_suspect: bool) {
        let (log, signal, position) = (self.log.clone(), self.store.signal, known.position);
        let quarantined = quarantined(&self.log);
        let budget = Arc::clone(&self.store.budget);
        let reading = tokio::task::spawn_blocking(move || {
            let record = log.read(position)?;
            Ok::<_, ReadError>(Found::new(record, signal, &budget))
        });
        match reading.await {
            Ok(Ok(found)) => return self.hand_out(found, true, known.failures),
            Ok(Err(ReadError::Io(fault))) => {
                self.again(known);
                self.report(&fault.into()).await;
            }
            Ok(Err(ReadError::Damaged | ReadError::Gone)) => {
                self.quarantined(known.size);
                // It is in the books already, unlike what is found while former lives are read.
                if let Some(source) = &mut self.source {
                    source.quarantined += self::quarantined(&self.log) - quarantined;
                }
            }
            Err(fault) => {
                self.again(known);
                tracing::error!(exporter = self.outlet.name(), %fault, "reading the queue failed");
            }
        }
        if is_suspect {
            self.store.backlog().suspect_is_back();
            self.store.call();
        }
    }

    /// Has a record come back that could not be read.
    fn again(&self, known: Resting) {
        let rest = Rest {
            due: Instant::now() + AGAIN,
            failures: known.failures,
        };
        let mut backlog = self.store.backlog();
        backlog.rest(known.position, known.size, rest);
    }

    /// Puts a record on its way; one that processes died over waits for its turn, unless `now`.
    fn hand_out(&self, found: Found, now: bool, failures: u32) {
        let store = &self.store;
        if !now {
            let mut backlog = store.backlog();
            backlog.suspect(found.position, found.size, found.deaths);
            return;
        }
        let mut charge = store.books.recall(found.size);
        let (payload, context) = match found.content {
            Ok(content) => content,
            Err(fault) => {
                self.log.mark(found.position);
                let error = format!("a record on disk is no {} request: {fault}", store.signal);
                self.outlet
                    .health()
                    .lost(Why::Damaged, found.size.items, &error);
                charge.end(End::Dropped(Why::Damaged));
                if found.deaths > 0 {
                    store.backlog().suspect_is_back();
                }
                return;
            }
        };
        charge.store();
        let batch = Batch::new(payload, context, Receipt::none());
        let mut job = Job::new(batch, charge);
        job.failures = failures;
        let share = Share::new(store, found.position, found.size, (found.age, found.deaths));
        job.store(share);
        self.outlet.take(job);
    }

    async fn report(&self, fault: &ReadError) {
        tracing::error!(
            exporter = self.outlet.name(),
            signal = self.store.signal.name(),
            error = crate::delivery::attempt::chain(fault),
            "a part of the queue cannot be read; it stays on disk"
        );
        tokio::time::sleep(AFTER_FAULT).await;
    }

    /// Ends the stretch that was read, and counts what of it was put into quarantine.
    fn conclude(&mut self) {
        let Some(source) = self.source.take() else {
            return;
        };
        let missing = match source.range {
            Some(range) => {
                self.store.backlog().finish(None);
                range.size
            }
            None => {
                self.tell_stretches(source.stretches, source.torn);
                self.store.replayed.store(true, Release);
                let items = quarantined(&self.log).saturating_sub(source.quarantined);
                let items = usize::try_from(items).unwrap_or(usize::MAX);
                let missing = Depth {
                    items,
                    ..Depth::default()
                };
                self.store.books.create(missing);
                missing
            }
        };
        if missing == Depth::default() || source.faulty {
            return;
        }
        self.quarantined(missing);
    }

    /// Ends what the log has put into quarantine.
    fn quarantined(&self, missing: Depth) {
        let error = "their bytes are damaged, or processes died over them; they are in quarantine";
        self.outlet
            .health()
            .lost(Why::Damaged, missing.items, error);
        let charge = self.store.books.recall(missing);
        charge.end(End::Dropped(Why::Damaged));
    }

    /// Says that bytes are damaged of which not even the heads of records can be read: how many items were
    /// in them is not known, so the ledger cannot have them. And that the end of a log is half written: what
    /// was not synced was promised to nobody, but had the disk lost what was, it would look the same.
    fn tell_stretches(&self, damaged: u64, torn: u64) {
        let counts = self.log.counts();
        let torn = counts.torn_regions.saturating_sub(torn);
        if torn > 0 {
            tracing::warn!(
                exporter = self.outlet.name(),
                signal = self.store.signal.name(),
                stretches = torn,
                "the queue ends half written, as after a loss of power; what was there is passed over"
            );
        }
        let stretches = counts.damaged_regions.saturating_sub(damaged);
        if stretches > 0 {
            tracing::error!(
                exporter = self.outlet.name(),
                signal = self.store.signal.name(),
                stretches,
                "parts of the queue are damaged beyond telling what was in them; their bytes are in quarantine"
            );
        }
    }

    /// Drops the oldest records while there are more than the queue may hold.
    async fn evict(&mut self) {
        let mut file = None;
        while self.is_over() {
            let Some(source) = self.source.take().or_else(|| self.next_source()) else {
                let Some(failed) = self.store.backlog().give_up() else {
                    return;
                };
                self.push_out(failed.position, failed.size);
                continue;
            };
            let Some((source, chunk)) = self.chunk(source, 1).await else {
                return;
            };
            let source = self.source.insert(source);
            for found in &chunk.found {
                source.account(found, &self.store.books);
            }
            let mut ended = false;
            for found in chunk.found {
                let of = found.position.number() >> 32;
                ended |= file.replace(of).is_some_and(|last| last != of);
                self.push_out(found.position, found.size);
            }
            if ended {
                // Only then is it seen whether the file has gone.
                self.flush().await;
            }
            if chunk.ended {
                self.conclude();
            }
        }
    }

    /// Whether the oldest are to be dropped until the rest fits.
    fn is_over(&mut self) -> bool {
        let entrance = self.outlet.entrance();
        if !entrance.drops_oldest() {
            return false;
        }
        if self.store.has_room() || Instant::now() < self.relieved {
            self.removed = None;
            return entrance.books.is_over();
        }
        // A disk has room again when a file has gone, though it takes a moment to be seen.
        let now = self.log.counts().removed_segments;
        if now == *self.removed.get_or_insert(now) {
            return true;
        }
        self.relieved = Instant::now() + AFTER_FULL;
        entrance.books.is_over()
    }

    /// Drops a record for others to have its room.
    fn push_out(&self, position: Position, size: Depth) {
        self.log.mark(position);
        self.outlet
            .health()
            .lost(Why::QueueFull, size.items, QUEUE_FULL);
        let charge = self.store.books.recall(size);
        charge.end(End::Dropped(Why::QueueFull));
    }

    /// Waits until the log has done what follows from the marks.
    async fn flush(&self) {
        let storage = Arc::clone(&self.store.storage);
        // A panic there costs no more than records that need not have been dropped.
        let _ = tokio::task::spawn_blocking(move || storage.flush()).await;
    }

    /// Gives back what was not read.
    fn put_back(&mut self) {
        if let Some(range) = self.source.take().and_then(|source| source.range) {
            self.store.backlog().finish(Some(range));
        }
    }
}

impl Source {
    fn new(cursor: Cursor, range: Option<Range>, log: &Log) -> Self {
        Self {
            cursor,
            range,
            quarantined: quarantined(log),
            stretches: log.counts().damaged_regions,
            torn: log.counts().torn_regions,
            faulty: false,
        }
    }

    /// Takes a record off what is left, or counts it as one that a former life left.
    fn account(&mut self, found: &Found, books: &Books) {
        match &mut self.range {
            Some(range) => {
                range.from = range.from.max(found.position.number() + 1);
                range.size -= found.size;
            }
            None => books.create(found.size),
        }
    }

    fn read(&mut self, records: usize, signal: Signal, budget: &Arc<Budget>) -> Chunk {
        let (mut chunk, mut bytes) = (Chunk::default(), 0);
        while chunk.found.len() < records && bytes < CHUNK.0 {
            match self.cursor.next() {
                None => {
                    chunk.ended = true;
                    break;
                }
                Some(Ok(record)) => {
                    bytes += record.payload.len();
                    chunk.found.push(Found::new(record, signal, budget));
                }
                Some(Err(fault)) => {
                    self.faulty = true;
                    chunk.fault = Some(fault);
                    break;
                }
            }
        }
        chunk
    }
}

impl Found {
    fn new(record: Record, signal: Signal, budget: &Arc<Budget>) -> Self {
        let size = Depth {
            requests: 1,
            items: usize::try_from(record.items).unwrap_or(usize::MAX),
            bytes: record.payload.len(),
        };
        let hold = budget.overdraw(size.bytes);
        // The directory may have been written by anybody, and views trust what they read.
        let admitted = Payload::admit(signal, record.payload, Some(hold));
        let content = match (admitted, Context::restore(&record.context)) {
            (Ok(admitted), Some(context)) => Ok((admitted.payload, context)),
            (Err(fault), _) => Err(fault.to_string()),
            (Ok(_), None) => Err("its context cannot be read".to_owned()),
        };
        Self {
            position: record.position,
            size,
            age: record.age,
            deaths: record.deaths,
            content,
        }
    }
}

fn quarantined(log: &Log) -> u64 {
    let counts = log.counts();
    counts.damaged_items + counts.deadly_items
}
