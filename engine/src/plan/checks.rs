//! Whether components can do what pipelines ask of them.

use std::collections::BTreeSet;

use tidegate_component::{ComponentId, Promise};
use tidegate_config::{Kind, Pipeline, PipelineId, Reference, Settings};
use tidegate_document::{Diagnostic, Diagnostics, Kind as Found, Span};
use tidegate_pdata::{Signal, Signals};

use super::Registry;
use crate::graph::End;
use crate::wiring::{Parts, Wired};

/// Reports components that do not take the signal of a pipeline that names them.
pub(super) fn signals(settings: &Settings, registry: &Registry, found: &mut Diagnostics) {
    for (id, pipeline) in &settings.service.pipelines {
        for (list, kind) in lists(pipeline) {
            for reference in list {
                let connector =
                    kind != Kind::Processor && settings.connectors.contains_key(&reference.id);
                // What a connector can do is a matter of pairs.
                if connector {
                    continue;
                }
                let takes = registry.signals(kind, reference.id.kind());
                if let Some(takes) = takes.filter(|takes| !takes.has(id.signal)) {
                    found.push(wrong_signal(id, kind, reference, takes));
                }
            }
        }
    }
}

fn lists(pipeline: &Pipeline) -> [(&[Reference], Kind); 3] {
    [
        (&pipeline.receivers, Kind::Receiver),
        (&pipeline.processors, Kind::Processor),
        (&pipeline.exporters, Kind::Exporter),
    ]
}

fn wrong_signal(id: &PipelineId, kind: Kind, reference: &Reference, takes: Signals) -> Diagnostic {
    let verb = if kind == Kind::Receiver {
        "bring"
    } else {
        "take"
    };
    let message = format!(
        "the {kind} `{}` does not {verb} {}",
        reference.id, id.signal
    );
    let takes = words(takes.iter());
    Diagnostic::error(Found::Conflict, message)
        .path(format!("service::pipelines::{id}::{}", kind.section()))
        .at(reference.span)
        .help(format!(
            "name it in a pipeline of {takes}, or take it out here"
        ))
}

/// Reports exporters that would get dead letters of a signal that they do not take.
pub(super) fn letters(
    settings: &Settings,
    registry: &Registry,
    parts: &Parts,
    found: &mut Diagnostics,
) {
    for from in parts.exporters.keys() {
        let (Some(to), Some(reference)) = (parts.letters_of(from), settings.dead_letters(from))
        else {
            continue;
        };
        let takes = registry.signals(Kind::Exporter, to.kind());
        let fed = Signal::ALL.into_iter();
        let mut fed = fed.filter(|signal| parts.is_fed(from, *signal));
        let wrong = |signal: &Signal| takes.is_some_and(|takes| !takes.has(*signal));
        if let Some(signal) = fed.find(wrong) {
            let key = "on_permanent_error";
            let message =
                format!("the exporter `{to}` does not take {signal}, which `{from}` gets");
            found.push(
                Diagnostic::error(Found::Conflict, message)
                    .path(format!("exporters::{from}::{key}"))
                    .at(reference.span)
                    .help(format!(
                        "name one that takes {signal}, for example a `file`"
                    )),
            );
        }
    }
}

/// Warns where what an exporter keeps on disk would be in memory alone once it is a dead letter.
pub(super) fn letters_in_memory(
    settings: &Settings,
    parts: &Parts,
    wired: &Wired,
    found: &mut Diagnostics,
) {
    let mut told = BTreeSet::new();
    for end in &wired.graph.sinks {
        let Some(End::Sink(letters)) = end.letters else {
            continue;
        };
        let queue = parts.exporters.get(&end.id);
        let queue = queue.and_then(|part| part.keys.sending_queue.as_ref());
        let on_disk =
            queue.is_some_and(|queue| queue.storage.is_some() && queue.enabled != Some(false));
        let letters = &wired.graph.sinks[letters as usize];
        if !on_disk || letters.sink.promise() > Promise::Memory || !told.insert(&end.id) {
            continue;
        }
        let (from, to) = (&end.id, &letters.id);
        let message = format!(
            "what `{from}` gives up is on disk until `{to}` takes it over, which then holds it in memory"
        );
        let reference = settings.dead_letters(from);
        found.push(
            Diagnostic::warning(Found::Conflict, message)
                .path(format!("exporters::{from}::on_permanent_error"))
                .at(reference.map_or(Span::NONE, |reference| reference.span))
                .help(format!(
                    "give `{to}` a `sending_queue.storage`, or `sending_queue: {{wait_for_result: true}}`"
                )),
        );
    }
}

