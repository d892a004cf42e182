//! Writing points of what was counted.

use tidegate_pdata::Signal;
use tidegate_pdata::compose::{
    Fields, Kind, Request, Temporality, exemplar, exponential_point, histogram_point, number_point,
};
use tidegate_pdata::view::Attributes;

use super::plan::{Plan, Role};
use super::totals::{Group, Total, Totals};
use crate::aggregate::{Aggregate, Shape};

/// The name of the scope of all metrics, as users know it.
const SCOPE: &str = "spanmetricsconnector";

impl Totals {
    /// Writes a request of all that was counted; the first point of a count since the start tells 0, so that what
    /// computes rates has something to begin with, unless there will be no other.
    pub(super) fn write(&mut self, plan: &Plan, now: u64, is_last: bool) -> Request {
        let mut request = Request::new(Signal::Metrics);
        let mut starts = std::mem::take(&mut self.starts);
        self.is_news = false;
        for (id, group) in &mut self.groups {
            request.resource(|resource| resource.raw(&group.resource.attributes));
            request.scope(SCOPE, "");
            if plan.is_delta {
                for (at, totals) in group.families.iter_mut().enumerate() {
                    for (series, total) in totals {
                        let last = starts.insert((*id, at, *series), now);
                        total.start = last.unwrap_or(total.start);
                    }
                }
            }
            for role in [Role::Calls, Role::Duration, Role::Events] {
                self.is_news |= write_metric(plan, role, group, now, is_last, &mut request);
            }
            for total in group
                .families
                .iter_mut()
                .flat_map(|family| family.values_mut())
            {
                total.is_told = true;
            }
        }
        self.starts = starts;
        request
    }
}

/// Writes one of the metrics of a resource; says whether it told 0 where there was something.
fn write_metric(
    plan: &Plan,
    role: Role,
    group: &Group,
    now: u64,
    is_last: bool,
    request: &mut Request,
) -> bool {
    let mut withheld = false;
    for (family, totals) in plan.families.iter().zip(&group.families) {
        let is_its = match role {
            Role::Both | Role::Calls => family.role.is_of_calls(),
            Role::Duration => family.role.is_of_durations(),
            Role::Events => family.role == Role::Events,
        };
        if !is_its {
            continue;
        }
        let temporality = match plan.is_delta {
            true => Temporality::Delta,
            false => Temporality::Cumulative,
        };
        let sum = Kind::Sum {
            temporality,
            monotonic: true,
        };
        let (name, unit, kind) = match (role, &family.shape) {
            (Role::Duration, Shape::Exponential(_)) => (
                &plan.duration,
                plan.unit,
                Kind::ExponentialHistogram(temporality),
            ),
            (Role::Duration, _) => (&plan.duration, plan.unit, Kind::Histogram(temporality)),
            (Role::Events, _) => (&plan.events, "", sum),
            _ => (&plan.calls, "", sum),
        };
        request.metric(name, "", unit, kind);
        for total in totals.values() {
            // A series that was found and whose count is still on its way.
            if plan.is_delta && total.aggregate.count == 0 {
                continue;
            }
            if role == Role::Duration {
                request.point(|point| write_histogram(total, &family.shape, now, point));
            } else {
                let is_first = !plan.is_delta && !total.is_told && !is_last;
                withheld |= is_first;
                let count = if is_first { 0 } else { total.aggregate.count };
                request.point(|point| write_sum(total, count, now, point));
            }
        }
    }
    withheld
}

fn write_sum(total: &Total, count: u64, now: u64, point: &mut Fields) {
    point.fixed64(number_point::START_TIME, total.start);
    point.fixed64(number_point::TIME, now);
    point.int(
        number_point::AS_INT,
        i64::try_from(count).unwrap_or(i64::MAX),
    );
    write_exemplars(&total.aggregate, number_point::EXEMPLARS, now, point);
    write_attributes(total, number_point::ATTRIBUTES, point);
}

fn write_histogram(total: &Total, shape: &Shape, now: u64, point: &mut Fields) {
    let (exemplars, attributes) = match total.aggregate.is_exponential() {
        true => (exponential_point::EXEMPLARS, exponential_point::ATTRIBUTES),
        false => (histogram_point::EXEMPLARS, histogram_point::ATTRIBUTES),
    };
    // Both kinds of points number these alike.
    point.fixed64(histogram_point::START_TIME, total.start);
    point.fixed64(histogram_point::TIME, now);
    total.aggregate.write(shape, point);
    write_exemplars(&total.aggregate, exemplars, now, point);
    write_attributes(total, attributes, point);
}

fn write_exemplars(aggregate: &Aggregate, number: u32, now: u64, point: &mut Fields) {
    for one in &aggregate.exemplars {
        point.message(number, |out| {
            out.fixed64(exemplar::TIME, now);
            out.double(exemplar::AS_DOUBLE, one.duration);
            out.some_bytes(exemplar::SPAN_ID, &one.span_id);
            out.some_bytes(exemplar::TRACE_ID, &one.trace_id);
        });
    }
}

fn write_attributes(total: &Total, number: u32, point: &mut Fields) {
    for entry in Attributes::new(&total.series.attributes, 1).entries() {
        point.some_bytes(number, entry.bytes());
    }
}
