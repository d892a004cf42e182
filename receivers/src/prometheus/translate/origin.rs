//! Where series come from: their resources and scopes.

use std::net::IpAddr;

use tidegate_pdata::compose::Fields;

use crate::prometheus::labels::LabelSet;

/// The scope of series that name none, as the original calls it.
const SCOPE: &str =
    "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver";

/// Prefix of labels that are about the scope.
const SCOPE_PREFIX: &str = "otel_scope_";

/// Attributes of a resource have this number, of a scope the other.
const RESOURCE_ATTRIBUTES: u32 = 1;
const SCOPE_ATTRIBUTES: u32 = 3;

type Pairs = Vec<(String, String)>;

/// A resource: a job and an instance.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) job: String,
    pub(super) instance: String,
    /// What the last `target_info` said.
    pub(super) info: Pairs,
}

impl Origin {
    pub(super) fn new(job: &str, instance: &str) -> Self {
        Self {
            job: job.to_owned(),
            instance: instance.to_owned(),
            info: Vec::new(),
        }
    }

    /// Takes over the labels of `target_info`.
    pub(super) fn tell(&mut self, labels: &LabelSet<'_>) {
        self.info.clear();
        for (name, value) in &labels.pairs {
            if !matches!(&**name, "job" | "instance") {
                self.info.push((name.to_string(), value.to_string()));
            }
        }
    }

    /// Writes the resource; `discovered` has what was known before the scrape.
    pub(super) fn write(&self, fields: &mut Fields, scheme: &str, discovered: &[(String, String)]) {
        let (host, port) = split(&self.instance);
        let mut attributes: Vec<(&str, &str)> = vec![("service.name", &self.job)];
        if is_discernible(host) {
            attributes.push(("server.address", host));
        }
        attributes.push(("service.instance.id", &self.instance));
        attributes.push(("server.port", port));
        attributes.push(("url.scheme", scheme));
        let found = discovered.iter().map(|(name, value)| (&**name, &**value));
        let told = self.info.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in found.chain(told) {
            match attributes.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => attributes.push((name, value)),
            }
        }
        for (name, value) in attributes {
            fields.attribute(RESOURCE_ATTRIBUTES, name, value);
        }
    }
}

/// The host and the port of an address; no port where there is none.
fn split(instance: &str) -> (&str, &str) {
    let parts = match instance.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => instance
            .rsplit_once(':')
            .filter(|(host, _)| !host.contains(':')),
    };
    parts.unwrap_or((instance, ""))
}

/// Whether a host is known under its name elsewhere.
fn is_discernible(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => !ip.is_loopback() && !ip.is_unspecified(),
        Err(_) => host != "localhost",
    }
}

/// A scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    name: String,
    version: String,
    schema_url: String,
    attributes: Pairs,
    /// What `otel_scope_info` said.
    info: Pairs,
}

impl Scope {
    /// Whether a label is about the scope.
    #[inline]
    pub(super) fn owns(label: &str) -> bool {
        label.starts_with(SCOPE_PREFIX)
    }

    /// The scope that labels name; none where no label is about one.
    pub(super) fn named(labels: &LabelSet<'_>) -> Option<Self> {
        let mut scope = None::<Self>;
        for (name, value) in &labels.pairs {
            let Some(key) = name.strip_prefix(SCOPE_PREFIX) else {
                continue;
            };
            let scope = scope.get_or_insert_default();
            match key {
                "name" => scope.name = value.to_string(),
                "version" => scope.version = value.to_string(),
                "schema_url" => scope.schema_url = value.to_string(),
                _ => scope.attributes.push((key.to_owned(), value.to_string())),
            }
        }
        scope
    }

    /// The scope that `otel_scope_info` is about, with what it says.
    pub(super) fn told(labels: &LabelSet<'_>) -> Self {
        let mut scope = Self::default();
        for (name, value) in &labels.pairs {
            match &**name {
                "job" | "instance" => {}
                "otel_scope_name" => scope.name = value.to_string(),
                "otel_scope_version" => scope.version = value.to_string(),
                "otel_scope_schema_url" => scope.schema_url = value.to_string(),
                other => scope.info.push((other.to_owned(), value.to_string())),
            }
        }
        scope
    }

    /// Whether two are the same, whatever was said of them.
    pub(super) fn is(&self, other: &Self) -> bool {
        (
            &self.name,
            &self.version,
            &self.schema_url,
            &self.attributes,
        ) == (
            &other.name,
            &other.version,
            &other.schema_url,
            &other.attributes,
        )
    }

    /// Takes over what the other was told.
    pub(super) fn learn(&mut self, other: Self) {
        self.info = other.info;
    }

    pub(super) fn schema_url(&self) -> &str {
        &self.schema_url
    }

    /// Writes the scope.
    pub(super) fn write(&self, fields: &mut Fields) {
        if self.is(&Self::default()) {
            fields.string(1, SCOPE);
            fields.string(2, env!("CARGO_PKG_VERSION"));
            return;
        }
        fields.string(1, &self.name);
        fields.string(2, &self.version);
        for (key, value) in self.attributes.iter().chain(&self.info) {
            fields.attribute(SCOPE_ATTRIBUTES, key, value.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_as_go_splits_them() {
        for (instance, host, port) in [
            ("web:9090", "web", "9090"),
            ("[::1]:80", "::1", "80"),
            ("web", "web", ""),
            ("::1", "::1", ""),
            ("[::1]", "[::1]", ""),
        ] {
            assert_eq!(split(instance), (host, port), "{instance}");
        }
        for (host, known) in [
            ("localhost", false),
            ("127.0.0.1", false),
            ("::1", false),
            ("0.0.0.0", false),
            ("10.0.0.1", true),
            ("web", true),
        ] {
            assert_eq!(is_discernible(host), known, "{host}");
        }
    }
}
