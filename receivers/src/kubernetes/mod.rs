//! What receivers share that watch the Kubernetes API.
//!
//! A [`Shelf`] has the objects of a collection as they are now. A [`Follower`] makes log records of what happens to them:
//! it goes on by a step, hands over what that brought, and only then goes on. So a pipeline that
//! refuses makes the API server wait.

mod json;
mod place;
mod shelf;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;
use std::time::Duration;

use tidegate_component::{BuildError, ComponentId, Intake, Workers};
use tidegate_pdata::compose::Request;
use tidegate_pdata::{Context, Outcome, Signal};
use tidegate_transport::kubernetes::{Api, Collection, Event, Watch};
use tokio::time::{Instant, sleep};

pub(crate) use json::write_json;
pub(crate) use place::{Place, Places};
pub(crate) use shelf::{Keeper, Kept, ObjectKey, Read, Shelf};

use crate::scrape::{Running, Stop, stoppable};

/// The size at which a request is full.
const FULL: usize = 512 << 10;
/// The least pause before something is offered again that was refused.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a refusal that was told is not told again.
const QUIET: Duration = Duration::from_secs(3600);

/// Log records that are being written, in requests of bounded size.
#[derive(Debug, Default)]
pub(crate) struct Records(Vec<Request>);

impl Records {
    /// The request to write the next records into; begin with its resource.
    pub(crate) fn request(&mut self) -> &mut Request {
        if self.0.last().is_none_or(|last| last.size() >= FULL) {
            self.0.push(Request::new(Signal::Logs));
        }
        let last = self.0.len() - 1;
        &mut self.0[last]
    }
}

/// Makes log records of what happens to a collection.
pub(crate) trait Tell: Send + 'static {
    /// Writes what there is to say of an event.
    fn tell(&mut self, event: Event<'_>, records: &mut Records);
}

/// Hands log records over.
#[derive(Clone, Debug)]
pub(crate) struct Hand {
    pub(crate) id: ComponentId,
    pub(crate) intake: Intake,
}

impl Hand {
    /// Hands records over until somebody takes them; nothing comes of it when the work is to end.
    pub(crate) async fn over(&self, records: Records, stop: &mut Stop) -> Option<()> {
        let mut told: Option<Instant> = None;
        for request in records.0 {
            let items = request.items();
            let Some(hold) = stop.or(self.intake.ready(request.size())).await else {
                self.intake.failed(items);
                return None;
            };
            let payload = match request.finish(Some(hold)) {
                Ok(payload) => payload,
                Err(error) => {
                    tracing::error!(receiver = %self.id, %error, "what was composed is no OTLP");
                    self.intake.failed(items);
                    continue;
                }
            };
            loop {
                let offered = payload.clone();
                let outcome = self.intake.deliver(offered, Context::default(), None).await;
                let Outcome::Refused(refusal) = outcome else {
                    break;
                };
                if told.is_none_or(|told| told.elapsed() > QUIET) {
                    told = Some(Instant::now());
                    tracing::warn!(
                        receiver = %self.id, reason = %refusal.reason,
                        "what Kubernetes tells is refused; it is offered again until it is taken"
                    );
                }
                stop.or(sleep(refusal.after.max(PAUSE))).await?;
            }
        }
        Some(())
    }
}

/// Follows a collection and tells of it.
pub(crate) struct Follower<T> {
    pub(crate) hand: Hand,
    pub(crate) api: Arc<Api>,
    pub(crate) collection: Collection,
    /// The version to begin behind; a list comes first where there is none.
    pub(crate) since: Option<String>,
    pub(crate) tell: T,
    pub(crate) place: Option<Place>,
}

impl<T: Tell> Follower<T> {
    /// Follows until it is stopped.
    pub(crate) fn start(self, workers: &Workers) -> Running {
        stoppable(workers, |stop| self.run(stop))
    }

    async fn run(mut self, mut stop: Stop) {
        let kept = self.place.as_ref().and_then(Place::version);
        let since = kept.or(self.since.take());
        let mut watch = match since {
            Some(version) => Watch::since(&self.api, self.collection.clone(), version),
            None => Watch::new(&self.api, self.collection.clone()),
        };
        loop {
            let mut records = Records::default();
            let mut sink = |event: Event<'_>| self.tell.tell(event, &mut records);
            if stop.or(watch.advance(&mut sink)).await.is_none() {
                return;
            }
            if self.hand.over(records, &mut stop).await.is_none() {
                return;
            }
            if let (Some(place), Some(version)) = (&mut self.place, watch.version()) {
                place.keep(version);
            }
        }
    }
}

/// Whether one version is later than another. Versions are numbers that grow over all objects.
pub(crate) fn is_later(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version > than,
        // What cannot be compared is better told twice than not at all.
        _ => version != than,
    }
}

/// Says that a receiver cannot be elected, where it is to be.
pub(crate) fn no_elector(named: Option<&str>) -> Result<(), BuildError> {
    match named {
        None | Some("") => Ok(()),
        Some(_) => Err(BuildError::at(
            "k8s_leader_elector",
            "no extension is built that elects one of several processes",
        )
        .remedy("run one replica with this receiver, and take the key out")),
    }
}
