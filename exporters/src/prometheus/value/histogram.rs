//! Histograms with explicit bounds.

use std::sync::Arc;

use tidegate_pdata::view::{FixedList, HistogramDataPoint, HistogramDataPointFields};

use super::{Exemplar, Meaning, Point, Value};
use crate::prometheus::number::{write_float, write_open_float};
use crate::prometheus::rejection::Rejection;

/// Upper bounds in ascending order, each once, with the text of their `le` labels.
///
/// The series of a family share one of these.
#[derive(Debug)]
pub(in super::super) struct Bounds {
    values: Box<[f64]>,
    /// The bounds as they were sent, where that is not what they are here.
    sent: Option<Sent>,
    plain: LabelTexts,
    open: LabelTexts,
}

/// Bounds in another order, or some of them twice.
#[derive(Debug)]
struct Sent {
    bounds: Box<[f64]>,
    /// For each of ours which of those it is.
    order: Box<[usize]>,
}

/// Texts one after the other, each with its end.
#[derive(Debug, Default)]
struct LabelTexts {
    text: String,
    ends: Box<[u32]>,
}

impl LabelTexts {
    fn new(bounds: &[f64], write: fn(&mut Vec<u8>, f64)) -> Self {
        let mut text = Vec::new();
        let ends = bounds.iter().map(|bound| {
            text.extend_from_slice(b"le=\"");
            write(&mut text, *bound);
            text.push(b'"');
            u32::try_from(text.len()).unwrap_or(u32::MAX)
        });
        let ends = ends.collect();
        Self {
            text: String::from_utf8(text).unwrap_or_default(),
            ends,
        }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.ends.iter().scan(0, |start, end| {
            let text = self.text.get(*start as usize..*end as usize);
            *start = *end;
            text
        })
    }
}

impl Bounds {
    fn new(sent: FixedList<'_, f64>) -> Result<Self, Rejection> {
        let sent: Box<[f64]> = sent.collect();
        if sent.iter().any(|bound| bound.is_nan()) {
            return Err(Rejection::Malformed);
        }
        let mut order: Vec<usize> = (0..sent.len()).collect();
        // Stable, so that of equal bounds the first stays.
        order.sort_by(|a, b| sent[*a].total_cmp(&sent[*b]));
        order.dedup_by(|later, kept| sent[*later] == sent[*kept]);
        let values: Box<[f64]> = order.iter().map(|at| sent[*at]).collect();
        let as_sent = values.len() == sent.len() && order.iter().enumerate().all(|(a, b)| a == *b);
        Ok(Self {
            plain: LabelTexts::new(&values, write_float),
            open: LabelTexts::new(&values, write_open_float),
            values,
            sent: (!as_sent).then(|| Sent {
                bounds: sent,
                order: order.into_boxed_slice(),
            }),
        })
    }

    /// Whether these are the bounds that were sent.
    pub(in super::super) fn are(&self, sent: FixedList<'_, f64>) -> bool {
        let known = self
            .sent
            .as_ref()
            .map_or(&*self.values, |sent| &sent.bounds);
        let same = |(a, b): (&f64, f64)| a.to_bits() == b.to_bits();
        known.len() == sent.len() && known.iter().zip(sent).all(same)
    }

    pub(in super::super) fn values(&self) -> &[f64] {
        &self.values
    }

    /// The labels `le="…"` of the text format or of OpenMetrics, without that of infinity unless it was sent.
    pub(in super::super) fn labels(&self, open: bool) -> impl Iterator<Item = &str> {
        if open { &self.open } else { &self.plain }.iter()
    }

    /// Whether the last bound is infinity.
    pub(in super::super) fn reach_infinity(&self) -> bool {
        self.values.last() == Some(&f64::INFINITY)
    }

