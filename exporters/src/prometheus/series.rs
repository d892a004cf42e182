//! One series: its labels' text and what it holds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

use tidegate_pdata::Reservation;

use super::labels::LabelText;
use super::lock;
use super::value::State;

/// Sets of attributes that lead to a series without its labels being made; further ones take the long way each time.
const MAX_ALIASES: u8 = 4;

/// One series.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) labels: LabelText,
    /// Where it is in its family.
    pub(super) place: u32,
    /// A hash of what the labels were made of, to tell when something else comes to the same labels.
    origin: u64,
    aliases: AtomicU8,
    /// Whether it was ended, and is shown no more.
    ended: AtomicBool,
    state: Mutex<Option<State>>,
    /// Its share of the byte budget.
    _hold: Reservation,
}

impl Series {
    /// A series that is not in a family yet.
    pub(super) fn new(origin: u64, hold: Reservation) -> Self {
        Self {
            labels: LabelText::default(),
            place: 0,
            origin,
            aliases: AtomicU8::new(0),
            ended: AtomicBool::new(false),
            state: Mutex::new(None),
            _hold: hold,
        }
    }

    /// The same in its place.
    pub(super) fn placed(self, labels: LabelText, place: u32, state: State) -> Self {
        Self {
            labels,
            place,
            state: Mutex::new(Some(state)),
            ..self
        }
    }

    /// Runs with its state; none where it was ended.
    pub(super) fn with<T>(&self, run: impl FnOnce(&mut State) -> T) -> Option<T> {
        lock(&self.state).as_mut().map(run)
    }

    /// Ends it, if it is not ended and `whether` says so; tells whether it did.
    pub(super) fn end(&self, whether: impl FnOnce(&State) -> bool) -> bool {
        let mut state = lock(&self.state);
        let ends = state.as_ref().is_some_and(whether);
        if ends {
            *state = None;
            self.ended.store(true, Relaxed);
        }
        ends
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Whether it was made of something else than this.
    pub(super) fn collides_with(&self, origin: u64) -> bool {
        self.origin != origin
    }

    /// Whether one more set of attributes may lead to it.
    pub(super) fn may_have_alias(&self) -> bool {
        let taken = self.aliases.fetch_update(Relaxed, Relaxed, |aliases| {
            (aliases < MAX_ALIASES).then_some(aliases + 1)
        });
        taken.is_ok()
    }
}
