//! `prometheus_remote_write`: writes metrics to Prometheus, Mimir, Thanos and whatever else takes its remote write.
//!
//! The way of a batch: [`convert`] walks its views and gathers [`series`], whose texts are [`symbols`]; [`request`]
//! writes them as requests of either version, none larger than is wanted; [`answer`] says what came of one.
//! The engine delivers batch by batch in order, so that no series overtakes itself; the requests of one batch share no
//! series and go out side by side.

mod answer;
mod config;
mod convert;
mod meters;
mod request;
mod series;
mod symbols;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use tidegate_component::delivery::{Delivery, DeliveryDefaults, Pace};
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentConfig, Delivered, ExportError, Exporter,
    ExporterContext, Stability, StartError, async_trait,
};
use tidegate_pdata::{Batch, Context, ContextKeys, Payload, Signals};
use tidegate_transport::client::{Call, HttpChannel, HttpCompression, HttpSettings, Pieces};

pub use config::{
    Config, HttpBlock, Keys, ProtobufMessage, QueueKeys, TargetInfo, TimeoutKey, Wal,
};

use answer::Peer;
use convert::{Converted, Plan};
use meters::Meters;
use request::Request;

/// The most that is read of an answer.
const MAX_ANSWER: usize = 16 << 10;

/// A payload that is larger is converted on a blocking thread.
const LONG: usize = 256 << 10;

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "prometheus_remote_write";
    const SIGNALS: Signals = Signals::METRICS;
    const STABILITY: Stability = Stability::Beta;
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults {
        timeout_ms: 5_000,
        queue: true,
        retry: true,
        pace: Pace {
            initial_ms: 50,
            longest_ms: 200,
            total_ms: 60_000,
        },
        ordered: true,
    });

    fn shape_delivery(&self, keys: &mut Delivery) {
        self.shape(keys);
    }

    fn build(&self, cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        let (uri, settings) = self.client(cx)?;
        let plan = self.plan()?;
        if self.keys.wal.is_some() {
            tracing::warn!(
                exporter = %cx.id,
                "wal does nothing: a queue on disk is had by `sending_queue: {{storage: file_storage}}` and the extension file_storage"
            );
        }
        Ok(AnyExporter::Remote(Arc::new(RemoteWrite {
            settings,
            name: Arc::from(uri.to_string()),
            uri,
            parallel: self.parallel(),
            meters: Meters::new(cx, self.parallel()),
            plan: Arc::new(plan),
            channel: OnceLock::new(),
            unconfirmed: AtomicBool::new(false),
        })))
    }
}

/// Converts each batch and sends it in one request or several.
struct RemoteWrite {
    settings: HttpSettings,
    uri: Uri,
    /// The peer, as messages name it.
    name: Arc<str>,
    plan: Arc<Plan>,
    /// Requests of one batch at a time.
    parallel: usize,
    meters: Meters,
    channel: OnceLock<HttpChannel>,
    /// Whether it was said that the peer does not confirm what it writes.
    unconfirmed: AtomicBool,
}

#[async_trait]
impl Exporter for RemoteWrite {
    async fn start(&self, cx: ExporterContext) -> Result<(), StartError> {
        // A second start, which nobody makes, changes nothing.
        let _ = self.channel.set(self.settings.start(Some(cx.workers))?);
        Ok(())
    }

    fn reads(&self) -> ContextKeys {
        self.settings.reads()
    }

    async fn export(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        let Converted {
            requests,
            rejected,
            series,
            collided,
        } = self.convert(batch.payload()).await;
        let results: Vec<_> = futures_util::stream::iter(requests)
            .map(|request| self.send(batch.context(), request))
            .buffer_unordered(self.parallel)
            .collect()
            .await;
        answer::together(results)?;
        self.meters.translated(series, collided);
        let delivered = Delivered {
            rejected: rejected.total(),
            message: rejected.last().map(|reason| reason.message().to_owned()),
        };
        self.meters.rejected(&rejected);
        Ok(delivered)
    }
}

impl RemoteWrite {
    async fn convert(&self, payload: &Payload) -> Converted {
        if payload.bytes() >= LONG {
            let (plan, owned) = (Arc::clone(&self.plan), payload.clone());
            let made = tokio::task::spawn_blocking(move || plan.convert(&owned, now()));
            if let Ok(converted) = made.await {
                return converted;
            }
            // The runtime is going down; the delivery will be given up anyway.
        }
        self.plan.convert(payload, now())
    }

    async fn send(&self, context: &Context, request: Request) -> Result<(), ExportError> {
        let peer = Peer(&self.name);
        let Some(channel) = self.channel.get() else {
            return Err(peer.retryable("the exporter is not started"));
        };
        let version = self.plan.version;
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::CONTENT_TYPE, version.content_type());
        headers.insert("x-prometheus-remote-write-version", version.number());
        let body = channel
            .encode(Pieces::new(request.body), &mut headers)
            .await
            .map_err(|error| peer.permanent(error.to_string(), false))?;
        let call = Call {
            method: Method::POST,
            uri: self.uri.clone(),
            headers,
            body,
        };
        self.meters.sent.add(1);
        let answer = channel
            .send_for(context, call, MAX_ANSWER)
            .await
            .map_err(|error| peer.retryable(error))?;
        if !answer.status.is_success() {
            return Err(peer.refused(&answer, version));
        }
        let confirmed = self.meters.written(&answer.headers);
        if version == ProtobufMessage::V2 && !confirmed && !self.unconfirmed.swap(true, Relaxed) {
            tracing::warn!(
                endpoint = %self.name,
                "the peer does not say how much it wrote: it may not know remote write 2.0, and have written nothing"
            );
        }
        Ok(())
    }
}

impl ProtobufMessage {
    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        })
    }

    const fn number(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::V1 => "0.1.0",
            Self::V2 => "2.0.0",
        })
    }
}

/// What remote write compresses by, in either version.
const COMPRESSION: HttpCompression = HttpCompression::Snappy;

/// The time of points that have none, in milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
