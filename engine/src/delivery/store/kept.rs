//! What ties a batch in memory to its record on disk.

use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_journal::{Flight, Position};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};
use tokio::time::Instant;

use super::landing::{self, Landing, Left};
use super::{Rest, Store};
use crate::sink::Depth;

/// How long a suspect waits for attempts that are under way.
const TO_BE_ALONE: Duration = Duration::from_secs(10);

/// Nothing else of the log is in flight as long as this is held.
pub(in crate::delivery) type Alone = OwnedRwLockWriteGuard<()>;

/// An attempt that is written down; it ends when this is dropped.
pub(in crate::delivery) struct Airborne {
    _flight: Aloft,
    _beside: Option<OwnedRwLockReadGuard<()>>,
}

/// What says on disk that an attempt is under way.
enum Aloft {
    Known { _flight: Flight },
    Landing { _airborne: landing::Airborne },
}

/// A part of a record that somebody must end.
///
/// When all parts have ended the record is marked. One that is dropped without an end brings the
/// whole record back into the backlog: what was delivered of it comes twice.
#[derive(Debug)]
pub(in crate::delivery) struct Share(Option<Arc<Kept>>);

/// A record whose batch is in memory.
#[derive(Debug)]
struct Kept {
    store: Arc<Store>,
    place: Place,
    size: Depth,
    /// When it was written; none where that was before any instant there is.
    written: Option<Instant>,
    /// Deaths that counted for it when it was read.
    deaths: u32,
    /// Whether they still do.
    is_suspect: AtomicBool,
    state: Mutex<State>,
}

/// Where the record is.
#[derive(Debug)]
enum Place {
    On(Position),
    /// Perhaps nowhere yet.
    Landing(Arc<Landing>),
}

#[derive(Debug, Default)]
struct State {
    /// What the parts weigh that have ended.
    ended: Depth,
    /// Whether a part ended otherwise than by its delivery.
    failed: bool,
    /// Whether its bytes are not in memory any more.
    is_gone: bool,
    /// Whether a part did not end.
    spoiled: bool,
    rest: Option<Rest>,
}

impl Share {
    /// The whole of a record that is so old, and that so many processes died over.
    pub(super) fn new(
        store: &Arc<Store>,
        position: Position,
        size: Depth,
        (age, deaths): (Duration, u32),
    ) -> Self {
        Self::at(store, Place::On(position), size, (age, deaths))
    }

    /// The whole of a record that is being written.
    pub(super) fn landing(store: &Arc<Store>, landing: &Arc<Landing>) -> Self {
        let place = Place::Landing(Arc::clone(landing));
        Self::at(store, place, landing.size, (Duration::ZERO, 0))
    }

    fn at(store: &Arc<Store>, place: Place, size: Depth, (age, deaths): (Duration, u32)) -> Self {
        store.enter(size);
        Self(Some(Arc::new(Kept {
            store: Arc::clone(store),
            place,
            size,
            written: Instant::now().checked_sub(age),
            deaths,
            is_suspect: AtomicBool::new(deaths > 0),
            state: Mutex::default(),
        })))
    }

    /// Another part.
    pub(in crate::delivery) fn part(&self) -> Self {
        Self(self.0.clone())
    }

    /// Ends a part that weighs this much, and tells whether it was delivered.
    pub(in crate::delivery) fn end(mut self, size: Depth, delivered: bool) {
        if let Some(kept) = self.0.take() {
            let mut state = kept.state();
            state.ended += size;
            state.failed |= !delivered;
        }
    }

    /// Whether the log did not take the record, so that its sender waits for the delivery.
    pub(in crate::delivery) fn is_refused(&self) -> bool {
        let place = self.0.as_ref().map(|kept| &kept.place);
        matches!(place, Some(Place::Landing(landing)) if landing.is_refused())
    }

    /// Whether the record is older than its storage keeps any.
    pub(in crate::delivery) fn is_too_old(&self, now: Instant) -> bool {
        let Some(kept) = &self.0 else {
            return false;
        };
        let Some(most) = kept.store.max_age() else {
            return false;
        };
        let age = kept.written.map(|at| now.saturating_duration_since(at));
        age.is_none_or(|age| age > most)
    }

    /// The number of the record, once it is written.
    pub(in crate::delivery) fn number(&self) -> Option<u64> {
        Some(self.0.as_ref()?.position()?.number())
    }

