//! From one document to the graph it describes, with every check that needs no knowledge of components.

mod connectors;
mod letters;
mod references;
mod service;

use tidegate_document::{
    ComponentId, Diagnostic, Diagnostics, Kind as Fault, Node, Span, did_you_mean,
};
use tidegate_pdata::Signal;

use crate::names::WITHOUT_EFFECT;
use crate::settings::{Component, Settings};
use crate::{Kind, canonical};

pub(crate) use service::{pipeline_schema, service_schema};

/// What to do about keys that nothing reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownKeys {
    /// They are errors.
    #[default]
    Refuse,
    /// They are warnings, for configurations that the original let pass.
    Warn,
}

/// How a document is described.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What to do about keys that nothing reads.
    pub unknown_keys: UnknownKeys,
    /// Says whether a type of connector makes the second signal of the first.
    pub joins: fn(connector: &str, from: Signal, to: Signal) -> bool,
}

impl Default for Options {
    /// Refuses unknown keys, and takes every connector to join anything.
    fn default() -> Self {
        Self {
            unknown_keys: UnknownKeys::Refuse,
            joins: |_, _, _| true,
        }
    }
}

/// Reads the graph off a document, adding what is wrong to `found`.
///
/// The settings are what could be made of the document; they are to be used only if no error was found.
pub fn describe(document: &Node, options: &Options, found: &mut Diagnostics) -> Settings {
    let mut own = Diagnostics::default();
    let settings = Description {
        options,
        found: &mut own,
    }
    .settings(document);
    if options.unknown_keys == UnknownKeys::Warn {
        own.demote(Fault::UnknownKey);
    }
    found.extend(own);
    settings
}

struct Description<'a> {
    options: &'a Options,
    found: &'a mut Diagnostics,
}

impl Description<'_> {
    fn settings(&mut self, document: &Node) -> Settings {
        let mut settings = Settings::default();
        self.top_level(document);
        for kind in Kind::ALL {
            if let Some(section) = document.get(kind.section()) {
                self.section(kind, section, &mut settings);
            }
        }
        if Kind::ALL.iter().all(|kind| settings.of(*kind).is_empty()) {
            let fault = Diagnostic::error(Fault::Missing, "the configuration is empty");
            let help = "write `receivers:`, `exporters:` and `service:` with `pipelines:`";
            self.found.push(fault.at(document.span).help(help));
            return settings;
        }
        self.ambiguous(&settings);
        match document.get("service") {
            Some(service) => settings.service = self.service(service),
            None => {
                let fault = Diagnostic::error(Fault::Missing, "`service` is missing");
                let help = "write `service:` with `pipelines:` that name receivers and exporters";
                self.found.push(fault.at(start(document)).help(help));
                return settings;
            }
        }
        self.leave_out(&mut settings);
        self.references(&settings);
        self.connectors(&settings);
        settings
    }

    fn top_level(&mut self, document: &Node) {
        let known: Vec<&str> = Kind::ALL
            .iter()
            .map(|kind| kind.section())
            .chain(["service"])
            .collect();
        for (key, entry) in document.as_map().into_iter().flatten() {
            if !known.contains(&key.as_str()) {
                let fault = Diagnostic::error(Fault::UnknownKey, format!("unknown key `{key}`"))
                    .at(entry.key_span())
                    .maybe_help(did_you_mean(key, known.iter().copied()));
                self.found.push(fault);
            }
        }
    }

    fn section(&mut self, kind: Kind, section: &Node, settings: &mut Settings) {
        if section.is_null() {
            return;
        }
        let Some(map) = section.as_map() else {
            let message = format!("expected a mapping, found {}", section.value.kind());
            let help = format!(
                "write {} a line, such as `name:` with its settings below",
                kind.phrase()
            );
            self.found.push(
                Diagnostic::error(Fault::WrongType, message)
                    .path(kind.section())
                    .at(section.span)
                    .help(help),
            );
            return;
        };
        for (key, entry) in map {
            let id: ComponentId = match key.parse() {
                Ok(id) => id,
                Err(fault) => {
                    let fault = Diagnostic::error(Fault::InvalidValue, format!("{fault}"));
                    let help = format!("write `type` or `type/name` for {}", kind.phrase());
                    self.found
                        .push(fault.path(kind.section()).at(entry.key_span()).help(help));
                    continue;
                }
            };
            let component = Component {
                node: entry.node.clone(),
                span: entry.key_span(),
            };
            if let Some(first) = settings.of_mut(kind).insert(id, component) {
                let fault =
                    Diagnostic::error(Fault::DuplicateKey, format!("`{key}` is here twice"))
                        .path(kind.section())
                        .at(entry.key_span())
                        .related(first.span, "first here");
                self.found.push(fault);
            }
        }
    }

    /// A connector's name stands for itself in both lists of a pipeline, so nobody else may bear it.
    fn ambiguous(&mut self, settings: &Settings) {
        for (id, connector) in &settings.connectors {
            for kind in [Kind::Receiver, Kind::Exporter] {
                if let Some(other) = settings.of(kind).get(id) {
                    let message = format!("`{id}` is {} too", kind.phrase());
                    self.found.push(
                        Diagnostic::error(Fault::Conflict, message)
                            .path(format!("connectors::{id}"))
                            .at(connector.span)
                            .related(other.span, format!("the {kind}"))
                            .help(format!("rename one, for example `{}/connector`", id.kind())),
                    );
                }
            }
        }
    }

    /// Takes out the extensions that only make sense in Go.
    fn leave_out(&mut self, settings: &mut Settings) {
        let found = &mut *self.found;
        settings.extensions.retain(|id, extension| {
            let name = canonical(Kind::Extension, id.kind());
            let Some((_, help)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == name) else {
                return true;
            };
            let message = format!("the extension `{id}` is accepted and does nothing");
            found.push(
                Diagnostic::warning(Fault::NoEffect, message)
                    .path(format!("extensions::{id}"))
                    .at(extension.span)
                    .help(*help),
            );
            settings.service.extensions.retain(|used| used.id != *id);
            false
        });
    }
}

/// Gives the place where a mapping starts, for what is missing in it.
fn start(node: &Node) -> Span {
    match node.as_map().and_then(|map| map.first()) {
        Some((_, entry)) => entry.key_span(),
        None => node.span,
    }
}

#[cfg(test)]
mod tests;
