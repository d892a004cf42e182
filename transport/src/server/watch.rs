//! What a connection may not do for ever: nothing, half a request, grow old.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// What happens on a connection, noted by its stream and its requests.
#[derive(Debug)]
pub(super) struct Activity {
    born: Instant,
    /// Open requests.
    open: AtomicUsize,
    /// Milliseconds after `born` at which the last request ended.
    quiet: AtomicU64,
    /// One more than the milliseconds after `born` at which the first byte of a request that
    /// is not open yet came; 0 where none did.
    head: AtomicU64,
    /// Whether the server stops, so that the next answer is the last.
    parting: AtomicBool,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            open: AtomicUsize::new(0),
            quiet: AtomicU64::new(0),
            head: AtomicU64::new(0),
            parting: AtomicBool::new(false),
        }
    }

    /// Tells that the server stops.
    pub(super) fn part(&self) {
        self.parting.store(true, Relaxed);
    }

    /// Whether the next answer is the last.
    pub(super) fn is_parting(&self) -> bool {
        self.parting.load(Relaxed)
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }

    /// Notes that bytes came.
    pub(super) fn read(&self) {
        if self.open.load(Relaxed) == 0 && self.head.load(Relaxed) == 0 {
            self.head.store(self.now() + 1, Relaxed);
        }
    }

    /// Notes that a request is open, until the guard is dropped.
    pub(super) fn begin(self: std::sync::Arc<Self>) -> Open {
        self.head.store(0, Relaxed);
        self.open.fetch_add(1, Relaxed);
        Open(self)
    }

    fn after_birth(&self, millis: u64) -> Instant {
        self.born + Duration::from_millis(millis)
    }
}

/// An open request.
pub(super) struct Open(std::sync::Arc<Activity>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.quiet.store(self.0.now(), Relaxed);
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// Why a connection must go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It had no request for long: it is asked to go.
    Idle,
    /// It is old: it is asked to go.
    Old,
    /// A request's headers do not end, or it did not go when asked to: it is cut.
    Cut,
}

/// Waits for the first thing that a connection must go for.
pub(super) struct Watch {
    activity: std::sync::Arc<Activity>,
    idle: Option<Duration>,
    head: Option<Duration>,
    old: Option<Instant>,
    cut: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    pub(super) fn new(
        activity: &std::sync::Arc<Activity>,
        idle: Option<Duration>,
        head: Option<Duration>,
        age: Option<Duration>,
    ) -> Self {
        Self {
            activity: std::sync::Arc::clone(activity),
            idle,
            head,
            old: age.map(|age| activity.born + age),
            cut: None,
            timer: None,
        }
    }

    /// From now on the connection only has time to end, if that is bounded at all.
    pub(super) fn leaving(&mut self, within: Option<Duration>) {
        self.idle = None;
        self.old = None;
        self.cut = within.map(|within| Instant::now() + within);
    }

    /// The first thing due as things stand.
    fn next(&self) -> Option<(Instant, Due)> {
        let activity = &*self.activity;
        let quiet = activity.open.load(Relaxed) == 0;
        let idle = self.idle.filter(|_| quiet).map(|idle| {
            let since = activity.after_birth(activity.quiet.load(Relaxed));
            (since + idle, Due::Idle)
        });
        let head = activity.head.load(Relaxed).checked_sub(1);
        let head = head
            .zip(self.head)
            .map(|(at, limit)| (activity.after_birth(at) + limit, Due::Cut));
        let old = self.old.map(|at| (at, Due::Old));
        let cut = self.cut.map(|at| (at, Due::Cut));
        [idle, head, old, cut]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}

impl Future for Watch {
    type Output = Due;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Due> {
        let me = &mut *self;
        loop {
            let Some((at, due)) = me.next() else {
                // Idle time and headers begin to count when something happens, which polls.
                me.timer = None;
                return Poll::Pending;
            };
            if at <= Instant::now() {
                return Poll::Ready(due);
            }
            // A timer that runs out too early costs one look; setting it anew at each request
            // would cost more.
            let timer = match &mut me.timer {
                Some(timer) if timer.deadline() <= at => timer,
                timer => timer.insert(Box::pin(sleep_until(at))),
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            me.timer = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::time::{advance, timeout};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn idle_time_counts_from_the_end_of_the_last_request() {
        let activity = Arc::new(Activity::new());
        let mut watch = Watch::new(&activity, Some(10 * SECOND), None, None);
        let open = Arc::clone(&activity).begin();
        assert!(timeout(60 * SECOND, &mut watch).await.is_err());
        drop(open);
        assert!(timeout(9 * SECOND, &mut watch).await.is_err());
        assert_eq!(timeout(2 * SECOND, &mut watch).await, Ok(Due::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_do_not_end_are_cut() {
        let activity = Arc::new(Activity::new());
        let mut watch = Watch::new(&activity, Some(60 * SECOND), Some(5 * SECOND), None);
        activity.read();
        let open = Arc::clone(&activity).begin();
        assert!(timeout(30 * SECOND, &mut watch).await.is_err());
        drop(open);
        activity.read();
        advance(SECOND).await;
        activity.read();
        assert_eq!(timeout(5 * SECOND, &mut watch).await, Ok(Due::Cut));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_connection_has_its_grace() {
        let activity = Arc::new(Activity::new());
        let mut watch = Watch::new(&activity, None, None, Some(5 * SECOND));
        let _open = Arc::clone(&activity).begin();
        assert_eq!(timeout(6 * SECOND, &mut watch).await, Ok(Due::Old));
        watch.leaving(Some(3 * SECOND));
        assert!(timeout(2 * SECOND, &mut watch).await.is_err());
        assert_eq!(timeout(2 * SECOND, &mut watch).await, Ok(Due::Cut));
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_nothing_is_due() {
        let activity = Arc::new(Activity::new());
        let watch = Watch::new(&activity, None, None, None);
        assert!(timeout(1000 * SECOND, watch).await.is_err());
    }
}
