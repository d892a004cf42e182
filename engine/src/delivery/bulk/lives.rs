//! Lives of an exporter that collects, on a disk that crashes anywhere: whatever was told durable
//! is in exactly one object.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tidegate_component::delivery::{Delivery as Keys, DeliveryDefaults, Retry, SendingQueue};
use tidegate_component::metrics::{Metrics, Registry};
use tidegate_component::{
    AnyExporter, BulkExporter, Delivered, ExportError, Items, Origin, Part, Portion, Position,
    Promise, Sealed, Shared, StartError, Storage, async_trait,
};
use tidegate_journal::disk::memory::{Faults, MemoryDisk};
use tidegate_journal::{Journal, Log, OpenError, Options, Stored};
use tidegate_pdata::{Budget, Outcome, Payload, Pending, Receipt, Signal};
use tokio::time::{Instant, sleep};

use crate::delivery::tests::{batch_of, records};
use crate::sink::{DeadLetters, Sink, SinkSettings};
use crate::testing::{Bin, FakeSink};
use crate::workers::Pool;

/// The far end, which outlives all processes: records by the name of their object.
#[derive(Debug, Default)]
struct Far {
    objects: Mutex<BTreeMap<String, Vec<u32>>>,
    /// What commits do: each the same below 8, else whatever these bits come to.
    mood: AtomicU64,
    /// Commits that were begun.
    begun: AtomicU64,
    /// Objects that were put once more.
    repeated: AtomicU64,
}

impl Far {
    fn put(&self, name: &str, records: &[u32]) {
        let mut objects = self.objects.lock().unwrap();
        if let Some(there) = objects.get(name) {
            assert_eq!(there, records, "{name} became another");
            self.repeated.fetch_add(1, Relaxed);
        }
        objects.insert(name.to_owned(), records.to_vec());
    }

    fn visible(&self) -> Vec<u32> {
        let objects = self.objects.lock().unwrap();
        let mut records: Vec<_> = objects.values().flatten().copied().collect();
        records.sort_unstable();
        records
    }

    /// What the next commit does.
    fn mood(&self) -> u64 {
        self.begun.fetch_add(1, Relaxed);
        let mood = self.mood.load(Relaxed);
        if mood >= 8 {
            self.mood.store(mixed(mood).max(8), Relaxed);
        }
        mood & 7
    }
}

fn mixed(mut random: u64) -> u64 {
    random ^= random << 13;
    random ^= random >> 7;
    random ^ random << 17
}

/// Collects records in an object for each of their remainders by three, for 20 ms.
#[derive(Default)]
struct Lake {
    far: Arc<Far>,
    state: Mutex<State>,
    /// Whether the far end will never have any object.
    rejects: bool,
}

#[derive(Default)]
struct State {
    queue: u8,
    next: u64,
    open: BTreeMap<u32, Object>,
    sealed: BTreeMap<u64, Vec<u32>>,
}

struct Object {
    records: Vec<u32>,
    parts: Vec<Part>,
    due: Instant,
}

fn away() -> ExportError {
    ExportError::Retryable {
        endpoint: "store".into(),
        source: "connection reset".into(),
    }
}

#[async_trait]
impl BulkExporter for Lake {
    fn resume(&self, origin: Origin) {
        let mut state = self.state.lock().unwrap();
        state.queue = origin.logs[Signal::Logs.index()][0];
        state.next = origin.first_ordinal;
    }

    fn add(&self, portion: &Portion<'_>) -> Result<Delivered, ExportError> {
        let mut state = self.state.lock().unwrap();
        let mut picks = portion.items.map(Items::picks);
        for (item, record) in records(portion.batch.payload()).into_iter().enumerate() {
            if picks.as_mut().is_some_and(|picks| !picks()) {
                continue;
            }
            let object = state.open.entry(record % 3).or_insert_with(|| Object {
                records: Vec::new(),
                parts: Vec::new(),
                due: Instant::now() + Duration::from_millis(20 + u64::from(record % 3) * 10),
            });
            object.records.push(record);
            if object.parts.last().map(|part| part.position) != Some(portion.position) {
                object.parts.push(Part {
                    position: portion.position,
                    items: Items::default(),
                });
            }
            let part = object.parts.last_mut().unwrap();
            part.items.push(item..item + 1);
        }
        Ok(Delivered::default())
    }

