//! Building: what a configuration gets to make a component from.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use tidegate_document::ComponentId;
use tidegate_pdata::{Budget, Signal, Signals};

use crate::connector::Route;
use crate::metrics::{Counter, Metrics};
use crate::{Extensions, Gates, Preparations, Promise, Reason, Reasons, Storages};

/// A value that one component's instances share over workers and pipelines.
///
/// Limits that must hold for the whole process (rates, caches' sizes) live here.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>>);

impl Shared {
    /// The one value of this type, made by the first who asks.
    pub fn value<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::new(make()));
        Arc::clone(value)
            .downcast()
            .expect("a value is kept under the ID of its own type")
    }
}

/// What a component is built with. Building checks everything and opens nothing.
#[derive(Clone, Debug)]
pub struct BuildContext {
    /// The component's name in the configuration.
    pub id: ComponentId,
    /// The kind, as it is called in metric labels: receiver, processor, exporter, connector, extension.
    pub kind: &'static str,
    /// The pipeline's name, as `traces/sampled`, for processors.
    pub pipeline: Option<String>,
    /// The pipeline's signal, for processors; for a connector the signal it takes.
    pub signal: Option<Signal>,
    /// The signals that pipelines bring to it, for exporters and connectors; all of them elsewhere.
    pub signals: Signals,
    /// The worker that will own the instance; 0 where one instance serves all.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
    /// The byte budget of the process.
    pub budget: Arc<Budget>,
    /// The process's own metrics, labelled with the component.
    pub metrics: Metrics,
    /// What the instances of this component share.
    pub shared: Shared,
    /// The reasons made so far, which the ledger lists.
    pub reasons: Reasons,
    /// The gates before the pipeline, for processors; before all that feed it, for connectors.
    pub gates: Gates,
    /// What the pipelines behind promise. A component that collects carries receipts along
    /// where this is more than memory, and else takes over on entry.
    pub promise: Promise,
    /// The pipelines that a connector feeds.
    pub routes: Vec<Route>,
    /// The storages of the service, by name.
    pub storages: Storages,
    /// The extensions of the service, not started yet; none for extensions themselves.
    pub extensions: Extensions,
    /// What is to be done before the first batch.
    pub preparations: Preparations,
    /// Has the instance flushed soon on the worker that owns it; may be woken from any thread.
    pub waker: Waker,
}

impl BuildContext {
    /// A context for tests and tools: one worker, its own registry, a budget without a limit.
    #[must_use]
    pub fn detached(kind: &'static str, id: ComponentId) -> Self {
        let name = id.to_string();
        Self {
            kind,
            pipeline: None,
            signal: None,
            signals: Signals::ALL,
            worker: 0,
            workers: 1,
            budget: Budget::new(usize::MAX),
            metrics: Metrics::new(crate::metrics::Registry::default(), &[(kind, &name)]),
            shared: Shared::default(),
            reasons: Reasons::default(),
            gates: Gates::default(),
            promise: Promise::Memory,
            routes: Vec::new(),
            storages: Storages::default(),
            extensions: Extensions::default(),
            preparations: Preparations::default(),
            waker: Waker::noop().clone(),
            id,
        }
    }

    /// A reason for which this component drops items by decision, counted in the ledger under
    /// this name.
    #[must_use]
    pub fn reason(&self, name: &'static str) -> Reason {
        let help = "Items dropped by decision, by reason.";
        let reason = Reason::new(name, self.counter(DROPPED_ITEMS, help, name));
        self.reasons.add(&reason);
        reason
    }

    /// A reason for which this component loses items, counted in the ledger under this name.
    #[must_use]
    pub fn loss(&self, name: &'static str) -> Reason {
        let reason = Reason::loss(name, self.counter(LOST_ITEMS, LOST_ITEMS_HELP, name));
        self.reasons.add(&reason);
        reason
    }

    fn counter(&self, metric: &str, help: &str, name: &'static str) -> Counter {
        let pipeline = self.pipeline.as_deref().unwrap_or_default();
        let signal = self.signal.map_or("", Signal::name);
        let labels = [("pipeline", pipeline), ("signal", signal), ("reason", name)];
        self.metrics.counter(metric, help, &labels)
    }
}

/// The metric of items that a component dropped because it was told to.
pub const DROPPED_ITEMS: &str = "tidegate_dropped_items";

/// The metric of items that nobody wanted dropped, and whose senders were not told.
///
/// Every reason has its series from the start, so that it is there, and 0, while nothing is lost.
/// Prometheus sees it as `tidegate_lost_items_total`.
pub const LOST_ITEMS: &str = "tidegate_lost_items";

/// What [`LOST_ITEMS`] counts.
pub const LOST_ITEMS_HELP: &str = "Items lost, by reason.";

/// Why a configuration that reads well cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// The key at fault, relative to the component, as `tls::cert_file`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: Option<String>,
}

impl BuildError {
    /// An error at a key, relative to the component; keys are joined by `::`.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            remedy: None,
        }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Why a component could not start.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// What failed, with the address or path at fault.
    pub message: String,
    /// Why.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StartError {
    /// An error with the reason behind it.
    pub fn new(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            message: message.into(),
            source: Some(source.into()),
        }
    }
}
