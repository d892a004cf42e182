//! The client's side: who to trust, what to present, and what a failed handshake means.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::config::Common;
use super::material::{self, Trust};
use super::{ClientTls, TlsError, policy, verify};
use crate::Reloading;

/// What a client needs to speak TLS: loaded once, following its files where asked to.
pub struct ClientIdentity {
    configs: Reloading<ClientConfig, TlsError>,
    name: Option<ServerName<'static>>,
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientIdentity")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ClientIdentity {
    /// Reads the files. `alpn` lists the protocols to offer, best first.
    ///
    /// # Errors
    /// When a file cannot be read or does not hold what it should.
    pub fn load(tls: &ClientTls, alpn: &[&str]) -> Result<Self, TlsError> {
        tls.check()?;
        let name = tls
            .server_name_override
            .as_deref()
            .filter(|name| !name.is_empty());
        let name = name.map(server_name).transpose()?;
        let common = tls.common();
        let (files, interval) = (watched(&common), common.reload);
        let (tls, alpn) = (
            tls.clone(),
            alpn.iter()
                .map(|name| name.as_bytes().to_vec())
                .collect::<Vec<_>>(),
        );
        let configs = Reloading::new(files, interval, move || config(&tls, &alpn), TlsError::tell)?;
        Ok(Self { configs, name })
    }

    /// Speaks TLS over a connection to `host`.
    ///
    /// # Errors
    /// When the handshake fails; [`hint`] says more about the error.
    pub async fn connect<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        io: T,
    ) -> io::Result<TlsStream<T>> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(host)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?,
        };
        TlsConnector::from(self.configs.current())
            .connect(name, io)
            .await
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|error| {
        TlsError::new(
            "server_name_override",
            format!("\"{name}\" is no DNS name and no address"),
        )
        .because(error)
    })
}

pub(super) fn watched(common: &Common<'_>) -> Vec<PathBuf> {
    [common.ca.file, common.certificate.file, common.key.file]
        .into_iter()
        .flatten()
        .map(PathBuf::from)
        .collect()
}

fn config(tls: &ClientTls, alpn: &[Vec<u8>]) -> Result<ClientConfig, TlsError> {
    let common = tls.common();
    let provider = policy::provider(common.cipher_suites, common.curves)?;
    let versions = policy::versions(common.min, common.max)?;
    let trust = Trust::load(&common.ca, "ca_file", common.system)?;
    let identity = material::identity(&common, &provider)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(unsupported)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verify::Server {
            trust,
            provider,
            skip: tls.insecure_skip_verify,
        }));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(present(identity)),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.to_vec();
    Ok(config)
}

fn present(identity: CertifiedKey) -> Arc<dyn ResolvesClientCert> {
    Arc::new(SingleCertAndKey::from(identity))
}

/// The named suites and versions leave nothing to speak.
pub(super) fn unsupported(error: Error) -> TlsError {
    TlsError::new(
        "cipher_suites",
        "the cipher suites named belong to none of the versions of TLS allowed",
    )
    .because(error)
}

/// What a user may do about a failed handshake or a connection that TLS ended.
#[must_use]
pub fn hint(error: &io::Error) -> Option<&'static str> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            "the peer does not speak TLS; write `tls: {insecure: true}` to speak plaintext"
        }
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "no trusted CA vouches for the peer's certificate; name its CA in `tls.ca_file`",
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "the peer's certificate is for another name; write the right one into `endpoint` or `tls.server_name_override`"
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the peer's certificate has expired",
        Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate,
        ) => "the peer wants a client certificate; give `tls.cert_file` and `tls.key_file`",
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError,
        ) => "the peer does not trust the client certificate in `tls.cert_file`",
        Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "the client certificate in `tls.cert_file` has expired"
        }
        Error::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
        ) => {
            "the peer allows no version of TLS or cipher suite that is allowed here; look at `tls.min_version` and `tls.cipher_suites`"
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::NoApplicationProtocol => "the peer speaks another protocol on this port",
        _ => return None,
    })
}