    fn due(&self) -> Option<Instant> {
        let state = self.state.lock().unwrap();
        state.open.values().map(|object| object.due).min()
    }

    fn seal(&self, now: Instant) -> Vec<Sealed> {
        let mut state = self.state.lock().unwrap();
        let due: Vec<_> = state
            .open
            .extract_if(.., |_, object| object.due <= now)
            .collect();
        let seal = |(key, object): (u32, Object)| {
            let ordinal = state.next;
            state.next += 1;
            state.sealed.insert(ordinal, object.records);
            let first = object.parts[0].position.0;
            Sealed {
                ordinal,
                name: format!("{key}/{}-{first}-{ordinal}", state.queue),
                parts: object.parts,
                recipe: Bytes::from_static(b"recipe"),
            }
        };
        due.into_iter().map(seal).collect()
    }

    fn rebuild(
        &self,
        sealed: &Sealed,
        fetch: &mut dyn FnMut(Position) -> Result<Payload, ExportError>,
    ) -> Result<(), ExportError> {
        assert_eq!(sealed.recipe, "recipe");
        let mut again = Vec::new();
        for part in &sealed.parts {
            let mut picks = part.items.picks();
            let held = records(&fetch(part.position)?);
            again.extend(held.into_iter().filter(|_| picks()));
        }
        self.state
            .lock()
            .unwrap()
            .sealed
            .insert(sealed.ordinal, again);
        Ok(())
    }

    async fn commit(&self, sealed: &Sealed) -> Result<(), ExportError> {
        let held = self.state.lock().unwrap().sealed[&sealed.ordinal].clone();
        if self.rejects {
            return Err(ExportError::Permanent {
                endpoint: "store".into(),
                reason: "access denied".to_owned(),
                divisible: false,
            });
        }
        let mood = self.far.mood();
        sleep(Duration::from_millis(mood)).await;
        match mood {
            1 => return Err(away()),
            2 => {
                self.far.put(&sealed.name, &held);
                return Err(away());
            }
            // The process dies before the answer comes.
            3 => {
                self.far.put(&sealed.name, &held);
                std::future::pending().await
            }
            4 => std::future::pending().await,
            _ => self.far.put(&sealed.name, &held),
        }
        self.state.lock().unwrap().sealed.remove(&sealed.ordinal);
        Ok(())
    }

    async fn is_committed(&self, sealed: &Sealed) -> Result<bool, ExportError> {
        Ok(self.far.objects.lock().unwrap().contains_key(&sealed.name))
    }

    fn abandon(&self, sealed: &Sealed) {
        self.state.lock().unwrap().sealed.remove(&sealed.ordinal);
    }
}

/// A storage on a disk in memory.
struct Shelf(Journal);

impl Storage for Shelf {
    fn promise(&self) -> Promise {
        Promise::Durable
    }

    fn max_age(&self) -> Option<Duration> {
        None
    }

    fn log(&self, name: &str) -> Result<Log, StartError> {
        let log = self.0.log(name);
        log.map_err(|error| StartError::new("cannot open the log", error))
    }

