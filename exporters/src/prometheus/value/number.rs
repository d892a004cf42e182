//! Gauges and sums.

use tidegate_pdata::view::{Number, NumberDataPoint, NumberDataPointFields, Repeated};

use super::{Exemplar, Meaning, Point, Value};
use crate::prometheus::rejection::Rejection;

/// A number as it came, so that whole numbers add up exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Sample(pub(in super::super) Number);

impl Sample {
    /// What a series shows that says something by its labels alone.
    pub(in super::super) const ONE: Self = Self(Number::Int(1));

    /// The number that is shown.
    pub(in super::super) const fn shown(self) -> f64 {
        self.0.to_double()
    }

    fn plus(self, other: Self) -> Self {
        Self(match (self.0, other.0) {
            (Number::Int(a), Number::Int(b)) => match a.checked_add(b) {
                Some(sum) => Number::Int(sum),
                None => Number::Double(a as f64 + b as f64),
            },
            (a, b) => Number::Double(a.to_double() + b.to_double()),
        })
    }
}

/// A point without a value is zero, as in the Collector.
fn sample(point: &NumberDataPointFields<'_>) -> Sample {
    Sample(point.value.unwrap_or(Number::Int(0)))
}

impl<'a> Point<'a> for NumberDataPointFields<'a> {
    const OVERLAP_REPLACES: bool = true;

    fields_of_every_point!('a, NumberDataPoint);

    fn first(&self, meaning: Meaning<'_>) -> Result<Value, Rejection> {
        let mut exemplar = None;
        keep_last(&mut exemplar, self.exemplars, meaning);
        Ok(Value::Number(sample(self), exemplar))
    }

    fn add_to(&self, value: &mut Value, meaning: Meaning<'_>) -> Result<bool, Rejection> {
        let Value::Number(held, exemplar) = value else {
            return Ok(false);
        };
        *held = held.plus(sample(self));
        keep_last(exemplar, self.exemplars, meaning);
        Ok(true)
    }

    fn replace(&self, value: &mut Value, meaning: Meaning<'_>) -> Result<(), Rejection> {
        match value {
            Value::Number(held, exemplar) => {
                *held = sample(self);
                keep_last(exemplar, self.exemplars, meaning);
            }
            other => *other = self.first(meaning)?,
        }
        Ok(())
    }
}

/// Keeps the last of a point's exemplars, or none.
fn keep_last<'a>(
    kept: &mut Option<Box<Exemplar>>,
    exemplars: Repeated<'a, tidegate_pdata::view::Exemplar<'a>>,
    meaning: Meaning<'_>,
) {
    let last = exemplars.filter(|_| meaning.exemplars).last();
    match (last.map(Exemplar::of), &mut *kept) {
        (Some(last), Some(kept)) => **kept = last,
        (Some(last), None) => *kept = Some(Box::new(last)),
        (None, _) => *kept = None,
    }
}
