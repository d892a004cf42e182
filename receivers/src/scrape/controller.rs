//! The rounds of a receiver's scrapers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::metrics::{Counter, Metrics};
use tidegate_component::{ComponentId, Intake, ReceiverContext, Workers};
use tidegate_pdata::compose::Request;
use tidegate_pdata::{Context, Outcome, Payload, Segment, Signal};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::account::Account;
use super::{Faults, Part, Schedule, Scraper};

/// What is handed to the pipelines at once, at most: requests beyond it go by themselves.
const BUNDLE: usize = 1 << 20;
/// The least pause before something is offered again that was refused.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a refusal that was told is not told again.
const QUIET: Duration = Duration::from_secs(3600);

/// Work on a worker that was asked for and can be ended.
#[derive(Debug)]
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
}

impl Running {
    /// Asks the work to end, and returns when it has.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        // An error says that the task is gone, which is as good.
        let _ = self.ended.await;
    }
}

/// Runs work on some worker; it looks at its [`Stop`] wherever it waits.
pub(crate) fn stoppable<F>(workers: &Workers, work: impl FnOnce(Stop) -> F) -> Running
where
    F: Future<Output = ()> + Send + 'static,
{
    let (stop, asked) = watch::channel(false);
    let (end, ended) = oneshot::channel();
    let work = work(Stop(asked));
    workers.spawn(workers.next(), async move {
        work.await;
        let _ = end.send(());
    });
    Running { stop, ended }
}

/// Tells work when it is to end.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits for something; nothing comes of it when the work is to end first.
    pub(crate) async fn or<T>(&mut self, wait: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            _ = self.0.wait_for(|asked| *asked) => None,
            got = wait => Some(got),
        }
    }

    /// Whether the work is to end.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// A scraper and what is counted of it.
struct Watched {
    scraper: Box<dyn Scraper>,
    account: Account,
    /// The metrics that it gave when it was last whole: what is missing while it does not come back.
    usual: usize,
    /// Whether it did not come back in time.
    late: bool,
}

/// Runs scrapers at each interval, and hands what they give to the pipelines.
///
/// Before a round it waits until the door is open: nothing is read that nobody has room for. What
/// was read is offered until somebody takes it; rounds that are due meanwhile are left out,
/// counted in `tidegate_scraper_skipped_rounds` and told.
pub(crate) struct Controller {
    id: ComponentId,
    intake: Intake,
    schedule: Schedule,
    scrapers: Vec<Watched>,
    skipped: Counter,
    told: Option<Instant>,
}

impl Controller {
    /// A controller for the metrics of a receiver; none where no pipeline takes them.
    pub(crate) fn new(
        cx: &ReceiverContext,
        metrics: &Metrics,
        schedule: Schedule,
        scrapers: Vec<Box<dyn Scraper>>,
    ) -> Option<Self> {
        let watched = |scraper: Box<dyn Scraper>| Watched {
            account: Account::new(metrics, scraper.name()),
            scraper,
            usual: 1,
            late: false,
        };
        Some(Self {
            id: cx.id.clone(),
            intake: cx.intake(Signal::Metrics)?.clone(),
            schedule,
            scrapers: scrapers.into_iter().map(watched).collect(),
            skipped: metrics.counter(
                "tidegate_scraper_skipped_rounds",
                "Rounds of scraping left out because the one before was not over.",
                &[],
            ),
            told: None,
        })
    }

    /// Scrapes until it is stopped.
    pub(crate) fn start(self, workers: &Workers) -> Running {
        stoppable(workers, |stop| self.run(stop))
    }

    async fn run(mut self, mut stop: Stop) {
        let interval = self.schedule.interval();
        let mut due = Instant::now() + self.schedule.delay();
        while stop.or(sleep_until(due)).await.is_some() {
            if self.round(&mut stop).await.is_none() {
                return;
            }
            // Rounds keep to their times: those that passed meanwhile are left out.
            let passed = due.elapsed().as_nanos() / interval.as_nanos().max(1);
            let passed = u32::try_from(passed).unwrap_or(u32::MAX - 1);
            self.note_skipped(passed);
            due += interval * (passed + 1);
        }
    }

