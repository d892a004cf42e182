//! `syslog`: messages of RFC 3164 and RFC 5424, over TCP, with TLS or without, and over UDP.
//!
//! [`framing`] finds the messages in what comes in; a [`Pipe`] parses each, takes it through the operators and makes
//! requests of them; who reads a connection waits until the pipelines answer for what it read, and so does its sender.

mod config;
mod framing;
mod pipe;
mod sockets;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tidegate_component::{Receiver, ReceiverContext, StartError, async_trait};
use tidegate_pdata::{Budget, Context, Payload, Signal};
use tokio::sync::watch;

pub use config::Config;

use crate::offering::{Ended, Retry, deliver};
use crate::scrape::{Running, Stop, stoppable};
use config::Settings;
use pipe::Pipe;
use sockets::Listening;

/// How often is looked whether operators have held something for long enough.
const LOOK: Duration = Duration::from_millis(100);

/// The receiver.
struct Syslog {
    /// Until it starts.
    settings: Option<Settings>,
    running: Option<(Listening, Running, Arc<Hub>)>,
}

/// What all sockets share.
struct Hub {
    pipe: Pipe,
    retry: Retry,
    budget: Arc<Budget>,
    /// Whether the receiver stops.
    stopping: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
}

impl Syslog {
    const fn new(settings: Settings) -> Self {
        Self {
            settings: Some(settings),
            running: None,
        }
    }
}

#[async_trait]
impl Receiver for Syslog {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let (Some(settings), Some(intake)) = (self.settings.take(), cx.intake(Signal::Logs)) else {
            return Ok(());
        };
        let (stop, stopping) = watch::channel(false);
        let hub = Arc::new(Hub {
            pipe: settings.pipe,
            retry: settings.retry,
            budget: Arc::clone(&cx.budget),
            stopping,
            stop,
        });
        let listening = Listening::start(settings.place, &hub, intake, &cx).await?;
        let (held, intake) = (Arc::clone(&hub), listening.intake().clone());
        let running = stoppable(&cx.workers, move |stop| async move {
            held.look(&intake, stop).await;
        });
        tracing::info!(receiver = %cx.id, endpoint = %listening, "listening");
        self.running = Some((listening, running, hub));
        Ok(())
    }

    async fn stop(&mut self) {
        if let Some((listening, running, hub)) = self.running.take() {
            hub.stop.send_replace(true);
            listening.stop().await;
            running.stop().await;
        }
    }
}

impl Hub {
    /// The context of what a sender sends.
    fn greet(&self, address: Option<std::net::SocketAddr>) -> Context {
        let client = self.budget.client(address.map(|address| address.ip()));
        let context = Context::builder().client(client);
        match address {
            Some(address) => context.peer(address).build(),
            None => context.build(),
        }
    }

    /// Hands a payload over and waits until somebody answers for it.
    async fn hand_over(
        &self,
        payload: Payload,
        context: Context,
        intake: &tidegate_component::Intake,
    ) {
        let items = payload.items();
        if items == 0 {
            return;
        }
        let (retry, stopping) = (self.retry.clone(), self.stopping.clone());
        let ended = deliver(payload, context, intake.clone(), retry, stopping).await;
        if ended == Ended::Stopped {
            // Nobody sends it again.
            intake.failed(items);
        }
    }

    /// Lets go from time to time of what operators have held for long enough, and of all at the end.
    async fn look(&self, intake: &tidegate_component::Intake, mut stop: Stop) {
        while stop.or(tokio::time::sleep(LOOK)).await.is_some() {
            if let Some(payload) = self.pipe.due() {
                self.hand_over(payload, Context::default(), intake).await;
            }
        }
        if let Some(payload) = self.pipe.rest() {
            self.hand_over(payload, Context::default(), intake).await;
        }
    }
}
