//! Streams: one metric of one scope of one resource.

use std::sync::Arc;

use tidegate_pdata::view::{Attributes, Scope as ScopeView, Text};

use super::family::{Family, Kind};
use super::labels::LabelSet;
use super::naming::{Namer, Sort};
use super::origin::{Origin, text};
use super::rejection::Rejection;

/// A scope within an origin, as it came.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) origin: Arc<Origin>,
    pub(super) bytes: Box<[u8]>,
    pub(super) schema_url: Box<[u8]>,
    /// The labels that it gives to its series.
    labels: Result<Vec<(String, String)>, Rejection>,
}

/// One metric of one scope.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) scope: Arc<Scope>,
    pub(super) name: Box<[u8]>,
    pub(super) unit: Box<[u8]>,
    pub(super) sort: (Kind, Sort),
    pub(super) hash: u64,
    pub(super) family: Arc<Family>,
}

impl Scope {
    /// A scope whose labels are not wanted.
    pub(super) fn without_labels(origin: Arc<Origin>) -> Self {
        Self {
            origin,
            bytes: Box::default(),
            schema_url: Box::default(),
            labels: Ok(Vec::new()),
        }
    }

    pub(super) fn new(
        origin: Arc<Origin>,
        scope: ScopeView<'_>,
        schema_url: Text<'_>,
        namer: &Namer,
    ) -> Self {
        Self {
            origin,
            bytes: scope.bytes().into(),
            schema_url: schema_url.as_bytes().into(),
            labels: labels(scope, schema_url, namer),
        }
    }

    pub(super) fn is(&self, origin: &Arc<Origin>, scope: &[u8], schema_url: &[u8]) -> bool {
        Arc::ptr_eq(&self.origin, origin)
            && *self.bytes == *scope
            && *self.schema_url == *schema_url
    }
}

fn labels(
    scope: ScopeView<'_>,
    schema_url: Text<'_>,
    namer: &Namer,
) -> Result<Vec<(String, String)>, Rejection> {
    let fields = scope.fields();
    let mut labels = Vec::new();
    for (key, value) in fields.attributes {
        let key = format!("otel_scope_{}", key.to_str());
        let name = namer.label(&key).ok_or(Rejection::LabelName)?;
        labels.push((name, text(value)));
    }
    for (name, value) in [
        ("otel_scope_name", fields.name),
        ("otel_scope_version", fields.version),
        ("otel_scope_schema_url", schema_url),
    ] {
        labels.push((name.to_owned(), value.to_str().into_owned()));
    }
    Ok(labels)
}

impl Stream {
    pub(super) fn is(
        &self,
        scope: &Arc<Scope>,
        name: Text<'_>,
        unit: Text<'_>,
        sort: (Kind, Sort),
    ) -> bool {
        Arc::ptr_eq(&self.scope, scope)
            && self.sort == sort
            && *self.name == *name.as_bytes()
            && *self.unit == *unit.as_bytes()
    }

    /// The labels of a point of this stream.
    pub(super) fn labels(
        &self,
        attributes: Attributes<'_>,
        constant: &[(String, String)],
        namer: &Namer,
    ) -> Result<LabelSet, Rejection> {
        let mut labels = LabelSet::default();
        let origin = &self.scope.origin;
        let name = |key: &str| namer.label(key).ok_or(Rejection::LabelName);
        for (key, value) in attributes {
            // Where attributes of the resource are labels, they win over the point's of the same key.
            let key = key.to_str();
            if !origin.attributes.iter().any(|(known, _)| *known == key) {
                labels.push(name(&key)?, text(value));
            }
        }
        for (key, value) in &origin.attributes {
            labels.push(name(key)?, value.clone());
        }
        let scope = self.scope.labels.as_ref().map_err(|reason| *reason)?;
        for (name, value) in scope.iter().chain(constant) {
            labels.push(name.clone(), value.clone());
        }
        for (name, value) in [("job", &origin.job), ("instance", &origin.instance)] {
            if let Some(value) = value {
                labels.push(name.to_owned(), value.clone());
            }
        }
        Ok(labels)
    }
}
