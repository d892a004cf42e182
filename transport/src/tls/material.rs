//! Certificates, keys and trust, read from files or from the configuration.

use std::fs;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use super::config::{Common, Source};

/// Who is trusted to vouch for a peer.
pub(super) struct Trust {
    pub(super) roots: Arc<RootCertStore>,
    /// The certificates given, which are also trusted as a peer's own.
    pub(super) given: Vec<CertificateDer<'static>>,
}

impl Source<'_> {
    fn read(&self, key: &'static str) -> Result<Vec<u8>, TlsError> {
        if let Some(pem) = self.pem {
            return Ok(pem.as_bytes().to_vec());
        }
        let path = self.file.unwrap_or_default();
        fs::read(path)
            .map_err(|error| TlsError::new(key, format!("cannot read \"{path}\"")).because(error))
    }
}

fn certificates(pem: &[u8], key: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::new(key, "this is not PEM").because(error))?;
    if found.is_empty() {
        return Err(TlsError::new(key, "there is no certificate in this")
            .remedy("give PEM that has a block `-----BEGIN CERTIFICATE-----`"));
    }
    Ok(found)
}

impl Trust {
    /// The CAs given, and the system's where they are asked for or none are given.
    pub(super) fn load(
        source: &Source<'_>,
        key: &'static str,
        with_system: bool,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let mut given = Vec::new();
        if source.is_given() {
            given = certificates(&source.read(key)?, key)?;
            let (added, _) = roots.add_parsable_certificates(given.iter().cloned());
            if added == 0 {
                return Err(TlsError::new(
                    key,
                    "none of the certificates can be used as a CA",
                ));
            }
        }
        if with_system || given.is_empty() {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Ok(Self {
            roots: Arc::new(roots),
            given,
        })
    }
}

/// The certificate and key to present, where they are given.
pub(super) fn identity(
    common: &Common<'_>,
    provider: &CryptoProvider,
) -> Result<Option<CertifiedKey>, TlsError> {
    if !common.certificate.is_given() {
        return Ok(None);
    }
    let chain = certificates(&common.certificate.read("cert_file")?, "cert_file")?;
    let pem = common.key.read("key_file")?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        TlsError::new("key_file", "there is no private key in this").because(error)
    })?;
    CertifiedKey::from_der(chain, key, provider)
        .map(Some)
        .map_err(|error| {
            TlsError::new("key_file", "certificate and private key do not belong together, or are of a kind that is not supported")
                .because(error)
        })
}