    /// Puts the counts of a point, which are as many as bounds or more, where they belong.
    fn place(&self, counts: FixedList<'_, u64>, into: &mut [u64]) {
        match &self.sent {
            None => into
                .iter_mut()
                .zip(counts)
                .for_each(|(slot, count)| *slot = count),
            Some(Sent { order, .. }) => {
                let counts: Vec<u64> = counts.collect();
                for (slot, at) in into.iter_mut().zip(order) {
                    *slot = counts.get(*at).copied().unwrap_or(0);
                }
            }
        }
    }

    /// The bucket of a value; as many as there are bounds where it is above all of them.
    fn bucket(&self, value: f64) -> usize {
        if value.is_nan() {
            return self.values.len();
        }
        self.values.partition_point(|bound| *bound < value)
    }
}

/// A histogram with explicit bounds.
#[derive(Clone, Debug)]
pub(in super::super) struct Histogram {
    pub(in super::super) bounds: Arc<Bounds>,
    /// How many values are in each bucket but the last, not accumulated.
    pub(in super::super) counts: Box<[u64]>,
    pub(in super::super) count: u64,
    pub(in super::super) sum: f64,
    /// The last exemplar of each bucket that has one, with the bucket's number.
    pub(in super::super) exemplars: Vec<(u32, Exemplar)>,
}

impl Histogram {
    fn set(&mut self, point: &HistogramDataPointFields<'_>) {
        self.counts.fill(0);
        self.bounds.place(point.bucket_counts, &mut self.counts);
        self.count = point.count;
        self.sum = point.sum.unwrap_or(0.0);
        self.keep_exemplars(point);
    }

    fn add(&mut self, point: &HistogramDataPointFields<'_>) {
        let mut counts = vec![0; self.counts.len()];
        self.bounds.place(point.bucket_counts, &mut counts);
        for (held, more) in self.counts.iter_mut().zip(counts) {
            *held = held.saturating_add(more);
        }
        self.count = self.count.saturating_add(point.count);
        self.sum += point.sum.unwrap_or(0.0);
        self.keep_exemplars(point);
    }

    /// Bytes that it takes, without what its family shares.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self) + size_of_val(&*self.counts)
    }

    fn keep_exemplars(&mut self, point: &HistogramDataPointFields<'_>) {
        self.exemplars.clear();
        for exemplar in Exemplar::all(point.exemplars) {
            let bucket = self.bounds.bucket(exemplar.value);
            let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
            match self
                .exemplars
                .iter_mut()
                .find(|(known, _)| *known == bucket)
            {
                Some((_, kept)) => *kept = exemplar,
                None => self.exemplars.push((bucket, exemplar)),
            }
        }
    }

    /// The exemplar of a bucket.
    pub(in super::super) fn exemplar(&self, bucket: usize) -> Option<&Exemplar> {
        let mut exemplars = self.exemplars.iter();
        exemplars
            .find(|(known, _)| *known as usize == bucket)
            .map(|(_, exemplar)| exemplar)
    }
}

impl<'a> Point<'a> for HistogramDataPointFields<'a> {
    fields_of_every_point!('a, HistogramDataPoint);

    fn first(&self, meaning: Meaning<'_>) -> Result<Value, Rejection> {
        let sent = self.explicit_bounds;
        let bounds = meaning
            .family
            .bounds(|known| known.are(sent), || Bounds::new(sent))?;
        let mut histogram = Histogram {
            counts: vec![0; bounds.values().len()].into_boxed_slice(),
            bounds,
            count: 0,
            sum: 0.0,
            exemplars: Vec::new(),
        };
        histogram.set(self);
        Ok(Value::Histogram(Box::new(histogram)))
    }

    fn add_to(&self, value: &mut Value, _: Meaning<'_>) -> Result<bool, Rejection> {
        match value {
            Value::Histogram(held) if held.bounds.are(self.explicit_bounds) => {
                held.add(self);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn replace(&self, value: &mut Value, meaning: Meaning<'_>) -> Result<(), Rejection> {
        match value {
            Value::Histogram(held) if held.bounds.are(self.explicit_bounds) => held.set(self),
            other => *other = self.first(meaning)?,
        }
        Ok(())
    }
}
