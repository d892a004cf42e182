//! Registration: the table row that makes a component known.

use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use tidegate_document::{Diagnostics, Node, examine_beside, schema};
use tidegate_pdata::{Signal, Signals};

use crate::build::{BuildContext, BuildError};
use crate::delivery::{Delivery, DeliveryDefaults};

/// How far a component is, in the Collector's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// New: keys may change.
    Alpha,
    /// Keys hold, behaviour may still be mended.
    Beta,
    /// Keys and behaviour hold.
    Stable,
}

impl Stability {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alpha => "Alpha",
            Self::Beta => "Beta",
            Self::Stable => "Stable",
        }
    }
}

/// The pairs of a connector that passes each signal on as it is.
pub const SAME_SIGNAL: &[(Signal, Signal)] = &[
    (Signal::Traces, Signal::Traces),
    (Signal::Metrics, Signal::Metrics),
    (Signal::Logs, Signal::Logs),
];

/// A component's configuration, which is also its factory.
pub trait ComponentConfig: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What it builds: `Box<dyn Receiver>`, `Box<dyn Processor>`, `AnyExporter`…
    type Builds;
    /// The name that users write.
    const TYPE: &'static str;
    /// The signals that it takes.
    const SIGNALS: Signals = Signals::ALL;
    /// How far it is.
    const STABILITY: Stability = Stability::Beta;
    /// For an exporter that the engine puts a queue and retries before: the defaults of
    /// `sending_queue`, `retry_on_failure` and `timeout`, whose keys the component never sees.
    const DELIVERY: Option<DeliveryDefaults> = None;

    /// For a connector: the signals that it makes, each after the one that it makes it of.
    const PAIRS: &'static [(Signal, Signal)] = SAME_SIGNAL;

    /// For a connector: whether it acts on how what it passes on ends, so that what lies behind
    /// carries receipts and gives back early what it cannot deliver.
    const AWAITS: bool = false;

    /// For an exporter some of whose own keys speak of its queue or its attempts: writes what they
    /// say into the keys of its delivery.
    fn shape_delivery(&self, _keys: &mut Delivery) {}

    /// Builds one instance. Checks everything, opens nothing.
    ///
    /// A processor is built once per pipeline and worker, everything else once.
    fn build(&self, cx: &BuildContext) -> Result<Self::Builds, BuildError>;

    /// Socket addresses that the component will listen on, with the keys that name them, so
    /// that two listeners on one port are found before anything is opened.
    fn listens(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// A configuration that has been read and is ready to build.
pub trait Factory<T>: Send + Sync {
    /// Builds one instance. Checks everything, opens nothing.
    fn build(&self, cx: &BuildContext) -> Result<T, BuildError>;
    /// Socket addresses that the component will listen on, each after the key that names it.
    fn listens(&self) -> Vec<(String, String)>;
    /// Writes what own keys say of a delivery into the keys of that.
    fn shape_delivery(&self, _keys: &mut Delivery) {}
}

impl<C: ComponentConfig> Factory<C::Builds> for C {
    fn build(&self, cx: &BuildContext) -> Result<C::Builds, BuildError> {
        ComponentConfig::build(self, cx)
    }

    fn listens(&self) -> Vec<(String, String)> {
        ComponentConfig::listens(self)
    }

    fn shape_delivery(&self, keys: &mut Delivery) {
        ComponentConfig::shape_delivery(self, keys);
    }
}

/// Reads a component's node into its factory, as [`examine_beside`] does: the schemas are those
/// of keys that were taken off the node already, and there may be a factory beside findings.
type Read<T> = fn(&Node, &[Schema], &mut Diagnostics) -> Option<Box<dyn Factory<T>>>;

/// One row of a table of components.
pub struct Entry<T> {
    /// The name that users write.
    pub name: &'static str,
    /// The signals that it takes.
    pub signals: Signals,
    /// How far it is.
    pub stability: Stability,
    /// The defaults of queue, retry and timeout, for an exporter that has them.
    pub delivery: Option<DeliveryDefaults>,
    /// The signals that a connector makes, each after the one that it makes it of.
    pub pairs: &'static [(Signal, Signal)],
    /// Whether a connector acts on how what it passes on ends.
    pub awaits: bool,
    /// Reads its node; everything that is wrong comes with its position.
    pub read: Read<T>,
    /// The schema of its keys.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    builds: PhantomData<fn() -> T>,
}

impl<T: 'static> Entry<T> {
    /// The row of a component.
    #[must_use]
    pub const fn of<C: ComponentConfig<Builds = T>>() -> Self {
        Self {
            name: C::TYPE,
            signals: C::SIGNALS,
            stability: C::STABILITY,
            delivery: C::DELIVERY,
            pairs: C::PAIRS,
            awaits: C::AWAITS,
            read: |node, beside, found| {
                let config: C = examine_beside(node, beside, found)?;
                Some(Box::new(config))
            },
            schema: C::json_schema,
            builds: PhantomData,
        }
    }

    /// The schema of everything that users write for it: its own keys and those of its delivery.
    #[must_use]
    pub fn whole_schema(&self) -> Schema {
        match self.delivery {
            Some(_) => schema::beside(self.schema, Delivery::json_schema),
            None => schema::complete(self.schema),
        }
    }
}

impl<T> std::fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name)
            .field("signals", &self.signals)
            .finish_non_exhaustive()
    }
}
