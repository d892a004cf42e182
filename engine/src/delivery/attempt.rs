//! One call of an exporter: timed, and with a panic caught.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tidegate_component::ExportError;

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The exporter says why.
    Export(ExportError),
    /// The exporter panicked, saying this.
    Panic(String),
}

/// An exporter that has not answered in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct NoAnswer(Duration);

/// Makes one call; `name` stands for the peer where the exporter could not name it in time.
pub(super) async fn attempt<T>(
    call: impl Future<Output = Result<T, ExportError>>,
    timeout: Option<Duration>,
    name: &Arc<str>,
) -> Result<T, Failure> {
    let call = AssertUnwindSafe(call).catch_unwind();
    let caught = match timeout {
        None => call.await,
        Some(limit) => match tokio::time::timeout(limit, call).await {
            Ok(caught) => caught,
            Err(_) => {
                return Err(Failure::Export(ExportError::Retryable {
                    endpoint: Arc::clone(name),
                    source: Box::new(NoAnswer(limit)),
                }));
            }
        },
    };
    match caught {
        Ok(Ok(delivered)) => Ok(delivered),
        Ok(Err(error)) => Err(Failure::Export(error)),
        Err(panic) => Err(Failure::Panic(said(&*panic))),
    }
}

/// Makes one call that does not wait, with a panic caught.
pub(super) fn caught<T>(call: impl FnOnce() -> Result<T, ExportError>) -> Result<T, Failure> {
    match std::panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(delivered)) => Ok(delivered),
        Ok(Err(error)) => Err(Failure::Export(error)),
        Err(panic) => Err(Failure::Panic(said(&*panic))),
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

/// An error with everything behind it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// How long the peer asked to be left alone.
pub(super) const fn wish(error: &ExportError) -> Option<Duration> {
    match error {
        ExportError::Refused { after, .. } => *after,
        _ => None,
    }
}
