//! The log records of objects.

use serde_json::{Value as Json, json};
use tidegate_pdata::compose::{Request, log_record};
use tidegate_transport::kubernetes::{Came, Event};

use crate::host_metrics::now;
use crate::kubernetes::{Records, Tell, is_later, write_json};

const SCOPE: &str =
    "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/k8sobjectsreceiver";

fn parsed(json: &str) -> Option<Json> {
    serde_json::from_str(json)
        .map_err(|error| tracing::warn!(%error, "an object of Kubernetes makes no sense"))
        .ok()
}

fn write(request: &mut Request, kind: &str, namespace: &str, name: Option<&str>, body: &Json) {
    request.resource(|resource| {
        if !namespace.is_empty() {
            resource.attribute(1, "k8s.namespace.name", namespace);
        }
    });
    request.scope(SCOPE, env!("CARGO_PKG_VERSION"));
    record(request, kind, name, body);
}

fn record(request: &mut Request, kind: &str, name: Option<&str>, body: &Json) {
    request.record(|record| {
        record.message(log_record::BODY, |any| write_json(body, any));
        record.attribute(log_record::ATTRIBUTES, "k8s.resource.name", kind);
        if let Some(name) = name {
            record.attribute(log_record::ATTRIBUTES, "event.domain", "k8s");
            record.attribute(log_record::ATTRIBUTES, "event.name", name);
        }
        record.fixed64(log_record::OBSERVED_TIME, now());
    });
}

/// Tells of all objects of a list, each as it is.
#[derive(Debug)]
pub(super) struct Pull<'p> {
    kind: &'p str,
    namespace: Option<String>,
}

impl<'p> Pull<'p> {
    pub(super) const fn new(kind: &'p str) -> Self {
        Self {
            kind,
            namespace: None,
        }
    }

    pub(super) fn tell(&mut self, event: Event<'_>, records: &mut Records) {
        let Event::Put(json, _) = event else { return };
        let Some(object) = parsed(json) else { return };
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let request = records.request();
        // Lists are in the order of namespaces.
        if request.items() > 0 && self.namespace.as_deref() == Some(namespace) {
            record(request, self.kind, None, &object);
        } else {
            write(request, self.kind, namespace, None, &object);
            self.namespace = Some(namespace.to_owned());
        }
    }
}

/// Tells of changes.
#[derive(Debug)]
pub(super) struct Told {
    kind: String,
    excluded: Vec<&'static str>,
    /// Whether the first list is told of.
    initial: bool,
    /// The latest version that was seen.
    seen: Option<String>,
    /// What that was when the list began that is being read.
    before: Option<String>,
}

impl Told {
    pub(super) fn new(
        kind: &str,
        excluded: Vec<&'static str>,
        initial: bool,
        kept: Option<String>,
    ) -> Self {
        Self {
            kind: kind.to_owned(),
            excluded,
            initial,
            seen: kept,
            before: None,
        }
    }

    /// What is told of an object that a list has: the first list is told of where that is wanted, and a
    /// later one, which comes when the server has forgotten what happened, as far as it is new.
    fn listed(&self, version: &str) -> Option<&'static str> {
        match &self.before {
            None => self.initial.then_some("ADDED"),
            Some(before) => is_later(version, before).then_some("MODIFIED"),
        }
    }
}

impl Tell for Told {
    fn tell(&mut self, event: Event<'_>, records: &mut Records) {
        let (json, came) = match event {
            Event::Put(json, came) => (json, Some(came)),
            Event::Gone(json) => (json, None),
            Event::Begun => {
                self.before.clone_from(&self.seen);
                return;
            }
            Event::Listed => {
                // Of an empty list everything that comes later is new.
                self.seen.get_or_insert_with(|| "0".to_owned());
                return;
            }
            Event::Idle => return,
        };
        let Some(object) = parsed(json) else { return };
        let text = |key: &str| {
            object["metadata"][key]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let (name, namespace) = (text("name"), text("namespace"));
        let version = text("resourceVersion");
        let kind = match came {
            None => Some("DELETED"),
            Some(Came::Added) => Some("ADDED"),
            Some(Came::Changed) => Some("MODIFIED"),
            Some(Came::Listed) => self.listed(&version),
        };
        if self
            .seen
            .as_ref()
            .is_none_or(|seen| is_later(&version, seen))
        {
            self.seen = Some(version);
        }
        let Some(kind) = kind.filter(|kind| !self.excluded.contains(kind)) else {
            return;
        };
        let body = json!({"type": kind, "object": object});
        let name = Some(name.as_str()).filter(|name| !name.is_empty());
        write(records.request(), &self.kind, &namespace, name, &body);
    }
}
