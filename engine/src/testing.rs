//! Fakes for the engine's own tests: a rig that wires them into a graph and runs it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tidegate_component::delivery::{Delivery as Keys, DeliveryDefaults};
use tidegate_component::metrics::Registry as MetricsRegistry;
use tidegate_component::status::LedgerRow;
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentId, Connector, Delivered, ExportError,
    Exporter, Extension, ExtensionContext, Factory, InlineExporter, Intake, Outbox, Processor,
    Promise, Receiver, ReceiverContext, StartError, async_trait,
};
use tidegate_pdata::{Batch, Budget, Context, Outcome, Payload, Segment, Signal};
use tokio::time::Instant;

use crate::sink::{Account, Depth, Health, Room, Sink, SinkSettings};
use crate::wiring::{ConnectorPart, ExporterPart, Parts, PipelinePart};
use crate::{Engine, Pool, Running, StartFailure};

pub(crate) fn id(text: &str) -> ComponentId {
    text.parse().unwrap()
}

/// A payload that claims to hold this many items.
pub(crate) fn payload(signal: Signal, items: usize) -> Payload {
    let bytes = Bytes::from(vec![0; items]);
    Payload::from_segment(signal, Segment::new(bytes, items, None))
}

/// A factory made of a closure.
pub(crate) struct Make<F>(pub(crate) F);

impl<T, F> Factory<T> for Make<F>
where
    F: Fn(&BuildContext) -> Result<T, BuildError> + Send + Sync,
{
    fn build(&self, cx: &BuildContext) -> Result<T, BuildError> {
        (self.0)(cx)
    }

    fn listens(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// What a fake exporter or queue took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bin(Arc<Mutex<Vec<Payload>>>);

impl Bin {
    pub(crate) fn items(&self) -> usize {
        self.0.lock().unwrap().iter().map(Payload::items).sum()
    }

    /// Items of each batch, in the order in which they came.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.0.lock().unwrap().iter().map(Payload::items).collect()
    }

    pub(crate) fn payloads(&self) -> Vec<Payload> {
        self.0.lock().unwrap().clone()
    }

    fn put(&self, payload: &Payload) {
        self.0.lock().unwrap().push(payload.clone());
    }
}

/// What a fake queue is told to do.
#[derive(Clone)]
pub(crate) struct Script {
    /// How a receipt is settled; none keeps the batch unsettled until the test ends.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) promise: Promise,
    pub(crate) binds: bool,
    pub(crate) room: Arc<Mutex<Room>>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            outcome: Some(Outcome::TakenOver),
            promise: Promise::Memory,
            binds: false,
            room: Arc::new(Mutex::new(Room::Free)),
        }
    }
}

pub(crate) struct FakeSink {
    bin: Bin,
    script: Script,
    kept: Mutex<Vec<Batch>>,
}

impl FakeSink {
    pub(crate) fn new(bin: Bin, script: Script) -> Self {
        Self {
            bin,
            script,
            kept: Mutex::default(),
        }
    }
}

#[async_trait]
impl Sink for FakeSink {
    fn put(&self, batch: Batch) {
        self.bin.put(batch.payload());
        match &self.script.outcome {
            Some(outcome) => batch.into_parts().2.settle(outcome),
            None => self.kept.lock().unwrap().push(batch),
        }
    }

    fn room(&self) -> Room {
        self.script.room.lock().unwrap().clone()
    }

    fn promise(&self) -> Promise {
        self.script.promise
    }

    fn binds(&self) -> bool {
        self.script.binds
    }

    fn depth(&self) -> Depth {
        Depth::default()
    }

    fn account(&self) -> Account {
        Account {
            taken: self.bin.items() as u64,
            consumed: self.bin.items() as u64,
            ..Account::default()
        }
    }

    fn health(&self) -> Health {
        Health::default()
    }

    async fn start(&self) -> Result<(), StartError> {
        Ok(())
    }

    async fn drain(&self, _: Instant) {}
}

/// Something that a fake stops being, and says when it started and stopped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

