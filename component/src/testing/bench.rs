//! A bench on which one processor or connector runs alone, its account kept as the engine does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidegate_document::ComponentId;
use tidegate_pdata::{Batch, Context, Outcome, Payload, Pending, Receipt, Signal, canonical_items};
use tokio::time::Instant;

use super::{FakeStorage, read};
use crate::{
    BuildContext, ComponentConfig, Connector, Outbox, Processor, Promise, Route, Routes, Storages,
};

/// Lies past every deadline.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// What passed a component so far.
#[derive(Debug, Default)]
struct Account {
    came: usize,
    created: usize,
    dropped: usize,
    /// Payloads emitted, with the position of the route that they take.
    emitted: Vec<(usize, Payload)>,
    senders: Vec<Pending>,
    /// How the far end answers; it delivers at once unless told.
    far_end: Option<Outcome>,
}

impl Account {
    /// Checks that the reasons, which the ledger reads, say what the component said.
    fn check_reasons(&self, context: &BuildContext) {
        let counts = context.reasons.counts().into_iter();
        let counted: u64 = counts.map(|(_, items)| items).sum();
        assert_eq!(
            counted, self.dropped as u64,
            "{counted} items are dropped in the ledger, {} were",
            self.dropped
        );
    }

    fn receipt(&mut self) -> Receipt {
        let (receipt, pending) = Receipt::new();
        self.senders.push(pending);
        receipt
    }

    fn went(&self) -> usize {
        self.emitted
            .iter()
            .map(|(_, payload)| payload.items())
            .sum()
    }

    /// Takes what was emitted; the far end answers at once.
    fn take(
        &mut self,
        batches: impl IntoIterator<Item = (usize, Batch)>,
        counts: (usize, usize),
        answer: impl Fn(usize) -> Outcome,
    ) {
        for (route, batch) in batches {
            let (payload, _, receipt) = batch.into_parts();
            for segment in payload.segments() {
                let items = canonical_items(payload.signal(), segment.bytes());
                assert_eq!(
                    items,
                    Some(segment.items()),
                    "what is emitted is not canonical OTLP"
                );
            }
            self.emitted.push((route, payload));
            let answer = answer(route);
            receipt.settle(self.far_end.as_ref().unwrap_or(&answer));
        }
        self.created += counts.0;
        self.dropped += counts.1;
    }

    fn outcomes(&self) -> Vec<Option<Outcome>> {
        self.senders.iter().map(Pending::now).collect()
    }
}

/// Runs a processor.
pub struct ProcessorBench {
    processor: Box<dyn Processor>,
    context: BuildContext,
    account: Account,
    contexts: Vec<Context>,
}

impl ProcessorBench {
    /// A processor built from YAML, for a pipeline of this signal that promises memory.
    ///
    /// # Panics
    /// When the YAML is faulty.
    #[must_use]
    pub fn new<C>(yaml: &str, signal: Signal) -> Self
    where
        C: ComponentConfig<Builds = Box<dyn Processor>>,
    {
        Self::promising::<C>(yaml, signal, Promise::Memory)
    }

    /// A processor before exporters of which one promises this.
    ///
    /// # Panics
    /// When the YAML is faulty.
    #[must_use]
    pub fn promising<C>(yaml: &str, signal: Signal, promise: Promise) -> Self
    where
        C: ComponentConfig<Builds = Box<dyn Processor>>,
    {
        let mut context = context::<C>("processor", signal);
        context.pipeline = Some(signal.name().to_owned());
        context.promise = promise;
        let built = read::<C>(yaml).build(&context);
        Self {
            processor: built.unwrap_or_else(|error| panic!("`{yaml}` cannot be built: {error}")),
            context,
            account: Account::default(),
            contexts: Vec::new(),
        }
    }

    /// What it was built with: its metrics, reasons and gates.
    #[must_use]
    pub const fn context(&self) -> &BuildContext {
        &self.context
    }

    /// What senders are promised before it.
    #[must_use]
    pub fn promise(&self) -> Promise {
        self.processor.promise(self.context.promise)
    }

    /// Has the far end answer like this from here on.
    pub fn far_end(&mut self, outcome: Outcome) {
        self.account.far_end = Some(outcome);
    }

    /// Sends a payload and says how it has ended so far.
    pub fn send(&mut self, payload: Payload) -> Option<Outcome> {
        self.send_from(payload, Context::default())
    }

    /// Sends a payload of a certain sender and says how it has ended so far.
    pub fn send_from(&mut self, payload: Payload, context: Context) -> Option<Outcome> {
        self.account.came += payload.items();
        let receipt = self.account.receipt();
        let mut out = Outbox::default();
        self.processor
            .process(Batch::new(payload, context, receipt), &mut out);
        self.take(&mut out);
        self.account.senders.last().and_then(Pending::now)
    }

