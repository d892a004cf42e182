//! A scrape as a request.

use tidegate_pdata::Signal;
use tidegate_pdata::compose::{
    Fields, Kind, NO_RECORDED_VALUE, Request, exponential_point, histogram_point, number_point,
    summary_point,
};

use super::build::{Build, Counts, Point};
use super::family::points;
use super::streams::NONE;
use super::units::{trimmed, ucum};
use crate::prometheus::exposition::Buckets;

/// A bucket or quantile, and its value.
type Pairs = Vec<(f64, f64)>;

impl Build<'_, '_> {
    /// Writes everything; `scheme` and `discovered` are what was known before the scrape.
    pub(in crate::prometheus) fn finish(
        mut self,
        scheme: &str,
        discovered: &[(String, String)],
    ) -> (Request, Counts) {
        let mut request = Request::new(Signal::Metrics);
        let mut order = std::mem::take(&mut self.touched);
        let families = &self.series.families.all;
        order.sort_by_key(|at| {
            let key = &families[*at as usize].key;
            (key.origin, key.scope)
        });
        let (mut origin, mut scope) = (NONE, NONE);
        let mut scratch = Pairs::new();
        for at in order {
            let key = &self.series.families.all[at as usize].key;
            if key.origin != origin {
                (origin, scope) = (key.origin, NONE);
                let origin = &self.series.origins[origin as usize];
                request.resource(|fields| origin.write(fields, scheme, discovered));
            }
            if key.scope != scope {
                scope = key.scope;
                let scope = &self.series.scopes[scope as usize];
                request.scope_of(scope.schema_url(), |fields| scope.write(fields));
            }
            self.metric(&mut request, at, &mut scratch);
        }
        for at in std::mem::take(&mut self.gone) {
            self.series.streams.remove(at);
        }
        self.series.tidy();
        (request, self.counts)
    }

    fn metric(&mut self, request: &mut Request, at: u32, scratch: &mut Pairs) {
        let family = &self.series.families.all[at as usize];
        let key = &family.key;
        let kind = points(key.kind, key.native);
        let name = match self.job.trim {
            true => trimmed(&key.name, matches!(kind, Kind::Sum { .. }), &family.unit),
            false => &key.name,
        };
        request.metric(name, &family.help, &ucum(&family.unit), kind);
        request.metadata("prometheus.type", key.kind.name());
        let mut next = family.first;
        while next != NONE {
            let point = next as usize;
            next = self.points[point].next;
            match kind {
                Kind::Gauge | Kind::Sum { .. } => self.number(request, point, kind),
                Kind::Summary => self.summary(request, at, point, scratch),
                Kind::Histogram(_) => self.histogram(request, at, point, scratch),
                Kind::ExponentialHistogram(_) => self.exponential(request, point),
            }
        }
    }

    fn attributes(&self, point: &Point) -> &[u8] {
        &self.series.streams.get(point.stream).attributes
    }

    fn number(&self, request: &mut Request, at: usize, kind: Kind) {
        let point = &self.points[at];
        if point.value.is_none() && !point.stale {
            return;
        }
        request.point(|out| {
            if kind != Kind::Gauge {
                out.fixed64(number_point::START_TIME, point.start);
            }
            out.fixed64(number_point::TIME, time(point));
            if let Some(value) = point.value.filter(|_| !point.stale) {
                out.double(number_point::AS_DOUBLE, value);
            }
            self.write_examples(out, number_point::EXEMPLARS, point);
            out.raw(self.attributes(point));
            out.uint(number_point::FLAGS, flags(point));
        });
    }

    /// Collects the bounds of a point in their order, each once.
    fn collect(&mut self, at: usize, into: &mut Pairs) {
        into.clear();
        let mut next = self.points[at].bounds;
        while next != NONE {
            let bound = &self.bounds[next as usize];
            into.push((bound.bound, bound.value));
            next = bound.next;
        }
        // They were linked from the last to the first.
        into.reverse();
        let ordered = into.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ordered {
            into.sort_by(|a, b| a.0.total_cmp(&b.0));
            let before = into.len();
            into.dedup_by(|later, first| later.0 == first.0);
            self.counts.rejected.duplicate += (before - into.len()) as u64;
        }
    }

    /// Keeps the bounds of a stream for the telling of its end.
    fn keep_shape(&mut self, family: u32, at: usize, pairs: &[(f64, f64)]) {
        let bounds: smallvec::SmallVec<[f64; 32]> = pairs.iter().map(|(bound, _)| *bound).collect();
        let near = self.series.families.all[family as usize].shape;
        let shape = self.series.shapes.find_or_add(near, &bounds);
        self.series.families.all[family as usize].shape = shape;
        let stream = self.points[at].stream;
        self.series.streams.get_mut(stream).shape = shape;
    }

    /// The bounds that a stream had last.
    fn shape(&self, point: &Point) -> &[f64] {
        let stream = self.series.streams.get(point.stream);
        self.series.shapes.get(stream.shape)
    }

