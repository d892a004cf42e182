//! What an answer means.

use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use tidegate_component::ExportError;
use tidegate_transport::client::{Answer, retry_after};

use super::ProtobufMessage;
use crate::otlp_http::said;

/// The peer, as errors name it.
pub(super) struct Peer<'a>(pub(super) &'a Arc<str>);

impl Peer<'_> {
    pub(super) fn permanent(&self, reason: impl Into<String>, divisible: bool) -> ExportError {
        ExportError::Permanent {
            endpoint: Arc::clone(self.0),
            reason: reason.into(),
            divisible,
        }
    }

    pub(super) fn retryable(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> ExportError {
        ExportError::Retryable {
            endpoint: Arc::clone(self.0),
            source: source.into(),
        }
    }

    /// What a status that is no success means, after the specification of remote write.
    pub(super) fn refused(&self, answer: &Answer, version: ProtobufMessage) -> ExportError {
        let status = answer.status;
        let reason = match said(answer) {
            Some(message) => format!("HTTP {status}: {message}"),
            None => format!("HTTP {status}"),
        };
        match status {
            _ if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                match retry_after(&answer.headers, SystemTime::now()) {
                    after @ Some(wait) if !wait.is_zero() => ExportError::Refused {
                        endpoint: Arc::clone(self.0),
                        after,
                    },
                    _ => self.retryable(reason),
                }
            }
            // Some of the samples are too old, say: the others of a batch are taken in parts.
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => self.permanent(reason, true),
            StatusCode::UNSUPPORTED_MEDIA_TYPE if version == ProtobufMessage::V2 => self.permanent(
                format!("{reason}; does it know remote write 2.0? leave `protobuf_message` away"),
                false,
            ),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => self.permanent(
                format!(
                    "{reason}; is the path of `endpoint` right, as /api/v1/write is Prometheus's, and does it run with --web.enable-remote-write-receiver?"
                ),
                false,
            ),
            _ => self.permanent(reason, false),
        }
    }
}

/// What came of a batch that went out in several requests.
///
/// What may succeed later goes first: what was written is written again then, which changes nothing.
pub(super) fn together(results: Vec<Result<(), ExportError>>) -> Result<(), ExportError> {
    let weight = |error: &ExportError| match error {
        ExportError::Refused { .. } => 3,
        ExportError::Retryable { .. } => 2,
        ExportError::Permanent { divisible, .. } => u8::from(*divisible),
    };
    let errors = results.into_iter().filter_map(Result::err);
    errors.max_by_key(weight).map_or(Ok(()), Err)
}