    /// Lets time pass, flushing at every deadline on the way. The clock must be paused.
    pub async fn advance(&mut self, by: Duration) {
        let end = Instant::now() + by;
        while let Some(due) = self.processor.deadline().filter(|due| *due <= end) {
            tokio::time::advance(due.saturating_duration_since(Instant::now())).await;
            self.flush(Instant::now());
            let stuck = self.processor.deadline().is_some_and(|next| next <= due);
            assert!(!stuck, "what is due stays due when it was flushed");
        }
        tokio::time::advance(end.saturating_duration_since(Instant::now())).await;
    }

    /// Flushes as at shutdown.
    pub fn finish(&mut self) {
        self.flush(Instant::now() + NEVER);
    }

    fn flush(&mut self, now: Instant) {
        let mut out = Outbox::default();
        self.processor.flush(now, &mut out);
        self.take(&mut out);
    }

    fn take(&mut self, out: &mut Outbox) {
        let batches = out.take();
        self.contexts
            .extend(batches.iter().map(|batch| batch.context().clone()));
        let counts = out.take_counts();
        self.account
            .take(batches.into_iter().map(|batch| (0, batch)), counts, |_| {
                Outcome::Delivered
            });
        self.check_balance();
    }

    fn check_balance(&self) {
        let (held, _) = self.processor.held();
        let Account {
            came,
            created,
            dropped,
            ..
        } = self.account;
        let went = self.account.went();
        assert_eq!(
            came + created,
            went + dropped + held,
            "{came} came and {created} were created, {went} went, {dropped} were dropped, {held} are held"
        );
        self.account.check_reasons(&self.context);
        let due = held == 0 || self.processor.deadline().is_some();
        assert!(due, "{held} items are held and nothing says until when");
    }

    /// The payloads emitted so far.
    #[must_use]
    pub fn emitted(&self) -> Vec<&Payload> {
        self.account
            .emitted
            .iter()
            .map(|(_, payload)| payload)
            .collect()
    }

    /// Takes the payloads emitted since the last call; they leave the account as delivered.
    ///
    /// The senders' contexts go with them.
    #[must_use]
    pub fn take_emitted(&mut self) -> Vec<(Payload, Context)> {
        let contexts = std::mem::take(&mut self.contexts);
        let emitted = std::mem::take(&mut self.account.emitted);
        let emitted: Vec<_> = emitted.into_iter().map(|(_, payload)| payload).collect();
        self.account.came -= emitted.iter().map(Payload::items).sum::<usize>();
        emitted.into_iter().zip(contexts).collect()
    }

    /// Items of each payload emitted so far.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        self.emitted().into_iter().map(Payload::items).collect()
    }

    /// Items dropped for a reason.
    #[must_use]
    pub fn dropped(&self, reason: &str) -> u64 {
        let counts = self.context.reasons.counts();
        let found = counts.into_iter().find(|(name, _)| *name == reason);
        found.map_or(0, |(_, items)| items)
    }

    /// Items and bytes held.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        self.processor.held()
    }

    /// When the processor wants to be flushed.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.processor.deadline()
    }

    /// How each payload sent has ended so far, in the order of sending.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Option<Outcome>> {
        self.account.outcomes()
    }
}

/// Runs a connector that feeds some pipelines.
pub struct ConnectorBench {
    connector: Box<dyn Connector>,
    context: BuildContext,
    signal: Signal,
    account: Account,
    answers: BTreeMap<usize, Outcome>,
}

impl ConnectorBench {
    /// A connector built from YAML that takes this signal and feeds a pipeline of each of these.
    ///
    /// # Panics
    /// When the YAML is faulty.
    #[must_use]
    pub fn new<C>(yaml: &str, signal: Signal, feeds: &[Signal]) -> Self
    where
        C: ComponentConfig<Builds = Box<dyn Connector>>,
    {
        let mut context = context::<C>("connector", signal);
        context.routes = routes(feeds);
        let built = read::<C>(yaml).build(&context);
        Self {
            connector: built.unwrap_or_else(|error| panic!("`{yaml}` cannot be built: {error}")),
            context,
            signal,
            account: Account::default(),
            answers: BTreeMap::new(),
        }
    }

    /// Sends a payload and says how it has ended so far.
    pub fn send(&mut self, payload: Payload) -> Option<Outcome> {
        self.account.came += payload.items();
        let receipt = self.account.receipt();
        let batch = Batch::new(payload, Context::default(), receipt);
        self.call(|connector, out| connector.process(batch, out));
        self.account.senders.last().and_then(Pending::now)
    }

