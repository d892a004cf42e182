//! Deliveries to a scripted exporter that collects, under a paused clock.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tidegate_component::delivery::{
    Delivery as Keys, DeliveryDefaults, OnOverflow, Retry, SendingQueue,
};
use tidegate_component::metrics::{Metrics, Registry};
use tidegate_component::{
    AnyExporter, Delivered, ExportError, Items, Origin, Part, Portion, Position, Sealed, Shared,
    async_trait,
};
use tidegate_pdata::{Budget, Outcome, Payload, Pending, Receipt};
use tokio::time::sleep;

use super::*;
use crate::delivery::tests::{batch_of, records, secs};
use crate::workers::Pool;

/// Collects even and odd records in an object each, sealed ten seconds after its first record.
#[derive(Default)]
struct Lake {
    state: Mutex<State>,
    /// What `commit` fails with, from the number of its calls so far.
    fails: Option<fn(usize) -> Option<ExportError>>,
    /// Records that fit into the open objects together; 0 sets no limit.
    room: usize,
    /// How long a commit takes; a second unless told.
    takes: Option<Duration>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<u32, Object>,
    sealed: BTreeMap<u64, Vec<u32>>,
    committed: Vec<Vec<u32>>,
    abandoned: Vec<u64>,
    commits: usize,
    ordinal: u64,
}

struct Object {
    records: Vec<u32>,
    parts: Vec<Part>,
    due: Instant,
}

fn away() -> ExportError {
    ExportError::Retryable {
        endpoint: "store".into(),
        source: "connection refused".into(),
    }
}

#[async_trait]
impl BulkExporter for Lake {
    fn resume(&self, _: Origin) {}

    fn add(&self, portion: &Portion<'_>) -> Result<Delivered, ExportError> {
        let (position, records) = (portion.position, records(portion.batch.payload()));
        assert!(!records.contains(&13), "thirteen");
        let mut state = self.state.lock().unwrap();
        let held: usize = state.open.values().map(|object| object.records.len()).sum();
        if self.room > 0 && held + records.len() > self.room {
            return Err(away());
        }
        let mut rejected = 0;
        for (item, record) in records.into_iter().enumerate() {
            if record >= 1000 {
                rejected += 1;
                continue;
            }
            let object = state.open.entry(record % 2).or_insert_with(|| Object {
                records: Vec::new(),
                parts: Vec::new(),
                due: Instant::now() + secs(10),
            });
            object.records.push(record);
            match object
                .parts
                .last_mut()
                .filter(|part| part.position == position)
            {
                Some(part) => part.items.push(item..item + 1),
                None => {
                    let mut items = Items::default();
                    items.push(item..item + 1);
                    object.parts.push(Part { position, items });
                }
            }
        }
        Ok(Delivered {
            rejected,
            message: None,
        })
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
        let seal = |(_, object): (u32, Object)| {
            state.ordinal += 1;
            let ordinal = state.ordinal;
            state.sealed.insert(ordinal, object.records);
            Sealed {
                ordinal,
                name: ordinal.to_string(),
                parts: object.parts,
                recipe: Bytes::new(),
            }
        };
        due.into_iter().map(seal).collect()
    }

    async fn commit(&self, sealed: &Sealed) -> Result<(), ExportError> {
        sleep(self.takes.unwrap_or(secs(1))).await;
        let mut state = self.state.lock().unwrap();
        state.commits += 1;
        if let Some(error) = self.fails.and_then(|fails| fails(state.commits - 1)) {
            return Err(error);
        }
        if let Some(records) = state.sealed.remove(&sealed.ordinal) {
            state.committed.push(records);
        }
        Ok(())
    }

    fn rebuild(
        &self,
        _: &Sealed,
        _: &mut dyn FnMut(Position) -> Result<Payload, ExportError>,
    ) -> Result<(), ExportError> {
        Ok(())
    }

