//! The end of a chain: what the graph asks of a delivery, and nothing about how it delivers.
//!
//! A sink takes what is already inside and never waits or fails; the door asks it for room
//! before anything is let in.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tidegate_component::delivery::Delivery as Keys;
use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::metrics::Metrics;
use tidegate_component::{AnyExporter, ComponentId, Promise, Shared, StartError, Storage, Workers};
use tidegate_pdata::{Batch, Budget, Payload, Refusal, Signal};
use tokio::time::Instant;

/// Whether a sink has room, as the door asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// More may come in.
    Free,
    /// The door waits until the budget's bell rings (`block_on_overflow`).
    Later,
    /// The door is shut (`on_overflow: refuse`).
    Refused(Refusal),
}

/// What a sink holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Batches.
    pub(crate) requests: usize,
    /// Spans, data points, log records.
    pub(crate) items: usize,
    /// Bytes of OTLP.
    pub(crate) bytes: usize,
}

impl Depth {
    /// What one batch weighs.
    pub(crate) fn of(payload: &Payload) -> Self {
        Self {
            requests: 1,
            items: payload.items(),
            bytes: payload.bytes(),
        }
    }
}

impl std::ops::AddAssign for Depth {
    fn add_assign(&mut self, more: Self) {
        self.requests += more.requests;
        self.items += more.items;
        self.bytes += more.bytes;
    }
}

impl std::ops::SubAssign for Depth {
    fn sub_assign(&mut self, less: Self) {
        self.requests = self.requests.saturating_sub(less.requests);
        self.items = self.items.saturating_sub(less.items);
        self.bytes = self.bytes.saturating_sub(less.bytes);
    }
}

/// What became of the items that were put into a sink.
///
/// `taken + created = consumed + dead_letters + dropped + held`, once it is at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Items put in.
    pub(crate) taken: u64,
    /// Items that came otherwise: from former lives, or to be delivered again.
    pub(crate) created: u64,
    /// Items delivered.
    pub(crate) consumed: u64,
    /// Items that ended here, by reason.
    pub(crate) dropped: BTreeMap<String, u64>,
    /// Those of them whose senders were not told, by reason.
    pub(crate) lost: BTreeMap<String, u64>,
    /// Items that another exporter took as dead letters, by the reason for which they were given up.
    pub(crate) dead_letters: BTreeMap<String, u64>,
    /// Items in the queue or on their way.
    pub(crate) held: u64,
}

/// Takes a batch that an exporter gives up, or gives it back where there is no room for it now.
///
/// Its receipt says what becomes of it.
pub(crate) type Post = Arc<dyn Fn(Batch) -> Result<(), Batch> + Send + Sync>;

/// Where a delivery puts what it gives up for good.
#[derive(Clone)]
pub(crate) struct DeadLetters {
    /// The exporter that takes it.
    pub(crate) to: ComponentId,
    pub(crate) post: Post,
}

impl DeadLetters {
    /// To an exporter with a queue, while that has room.
    pub(crate) fn to_sink(to: ComponentId, sink: Arc<dyn Sink>) -> Self {
        let post: Post = Arc::new(move |batch| match sink.room() {
            Room::Free => {
                sink.put(batch);
                Ok(())
            }
            Room::Later | Room::Refused(_) => Err(batch),
        });
        Self { to, post }
    }
}

/// How the last deliveries went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// The last failure, while deliveries fail; none before the first delivery.
    pub(crate) error: Option<String>,
    /// The state of the circuit breaker, where there is one: closed, half_open or open.
    pub(crate) breaker: Option<&'static str>,
}

/// Takes the batches that reach the end of a chain. One serves all pipelines of a signal that
/// name the exporter, from every worker.
///
/// It is built before anything runs, started once, and put to from its start until `drain`.
/// Whoever makes room rings the budget's bell, for those who wait at the door.
#[async_trait]
pub(crate) trait Sink: Send + Sync {
    /// Takes a batch, whatever the queue holds. Never waits, never fails: what cannot be kept is
    /// counted, and the receipt is settled by what the sink promises.
    fn put(&self, batch: Batch);

    /// Whether the door may let more in. Asked before each request's body is read: a few atomic
    /// loads at most.
    fn room(&self) -> Room;

    /// What a queue in memory that refuses holds and may hold, by the measure of its size; none where
    /// it is another.
    fn fill(&self) -> Option<(usize, usize)> {
        None
    }

    /// What a kept outcome from this sink is worth.
    fn promise(&self) -> Promise;

    /// What it is worth for a batch that goes elsewhere where it is not kept.
    fn promise_with_recourse(&self) -> Promise {
        self.promise()
    }

    /// Whether the configuration asks for that promise (`storage`, `wait_for_result`), so that
    /// components before it carry receipts instead of taking over.
    fn binds(&self) -> bool;

    /// What it holds now.
    fn depth(&self) -> Depth;

    /// What became of everything put in so far.
    fn account(&self) -> Account;

    /// How the last deliveries went.
    fn health(&self) -> Health;

    /// Starts its tasks on the workers. The exporter itself is started already.
    async fn start(&self) -> Result<(), StartError>;

    /// Delivers what it holds until `deadline` at the latest, then counts the rest as dropped by
    /// reason `shutdown`. Nothing is put any more.
    async fn drain(&self, deadline: Instant);
}

/// What the delivery of one exporter and signal is built from.
#[derive(Clone)]
pub(crate) struct SinkSettings {
    /// The exporter's name.
    pub(crate) id: ComponentId,
    /// The signal that this delivery is for.
    pub(crate) signal: Signal,
    /// The exporter, shared by its deliveries; never [`AnyExporter::Inline`].
    pub(crate) exporter: AnyExporter,
    /// The keys that the user wrote for the delivery.
    pub(crate) keys: Keys,
    /// What holds for keys that are not written.
    pub(crate) defaults: DeliveryDefaults,
    /// Whether some pipeline has no other exporter or connector than this: a full memory queue then shuts
    /// the door unless told otherwise.
    pub(crate) alone: bool,
    /// Where its tasks run.
    pub(crate) workers: Workers,
    /// The byte budget, whose bell those at the door wait for.
    pub(crate) budget: Arc<Budget>,
    /// The process's own metrics, labelled `exporter`.
    pub(crate) metrics: Metrics,
    /// What the deliveries of this exporter share over its signals.
    pub(crate) shared: Shared,
    /// What keeps the queue on disk, where the keys name a storage.
    pub(crate) storage: Option<Arc<dyn Storage>>,
    /// What takes what it gives up, where the keys name another exporter.
    pub(crate) letters: Option<DeadLetters>,
}
