//! What is counted of a series.

use tidegate_pdata::compose::{Fields, exponential_point, histogram_point};
use tidegate_pdata::exponential::{Buckets, bits_to_fit, bucket_of};

/// The scale that an exponential histogram begins with, the finest.
const FINEST: i32 = 20;

/// What buckets of durations there are.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// None: only a count is kept.
    None,
    /// Those with these upper bounds, and one above.
    Explicit(Box<[f64]>),
    /// At most so many, whose bounds follow the values.
    Exponential(i64),
}

/// A span that stands as an example.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exemplar {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) duration: f64,
}

/// A count, and how long what was counted took.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) count: u64,
    sum: f64,
    buckets: Cells,
    pub(crate) exemplars: Vec<Exemplar>,
}

#[derive(Clone, Debug)]
enum Cells {
    None,
    Explicit(Box<[u64]>),
    Exponential(Box<Exponential>),
}

#[derive(Clone, Debug)]
struct Exponential {
    scale: i32,
    zero: u64,
    min: f64,
    max: f64,
    buckets: Buckets,
}

impl Aggregate {
    pub(crate) fn new(shape: &Shape) -> Self {
        Self {
            count: 0,
            sum: 0.0,
            buckets: match shape {
                Shape::None => Cells::None,
                Shape::Explicit(bounds) => Cells::Explicit(vec![0; bounds.len() + 1].into()),
                Shape::Exponential(_) => Cells::Exponential(Box::new(Exponential {
                    scale: FINEST,
                    zero: 0,
                    min: f64::INFINITY,
                    max: f64::NEG_INFINITY,
                    buckets: Buckets::default(),
                })),
            },
            exemplars: Vec::new(),
        }
    }

    /// Bytes that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        let cells = match &self.buckets {
            Cells::None => 0,
            Cells::Explicit(counts) => 8 * counts.len(),
            Cells::Exponential(held) => size_of::<Exponential>() + 8 * held.buckets.counts.len(),
        };
        size_of::<Self>() + cells + size_of::<Exemplar>() * self.exemplars.len()
    }

    /// Counts one duration so many times.
    pub(crate) fn observe(&mut self, duration: f64, times: u64, shape: &Shape) {
        self.count = self.count.wrapping_add(times);
        self.sum += duration * times as f64;
        match (&mut self.buckets, shape) {
            (Cells::Explicit(counts), Shape::Explicit(bounds)) => {
                let at = bounds.partition_point(|bound| *bound < duration);
                counts[at] = counts[at].wrapping_add(times);
            }
            (Cells::Exponential(held), Shape::Exponential(most)) => {
                held.observe(duration, times, *most)
            }
            _ => {}
        }
    }

    /// Adds what another, of the same shape, has counted.
    pub(crate) fn merge(&mut self, other: &Self, shape: &Shape, most_exemplars: usize) {
        self.count = self.count.wrapping_add(other.count);
        self.sum += other.sum;
        match (&mut self.buckets, &other.buckets) {
            (Cells::Explicit(into), Cells::Explicit(counts)) => {
                for (into, count) in into.iter_mut().zip(counts) {
                    *into = into.wrapping_add(*count);
                }
            }
            (Cells::Exponential(into), Cells::Exponential(other)) => {
                if let Shape::Exponential(most) = shape {
                    into.merge(other, *most);
                }
            }
            _ => {}
        }
        let room = most_exemplars.saturating_sub(self.exemplars.len());
        self.exemplars.extend(other.exemplars.iter().take(room));
    }

    /// Whether the points are of an exponential histogram.
    pub(crate) const fn is_exponential(&self) -> bool {
        matches!(self.buckets, Cells::Exponential(_))
    }

    /// Writes count, sum and buckets as fields of a histogram's point.
    pub(crate) fn write(&self, shape: &Shape, point: &mut Fields) {
        match (&self.buckets, shape) {
            (Cells::Explicit(counts), Shape::Explicit(bounds)) => {
                point.fixed64(histogram_point::COUNT, self.count);
                point.double(histogram_point::SUM, self.sum);
                point.packed_fixed64(histogram_point::BUCKET_COUNTS, counts.iter().copied());
                point.packed_doubles(histogram_point::EXPLICIT_BOUNDS, bounds.iter().copied());
            }
            (Cells::Exponential(held), _) => {
                point.fixed64(exponential_point::COUNT, self.count);
                point.double(exponential_point::SUM, self.sum);
                held.write(self.count, point);
            }
            _ => {}
        }
    }
}

