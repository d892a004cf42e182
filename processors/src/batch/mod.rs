//! `batch`: collects batches into larger ones.
//!
//! Merging appends segments and copies no bytes; only `send_batch_max_size` cuts inside a
//! request. Each worker collects for itself.
//!
//! Where senders wait for more than memory, a batch goes as soon as the one before it has been
//! answered for (as Nagle's algorithm does for packets, RFC 896): nobody waits longer than one
//! sync of the disk needs, and what comes meanwhile shares the next. As there, what is large enough
//! by itself does not wait at all.

mod config;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Waker;

use hashbrown::HashMap;
use tidegate_component::metrics::{Counter, Gauge, Histogram};
use tidegate_component::{BuildContext, Outbox, Processor, Promise, Reason};
use tidegate_pdata::{Batch, Context, Outcome, Payload, Pending, Receipt, Signal};
use tokio::time::{Duration, Instant};

pub use config::Config;

/// Bytes from which a batch gains nothing by waiting for more: what a request costs by itself is
/// then a tenth of what its records cost.
const WORTHWHILE: usize = 128 * 1024;

/// What one worker's instance collects, by the client metadata that keeps batches apart.
struct Batcher {
    limits: Limits,
    metadata_keys: Arc<[String]>,
    cardinality: Cardinality,
    groups: HashMap<Key, Group, foldhash::fast::RandomState>,
    metrics: Metrics,
    over_cardinality: Reason,
    /// Has `flush` called when a batch has been answered for.
    waker: Waker,
}

#[derive(Clone, Copy)]
struct Limits {
    size: usize,
    /// 0 sets no limit.
    max: usize,
    timeout: Duration,
    /// Whether receipts go along, because the pipeline promises more than memory.
    carries: bool,
}

/// The values of each metadata key; empty where nothing keeps batches apart.
type Key = Vec<Vec<Box<str>>>;

/// Groups open in all instances, bounded over the process.
struct Cardinality {
    open: Arc<AtomicUsize>,
    limit: usize,
    gauge: Gauge,
}

struct Metrics {
    by_answer: Counter,
    by_size: Counter,
    by_timeout: Counter,
    size: Histogram,
    bytes: Histogram,
}

/// What is collected for one combination of metadata.
struct Group {
    payload: Payload,
    context: Context,
    receipt: Receipt,
    /// When the oldest of it must go on.
    due: Option<Instant>,
    /// The last batch that was sent, while senders wait for what becomes of it.
    unanswered: Option<Pending>,
    /// Has `flush` called once it has been answered for.
    waker: Waker,
}

impl Batcher {
    fn new(config: &Config, cx: &BuildContext) -> Self {
        let open = cx.shared.value(|| Arc::new(AtomicUsize::new(0)));
        Self {
            limits: config.limits(cx.promise > Promise::Memory),
            metadata_keys: config.metadata_keys().into(),
            cardinality: Cardinality {
                open: Arc::clone(&open),
                limit: config.metadata_cardinality_limit(),
                gauge: cx.metrics.gauge(
                    "otelcol_processor_batch_metadata_cardinality",
                    "Combinations of metadata values that are batched apart.",
                    &[],
                ),
            },
            groups: HashMap::default(),
            metrics: Metrics::new(cx),
            over_cardinality: cx.reason("metadata_cardinality_limit"),
            waker: cx.waker.clone(),
        }
    }

    fn key(&self, context: &Context) -> Key {
        self.metadata_keys
            .iter()
            .map(|key| context.metadata(key).map(Into::into).collect())
            .collect()
    }

    /// The metadata that the batches of a group have in common; everything else differs
    /// from request to request and ends here.
    fn common(&self, key: &Key) -> Context {
        if self.metadata_keys.is_empty() {
            return Context::default();
        }
        let pairs = self.metadata_keys.iter().zip(key);
        pairs
            .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
            .fold(Context::builder(), |builder, (name, value)| {
                builder.metadata(name, value)
            })
            .build()
    }

