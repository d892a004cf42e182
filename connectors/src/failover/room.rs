//! Where batches wait that no level keeps and whose senders wait no more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::delivery::Sizer;
use tokio::time::Instant;

use super::attempt::Held;
use super::levels::Levels;

/// The wait before the levels are tried again for the first time, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long a batch is tried, as an exporter of the Collector does.
const PATIENCE: Duration = Duration::from_secs(300);

/// One worker's share of what waits.
#[derive(Debug)]
pub(super) struct Room {
    levels: Arc<Levels>,
    sizer: Sizer,
    batches: VecDeque<Held>,
    items: usize,
    bytes: usize,
    wait: Duration,
    due: Option<Instant>,
    /// Whether one was let go to see whether a level works again.
    scouting: bool,
}

/// Why a batch may not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barred {
    /// As much waits as may.
    Full,
    /// It has waited for as long as any may.
    Tired,
}

impl Room {
    pub(super) const fn new(levels: Arc<Levels>, sizer: Sizer) -> Self {
        Self {
            levels,
            sizer,
            batches: VecDeque::new(),
            items: 0,
            bytes: 0,
            wait: FIRST_WAIT,
            due: None,
            scouting: false,
        }
    }

    /// Lets a batch wait that no level kept, or gives it back and says why it may not.
    pub(super) fn put(&mut self, mut held: Held, now: Instant) -> Option<(Held, Barred)> {
        let known = held.since.is_some();
        let since = *held.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= PATIENCE {
            return Some((held, Barred::Tired));
        }
        if !self.levels.admit(self.size(&held)) {
            return Some((held, Barred::Full));
        }
        if known && std::mem::take(&mut self.scouting) {
            self.wait = self.wait.mul_f64(1.5).min(LONGEST_WAIT);
            self.due = Some(now + self.wait);
        }
        self.due.get_or_insert(now + self.wait);
        self.items += held.payload.items();
        self.bytes += held.payload.bytes();
        held.begin_anew();
        if known {
            self.batches.push_front(held);
        } else {
            self.batches.push_back(held);
        }
        None
    }

    /// When levels are to be tried next.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Lets the oldest go if it is time to see whether a level works again.
    pub(super) fn scout(&mut self, now: Instant) -> Option<Held> {
        self.due.filter(|due| *due <= now)?;
        let scout = self.take()?;
        self.scouting = true;
        self.due = (!self.is_empty()).then(|| now + self.wait);
        Some(scout)
    }

    /// Forgets how long no level has worked.
    pub(super) const fn relieved(&mut self) {
        self.wait = FIRST_WAIT;
    }

    /// Lets the oldest go.
    pub(super) fn take(&mut self) -> Option<Held> {
        let held = self.batches.pop_front()?;
        self.levels.leave(self.size(&held));
        self.items -= held.payload.items();
        self.bytes -= held.payload.bytes();
        if self.batches.is_empty() {
            self.due = None;
        }
        Some(held)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Items and bytes that wait.
    pub(super) const fn held(&self) -> (usize, usize) {
        (self.items, self.bytes)
    }

    fn size(&self, held: &Held) -> usize {
        match self.sizer {
            Sizer::Requests => 1,
            Sizer::Items => held.payload.items(),
            Sizer::Bytes => held.payload.bytes(),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        while self.take().is_some() {}
    }
}
