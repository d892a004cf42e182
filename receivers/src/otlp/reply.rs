//! Answers of OTLP/HTTP, in the request's own encoding.

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use serde_json::json;
use tidegate_transport::grpc::Status;
use tidegate_transport::server::{Reply, Response};

use crate::web::tell_when;

/// An `Export…ServiceResponse` that rejects nothing, byte for byte the Collector's.
pub(super) const ACCEPTED: Bytes = Bytes::from_static(&[0x0a, 0x00]);

/// How requests and answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

impl Format {
    /// The format that `content-type` names, its parameters aside.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let kind = value.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/x-protobuf") {
            Some(Self::Protobuf)
        } else if kind.eq_ignore_ascii_case("application/json") {
            Some(Self::Json)
        } else {
            None
        }
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}

fn response(code: StatusCode, format: Format, body: Bytes) -> Response {
    let mut response = Response::new(Reply::data(body));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    response
}

/// The answer to a request that was taken.
pub(super) fn accepted(format: Format) -> Response {
    let body = match format {
        Format::Protobuf => ACCEPTED,
        Format::Json => Bytes::from_static(br#"{"partialSuccess":{}}"#),
    };
    response(StatusCode::OK, format, body)
}

/// The answer to a request that was not, as a `google.rpc.Status`.
pub(super) fn refused(format: Format, code: StatusCode, status: &Status) -> Response {
    let body = match format {
        Format::Protobuf => status.encode(),
        Format::Json => json_status(status).to_string().into_bytes(),
    };
    let mut response = response(code, format, Bytes::from(body));
    tell_when(&mut response, status);
    response
}

fn json_status(status: &Status) -> serde_json::Value {
    let mut body = json!({"code": status.code as u8, "message": status.message});
    if let Some(after) = status.retry_after {
        body["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", after.as_secs_f64()),
        }]);
    }
    body
}

/// The answer at a path that nothing is sent to.
pub(super) fn no_such_path() -> Response {
    let mut response = Reply::text(StatusCode::NOT_FOUND, "404 page not found");
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// The answer to a content type that is not OTLP's.
pub(super) fn wrong_type() -> Response {
    let text = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
    Reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::header::RETRY_AFTER;
    use std::time::Duration;
    use tidegate_transport::grpc::Code;

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_exactly_in_the_details() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (30_000, "30")] {
            let after = Duration::from_millis(millis);
            let status = Status::new(Code::ResourceExhausted, "full").retry_after(after);
            let response = refused(Format::Json, status.code.to_http(), &status);
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()[RETRY_AFTER], seconds);
        }
        let after = Duration::from_millis(1500);
        let status = Status::new(Code::Unavailable, "later").retry_after(after);
        assert_eq!(
            json_status(&status).to_string(),
            r#"{"code":14,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}],"message":"later"}"#
        );
    }

    #[test]
    fn content_types_are_read_without_parameters_and_case() {
        for (text, format) in [
            ("application/json; charset=utf-8", Some(Format::Json)),
            ("APPLICATION/JSON", Some(Format::Json)),
            ("application/x-protobuf", Some(Format::Protobuf)),
            ("application/protobuf", None),
            ("text/plain", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(text));
            assert_eq!(Format::of(&headers), format, "{text}");
        }
        assert_eq!(Format::of(&HeaderMap::new()), None);
    }
}