struct Remote(ComponentId, Diary);

#[async_trait]
impl Exporter for Remote {
    async fn start(&self, _: tidegate_component::ExporterContext) -> Result<(), StartError> {
        self.1.note(format!("start exporter {}", self.0));
        Ok(())
    }

    async fn export(&self, _: &Batch) -> Result<Delivered, ExportError> {
        Ok(Delivered::default())
    }

    async fn stop(&self) {
        self.1.note(format!("stop exporter {}", self.0));
    }
}

type Taps = Arc<Mutex<BTreeMap<ComponentId, [Option<Intake>; 3]>>>;

/// What every fake receiver does wrong.
#[derive(Debug, Default)]
struct Faults {
    /// It cannot be started.
    start: AtomicBool,
    /// It never stops.
    stop: AtomicBool,
}

struct FakeReceiver(ComponentId, Taps, Diary, Arc<Faults>);

#[async_trait]
impl Receiver for FakeReceiver {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        if self.3.start.load(SeqCst) {
            return Err(StartError::new("cannot listen on 127.0.0.1:1", "taken"));
        }
        self.2.note(format!("start receiver {}", self.0));
        self.1.lock().unwrap().insert(cx.id.clone(), cx.intakes);
        Ok(())
    }

    async fn stop(&mut self) {
        if self.3.stop.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        self.2.note(format!("stop receiver {}", self.0));
    }
}

/// An exporter that takes on the spot and does what a closure says.
pub(crate) struct InlineFake<F>(pub(crate) F);

#[async_trait]
impl<F> InlineExporter for InlineFake<F>
where
    F: Fn(&Batch) -> Result<Delivered, ExportError> + Send + Sync,
{
    fn apply(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        (self.0)(batch)
    }
}

/// A processor made of a closure.
pub(crate) struct ProcessorFake<F>(pub(crate) F);

impl<F: FnMut(Batch, &mut Outbox)> Processor for ProcessorFake<F> {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        (self.0)(batch, out);
    }
}

/// Holds batches for a while, then emits them merged.
pub(crate) struct Hold {
    wait: Duration,
    held: Option<Batch>,
    due: Option<Instant>,
}

impl Hold {
    pub(crate) const fn new(wait: Duration) -> Self {
        Self {
            wait,
            held: None,
            due: None,
        }
    }
}

impl Processor for Hold {
    fn process(&mut self, mut batch: Batch, _: &mut Outbox) {
        batch.receipt_mut().settle_in_place(&Outcome::TakenOver);
        self.due.get_or_insert_with(|| Instant::now() + self.wait);
        self.held = Some(match self.held.take() {
            None => batch,
            Some(held) => {
                let (mut payload, context, receipt) = held.into_parts();
                payload.append(batch.into_parts().0);
                Batch::new(payload, context, receipt)
            }
        });
    }

    fn deadline(&self) -> Option<Instant> {
        self.due
    }

    fn flush(&mut self, now: Instant, out: &mut Outbox) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.held
                .take()
                .into_iter()
                .for_each(|batch| out.push(batch));
        }
    }

    fn held(&self) -> (usize, usize) {
        let held = self.held.as_ref();
        held.map_or((0, 0), |batch| (batch.items(), batch.payload().bytes()))
    }
}

/// Wires fakes into a graph.
#[derive(Default)]
pub(crate) struct Rig {
    pub(crate) parts: Parts,
    pub(crate) diary: Diary,
    scripts: BTreeMap<ComponentId, Script>,
    bins: BTreeMap<ComponentId, Bin>,
    /// Whether exporters that are no fakes stand behind queues that are none.
    genuine: bool,
    faults: Arc<Faults>,
    taps: Taps,
}

