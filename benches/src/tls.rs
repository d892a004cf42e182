//! TLS for runs that measure it: a certificate of their own and connections that may or may not use it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A connection, in the clear or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The first byte of a TLS handshake; neither HTTP/1.1 nor HTTP/2 begins with it.
const HANDSHAKE: u8 = 22;

/// The files of one certificate, which is its own authority.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// The files as they are called in `folder`, there or not.
    pub(crate) fn within(folder: &Path) -> Self {
        Self {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        }
    }

    /// Makes a certificate for the loopback and writes it to `folder`.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names)?;
        let files = Self::within(folder);
        fs::write(&files.certificate, made.cert.pem())?;
        fs::write(&files.key, made.signing_key.serialize_pem())?;
        Ok(files)
    }
}

/// Makes the side that connects; it trusts the certificates of `authority` alone.
pub(crate) fn connector(authority: &Path, protocol: &[u8]) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).with_context(|| shown(authority))? {
        roots.add(certificate?)?;
    }
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Makes the side that is connected to.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .with_context(|| shown(certificate))?
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| shown(key))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Secures a connection to `host`.
pub(crate) async fn connect(
    connector: &TlsConnector,
    host: &str,
    stream: TcpStream,
) -> anyhow::Result<Box<dyn Stream>> {
    let name = ServerName::try_from(host.to_owned())?;
    Ok(Box::new(connector.connect(name, stream).await?))
}

/// Takes a connection, by TLS if the other side begins with a handshake.
pub(crate) async fn accept(
    acceptor: Option<&TlsAcceptor>,
    stream: TcpStream,
) -> anyhow::Result<Box<dyn Stream>> {
    if let Some(acceptor) = acceptor {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE {
            return Ok(Box::new(acceptor.accept(stream).await?));
        }
    }
    Ok(Box::new(stream))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
