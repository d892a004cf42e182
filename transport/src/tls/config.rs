//! The keys under `tls`, as the Collector's `configtls` has them.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_document::{Duration, Secret};

use super::{TlsError, policy};

/// `tls` of a client.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTls {
    /// Turns TLS off, unless a CA is given.
    pub insecure: bool,
    /// Encrypts without checking who the server is.
    pub insecure_skip_verify: bool,
    /// The name that the server's certificate must carry, and that is sent as SNI, in place of the endpoint's host.
    pub server_name_override: Option<String>,
    /// A PEM file with the certificates of the CAs that may vouch for the server. The system's are used where none is given.
    pub ca_file: Option<String>,
    /// The certificates of `ca_file`, written here.
    pub ca_pem: Option<Secret>,
    /// Trusts the system's CAs beside those given.
    pub include_system_ca_certs_pool: bool,
    /// A PEM file with the certificate to present to the server, its chain after it.
    pub cert_file: Option<String>,
    /// The certificate of `cert_file`, written here.
    pub cert_pem: Option<Secret>,
    /// A PEM file with the private key of the certificate.
    pub key_file: Option<String>,
    /// The key of `key_file`, written here.
    pub key_pem: Option<Secret>,
    /// The lowest version of TLS to speak: 1.2 or 1.3. Lower ones are read as 1.2.
    pub min_version: Option<Version>,
    /// The highest version of TLS to speak: 1.2 or 1.3.
    pub max_version: Option<Version>,
    /// The cipher suites of TLS 1.2 to offer, by their Go names; those of TLS 1.3 are always offered.
    pub cipher_suites: Vec<String>,
    /// Accepted and without effect: there are no insecure cipher suites here.
    pub include_insecure_cipher_suites: bool,
    /// The groups for the key exchange, best first: X25519MLKEM768, X25519, P256, P384.
    pub curve_preferences: Vec<String>,
    /// How often the files are looked at for a change; without it they are read once.
    pub reload_interval: Option<Duration>,
    /// Keys in a trusted platform module: not built.
    pub tpm: Option<Tpm>,
}

/// `tls` of a server.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerTls {
    /// A PEM file with the certificates of the CAs that may vouch for clients, who must then present a certificate.
    pub client_ca_file: Option<String>,
    /// Reads `client_ca_file` again when it changes.
    pub client_ca_file_reload: bool,
    /// Accepted as the original accepts it, and without effect on a server: see `client_ca_file`.
    pub ca_file: Option<String>,
    /// As `ca_file`.
    pub ca_pem: Option<Secret>,
    /// Trusts the system's CAs beside `client_ca_file`.
    pub include_system_ca_certs_pool: bool,
    /// A PEM file with the server's certificate, its chain after it.
    pub cert_file: Option<String>,
    /// The certificate of `cert_file`, written here.
    pub cert_pem: Option<Secret>,
    /// A PEM file with the private key of the certificate.
    pub key_file: Option<String>,
    /// The key of `key_file`, written here.
    pub key_pem: Option<Secret>,
    /// The lowest version of TLS to speak: 1.2 or 1.3. Lower ones are read as 1.2.
    pub min_version: Option<Version>,
    /// The highest version of TLS to speak: 1.2 or 1.3.
    pub max_version: Option<Version>,
    /// The cipher suites of TLS 1.2 to offer, by their Go names; those of TLS 1.3 are always offered.
    pub cipher_suites: Vec<String>,
    /// Accepted and without effect: there are no insecure cipher suites here.
    pub include_insecure_cipher_suites: bool,
    /// The groups for the key exchange, best first: X25519MLKEM768, X25519, P256, P384.
    pub curve_preferences: Vec<String>,
    /// How often the files are looked at for a change; without it they are read once.
    pub reload_interval: Option<Duration>,
    /// Keys in a trusted platform module: not built.
    pub tpm: Option<Tpm>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub enum Version {
    /// TLS 1.0, which nothing here speaks.
    #[serde(rename = "1.0")]
    Tls10,
    /// TLS 1.1, which nothing here speaks.
    #[serde(rename = "1.1")]
    Tls11,
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

/// `tls.tpm`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tpm {
    /// Must be false: keys in a trusted platform module are not built.
    pub enabled: bool,
    /// Accepted and without effect.
    pub path: Option<String>,
    /// Accepted and without effect.
    pub owner_auth: Option<Secret>,
    /// Accepted and without effect.
    pub auth: Option<Secret>,
}

