//! One target: scraped at its own point of each interval, until it goes or the receiver stops.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_component::Admission;
use tidegate_pdata::{Context, Outcome};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::Shared;
use super::fetch::{self, Fetched, NoPage};
use super::target::Target;
use crate::prometheus::exposition::{Bounds, Page, Type};
use crate::prometheus::translate::{Build, Own, Series};

/// Bytes of a page that are read before others get their turn on this thread.
const AT_A_TIME: usize = 1 << 20;

/// A scrape that begins so little off its time is told to have begun on it, so that the same times
/// come again each interval.
const TOLERANCE: i64 = 2;

/// What is asked for before the first page has shown how large it is.
const FIRST_ROOM: usize = 64 << 10;

/// A target's task.
pub(super) struct Task {
    shared: Arc<Shared>,
    target: Target,
    /// Closed when the target goes.
    gone: watch::Receiver<()>,
    series: Series,
    /// Bytes of the last page.
    last: usize,
    /// The failure that was logged last.
    failing: Option<String>,
    /// Series that the gauge knows of.
    counted: i64,
}

/// What ended a scrape without a page.
enum Failure {
    TooLarge(String),
    Other(String),
}

impl From<NoPage> for Failure {
    fn from(fault: NoPage) -> Self {
        match fault {
            NoPage::TooLarge(_) => Self::TooLarge(fault.to_string()),
            NoPage::Other(fault) => Self::Other(fault),
        }
    }
}

impl Task {
    pub(super) fn new(shared: Arc<Shared>, target: Target, gone: watch::Receiver<()>) -> Self {
        Self {
            shared,
            target,
            gone,
            series: Series::new(),
            last: FIRST_ROOM,
            failing: None,
            counted: 0,
        }
    }

