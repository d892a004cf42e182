//! How deliveries go, for the status page and the log.
//!
//! A peer's absence is said once, again when the error changes, and when the peer is back; what
//! is lost is said with its count, at most once in a while per reason. Where all goes well,
//! none of it costs more than one atomic load.

use std::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_component::Delivered;
use tokio::time::Instant;
use tracing::{info, warn};

use super::books::Why;

/// The least time between two lines about the same thing.
const QUIET: Duration = Duration::from_secs(30);
/// The least time between two lines about different failures of one peer.
const NEWS: Duration = Duration::from_secs(10);

/// What becomes of the data when an attempt has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Retrying,
    Dropping,
    HandingBack,
    /// Another exporter gets it, as a dead letter.
    PassingOn,
}

impl Fate {
    const fn name(self) -> &'static str {
        match self {
            Self::Retrying => "retrying",
            Self::Dropping => "dropping",
            Self::HandingBack => "handing back",
            Self::PassingOn => "passing on",
        }
    }
}

/// The health of one exporter.
#[derive(Debug)]
pub(super) struct Health {
    exporter: Arc<str>,
    /// What it delivers: a signal, or all.
    data: &'static str,
    failing: AtomicBool,
    state: Mutex<State>,
    losses: [Seldom; Why::COUNT],
    letters: Seldom,
}

#[derive(Debug, Default)]
struct State {
    error: Option<String>,
    /// The failure that the log told of last, and when.
    told: Option<(String, Instant)>,
    /// Whether the log's last word was of a failure.
    told_failing: bool,
}

impl State {
    /// Whether the log is to tell of this failure.
    fn is_news(&self, error: &str, now: Instant) -> bool {
        let Some((text, at)) = &self.told else {
            return true;
        };
        let (differs, since) = (text != error, now - *at);
        (differs && since >= NEWS) || (!self.told_failing && since >= QUIET)
    }
}

/// Tells of something at most once in a while, with the count of all that came since.
#[derive(Debug)]
struct Seldom {
    base: Instant,
    /// Milliseconds from `base` at which to tell again.
    next: AtomicU64,
    untold: AtomicU64,
}

impl Seldom {
    fn new() -> Self {
        Self {
            base: Instant::now(),
            next: AtomicU64::new(0),
            untold: AtomicU64::new(0),
        }
    }

    /// Counts, and hands the count out where it is time to tell.
    fn tell(&self, count: u64) -> Option<u64> {
        self.untold.fetch_add(count, Relaxed);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (now, next) = (millis(self.base.elapsed()), self.next.load(Acquire));
        if now < next {
            return None;
        }
        self.next
            .compare_exchange(next, now + millis(QUIET), AcqRel, Acquire)
            .ok()?;
        Some(self.untold.swap(0, Relaxed))
    }
}

impl Health {
    pub(super) fn new(exporter: Arc<str>, data: &'static str) -> Self {
        Self {
            exporter,
            data,
            failing: AtomicBool::new(false),
            state: Mutex::default(),
            losses: std::array::from_fn(|_| Seldom::new()),
            letters: Seldom::new(),
        }
    }

    /// The last failure, while deliveries fail.
    pub(super) fn error(&self) -> Option<String> {
        self.failing
            .load(Acquire)
            .then(|| self.lock().error.clone())
            .flatten()
    }

    /// Tells that a delivery went well.
    pub(super) fn well(&self) {
        if !self.failing.load(Relaxed) {
            return;
        }
        let mut state = self.lock();
        self.failing.store(false, Relaxed);
        state.error = None;
        let told = std::mem::take(&mut state.told_failing);
        drop(state);
        if told {
            info!(exporter = %self.exporter, signal = self.data, "the exporter delivers again");
        }
    }

    /// Tells that a delivery failed.
    pub(super) fn failed(&self, error: &str, fate: Fate) {
        let now = Instant::now();
        let mut state = self.lock();
        let news = state.is_news(error, now);
        self.failing.store(true, Relaxed);
        state.error = Some(error.to_owned());
        if news {
            state.told = Some((error.to_owned(), now));
            state.told_failing = true;
        }
        drop(state);
        if news {
            warn!(
                exporter = %self.exporter,
                signal = self.data,
                error,
                fate = fate.name(),
                "the exporter does not deliver"
            );
        }
    }

    /// Tells that items were dropped.
    pub(super) fn lost(&self, why: Why, items: usize, error: &str) {
        if let Some(items) = self.losses[why as usize].tell(items as u64) {
            warn!(
                exporter = %self.exporter,
                signal = self.data,
                reason = why.name(),
                items,
                error,
                "items were dropped"
            );
        }
    }

    /// Tells that items were given up and that another exporter keeps them.
    pub(super) fn kept(&self, why: Why, items: usize, by: &str, error: &str) {
        if let Some(items) = self.letters.tell(items as u64) {
            warn!(
                exporter = %self.exporter,
                signal = self.data,
                reason = why.name(),
                items,
                error,
                by,
                "items became dead letters"
            );
        }
    }

    /// Tells what the peer rejected of what it took.
    pub(super) fn rejected(&self, delivered: &Delivered) {
        if delivered.rejected > 0 {
            let message = delivered.message.as_deref().unwrap_or("no reason given");
            let items = usize::try_from(delivered.rejected).unwrap_or(usize::MAX);
            self.lost(Why::RejectedByPeer, items, message);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn told(health: &Health) -> Option<(String, bool)> {
        let state = health.lock();
        let (text, _) = state.told.clone()?;
        Some((text, state.told_failing))
    }

    fn health() -> Health {
        Health::new("otlp".into(), "traces")
    }

    #[tokio::test(start_paused = true)]
    async fn absence_is_told_once_until_its_error_changes() {
        let health = health();
        health.failed("refused", Fate::Retrying);
        let first = health.lock().told.clone();
        advance(QUIET * 2).await;
        health.failed("refused", Fate::Retrying);
        assert_eq!(health.lock().told, first);
        health.failed("no such host", Fate::Retrying);
        assert_eq!(told(&health), Some(("no such host".to_owned(), true)));
        assert_eq!(health.error().as_deref(), Some("no such host"));
    }

    #[tokio::test(start_paused = true)]
    async fn peer_that_comes_and_goes_is_told_of_seldom() {
        let health = health();
        health.failed("refused", Fate::Retrying);
        health.well();
        assert_eq!(told(&health), Some(("refused".to_owned(), false)));
        assert_eq!(health.error(), None);
        advance(NEWS).await;
        health.failed("refused", Fate::Retrying);
        assert_eq!(told(&health), Some(("refused".to_owned(), false)));
        assert_eq!(health.error().as_deref(), Some("refused"));
        advance(QUIET).await;
        health.failed("refused", Fate::Retrying);
        assert_eq!(told(&health), Some(("refused".to_owned(), true)));
    }

    #[tokio::test(start_paused = true)]
    async fn losses_are_told_with_all_that_came_since() {
        let seldom = Seldom::new();
        assert_eq!(seldom.tell(3), Some(3));
        assert_eq!(seldom.tell(4), None);
        advance(QUIET).await;
        assert_eq!(seldom.tell(5), Some(9));
    }
}