    fn note_skipped(&self, rounds: u32) {
        self.skipped.add(rounds.into());
        if rounds > 0 {
            tracing::warn!(
                receiver = %self.id, rounds,
                "rounds of scraping were left out, as the one before was not over"
            );
        }
    }

    /// Runs every scraper once; nothing comes of it when the work is to end.
    async fn round(&mut self, stop: &mut Stop) -> Option<()> {
        drop(stop.or(self.intake.ready(0)).await?);
        let mut bundle = Vec::new();
        for at in 0..self.scrapers.len() {
            loop {
                let Some(part) = stop.or(self.part(at)).await else {
                    self.give_up(&bundle);
                    return None;
                };
                if part.request.items() > 0 {
                    bundle.push(part.request);
                }
                if bundle.iter().map(Request::size).sum::<usize>() >= BUNDLE {
                    self.hand_over(&mut bundle, stop).await?;
                }
                if !part.more {
                    break;
                }
            }
        }
        self.hand_over(&mut bundle, stop).await
    }

    /// The next part of a scraper, empty if it does not come back in time.
    async fn part(&mut self, at: usize) -> Part {
        let watched = &mut self.scrapers[at];
        let name = watched.scraper.name();
        // One that is late has had its time; it is looked at and not waited for again.
        let limit = match watched.late {
            true => Duration::ZERO,
            false => self.schedule.limit(),
        };
        let part = match timeout(limit, watched.scraper.scrape()).await {
            Ok(part) => {
                watched.late = false;
                watched.usual = part.metrics.max(1);
                part
            }
            Err(_) => {
                watched.late = true;
                let mut part = Part::new();
                late(&mut part.faults, watched.usual, self.schedule.limit());
                part
            }
        };
        watched
            .account
            .add(part.metrics, &part.faults, &self.id, name);
        part
    }

    /// Hands over what has been read, and offers it again while it is refused.
    async fn hand_over(&mut self, bundle: &mut Vec<Request>, stop: &mut Stop) -> Option<()> {
        if bundle.is_empty() {
            return Some(());
        }
        let size = bundle.iter().map(Request::size).sum();
        let Some(hold) = stop.or(self.intake.ready(size)).await else {
            self.give_up(bundle);
            return None;
        };
        let hold = Arc::new(hold);
        let mut payload = Payload::empty(Signal::Metrics);
        for request in bundle.drain(..) {
            let items = request.items();
            match request.finish(None) {
                Ok(finished) => {
                    for segment in finished.into_segments() {
                        let (bytes, items) = (segment.bytes().clone(), segment.items());
                        payload.push(Segment::new(bytes, items, Some(Arc::clone(&hold))));
                    }
                }
                Err(error) => {
                    tracing::error!(receiver = %self.id, %error, "what was composed is no OTLP");
                    self.intake.failed(items);
                }
            }
        }
        drop(hold);
        self.deliver(payload, stop).await
    }

    async fn deliver(&mut self, payload: Payload, stop: &mut Stop) -> Option<()> {
        loop {
            let offered = payload.clone();
            let outcome = self.intake.deliver(offered, Context::default(), None).await;
            let Outcome::Refused(refusal) = outcome else {
                return (!stop.is_asked()).then_some(());
            };
            if self.told.is_none_or(|told| told.elapsed() > QUIET) {
                self.told = Some(Instant::now());
                tracing::warn!(
                    receiver = %self.id, reason = %refusal.reason,
                    "what was scraped is refused; it is offered again until it is taken"
                );
            }
            stop.or(sleep(refusal.after.max(PAUSE))).await?;
            drop(stop.or(self.intake.ready(0)).await?);
        }
    }

    /// Counts what was read and goes no further, as the receiver stops.
    fn give_up(&self, bundle: &[Request]) {
        let items = bundle.iter().map(Request::items).sum();
        if items > 0 {
            self.intake.failed(items);
        }
    }
}

fn late(faults: &mut Faults, metrics: usize, limit: Duration) {
    faults.add("a scraper does not come back in time", metrics, || {
        format!("not within {}s", limit.as_secs_f64())
    });
}
