//! The host as an entity: log records that say that it exists.

use std::time::Duration;

use tidegate_component::{Intake, ReceiverContext};
use tidegate_pdata::compose::{Request, log_record};
use tidegate_pdata::{Context, Signal};
use tokio::time::{MissedTickBehavior, interval};

use super::host::now;
use crate::scrape::{Running, stoppable};

/// Tells of the host at the start and then once an interval, in the form that the Collector's
/// consumers of such events know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entity {
    /// None where it is told once.
    pub(super) interval: Option<Duration>,
}

impl Entity {
    /// Starts to tell; not where no pipeline takes log records.
    pub(super) fn start(self, cx: &ReceiverContext) -> Option<Running> {
        let intake = cx.intake(Signal::Logs)?.clone();
        Some(stoppable(&cx.workers, |mut stop| async move {
            let mut ticks = self.interval.map(|every| {
                let mut ticks = interval(every);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
                ticks
            });
            loop {
                if let Some(ticks) = &mut ticks
                    && stop.or(ticks.tick()).await.is_none()
                {
                    return;
                }
                if stop.or(self.tell(&intake)).await.is_none() || ticks.is_none() {
                    return;
                }
            }
        }))
    }

    /// Sends the event; what is refused is told again in the next, as it says the same.
    async fn tell(self, intake: &Intake) {
        let request = self.event();
        let hold = intake.ready(request.size()).await;
        match request.finish(Some(hold)) {
            Ok(payload) => drop(intake.deliver(payload, Context::default(), None).await),
            Err(error) => tracing::error!(%error, "what was composed is no OTLP"),
        }
    }

    fn event(self) -> Request {
        let mut request = Request::new(Signal::Logs);
        request.resource(|_| {});
        request.scope_of("", |scope| {
            scope.attribute(3, "otel.entity.event_as_log", true);
        });
        request.record(|record| {
            let attributes = log_record::ATTRIBUTES;
            record.fixed64(log_record::TIME, now());
            record.attribute(attributes, "otel.entity.event.type", "entity_state");
            record.attribute(attributes, "otel.entity.type", "host");
            if let Some(interval) = self.interval {
                let milliseconds = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
                record.attribute(attributes, "otel.entity.interval", milliseconds);
            }
        });
        request
    }
}