impl Rig {
    /// Adds a pipeline; receivers that are not known are made, exporters become fake queues.
    pub(crate) fn pipeline(
        mut self,
        name: &str,
        receivers: &[&str],
        processors: &[&str],
        exporters: &[&str],
    ) -> Self {
        let ids = |names: &[&str]| names.iter().map(|name| id(name)).collect::<Vec<_>>();
        let signal = Signal::ALL.into_iter().find(|s| name.starts_with(s.name()));
        for receiver in ids(receivers) {
            if !self.parts.connectors.contains_key(&receiver) {
                self = self.receiver(&receiver);
            }
        }
        for exporter in ids(exporters) {
            let known = self.parts.connectors.contains_key(&exporter)
                || self.parts.exporters.contains_key(&exporter);
            if !known {
                self = self.queue(exporter.as_str(), Script::default());
            }
        }
        self.parts.pipelines.push(PipelinePart {
            name: name.to_owned(),
            signal: signal.unwrap(),
            receivers: ids(receivers),
            processors: ids(processors),
            exporters: ids(exporters),
        });
        self
    }

    fn receiver(mut self, id: &ComponentId) -> Self {
        let (taps, diary, faults) = (self.taps.clone(), self.diary.clone(), self.faults.clone());
        let make = move |cx: &BuildContext| {
            let fake = FakeReceiver(cx.id.clone(), taps.clone(), diary.clone(), faults.clone());
            Ok(Box::new(fake) as Box<dyn Receiver>)
        };
        self.parts
            .receivers
            .insert(id.clone(), Arc::new(Make(make)));
        self
    }

    /// Makes every receiver fail at its start.
    pub(crate) fn failing_receivers(self) -> Self {
        self.faults.start.store(true, SeqCst);
        self
    }

    /// Makes no receiver ever stop.
    pub(crate) fn endless_receivers(self) -> Self {
        self.faults.stop.store(true, SeqCst);
        self
    }

    /// Adds an exporter behind a fake queue.
    pub(crate) fn queue(mut self, name: &str, script: Script) -> Self {
        let diary = self.diary.clone();
        self.scripts.insert(id(name), script);
        self.bins.insert(id(name), Bin::default());
        let make = move |cx: &BuildContext| {
            let remote = Remote(cx.id.clone(), diary.clone());
            Ok(AnyExporter::Remote(Arc::new(remote)))
        };
        self.exporter(name, make)
    }

    /// Adds an exporter behind a genuine queue with these keys; then all queues are genuine.
    pub(crate) fn peer(mut self, name: &str, peer: Arc<dyn Exporter>, keys: Keys) -> Self {
        self.genuine = true;
        let make = move |_: &BuildContext| Ok(AnyExporter::Remote(Arc::clone(&peer)));
        self = self.exporter(name, make);
        let part = self.parts.exporters.get_mut(&id(name)).unwrap();
        part.keys = keys;
        self
    }

    /// Adds an inline exporter that does what a closure says.
    pub(crate) fn inline<F>(self, name: &str, apply: F) -> Self
    where
        F: Fn(&Batch) -> Result<Delivered, ExportError> + Send + Sync + 'static,
    {
        let exporter: Arc<dyn InlineExporter> = Arc::new(InlineFake(apply));
        let make = move |_: &BuildContext| Ok(AnyExporter::Inline(Arc::clone(&exporter)));
        self.exporter(name, make)
    }

    fn exporter<F>(mut self, name: &str, make: F) -> Self
    where
        F: Fn(&BuildContext) -> Result<AnyExporter, BuildError> + Send + Sync + 'static,
    {
        let part = ExporterPart {
            factory: Arc::new(Make(make)),
            keys: Keys::default(),
            defaults: DeliveryDefaults::GRPC,
        };
        self.parts.exporters.insert(id(name), part);
        self
    }

    /// Adds a processor.
    pub(crate) fn processor<P, F>(mut self, name: &str, make: F) -> Self
    where
        P: Processor + 'static,
        F: Fn(&BuildContext) -> P + Send + Sync + 'static,
    {
        let make = move |cx: &BuildContext| Ok(Box::new(make(cx)) as Box<dyn Processor>);
        self.parts.processors.insert(id(name), Arc::new(Make(make)));
        self
    }

