//! Planning: a configuration, read and checked, with everything built once and nothing opened.

mod checks;
mod components;
mod listens;
mod registry;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tidegate_component::metrics::Registry as MetricsRegistry;
use tidegate_component::{
    ComponentId, Extensions, Preparations, Promise, Task, WorkerPool, Workers,
};
use tidegate_config::{Component, Kind, Settings};
use tidegate_document::{Diagnostic, Diagnostics, Kind as Found, Span};
use tidegate_pdata::Budget;

pub use registry::Registry;

use crate::delivery;
use crate::wiring::{Fault, MakeSink, Parts, PipelinePart, Surroundings, Wired, faults, wire};
use components::Reader;

/// A configuration that can be run.
#[derive(Clone)]
pub struct Plan {
    pub(crate) parts: Parts,
    promises: Vec<(String, Promise)>,
    listens: Vec<String>,
}

impl Plan {
    /// Reads every component, joins what the pipelines name and builds all of it once.
    ///
    /// Opens nothing. Everything that is wrong or worth a warning goes to `found`; there is a
    /// plan where nothing is wrong but unknown keys, which the caller may let pass
    /// ([`Diagnostics::demote`]). What `found` holds already counts: a configuration that could
    /// not be described as a whole is not planned, but its components are still checked.
    pub fn new(
        settings: &Settings,
        registry: &Registry,
        workers: usize,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        Self::with_sinks(settings, registry, workers, found, Arc::new(delivery::sink))
    }

    pub(crate) fn with_sinks(
        settings: &Settings,
        registry: &Registry,
        workers: usize,
        found: &mut Diagnostics,
        sink: MakeSink,
    ) -> Option<Self> {
        let mut own = Diagnostics::default();
        let sound = !fatal(found);
        let plan = Self::make(settings, registry, (workers, sound), &mut own, sink);
        found.extend(own);
        plan
    }

    fn make(
        settings: &Settings,
        registry: &Registry,
        (workers, sound): (usize, bool),
        found: &mut Diagnostics,
        sink: MakeSink,
    ) -> Option<Self> {
        let mut parts = Reader::new(settings, registry, found).read();
        parts.pipelines = pipelines(settings);
        checks::signals(settings, registry, found);
        checks::pairs(settings, &parts, found);
        checks::letters(settings, registry, &parts, found);
        listens::check(settings, &parts, found);
        checks::telemetry(settings, found);
        let around = Surroundings {
            workers: Workers::new(Arc::new(Nowhere(workers))),
            budget: Budget::new(usize::MAX),
            metrics: MetricsRegistry::default(),
            extensions: Extensions::default(),
            preparations: Preparations::default(),
            sink,
        };
        if !sound || fatal(found) {
            // Components are told what is wrong with them, whatever else is wrong.
            let faults = faults(&parts, &around).into_iter();
            found.extend(faults.map(|fault| explain(settings, fault)));
            return None;
        }
        match wire(&parts, &around) {
            Ok(wired) => {
                checks::promises(settings, &wired, found);
                checks::storages(settings, &parts, &wired, found);
                checks::retries(settings, &parts, &wired, found);
                checks::letters_in_memory(settings, &parts, &wired, found);
                let promises = promises(&wired);
                let listens = listens::addresses(settings, &parts);
                Some(Self {
                    parts,
                    promises,
                    listens,
                })
            }
            Err(faults) => {
                found.extend(faults.into_iter().map(|fault| explain(settings, fault)));
                None
            }
        }
    }

    /// Every address that the graph and the process's own metrics listen on, as `host:port` or
    /// `unix:path`.
    pub fn listens(&self) -> impl Iterator<Item = &str> {
        self.listens.iter().map(String::as_str)
    }

    /// What an answer from each pipeline is worth.
    pub fn promises(&self) -> impl Iterator<Item = (&str, Promise)> {
        self.promises
            .iter()
            .map(|(name, promise)| (name.as_str(), *promise))
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("promises", &self.promises)
            .finish_non_exhaustive()
    }
}

fn fatal(found: &Diagnostics) -> bool {
    found
        .iter()
        .any(|one| one.is_error() && one.kind != Found::UnknownKey)
}

fn promises(wired: &Wired) -> Vec<(String, Promise)> {
    let pipelines = wired.graph.pipelines.iter();
    pipelines
        .map(|pipeline| (pipeline.name.clone(), pipeline.promise))
        .collect()
}

fn pipelines(settings: &Settings) -> Vec<PipelinePart> {
    let ids = |list: &[tidegate_config::Reference]| -> Vec<ComponentId> {
        list.iter().map(|reference| reference.id.clone()).collect()
    };
    let pipelines = settings.service.pipelines.iter();
    pipelines
        .map(|(id, pipeline)| PipelinePart {
            name: id.to_string(),
            signal: id.signal,
            receivers: ids(&pipeline.receivers),
            processors: ids(&pipeline.processors),
            exporters: ids(&pipeline.exporters),
        })
        .collect()
}

/// Says where a component is at fault that cannot be built.
fn explain(settings: &Settings, fault: Fault) -> Diagnostic {
    let component = settings.of(fault.kind).get(&fault.id);
    Diagnostic::error(Found::InvalidValue, fault.error.message)
        .path(path(fault.kind, &fault.id, &fault.error.path))
        .at(component.map_or(Span::NONE, |component| place(component, &fault.error.path)))
        .maybe_help(fault.error.remedy)
}

/// The path of a component's key in the document; of the component where the key is empty.
fn path(kind: Kind, id: &ComponentId, key: &str) -> String {
    let section = kind.section();
    match key {
        "" => format!("{section}::{id}"),
        key => format!("{section}::{id}::{key}"),
    }
}

/// The place of a key of a component; of its name where it has no such key.
fn place(component: &Component, path: &str) -> Span {
    if path.is_empty() || component.node.is_null() {
        component.span
    } else {
        component.node.nearest_span(path)
    }
}

/// Workers that take nothing, for building without running.
struct Nowhere(usize);

impl WorkerPool for Nowhere {
    fn count(&self) -> usize {
        self.0.max(1)
    }

    fn spawn(&self, _: usize, _: Task) {}

    fn current(&self) -> Option<usize> {
        None
    }

    fn next(&self) -> usize {
        0
    }
}
