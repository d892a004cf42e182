//! How targets are spoken to: Prometheus' keys of an HTTP client.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::{OneOrMany, Secret};
use tidegate_transport::client::{HttpClient, HttpCompression, HttpSettings};
use tidegate_transport::tls::{ClientTls, Version};

use super::oauth2::OAuth2Keys;
use super::types::Unbuilt;
use crate::prometheus::scrape::credentials::{Credentials, Given, Header, Login};

/// The keys of an HTTP client.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct HttpKeys {
    /// A name and a password to send with each request.
    basic_auth: Option<BasicAuth>,
    /// Credentials to send in the `Authorization` header.
    authorization: Option<Authorization>,
    /// A token to send with each request, which is fetched from an OAuth 2.0 server.
    oauth2: Option<OAuth2Keys>,
    /// The older form of `authorization.credentials`.
    bearer_token: Option<Secret>,
    /// The older form of `authorization.credentials_file`.
    bearer_token_file: Option<String>,
    /// TLS, for targets whose scheme is `https`.
    tls_config: TlsKeys,
    /// Follows redirections; true unless told.
    follow_redirects: Option<bool>,
    /// Offers HTTP/2 on TLS connections; true unless told.
    enable_http2: Option<bool>,
    /// A proxy to go through, as `http://proxy:3128`.
    proxy_url: Option<String>,
    /// Hosts that are reached without the proxy: not built.
    no_proxy: Option<Unbuilt>,
    /// Goes through the proxies that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name.
    proxy_from_environment: bool,
    /// Headers for the proxy: not built.
    proxy_connect_header: Option<Unbuilt>,
    /// Headers to send with each request.
    http_headers: BTreeMap<String, HeaderValues>,
}

/// `basic_auth`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct BasicAuth {
    /// The name.
    username: Option<String>,
    /// A file with the name, read for each request.
    username_file: Option<String>,
    /// A reference to a secret manager: not built.
    username_ref: Option<Unbuilt>,
    /// The password.
    password: Option<Secret>,
    /// A file with the password, read for each request.
    password_file: Option<String>,
    /// A reference to a secret manager: not built.
    password_ref: Option<Unbuilt>,
}

/// `authorization`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct Authorization {
    /// The scheme; Bearer unless told.
    r#type: Option<String>,
    /// The credentials.
    credentials: Option<Secret>,
    /// A file with the credentials, read for each request.
    credentials_file: Option<String>,
    /// A reference to a secret manager: not built.
    credentials_ref: Option<Unbuilt>,
}

/// `http_headers.<name>`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct HeaderValues {
    /// Values.
    values: Option<OneOrMany<String>>,
    /// Values that are never shown.
    secrets: Option<OneOrMany<Secret>>,
    /// Files with a value each, read for each request.
    files: Option<OneOrMany<String>>,
}

/// `tls_config`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct TlsKeys {
    /// The certificates of the CAs that may vouch for the target.
    ca: Option<Secret>,
    /// A PEM file with these certificates. The system's are used where none is given.
    ca_file: Option<String>,
    /// A reference to a secret manager: not built.
    ca_ref: Option<Unbuilt>,
    /// The certificate to present to the target.
    cert: Option<Secret>,
    /// A PEM file with that certificate.
    cert_file: Option<String>,
    /// A reference to a secret manager: not built.
    cert_ref: Option<Unbuilt>,
    /// The certificate's private key.
    key: Option<Secret>,
    /// A PEM file with that key.
    key_file: Option<String>,
    /// A reference to a secret manager: not built.
    key_ref: Option<Unbuilt>,
    /// The name that the target's certificate must carry, in place of its address.
    server_name: Option<String>,
    /// Encrypts without checking who the target is.
    insecure_skip_verify: bool,
    /// The lowest version of TLS to speak: TLS12 or TLS13. Lower ones are read as TLS12.
    min_version: Option<TlsVersion>,
    /// The highest version of TLS to speak: TLS12 or TLS13.
    max_version: Option<TlsVersion>,
}

/// A version of TLS as Prometheus writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(in crate::prometheus) enum TlsVersion {
    /// TLS 1.0, which nothing here speaks.
    #[serde(rename = "TLS10")]
    Tls10,
    /// TLS 1.1, which nothing here speaks.
    #[serde(rename = "TLS11")]
    Tls11,
    /// TLS 1.2.
    #[serde(rename = "TLS12")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "TLS13")]
    Tls13,
}

