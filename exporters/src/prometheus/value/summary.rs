//! Summaries.

use tidegate_pdata::view::{SummaryDataPoint, SummaryDataPointFields};

use super::{Meaning, Point, Value};
use crate::prometheus::rejection::Rejection;

/// Quantiles that the source computed.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Summary {
    pub(in super::super) count: u64,
    pub(in super::super) sum: f64,
    /// Quantiles in ascending order, each once, and the values there.
    pub(in super::super) quantiles: Box<[(f64, f64)]>,
}

impl<'a> Point<'a> for SummaryDataPointFields<'a> {
    fields_of_every_point!('a, SummaryDataPoint);

    fn first(&self, _: Meaning<'_>) -> Result<Value, Rejection> {
        let values = self.quantile_values.map(|value| value.fields());
        let mut quantiles: Vec<(f64, f64)> = values.map(|q| (q.quantile, q.value)).collect();
        // Of equal quantiles the last counts.
        quantiles.reverse();
        quantiles.sort_by(|a, b| a.0.total_cmp(&b.0));
        quantiles.dedup_by(|later, kept| later.0 == kept.0 || later.0.is_nan() && kept.0.is_nan());
        Ok(Value::Summary(Box::new(Summary {
            count: self.count,
            sum: self.sum,
            quantiles: quantiles.into_boxed_slice(),
        })))
    }

    fn add_to(&self, _: &mut Value, _: Meaning<'_>) -> Result<bool, Rejection> {
        // Quantiles do not add up, and OTLP has no deltas of them.
        Ok(false)
    }
}
