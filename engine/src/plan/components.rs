//! Reading the settings of every component that is defined, used or not.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegate_component::delivery::{Delivery as Keys, DeliveryDefaults};
use tidegate_component::{ComponentId, Entry, Factory};
use tidegate_config::{Component, Kind, Settings, is_collectors};
use tidegate_document::{Diagnostic, Diagnostics, Kind as Found, did_you_mean, part, schema};

use super::registry::find;
use super::{Registry, path};
use crate::wiring::{ConnectorPart, ExporterPart, Factories, Parts};

/// Reads the components of a configuration.
pub(super) struct Reader<'a> {
    settings: &'a Settings,
    registry: &'a Registry,
    found: &'a mut Diagnostics,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        registry: &'a Registry,
        found: &'a mut Diagnostics,
    ) -> Self {
        Self {
            settings,
            registry,
            found,
        }
    }

    /// Everything that a pipeline or the service names, read; the rest is only checked.
    pub(super) fn read(mut self) -> Parts {
        let used = used(self.settings);
        let mut parts = Parts {
            receivers: self.kind(Kind::Receiver, self.registry.receivers),
            processors: self.kind(Kind::Processor, self.registry.processors),
            ..Parts::default()
        };
        parts
            .receivers
            .retain(|id, _| used.contains(&(Kind::Receiver, id)));
        parts
            .processors
            .retain(|id, _| used.contains(&(Kind::Processor, id)));
        for (id, component) in &self.settings.exporters {
            let part = self.exporter(id, component);
            if let Some(part) = part.filter(|_| used.contains(&(Kind::Exporter, id))) {
                parts.exporters.insert(id.clone(), part);
            }
        }
        for (id, component) in &self.settings.connectors {
            let part = self.connector(id, component);
            if let Some(part) = part.filter(|_| used.contains(&(Kind::Connector, id))) {
                parts.connectors.insert(id.clone(), part);
            }
        }
        let mut extensions = self.kind(Kind::Extension, self.registry.extensions);
        for reference in &self.settings.service.extensions {
            if let Some(factory) = extensions.remove(&reference.id) {
                parts.extensions.push((reference.id.clone(), factory));
            }
        }
        parts
    }

    fn kind<T: 'static>(&mut self, kind: Kind, table: &'static [Entry<T>]) -> Factories<T> {
        let mut factories = Factories::new();
        for (id, component) in self.settings.of(kind) {
            let Some(entry) = self.entry(kind, table, id, component) else {
                continue;
            };
            let mut own = Diagnostics::default();
            if let Some(factory) = (entry.read)(&component.node, &[], &mut own) {
                factories.insert(id.clone(), Arc::from(factory));
            }
            self.found.extend(own.under(&path(kind, id, "")));
        }
        factories
    }

    /// Reads an exporter: first the keys of its delivery, then its own.
    fn exporter(&mut self, id: &ComponentId, component: &Component) -> Option<ExporterPart> {
        let kind = Kind::Exporter;
        let entry = self.entry(kind, self.registry.exporters, id, component)?;
        let mut own = Diagnostics::default();
        let (keys, factory) = match entry.delivery {
            Some(_) => {
                let (keys, rest) = part::<Keys>(&component.node, &mut own);
                let factory = (entry.read)(&rest, &[schema::of::<Keys>()], &mut own);
                (keys, factory)
            }
            None => {
                let factory = (entry.read)(&component.node, &[], &mut own);
                (Some(Keys::default()), factory)
            }
        };
        self.found.extend(own.under(&path(kind, id, "")));
        let (factory, mut keys) = (factory?, keys?);
        factory.shape_delivery(&mut keys);
        Some(ExporterPart {
            factory: Arc::from(factory),
            keys,
            defaults: entry.delivery.unwrap_or(DeliveryDefaults::UNTIMED),
        })
    }

    fn connector(&mut self, id: &ComponentId, component: &Component) -> Option<ConnectorPart> {
        let kind = Kind::Connector;
        let entry = self.entry(kind, self.registry.connectors, id, component)?;
        let mut own = Diagnostics::default();
        let factory = (entry.read)(&component.node, &[], &mut own);
        self.found.extend(own.under(&path(kind, id, "")));
        Some(ConnectorPart {
            factory: Arc::<dyn Factory<_>>::from(factory?),
            pairs: entry.pairs,
            awaits: entry.awaits,
        })
    }

    /// The row of a component's type; a type that is not known is reported.
    fn entry<T>(
        &mut self,
        kind: Kind,
        table: &'static [Entry<T>],
        id: &ComponentId,
        component: &Component,
    ) -> Option<&'static Entry<T>> {
        let entry = find(table, kind, id.kind());
        if entry.is_none() && is_collectors(kind, id.kind()) {
            let message = format!("the {kind} `{}` of the Collector is not built", id.kind());
            self.found.push(
                Diagnostic::error(Found::NotBuilt, message)
                    .path(path(kind, id, ""))
                    .at(component.span)
                    .help("take it out, or keep this part on the Collector"),
            );
        } else if entry.is_none() {
            let message = format!("there is no {kind} of type `{}`", id.kind());
            let known = self.registry.types(kind);
            let elsewhere = Kind::ALL
                .into_iter()
                .find(|other| *other != kind && self.registry.types(*other).contains(&id.kind()));
            let help = elsewhere.map(|other| {
                format!(
                    "`{}` is {}; move it to `{}`",
                    id.kind(),
                    other.phrase(),
                    other.section()
                )
            });
            self.found.push(
                Diagnostic::error(Found::UnknownComponent, message)
                    .path(path(kind, id, ""))
                    .at(component.span)
                    .maybe_help(did_you_mean(id.kind(), known.iter().copied()))
                    .maybe_help(help),
            );
        }
        entry
    }
}

/// What pipelines name, and what they need besides. A name that stands for a connector is not taken for something else.
fn used(settings: &Settings) -> BTreeSet<(Kind, &ComponentId)> {
    let mut used = BTreeSet::new();
    for pipeline in settings.service.pipelines.values() {
        for (list, kind) in [
            (&pipeline.receivers, Kind::Receiver),
            (&pipeline.processors, Kind::Processor),
            (&pipeline.exporters, Kind::Exporter),
        ] {
            for reference in list {
                let connector =
                    kind != Kind::Processor && settings.connectors.contains_key(&reference.id);
                let kind = if connector { Kind::Connector } else { kind };
                used.insert((kind, &reference.id));
            }
        }
    }
    // Who keeps what one of them gives up is used as well, and whoever keeps what that one does.
    for id in settings.exporters.keys() {
        let mut from = id;
        while used.contains(&(Kind::Exporter, from))
            && let Some(to) = settings.dead_letters(from)
            && let Some((to, _)) = settings.exporters.get_key_value(&to.id)
            && used.insert((Kind::Exporter, to))
        {
            from = to;
        }
    }
    used
}
