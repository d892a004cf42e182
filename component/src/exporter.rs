//! Exporters deliver telemetry.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidegate_document::ComponentId;
use tidegate_pdata::{Batch, Budget, ContextKeys};

use crate::{BulkExporter, StartError, Workers};

/// What a delivery reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Items of the batch that the peer would not take (OTLP's partial success).
    pub rejected: u64,
    /// What the peer said, where it said something.
    pub message: Option<String>,
}

/// Why a delivery failed; the kind says what the engine does next.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The same batch may succeed later.
    #[error("{endpoint} is unavailable")]
    Retryable {
        /// The peer.
        endpoint: Arc<str>,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The peer asked to wait.
    #[error("{endpoint} is overloaded")]
    Refused {
        /// The peer.
        endpoint: Arc<str>,
        /// How long it asked to wait.
        after: Option<Duration>,
    },
    /// The same batch will always fail.
    #[error("{endpoint} rejected the batch: {reason}")]
    Permanent {
        /// The peer.
        endpoint: Arc<str>,
        /// What the peer said.
        reason: String,
        /// Whether a part of the batch may be taken where the whole is not (400, 413,
        /// INVALID_ARGUMENT): the engine then bisects it.
        divisible: bool,
    },
}

/// What an exporter gets at its start.
#[derive(Clone, Debug)]
pub struct ExporterContext {
    /// Its name in the configuration.
    pub id: ComponentId,
    /// Where its tasks run.
    pub workers: Workers,
    /// The byte budget of the process.
    pub budget: Arc<Budget>,
    /// The time that the engine gives one attempt, for exporters that tell their peer.
    pub timeout: Option<Duration>,
}

/// Delivers telemetry, one batch at a time. One instance serves all signals and workers.
#[async_trait]
pub trait Exporter: Send + Sync {
    /// Opens what must stay open; a peer that is away is no error.
    async fn start(&self, _cx: ExporterContext) -> Result<(), StartError> {
        Ok(())
    }

    /// What it reads of a batch's context, so that a queue on disk keeps it.
    fn reads(&self) -> ContextKeys {
        ContextKeys::default()
    }

    /// Delivers one batch. The engine sets the timeout, retries and limits concurrency.
    async fn export(&self, batch: &Batch) -> Result<Delivered, ExportError>;

    /// Closes; nothing is in flight any more.
    async fn stop(&self) {}
}

/// Takes batches on the spot, without waiting: into memory, onto the console.
///
/// It has no queue; points reach it in the order in which they arrived.
#[async_trait]
pub trait InlineExporter: Send + Sync {
    /// Opens listeners and files.
    async fn start(&self, _cx: ExporterContext) -> Result<(), StartError> {
        Ok(())
    }

    /// Takes one batch, on the worker where it came.
    fn apply(&self, batch: &Batch) -> Result<Delivered, ExportError>;

    /// Closes; no batch comes any more.
    async fn stop(&self) {}
}

/// What an exporter's configuration builds.
#[derive(Clone)]
pub enum AnyExporter {
    /// Delivers batch by batch to a peer, behind queue and retry.
    Remote(Arc<dyn Exporter>),
    /// Takes batches on the spot.
    Inline(Arc<dyn InlineExporter>),
    /// Collects batches into objects.
    Bulk(Arc<dyn BulkExporter>),
}

impl fmt::Debug for AnyExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Remote(_) => "Remote",
            Self::Inline(_) => "Inline",
            Self::Bulk(_) => "Bulk",
        })
    }
}
