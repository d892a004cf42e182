//! From a batch to its data points.

use std::sync::Arc;

use tidegate_component::Delivered;
use tidegate_pdata::Payload;
use tidegate_pdata::view::{
    ExponentialHistogramDataPointFields, HistogramDataPointFields, Metric, MetricData,
    NumberDataPointFields, Repeated, SummaryDataPointFields, Text,
};

use super::family::Kind;
use super::naming::Sort;
use super::rejection::Rejection;
use super::store::Store;
use super::stream::Scope;
use super::value::{NO_RECORDED_VALUE, Point, Taken};

/// `AggregationTemporality`.
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

/// The points of one batch on their way.
struct Intake<'s> {
    store: &'s Store,
    now: u64,
    shown: u64,
    outdated: u64,
    rejected: u64,
    /// The last reason.
    reason: Option<Rejection>,
}

/// What a metric says about its points.
struct Heading<'a> {
    metric: Metric<'a>,
    name: Text<'a>,
    unit: Text<'a>,
    sort: (Kind, Sort),
    delta: bool,
}

/// Takes every data point of a payload of metrics.
pub(super) fn take(store: &Store, payload: &Payload) -> Delivered {
    let mut intake = Intake {
        store,
        now: store.now(),
        shown: 0,
        outdated: 0,
        rejected: 0,
        reason: None,
    };
    for group in payload.resource_metrics() {
        let resource = group.resource();
        let source = store.source(resource, intake.now);
        let shown = intake.shown;
        for scope in group.scopes() {
            let known = store.scope(&source.origin, scope.scope(), scope.schema_url());
            for metric in scope.metrics() {
                intake.metric(&known, metric);
            }
        }
        if intake.shown > shown {
            store.show_target(&source, resource, intake.now);
        }
    }
    if intake.outdated > 0 {
        store.outdated(intake.outdated);
    }
    Delivered {
        rejected: intake.rejected,
        message: intake.reason.map(|reason| reason.message().to_owned()),
    }
}

impl Intake<'_> {
    fn metric(&mut self, scope: &Arc<Scope>, metric: Metric<'_>) {
        let fields = metric.fields();
        let heading = |sort, delta| Heading {
            metric,
            name: fields.name,
            unit: fields.unit,
            sort,
            delta,
        };
        match fields.data {
            MetricData::Empty => {}
            MetricData::Gauge(gauge) => {
                let heading = heading((Kind::Gauge, Sort::Gauge), false);
                self.points::<NumberDataPointFields<'_>>(scope, &heading, gauge.data_points());
            }
            MetricData::Sum(sum) => {
                let sum = sum.fields();
                let sort = if sum.is_monotonic {
                    (Kind::Counter, Sort::Counter)
                } else {
                    (Kind::Gauge, Sort::Other)
                };
                match delta(sum.aggregation_temporality) {
                    Ok(true) if !sum.is_monotonic => {
                        self.reject(Rejection::FallingDelta, fields.name, sum.data_points);
                    }
                    Ok(delta) => self.points::<NumberDataPointFields<'_>>(
                        scope,
                        &heading(sort, delta),
                        sum.data_points,
                    ),
                    Err(reason) => self.reject(reason, fields.name, sum.data_points),
                }
            }
            MetricData::Histogram(histogram) => {
                let histogram = histogram.fields();
                match delta(histogram.aggregation_temporality) {
                    Ok(delta) => self.points::<HistogramDataPointFields<'_>>(
                        scope,
                        &heading((Kind::Histogram, Sort::Other), delta),
                        histogram.data_points,
                    ),
                    Err(reason) => self.reject(reason, fields.name, histogram.data_points),
                }
            }
            MetricData::ExponentialHistogram(histogram) => {
                let histogram = histogram.fields();
                match delta(histogram.aggregation_temporality) {
                    Ok(delta) => self.points::<ExponentialHistogramDataPointFields<'_>>(
                        scope,
                        &heading((Kind::Histogram, Sort::Other), delta),
                        histogram.data_points,
                    ),
                    Err(reason) => self.reject(reason, fields.name, histogram.data_points),
                }
            }
            MetricData::Summary(summary) => {
                let heading = heading((Kind::Summary, Sort::Other), false);
                self.points::<SummaryDataPointFields<'_>>(scope, &heading, summary.data_points());
            }
        }
    }

    fn points<'a, P: Point<'a>>(
        &mut self,
        scope: &Arc<Scope>,
        heading: &Heading<'a>,
        points: Repeated<'a, P::View>,
    ) {
        let names = (heading.name, heading.unit);
        let stream = match self
            .store
            .stream(scope, heading.metric, names, heading.sort)
        {
            Ok(stream) => stream,
            Err(reason) => return self.reject(reason, heading.name, points),
        };
        for view in points {
            let point = P::of(view);
            if point.flags() & NO_RECORDED_VALUE != 0 {
                self.store.forget(&stream, point.attributes());
                continue;
            }
            match self.store.take(&stream, &point, heading.delta, self.now) {
                Ok(Taken::Shown) => self.shown += 1,
                Ok(Taken::Outdated) => self.outdated += 1,
                Err(reason) => self.rejected(reason, heading.name, 1),
            }
        }
    }

    fn reject(&mut self, reason: Rejection, metric: Text<'_>, points: impl Iterator) {
        self.rejected(reason, metric, points.count() as u64);
    }

    #[cold]
    fn rejected(&mut self, reason: Rejection, metric: Text<'_>, points: u64) {
        let rejected = &self.store.meters.rejected;
        rejected.add(reason, points, &metric.to_str(), self.now);
        self.rejected += points;
        self.reason = Some(reason);
    }
}

fn delta(temporality: i32) -> Result<bool, Rejection> {
    match temporality {
        DELTA => Ok(true),
        CUMULATIVE => Ok(false),
        _ => Err(Rejection::Temporality),
    }
}