impl From<TlsVersion> for Version {
    fn from(version: TlsVersion) -> Self {
        match version {
            TlsVersion::Tls10 => Self::Tls10,
            TlsVersion::Tls11 => Self::Tls11,
            TlsVersion::Tls12 => Self::Tls12,
            TlsVersion::Tls13 => Self::Tls13,
        }
    }
}

/// How often files of `tls_config` are looked at for a change.
const TLS_RELOAD: u64 = 60;

impl TlsKeys {
    pub(super) fn check_unbuilt(&self, path: &str) -> Result<(), BuildError> {
        for (key, named) in [
            ("ca_ref", self.ca_ref),
            ("cert_ref", self.cert_ref),
            ("key_ref", self.key_ref),
        ] {
            if named.is_some() {
                let what = format!("`{key}` is");
                return Err(unbuilt(
                    format!("{path}::{key}"),
                    &what,
                    "name a file instead",
                ));
            }
        }
        Ok(())
    }

    pub(super) fn client(&self) -> ClientTls {
        let files = self.ca_file.is_some() || self.cert_file.is_some() || self.key_file.is_some();
        ClientTls {
            insecure_skip_verify: self.insecure_skip_verify,
            server_name_override: self.server_name.clone().filter(|name| !name.is_empty()),
            ca_file: self.ca_file.clone(),
            ca_pem: self.ca.clone(),
            cert_file: self.cert_file.clone(),
            cert_pem: self.cert.clone(),
            key_file: self.key_file.clone(),
            key_pem: self.key.clone(),
            min_version: self.min_version.map(Version::from),
            max_version: self.max_version.map(Version::from),
            reload_interval: files.then(|| tidegate_document::Duration::from_secs(TLS_RELOAD)),
            ..ClientTls::default()
        }
    }
}

/// An error at a key whose work nothing does.
pub(super) fn unbuilt(path: String, what: &str, instead: &str) -> BuildError {
    BuildError::at(path, format!("{what} not built")).remedy(instead)
}

impl HttpKeys {
    /// The client and what it sends along; `path` leads to these keys.
    pub(super) fn build(&self, path: &str) -> Result<(HttpSettings, Credentials), BuildError> {
        self.check_unbuilt(path)?;
        let client = HttpClient {
            proxy_url: self.proxy_url.clone(),
            tls: self.tls_config.client(),
            force_attempt_http2: self.enable_http2,
            ..HttpClient::default()
        };
        if self.proxy_from_environment && self.proxy_url.is_some() {
            let path = format!("{path}::proxy_from_environment");
            let message = "`proxy_url` names a proxy already";
            return Err(BuildError::at(path, message).remedy("keep one of the two"));
        }
        let settings = client
            .build(HttpCompression::None)
            .map_err(|error| BuildError {
                path: format!("{path}::{}", theirs(&error.path)),
                ..error
            })?;
        let settings = settings
            .follow_redirections(self.follow_redirects.unwrap_or(true))
            .environment_proxies(self.proxy_from_environment);
        Ok((settings, self.credentials(path)?))
    }

    fn check_unbuilt(&self, path: &str) -> Result<(), BuildError> {
        self.tls_config
            .check_unbuilt(&format!("{path}::tls_config"))?;
        let basic = self.basic_auth.clone().unwrap_or_default();
        let authorization = self.authorization.clone().unwrap_or_default();
        for (key, named) in [
            ("no_proxy", self.no_proxy),
            ("proxy_connect_header", self.proxy_connect_header),
            ("basic_auth::username_ref", basic.username_ref),
            ("basic_auth::password_ref", basic.password_ref),
            (
                "authorization::credentials_ref",
                authorization.credentials_ref,
            ),
        ] {
            if named.is_some() {
                let last = key.rsplit("::").next().unwrap_or(key);
                let instead = match key.ends_with("_ref") {
                    true => "name a file instead",
                    false => "use `proxy_from_environment` with the variable `NO_PROXY`",
                };
                return Err(unbuilt(
                    format!("{path}::{key}"),
                    &format!("`{last}` is"),
                    instead,
                ));
            }
        }
        Ok(())
    }