    async fn is_committed(&self, _: &Sealed) -> Result<bool, ExportError> {
        Ok(false)
    }

    fn abandon(&self, sealed: &Sealed) {
        let mut state = self.state.lock().unwrap();
        state.sealed.remove(&sealed.ordinal);
        state.abandoned.push(sealed.ordinal);
    }
}

struct Rig {
    lake: Arc<Lake>,
    logs: Arc<dyn Sink>,
    traces: Arc<dyn Sink>,
}

impl Rig {
    async fn start(keys: Keys, lake: Lake) -> Self {
        let (pool, lake) = (Pool::here(), Arc::new(lake));
        let (registry, shared) = (Registry::default(), Shared::default());
        let sink = |signal| {
            let settings = SinkSettings {
                id: "lake".parse().unwrap(),
                signal,
                exporter: AnyExporter::Bulk(Arc::clone(&lake) as _),
                keys: keys.clone(),
                defaults: DeliveryDefaults::UNTIMED,
                alone: true,
                workers: pool.workers(),
                budget: Budget::new(usize::MAX),
                metrics: Metrics::new(registry.clone(), &[("exporter", "lake")]),
                shared: shared.clone(),
                storage: None,
                letters: None,
            };
            crate::delivery::sink(settings).unwrap()
        };
        let (logs, traces) = (sink(Signal::Logs), sink(Signal::Traces));
        logs.start().await.unwrap();
        traces.start().await.unwrap();
        Self { lake, logs, traces }
    }

    fn put(&self, records: &[u32]) -> Pending {
        let (receipt, pending) = Receipt::new();
        self.logs.put(batch_of(Signal::Logs, records, receipt));
        pending
    }

    fn committed(&self) -> Vec<Vec<u32>> {
        self.lake.state.lock().unwrap().committed.clone()
    }

    async fn drain(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        tokio::join!(self.logs.drain(deadline), self.traces.drain(deadline));
    }

    /// What became of the logs: items delivered, dropped and held.
    fn account(&self) -> (u64, u64, u64) {
        let account = self.logs.account();
        let dropped: u64 = account.dropped.values().sum();
        assert_eq!(account.taken, account.consumed + dropped + account.held);
        (account.consumed, dropped, account.held)
    }

    fn dropped(&self, reason: &str) -> u64 {
        self.logs
            .account()
            .dropped
            .get(reason)
            .copied()
            .unwrap_or(0)
    }
}

fn awaited() -> Keys {
    Keys {
        sending_queue: Some(SendingQueue {
            wait_for_result: true,
            ..SendingQueue::default()
        }),
        ..Keys::default()
    }
}

fn retrying(total: u64) -> Keys {
    Keys {
        retry_on_failure: Some(Retry {
            randomization_factor: 0.0,
            max_elapsed_time: tidegate_document::Duration::from_secs(total),
            ..Retry::default()
        }),
        ..awaited()
    }
}