    fn histogram(&mut self, request: &mut Request, family: u32, at: usize, pairs: &mut Pairs) {
        if self.points[at].stale {
            self.stale_histogram(request, at);
            return;
        }
        self.collect(at, pairs);
        let Some(count) = self.points[at].count else {
            return;
        };
        if pairs
            .last()
            .is_some_and(|(bound, _)| *bound == f64::INFINITY)
        {
            pairs.pop();
        }
        if !rises(pairs, count) {
            self.counts.rejected.falling += 1;
            return;
        }
        self.keep_shape(family, at, pairs);
        let point = &self.points[at];
        request.point(|out| {
            out.fixed64(histogram_point::START_TIME, point.start);
            out.fixed64(histogram_point::TIME, time(point));
            out.fixed64(histogram_point::COUNT, count as u64);
            if let Some(sum) = point.sum {
                out.double(histogram_point::SUM, sum);
            }
            let mut below = 0;
            let cumulative = pairs.iter().map(|(_, count)| *count).chain([count]);
            let each = cumulative.map(|count| {
                let count = count as u64;
                let each = count.saturating_sub(below);
                below = count;
                each
            });
            out.packed_fixed64(histogram_point::BUCKET_COUNTS, each);
            let bounds = pairs.iter().map(|(bound, _)| *bound);
            out.packed_doubles(histogram_point::EXPLICIT_BOUNDS, bounds);
            self.write_examples(out, histogram_point::EXEMPLARS, point);
            out.raw(self.attributes(point));
        });
    }

    fn stale_histogram(&self, request: &mut Request, at: usize) {
        let point = &self.points[at];
        let bounds = self.shape(point);
        request.point(|out| {
            out.fixed64(histogram_point::TIME, time(point));
            let none = bounds.iter().map(|_| 0).chain([0]);
            out.packed_fixed64(histogram_point::BUCKET_COUNTS, none);
            out.packed_doubles(histogram_point::EXPLICIT_BOUNDS, bounds.iter().copied());
            out.raw(self.attributes(point));
            out.uint(histogram_point::FLAGS, NO_RECORDED_VALUE);
        });
    }

    fn summary(&mut self, request: &mut Request, family: u32, at: usize, pairs: &mut Pairs) {
        if self.points[at].stale {
            pairs.clear();
            let quantiles = self.shape(&self.points[at]).iter();
            pairs.extend(quantiles.map(|quantile| (*quantile, 0.0)));
        } else {
            self.collect(at, pairs);
            if self.points[at].count.is_none() {
                return;
            }
            self.keep_shape(family, at, pairs);
        }
        let point = &self.points[at];
        request.point(|out| {
            out.fixed64(summary_point::START_TIME, point.start);
            out.fixed64(summary_point::TIME, time(point));
            out.fixed64(summary_point::COUNT, point.count.unwrap_or(0.0) as u64);
            if let Some(sum) = point.sum {
                out.double(summary_point::SUM, sum);
            }
            for (quantile, value) in &*pairs {
                out.message(summary_point::QUANTILES, |out| {
                    out.double(summary_point::QUANTILE, *quantile);
                    out.double(summary_point::VALUE, *value);
                });
            }
            out.raw(self.attributes(point));
            out.uint(summary_point::FLAGS, flags(point));
        });
    }

    fn exponential(&self, request: &mut Request, at: usize) {
        let point = &self.points[at];
        let native = self.natives.get(point.native as usize);
        if native.is_none() && !point.stale {
            return;
        }
        request.point(|out| {
            out.raw(self.attributes(point));
            out.fixed64(exponential_point::START_TIME, point.start);
            out.fixed64(exponential_point::TIME, time(point));
            let Some(native) = native else {
                out.uint(exponential_point::FLAGS, NO_RECORDED_VALUE);
                return;
            };
            out.fixed64(exponential_point::COUNT, native.count as u64);
            out.double(exponential_point::SUM, native.sum);
            out.zigzag(exponential_point::SCALE, native.schema);
            out.fixed64(exponential_point::ZERO_COUNT, native.zero_count as u64);
            write_buckets(out, exponential_point::POSITIVE, &native.positive);
            write_buckets(out, exponential_point::NEGATIVE, &native.negative);
            self.write_examples(out, exponential_point::EXEMPLARS, point);
            if native.zero_threshold != 0.0 {
                out.double(exponential_point::ZERO_THRESHOLD, native.zero_threshold);
            }
        });
    }

    fn write_examples(&self, out: &mut Fields, number: u32, point: &Point) {
        let mut next = point.exemplars;
        while let Some(example) = self.examples.get(next as usize) {
            let bytes = &self.example_bytes.bytes()[example.bytes.clone()];
            out.message(number, |out| out.raw(bytes));
            next = example.next;
        }
    }
}

fn time(point: &Point) -> u64 {
    u64::try_from(point.time)
        .unwrap_or(0)
        .saturating_mul(1_000_000)
}

const fn flags(point: &Point) -> u64 {
    if point.stale { NO_RECORDED_VALUE } else { 0 }
}

/// Whether cumulative counts never fall, and all are counts.
fn rises(pairs: &[(f64, f64)], count: f64) -> bool {
    let mut below = 0.0;
    for value in pairs.iter().map(|(_, value)| *value).chain([count]) {
        if value.is_nan() || value < below {
            return false;
        }
        below = value;
    }
    true
}

/// Buckets of OTLP are numbered by their lower bounds, those of Prometheus by their upper ones.
fn write_buckets(out: &mut Fields, number: u32, buckets: &Buckets) {
    if buckets.counts.is_empty() {
        return;
    }
    out.message(number, |out| {
        out.zigzag(exponential_point::OFFSET, buckets.first.saturating_sub(1));
        out.packed_varints(
            exponential_point::BUCKET_COUNTS,
            buckets.counts.iter().copied(),
        );
    });
}
