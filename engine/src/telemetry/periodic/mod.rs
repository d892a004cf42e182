//! Own metrics pushed at intervals: to a server of OTLP, or as OTLP/JSON to the standard output.

mod otlp;
mod server;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use tidegate_component::metrics::Registry;
use tidegate_component::{BuildError, StartError};
use tidegate_config::telemetry::{Periodic, Telemetry, Temporality};
use tidegate_pdata::{Signal, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::process::Process;
use super::resource;
use otlp::Snapshots;
use server::Server;

/// A reader that runs.
#[derive(Debug)]
pub(super) struct Pushing {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Pushing {
    /// Begins to push; the first time is when an interval has passed.
    ///
    /// # Errors
    /// When a key cannot be used as it is. A server that is away is no error.
    pub(super) fn start(
        settings: &Telemetry,
        periodic: &Periodic,
        registry: &Registry,
    ) -> Result<Self, StartError> {
        let temporality = periodic.exporter.otlp.as_ref();
        let temporality = temporality.and_then(|otlp| otlp.temporality_preference);
        let end = match destination(periodic).map_err(told)? {
            Destination::Server(settings) => End::Server(Box::new(settings.start()?)),
            Destination::Console => End::Console,
        };
        let resource = resource(settings);
        let temporality = temporality.unwrap_or(Temporality::Cumulative);
        let reader = Reader {
            snapshots: Snapshots::new(&resource, temporality),
            process: Process::new(registry),
            registry: registry.clone(),
            end,
            timeout: Duration::from_millis(periodic.timeout),
            failing: false,
        };
        let (stop, stopped) = oneshot::channel();
        let every = Duration::from_millis(periodic.interval.max(1));
        Ok(Self {
            stop,
            task: tokio::spawn(reader.run(every, stopped)),
        })
    }

    /// Pushes a last time and ends.
    pub(super) async fn stop(self) {
        // A reader that is gone needs no word.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "own metrics are not pushed any more");
        }
    }
}

/// What the keys ask for.
enum Destination {
    Server(server::Settings),
    Console,
}

/// Says what is wrong with a reader's keys, each by its path within the reader; opens nothing.
pub(super) fn check(periodic: &Periodic) -> Option<BuildError> {
    destination(periodic).err()
}

fn destination(periodic: &Periodic) -> Result<Destination, BuildError> {
    let exporter = &periodic.exporter;
    let path = "periodic::exporter";
    match (&exporter.otlp, &exporter.console) {
        (Some(otlp), _) => match server::Settings::new(otlp) {
            Ok(settings) => Ok(Destination::Server(settings)),
            Err(mut error) => {
                error.path = format!("{path}::otlp::{}", error.path);
                Err(error)
            }
        },
        (None, Some(_)) => Ok(Destination::Console),
        (None, None) => Err(BuildError::at(path, "there is no exporter")
            .remedy("write `otlp` or `console` under it")),
    }
}

/// The same at a start, for whoever did not check before.
fn told(error: BuildError) -> StartError {
    StartError {
        message: format!("{}: {}", error.path, error.message),
        source: None,
    }
}

/// Where metrics go.
enum End {
    Server(Box<Server>),
    Console,
}

struct Reader {
    snapshots: Snapshots,
    process: Process,
    registry: Registry,
    end: End,
    timeout: Duration,
    /// Whether the last push failed, which is said once.
    failing: bool,
}

impl Reader {
    async fn run(mut self, every: Duration, mut stopped: oneshot::Receiver<()>) {
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                _ = ticks.tick() => self.push().await,
            }
        }
        self.push().await;
    }

    async fn push(&mut self) {
        self.process.update();
        let snapshot = self.snapshots.take(&self.registry);
        let sent = match timeout(self.timeout, self.end.send(&snapshot.request)).await {
            Ok(sent) => sent,
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        };
        match (sent, self.failing) {
            (Ok(()), failed) => {
                self.snapshots.arrived(snapshot);
                if failed {
                    tracing::info!("own metrics are pushed again");
                }
                self.failing = false;
            }
            (Err(error), false) => {
                tracing::warn!(%error, "own metrics cannot be pushed");
                self.failing = true;
            }
            (Err(error), true) => tracing::debug!(%error, "own metrics cannot be pushed"),
        }
    }
}

impl End {
    async fn send(&self, request: &ExportMetricsServiceRequest) -> Result<(), String> {
        match self {
            Self::Server(server) => server.send(request).await,
            Self::Console => {
                let mut line = Vec::new();
                json::to_json(Signal::Metrics, [&*request.encode_to_vec()], &mut line);
                line.push(b'\n');
                let written = std::io::stdout().lock().write_all(&line);
                written.map_err(|error| error.to_string())
            }
        }
    }
}