#[tokio::test(start_paused = true)]
async fn batch_is_delivered_when_every_object_with_a_part_of_it_is_committed() {
    let rig = Rig::start(awaited(), Lake::default()).await;
    let even = rig.put(&[2, 4]);
    sleep(secs(5)).await;
    let both = rig.put(&[6, 7]);
    sleep(secs(7)).await;
    assert_eq!(rig.committed(), [[2, 4, 6]]);
    assert_eq!((even.now(), both.now()), (Some(Outcome::Delivered), None));
    assert_eq!(rig.account(), (3, 0, 1));
    sleep(secs(5)).await;
    assert_eq!(rig.committed(), [vec![2, 4, 6], vec![7]]);
    assert_eq!(both.now(), Some(Outcome::Delivered));
    assert_eq!(rig.account(), (4, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn batch_leaves_the_queue_when_it_is_added_and_is_held_until_it_is_committed() {
    let rig = Rig::start(Keys::default(), Lake::default()).await;
    let pending = rig.put(&[1, 2]);
    assert_eq!(pending.now(), Some(Outcome::TakenOver));
    assert_eq!(rig.logs.depth().requests, 1);
    sleep(secs(1)).await;
    assert_eq!(rig.logs.depth(), Depth::default());
    assert_eq!(rig.account(), (0, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn all_signals_of_an_exporter_go_through_one_driver() {
    let rig = Rig::start(awaited(), Lake::default()).await;
    rig.put(&[2]);
    let receipt = Receipt::none();
    rig.traces.put(batch_of(Signal::Traces, &[4], receipt));
    sleep(secs(12)).await;
    assert_eq!(rig.committed(), [[2, 4]]);
    assert_eq!(rig.account(), (1, 0, 0));
    assert_eq!(rig.traces.account().consumed, 1);
}

#[tokio::test(start_paused = true)]
async fn rejected_items_and_panics_cost_only_themselves() {
    let rig = Rig::start(awaited(), Lake::default()).await;
    let (some, none, bad) = (rig.put(&[2, 1001]), rig.put(&[1002]), rig.put(&[13, 14]));
    sleep(secs(12)).await;
    assert_eq!(rig.committed(), [[2]]);
    assert_eq!(
        (rig.dropped("rejected_by_peer"), rig.dropped("panic")),
        (2, 2)
    );
    assert_eq!(
        (some.now(), none.now()),
        (Some(Outcome::Delivered), Some(Outcome::Delivered))
    );
    assert!(matches!(bad.now(), Some(Outcome::Rejected(why)) if why.contains("thirteen")));
}

#[tokio::test(start_paused = true)]
async fn failed_commit_is_repeated_and_what_comes_meanwhile_stays_in_the_queue() {
    let lake = Lake {
        fails: Some(|call| (call < 2).then(away)),
        ..Lake::default()
    };
    let rig = Rig::start(retrying(300), lake).await;
    let pending = rig.put(&[2]);
    // Due at 10 s, failed at 11 s and, after 5 s of backoff, at 17 s.
    sleep(secs(12)).await;
    rig.put(&[4]);
    sleep(secs(6)).await;
    assert_eq!(rig.logs.depth().requests, 1);
    let error = rig.logs.health().error.unwrap();
    assert_eq!(error, "store is unavailable: connection refused");
    sleep(secs(20)).await;
    assert_eq!(pending.now(), Some(Outcome::Delivered));
    assert_eq!(rig.logs.health().error, None);
    assert_eq!(rig.logs.depth().requests, 0);
    sleep(secs(20)).await;
    assert_eq!(rig.committed(), [[2], [4]]);
}

#[tokio::test(start_paused = true)]
async fn object_is_given_up_when_retries_are_exhausted() {
    let lake = Lake {
        fails: Some(|call| (call < 4).then(away)),
        ..Lake::default()
    };
    let rig = Rig::start(retrying(30), lake).await;
    let pending = rig.put(&[2, 4]);
    sleep(secs(60)).await;
    assert_eq!(rig.account(), (0, 2, 0));
    assert_eq!(rig.dropped("retry_exhausted"), 2);
    assert!(matches!(pending.now(), Some(Outcome::Refused(_))));
    assert_eq!(rig.lake.state.lock().unwrap().abandoned, [1]);
    let later = rig.put(&[6]);
    sleep(secs(20)).await;
    assert_eq!(later.now(), Some(Outcome::Delivered));
}

#[tokio::test(start_paused = true)]
async fn exporter_without_room_is_asked_again_after_a_seal() {
    let lake = Lake {
        room: 2,
        ..Lake::default()
    };
    let rig = Rig::start(awaited(), lake).await;
    for record in [2, 4, 6, 8] {
        rig.put(&[record]);
    }
    sleep(secs(5)).await;
    assert_eq!(rig.logs.depth().requests, 2);
    sleep(secs(30)).await;
    assert_eq!(rig.committed(), [[2, 4], [6, 8]]);
}

#[tokio::test(start_paused = true)]
async fn full_queue_drops_the_oldest_that_is_not_added() {
    let keys = Keys {
        sending_queue: Some(SendingQueue {
            queue_size: Some(2),
            on_overflow: Some(OnOverflow::DropOldest),
            ..SendingQueue::default()
        }),
        ..Keys::default()
    };
    let rig = Rig::start(keys, Lake::default()).await;
    for record in [2, 4, 6] {
        rig.put(&[record]);
    }
    sleep(secs(12)).await;
    assert_eq!(rig.committed(), [[4, 6]]);
    assert_eq!(rig.dropped("queue_full"), 1);
}

#[tokio::test(start_paused = true)]
async fn drain_seals_and_commits_everything() {
    let rig = Rig::start(awaited(), Lake::default()).await;
    let pending = rig.put(&[1, 2, 3]);
    let began = Instant::now();
    rig.drain(secs(30)).await;
    assert!(began.elapsed() <= secs(2));
    assert_eq!(rig.account(), (3, 0, 0));
    assert_eq!(pending.now(), Some(Outcome::Delivered));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_committed_until_the_deadline_is_let_go_and_counted() {
    let lake = Lake {
        fails: Some(|_| Some(away())),
        ..Lake::default()
    };
    let rig = Rig::start(retrying(300), lake).await;
    let pending = rig.put(&[1, 2]);
    rig.drain(secs(5)).await;
    assert_eq!((rig.account(), rig.dropped("shutdown")), ((0, 2, 0), 2));
    assert!(pending.now().is_some_and(|outcome| !outcome.is_kept()));
    let state = rig.lake.state.lock().unwrap();
    assert_eq!((state.abandoned.len(), state.sealed.len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn breaker_holds_commits_back_and_shows_it_until_the_store_is_back() {
    let lake = Lake {
        fails: Some(|call| (call < 21).then(away)),
        takes: Some(Duration::from_millis(1)),
        ..Lake::default()
    };
    let mut keys = retrying(0);
    if let Some(retry) = &mut keys.retry_on_failure {
        retry.initial_interval = tidegate_document::Duration::from_millis(100);
        retry.max_interval = tidegate_document::Duration::from_millis(100);
    }
    let rig = Rig::start(keys, lake).await;
    assert_eq!(rig.logs.health().breaker, Some("closed"));
    let pending = rig.put(&[2]);
    let commits = || rig.lake.state.lock().unwrap().commits;
    while commits() < 20 {
        sleep(Duration::from_millis(10)).await;
    }
    sleep(secs(2)).await;
    assert_eq!((commits(), rig.logs.health().breaker), (20, Some("open")));
    assert_eq!(rig.traces.health().breaker, Some("open"));
    // The first probe fails, the second one is answered.
    sleep(secs(3)).await;
    assert_eq!((commits(), rig.logs.health().breaker), (21, Some("open")));
    sleep(secs(3)).await;
    assert_eq!(
        (rig.committed(), rig.logs.health().breaker),
        (vec![vec![2]], Some("closed"))
    );
    assert_eq!(pending.now(), Some(Outcome::Delivered));
}

#[tokio::test(start_paused = true)]
async fn open_breaker_does_not_make_a_batch_last_longer_than_its_retries() {
    let lake = Lake {
        fails: Some(|_| Some(away())),
        takes: Some(Duration::from_millis(1)),
        ..Lake::default()
    };
    let mut keys = retrying(4);
    if let Some(retry) = &mut keys.retry_on_failure {
        retry.initial_interval = tidegate_document::Duration::from_millis(100);
        retry.max_interval = tidegate_document::Duration::from_millis(100);
    }
    let rig = Rig::start(keys, lake).await;
    rig.put(&[2]);
    sleep(secs(30)).await;
    assert_eq!((rig.dropped("retry_exhausted"), rig.account().2), (1, 0));
}
