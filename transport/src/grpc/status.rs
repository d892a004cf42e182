//! A status: code, message and when to try again, in headers and as `google.rpc.Status`.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_pdata::Refusal;
use tidegate_pdata::wire::{Cursor, put_bytes, put_uint};

use super::Code;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code:?}: {message}")]
pub struct Status {
    /// The code.
    pub code: Code,
    /// What happened, for people.
    pub message: Cow<'static, str>,
    /// When the same request may be sent again (`google.rpc.RetryInfo`).
    pub retry_after: Option<Duration>,
}

impl Status {
    /// A status without a time to try again.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Adds when the same request may be sent again.
    #[must_use]
    pub const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The headers that end a call.
    ///
    /// The message is percent-encoded; the details are there only where there is something
    /// that code and message do not say.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(GRPC_STATUS, HeaderValue::from(self.code as u16));
        if !self.message.is_empty() {
            headers.insert(GRPC_MESSAGE, percent_encoded(&self.message));
        }
        if self.retry_after.is_some() {
            let details = STANDARD_NO_PAD.encode(self.encode());
            let details = HeaderValue::try_from(details).expect("base64 is printable ASCII");
            headers.insert(GRPC_DETAILS, details);
        }
        headers
    }

    /// The status in the headers that end a call; none where they have no `grpc-status`.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let number = headers.get(GRPC_STATUS)?.to_str().ok();
        let code = number
            .and_then(|number| number.parse().ok())
            .map_or(Code::Unknown, Code::from_number);
        let message = headers
            .get(GRPC_MESSAGE)
            .map(|message| percent_decoded(message.as_bytes()))
            .unwrap_or_default();
        let details = headers.get(GRPC_DETAILS).and_then(|details| {
            let text = details.as_bytes();
            let bytes = STANDARD_NO_PAD
                .decode(text)
                .or_else(|_| STANDARD.decode(text));
            Self::decode(&bytes.ok()?)
        });
        Some(Self {
            code,
            message: Cow::Owned(message),
            retry_after: details.and_then(|details| details.retry_after),
        })
    }

    /// The status as a `google.rpc.Status` in protobuf, as OTLP/HTTP answers errors.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.message.len() + 80);
        if self.code != Code::Ok {
            put_uint(&mut out, 1, self.code as u64);
        }
        if !self.message.is_empty() {
            put_bytes(&mut out, 2, self.message.as_bytes());
        }
        if let Some(after) = self.retry_after {
            let mut duration = Vec::new();
            if after.as_secs() > 0 {
                put_uint(&mut duration, 1, after.as_secs());
            }
            if after.subsec_nanos() > 0 {
                put_uint(&mut duration, 2, u64::from(after.subsec_nanos()));
            }
            let mut info = Vec::new();
            put_bytes(&mut info, 1, &duration);
            let mut detail = Vec::new();
            put_bytes(&mut detail, 1, RETRY_INFO.as_bytes());
            put_bytes(&mut detail, 2, &info);
            put_bytes(&mut out, 3, &detail);
        }
        out
    }

    /// Reads a `google.rpc.Status`; none where the bytes are no protobuf message.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut status = Self::new(Code::Ok, "");
        let mut fields = Cursor::new(bytes);
        while let Some(field) = fields.field().ok()? {
            match field.number {
                1 => status.code = Code::from_number(field.scalar),
                2 => {
                    let text = String::from_utf8_lossy(field.bytes).into_owned();
                    status.message = Cow::Owned(text);
                }
                3 => status.retry_after = retry_delay(field.message()).or(status.retry_after),
                _ => {}
            }
        }
        Some(status)
    }
}

/// The delay in a `google.protobuf.Any`, where it is a `RetryInfo`.
fn retry_delay(detail: Cursor<'_>) -> Option<Duration> {
    let url = detail.into_iter().find(|field| field.number == 1)?;
    if !url.bytes.ends_with(b"/google.rpc.RetryInfo") {
        return None;
    }
    let value = detail.into_iter().find(|field| field.number == 2)?;
    let delay = value.message().find(|field| field.number == 1)?;
    let scalar = |number| {
        let found = delay.message().find(|field| field.number == number);
        found.map_or(0, |field| field.scalar)
    };
    // Negative delays come as huge numbers: no delay.
    let secs = i64::try_from(scalar(1)).unwrap_or(0).cast_unsigned();
    let nanos = u32::try_from(scalar(2)).unwrap_or(0).min(999_999_999);
    Some(Duration::new(secs, nanos))
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        Self::new(Code::ResourceExhausted, refusal.reason).retry_after(refusal.after)
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'%'
}

fn percent_encoded(text: &str) -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(byte);
        } else {
            let [high, low] = [byte >> 4, byte & 15].map(|half| HEX[usize::from(half)]);
            out.extend([b'%', high, low]);
        }
    }
    HeaderValue::try_from(out).expect("percent-encoded text is printable ASCII")
}

fn percent_decoded(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| char::from(*after.get(at)?).to_digit(16);
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_status_survives_headers(
            number in 0u64..17, message in ".*", after in prop::option::of((0u64..1 << 40, 0u32..1_000_000_000)),
        ) {
            let mut status = Status::new(Code::from_number(number), message);
            status.retry_after = after.map(|(secs, nanos)| Duration::new(secs, nanos));
            prop_assert_eq!(Status::from_headers(&status.headers()), Some(status.clone()));
            prop_assert_eq!(Status::decode(&status.encode()), Some(status));
        }

        #[test]
        fn any_header_is_read(text in prop::collection::vec(any::<u8>(), 0..50)) {
            if let Ok(value) = HeaderValue::from_bytes(&text) {
                let mut headers = HeaderMap::new();
                for name in [GRPC_STATUS, GRPC_MESSAGE, GRPC_DETAILS] {
                    headers.insert(name, value.clone());
                }
                prop_assert!(Status::from_headers(&headers).is_some());
            }
            let _ = Status::decode(&text);
        }
    }

    #[test]
    fn message_is_percent_encoded_outside_printable_ascii() {
        let headers = Status::new(Code::Internal, "10% of\nnaïve").headers();
        assert_eq!(headers["grpc-message"], "10%25 of%0Ana%C3%AFve");
    }

    #[test]
    fn matches_the_published_status_message() {
        #[derive(prost::Message)]
        struct Any {
            #[prost(string, tag = "1")]
            type_url: String,
            #[prost(bytes = "vec", tag = "2")]
            value: Vec<u8>,
        }
        #[derive(prost::Message)]
        struct RpcStatus {
            #[prost(int32, tag = "1")]
            code: i32,
            #[prost(string, tag = "2")]
            message: String,
            #[prost(message, repeated, tag = "3")]
            details: Vec<Any>,
        }
        let status =
            Status::new(Code::ResourceExhausted, "full").retry_after(Duration::from_millis(1500));
        let read: RpcStatus = prost::Message::decode(&*status.encode()).unwrap();
        assert_eq!((read.code, &*read.message), (8, "full"));
        assert_eq!(read.details[0].type_url, RETRY_INFO);
        // RetryInfo{retry_delay: {seconds: 1, nanos: 500_000_000}}
        assert_eq!(
            read.details[0].value,
            [0x0a, 8, 0x08, 1, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01]
        );
    }
}
