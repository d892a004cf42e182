//! What an OTLP peer answers, as the engine wants it.
//!
//! Source: the OTLP specification, "OTLP/gRPC Response" and "Failures".

use std::sync::Arc;

use tidegate_component::{Delivered, ExportError};
use tidegate_pdata::wire::{Cursor, Malformed, WireType};
use tidegate_transport::client::CallError;
use tidegate_transport::grpc::{Code, Status};

/// Reads an `Export…ServiceResponse`; its three kinds have the same fields.
pub(super) fn delivered(response: &[u8]) -> Result<Delivered, Malformed> {
    const PARTIAL_SUCCESS: u32 = 1;
    const REJECTED: u32 = 1;
    const MESSAGE: u32 = 2;
    let mut delivered = Delivered::default();
    let mut cursor = Cursor::new(response);
    while let Some(field) = cursor.field()? {
        if (field.number, field.wire) != (PARTIAL_SUCCESS, WireType::Len) {
            continue;
        }
        let mut partial = field.message();
        while let Some(field) = partial.field()? {
            match (field.number, field.wire) {
                // A negative count would be a peer's mistake.
                (REJECTED, WireType::Varint) => {
                    delivered.rejected = u64::try_from(field.scalar.cast_signed()).unwrap_or(0);
                }
                (MESSAGE, WireType::Len) if !field.bytes.is_empty() => {
                    delivered.message = Some(String::from_utf8_lossy(field.bytes).into_owned());
                }
                _ => {}
            }
        }
    }
    Ok(delivered)
}

/// Sorts a failed call by what may help.
pub(super) fn failed(endpoint: &Arc<str>, error: CallError) -> ExportError {
    match error {
        CallError::Status(status) => refused(endpoint, status),
        error @ (CallError::Unreachable(_) | CallError::Broken(_)) => ExportError::Retryable {
            endpoint: Arc::clone(endpoint),
            source: Box::new(error),
        },
    }
}

/// Sorts a status as the Collector's exporter does: six codes are worth another try, and
/// RESOURCE_EXHAUSTED where the peer says when.
fn refused(endpoint: &Arc<str>, status: Status) -> ExportError {
    let endpoint = Arc::clone(endpoint);
    let retryable = matches!(
        status.code,
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
    );
    match (status.code, status.retry_after) {
        (Code::ResourceExhausted, after @ Some(_)) => ExportError::Refused { endpoint, after },
        (_, after @ Some(_)) if retryable => ExportError::Refused { endpoint, after },
        _ if retryable => ExportError::Retryable {
            endpoint,
            source: Box::new(status),
        },
        (code, _) => ExportError::Permanent {
            endpoint,
            reason: status.to_string(),
            divisible: matches!(code, Code::InvalidArgument | Code::ResourceExhausted),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn reads_partial_success_and_nothing() {
        assert_eq!(delivered(&[]).unwrap(), Delivered::default());
        let partial = [0x0a, 0x06, 0x08, 0x03, 0x12, 0x02, b'n', b'o'];
        let expected = Delivered {
            rejected: 3,
            message: Some("no".to_owned()),
        };
        assert_eq!(delivered(&partial).unwrap(), expected);
        assert!(delivered(&[0x0a, 0x06, 0x08]).is_err());
    }

    #[test]
    fn resource_exhausted_is_worth_another_try_only_when_the_peer_says_when() {
        let endpoint: Arc<str> = "peer:4317".into();
        let full = || Status::new(Code::ResourceExhausted, "full");
        assert!(matches!(
            refused(&endpoint, full()),
            ExportError::Permanent {
                divisible: true,
                ..
            }
        ));
        let after = Some(Duration::from_secs(2));
        assert!(matches!(
            refused(&endpoint, full().retry_after(Duration::from_secs(2))),
            ExportError::Refused { after: said, .. } if said == after
        ));
    }

    #[test]
    fn six_codes_are_worth_another_try_and_the_others_are_final() {
        let endpoint: Arc<str> = "peer:4317".into();
        let retried = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        for code in retried {
            let error = refused(&endpoint, Status::new(code, ""));
            assert!(matches!(error, ExportError::Retryable { .. }), "{code:?}");
        }
        for code in [Code::InvalidArgument, Code::Unauthenticated, Code::Internal] {
            let error = refused(&endpoint, Status::new(code, ""));
            assert!(matches!(error, ExportError::Permanent { .. }), "{code:?}");
        }
    }
}
