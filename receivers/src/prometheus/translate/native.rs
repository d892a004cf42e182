//! Native histograms within their limits.

use crate::prometheus::exposition::{Buckets, Native};
use crate::prometheus::job::Limits;

/// The coarsest schema that there is.
const COARSEST: i32 = -4;

/// Merges buckets until there are no more than are taken, and each is as wide as is wanted.
pub(super) fn limited(native: &mut Native, limits: &Limits) {
    let finest = finest(limits.bucket_factor);
    while native.schema > COARSEST && (native.schema > finest || filled(native) > limits.buckets) {
        native.schema -= 1;
        halve(&mut native.positive);
        halve(&mut native.negative);
    }
}

/// The finest schema whose buckets grow by this factor at least.
fn finest(factor: f64) -> i32 {
    if factor <= 1.0 {
        return i32::MAX;
    }
    let schemas = (COARSEST..=8).rev();
    schemas
        .into_iter()
        .find(|schema| (-f64::from(*schema)).exp2().exp2() >= factor)
        .unwrap_or(COARSEST)
}

fn filled(native: &Native) -> usize {
    let sides = [&native.positive, &native.negative];
    let counts = sides.into_iter().flat_map(|side| &side.counts);
    counts.filter(|count| **count > 0).count()
}

/// Merges each two buckets: the one of index `i` goes into that of half of it, rounded up.
fn halve(side: &mut Buckets) {
    let half = |index: i32| index.saturating_add(1) >> 1;
    let first = half(side.first);
    let mut merged: Vec<u64> = Vec::with_capacity(side.counts.len() / 2 + 1);
    for (at, count) in side.counts.iter().enumerate() {
        let index = side
            .first
            .saturating_add(i32::try_from(at).unwrap_or(i32::MAX));
        let into = usize::try_from(half(index) - first).unwrap_or(0);
        if into >= merged.len() {
            merged.resize(into + 1, 0);
        }
        merged[into] = merged[into].saturating_add(*count);
    }
    *side = Buckets {
        first,
        counts: merged,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(buckets: usize, bucket_factor: f64) -> Limits {
        Limits {
            body: 0,
            samples: 0,
            targets: 0,
            labels: 0,
            label_name: 0,
            label_value: 0,
            buckets,
            bucket_factor,
        }
    }

    fn native() -> Native {
        Native {
            schema: 2,
            positive: Buckets {
                first: -1,
                counts: vec![1, 2, 3, 4, 5],
            },
            ..Native::default()
        }
    }

    #[test]
    fn buckets_are_merged_two_by_two() {
        let mut merged = native();
        limited(&mut merged, &limits(3, 0.0));
        // Indices -1 to 3 become 0, 0, 1, 1 and 2.
        assert_eq!((merged.schema, merged.positive.first), (1, 0));
        assert_eq!(merged.positive.counts, [3, 7, 5]);
    }

    #[test]
    fn a_factor_sets_the_schema() {
        for (factor, schema) in [(0.0, 2), (1.1, 2), (1.4, 1), (2.0, 0), (5.0, -2)] {
            let mut merged = native();
            limited(&mut merged, &limits(usize::MAX, factor));
            assert_eq!(merged.schema, schema, "{factor}");
        }
    }
}
