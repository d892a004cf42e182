//! What a peer's answer tells: OTLP's partial success.

use serde::Deserialize;
use tidegate_component::Delivered;
use tidegate_pdata::wire::Cursor;

/// An answer that is no `Export…ServiceResponse`.
#[derive(Debug, thiserror::Error)]
#[error("the answer is no OTLP: {0}")]
pub(crate) struct MalformedAnswer(String);

/// Reads an `Export…ServiceResponse` in protobuf; those of the three signals are alike.
pub(crate) fn delivered(answer: &[u8]) -> Result<Delivered, MalformedAnswer> {
    let mut delivered = Delivered::default();
    let mut fields = Cursor::new(answer);
    let malformed = |error: tidegate_pdata::wire::Malformed| MalformedAnswer(error.to_string());
    while let Some(field) = fields.field().map_err(malformed)? {
        if field.number != 1 {
            continue;
        }
        let mut partial = field.message();
        while let Some(field) = partial.field().map_err(malformed)? {
            match field.number {
                // An int64: what is below zero rejects nothing.
                1 => delivered.rejected = u64::try_from(field.scalar.cast_signed()).unwrap_or(0),
                2 => delivered.message = message(&String::from_utf8_lossy(field.bytes)),
                _ => {}
            }
        }
    }
    Ok(delivered)
}

/// Reads the same in JSON.
pub(crate) fn delivered_json(answer: &[u8]) -> Result<Delivered, MalformedAnswer> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        #[serde(rename = "partialSuccess", alias = "partial_success")]
        partial: Option<Partial>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Partial {
        #[serde(
            rename = "rejectedSpans",
            alias = "rejected_spans",
            alias = "rejectedDataPoints",
            alias = "rejected_data_points",
            alias = "rejectedLogRecords",
            alias = "rejected_log_records"
        )]
        rejected: Count,
        #[serde(rename = "errorMessage", alias = "error_message")]
        message: String,
    }
    /// 64-bit integers are strings in OTLP/JSON, and numbers with some.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Count {
        Number(i64),
        Text(String),
    }
    impl Default for Count {
        fn default() -> Self {
            Self::Number(0)
        }
    }
    let malformed = |error: &dyn std::fmt::Display| MalformedAnswer(error.to_string());
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| malformed(&error))?;
    let partial = answer.partial.unwrap_or_default();
    let rejected = match partial.rejected {
        Count::Number(number) => number,
        Count::Text(text) => text.parse().map_err(|error| malformed(&error))?,
    };
    Ok(Delivered {
        rejected: u64::try_from(rejected).unwrap_or(0),
        message: message(&partial.message),
    })
}

/// What the peer said, as long as people read; none where it said nothing.
fn message(text: &str) -> Option<String> {
    const LONGEST: usize = 1024;
    (!text.is_empty()).then(|| text[..text.floor_char_boundary(LONGEST)].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceResponse,
    };
    use prost::Message;

    fn partial(rejected: i64, message: &str) -> ExportLogsServiceResponse {
        ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: rejected,
                error_message: message.to_owned(),
            }),
        }
    }

    fn told(rejected: u64, message: Option<&str>) -> Delivered {
        Delivered {
            rejected,
            message: message.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn a_partial_success_tells_how_many_were_rejected_and_why() {
        assert_eq!(delivered(b"").unwrap(), told(0, None));
        let answer = partial(3, "too old").encode_to_vec();
        assert_eq!(delivered(&answer).unwrap(), told(3, Some("too old")));
        let answer = partial(-3, "").encode_to_vec();
        assert_eq!(delivered(&answer).unwrap(), told(0, None));
        assert!(delivered(b"<html>").is_err());
    }

    #[test]
    fn the_same_is_read_from_json_in_all_its_spellings() {
        for text in [
            r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#,
            r#"{"partialSuccess":{"rejectedDataPoints":3,"errorMessage":"too old"}}"#,
            r#"{"partial_success":{"rejected_log_records":3,"error_message":"too old"},"x":[]}"#,
        ] {
            assert_eq!(
                delivered_json(text.as_bytes()).unwrap(),
                told(3, Some("too old"))
            );
        }
        for text in [
            "{}",
            r#"{"partialSuccess":{}}"#,
            r#"{"partialSuccess":null}"#,
        ] {
            assert_eq!(delivered_json(text.as_bytes()).unwrap(), told(0, None));
        }
        assert!(delivered_json(b"<html>").is_err());
        assert!(delivered_json(br#"{"partialSuccess":{"rejectedSpans":"x"}}"#).is_err());
    }
}
