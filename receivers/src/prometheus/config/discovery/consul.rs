//! `consul_sd_configs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::Secret;

use super::every;
use crate::prometheus::config::http::HttpKeys;
use crate::prometheus::config::types::{Span, Word};
use crate::prometheus::discovery::consul::{Catalog, part};

/// The keys of `consul_sd_configs` beside those of the client.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct ConsulKeys {
    /// The agent, as `host:port`; `localhost:8500` unless told.
    server: Option<String>,
    /// What stands before the paths of the API, where a gateway puts something there.
    path_prefix: String,
    /// A token of Consul's.
    token: Option<Secret>,
    /// The datacenter; the agent's own unless told.
    datacenter: String,
    /// The namespace, where Consul has them.
    namespace: String,
    /// The partition, where Consul has them.
    partition: String,
    /// What stands between tags, and around them, in the label that lists them; `,` unless told.
    tag_separator: Option<Word>,
    /// http (unless told) or https.
    scheme: Option<String>,
    /// The older form of `basic_auth.username`.
    username: Option<String>,
    /// The older form of `basic_auth.password`.
    password: Option<Secret>,
    /// Takes what any server of Consul knows, which may be a little old and spares the leader; true unless told.
    allow_stale: Option<bool>,
    /// The least time from one query to the next; 30s unless told.
    refresh_interval: Option<Span>,
    /// The services to find; all of them unless told.
    services: Vec<String>,
    /// Tags that an instance must have, all of them.
    tags: Vec<String>,
    /// Metadata that an instance's node must have.
    node_meta: BTreeMap<String, Word>,
    /// An expression that a service of the catalog must meet.
    filter: String,
    /// An expression that an instance with its checks must meet.
    health_filter: String,
}

tidegate_document::layered! {
    /// `consul_sd_configs`.
    #[derive(Clone, Debug)]
    pub(in crate::prometheus) struct ConsulSdKeys {
        own: ConsulKeys,
        client: HttpKeys,
    }
}

impl ConsulSdKeys {
    pub(super) fn build(&self, path: &str) -> Result<Catalog, BuildError> {
        let own = &self.own;
        let mut client = self.client.clone();
        if own.username.is_some() || own.password.is_some() {
            client
                .log_in(own.username.clone(), own.password.clone())
                .map_err(|message| {
                    BuildError::at(format!("{path}::username"), message)
                        .remedy("keep `basic_auth` alone")
                })?;
        }
        if own.token.is_some() && client.names_bearer() {
            let message = "a request has one login, and `authorization` or `oauth2` is one too";
            return Err(BuildError::at(format!("{path}::token"), message)
                .remedy("keep one of `token`, `authorization` and `oauth2`"));
        }
        let (client, credentials) = client.build(path)?;
        let mut scope = String::new();
        if own.allow_stale.unwrap_or(true) {
            scope += "&stale=";
        }
        for (key, value) in [
            ("dc", &own.datacenter),
            ("ns", &own.namespace),
            ("partition", &own.partition),
        ] {
            scope += &part(key, value);
        }
        for (key, value) in &own.node_meta {
            scope += &part("node-meta", &format!("{key}:{}", value.0));
        }
        let separator = own.tag_separator.as_ref();
        Ok(Catalog {
            base: self.base(path)?,
            token: own.token.clone(),
            datacenter: own.datacenter.clone(),
            scope,
            filter: part("filter", &own.filter),
            health_filter: part("filter", &own.health_filter),
            services: own.services.clone(),
            tags: own.tags.clone(),
            separator: separator.map_or(",", |word| &word.0).to_owned(),
            pause: every(own.refresh_interval, 30, path)?,
            client,
            credentials,
        })
    }

    /// What every URL begins with.
    fn base(&self, path: &str) -> Result<String, BuildError> {
        let own = &self.own;
        let server = own.server.as_deref().unwrap_or("localhost:8500").trim();
        let fault = |key: &str, message: String, remedy: &str| {
            BuildError::at(format!("{path}::{key}"), message).remedy(remedy)
        };
        let (scheme, server) = match server.split_once("://") {
            Some((scheme, server)) => (scheme, server),
            None => (own.scheme.as_deref().unwrap_or("http"), server),
        };
        if !matches!(scheme, "http" | "https") {
            let message = format!("the scheme \"{scheme}\" is neither http nor https");
            return Err(fault("scheme", message, "write `http` or `https`"));
        }
        let prefix = own.path_prefix.trim_matches('/');
        let mut base = format!("{scheme}://{}", server.trim_end_matches('/'));
        if !prefix.is_empty() {
            base = format!("{base}/{prefix}");
        }
        match (server, base.parse::<http::Uri>()) {
            ("", _) => Err(fault(
                "server",
                "no server is named".to_owned(),
                "write for example `consul:8500`",
            )),
            (_, Err(_)) => Err(fault(
                "server",
                format!("\"{base}\" is no URL"),
                "write for example `consul:8500`",
            )),
            (_, Ok(_)) => Ok(base),
        }
    }
}