    /// Opens the group of a key, unless there are too many already.
    fn open(&mut self, key: &Key, signal: Signal) -> bool {
        if self.groups.contains_key(key) {
            return true;
        }
        let limit = self.cardinality.limit;
        let limited = limit > 0 && !self.metadata_keys.is_empty();
        let open = self.cardinality.open.fetch_add(1, Relaxed);
        if limited && open >= limit {
            self.cardinality.open.fetch_sub(1, Relaxed);
            return false;
        }
        self.cardinality.gauge.add(1);
        let group = Group::new(signal, self.common(key), self.waker.clone());
        self.groups.insert(key.clone(), group);
        true
    }
}

impl Processor for Batcher {
    fn promise(&self, behind: Promise) -> Promise {
        match self.limits.carries {
            true => behind,
            false => Promise::Memory,
        }
    }

    fn process(&mut self, mut batch: Batch, out: &mut Outbox) {
        let key = self.key(batch.context());
        if !self.open(&key, batch.signal()) {
            let message = format!(
                "more than {} combinations of the batch processor's metadata_keys",
                self.cardinality.limit
            );
            out.reject(batch, &self.over_cardinality, message.into());
            return;
        }
        if !self.limits.carries {
            batch.receipt_mut().settle_in_place(&Outcome::TakenOver);
        }
        if let Some(group) = self.groups.get_mut(&key) {
            group.add(batch, self.limits.timeout);
            group.send_by_size(self.limits, &self.metrics, out);
            group.send_early(self.limits, &self.metrics, out);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.groups.values().filter_map(|group| group.due).min()
    }

    fn flush(&mut self, now: Instant, out: &mut Outbox) {
        for group in self.groups.values_mut() {
            if group.due.is_some_and(|due| due <= now) {
                group.send_by_timeout(self.limits, &self.metrics, out);
            }
            group.send_early(self.limits, &self.metrics, out);
        }
    }

    fn held(&self) -> (usize, usize) {
        self.groups.values().fold((0, 0), |(items, bytes), group| {
            (items + group.payload.items(), bytes + group.payload.bytes())
        })
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        let open = self.groups.len();
        self.cardinality.open.fetch_sub(open, Relaxed);
        self.cardinality
            .gauge
            .add(-i64::try_from(open).unwrap_or(0));
    }
}

impl Group {
    fn new(signal: Signal, context: Context, waker: Waker) -> Self {
        Self {
            payload: Payload::empty(signal),
            context,
            receipt: Receipt::none(),
            due: None,
            unanswered: None,
            waker,
        }
    }

    fn add(&mut self, batch: Batch, timeout: Duration) {
        let (payload, _, receipt) = batch.into_parts();
        if self.due.is_none() {
            self.due = Some(Instant::now() + timeout);
        }
        self.payload.append(payload);
        self.receipt.append(receipt);
    }

    /// Sends while there is enough; with no timeout everything is enough.
    fn send_by_size(&mut self, limits: Limits, metrics: &Metrics, out: &mut Outbox) {
        let enough = if limits.timeout.is_zero() {
            1
        } else {
            limits.size.max(1)
        };
        if self.payload.items() >= enough {
            self.send(enough, limits, (metrics, &metrics.by_size), out);
        }
    }

    /// Sends what has gathered while the batch before was under way, once that is answered for or
    /// nothing is gained by more of it.
    fn send_early(&mut self, limits: Limits, metrics: &Metrics, out: &mut Outbox) {
        if !limits.carries || self.payload.is_empty() {
            return;
        }
        if !self.is_unanswered() {
            self.send(0, limits, (metrics, &metrics.by_answer), out);
        } else if self.payload.bytes() >= WORTHWHILE {
            self.send(0, limits, (metrics, &metrics.by_size), out);
        }
    }

