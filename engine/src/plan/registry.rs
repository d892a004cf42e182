//! The components that a binary has.

use std::sync::Arc;

use tidegate_component::{AnyExporter, Connector, Entry, Extension, Processor, Receiver};
use tidegate_config::{Kind, canonical};
use tidegate_pdata::{Signal, Signals};

/// A table of components for each kind.
#[derive(Clone, Copy, Debug)]
pub struct Registry {
    /// What brings telemetry in.
    pub receivers: &'static [Entry<Box<dyn Receiver>>],
    /// What changes it.
    pub processors: &'static [Entry<Box<dyn Processor>>],
    /// What delivers it.
    pub exporters: &'static [Entry<AnyExporter>],
    /// What joins pipelines.
    pub connectors: &'static [Entry<Box<dyn Connector>>],
    /// What stands beside the pipelines.
    pub extensions: &'static [Entry<Arc<dyn Extension>>],
}

impl Registry {
    /// The types of a kind, in the newest spelling.
    #[must_use]
    pub fn types(&self, kind: Kind) -> Vec<&'static str> {
        fn names<T>(table: &'static [Entry<T>]) -> Vec<&'static str> {
            table.iter().map(|entry| entry.name).collect()
        }
        match kind {
            Kind::Receiver => names(self.receivers),
            Kind::Processor => names(self.processors),
            Kind::Exporter => names(self.exporters),
            Kind::Connector => names(self.connectors),
            Kind::Extension => names(self.extensions),
        }
    }

    /// Whether a type of connector makes the second signal of the first.
    #[must_use]
    pub fn joins(&self, connector: &str, from: Signal, to: Signal) -> bool {
        let entry = find(self.connectors, Kind::Connector, connector);
        entry.is_some_and(|entry| entry.pairs.contains(&(from, to)))
    }

    /// The signals that a type takes; none for types that are not known and for extensions.
    pub(crate) fn signals(&self, kind: Kind, name: &str) -> Option<Signals> {
        match kind {
            Kind::Receiver => find(self.receivers, kind, name).map(|entry| entry.signals),
            Kind::Processor => find(self.processors, kind, name).map(|entry| entry.signals),
            Kind::Exporter => find(self.exporters, kind, name).map(|entry| entry.signals),
            Kind::Connector => find(self.connectors, kind, name).map(|entry| entry.signals),
            Kind::Extension => None,
        }
    }
}

/// The row of a type, in any of its spellings.
pub(super) fn find<T>(
    table: &'static [Entry<T>],
    kind: Kind,
    name: &str,
) -> Option<&'static Entry<T>> {
    let name = canonical(kind, name);
    table.iter().find(|entry| entry.name == name)
}
