//! Deliveries to a scripted peer, under a paused clock.

mod peer;

mod disk;
mod isolation;
mod letters;
mod order;
mod overflow;
mod property;
mod queue;
mod retries;
mod settings;
mod shutdown;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use tidegate_component::delivery::{Delivery as Keys, DeliveryDefaults, SendingQueue};
use tidegate_component::metrics::{Metrics, Registry, Series};
use tidegate_component::{AnyExporter, Shared, Storage};
use tidegate_pdata::{Batch, Budget, Context, Payload, Pending, Receipt, Segment, Signal};
use tokio::time::Instant;

use crate::sink::{Account, DeadLetters, Sink, SinkSettings};
use crate::workers::Pool;
use peer::Peer;

/// A delivery to a scripted peer, on this thread as the only worker unless told otherwise.
struct Rig {
    sink: Arc<dyn Sink>,
    peer: Arc<Peer>,
    metrics: Registry,
    budget: Arc<Budget>,
}

impl Rig {
    /// Starts a delivery of logs, for a pipeline's only exporter.
    async fn start(keys: Keys, peer: Peer) -> Self {
        Self::start_with(keys, peer, true).await
    }

    /// Starts a delivery of logs; `alone` says whether a pipeline has no other exporter.
    async fn start_with(keys: Keys, peer: Peer, alone: bool) -> Self {
        Self::start_on(Pool::here(), keys, peer, alone).await
    }

    /// Starts a delivery of logs on these workers.
    async fn start_on(pool: Pool, keys: Keys, peer: Peer, alone: bool) -> Self {
        Self::start_all(pool, keys, peer, (alone, None, None)).await
    }

    /// Starts a delivery of logs whose dead letters another one gets.
    async fn start_lettered(keys: Keys, peer: Peer, letters: &Self) -> Self {
        Self::start_all(Pool::here(), keys, peer, (true, None, Some(letters))).await
    }

    /// Starts a delivery of logs whose queue stands on a storage.
    async fn start_stored(
        keys: Keys,
        peer: Peer,
        storage: Option<Arc<dyn Storage>>,
        letters: Option<&Self>,
    ) -> Self {
        let mut keys = keys;
        let queue = keys.sending_queue.get_or_insert_default();
        queue.storage = Some("file_storage".parse().unwrap());
        Self::start_all(Pool::here(), keys, peer, (true, storage, letters)).await
    }

    async fn start_all(
        pool: Pool,
        keys: Keys,
        peer: Peer,
        (alone, storage, letters): (bool, Option<Arc<dyn Storage>>, Option<&Self>),
    ) -> Self {
        let (metrics, peer) = (Registry::default(), Arc::new(peer));
        let budget = Budget::new(usize::MAX);
        let settings = SinkSettings {
            id: "otlp".parse().unwrap(),
            signal: Signal::Logs,
            exporter: AnyExporter::Remote(Arc::clone(&peer) as _),
            keys,
            defaults: DeliveryDefaults {
                ordered: peer.ordered,
                ..DeliveryDefaults::GRPC
            },
            alone,
            workers: pool.workers(),
            budget: Arc::clone(&budget),
            metrics: Metrics::new(metrics.clone(), &[("exporter", "otlp")]),
            shared: Shared::default(),
            storage,
            letters: letters.map(|rig| {
                let to = "letters".parse().unwrap();
                DeadLetters::to_sink(to, Arc::clone(&rig.sink))
            }),
        };
        let sink = super::sink(settings).unwrap();
        sink.start().await.unwrap();
        Self {
            sink,
            peer,
            metrics,
            budget,
        }
    }

    /// Puts a batch whose sender does not wait.
    fn put(&self, records: &[u32]) {
        self.sink.put(batch(records, Receipt::none()));
    }

    /// Puts a batch whose sender waits.
    fn put_awaited(&self, records: &[u32]) -> Pending {
        let (receipt, pending) = Receipt::new();
        self.sink.put(batch(records, receipt));
        pending
    }

    /// Puts a batch that came with a client's metadata.
    fn put_from(&self, records: &[u32], key: &str, value: &str) {
        let context = Context::builder().metadata(key, value).build();
        let payload = payload(records);
        self.sink.put(Batch::new(payload, context, Receipt::none()));
    }

    /// Lets time pass until nothing is held, and gives the account, which must balance.
    async fn rest(&self) -> Account {
        while self.sink.account().held > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.account()
    }

    /// The account, which must balance.
    fn account(&self) -> Account {
        let account = self.sink.account();
        let dropped: u64 = account.dropped.values().sum();
        let letters: u64 = account.dead_letters.values().sum();
        let ended = account.consumed + letters + dropped;
        assert_eq!(account.taken + account.created, ended + account.held);
        account
    }

    /// What was dropped for a reason.
    fn dropped(&self, reason: &str) -> u64 {
        self.account().dropped.get(reason).copied().unwrap_or(0)
    }

    /// The value of one of the exporter's own metrics, over all of its series.
    fn metric(&self, name: &str) -> i64 {
        let families = self.metrics.families();
        let series = families[name].series.values();
        series
            .map(|series| match series {
                Series::Counter(counter) => counter.value() as i64,
                Series::Gauge(gauge) => gauge.value(),
                Series::CounterOf(counter) => counter.value() as i64,
                Series::GaugeOf(gauge) => gauge.value(),
                Series::Histogram(histogram) => histogram.buckets().iter().sum::<u64>() as i64,
            })
            .sum()
    }
}

/// Keys as they are written when nothing is.
fn keys() -> Keys {
    Keys::default()
}

/// Keys with a changed queue.
fn queue(change: impl FnOnce(&mut SendingQueue)) -> Keys {
    let mut queue = SendingQueue::default();
    change(&mut queue);
    Keys {
        sending_queue: Some(queue),
        ..Keys::default()
    }
}

/// Lets the tasks run that can, without letting time pass.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Records as one request.
pub(super) fn payload(records: &[u32]) -> Payload {
    let record = |record: &u32| LogRecord {
        flags: *record,
        ..LogRecord::default()
    };
    let scope = ScopeLogs {
        log_records: records.iter().map(record).collect(),
        ..ScopeLogs::default()
    };
    let resource = ResourceLogs {
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![resource],
    };
    let bytes = request.encode_to_vec().into();
    Payload::from_segment(Signal::Logs, Segment::new(bytes, records.len(), None))
}

fn batch(records: &[u32], receipt: Receipt) -> Batch {
    Batch::new(payload(records), Context::default(), receipt)
}

/// The same bytes as a batch of any signal.
pub(super) fn batch_of(signal: Signal, records: &[u32], receipt: Receipt) -> Batch {
    let mut of_signal = Payload::empty(signal);
    for segment in payload(records).into_segments() {
        of_signal.push(segment);
    }
    Batch::new(of_signal, Context::default(), receipt)
}

/// The records of a payload.
pub(super) fn records(payload: &Payload) -> Vec<u32> {
    let segments = payload.segments().iter();
    let requests = segments.map(|s| ExportLogsServiceRequest::decode(&**s.bytes()).unwrap());
    requests
        .flat_map(|request| request.resource_logs)
        .flat_map(|resource| resource.scope_logs)
        .flat_map(|scope| scope.log_records)
        .map(|record| record.flags)
        .collect()
}
