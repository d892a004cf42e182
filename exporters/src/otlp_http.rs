//! OTLP over HTTP.

mod config;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde::Deserialize;
use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentConfig, Delivered, ExportError, Exporter,
    ExporterContext, Stability, StartError, async_trait,
};
use tidegate_pdata::{Batch, ContextKeys, Payload, json};
use tidegate_transport::client::{
    Answer, Call, HttpChannel, HttpCompression, HttpSettings, Pieces, retry_after,
};
use tidegate_transport::grpc::Status;

use crate::otlp::{MalformedAnswer, delivered, delivered_json};
pub(crate) use config::url;
pub use config::{Config, Encoding, Keys};

/// The most that is read of an answer, as the Collector reads.
const MAX_ANSWER: usize = 64 << 10;

/// A payload that is larger is written as JSON on a blocking thread.
const LONG_JSON: usize = 256 << 10;

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "otlp_http";
    const STABILITY: Stability = Stability::Beta;
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults::HTTP);

    fn build(&self, cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        let urls = self.urls(cx.signals)?;
        Ok(AnyExporter::Remote(Arc::new(OtlpHttp {
            settings: self
                .client
                .build_with(&cx.extensions, HttpCompression::Gzip)?,
            encoding: self.keys.encoding,
            names: urls.each_ref().map(|url| {
                url.as_ref()
                    .map_or_else(|| Arc::from(Self::TYPE), |url| Arc::from(url.to_string()))
            }),
            urls,
            channel: OnceLock::new(),
        })))
    }
}

/// Sends each batch as one POST; its segments together are the body.
struct OtlpHttp {
    settings: HttpSettings,
    encoding: Encoding,
    /// Where each signal goes, and how messages name it.
    urls: [Option<Uri>; 3],
    names: [Arc<str>; 3],
    channel: OnceLock<HttpChannel>,
}

#[async_trait]
impl Exporter for OtlpHttp {
    async fn start(&self, cx: ExporterContext) -> Result<(), StartError> {
        // A second start, which nobody makes, changes nothing.
        let _ = self.channel.set(self.settings.start(Some(cx.workers))?);
        Ok(())
    }

    fn reads(&self) -> ContextKeys {
        self.settings.reads()
    }

    async fn export(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        let peer = Peer(&self.names[batch.signal().index()]);
        let Some(channel) = self.channel.get() else {
            return Err(peer.retryable("the exporter is not started"));
        };
        let Some(uri) = &self.urls[batch.signal().index()] else {
            let reason = format!(
                "neither `endpoint` nor `{}_endpoint` says where to send",
                batch.signal()
            );
            return Err(peer.permanent(reason, false));
        };
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::CONTENT_TYPE, self.encoding.content_type());
        let body = self.body(batch.payload()).await;
        let body = channel
            .encode(body, &mut headers)
            .await
            .map_err(|error| peer.permanent(error.to_string(), false))?;
        let call = Call {
            method: Method::POST,
            uri: uri.clone(),
            headers,
            body,
        };
        let answer = channel
            .send_for(batch.context(), call, MAX_ANSWER)
            .await
            .map_err(|error| peer.retryable(error))?;
        if answer.status.is_success() {
            return taken(&answer).map_err(|error| peer.permanent(error.to_string(), false));
        }
        Err(peer.refused(&answer))
    }
}

impl OtlpHttp {
    async fn body(&self, payload: &Payload) -> Pieces {
        if self.encoding == Encoding::Proto {
            return Pieces::new(
                payload
                    .segments()
                    .iter()
                    .map(|segment| segment.bytes().clone()),
            );
        }
        let print = |payload: &Payload| {
            let mut text = Vec::with_capacity(payload.bytes() * 2);
            let requests = payload.segments().iter().map(|segment| &**segment.bytes());
            json::to_json(payload.signal(), requests, &mut text);
            Pieces::from(Bytes::from(text))
        };
        if payload.bytes() < LONG_JSON {
            return print(payload);
        }
        let owned = payload.clone();
        match tokio::task::spawn_blocking(move || print(&owned)).await {
            Ok(body) => body,
            // The runtime is going down; the delivery will be given up anyway.
            Err(_) => print(payload),
        }
    }
}

/// What the peer took.
fn taken(answer: &Answer) -> Result<Delivered, MalformedAnswer> {
    if answer.body.is_empty() {
        return Ok(Delivered::default());
    }
    match content_type(&answer.headers) {
        b"application/x-protobuf" | b"application/protobuf" => delivered(&answer.body),
        b"application/json" => delivered_json(&answer.body),
        // Some other way of saying yes.
        _ => Ok(Delivered::default()),
    }
}

/// The media type without its parameters.
fn content_type(headers: &HeaderMap) -> &[u8] {
    let value = headers
        .get(header::CONTENT_TYPE)
        .map_or(&b""[..], HeaderValue::as_bytes);
    value
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

/// The peer, as errors name it.
struct Peer<'a>(&'a Arc<str>);

impl Peer<'_> {
    fn permanent(&self, reason: impl Into<String>, divisible: bool) -> ExportError {
        ExportError::Permanent {
            endpoint: Arc::clone(self.0),
            reason: reason.into(),
            divisible,
        }
    }

    fn retryable(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> ExportError {
        ExportError::Retryable {
            endpoint: Arc::clone(self.0),
            source: source.into(),
        }
    }

    /// What a status means, after OTLP's table.
    fn refused(&self, answer: &Answer) -> ExportError {
        let status = answer.status;
        let reason = match said(answer) {
            Some(message) => format!("HTTP {status}: {message}"),
            None => format!("HTTP {status}"),
        };
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                match retry_after(&answer.headers, SystemTime::now()) {
                    after @ Some(wait) if !wait.is_zero() => ExportError::Refused {
                        endpoint: Arc::clone(self.0),
                        after,
                    },
                    _ => self.retryable(reason),
                }
            }
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => self.retryable(reason),
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => self.permanent(reason, true),
            StatusCode::NOT_FOUND => self.permanent(
                format!(
                    "{reason}; is the path of `endpoint` right? it is completed by /v1/<signal>"
                ),
                false,
            ),
            _ => self.permanent(reason, false),
        }
    }
}

/// The message of a `google.rpc.Status` in an answer, or its text where that is short.
pub(crate) fn said(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct JsonStatus {
        message: String,
    }
    const LONGEST: usize = 512;
    let message = match content_type(&answer.headers) {
        b"application/x-protobuf" | b"application/protobuf" => {
            Status::decode(&answer.body)?.message.into_owned()
        }
        b"application/json" => {
            serde_json::from_slice::<JsonStatus>(&answer.body)
                .ok()?
                .message
        }
        b"text/plain" => String::from_utf8_lossy(&answer.body).trim().to_owned(),
        _ => return None,
    };
    (!message.is_empty()).then(|| message[..message.floor_char_boundary(LONGEST)].to_owned())
}
