//! What a configuration names, read and ready to be wired.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_component::delivery::{Delivery as Keys, DeliveryDefaults};
use tidegate_component::{
    AnyExporter, ComponentId, Connector, Extension, Factory, Processor, Receiver,
};
use tidegate_pdata::Signal;

/// Configurations by the names that users gave them.
pub(crate) type Factories<T> = BTreeMap<ComponentId, Arc<dyn Factory<T>>>;

/// The configuration of an extension.
pub(crate) type ExtensionFactory = Arc<dyn Factory<Arc<dyn Extension>>>;

/// Everything that takes part in a graph; what no pipeline names is not in it.
///
/// Every name that a pipeline has is defined, signals and pairings fit, and connectors form no
/// circle: whoever makes the parts has checked it, but where they are only built for trial.
#[derive(Clone, Default)]
pub(crate) struct Parts {
    pub(crate) receivers: Factories<Box<dyn Receiver>>,
    pub(crate) processors: Factories<Box<dyn Processor>>,
    pub(crate) exporters: BTreeMap<ComponentId, ExporterPart>,
    pub(crate) connectors: BTreeMap<ComponentId, ConnectorPart>,
    /// In the order in which they are started.
    pub(crate) extensions: Vec<(ComponentId, ExtensionFactory)>,
    pub(crate) pipelines: Vec<PipelinePart>,
}

/// An exporter.
#[derive(Clone)]
pub(crate) struct ExporterPart {
    pub(crate) factory: Arc<dyn Factory<AnyExporter>>,
    /// The keys of its delivery, which the component itself never sees.
    pub(crate) keys: Keys,
    pub(crate) defaults: DeliveryDefaults,
}

/// A connector.
#[derive(Clone)]
pub(crate) struct ConnectorPart {
    pub(crate) factory: Arc<dyn Factory<Box<dyn Connector>>>,
    pub(crate) pairs: &'static [(Signal, Signal)],
    /// Whether it acts on how what it passes on ends.
    pub(crate) awaits: bool,
}

/// A pipeline.
#[derive(Clone, Debug)]
pub(crate) struct PipelinePart {
    /// Its name, as `traces/sampled`.
    pub(crate) name: String,
    pub(crate) signal: Signal,
    /// Receivers and connectors.
    pub(crate) receivers: Vec<ComponentId>,
    pub(crate) processors: Vec<ComponentId>,
    /// Exporters and connectors.
    pub(crate) exporters: Vec<ComponentId>,
}

impl Parts {
    /// The pipelines that a connector feeds with what it makes of a signal.
    pub(crate) fn routes(&self, connector: &ComponentId, signal: Signal) -> Vec<usize> {
        let Some(part) = self.connectors.get(connector) else {
            return Vec::new();
        };
        let fed = |pipeline: &PipelinePart| {
            pipeline.receivers.contains(connector)
                && part.pairs.contains(&(signal, pipeline.signal))
        };
        let all = self.pipelines.iter().enumerate();
        all.filter(|(_, pipeline)| fed(pipeline))
            .map(|(at, _)| at)
            .collect()
    }

    /// The pipelines that end in a connector, for one signal.
    pub(crate) fn feeders(&self, connector: &ComponentId, signal: Signal) -> Vec<usize> {
        let all = self.pipelines.iter().enumerate();
        all.filter(|(_, pipeline)| {
            pipeline.signal == signal && pipeline.exporters.contains(connector)
        })
        .map(|(at, _)| at)
        .collect()
    }

    /// The exporter that takes what another one gives up.
    pub(crate) fn letters_of(&self, exporter: &ComponentId) -> Option<&ComponentId> {
        let to = self
            .exporters
            .get(exporter)?
            .keys
            .on_permanent_error
            .as_ref()?;
        self.exporters.get_key_value(to).map(|(to, _)| to)
    }

    /// Whether a pipeline of the signal ends in an exporter.
    pub(crate) fn ends_in(&self, exporter: &ComponentId, signal: Signal) -> bool {
        let mut pipelines = self.pipelines.iter();
        pipelines.any(|part| part.signal == signal && part.exporters.contains(exporter))
    }

    /// Whether an exporter gets data of a signal: from pipelines, or what others give up.
    pub(crate) fn is_fed(&self, exporter: &ComponentId, signal: Signal) -> bool {
        let mut feeders = vec![exporter];
        let mut at = 0;
        while let Some(&fed) = feeders.get(at) {
            if self.ends_in(fed, signal) {
                return true;
            }
            for from in self.exporters.keys() {
                if self.letters_of(from) == Some(fed) && !feeders.contains(&from) {
                    feeders.push(from);
                }
            }
            at += 1;
        }
        false
    }

    /// The exporters, each behind the one that takes what it gives up.
    pub(crate) fn letters_first(&self) -> Vec<(&ComponentId, &ExporterPart)> {
        let mut order: Vec<&ComponentId> = Vec::new();
        for id in self.exporters.keys() {
            let mut way = Vec::new();
            let mut next = Some(id);
            while let Some(id) = next.filter(|id| !order.contains(id) && !way.contains(id)) {
                way.push(id);
                next = self.letters_of(id);
            }
            order.extend(way.into_iter().rev());
        }
        let parts = order.into_iter().map(|id| self.exporters.get_key_value(id));
        parts.flatten().collect()
    }

    /// The pipelines that data entering one of them passes, itself first.
    pub(crate) fn reach(&self, pipeline: usize) -> Vec<usize> {
        self.reach_through(pipeline, |_| true)
    }

    /// The same without those behind a connector that finds another way where one is full.
    pub(crate) fn reach_surely(&self, pipeline: usize) -> Vec<usize> {
        self.reach_through(pipeline, |connector| !connector.awaits)
    }

    /// Whether what passes a pipeline may have come through a connector that acts on how it ends.
    pub(crate) fn is_awaited(&self, pipeline: usize) -> bool {
        let awaiting = self.connectors.iter().filter(|(_, part)| part.awaits);
        let mut fed = awaiting.flat_map(|(id, _)| {
            let signals = Signal::ALL.into_iter();
            signals.flat_map(|signal| self.routes(id, signal))
        });
        fed.any(|at| self.reach(at).contains(&pipeline))
    }

    fn reach_through(&self, pipeline: usize, passes: fn(&ConnectorPart) -> bool) -> Vec<usize> {
        let mut reached = vec![pipeline];
        let mut next = 0;
        while let Some(&at) = reached.get(next) {
            let part = &self.pipelines[at];
            let ends = part.exporters.iter();
            for id in ends.filter(|id| self.connectors.get(*id).is_some_and(passes)) {
                for route in self.routes(id, part.signal) {
                    if !reached.contains(&route) {
                        reached.push(route);
                    }
                }
            }
            next += 1;
        }
        reached
    }
}
