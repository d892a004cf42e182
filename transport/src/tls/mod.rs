//! TLS for both sides: the keys that users write, and rustls configurations made from them.
//!
//! Two steps, so that a configuration can be checked without touching a file:
//! [`ClientTls::check`] and [`ServerTls::check`] look at the keys alone, `load` reads the
//! files. What is loaded hands out a rustls configuration per handshake, and reads its files
//! again when they changed and the configuration asks for that.

mod client;
mod config;
mod der;
mod material;
mod policy;
mod server;
#[cfg(test)]
mod tests;
mod verify;

pub use client::{ClientIdentity, hint};
pub use config::{ClientTls, ServerTls, Tpm, Version};
pub use server::ServerIdentity;

/// What is wrong with TLS settings, or with the files that they name.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TlsError {
    /// The key at fault, relative to `tls`.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where there is one answer.
    pub remedy: Option<String>,
    /// Why.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl TlsError {
    fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self {
            key,
            message: message.into(),
            remedy: None,
            source: None,
        }
    }

    /// Tells of changed files that cannot be used.
    fn tell(&self) {
        tracing::warn!(
            key = self.key,
            error = %self,
            "changed TLS files cannot be used, going on with the earlier ones"
        );
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error as one of the configuration, under the key that holds `tls`.
    #[must_use]
    pub fn at(self, path: &str) -> tidegate_component::BuildError {
        let error =
            tidegate_component::BuildError::at(format!("{path}::{}", self.key), self.message);
        match self.remedy {
            Some(remedy) => error.remedy(remedy),
            None => error,
        }
    }
}

impl From<TlsError> for tidegate_component::StartError {
    fn from(error: TlsError) -> Self {
        Self {
            message: format!("tls::{}: {}", error.key, error.message),
            source: error.source,
        }
    }
}