    /// Adds a connector; connectors come before the pipelines that name them.
    pub(crate) fn connector<C, F>(
        mut self,
        name: &str,
        pairs: &'static [(Signal, Signal)],
        make: F,
    ) -> Self
    where
        C: Connector + 'static,
        F: Fn(&BuildContext) -> C + Send + Sync + 'static,
    {
        let make = move |cx: &BuildContext| Ok(Box::new(make(cx)) as Box<dyn Connector>);
        let factory = Arc::new(Make(make));
        let part = ConnectorPart { factory, pairs };
        self.parts.connectors.insert(id(name), part);
        self
    }

    /// What a queue took.
    pub(crate) fn bin(&self, name: &str) -> Bin {
        self.bins[&id(name)].clone()
    }

    /// Starts it on the calling thread.
    pub(crate) async fn start(&self) -> Run {
        self.start_on(Pool::here()).await
    }

    pub(crate) async fn start_on(&self, pool: Pool) -> Run {
        self.try_start(pool).await.unwrap()
    }

    pub(crate) async fn try_start(&self, pool: Pool) -> Result<Run, StartFailure> {
        let budget = Budget::new(1 << 20);
        let metrics = MetricsRegistry::default();
        let (scripts, bins) = (self.scripts.clone(), self.bins.clone());
        let sink = move |settings: SinkSettings| {
            let (bin, script) = (bins[&settings.id].clone(), scripts[&settings.id].clone());
            Ok(Arc::new(FakeSink::new(bin, script)) as Arc<dyn Sink>)
        };
        let engine = match self.genuine {
            true => Engine::new(pool, budget, metrics),
            false => Engine::with_sinks(pool, budget, metrics, Arc::new(sink)),
        };
        let running = engine.start_parts(&self.parts).await?;
        Ok(Run {
            engine,
            running,
            taps: self.taps.clone(),
        })
    }
}

/// A rig that runs.
pub(crate) struct Run {
    pub(crate) engine: Engine,
    pub(crate) running: Running,
    taps: Taps,
}

impl Run {
    /// The door of a receiver.
    pub(crate) fn intake(&self, receiver: &str, signal: Signal) -> Intake {
        let taps = self.taps.lock().unwrap();
        taps[&id(receiver)][signal.index()].clone().unwrap()
    }

    /// Brings items in through a receiver's door.
    pub(crate) async fn send(&self, receiver: &str, signal: Signal, items: usize) -> Outcome {
        let intake = self.intake(receiver, signal);
        let payload = payload(signal, items);
        intake.deliver(payload, Context::default(), None).await
    }

    /// Stops it with a minute's time; every row of the ledger must balance.
    pub(crate) async fn shutdown(self) -> Vec<LedgerRow> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let rows = self.running.shutdown(deadline).await;
        for row in &rows {
            assert_eq!(row.imbalance(), 0, "{row:?}");
        }
        rows
    }

    /// A counter of the process's own metrics.
    pub(crate) fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.engine.metrics().counter(name, "", labels).value()
    }
}

/// The row of a component in a ledger.
pub(crate) fn row<'a>(rows: &'a [LedgerRow], component: &str, signal: Signal) -> &'a LedgerRow {
    let mut found = rows
        .iter()
        .filter(|row| row.component == component && row.signal == signal.name());
    let row = found.next().unwrap();
    assert_eq!(found.next(), None, "{component} has several rows");
    row
}

/// A receiver that brings nothing.
pub(crate) struct Idle;

#[async_trait]
impl Receiver for Idle {
    async fn start(&mut self, _: ReceiverContext) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&mut self) {}
}

/// An exporter that takes everything.
pub(crate) struct Quiet;

#[async_trait]
impl Exporter for Quiet {
    async fn export(&self, _: &Batch) -> Result<Delivered, ExportError> {
        Ok(Delivered::default())
    }
}

/// An extension that does nothing.
pub(crate) struct Still;

#[async_trait]
impl Extension for Still {
    async fn start(&self, _: ExtensionContext) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&self) {}
}
