//! The exporters: one instance per name, an end per signal.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentId, Promise, Shared, Storage, Storages,
};
use tidegate_config::Kind;
use tidegate_pdata::{Signal, Signals};

use super::{ExporterPart, Fault, Parts, Surroundings, context, signal_context};
use crate::graph::{End, InlineEnd, SinkEnd};
use crate::sink::{DeadLetters, Post, SinkSettings};

/// All ends, and where each is found.
#[derive(Default)]
pub(super) struct Ends {
    pub(super) exporters: Vec<(ComponentId, AnyExporter)>,
    pub(super) sinks: Vec<SinkEnd>,
    pub(super) inlines: Vec<Arc<InlineEnd>>,
    found: BTreeMap<(ComponentId, Signal), End>,
}

impl Ends {
    pub(super) fn build(
        parts: &Parts,
        storages: &Storages,
        around: &Surroundings,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut ends = Self::default();
        for (id, part) in parts.letters_first() {
            let wanted = Signal::ALL
                .into_iter()
                .filter(|signal| parts.is_fed(id, *signal));
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
            let storage = match storage(part, storages) {
                Ok(storage) => storage,
                Err(error) => {
                    faults.push(fault(id, error));
                    continue;
                }
            };
            let common = Common {
                exporter: &exporter,
                shared: Shared::default(),
                storage,
            };
            for signal in Signal::ALL {
                if parts.is_fed(id, signal) {
                    let end = ends.end(parts, (id, part), &common, signal, around);
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
        common: &Common,
        signal: Signal,
        around: &Surroundings,
    ) -> Result<(), Vec<BuildError>> {
        let context = signal_context(Kind::Exporter, id, signal, around);
        let letters = parts.letters_of(id);
        let end = if let AnyExporter::Inline(exporter) = common.exporter {
            let end = InlineEnd::new(&context, signal, Arc::clone(exporter));
            self.inlines.push(Arc::new(end));
            End::Inline(index(self.inlines.len() - 1))
        } else {
            let settings = SinkSettings {
                id: id.clone(),
                signal,
                exporter: common.exporter.clone(),
                keys: part.keys.clone(),
                defaults: part.defaults,
                alone: alone(parts, id, signal),
                workers: around.workers.clone(),
                budget: Arc::clone(&around.budget),
                metrics: context.metrics.clone(),
                shared: common.shared.clone(),
                storage: common.storage.clone(),
                letters: letters.and_then(|to| self.letters(to, signal, around)),
            };
            let sink = (around.sink)(settings)?;
            self.sinks.push(SinkEnd {
                id: id.clone(),
                signal,
                panicked: context.loss("delivery_panic"),
                letters: letters.and_then(|to| self.of(to, signal)),
                sink,
            });
            End::Sink(index(self.sinks.len() - 1))
        };
        self.found.insert((id.clone(), signal), end);
        Ok(())
    }

    /// The way to an exporter that takes what another one gives up.
    fn letters(
        &self,
        to: &ComponentId,
        signal: Signal,
        around: &Surroundings,
    ) -> Option<DeadLetters> {
        let id = to.clone();
        Some(match self.of(to, signal)? {
            End::Sink(at) => DeadLetters::to_sink(id, Arc::clone(&self.sinks[at as usize].sink)),
            End::Inline(at) => {
                let end = Arc::clone(&self.inlines[at as usize]);
                let workers = around.workers.clone();
                let post: Post = Arc::new(move |batch| match workers.current() {
                    Some(worker) => {
                        end.put(worker, batch);
                        Ok(())
                    }
                    // Only a worker may count there.
                    None => Err(batch),
                });
                DeadLetters { to: id, post }
            }
            End::Node(_) => return None,
        })
    }

    /// The end of an exporter for a signal; none where it could not be built.
    pub(super) fn of(&self, id: &ComponentId, signal: Signal) -> Option<End> {
        self.found.get(&(id.clone(), signal)).copied()
    }

    /// What an end promises, and the promise that its configuration asks for; `awaited` tells
    /// that batches come to it that may go elsewhere.
    pub(super) fn promise(&self, end: End, awaited: bool) -> (Promise, Promise) {
        match end {
            End::Sink(at) => {
                let sink = &self.sinks[at as usize].sink;
                let asked = if sink.binds() {
                    sink.promise()
                } else {
                    Promise::Memory
                };
                let promise = if awaited {
                    sink.promise_with_recourse()
                } else {
                    sink.promise()
                };
                (promise, asked)
            }
            End::Inline(_) | End::Node(_) => (Promise::Delivered, Promise::Memory),
        }
    }
}

/// What the ends of one exporter have in common.
struct Common<'a> {
    exporter: &'a AnyExporter,
    shared: Shared,
    storage: Option<Arc<dyn Storage>>,
}

/// The storage that an exporter's queue is to stand on.
fn storage(
    part: &ExporterPart,
    storages: &Storages,
) -> Result<Option<Arc<dyn Storage>>, BuildError> {
    let queue = part.keys.sending_queue.as_ref();
    let queue = queue.filter(|queue| queue.enabled != Some(false));
    let wanted = queue.and_then(|queue| queue.storage.as_ref());
    let storage = wanted.map(|wanted| storages.named(wanted, "sending_queue::storage"));
    storage.transpose()
}

fn fault(id: &ComponentId, error: BuildError) -> Fault {
    Fault {
        kind: Kind::Exporter,
        id: id.clone(),
        error,
    }
}

/// Whether some pipeline of the signal has no other end than this, or none has this one: whoever
/// gives it dead letters then hears that it is full.
fn alone(parts: &Parts, id: &ComponentId, signal: Signal) -> bool {
    let mut pipelines = parts.pipelines.iter();
    !parts.ends_in(id, signal)
        || pipelines.any(|pipeline| {
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
