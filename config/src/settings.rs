//! A configuration as the graph it describes; the settings of components stay trees for those who know them.

use std::fmt;
use std::path::PathBuf;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_document::{ComponentId, Duration, Node, Span};
use tidegate_pdata::Signal;

use crate::telemetry::Telemetry;
use crate::{Kind, canonical};

/// Every component that is defined, and the service that runs some of them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What brings telemetry in.
    pub receivers: Components,
    /// What changes it.
    pub processors: Components,
    /// What delivers it.
    pub exporters: Components,
    /// What joins pipelines.
    pub connectors: Components,
    /// What stands beside the pipelines.
    pub extensions: Components,
    /// What runs.
    pub service: Service,
}

/// The key of an exporter that names the one which keeps what it gives up.
pub(crate) const DEAD_LETTERS: &str = "on_permanent_error";

/// Components of one kind by name, in the order written.
pub type Components = IndexMap<ComponentId, Component>;

/// One component's settings.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its settings, null where only the name is written.
    pub node: Node,
    /// Where its name is written.
    pub span: Span,
}

/// What runs.
#[derive(Clone, Debug)]
pub struct Service {
    /// The extensions to start, in order.
    pub extensions: Vec<Reference>,
    /// The pipelines.
    pub pipelines: IndexMap<PipelineId, Pipeline>,
    /// The collector's own telemetry.
    pub telemetry: Telemetry,
    /// How long a shutdown may take to drain; ours, the Collector has none.
    pub shutdown_timeout: Duration,
    /// How a process hands over to the one that follows; ours, the Collector has no such thing.
    pub handover: Option<Handover>,
}

/// How a process hands its listening sockets over to the one that follows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// The path of the unix socket on which the running process waits for the one that follows,
    /// as `/run/tidegate/handover.sock`.
    #[schemars(with = "String")]
    pub socket: PathBuf,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            extensions: Vec::new(),
            pipelines: IndexMap::new(),
            telemetry: Telemetry::default(),
            shutdown_timeout: Self::SHUTDOWN_TIMEOUT,
            handover: None,
        }
    }
}

impl Service {
    /// How long a shutdown may take where nothing is said.
    ///
    /// Less than the 30 s that Kubernetes grants by default: what is left is then counted and said
    /// before the process is killed.
    pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);
}

/// The name of a component where it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name.
    pub id: ComponentId,
    /// Where it is written.
    pub span: Span,
}

/// The signal of a pipeline and, behind a slash, its name: `traces/in`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipelineId {
    /// What it carries.
    pub signal: Signal,
    /// The name, empty where there is none.
    pub name: String,
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.signal.name())?;
        match self.name.as_str() {
            "" => Ok(()),
            name => write!(f, "/{name}"),
        }
    }
}

/// The way of one signal through components.
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    /// Receivers and connectors that feed it.
    pub receivers: Vec<Reference>,
    /// Processors in the order in which batches pass them.
    pub processors: Vec<Reference>,
    /// Exporters and connectors that it feeds.
    pub exporters: Vec<Reference>,
    /// Where its name is written.
    pub span: Option<Span>,
}

impl Settings {
    /// Gives the components of a kind.
    pub fn of(&self, kind: Kind) -> &Components {
        match kind {
            Kind::Receiver => &self.receivers,
            Kind::Processor => &self.processors,
            Kind::Exporter => &self.exporters,
            Kind::Connector => &self.connectors,
            Kind::Extension => &self.extensions,
        }
    }

    /// The exporter that an exporter names for what it gives up, and where.
    pub fn dead_letters(&self, exporter: &ComponentId) -> Option<Reference> {
        let node = self.exporters.get(exporter)?.node.get(DEAD_LETTERS)?;
        let id = node.as_str()?.parse().ok()?;
        let span = node.span;
        Some(Reference { id, span })
    }

    pub(crate) fn of_mut(&mut self, kind: Kind) -> &mut Components {
        match kind {
            Kind::Receiver => &mut self.receivers,
            Kind::Processor => &mut self.processors,
            Kind::Exporter => &mut self.exporters,
            Kind::Connector => &mut self.connectors,
            Kind::Extension => &mut self.extensions,
        }
    }

    /// Walks over every component with its kind and the newest spelling of its type.
    pub fn components(&self) -> impl Iterator<Item = (Kind, &str, &ComponentId, &Component)> {
        Kind::ALL.into_iter().flat_map(move |kind| {
            self.of(kind)
                .iter()
                .map(move |(id, component)| (kind, canonical(kind, id.kind()), id, component))
        })
    }
}