    fn unclaimed(&self) -> Result<Vec<Stored>, StartError> {
        Ok(self.0.unclaimed().unwrap())
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// One life of a process.
struct Life {
    sink: Arc<dyn Sink>,
}

impl Life {
    /// Begins, unless the disk dies meanwhile.
    async fn begin(disk: &MemoryDisk, far: &Arc<Far>) -> Option<Self> {
        let lake = Lake {
            far: Arc::clone(far),
            ..Lake::default()
        };
        Self::of(disk, lake, None).await
    }

    async fn of(disk: &MemoryDisk, lake: Lake, letters: Option<DeadLetters>) -> Option<Self> {
        let options = Options {
            segment_size: tidegate_journal::MIN_SEGMENT,
            max_deaths: 0,
            // The clock that objects are due by runs ahead while the journal's thread waits.
            group_commit: Duration::ZERO,
            ..Options::default()
        };
        let journal = Journal::open_on(Arc::new(disk.clone()), Path::new("/queue"), options);
        let keys = Keys {
            sending_queue: Some(SendingQueue {
                storage: Some("file_storage".parse().unwrap()),
                ..SendingQueue::default()
            }),
            retry_on_failure: Some(Retry {
                initial_interval: tidegate_document::Duration::from_millis(5),
                max_interval: tidegate_document::Duration::from_millis(20),
                ..Retry::default()
            }),
            ..Keys::default()
        };
        let sink = crate::delivery::sink(SinkSettings {
            id: "lake".parse().unwrap(),
            signal: Signal::Logs,
            exporter: AnyExporter::Bulk(Arc::new(lake)),
            keys,
            defaults: DeliveryDefaults::UNTIMED,
            alone: true,
            workers: Pool::here().workers(),
            budget: Budget::new(usize::MAX),
            metrics: Metrics::new(Registry::default(), &[("exporter", "lake")]),
            shared: Shared::default(),
            storage: Some(Arc::new(Shelf(journal.ok()?))),
            letters,
        });
        let sink = sink.unwrap();
        sink.start().await.ok()?;
        Some(Self { sink })
    }

    fn put(&self, records: &[u32]) -> Pending {
        let (receipt, pending) = Receipt::new();
        self.sink.put(batch_of(Signal::Logs, records, receipt));
        pending
    }
}

/// What a test knows of all lives.
#[derive(Default)]
struct World {
    disk: MemoryDisk,
    far: Arc<Far>,
    next: u32,
    durable: BTreeSet<u32>,
}

/// What one life does: batches of so many records, each so many milliseconds behind the last, and
/// how it ends.
#[derive(Clone, Debug)]
struct Script {
    batches: Vec<(u32, u64)>,
    mood: u64,
    dies_after: Option<u64>,
    /// The power fails, and takes what these bits say; else the process is killed.
    power: Option<u64>,
}

impl World {
    fn live(&mut self, script: &Script) {
        self.disk.set_faults(Faults {
            dies_after: script.dies_after,
            ..Faults::default()
        });
        self.far.mood.store(script.mood, Relaxed);
        let left = run(async {
            let life = Life::begin(&self.disk, &self.far).await?;
            let mut puts = Vec::new();
            for (count, pause) in &script.batches {
                puts.push(self.put(&life, *count));
                breathe(*pause).await;
            }
            self.learn(puts);
            Some(self.crash(script.power))
        });
        self.disk = left.unwrap_or_else(|| self.crash(script.power));
    }

    /// Puts a batch of new records.
    fn put(&mut self, life: &Life, count: u32) -> (Pending, Vec<u32>) {
        let records: Vec<_> = (self.next..self.next + count).collect();
        self.next += count;
        (life.put(&records), records)
    }

    /// Learns what was told durable.
    fn learn(&mut self, puts: Vec<(Pending, Vec<u32>)>) {
        for (pending, records) in puts {
            if pending.now() == Some(Outcome::Durable) {
                self.durable.extend(records);
            }
        }
    }

    /// What the next life finds, as this one ends here and now.
    fn crash(&self, power: Option<u64>) -> MemoryDisk {
        let left = match power {
            None => self.disk.after_kill(),
            Some(seed) => {
                let mut random = seed | 1;
                self.disk.after_power_loss(&mut || {
                    random = mixed(random);
                    random & 4 == 0
                })
            }
        };
        self.disk.set_faults(Faults {
            dies_after: Some(0),
            ..Faults::default()
        });
        left
    }

    /// A last life in which all goes well; afterwards each record is in one object.
    fn settle(&mut self) {
        self.disk.set_faults(Faults::default());
        self.far.mood.store(0, Relaxed);
        let far = Arc::clone(&self.far);
        let missing = run(async {
            let life = Life::begin(&self.disk, &self.far).await.unwrap();
            let missing = || -> Vec<u32> {
                let visible: BTreeSet<_> = far.visible().into_iter().collect();
                self.durable.difference(&visible).copied().collect()
            };
            let is_done = || missing().is_empty() && life.sink.account().held == 0;
            until(is_done).await;
            // Seals go once the marks are synced.
            breathe(50).await;
            missing()
        });
        assert_eq!(missing, Vec::<u32>::new(), "lost");
        let visible = self.far.visible();
        let mut twice = visible.windows(2).filter(|pair| pair[0] == pair[1]);
        assert_eq!(twice.next(), None, "{:?}", self.far.objects);
    }
}

/// Runs one life to its death, which takes all of its tasks.
fn run<T>(life: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    let local = tokio::task::LocalSet::new();
    runtime.block_on(local.run_until(life))
}

/// Waits for something, for a while.
async fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if is_so() {
            return;
        }
        breathe(1).await;
    }
}

