//! What a series holds, and how a data point changes it.
//!
//! Cumulative points replace what is held, unless they are older. Deltas are added up where one begins at the time
//! at which the last one ended.

/// What every type of point has under the same names, for its [`Point`].
macro_rules! fields_of_every_point {
    ($life:lifetime, $view:ident) => {
        type View = $view<$life>;

        fn of(view: Self::View) -> Self {
            view.fields()
        }

        fn attributes(&self) -> tidegate_pdata::view::Attributes<$life> {
            self.attributes
        }

        fn flags(&self) -> u32 {
            self.flags
        }

        fn times(&self) -> (u64, u64) {
            (self.start_time_unix_nano, self.time_unix_nano)
        }
    };
}

mod histogram;
pub(crate) mod native;
mod number;
mod summary;

#[cfg(test)]
mod tests;

use tidegate_pdata::view::{Attributes, Exemplar as ExemplarView, Repeated, View};

pub(super) use histogram::{Bounds, Histogram};
pub(crate) use native::{Buckets, Native};
pub(super) use number::Sample;
pub(super) use summary::Summary;

use super::family::Family;
use super::rejection::Rejection;

/// The flag of a point that says that there was nothing to record.
pub(crate) const NO_RECORDED_VALUE: u32 = 1;

/// What a series holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// The value of a gauge or a counter, and the last exemplar of a counter.
    Number(Sample, Option<Box<Exemplar>>),
    /// A histogram with explicit bounds.
    Histogram(Box<Histogram>),
    /// A histogram with exponential bounds.
    Native(Box<Native>),
    /// A summary.
    Summary(Box<Summary>),
}

impl Value {
    /// Bytes that it takes beside its place in the state.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Number(_, None) => 0,
            Self::Number(_, Some(exemplar)) => size_of_val(&**exemplar),
            Self::Histogram(histogram) => histogram.bytes(),
            Self::Native(native) => native.bytes(),
            Self::Summary(summary) => size_of_val(&**summary) + size_of_val(&*summary.quantiles),
        }
    }
}

/// The state of a series.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// When it was last changed, in milliseconds of the store's clock.
    pub(super) updated: u64,
    /// When the last point was taken, in nanoseconds since 1970; 0 where nobody knows.
    pub(super) time: u64,
    /// Since when it counts, likewise.
    pub(super) start: u64,
    pub(super) value: Value,
}

/// What the metric of a point says about all of its points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning<'a> {
    pub(super) family: &'a Family,
    /// Whether each point counts from the end of the one before.
    pub(super) delta: bool,
    /// Whether a number's exemplars can be shown.
    pub(super) exemplars: bool,
}

/// What became of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is what is shown now, or part of it.
    Shown,
    /// Something newer is shown already.
    Outdated,
}

/// A data point of some type.
pub(super) trait Point<'a>: Copy {
    /// The view of it.
    type View: View<'a>;

    fn of(view: Self::View) -> Self;
    fn attributes(&self) -> Attributes<'a>;
    fn flags(&self) -> u32;
    /// Start and end, in nanoseconds since 1970.
    fn times(&self) -> (u64, u64);

    /// The value of a series that begins with this point.
    fn first(&self, meaning: Meaning<'_>) -> Result<Value, Rejection>;

    /// Adds a delta that follows on what is held; false, and nothing changed, where the two do not fit together.
    fn add_to(&self, value: &mut Value, meaning: Meaning<'_>) -> Result<bool, Rejection>;

    /// Puts a newer value in the place of what is held; it may use its allocations.
    fn replace(&self, value: &mut Value, meaning: Meaning<'_>) -> Result<(), Rejection> {
        *value = self.first(meaning)?;
        Ok(())
    }

    /// Whether a delta that overlaps what is held replaces it.
    const OVERLAP_REPLACES: bool = false;
}

impl State {
    /// The state of a series that begins with this point.
    pub(super) fn first<'a>(
        point: &impl Point<'a>,
        meaning: Meaning<'_>,
        now: u64,
    ) -> Result<Self, Rejection> {
        let (start, time) = point.times();
        Ok(Self {
            updated: now,
            time,
            start,
            value: point.first(meaning)?,
        })
    }

    /// Takes one more point.
    pub(super) fn take<'a, P: Point<'a>>(
        &mut self,
        point: &P,
        meaning: Meaning<'_>,
        now: u64,
    ) -> Result<Taken, Rejection> {
        let (start, time) = point.times();
        if meaning.delta && start == self.time {
            if point.add_to(&mut self.value, meaning)? {
                self.time = self.time.max(time);
                self.updated = now;
                return Ok(Taken::Shown);
            }
        } else if meaning.delta && time == self.start && start < time {
            // It comes late and ends where what is held begins: two workers took two batches in another order.
            if point.add_to(&mut self.value, meaning)? {
                self.start = start;
                self.updated = now;
                return Ok(Taken::Shown);
            }
            return Ok(Taken::Outdated);
        } else if time < self.time || meaning.delta && time == self.time && start < time {
            // Older than what is shown; or the same delta once more, sent again by a client that had no answer.
            return Ok(Taken::Outdated);
        } else if meaning.delta && start < self.time && !P::OVERLAP_REPLACES {
            return Err(Rejection::Overlap);
        }
        point.replace(&mut self.value, meaning)?;
        (self.start, self.time) = (start, time);
        self.updated = now;
        Ok(Taken::Shown)
    }
}

/// An example of what went into a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    pub(super) value: f64,
    /// When it was taken, in nanoseconds since 1970.
    pub(super) time: u64,
    /// All zeros where there is none.
    pub(super) trace_id: [u8; 16],
    /// All zeros where there is none.
    pub(super) span_id: [u8; 8],
}

impl Exemplar {
    fn of(view: ExemplarView<'_>) -> Self {
        let fields = view.fields();
        Self {
            value: fields.value.map_or(0.0, |value| value.to_double()),
            time: fields.time_unix_nano,
            trace_id: fields.trace_id.try_into().unwrap_or_default(),
            span_id: fields.span_id.try_into().unwrap_or_default(),
        }
    }

    fn all<'a>(views: Repeated<'a, ExemplarView<'a>>) -> impl Iterator<Item = Self> + 'a {
        views.map(Self::of)
    }

    /// Whether it says where it comes from.
    pub(super) fn is_traced(&self) -> bool {
        self.trace_id != [0; 16] || self.span_id != [0; 8]
    }
}
