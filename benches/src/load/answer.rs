//! What a receiver answers, by either protocol.

use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;

use crate::wire::{Fields, Value};

/// The three ways in which a request can end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Taken, except for the items that a partial success names.
    Accepted { rejected: u64 },
    /// Not now: it may be sent again after the time given.
    Refused { after: Option<Duration> },
    /// Never: sending it again will not help.
    Failed { reason: String },
}

const RESOURCE_EXHAUSTED: u16 = 8;

/// gRPC's statuses that OTLP lets a client retry; RESOURCE_EXHAUSTED only with a RetryInfo.
const RETRYABLE: [u16; 7] = [1, 4, 8, 10, 11, 14, 15];

/// Binary metadata comes with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads a gRPC answer from its trailers (or headers, where there are only those) and framed message.
pub(super) fn of_grpc(trailers: &HeaderMap, message: &[u8]) -> Answer {
    let status = trailers
        .get("grpc-status")
        .and_then(|value| value.to_str().ok()?.parse::<u16>().ok());
    let Some(status) = status else {
        return Answer::Failed {
            reason: "no grpc-status".to_owned(),
        };
    };
    if status == 0 {
        return Answer::Accepted {
            rejected: rejected_items(message.get(5..).unwrap_or_default()),
        };
    }
    let after = trailers
        .get("grpc-status-details-bin")
        .and_then(|details| BASE64.decode(details.as_bytes()).ok())
        .and_then(|details| retry_info(&details));
    let retryable = RETRYABLE.contains(&status);
    if retryable && (status != RESOURCE_EXHAUSTED || after.is_some()) {
        return Answer::Refused { after };
    }
    let text = trailers.get("grpc-message").map(|text| text.as_bytes());
    Answer::Failed {
        reason: format!(
            "grpc-status {status}: {}",
            String::from_utf8_lossy(text.unwrap_or_default())
        ),
    }
}

/// Reads an HTTP answer; 429, 502, 503 and 504 may be retried.
pub(super) fn of_http(status: http::StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    match status.as_u16() {
        200..=299 => Answer::Accepted {
            rejected: rejected_items(body),
        },
        429 | 502 | 503 | 504 => Answer::Refused {
            after: headers
                .get(http::header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(Duration::from_secs),
        },
        code => Answer::Failed {
            reason: format!(
                "status {code}: {}",
                String::from_utf8_lossy(&body[..body.len().min(200)])
            ),
        },
    }
}

/// The count that an `Export…PartialSuccess` names.
fn rejected_items(response: &[u8]) -> u64 {
    match field(response, 1) {
        Some(Value::Bytes(partial)) => match field(partial, 1) {
            Some(Value::Varint(rejected)) => rejected,
            _ => 0,
        },
        _ => 0,
    }
}

/// The delay of the `google.rpc.RetryInfo` among a `google.rpc.Status`'s details.
fn retry_info(status: &[u8]) -> Option<Duration> {
    let mut fields = Fields::of(status);
    while let Some((number, value)) = fields.next().ok()? {
        let (3, Value::Bytes(any)) = (number, value) else {
            continue;
        };
        let Some(Value::Bytes(b"type.googleapis.com/google.rpc.RetryInfo")) = field(any, 1) else {
            continue;
        };
        let Some(Value::Bytes(info)) = field(any, 2) else {
            return Some(Duration::ZERO);
        };
        let Some(Value::Bytes(delay)) = field(info, 1) else {
            return Some(Duration::ZERO);
        };
        let seconds = number_in(delay, 1);
        let nanos = number_in(delay, 2).min(999_999_999);
        return Some(Duration::new(seconds, nanos as u32));
    }
    None
}

fn number_in(message: &[u8], number: u32) -> u64 {
    match field(message, number) {
        Some(Value::Varint(value)) => value,
        _ => 0,
    }
}

/// The last occurrence of a field, as protobuf has it.
fn field(message: &[u8], wanted: u32) -> Option<Value<'_>> {
    let mut fields = Fields::of(message);
    let mut found = None;
    while let Ok(Some((number, value))) = fields.next() {
        if number == wanted {
            found = Some(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{put_bytes, put_str, put_uint};

    fn refusal(status: u16, delay: Option<(u64, u64)>) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.into());
        if let Some((seconds, nanos)) = delay {
            let (mut duration, mut info, mut any, mut rpc) = (vec![], vec![], vec![], vec![]);
            put_uint(&mut duration, 1, seconds);
            put_uint(&mut duration, 2, nanos);
            put_bytes(&mut info, 1, &duration);
            put_str(&mut any, 1, "type.googleapis.com/google.rpc.RetryInfo");
            put_bytes(&mut any, 2, &info);
            put_uint(&mut rpc, 1, u64::from(status));
            put_bytes(&mut rpc, 3, &any);
            let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(rpc);
            trailers.insert("grpc-status-details-bin", details.parse().unwrap());
        }
        trailers
    }

    #[test]
    fn a_refusal_names_the_delay_of_its_retry_info() {
        assert_eq!(
            of_grpc(&refusal(8, Some((1, 500_000_000))), b""),
            Answer::Refused {
                after: Some(Duration::from_millis(1500))
            }
        );
    }

    #[test]
    fn resource_exhausted_without_retry_info_is_final_but_unavailable_is_not() {
        assert!(matches!(
            of_grpc(&refusal(8, None), b""),
            Answer::Failed { .. }
        ));
        assert_eq!(
            of_grpc(&refusal(14, None), b""),
            Answer::Refused { after: None }
        );
    }

    #[test]
    fn a_partial_success_tells_what_was_rejected() {
        let message = [0, 0, 0, 0, 4, 0x0a, 2, 0x08, 7];
        assert_eq!(
            of_grpc(&refusal(0, None), &message),
            Answer::Accepted { rejected: 7 }
        );
    }

    #[test]
    fn http_refusals_carry_retry_after() {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, 3.into());
        assert_eq!(
            of_http(http::StatusCode::TOO_MANY_REQUESTS, &headers, b""),
            Answer::Refused {
                after: Some(Duration::from_secs(3))
            }
        );
        assert!(matches!(
            of_http(http::StatusCode::BAD_REQUEST, &headers, b"x"),
            Answer::Failed { .. }
        ));
    }
}