/// Lets milliseconds pass, and the log's thread work, whose time does not stop.
async fn breathe(milliseconds: u64) {
    for _ in 0..=milliseconds {
        std::thread::yield_now();
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

fn script() -> impl Strategy<Value = Script> {
    let batches = prop::collection::vec((1_u32..9, 0_u64..30), 1..8);
    let dies_after = prop::option::weighted(0.7, 0_u64..120);
    (
        batches,
        any::<u64>(),
        dies_after,
        prop::option::of(any::<u64>()),
    )
        .prop_map(|(batches, mood, dies_after, power)| Script {
            batches,
            mood,
            dies_after,
            power,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_told_durable_is_in_exactly_one_object(
        lives in prop::collection::vec(script(), 1..5),
    ) {
        let mut world = World::default();
        for script in &lives {
            world.live(script);
        }
        world.settle();
    }
}

/// A life of eighteen records in three objects, whose commits go as `mood` says, and that is
/// killed when there is no more to come.
fn killed(mood: u64) -> World {
    let mut world = World::default();
    world.far.mood.store(mood, Relaxed);
    let left = run(async {
        let life = Life::begin(&world.disk, &world.far).await.unwrap();
        let puts: Vec<_> = (0..3).map(|_| world.put(&life, 6)).collect();
        let far = Arc::clone(&world.far);
        until(|| far.begun.load(Relaxed) == 3).await;
        until(|| mood > 0 || life.sink.account().held == 0).await;
        breathe(10).await;
        world.learn(puts);
        world.crash(None)
    });
    world.disk = left;
    assert_eq!(world.durable.len(), 18);
    world
}

/// Entries of the log of seals.
fn seals(disk: &MemoryDisk) -> usize {
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let journal = loop {
        let disk = Arc::new(disk.clone());
        match Journal::open_on(disk, Path::new("/queue"), Options::default()) {
            // The life before lets go of it on a thread of its own.
            Err(OpenError::Held { .. }) if std::time::Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(1));
            }
            opened => break opened.unwrap(),
        }
    };
    let log = journal.log("lake-seals").unwrap();
    log.replay().count()
}

#[test]
fn object_whose_answer_never_came_is_put_again_under_its_name_and_nothing_else() {
    let mut world = killed(3);
    assert_eq!(world.far.visible().len(), 18);
    assert_eq!(seals(&world.disk), 3);
    world.settle();
    assert_eq!(world.far.repeated.load(Relaxed), 3);
}

#[test]
fn object_whose_commit_never_began_is_made_again() {
    let mut world = killed(4);
    assert_eq!(world.far.visible(), Vec::<u32>::new());
    let names = world.far.objects.lock().unwrap().len();
    assert_eq!((names, seals(&world.disk)), (0, 3));
    world.settle();
    assert_eq!(world.far.visible().len(), 18);
    assert_eq!(world.far.objects.lock().unwrap().len(), 3);
}

#[test]
fn what_was_committed_is_not_delivered_again_and_its_seals_go() {
    let mut world = killed(0);
    assert_eq!(world.far.visible().len(), 18);
    world.settle();
    assert_eq!(world.far.repeated.load(Relaxed), 0);
    assert_eq!(seals(&world.disk), 0);
}

/// Keeps the paused clock from leaping to a deadline while the log, whose time goes on, works.
async fn tick() {
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn what_is_open_at_a_shutdown_is_committed_and_what_cannot_be_is_held() {
    for (mood, visible) in [(0, 3), (4, 0)] {
        let mut world = World::default();
        world.far.mood.store(mood, Relaxed);
        let held = run(async {
            let life = Life::begin(&world.disk, &world.far).await.unwrap();
            let pending = life.put(&[1, 2, 3]);
            until(|| pending.now().is_some()).await;
            breathe(5).await;
            assert_eq!(pending.now(), Some(Outcome::Durable));
            let ticks = tokio::spawn(tick());
            let deadline = Instant::now() + Duration::from_secs(10);
            life.sink.drain(deadline).await;
            ticks.abort();
            let account = life.sink.account();
            assert!(account.dropped.is_empty(), "{account:?}");
            account.held
        });
        assert_eq!(world.far.visible().len(), visible);
        assert_eq!(held as usize, 3 - visible);
        world.durable.extend([1, 2, 3]);
        world.disk = world.disk.after_kill();
        world.settle();
    }
}

#[tokio::test(start_paused = true)]
async fn what_lies_in_an_object_that_is_given_up_becomes_dead_letters_and_does_not_come_again() {
    let disk = MemoryDisk::default();
    let bin = Bin::default();
    let life = async |disk: &MemoryDisk| {
        let keeper = Arc::new(FakeSink::new(
            bin.clone(),
            crate::testing::Script::default(),
        ));
        let letters = DeadLetters::to_sink("letters".parse().unwrap(), keeper);
        let lake = Lake {
            rejects: true,
            ..Lake::default()
        };
        Life::of(disk, lake, Some(letters)).await.unwrap()
    };
    let first = life(&disk).await;
    let pending = first.put(&[0, 1, 2, 3, 4, 5]);
    let alone = first.put(&[6]);
    let account = loop {
        let account = first.sink.account();
        if account.held == 0 && account.taken == 7 {
            break account;
        }
        std::thread::sleep(Duration::from_micros(50));
        sleep(Duration::from_millis(1)).await;
    };
    assert_eq!(
        (account.consumed, account.dead_letters["permanent"]),
        (0, 7)
    );
    assert_eq!(account.dropped.len(), 0);
    assert_eq!(
        (pending.now(), alone.now()),
        (Some(Outcome::Durable), Some(Outcome::Durable))
    );
    let kept = || {
        let payloads = bin.payloads();
        let mut kept: Vec<_> = payloads.iter().flat_map(records).collect();
        kept.sort_unstable();
        kept
    };
    assert_eq!(kept(), [0, 1, 2, 3, 4, 5, 6]);
    first
        .sink
        .drain(Instant::now() + Duration::from_secs(5))
        .await;

    let second = life(&disk.after_kill()).await;
    second.put(&[7]);
    // The books tell of it a moment before the other exporter has it.
    while second.sink.account().dead_letters.is_empty() || kept().len() < 8 {
        std::thread::sleep(Duration::from_micros(50));
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(kept(), [0, 1, 2, 3, 4, 5, 6, 7]);
}
