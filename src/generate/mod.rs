//! `tidegate generate`: sends realistic telemetry, so that a newcomer sees something at once.

mod logs;
mod metrics;
mod progress;
mod shop;
mod traces;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::cli::{Generate, Kind};
use metrics::Totals;
use progress::Progress;
use shop::{Settings, Shop};

/// Log records a request.
const RECORDS: u64 = 50;
/// Data points a request: each route's counter, histogram and a session once.
const POINTS: u64 = 18;
/// How often a refused request is repeated before it counts as refused.
const ATTEMPTS: u32 = 5;

/// Sends until the count is reached or the process is interrupted, then says what it sent.
pub(crate) async fn run(options: &Generate) -> anyhow::Result<()> {
    let endpoint = if options.endpoint.contains("://") {
        options.endpoint.clone()
    } else {
        format!("http://{}", options.endpoint)
    };
    let channel = Channel::from_shared(endpoint.clone())
        .with_context(|| format!("{endpoint} is not an endpoint; write host:port"))?
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(10))
        .connect()
        .await
        .with_context(|| format!("nothing takes OTLP/gRPC at {endpoint}; is tidegate running?"))?;
    let shop = Shop::new(Settings {
        services: options.services,
        cardinality: options.cardinality,
        errors: options.errors,
        seed: options.seed,
    });
    let mut sender = Sender::new(channel, options.signal, shop);
    let mut progress = Progress::new(options);
    let sent = tokio::select! {
        sent = sender.send_all(options, &mut progress) => sent,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    progress.finish(&endpoint);
    sent
}

struct Sender {
    kind: Kind,
    shop: Shop,
    totals: Totals,
    traces: TraceServiceClient<Channel>,
    metrics: MetricsServiceClient<Channel>,
    logs: LogsServiceClient<Channel>,
}

impl Sender {
    fn new(channel: Channel, kind: Kind, shop: Shop) -> Self {
        Self {
            kind,
            shop,
            totals: Totals::default(),
            traces: TraceServiceClient::new(channel.clone()),
            metrics: MetricsServiceClient::new(channel.clone()),
            logs: LogsServiceClient::new(channel),
        }
    }

    async fn send_all(
        &mut self,
        options: &Generate,
        progress: &mut Progress,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        while options.count == 0 || progress.done() < options.count {
            let left = match options.count {
                0 => u64::MAX,
                count => count - progress.done(),
            };
            let (items, rejected) = self.send(left).await?;
            progress.add(items, rejected);
            if options.rate > 0 {
                let due = progress.done() as f64 / options.rate as f64;
                tokio::time::sleep_until(start + Duration::from_secs_f64(due)).await;
            }
        }
        Ok(())
    }

    /// Sends one request of at most `left` items; gives how many it had and how many were rejected.
    async fn send(&mut self, left: u64) -> anyhow::Result<(u64, u64)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let now = u64::try_from(now.as_nanos())?;
        match self.kind {
            Kind::Traces => {
                let limit = usize::try_from(left).unwrap_or(usize::MAX);
                let request = traces::trace(&mut self.shop, now, limit);
                let items = spans(&request);
                let client = &self.traces;
                let answer =
                    patiently(async || client.clone().export(request.clone()).await).await?;
                let partial = answer.into_inner().partial_success;
                Ok((items, partial.map_or(0, |p| rejected(p.rejected_spans))))
            }
            Kind::Metrics => {
                let items = left.min(POINTS);
                let request =
                    metrics::metrics(&mut self.shop, &mut self.totals, now, items as usize);
                let client = &self.metrics;
                let answer =
                    patiently(async || client.clone().export(request.clone()).await).await?;
                let partial = answer.into_inner().partial_success;
                Ok((
                    items,
                    partial.map_or(0, |p| rejected(p.rejected_data_points)),
                ))
            }
            Kind::Logs => {
                let items = left.min(RECORDS);
                let request = logs::logs(&mut self.shop, now, items as usize);
                let client = &self.logs;
                let answer =
                    patiently(async || client.clone().export(request.clone()).await).await?;
                let partial = answer.into_inner().partial_success;
                Ok((
                    items,
                    partial.map_or(0, |p| rejected(p.rejected_log_records)),
                ))
            }
        }
    }
}

fn spans(request: &ExportTraceServiceRequest) -> u64 {
    let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
    scopes.map(|scope| scope.spans.len() as u64).sum()
}

fn rejected(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// Repeats a request that is refused for the moment.
async fn patiently<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> anyhow::Result<T> {
    let mut attempt = 1;
    loop {
        let status = match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        let again = matches!(
            status.code(),
            Code::ResourceExhausted | Code::Unavailable | Code::DeadlineExceeded | Code::Aborted
        );
        if !again || attempt == ATTEMPTS {
            bail!(
                "the request was refused: {} ({})",
                status.message(),
                status.code()
            );
        }
        tokio::time::sleep(Duration::from_millis(200) * attempt).await;
        attempt += 1;
    }
}
