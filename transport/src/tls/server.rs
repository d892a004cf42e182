//! The server's side: what to present, and which clients to take.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;

use super::client::{unsupported, watched};
use super::config::Source;
use super::material::{self, Trust};
use super::{ServerTls, TlsError, policy, verify};
use crate::Reloading;

/// How often `client_ca_file` is looked at, at most, where it is to be read again on a change.
const CLIENT_CA_INTERVAL: Duration = Duration::from_secs(1);

/// What a server needs to speak TLS: loaded once, following its files where asked to.
pub struct ServerIdentity(Reloading<Arc<ServerConfig>, TlsError>);

impl std::fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerIdentity").finish_non_exhaustive()
    }
}

impl ServerIdentity {
    /// Reads the files. `alpn` lists the protocols to take, best first.
    ///
    /// # Errors
    /// When a file cannot be read or does not hold what it should.
    pub fn load(tls: &ServerTls, alpn: &[&str]) -> Result<Self, TlsError> {
        tls.check()?;
        let (files, interval) = watch(tls);
        let (tls, alpn) = (
            tls.clone(),
            alpn.iter()
                .map(|name| name.as_bytes().to_vec())
                .collect::<Vec<_>>(),
        );
        let make = move || config(&tls, &alpn).map(Arc::new);
        Reloading::new(files, interval, make, TlsError::tell).map(Self)
    }

    /// The configuration for the next handshake, for a `TlsAcceptor`.
    ///
    /// May read small files, at most once per interval.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.current())
    }
}

/// The files to follow, and how often to look at them; zero for never.
fn watch(tls: &ServerTls) -> (Vec<PathBuf>, Duration) {
    let common = tls.common();
    let mut files = Vec::new();
    let mut interval = common.reload;
    if !interval.is_zero() {
        files = watched(&common);
    }
    if let (Some(path), true) = (tls.client_ca(), tls.client_ca_file_reload) {
        files.push(PathBuf::from(path));
        interval = if interval.is_zero() {
            CLIENT_CA_INTERVAL
        } else {
            interval.min(CLIENT_CA_INTERVAL)
        };
    }
    (files, interval)
}

fn config(tls: &ServerTls, alpn: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
    let common = tls.common();
    let provider = policy::provider(common.cipher_suites, common.curves)?;
    let versions = policy::versions(common.min, common.max)?;
    let identity = material::identity(&common, &provider)?
        .ok_or_else(|| TlsError::new("cert_file", "a server needs a certificate"))?;
    let clients = match tls.client_ca() {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(path) => {
            let source = Source {
                file: Some(path),
                pem: None,
            };
            let trust = Trust::load(&source, "client_ca_file", common.system)?;
            let clients = verify::Client::new(trust, Arc::clone(&provider)).map_err(|error| {
                TlsError::new("client_ca_file", "this cannot vouch for clients").because(error)
            })?;
            Arc::new(clients)
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(unsupported)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    config.alpn_protocols = alpn.to_vec();
    Ok(config)
}
