//! What pipelines and the service name, against what is defined.

use std::collections::HashSet;

use tidegate_document::{ComponentId, Diagnostic, Kind as Fault, Severity, nearest};

use super::Description;
use crate::Kind;
use crate::settings::{Reference, Settings};

impl Description<'_> {
    pub(super) fn references(&mut self, settings: &Settings) {
        let mut used: HashSet<(Kind, &ComponentId)> = HashSet::new();
        let either_in = [Kind::Receiver, Kind::Connector];
        let either_out = [Kind::Exporter, Kind::Connector];
        for (id, pipeline) in &settings.service.pipelines {
            let path = format!("service::pipelines::{id}");
            for (list, kinds, key) in [
                (&pipeline.receivers, &either_in[..], "receivers"),
                (&pipeline.processors, &[Kind::Processor][..], "processors"),
                (&pipeline.exporters, &either_out[..], "exporters"),
            ] {
                let path = format!("{path}::{key}");
                self.repeated(list, &path, key != "processors");
                for reference in list {
                    match kinds
                        .iter()
                        .find(|kind| settings.of(**kind).contains_key(&reference.id))
                    {
                        Some(kind) => {
                            used.insert((*kind, &reference.id));
                        }
                        None => self.undefined(settings, reference, kinds, &path),
                    }
                }
            }
        }
        self.dead_letters(settings, &mut used);
        let path = "service::extensions";
        self.repeated(&settings.service.extensions, path, true);
        for reference in &settings.service.extensions {
            match settings.extensions.contains_key(&reference.id) {
                true => {
                    used.insert((Kind::Extension, &reference.id));
                }
                false => self.undefined(settings, reference, &[Kind::Extension], path),
            }
        }
        // After an error much looks unused that is not.
        if !self.found.has_errors() {
            self.unused(settings, &used);
        }
    }

    pub(super) fn undefined(
        &mut self,
        settings: &Settings,
        reference: &Reference,
        kinds: &[Kind],
        path: &str,
    ) {
        let id = &reference.id;
        let kind = kinds[0];
        let mut fault = Diagnostic::error(
            Fault::Undefined,
            format!("the {kind} `{id}` is not defined"),
        )
        .path(path)
        .at(reference.span);
        let known: Vec<&str> = kinds
            .iter()
            .flat_map(|kind| settings.of(*kind).keys())
            .map(ComponentId::as_str)
            .collect();
        let elsewhere = Kind::ALL
            .iter()
            .find(|kind| settings.of(**kind).contains_key(id));
        let same_type = self.only_of_type(settings, id, kinds);
        fault = if let Some(meant) = same_type {
            fault.help(format!("did you mean `{meant}`?"))
        } else if let Some(other) = elsewhere {
            let place = settings.of(*other)[id].span;
            fault
                .related(place, format!("{} of this name", other.phrase()))
                .help(format!(
                    "name it where {} goes, or add `{id}:` below `{}:`",
                    other.phrase(),
                    kind.section()
                ))
        } else {
            let near = nearest(id.as_str(), known.iter().copied());
            match near {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("add `{id}:` below `{}:`", kind.section())),
            }
        };
        self.found.push(fault);
    }

    /// Gives the one component of the same type, which may well be meant by a name that is far off.
    fn only_of_type<'s>(
        &self,
        settings: &'s Settings,
        id: &ComponentId,
        kinds: &[Kind],
    ) -> Option<&'s str> {
        let mut same = kinds
            .iter()
            .flat_map(|kind| settings.of(*kind).keys())
            .filter(|known| known.kind() == id.kind());
        match (same.next(), same.next()) {
            (Some(only), None) => Some(only.as_str()),
            _ => None,
        }
    }

    /// Reports names that stand in a list twice; a processor would run twice, the others run once all the same.
    fn repeated(&mut self, list: &[Reference], path: &str, harmless: bool) {
        for (i, reference) in list.iter().enumerate() {
            let Some(first) = list[..i].iter().find(|earlier| earlier.id == reference.id) else {
                continue;
            };
            let mut fault = Diagnostic::error(
                Fault::Duplicate,
                format!("`{}` is named twice", reference.id),
            );
            if harmless {
                fault.severity = Severity::Warning;
            }
            self.found.push(
                fault
                    .path(path)
                    .at(reference.span)
                    .related(first.span, "first here")
                    .help("keep one of the two"),
            );
        }
    }

    fn unused(&mut self, settings: &Settings, used: &HashSet<(Kind, &ComponentId)>) {
        for (kind, _, id, component) in settings.components() {
            if used.contains(&(kind, id)) {
                continue;
            }
            let help = match kind {
                Kind::Extension => "name it in `service::extensions`, or remove it",
                _ => "name it in a pipeline, or remove it",
            };
            self.found.push(
                Diagnostic::warning(Fault::Unused, format!("the {kind} is never used"))
                    .path(format!("{}::{id}", kind.section()))
                    .at(component.span)
                    .help(help),
            );
        }
    }
}
