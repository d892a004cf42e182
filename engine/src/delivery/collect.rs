//! `sending_queue.batch`: merges what is in the queue into batches of a wanted size.
//!
//! One task owns the open batches. Whoever puts leaves a batch in its inbox and wakes it only
//! when a batch has become full or there is a first one to time.

use std::collections::HashMap;
use std::sync::atomic::{
    AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Release,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use crossbeam_queue::SegQueue;
use tidegate_component::delivery::Sizer;
use tidegate_pdata::{Batch, Context, Payload, Pending, Receipt};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::books::{Charge, Why};
use super::entrance::Next;
use super::health::Health;
use super::job::{Job, SHUTTING_DOWN};
use super::pieces::{front, measure};
use super::settings::Batching;

/// The inbox of the task that merges.
#[derive(Debug)]
pub(super) struct Collector {
    settings: Batching,
    inbox: SegQueue<Job>,
    /// The size of all that was put and is not sent on yet.
    size: AtomicUsize,
    hurry: AtomicBool,
    called: Arc<Call>,
    /// Whether a batch goes as soon as the one before has been answered for, as senders wait.
    prompt: bool,
    /// The last batch that was sent on, while senders wait for what becomes of it.
    unanswered: Mutex<Option<Pending>>,
}

/// Rung when the task may have something to do.
#[derive(Debug, Default)]
struct Call(Notify);

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// The values of the partition's keys: none where a client sent no such key.
type Key = Box<[Option<Box<[Box<str>]>>]>;

/// A batch that waits for more.
struct Open {
    payload: Payload,
    context: Context,
    receipt: Receipt,
    charge: Charge,
    until: Instant,
    /// Its part of the collector's `size`.
    weight: usize,
}

impl Collector {
    /// A collector; `prompt` says that senders wait for what becomes of their data.
    pub(super) fn new(settings: Batching, prompt: bool) -> Self {
        Self {
            settings,
            inbox: SegQueue::new(),
            size: AtomicUsize::new(0),
            hurry: AtomicBool::new(false),
            called: Arc::default(),
            prompt,
            unanswered: Mutex::default(),
        }
    }

    /// Takes a batch in.
    pub(super) fn put(&self, job: Job) {
        let size = measure(job.batch().payload(), self.settings.sizer);
        self.inbox.push(job);
        let before = self.size.fetch_add(size, AcqRel);
        let fills = before < self.settings.min && before + size >= self.settings.min;
        // Kept apart by key, no sum tells which batch is full.
        if before == 0 || fills || !self.settings.keys.is_empty() || self.is_hurried() {
            self.called.0.notify_one();
        }
    }

    /// Lets nothing wait any more.
    pub(super) fn hurry(&self) {
        self.hurry.store(true, Release);
        self.called.0.notify_one();
    }

    /// Whether all that was put has been sent on.
    pub(super) fn is_empty(&self) -> bool {
        self.size.load(Acquire) == 0 && self.inbox.is_empty()
    }

    /// Drops what lies in the inbox.
    pub(super) fn cut_off(&self, health: &Health) {
        while let Some(job) = self.inbox.pop() {
            job.dropped(Why::Shutdown, SHUTTING_DOWN, health);
        }
    }

    /// Merges until it is dropped.
    pub(super) async fn run(&self, out: &impl Next) {
        let mut open: HashMap<Key, Open> = HashMap::new();
        loop {
            while let Some(job) = self.inbox.pop() {
                self.add(&mut open, job, out);
            }
            let now = Instant::now();
            let (all, prompt) = (self.is_hurried(), self.prompt && !self.is_unanswered());
            let is_due =
                |batch: &Open| all || batch.until <= now || prompt && !batch.receipt.is_none();
            if open.values().any(is_due) {
                for (_, due) in open.extract_if(|_, batch| is_due(batch)) {
                    self.send(due, out);
                }
            }
            match open.values().map(|batch| batch.until).min() {
                None => self.called.0.notified().await,
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = self.called.0.notified() => {}
                },
            }
        }
    }

    fn is_unanswered(&self) -> bool {
        let unanswered = self.unanswered();
        unanswered
            .as_ref()
            .is_some_and(|pending| pending.now().is_none())
    }

    fn unanswered(&self) -> MutexGuard<'_, Option<Pending>> {
        self.unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_hurried(&self) -> bool {
        self.hurry.load(Acquire)
    }

    /// Adds a batch to the open one of its key, and sends what is full.
    fn add(&self, open: &mut HashMap<Key, Open>, job: Job, out: &impl Next) {
        let key = self.key(job.batch().context());
        let mut next = self.open(job);
        let mut held = open.remove(&key);
        let max = self.settings.max.unwrap_or(usize::MAX);
        while self.measure(&next) > max.saturating_sub(held.as_ref().map_or(0, |b| self.measure(b)))
        {
            let Some(rest) = self.fill(held.take(), next, max, out) else {
                return;
            };
            next = rest;
        }
        let batch = match held {
            None => next,
            Some(held) => held.merged(next),
        };
        if self.measure(&batch) >= self.settings.min {
            self.send(batch, out);
        } else {
            open.insert(key, batch);
        }
    }

    /// Sends one batch filled up to `max` from `next`, which does not fit as a whole.
    fn fill(
        &self,
        held: Option<Open>,
        mut next: Open,
        max: usize,
        out: &impl Next,
    ) -> Option<Open> {
        let (room, sizer) = match &held {
            Some(held) => (max.saturating_sub(self.measure(held)), self.settings.sizer),
            None => (max, self.settings.sizer),
        };
        let cut = front(&next.payload, room, sizer).or_else(|| {
            // A record that is larger than a batch may be goes alone.
            let alone = held.is_none();
            alone
                .then(|| front(&next.payload, 1, Sizer::Items))
                .flatten()
        });
        let part = cut.map(|(part, rest)| next.cut(part, rest, sizer));
        match (held, part) {
            (Some(held), Some(part)) => self.send(held.merged(part), out),
            (Some(batch), None) | (None, Some(batch)) => self.send(batch, out),
            (None, None) => {
                self.send(next, out);
                return None;
            }
        }
        Some(next)
    }

    fn open(&self, job: Job) -> Open {
        let (payload, context, receipt, charge) = job.into_parts();
        Open {
            weight: measure(&payload, self.settings.sizer),
            context: self.context(&context),
            until: Instant::now() + self.settings.flush,
            payload,
            receipt,
            charge,
        }
    }

    fn send(&self, batch: Open, out: &impl Next) {
        self.size.fetch_sub(batch.weight, AcqRel);
        let Open {
            payload,
            context,
            mut receipt,
            charge,
            ..
        } = batch;
        if self.prompt {
            *self.unanswered() = receipt.watch(&Arc::clone(&self.called).into());
        }
        out.submit(Job::new(Batch::new(payload, context, receipt), charge));
    }

    fn measure(&self, batch: &Open) -> usize {
        measure(&batch.payload, self.settings.sizer)
    }

    fn key(&self, context: &Context) -> Key {
        let values = |key: &String| {
            let values: Box<[Box<str>]> = context.metadata(key).map(Box::from).collect();
            (!values.is_empty()).then_some(values)
        };
        self.settings.keys.iter().map(values).collect()
    }

    /// What batches of one key have in common of their context.
    fn context(&self, context: &Context) -> Context {
        if self.settings.keys.is_empty() {
            return Context::default();
        }
        let mut common = Context::builder();
        for key in &self.settings.keys {
            for value in context.metadata(key) {
                common = common.metadata(key, value);
            }
        }
        common.build()
    }
}

impl Open {
    fn merged(mut self, next: Self) -> Self {
        self.payload.append(next.payload);
        self.receipt.append(next.receipt);
        self.charge.merge(next.charge);
        self.weight += next.weight;
        self
    }

    /// Cuts off a part with the first records, leaving the rest.
    fn cut(&mut self, part: Payload, rest: Payload, sizer: Sizer) -> Self {
        let weight = measure(&part, sizer).min(self.weight);
        self.weight -= weight;
        let charge = self.charge.split_off(part.items());
        self.payload = rest;
        Self {
            payload: part,
            context: self.context.clone(),
            receipt: self.receipt.fork(),
            charge,
            until: self.until,
            weight,
        }
    }
}