/// The keys that both sides have.
pub(super) struct Common<'a> {
    pub(super) ca: Source<'a>,
    pub(super) system: bool,
    pub(super) certificate: Source<'a>,
    pub(super) key: Source<'a>,
    pub(super) min: Option<Version>,
    pub(super) max: Option<Version>,
    pub(super) cipher_suites: &'a [String],
    pub(super) curves: &'a [String],
    pub(super) reload: std::time::Duration,
    tpm: bool,
}

/// Where a piece of PEM comes from. Empty text counts as absent, as `${env:X:-}` leaves it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: Option<&'a str>,
    pub(super) pem: Option<&'a str>,
}

impl<'a> Source<'a> {
    fn of(file: &'a Option<String>, pem: &'a Option<Secret>) -> Self {
        Self {
            file: file.as_deref().filter(|text| !text.is_empty()),
            pem: pem
                .as_ref()
                .map(Secret::reveal)
                .filter(|text| !text.is_empty()),
        }
    }

    pub(super) const fn is_given(&self) -> bool {
        self.file.is_some() || self.pem.is_some()
    }

    fn check(&self, file: &'static str, pem: &'static str) -> Result<(), TlsError> {
        if self.file.is_some() && self.pem.is_some() {
            return Err(
                TlsError::new(pem, format!("`{file}` and `{pem}` are both given"))
                    .remedy(format!("keep one of `{file}` and `{pem}`")),
            );
        }
        Ok(())
    }
}

macro_rules! common {
    ($tls:expr) => {{
        let tls = $tls;
        Common {
            ca: Source::of(&tls.ca_file, &tls.ca_pem),
            system: tls.include_system_ca_certs_pool,
            certificate: Source::of(&tls.cert_file, &tls.cert_pem),
            key: Source::of(&tls.key_file, &tls.key_pem),
            min: tls.min_version,
            max: tls.max_version,
            cipher_suites: &tls.cipher_suites,
            curves: &tls.curve_preferences,
            reload: tls
                .reload_interval
                .map_or(std::time::Duration::ZERO, Into::into),
            tpm: tls.tpm.as_ref().is_some_and(|tpm| tpm.enabled),
        }
    }};
}

impl Common<'_> {
    fn check(&self) -> Result<(), TlsError> {
        self.ca.check("ca_file", "ca_pem")?;
        self.certificate.check("cert_file", "cert_pem")?;
        self.key.check("key_file", "key_pem")?;
        if self.certificate.is_given() != self.key.is_given() {
            let (key, message) = if self.key.is_given() {
                (
                    "cert_file",
                    "a private key is given without its certificate",
                )
            } else {
                ("key_file", "a certificate is given without its private key")
            };
            return Err(TlsError::new(key, message).remedy(
                "give both `cert_file` and `key_file` (or `cert_pem` and `key_pem`), or neither",
            ));
        }
        if self.tpm {
            return Err(
                TlsError::new("tpm", "keys in a trusted platform module are not built")
                    .remedy("give the key by `key_file` or `key_pem`"),
            );
        }
        policy::versions(self.min, self.max)?;
        policy::provider(self.cipher_suites, self.curves)?;
        Ok(())
    }
}

impl ClientTls {
    pub(super) fn common(&self) -> Common<'_> {
        common!(self)
    }

    /// Whether the keys ask for no TLS at all: `insecure` without a CA.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        self.insecure && !self.common().ca.is_given()
    }

    /// Checks what can be checked without reading a file.
    ///
    /// # Errors
    /// When keys contradict each other, or name a version, suite or group that is not known.
    pub fn check(&self) -> Result<(), TlsError> {
        self.common().check()
    }
}

impl ServerTls {
    pub(super) fn common(&self) -> Common<'_> {
        common!(self)
    }

    pub(super) fn client_ca(&self) -> Option<&str> {
        self.client_ca_file
            .as_deref()
            .filter(|path| !path.is_empty())
    }

    /// Checks what can be checked without reading a file.
    ///
    /// # Errors
    /// When keys contradict each other, name a version, suite or group that is not known, or
    /// give no certificate.
    pub fn check(&self) -> Result<(), TlsError> {
        let common = self.common();
        common.check()?;
        if !common.certificate.is_given() {
            return Err(TlsError::new("cert_file", "a server needs a certificate")
                .remedy("give `cert_file` and `key_file`, or take the `tls` key away to serve plaintext"));
        }
        Ok(())
    }
}
