//! `oauth2`.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::Secret;
use tidegate_transport::client::{HttpClient, HttpCompression};

use super::http::{TlsKeys, one, theirs, unbuilt};
use super::types::{Unbuilt, Word};
use crate::prometheus::scrape::oauth2::Grant;

/// How a token is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(in crate::prometheus) enum GrantType {
    /// With a client's ID and its secret.
    #[default]
    #[serde(rename = "client_credentials", alias = "")]
    ClientCredentials,
    /// With a token that the client signs: not built.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:jwt-bearer")]
    JwtBearer,
}

/// `oauth2`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct OAuth2Keys {
    /// Who asks.
    client_id: String,
    /// The secret that belongs to it.
    client_secret: Option<Secret>,
    /// A file with the secret, read for each token.
    client_secret_file: Option<String>,
    /// A reference to a secret manager: not built.
    client_secret_ref: Option<Unbuilt>,
    /// How a token is asked for: client_credentials.
    grant_type: GrantType,
    /// The URL of the server that gives tokens.
    token_url: String,
    /// What the token is to be good for.
    scopes: Vec<String>,
    /// Further parameters of the request for a token.
    endpoint_params: BTreeMap<String, Word>,
    /// TLS, for a server whose URL begins with `https`.
    tls_config: TlsKeys,
    /// A proxy to go through.
    proxy_url: Option<String>,
    /// Hosts that are reached without the proxy: not built.
    no_proxy: Option<Unbuilt>,
    /// Goes through the proxies that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name.
    proxy_from_environment: bool,
    /// Headers for the proxy: not built.
    proxy_connect_header: Option<Unbuilt>,
    /// For tokens that the client signs: not built.
    client_certificate_key: Option<Unbuilt>,
    /// For tokens that the client signs: not built.
    client_certificate_key_file: Option<Unbuilt>,
    /// For tokens that the client signs: not built.
    client_certificate_key_ref: Option<Unbuilt>,
    /// For tokens that the client signs: not built.
    client_certificate_key_id: Option<Unbuilt>,
    /// For tokens that the client signs: not built.
    signature_algorithm: Option<Unbuilt>,
    /// For tokens that the client signs: not built.
    iss: Option<Unbuilt>,
    /// For tokens that the client signs: not built.
    audience: Option<Unbuilt>,
    /// For tokens that the client signs: not built.
    claims: Option<Unbuilt>,
}

impl OAuth2Keys {
    pub(super) fn build(&self, path: &str) -> Result<Arc<Grant>, BuildError> {
        self.check_unbuilt(path)?;
        let at = |key: &str| format!("{path}::{key}");
        if self.client_id.is_empty() {
            return Err(
                BuildError::at(at("client_id"), "it does not say who asks for a token")
                    .remedy("write the ID that the server knows the client by"),
            );
        }
        let url: Option<http::Uri> = self.token_url.parse().ok();
        let scheme = url.as_ref().and_then(|url| url.scheme_str());
        let (Some(url), Some("http" | "https")) = (&url, scheme) else {
            let message = format!("\"{}\" is no URL of a server", self.token_url);
            return Err(BuildError::at(at("token_url"), message)
                .remedy("write for example `https://login.example.com/token`"));
        };
        let secret = one(
            &self.client_secret,
            &self.client_secret_file,
            at("client_secret"),
        )?;
        let client = HttpClient {
            proxy_url: self.proxy_url.clone(),
            tls: self.tls_config.client(),
            // A token lasts for minutes or hours: its connection need not.
            disable_keep_alives: true,
            ..HttpClient::default()
        };
        let client = client
            .build(HttpCompression::None)
            .map_err(|error| BuildError {
                path: format!("{path}::{}", theirs(&error.path)),
                ..error
            })?;
        let mut form = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        if !self.scopes.is_empty() {
            form.push(("scope".to_owned(), self.scopes.join(" ")));
        }
        for (name, value) in &self.endpoint_params {
            form.retain(|(known, _)| known != name);
            form.push((name.clone(), value.0.clone()));
        }
        let client = client.environment_proxies(self.proxy_from_environment);
        Ok(Arc::new(Grant::new(
            url.clone(),
            self.client_id.clone(),
            secret,
            form,
            client,
        )))
    }

    fn check_unbuilt(&self, path: &str) -> Result<(), BuildError> {
        let signed = "tokens that the client signs are";
        let instead = "let the client have a secret (`client_secret`)";
        if self.grant_type == GrantType::JwtBearer {
            return Err(unbuilt(format!("{path}::grant_type"), signed, instead));
        }
        for (key, named) in [
            ("client_certificate_key", self.client_certificate_key),
            (
                "client_certificate_key_file",
                self.client_certificate_key_file,
            ),
            (
                "client_certificate_key_ref",
                self.client_certificate_key_ref,
            ),
            ("client_certificate_key_id", self.client_certificate_key_id),
            ("signature_algorithm", self.signature_algorithm),
            ("iss", self.iss),
            ("audience", self.audience),
            ("claims", self.claims),
        ] {
            if named.is_some() {
                return Err(unbuilt(format!("{path}::{key}"), signed, instead));
            }
        }
        for (key, named, instead) in [
            (
                "client_secret_ref",
                self.client_secret_ref,
                "name a file instead",
            ),
            (
                "no_proxy",
                self.no_proxy,
                "use `proxy_from_environment` with the variable `NO_PROXY`",
            ),
            (
                "proxy_connect_header",
                self.proxy_connect_header,
                "use a proxy that takes a name and a password in `proxy_url`",
            ),
        ] {
            if named.is_some() {
                let what = format!("`{key}` is");
                return Err(unbuilt(format!("{path}::{key}"), &what, instead));
            }
        }
        self.tls_config
            .check_unbuilt(&format!("{path}::tls_config"))
    }
}
