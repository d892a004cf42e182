//! Why a data point cannot be shown.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tidegate_component::metrics::{Counter, Metrics};

/// Why a data point cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A sum or a histogram that says neither delta nor cumulative.
    Temporality,
    /// A delta sum that may fall: it has no running total.
    FallingDelta,
    /// A family of this name has another type.
    TypeConflict,
    /// Nothing of the metric's name can be in a name.
    MetricName,
    /// Nothing of a label's name can be in a name, or it is reserved.
    LabelName,
    /// Two labels have one name after the translation.
    LabelCollision,
    /// The labels are longer than a series may have.
    LabelsTooLong,
    /// There are as many series as there may be.
    SeriesLimit,
    /// A delta that overlaps what was counted already.
    Overlap,
    /// An exponential histogram coarser than Prometheus has them.
    Scale,
    /// A histogram whose buckets do not add up to its count, or whose bounds are no numbers.
    Malformed,
}

impl Rejection {
    pub(crate) const ALL: [Self; 11] = [
        Self::Temporality,
        Self::FallingDelta,
        Self::TypeConflict,
        Self::MetricName,
        Self::LabelName,
        Self::LabelCollision,
        Self::LabelsTooLong,
        Self::SeriesLimit,
        Self::Overlap,
        Self::Scale,
        Self::Malformed,
    ];

    /// Its name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Temporality => "temporality",
            Self::FallingDelta => "non_monotonic_delta",
            Self::TypeConflict => "type_conflict",
            Self::MetricName => "metric_name",
            Self::LabelName => "label_name",
            Self::LabelCollision => "label_collision",
            Self::LabelsTooLong => "labels_too_long",
            Self::SeriesLimit => "series_limit",
            Self::Overlap => "overlapping_delta",
            Self::Scale => "scale",
            Self::Malformed => "malformed",
        }
    }

    /// What is wrong, for people.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Temporality => "the temporality is neither delta nor cumulative",
            Self::FallingDelta => "a delta sum that is not monotonic has no running total",
            Self::TypeConflict => "a metric of this name has another type already",
            Self::MetricName => "nothing is left of the metric's name after the translation",
            Self::LabelName => {
                "nothing is left of an attribute's name after the translation, or it is reserved"
            }
            Self::LabelCollision => "two labels have the same name after the translation",
            Self::LabelsTooLong => "the labels are longer than 64 KiB",
            Self::SeriesLimit => "there are max_series series already",
            Self::Overlap => "a delta begins before the end of what was counted already",
            Self::Scale => "the scale of an exponential histogram is below -4",
            Self::Malformed => {
                "the buckets of a histogram do not add up, or its bounds are not numbers"
            }
        }
    }
}

/// How often a reason is told in the log while it goes on, in milliseconds.
const SILENCE: u64 = 60_000;

/// The counts of rejected points, by reason.
#[derive(Debug)]
pub(super) struct Rejections {
    exporter: String,
    reasons: [Told; Rejection::ALL.len()],
}

#[derive(Debug)]
struct Told {
    points: Counter,
    /// The time from which it may be told again.
    again: AtomicU64,
}

impl Rejections {
    pub(super) fn new(exporter: &str, metrics: &Metrics) -> Self {
        let reasons = array::from_fn(|at| {
            let reason = Rejection::ALL[at].name();
            let points = metrics.counter(
                "tidegate_prometheus_rejected_points",
                "Data points that cannot be shown to Prometheus, by reason.",
                &[("reason", reason)],
            );
            Told {
                points,
                again: AtomicU64::new(0),
            }
        });
        Self {
            exporter: exporter.to_owned(),
            reasons,
        }
    }

    /// Counts points of a metric; the log names one metric a reason and minute.
    pub(super) fn add(&self, reason: Rejection, points: u64, metric: &str, now: u64) {
        let told = &self.reasons[reason as usize];
        told.points.add(points);
        let again = told.again.load(Relaxed);
        let turn = || {
            told.again
                .compare_exchange(again, now + SILENCE, Relaxed, Relaxed)
        };
        if points > 0 && now >= again && turn().is_ok() {
            tracing::warn!(
                exporter = self.exporter,
                metric,
                reason = reason.message(),
                "data points cannot be shown"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter() {
        for (at, reason) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
        let rejections = Rejections::new("prometheus", &Metrics::default());
        rejections.add(Rejection::Malformed, 3, "m", 0);
        let counts: Vec<u64> = rejections
            .reasons
            .iter()
            .map(|told| told.points.value())
            .collect();
        assert_eq!(counts, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    }
}