    /// What the pipeline at this position answers from now on; it delivers unless told.
    pub fn answer(&mut self, route: usize, outcome: Outcome) {
        self.answers.insert(route, outcome);
    }

    /// What it was built with: its metrics, reasons and gates.
    #[must_use]
    pub const fn context(&self) -> &BuildContext {
        &self.context
    }

    /// When the connector wants to be flushed.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.connector.deadline()
    }

    /// Sends a payload for which no sender waits.
    pub fn send_unawaited(&mut self, payload: Payload) {
        self.account.came += payload.items();
        let batch = Batch::new(payload, Context::default(), Receipt::none());
        self.call(|connector, out| connector.process(batch, out));
    }

    /// Items dropped for a reason.
    #[must_use]
    pub fn dropped(&self, reason: &str) -> u64 {
        let counts = self.context.reasons.counts();
        let found = counts.into_iter().find(|(name, _)| *name == reason);
        found.map_or(0, |(_, items)| items)
    }

    /// Flushes as the engine does when the connector asked for it.
    pub fn flush(&mut self) {
        self.call(|connector, out| connector.flush(Instant::now(), out));
    }

    /// Flushes as at shutdown.
    pub fn finish(&mut self) {
        self.call(|connector, out| connector.flush(Instant::now() + NEVER, out));
    }

    /// Closes as at the end of a shutdown; nothing may be emitted.
    pub fn close(&mut self) {
        self.call(|connector, out| {
            connector.close(&mut out.outbox);
            assert!(out.take().is_empty(), "something is emitted at the end");
        });
    }

    fn call(&mut self, run: impl FnOnce(&mut dyn Connector, &mut Routes<'_>)) {
        let mut out = Routes::new(&self.context.routes);
        run(&mut *self.connector, &mut out);
        let batches = out.take();
        let counts = out.outbox.take_counts();
        let answers = &self.answers;
        self.account.take(batches, counts, |route| {
            answers.get(&route).cloned().unwrap_or(Outcome::Delivered)
        });
        self.check_balance();
    }

    /// As the engine: items of another signal than it takes were made here, and what is neither
    /// passed on nor held was used up for them.
    fn check_balance(&self) {
        let another = |(_, payload): &&(usize, Payload)| payload.signal() != self.signal;
        let emitted = self.account.emitted.iter();
        let converted: usize = emitted.filter(another).map(|(_, p)| p.items()).sum();
        let mut routes = self.context.routes.iter();
        let converts = routes.any(|route| route.signal != self.signal);
        let (held, _) = self.connector.held();
        let ended = self.account.went() + self.account.dropped + held;
        let began = self.account.came + self.account.created + converted;
        assert!(
            began == ended || converts && began > ended,
            "{began} items came to be, {ended} are accounted for"
        );
        self.account.check_reasons(&self.context);
    }

    /// Items that each pipeline got.
    #[must_use]
    pub fn items(&self) -> Vec<usize> {
        let routes = 0..self.context.routes.len();
        let to = |route| {
            self.account
                .emitted
                .iter()
                .filter(move |(at, _)| *at == route)
        };
        routes
            .map(|route| to(route).map(|(_, payload)| payload.items()).sum())
            .collect()
    }

    /// The payloads emitted so far, each with the position of its pipeline.
    #[must_use]
    pub fn emitted(&self) -> &[(usize, Payload)] {
        &self.account.emitted
    }

    /// Items that were created and dropped.
    #[must_use]
    pub const fn counts(&self) -> (usize, usize) {
        (self.account.created, self.account.dropped)
    }

    /// Items and bytes held.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        self.connector.held()
    }

    /// How each payload sent has ended so far, in the order of sending.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Option<Outcome>> {
        self.account.outcomes()
    }
}

/// Pipelines of these signals, with the signal and the place in the list for a name.
pub(super) fn routes(feeds: &[Signal]) -> Vec<Route> {
    let route = |(at, signal): (usize, &Signal)| Route {
        pipeline: format!("{signal}/{at}"),
        signal: *signal,
    };
    feeds.iter().enumerate().map(route).collect()
}

fn storage_id() -> ComponentId {
    "file_storage".parse().expect("it is a name")
}

/// What a component of a type is built with, alone but for a storage that can be named.
pub(super) fn context<C: ComponentConfig>(kind: &'static str, signal: Signal) -> BuildContext {
    let id: ComponentId = C::TYPE.parse().expect("a type is a name");
    BuildContext {
        signal: Some(signal),
        storages: Storages::new(vec![(storage_id(), Some(Arc::new(FakeStorage)))]),
        ..BuildContext::detached(kind, id)
    }
}
