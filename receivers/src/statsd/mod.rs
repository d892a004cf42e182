//! `statsd`: counters, gauges, timers, histograms and distributions of StatsD's clients and DogStatsD's.
//!
//! A [`line`](mod@line) borrows from the datagram that it came in; the [`table`] keeps what lines add up to, for each
//! sender, until the interval is over; then [`emit`] writes it as OTLP, a request for each sender.

mod config;
mod emit;
mod exponential;
mod line;
mod sockets;
mod table;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_component::metrics::{Counter, Metrics};
use tidegate_component::{Intake, Receiver, ReceiverContext, StartError, async_trait};
use tidegate_pdata::{Budget, Context, Outcome, Signal};
use tokio::time::{Instant, sleep, sleep_until};

pub use config::Config;

use crate::scrape::{Running, Stop, stoppable};
use config::Settings;
use line::{Fault, Line};
use sockets::{Listening, Sender};
use table::Table;

/// The least pause before something is offered again that was refused.
const PAUSE: Duration = Duration::from_secs(1);

/// How long what was refused is offered again once the receiver stops.
const LAST_TRIES: Duration = Duration::from_secs(5);

/// The receiver.
struct StatsD {
    settings: Arc<Settings>,
    metrics: Metrics,
    running: Option<(Listening, Running)>,
}

impl StatsD {
    fn new(settings: Settings, metrics: Metrics) -> Self {
        Self {
            settings: Arc::new(settings),
            metrics,
            running: None,
        }
    }
}

#[async_trait]
impl Receiver for StatsD {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let Some(intake) = cx.intake(Signal::Metrics) else {
            return Ok(());
        };
        let transport = self.settings.transport.name();
        let hub = Arc::new(Hub {
            settings: Arc::clone(&self.settings),
            table: Mutex::new(Table::new(now(), &cx.budget)),
            meters: Meters::new(&self.metrics),
            budget: Arc::clone(&cx.budget),
        });
        let listening = Listening::start(&hub, &cx).await?;
        tracing::info!(receiver = %cx.id, protocol = transport, endpoint = %listening, "listening");
        let intake = intake.over(transport);
        let running = stoppable(&cx.workers, move |stop| flush(hub, intake, stop));
        self.running = Some((listening, running));
        Ok(())
    }

    async fn stop(&mut self) {
        if let Some((listening, running)) = self.running.take() {
            // First nothing comes any more, then what is there goes.
            listening.stop().await;
            running.stop().await;
        }
    }
}

/// What sockets and the one who flushes share.
struct Hub {
    settings: Arc<Settings>,
    table: Mutex<Table>,
    meters: Meters,
    budget: Arc<Budget>,
}

impl Hub {
    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic elsewhere leaves nothing half done in it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes lines of one sender.
    fn take(&self, lines: &[u8], sender: &Sender) {
        let mut table = self.table();
        for text in lines.split(|byte| *byte == b'\n') {
            let text = text.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let taken = Line::parse(text, self.settings.simple_tags)
                .and_then(|line| table.take(&line, sender, &self.settings, now()));
            self.meters.count(taken);
        }
    }

    /// Counts a line that is longer than any may be.
    fn too_long(&self) {
        self.meters.count(Err(Fault::TooLong));
    }
}

/// The receiver's own metrics.
struct Meters {
    lines: Counter,
    faults: [Counter; Fault::ALL.len()],
}

impl Meters {
    fn new(metrics: &Metrics) -> Self {
        Self {
            lines: metrics.counter("tidegate_statsd_lines", "Lines taken.", &[]),
            faults: Fault::ALL.map(|fault| {
                metrics.counter(
                    "tidegate_statsd_rejected_lines",
                    "Lines that were not taken, by reason.",
                    &[("reason", fault.name())],
                )
            }),
        }
    }

    fn count(&self, taken: Result<(), Fault>) {
        match taken {
            Ok(()) => self.lines.add(1),
            Err(fault) => self.faults[fault as usize].add(1),
        }
    }
}

/// Hands over what has added up, at each interval and at the end.
async fn flush(hub: Arc<Hub>, intake: Intake, mut stop: Stop) {
    let mut due = Instant::now() + hub.settings.interval;
    while stop.or(sleep_until(due)).await.is_some() {
        hand_over(&hub, &intake, &mut stop).await;
        due = (due + hub.settings.interval).max(Instant::now());
    }
    hand_over(&hub, &intake, &mut stop).await;
}

async fn hand_over(hub: &Hub, intake: &Intake, stop: &mut Stop) {
    let time = now();
    let full = {
        let mut table = hub.table();
        let next = Table::new(time, &hub.budget);
        std::mem::replace(&mut *table, next)
    };
    for (sender, requests) in emit::requests(full, time, &hub.settings) {
        let context = sender.context(&hub.budget);
        for request in requests {
            let (items, size) = (request.items(), request.size());
            let hold = hub.budget.overdraw(size);
            match request.finish(Some(hold)) {
                Ok(payload) => offer(payload, &context, intake, stop).await,
                Err(error) => {
                    tracing::error!(%error, "what was composed is no OTLP");
                    intake.failed(items);
                }
            }
        }
    }
}

/// Offers a payload until it is taken; for a while yet once the receiver stops.
async fn offer(
    payload: tidegate_pdata::Payload,
    context: &Context,
    intake: &Intake,
    stop: &mut Stop,
) {
    let mut until: Option<Instant> = None;
    loop {
        let offered = intake.deliver(payload.clone(), context.clone(), until);
        let Outcome::Refused(refusal) = offered.await else {
            return;
        };
        let pause = refusal.after.max(PAUSE);
        if until.is_none() && stop.or(sleep(pause)).await.is_none() {
            until = Some(Instant::now() + LAST_TRIES);
        }
        match until {
            Some(until) if Instant::now() + PAUSE > until => {
                intake.failed(payload.items());
                tracing::warn!(reason = %refusal.reason, "what StatsD's clients sent last is refused and lost");
                return;
            }
            Some(_) => sleep(PAUSE).await,
            None => {}
        }
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}
