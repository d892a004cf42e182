//! The exporters: one instance per name, an end per signal.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_component::{AnyExporter, BuildContext, BuildError, ComponentId, Promise, Shared};
use tidegate_config::Kind;
use tidegate_pdata::{Signal, Signals};

use super::{ExporterPart, Fault, Parts, Surroundings, context, signal_context};
use crate::graph::{End, InlineEnd, SinkEnd};
use crate::sink::SinkSettings;

/// All ends, and where each is found.
#[derive(Default)]
pub(super) struct Ends {
    pub(super) exporters: Vec<(ComponentId, AnyExporter)>,
    pub(super) sinks: Vec<SinkEnd>,
    pub(super) inlines: Vec<InlineEnd>,
    found: BTreeMap<(ComponentId, Signal), End>,
}

impl Ends {
    pub(super) fn build(parts: &Parts, around: &Surroundings, faults: &mut Vec<Fault>) -> Self {
        let mut ends = Self::default();
        for (id, part) in &parts.exporters {
            let wanted = Signal::ALL
                .into_iter()
                .filter(|signal| used(parts, id, *signal));
            let context = BuildContext {
                signals: wanted.fold(Signals::NONE, |all, signal| all.and(signal.into())),
                ..context(Kind::Exporter, id, around)
            };
            let exporter = match part.factory.build(&context) {
                Ok(exporter) => exporter,
                Err(error) => {
                    faults.push(fault(id, error));
                    continue;
                }
            };
            let shared = Shared::default();
            for signal in Signal::ALL {
                if used(parts, id, signal) {
                    let end = ends.end(parts, (id, part), (&exporter, &shared), signal, around);
                    if let Err(errors) = end {
                        faults.extend(errors.into_iter().map(|error| fault(id, error)));
                        // The same keys serve every signal: one report is enough.
                        break;
                    }
                }
            }
            ends.exporters.push((id.clone(), exporter));
        }
        ends
    }

    fn end(
        &mut self,
        parts: &Parts,
        (id, part): (&ComponentId, &ExporterPart),
        (exporter, shared): (&AnyExporter, &Shared),
        signal: Signal,
        around: &Surroundings,
    ) -> Result<(), Vec<BuildError>> {
        let context = signal_context(Kind::Exporter, id, signal, around);
        let end = if let AnyExporter::Inline(exporter) = exporter {
            self.inlines
                .push(InlineEnd::new(&context, signal, Arc::clone(exporter)));
            End::Inline(index(self.inlines.len() - 1))
        } else {
            let settings = SinkSettings {
                id: id.clone(),
                signal,
                exporter: exporter.clone(),
                keys: part.keys.clone(),
                defaults: part.defaults,
                alone: alone(parts, id, signal),
                workers: around.workers.clone(),
                budget: Arc::clone(&around.budget),
                metrics: context.metrics.clone(),
                shared: shared.clone(),
            };
            let sink = (around.sink)(settings)?;
            self.sinks.push(SinkEnd {
                id: id.clone(),
                signal,
                panicked: context.loss("delivery_panic"),
                sink,
            });
            End::Sink(index(self.sinks.len() - 1))
        };
        self.found.insert((id.clone(), signal), end);
        Ok(())
    }

    /// The end of an exporter for a signal; none where it could not be built.
    pub(super) fn of(&self, id: &ComponentId, signal: Signal) -> Option<End> {
        self.found.get(&(id.clone(), signal)).copied()
    }

    /// What an end promises, and the promise that its configuration asks for.
    pub(super) fn promise(&self, end: End) -> (Promise, Promise) {
        match end {
            End::Sink(at) => {
                let sink = &self.sinks[at as usize].sink;
                let promise = sink.promise();
                let asked = if sink.binds() {
                    promise
                } else {
                    Promise::Memory
                };
                (promise, asked)
            }
            End::Inline(_) | End::Node(_) => (Promise::Delivered, Promise::Memory),
        }
    }
}

fn fault(id: &ComponentId, error: BuildError) -> Fault {
    Fault {
        kind: Kind::Exporter,
        id: id.clone(),
        error,
    }
}

fn used(parts: &Parts, id: &ComponentId, signal: Signal) -> bool {
    let mut pipelines = parts.pipelines.iter();
    pipelines.any(|pipeline| pipeline.signal == signal && pipeline.exporters.contains(id))
}

/// Whether some pipeline of the signal has no other end than this.
fn alone(parts: &Parts, id: &ComponentId, signal: Signal) -> bool {
    let mut pipelines = parts.pipelines.iter();
    pipelines.any(|pipeline| {
        pipeline.signal == signal && pipeline.exporters.iter().all(|other| other == id)
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a graph has far fewer ends than 2^32"
)]
pub(super) const fn index(at: usize) -> u32 {
    at as u32
}