fn words(signals: impl Iterator<Item = Signal>) -> String {
    let names: Vec<_> = signals.map(Signal::name).collect();
    names.join(" or ")
}

/// Reports connectors that cannot pass on what a pipeline gives them, or make what one expects.
pub(super) fn pairs(settings: &Settings, parts: &Parts, found: &mut Diagnostics) {
    for (id, pipeline) in &settings.service.pipelines {
        for reference in &pipeline.exporters {
            let Some(part) = parts.connectors.get(&reference.id) else {
                continue;
            };
            if parts.routes(&reference.id, id.signal).is_empty() {
                let makes = part.pairs.iter().filter(|(from, _)| *from == id.signal);
                let makes = words(makes.map(|(_, to)| *to));
                let message = match makes.as_str() {
                    "" => format!(
                        "the connector `{}` does not take {}",
                        reference.id, id.signal
                    ),
                    makes => format!(
                        "no pipeline of {makes} receives what the connector `{}` makes of these {}",
                        reference.id, id.signal
                    ),
                };
                let join = match makes.as_str() {
                    "" => String::new(),
                    makes => format!("name it in the receivers of a pipeline of {makes}, or "),
                };
                found.push(unjoined(id, reference, Kind::Exporter, message, &join));
            }
        }
        for reference in &pipeline.receivers {
            let Some(part) = parts.connectors.get(&reference.id) else {
                continue;
            };
            let of = part.pairs.iter().filter(|(_, to)| *to == id.signal);
            let mut of = of.map(|(from, _)| *from);
            if !of
                .clone()
                .any(|from| !parts.feeders(&reference.id, from).is_empty())
            {
                let makes = words(&mut of);
                let message = match makes.as_str() {
                    "" => format!(
                        "the connector `{}` does not make {}",
                        reference.id, id.signal
                    ),
                    of => format!(
                        "no pipeline of {of} exports to the connector `{}`, which makes {} of them",
                        reference.id, id.signal
                    ),
                };
                let join = match makes.as_str() {
                    "" => String::new(),
                    of => format!("name it in the exporters of a pipeline of {of}, or "),
                };
                found.push(unjoined(id, reference, Kind::Receiver, message, &join));
            }
        }
    }
}

fn unjoined(
    id: &PipelineId,
    reference: &Reference,
    kind: Kind,
    message: String,
    join: &str,
) -> Diagnostic {
    let side = kind.section();
    Diagnostic::error(Found::Conflict, message)
        .path(format!("service::pipelines::{id}::{side}"))
        .at(reference.span)
        .help(format!("{join}take it out of these {side}"))
}

/// Warns where an exporter was told to answer for more than the pipeline as a whole does.
pub(super) fn promises(settings: &Settings, wired: &Wired, found: &mut Diagnostics) {
    let pipelines = settings.service.pipelines.iter();
    for ((id, pipeline), running) in pipelines.zip(&wired.graph.pipelines) {
        let Some(weakest) = &running.weakest else {
            continue;
        };
        if running.asked <= running.promise {
            continue;
        }
        let message = format!(
            "an answer from `{id}` means {}, though an exporter of it keeps data {}: the promise ends at `{weakest}`",
            running.promise.name(),
            running.asked.name(),
        );
        let mut references = lists(pipeline).into_iter().flat_map(|(list, _)| list);
        let reference = references.find(|reference| reference.id == *weakest);
        let span = reference.map(|reference| reference.span).or(pipeline.span);
        found.push(
            Diagnostic::warning(Found::Conflict, message)
                .path(format!("service::pipelines::{id}"))
                .at(span.unwrap_or(Span::NONE))
                .help(remedy(settings, pipeline, weakest)),
        );
    }
}