    /// How old the record is.
    pub(in crate::delivery) fn age(&self, now: Instant) -> Option<Duration> {
        let written = self.0.as_ref()?.written?;
        Some(now.saturating_duration_since(written))
    }

    /// Says that the bytes of the batch are not in memory any more, though it has not ended.
    pub(in crate::delivery) fn let_bytes_go(&self) {
        let Some(kept) = &self.0 else {
            return;
        };
        if std::mem::replace(&mut kept.state().is_gone, true) {
            return;
        }
        if kept.is_suspect() {
            kept.store.backlog().suspect_is_back();
            kept.store.call();
        }
        kept.store.leave(kept.size);
    }

    /// Whether processes died over the record, so that it is to fly alone.
    pub(in crate::delivery) fn is_suspect(&self) -> bool {
        self.0.as_ref().is_some_and(|kept| kept.is_suspect())
    }

    /// Says that the process has outlived an attempt: the record is a suspect no longer.
    pub(in crate::delivery) fn outlived(&self) {
        let Some(kept) = self.0.as_ref() else {
            return;
        };
        if !kept.is_suspect.swap(false, AcqRel) {
            return;
        }
        let store = &kept.store;
        if let (Some(log), Some(position)) = (store.log(), kept.position()) {
            log.outlived(position);
        }
        if !kept.state().is_gone {
            store.backlog().suspect_is_back();
        }
        store.call();
    }

    /// Waits until no attempt is under way, and holds others back; none where one does not end.
    pub(in crate::delivery) async fn alone(&self) -> Option<Alone> {
        let runway = Arc::clone(&self.0.as_ref()?.store.runway);
        let alone = tokio::time::timeout(TO_BE_ALONE, runway.write_owned()).await;
        alone.ok()
    }

    /// Says how the record is to come back.
    pub(in crate::delivery) fn rest(&self, rest: Rest) {
        if let Some(kept) = &self.0 {
            kept.state().rest = Some(rest);
        }
    }

    /// Writes down that an attempt is under way, until what comes back is dropped; the caller has
    /// seen to it that nothing else is.
    pub(in crate::delivery) fn fly_alone(&self) -> Option<Airborne> {
        let kept = self.0.as_ref()?;
        let flight = match &kept.place {
            Place::On(position) => Aloft::Known {
                _flight: kept.store.log()?.fly(*position),
            },
            Place::Landing(landing) => Aloft::Landing {
                _airborne: landing.take_off(&kept.store),
            },
        };
        Some(Airborne {
            _flight: flight,
            _beside: None,
        })
    }

    /// The same beside others, but not beside a suspect.
    pub(in crate::delivery) async fn fly(&self) -> Option<Airborne> {
        let kept = self.0.as_ref()?;
        let beside = Arc::clone(&kept.store.runway).read_owned().await;
        Some(Airborne {
            _beside: Some(beside),
            ..self.fly_alone()?
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(kept) = &self.0 {
            kept.state().spoiled = true;
        }
    }
}

impl Kept {
    fn position(&self) -> Option<Position> {
        match &self.place {
            Place::On(position) => Some(*position),
            Place::Landing(landing) => landing.position(),
        }
    }

    fn is_suspect(&self) -> bool {
        self.is_suspect.load(Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let state = std::mem::take(&mut *self.state());
        let (is_gone, spoiled) = (state.is_gone, state.spoiled);
        let store = &self.store;
        if spoiled {
            // The parts that ended come again.
            store.books.create(state.ended);
        }
        let is_suspect = self.is_suspect();
        match &self.place {
            Place::Landing(landing) => landing.leave(store, state.left()),
            Place::On(position) if !spoiled => {
                if let Some(log) = store.log() {
                    log.mark(*position);
                }
            }
            Place::On(position) if is_suspect => {
                let mut backlog = store.backlog();
                backlog.suspect(*position, self.size, self.deaths);
            }
            Place::On(position) => store.take_back(*position, self.size, state.rest),
        }
        if is_suspect && !is_gone {
            store.backlog().suspect_is_back();
        }
        if !is_gone {
            store.leave(self.size);
        }
        if spoiled || is_suspect {
            store.call();
        }
    }
}

impl State {
    const fn left(&self) -> Left {
        match (self.spoiled, self.failed) {
            (true, _) => Left::Resting(self.rest),
            (false, true) => Left::Ended,
            (false, false) => Left::Delivered,
        }
    }
}