    pub(super) async fn run(mut self, _alive: mpsc::Sender<()>) {
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let offset = self.target.offset(since, self.shared.seed);
        let first = Instant::now() + offset;
        let mut due = milliseconds(now + offset);
        let every = self.target.interval;
        let mut ticks = interval_at(first, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let shared = Arc::clone(&self.shared);
        let mut gone = self.gone.clone();
        let is_gone = loop {
            tokio::select! {
                biased;
                () = shared.stopped() => break false,
                // Nothing is ever sent: it answers when the pool lets go of the target.
                _ = gone.changed() => break true,
                tick = ticks.tick() => {
                    let intervals = (tick - first).as_millis() / every.as_millis().max(1);
                    let intervals = i64::try_from(intervals).unwrap_or(0);
                    let step = i64::try_from(every.as_millis()).unwrap_or(0);
                    let now = milliseconds(SystemTime::now());
                    let expected = due + intervals * step;
                    let off = now - expected;
                    let time = match off.abs() <= TOLERANCE.min(step / 100) {
                        true => expected,
                        false => {
                            // The clock was set, or this was late: what is expected follows.
                            due += off;
                            now
                        }
                    };
                    tokio::select! {
                        biased;
                        () = shared.stopped() => break false,
                        () = self.scrape(time) => {}
                    }
                }
            }
        };
        if is_gone {
            self.end(&shared).await;
        }
        shared.meters.series.add(-self.counted);
    }

    /// Scrapes the target once and brings in what it has.
    async fn scrape(&mut self, time: i64) {
        let shared = Arc::clone(&self.shared);
        let patience = self.target.timeout;
        let room = shared.intake.ready(self.last);
        let Ok(mut hold) = timeout(patience, room).await else {
            shared.meters.skipped.add(1);
            self.log("the pipelines have no room for a scrape".to_owned());
            return;
        };
        let started = Instant::now();
        let fetched = match shared.is_crowded() {
            true => Err(Failure::Other(format!(
                "the job has more than {} targets (`target_limit`)",
                shared.job.limits.targets
            ))),
            false => match timeout(patience, fetch::page(&shared, &self.target, &mut hold)).await {
                Ok(fetched) => fetched.map_err(Failure::from),
                Err(_) => Err(Failure::Other(format!(
                    "there is no page after {patience:?}"
                ))),
            },
        };
        let mut build = Build::new(&mut self.series, &shared.job, &self.target.public, time);
        let size = fetched.as_ref().map_or(0, |page| page.bytes.len());
        let outcome = match &fetched {
            Ok(page) => read(&mut build, &shared, page).await,
            Err(Failure::TooLarge(fault) | Failure::Other(fault)) => Err(fault.clone()),
        };
        match &outcome {
            Ok(()) => build.end_page(),
            Err(_) => build.abandon(),
        }
        let counts = build.counts();
        let size_told = match &fetched {
            Err(Failure::TooLarge(_)) => -1.0,
            _ => size as f64,
        };
        let up = f64::from(u8::from(outcome.is_ok()));
        let own = Report {
            up,
            duration: started.elapsed(),
            scraped: counts.scraped,
            kept: counts.kept,
            added: counts.added,
            extra: shared.job.extra.then_some(Extra {
                timeout: patience,
                samples: shared.job.limits.samples,
                size: size_told,
            }),
        };
        build.own(&own.samples());
        let (request, counts) = build.finish(&self.target.scheme, &self.target.discovered);
        drop(fetched);
        shared.meters.reject(&counts.rejected);
        self.last = size.max(FIRST_ROOM);
        self.count_series();
        match outcome {
            Ok(()) => {
                shared.meters.scraped.add(1);
                self.recovered();
            }
            Err(fault) => {
                shared.meters.failed.add(1);
                self.log(fault);
            }
        }
        self.deliver(&shared, request, hold).await;
    }

    /// Tells of the end of everything that a target had which has gone.
    ///
    /// It waits first, as the same target may come back under other labels, and does more than two
    /// intervals after the last scrape what the next ones did not.
    async fn end(&mut self, shared: &Shared) {
        if self.series.len() == 0 {
            return;
        }
        let pause = self.target.interval.mul_f64(2.1);
        tokio::select! {
            () = shared.stopped() => return,
            () = sleep(pause) => {}
        }
        let Ok(hold) = timeout(self.target.interval, shared.intake.ready(FIRST_ROOM)).await else {
            return;
        };
        let time = milliseconds(SystemTime::now());
        let mut build = Build::new(&mut self.series, &shared.job, &self.target.public, time);
        build.end_target();
        let (request, _) = build.finish(&self.target.scheme, &self.target.discovered);
        self.count_series();
        self.deliver(shared, request, hold).await;
    }

    async fn deliver(
        &mut self,
        shared: &Shared,
        request: tidegate_pdata::compose::Request,
        mut hold: Admission,
    ) {
        hold.resize(request.size());
        let items = request.items();
        let payload = match request.finish(Some(hold)) {
            Ok(payload) if payload.is_empty() => return,
            Ok(payload) => payload,
            Err(fault) => {
                shared.intake.failed(items);
                tracing::error!(target_url = %self.target.uri, %fault, "the scrape made no valid request");
                return;
            }
        };
        let until = Instant::now() + self.target.interval;
        let context = Context::default();
        match shared.intake.deliver(payload, context, Some(until)).await {
            Outcome::Refused(refusal) => {
                tracing::warn!(target_url = %self.target.uri, reason = %refusal.reason, "a scrape was not taken");
            }
            Outcome::Rejected(reason) => {
                tracing::warn!(target_url = %self.target.uri, %reason, "a scrape was rejected");
            }
            Outcome::Lost => {
                tracing::warn!(target_url = %self.target.uri, "a scrape was lost on its way");
            }
            Outcome::Delivered | Outcome::Durable | Outcome::TakenOver => {}
        }
    }

    fn count_series(&mut self) {
        let series = i64::try_from(self.series.len()).unwrap_or(0);
        self.shared.meters.series.add(series - self.counted);
        self.counted = series;
    }

    /// Logs a failure, once until another takes its place.
    fn log(&mut self, fault: String) {
        if self.failing.as_ref() == Some(&fault) {
            return;
        }
        tracing::warn!(
            job = %self.shared.job.name,
            target_url = %self.target.uri,
            %fault,
            "cannot scrape"
        );
        self.failing = Some(fault);
    }

    fn recovered(&mut self) {
        if self.failing.take().is_some() {
            tracing::info!(job = %self.shared.job.name, target_url = %self.target.uri, "scraped again");
        }
    }
}

/// Reads a page, others taking their turn in between.
async fn read<'p>(
    build: &mut Build<'_, 'p>,
    shared: &Shared,
    fetched: &'p Fetched,
) -> Result<(), String> {
    let job = &shared.job;
    let page = Page::new(
        fetched.format,
        &fetched.bytes,
        Bounds::default(),
        job.native,
        job.classic,
    );
    let mut page = page.map_err(|fault| fault.to_string())?;
    let mut turn = AT_A_TIME;
    while let Some(entry) = page.next_entry().map_err(|fault| fault.to_string())? {
        build
            .entry(&page, entry)
            .map_err(|fault| fault.to_string())?;
        if page.position() > turn {
            turn = page.position() + AT_A_TIME;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What a scrape tells of itself.
struct Report {
    up: f64,
    duration: Duration,
    scraped: u64,
    kept: u64,
    added: u64,
    extra: Option<Extra>,
}

/// What it tells where `extra_scrape_metrics` is set.
struct Extra {
    timeout: Duration,
    samples: usize,
    size: f64,
}

impl Report {
    fn samples(&self) -> Vec<Own> {
        let own = |name, help, unit, value| Own {
            name,
            help,
            unit,
            kind: Type::Gauge,
            value,
        };
        let mut samples = vec![
            own("up", "The scraping was successful", "", self.up),
            own(
                "scrape_duration_seconds",
                "Duration of the scrape",
                "seconds",
                self.duration.as_secs_f64(),
            ),
            own(
                "scrape_samples_scraped",
                "The number of samples the target exposed",
                "",
                self.scraped as f64,
            ),
            own(
                "scrape_samples_post_metric_relabeling",
                "The number of samples remaining after metric relabeling was applied",
                "",
                self.kept as f64,
            ),
            own(
                "scrape_series_added",
                "The approximate number of new series in this scrape",
                "",
                self.added as f64,
            ),
        ];
        if let Some(extra) = &self.extra {
            let limit = if extra.samples == usize::MAX {
                0
            } else {
                extra.samples
            };
            let unknown = |name, value| Own {
                name,
                help: "",
                unit: "",
                kind: Type::Unknown,
                value,
            };
            samples.extend([
                unknown("scrape_timeout_seconds", extra.timeout.as_secs_f64()),
                unknown("scrape_sample_limit", limit as f64),
                unknown("scrape_body_size_bytes", extra.size),
            ]);
        }
        samples
    }
}