    fn is_unanswered(&self) -> bool {
        let pending = self.unanswered.as_ref();
        pending.is_some_and(|pending| pending.now().is_none())
    }

    fn send_by_timeout(&mut self, limits: Limits, metrics: &Metrics, out: &mut Outbox) {
        if !self.payload.is_empty() {
            self.send(0, limits, (metrics, &metrics.by_timeout), out);
        }
    }

    /// Sends what is there in pieces of the maximum, each counted as `sent`, while `enough` items
    /// are left; what is less stays.
    fn send(
        &mut self,
        enough: usize,
        limits: Limits,
        (metrics, sent): (&Metrics, &Counter),
        out: &mut Outbox,
    ) {
        let empty = Payload::empty(self.payload.signal());
        let held = std::mem::replace(&mut self.payload, empty);
        let mut left = held.items();
        let pieces = match NonZeroUsize::new(limits.max) {
            Some(max) => held.chunk_items(max),
            None => vec![held],
        };
        let mut pieces = pieces.into_iter().peekable();
        while let Some(piece) = pieces.next_if(|_| left >= enough) {
            left -= piece.items();
            let mut receipt = match pieces.peek() {
                Some(_) => self.receipt.fork(),
                None => std::mem::take(&mut self.receipt),
            };
            if limits.carries {
                self.unanswered = receipt.watch(&self.waker);
            }
            sent.add(1);
            metrics.size.observe(piece.items() as f64);
            metrics.bytes.observe(piece.bytes() as f64);
            out.push(Batch::new(piece, self.context.clone(), receipt));
        }
        pieces.for_each(|piece| self.payload.append(piece));
        // What is left starts a wait of its own, as after every send.
        self.due = (!self.payload.is_empty()).then(|| Instant::now() + limits.timeout);
    }
}

impl Metrics {
    fn new(cx: &BuildContext) -> Self {
        Self {
            by_answer: cx.metrics.counter(
                "tidegate_processor_batch_answer_trigger_send",
                "Batches sent because the one before had been answered for.",
                &[],
            ),
            by_size: cx.metrics.counter(
                "otelcol_processor_batch_batch_size_trigger_send",
                "Batches sent because they were large enough.",
                &[],
            ),
            by_timeout: cx.metrics.counter(
                "otelcol_processor_batch_timeout_trigger_send",
                "Batches sent because their time was up.",
                &[],
            ),
            size: cx.metrics.histogram(
                "otelcol_processor_batch_batch_send_size",
                "Items in the batches that were sent.",
                &[],
                SIZE_BOUNDS,
            ),
            bytes: cx.metrics.histogram(
                "otelcol_processor_batch_batch_send_size_bytes",
                "Bytes of the batches that were sent.",
                &[],
                BYTES_BOUNDS,
            ),
        }
    }
}

/// The bounds of the Collector's histogram of the same name.
const SIZE_BOUNDS: &[f64] = &[
    10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0,
    6000.0, 7000.0, 8000.0, 9000.0, 10_000.0, 20_000.0, 30_000.0, 50_000.0, 100_000.0,
];

/// The bounds of the Collector's histogram of the same name.
const BYTES_BOUNDS: &[f64] = &[
    10.0,
    25.0,
    50.0,
    75.0,
    100.0,
    250.0,
    500.0,
    750.0,
    1000.0,
    2000.0,
    3000.0,
    4000.0,
    5000.0,
    6000.0,
    7000.0,
    8000.0,
    9000.0,
    10_000.0,
    20_000.0,
    30_000.0,
    50_000.0,
    100_000.0,
    200_000.0,
    300_000.0,
    400_000.0,
    500_000.0,
    600_000.0,
    700_000.0,
    800_000.0,
    900_000.0,
    1_000_000.0,
    2_000_000.0,
    3_000_000.0,
    4_000_000.0,
    5_000_000.0,
    6_000_000.0,
    7_000_000.0,
    8_000_000.0,
    9_000_000.0,
];
