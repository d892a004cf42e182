//! A graph of fakes that is wired, run and stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tidegate_component::delivery::{Delivery as Keys, DeliveryDefaults};
use tidegate_component::metrics::Registry as MetricsRegistry;
use tidegate_component::status::LedgerRow;
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentId, Connector, Delivered, ExportError,
    Exporter, InlineExporter, Intake, Processor, Receiver,
};
use tidegate_pdata::{Batch, Budget, Context, Outcome, Signal};
use tokio::time::Instant;

use super::parts::{Diary, FakeReceiver, Faults, InlineFake, Remote, Taps};
use super::{Bin, FakeSink, Make, Script, id, payload};
use crate::sink::{Sink, SinkSettings};
use crate::wiring::{ConnectorPart, ExporterPart, Parts, PipelinePart};
use crate::{Engine, Pool, Running, StartFailure};

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
        let part = ConnectorPart {
            factory,
            pairs,
            awaits: false,
        };
        self.parts.connectors.insert(id(name), part);
        self
    }

    /// Lets a connector that was added act on how what it passes on ends.
    pub(crate) fn awaiting(mut self, name: &str) -> Self {
        self.parts.connectors.get_mut(&id(name)).unwrap().awaits = true;
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