/// What to change where a component weakens a promise.
fn remedy(settings: &Settings, pipeline: &Pipeline, weakest: &ComponentId) -> String {
    let ends = |reference: &Reference| reference.id == *weakest;
    if settings.exporters.contains_key(weakest) && pipeline.exporters.iter().any(ends) {
        return format!(
            "give `{weakest}` a `sending_queue.storage` as well, or a pipeline of its own"
        );
    }
    format!(
        "`{weakest}` holds data in memory: take it out of this pipeline where that is too little"
    )
}

/// Warns where a queue stands on a storage that syncs only now and then.
pub(super) fn storages(settings: &Settings, parts: &Parts, wired: &Wired, found: &mut Diagnostics) {
    let mut told = BTreeSet::new();
    for end in &wired.graph.sinks {
        let part = parts.exporters.get(&end.id);
        let queue = part.and_then(|part| part.keys.sending_queue.as_ref());
        let storage = queue.and_then(|queue| queue.storage.as_ref());
        let Some(storage) = storage.filter(|_| end.sink.promise() == Promise::Memory) else {
            continue;
        };
        if queue.is_some_and(|queue| queue.enabled == Some(false)) || !told.insert(&end.id) {
            continue;
        }
        let message = format!(
            "an answer from `{}` means memory, though its queue is on disk: `{storage}` syncs only now and then",
            end.id
        );
        let key = "sending_queue::storage";
        let exporter = settings.exporters.get(&end.id);
        found.push(
            Diagnostic::warning(Found::Conflict, message)
                .path(format!("exporters::{}::{key}", end.id))
                .at(exporter.map_or(Span::NONE, |exporter| exporter.node.nearest_span(key)))
                .help(format!(
                    "write `fsync: group` at `{storage}` to have it on disk first"
                )),
        );
    }
}

/// Warns where a queue on disk keeps nothing once the peer has failed.
pub(super) fn retries(settings: &Settings, parts: &Parts, wired: &Wired, found: &mut Diagnostics) {
    let ends: BTreeSet<_> = wired.graph.sinks.iter().map(|end| &end.id).collect();
    for id in ends {
        let Some(part) = parts.exporters.get(id) else {
            continue;
        };
        let queue = part.keys.sending_queue.as_ref();
        let on_disk =
            queue.is_some_and(|queue| queue.storage.is_some() && queue.enabled != Some(false));
        let retry = part.keys.retry_on_failure.as_ref();
        if !on_disk || retry.and_then(|retry| retry.enabled) != Some(false) {
            continue;
        }
        let key = "retry_on_failure";
        let message = format!(
            "the queue of `{id}` is on disk, but drops what the peer does not take at once: it does not retry"
        );
        let exporter = settings.exporters.get(id);
        found.push(
            Diagnostic::warning(Found::Conflict, message)
                .path(format!("exporters::{id}::{key}"))
                .at(exporter.map_or(Span::NONE, |exporter| exporter.node.nearest_span(key)))
                .help("take `enabled: false` out to keep it until the peer is back"),
        );
    }
}

/// Finds what own metrics cannot be pushed by.
pub(super) fn telemetry(settings: &Settings, found: &mut Diagnostics) {
    for error in crate::telemetry::check(&settings.service.telemetry) {
        let path = format!("service::telemetry::metrics::readers::{}", error.path);
        let fault = Diagnostic::error(Found::InvalidValue, error.message).path(path);
        found.push(fault.maybe_help(error.remedy));
    }
}
