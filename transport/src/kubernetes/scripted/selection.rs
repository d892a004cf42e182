//! What a request asks for.

use serde_json::Value;

use crate::query;

/// A request, taken apart.
pub(super) struct Asked {
    /// The collection over all namespaces.
    pub(super) collection: String,
    pub(super) namespace: String,
    pub(super) name: Option<String>,
    pub(super) watch: bool,
    pub(super) bookmarks: bool,
    pub(super) version: Option<String>,
    pub(super) limit: Option<usize>,
    pub(super) next: Option<String>,
    pub(super) selection: Selection,
}

impl Asked {
    pub(super) fn of(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        // `/api/v1/…` or `/apis/GROUP/VERSION/…`.
        let group = if parts.first() == Some(&"apis") { 3 } else { 2 }.min(parts.len());
        let (group, rest) = parts.split_at(group);
        let (namespace, resource, name) = match rest {
            ["namespaces", namespace, resource] => (*namespace, *resource, None),
            ["namespaces", namespace, resource, name] => (*namespace, *resource, Some(*name)),
            [resource, name] => ("", *resource, Some(*name)),
            [resource] => ("", *resource, None),
            _ => ("", "", None),
        };
        let value = |key: &str| query::values(query, key).next();
        Self {
            collection: format!("/{}/{resource}", group.join("/")),
            namespace: namespace.to_owned(),
            name: name.map(ToOwned::to_owned),
            watch: value("watch").is_some_and(|value| value == "1" || value == "true"),
            bookmarks: value("allowWatchBookmarks").is_some(),
            version: value("resourceVersion"),
            limit: value("limit").and_then(|text| text.parse().ok()),
            next: value("continue"),
            selection: Selection {
                namespace: namespace.to_owned(),
                fields: value("fieldSelector").unwrap_or_default(),
                labels: value("labelSelector").unwrap_or_default(),
            },
        }
    }
}

/// Which objects of a collection.
pub(super) struct Selection {
    namespace: String,
    fields: String,
    labels: String,
}

impl Selection {
    pub(super) fn takes(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let here = self.namespace.is_empty() || metadata["namespace"] == self.namespace;
        let field = |path: &str| {
            let found = path.split('.').try_fold(object, |at, key| at.get(key));
            found.and_then(Value::as_str).map(ToOwned::to_owned)
        };
        let label = |key: &str| {
            let found = metadata["labels"].get(key);
            found.and_then(Value::as_str).map(ToOwned::to_owned)
        };
        here && all(&self.fields, field) && all(&self.labels, label)
    }
}

/// Whether every requirement of a selector holds: `a=b,c!=d,e,!f`.
fn all(selector: &str, of: impl Fn(&str) -> Option<String>) -> bool {
    let requirements = selector.split(',').filter(|part| !part.is_empty());
    requirements.into_iter().all(|part| {
        if let Some((key, value)) = part.split_once("!=") {
            return of(key).as_deref() != Some(value);
        }
        if let Some((key, value)) = part.split_once('=') {
            return of(key).unwrap_or_default() == value.trim_start_matches('=');
        }
        match part.strip_prefix('!') {
            Some(key) => of(key).is_none(),
            None => of(part).is_some(),
        }
    })
}