    /// Logs in with this name and password, as older keys of some kinds of discovery have it.
    pub(super) fn log_in(
        &mut self,
        username: Option<String>,
        password: Option<Secret>,
    ) -> Result<(), &'static str> {
        if self.basic_auth.is_some() {
            return Err("`basic_auth` is given too, and a request has one of them");
        }
        self.basic_auth = Some(BasicAuth {
            username,
            password,
            ..BasicAuth::default()
        });
        Ok(())
    }

    /// Whether a token is sent along.
    pub(super) const fn names_bearer(&self) -> bool {
        self.authorization.is_some() || self.oauth2.is_some()
    }

    fn credentials(&self, path: &str) -> Result<Credentials, BuildError> {
        let bearer = self.bearer_token.is_some() || self.bearer_token_file.is_some();
        let named = [
            ("basic_auth", self.basic_auth.is_some()),
            ("authorization", self.authorization.is_some()),
            ("oauth2", self.oauth2.is_some()),
            ("bearer_token", bearer),
        ];
        let mut given = named.iter().filter(|(_, given)| *given);
        if let (Some((first, _)), Some((second, _))) = (given.next(), given.next()) {
            let message = format!("`{first}` is given too, and a request has one of them");
            return Err(BuildError::at(format!("{path}::{second}"), message)
                .remedy(format!("keep one of `{first}` and `{second}`")));
        }
        let login = if let Some(basic) = &self.basic_auth {
            let at = |key: &str| format!("{path}::basic_auth::{key}");
            let name = basic.username.clone().map(Secret::new);
            Some(Login::Basic {
                name: one(&name, &basic.username_file, at("username"))?,
                password: one(&basic.password, &basic.password_file, at("password"))?,
            })
        } else if let Some(keys) = &self.authorization {
            Some(Login::Header {
                scheme: scheme(keys.r#type.as_deref(), path)?,
                credentials: one(
                    &keys.credentials,
                    &keys.credentials_file,
                    format!("{path}::authorization::credentials"),
                )?,
            })
        } else if let Some(keys) = &self.oauth2 {
            Some(Login::OAuth2(keys.build(&format!("{path}::oauth2"))?))
        } else if bearer {
            Some(Login::Header {
                scheme: "Bearer".to_owned(),
                credentials: one(
                    &self.bearer_token,
                    &self.bearer_token_file,
                    format!("{path}::bearer_token"),
                )?,
            })
        } else {
            None
        };
        Ok(Credentials::new(login, self.headers(path)?))
    }

    fn headers(&self, path: &str) -> Result<Vec<Header>, BuildError> {
        let mut headers = Vec::new();
        for (name, keys) in &self.http_headers {
            let at = format!("{path}::http_headers::{name}");
            let values = keys.values.iter().flat_map(OneOrMany::as_slice);
            let secrets = keys.secrets.iter().flat_map(OneOrMany::as_slice);
            let files = keys.files.iter().flat_map(OneOrMany::as_slice);
            let given = values
                .map(|value| Given::Inline(Secret::new(value)))
                .chain(secrets.cloned().map(Given::Inline))
                .chain(files.map(|file| Given::File(file.into())));
            for value in given {
                headers.push(Header::new(name, value).map_err(|fault| {
                    BuildError::at(at.clone(), fault).remedy("take the header away")
                })?);
            }
        }
        Ok(headers)
    }
}

/// The name that Prometheus has for a key of our client.
pub(super) fn theirs(path: &str) -> String {
    path.replace("tls::ca_pem", "tls_config::ca")
        .replace("tls::cert_pem", "tls_config::cert")
        .replace("tls::key_pem", "tls_config::key")
        .replace("tls::", "tls_config::")
}

fn scheme(given: Option<&str>, path: &str) -> Result<String, BuildError> {
    let scheme = given.map(str::trim).filter(|scheme| !scheme.is_empty());
    let scheme = scheme.unwrap_or("Bearer");
    if scheme.eq_ignore_ascii_case("basic") {
        let message = "the scheme Basic has keys of its own";
        return Err(
            BuildError::at(format!("{path}::authorization::type"), message)
                .remedy("use `basic_auth`"),
        );
    }
    Ok(scheme.to_owned())
}

/// What is written here or in a file, but not in both.
pub(super) fn one(
    inline: &Option<Secret>,
    file: &Option<String>,
    path: String,
) -> Result<Given, BuildError> {
    match (inline, file) {
        (Some(_), Some(_)) => {
            let key = path.rsplit("::").next().unwrap_or_default();
            let remedy = format!("keep one of `{key}` and `{key}_file`");
            Err(BuildError::at(path, "the file of it is given too").remedy(remedy))
        }
        (_, Some(file)) => Ok(Given::File(file.into())),
        (Some(inline), None) => Ok(Given::Inline(inline.clone())),
        (None, None) => Ok(Given::Inline(Secret::default())),
    }
}