impl Exponential {
    fn observe(&mut self, value: f64, times: u64, most: i64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value == 0.0 {
            self.zero = self.zero.wrapping_add(times);
            return;
        }
        let mut index = bucket_of(value, self.scale);
        if let Some((first, end)) = self.buckets.reach() {
            let reach = (first.min(index.into()), end.max(i64::from(index) + 1));
            let bits = bits_to_fit(reach, most);
            if bits > 0 {
                self.coarsen(bits);
                index = bucket_of(value, self.scale);
            }
        }
        self.buckets.count(index, times);
    }

    fn merge(&mut self, other: &Self, most: i64) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.zero = self.zero.wrapping_add(other.zero);
        if other.buckets.reach().is_none() {
            return;
        }
        if self.buckets.reach().is_none() {
            self.scale = other.scale;
            self.buckets.clone_from(&other.buckets);
            return;
        }
        let mut added = other.buckets.clone();
        let scale = self.scale.min(other.scale);
        added.coarsen(bits_between(other.scale, scale));
        self.coarsen(bits_between(self.scale, scale));
        if let (Some(these), Some(those)) = (self.buckets.reach(), added.reach()) {
            let bits = bits_to_fit((these.0.min(those.0), these.1.max(those.1)), most);
            added.coarsen(bits);
            self.coarsen(bits);
        }
        self.buckets.add(&added);
    }

    fn coarsen(&mut self, bits: u32) {
        self.buckets.coarsen(bits);
        self.scale -= bits as i32; // at most 32 bits
    }

    fn write(&self, count: u64, point: &mut Fields) {
        // Where all values are 0 no scale says anything.
        let scale = if self.buckets.counts.is_empty() {
            0
        } else {
            self.scale
        };
        point.zigzag(exponential_point::SCALE, scale);
        point.fixed64(exponential_point::ZERO_COUNT, self.zero);
        if !self.buckets.counts.is_empty() {
            point.message(exponential_point::POSITIVE, |out| self.buckets.write(out));
        }
        if count > 0 {
            point.double(exponential_point::MIN, self.min);
            point.double(exponential_point::MAX, self.max);
        }
    }
}

fn bits_between(finer: i32, coarser: i32) -> u32 {
    finer.saturating_sub(coarser).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64], shape: &Shape) -> Aggregate {
        let mut aggregate = Aggregate::new(shape);
        for value in values {
            aggregate.observe(*value, 1, shape);
        }
        aggregate
    }

    #[test]
    fn merged_halves_are_the_whole() {
        let values: Vec<f64> = (0..500).map(|at| f64::from(at * at) / 7.0).collect();
        for shape in [
            Shape::Explicit(vec![1.0, 10.0, 1000.0].into()),
            Shape::Exponential(20),
            Shape::Exponential(160),
            Shape::None,
        ] {
            let whole = of(&values, &shape);
            let (left, right) = values.split_at(137);
            let mut merged = of(left, &shape);
            merged.merge(&of(right, &shape), &shape, 5);
            assert_eq!(merged.count, 500);
            let written = |aggregate: &Aggregate| {
                let mut point = Fields::new();
                let mut aggregate = aggregate.clone();
                aggregate.sum = 0.0; // is rounded otherwise
                aggregate.write(&shape, &mut point);
                point.into_bytes()
            };
            assert_eq!(written(&merged), written(&whole), "{shape:?}");
        }
    }

    #[test]
    fn bounds_belong_to_the_bucket_below() {
        let shape = Shape::Explicit(vec![1.0, 2.0].into());
        let Cells::Explicit(counts) = of(&[0.0, 1.0, 1.5, 2.0, 2.1], &shape).buckets else {
            panic!("it is explicit");
        };
        assert_eq!(*counts, [2, 2, 1]);
    }

    #[test]
    fn buckets_get_coarser_as_values_lie_further_apart() {
        let shape = Shape::Exponential(4);
        let Cells::Exponential(held) = of(&[1.0, 1000.0, 0.0], &shape).buckets else {
            panic!("it is exponential");
        };
        assert!(held.buckets.counts.len() <= 4, "{held:?}");
        assert_eq!((held.zero, held.min, held.max), (1, 0.0, 1000.0));
    }
}
