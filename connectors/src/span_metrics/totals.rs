//! What all workers have counted together.

use std::sync::Arc;

use foldhash::quality::RandomState;
use hashbrown::HashMap;
use tidegate_component::BuildContext;
use tidegate_component::metrics::Gauge;
use tidegate_pdata::series::SeriesId;
use tidegate_pdata::{Budget, Reservation};
use tokio::time::Instant;

use super::plan::Plan;
use super::table::{Counted, Resource, Seen, Series, Table};
use crate::aggregate::Aggregate;
use crate::clock::Moment;

/// Bytes that a series or a resource takes in the tables beside its own.
const OVERHEAD: usize = 160;
/// By how many bytes the budget may be wrong.
const SLACK: usize = 1 << 16;
/// The ID of the series that stands for all that there was no room for.
const OVERFLOW: SeriesId = SeriesId::OTHER;
/// Its one attribute.
const OVERFLOW_KEY: &str = "otel.metric.overflow";

/// What all workers have counted together.
pub(super) struct Totals {
    plan: Arc<Plan>,
    pub(super) groups: HashMap<SeriesId, Group, RandomState>,
    /// For deltas: when the last point of a series was.
    pub(super) starts: HashMap<(SeriesId, usize, SeriesId), u64, RandomState>,
    /// Whether something was counted that no point has told yet.
    pub(super) is_news: bool,
    series: usize,
    bytes: usize,
    hold: Reservation,
    gauge: Gauge,
}

/// What was counted of a resource.
pub(super) struct Group {
    pub(super) resource: Arc<Resource>,
    seen: Seen,
    /// Whether it was out of date at the flush before: it is told once more, as in the original, and ends then.
    is_leaving: bool,
    pub(super) families: Box<[HashMap<SeriesId, Total, RandomState>]>,
}

/// What was counted of a series.
pub(super) struct Total {
    pub(super) series: Arc<Series>,
    /// When it was first seen.
    pub(super) start: u64,
    /// Whether a point has told of it.
    pub(super) is_told: bool,
    pub(super) aggregate: Aggregate,
}

impl Totals {
    pub(super) fn new(cx: &BuildContext, plan: Arc<Plan>) -> Self {
        let help = "Series that span_metrics remembers.";
        Self {
            plan,
            groups: HashMap::default(),
            starts: HashMap::default(),
            is_news: false,
            series: 0,
            bytes: 0,
            hold: Budget::overdraw(&cx.budget, 0),
            gauge: cx.metrics.gauge("tidegate_span_metrics_series", help, &[]),
        }
    }

    /// Bytes that all of it takes, about.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The resource of this ID; none if it is new and there is no room.
    pub(super) fn resource(
        &mut self,
        id: SeriesId,
        now: Moment,
        attributes: impl FnOnce() -> Box<[u8]>,
    ) -> Option<Arc<Resource>> {
        if let Some(group) = self.groups.get_mut(&id) {
            return Some(Arc::clone(&group.resource));
        }
        if self.series >= self.plan.most {
            return None;
        }
        let attributes = attributes();
        let resource = Arc::new(Resource { attributes });
        self.group(id, &resource, now);
        Some(resource)
    }

    fn group(&mut self, id: SeriesId, resource: &Arc<Resource>, now: Moment) -> &mut Group {
        let families = self.plan.families.len();
        let bytes = &mut self.bytes;
        self.groups.entry(id).or_insert_with(|| {
            *bytes += OVERHEAD + resource.attributes.len();
            Group {
                resource: Arc::clone(resource),
                seen: Seen {
                    at: now.at,
                    order: 0,
                },
                is_leaving: false,
                families: (0..families).map(|_| HashMap::default()).collect(),
            }
        })
    }

    /// The series of this ID, or the one that stands for it where there is no room, and its ID.
    pub(super) fn series(
        &mut self,
        (resource_id, resource): (SeriesId, &Arc<Resource>),
        family: usize,
        id: SeriesId,
        now: Moment,
        attributes: impl FnOnce() -> Box<[u8]>,
    ) -> (SeriesId, Arc<Series>) {
        let is_full = self.series >= self.plan.most;
        let most = self.plan.most_of_family;
        let family_of = &self.group(resource_id, resource, now).families[family];
        if let Some(total) = family_of.get(&id) {
            return (id, Arc::clone(&total.series));
        }
        let (id, series) = if is_full || family_of.len() >= most {
            if let Some(total) = family_of.get(&OVERFLOW) {
                return (OVERFLOW, Arc::clone(&total.series));
            }
            let mut entry = tidegate_pdata::compose::Fields::new();
            entry.attribute(1, OVERFLOW_KEY, true);
            let series = Series {
                attributes: entry.bytes().into(),
                is_overflow: true,
            };
            (OVERFLOW, Arc::new(series))
        } else {
            let series = Series {
                attributes: attributes(),
                is_overflow: false,
            };
            (id, Arc::new(series))
        };
        self.total(resource_id, resource, family, (id, &series), now);
        (id, series)
    }

    /// The total of a series, which is new if it is not known.
    fn total(
        &mut self,
        resource_id: SeriesId,
        resource: &Arc<Resource>,
        family: usize,
        (id, series): (SeriesId, &Arc<Series>),
        now: Moment,
    ) -> &mut Total {
        let shape = self.plan.families[family].shape.clone();
        let group = self.group(resource_id, resource, now);
        if !group.families[family].contains_key(&id) {
            let aggregate = Aggregate::new(&shape);
            let bytes = OVERHEAD + series.attributes.len() + aggregate.bytes();
            let total = Total {
                series: Arc::clone(series),
                start: now.wall,
                is_told: false,
                aggregate,
            };
            group.families[family].insert(id, total);
            self.bytes += bytes;
            self.series += 1;
            self.settle();
        }
        let group = self.group(resource_id, resource, now);
        let place = group.families[family].get_mut(&id);
        place.expect("it was put there if it was missing")
    }

    /// Adds what a worker has counted.
    pub(super) fn add(&mut self, table: Table, now: Moment) {
        for (id, counted) in table.resources {
            let Counted {
                resource,
                seen,
                families,
            } = counted;
            let group = self.group(id, &resource, now);
            group.seen = group.seen.max(seen);
            for (family, slots) in families.into_iter().enumerate() {
                for slot in slots.slots {
                    self.is_news = true;
                    let plan = Arc::clone(&self.plan);
                    let series = (slot.id, &slot.series);
                    let total = self.total(id, &resource, family, series, now);
                    let before = total.aggregate.bytes();
                    let shape = &plan.families[family].shape;
                    total
                        .aggregate
                        .merge(&slot.aggregate, shape, plan.exemplars);
                    let after = total.aggregate.bytes();
                    self.bytes = (self.bytes + after).saturating_sub(before);
                }
            }
        }
    }

    /// Forgets what the next points do not tell: of deltas all, else examples, and resources that are out of date or
    /// too many.
    pub(super) fn tidy(&mut self, now: Instant) {
        if self.plan.is_delta {
            self.groups = HashMap::default();
            (self.series, self.bytes) = (0, 0);
            self.bound_starts();
        } else {
            for total in self.totals_mut() {
                total.aggregate.exemplars = Vec::new();
            }
            self.expire(now);
        }
        self.settle();
    }

    pub(super) fn totals_mut(&mut self) -> impl Iterator<Item = &mut Total> {
        let groups = self.groups.values_mut();
        let families = groups.flat_map(|group| group.families.iter_mut());
        families.flat_map(HashMap::values_mut)
    }

    fn expire(&mut self, now: Instant) {
        let mut oldest = None;
        let surplus = self.groups.len().saturating_sub(self.plan.most_resources);
        if surplus > 0 {
            let mut seen: Vec<Seen> = self.groups.values().map(|group| group.seen).collect();
            seen.sort_unstable();
            oldest = seen.get(surplus).copied();
        }
        let expiration = self.plan.expiration;
        self.groups.retain(|_, group| {
            let age = now.saturating_duration_since(group.seen.at);
            let is_stale = expiration.is_some_and(|after| age >= after);
            let leaves =
                is_stale && group.is_leaving || oldest.is_some_and(|oldest| group.seen < oldest);
            group.is_leaving = is_stale;
            !leaves
        });
        // Of those that were seen at the same time any may go.
        let surplus = self.groups.len().saturating_sub(self.plan.most_resources);
        let ids: Vec<SeriesId> = self.groups.keys().take(surplus).copied().collect();
        for id in ids {
            self.groups.remove(&id);
        }
        self.series = 0;
        self.bytes = 0;
        for group in self.groups.values() {
            self.bytes += OVERHEAD + group.resource.attributes.len();
            for total in group.families.iter().flat_map(HashMap::values) {
                self.series += 1;
                self.bytes += OVERHEAD + total.series.attributes.len() + total.aggregate.bytes();
            }
        }
    }

    /// Keeps the times of as many series as are to be remembered, the latest.
    fn bound_starts(&mut self) {
        let surplus = self.starts.len().saturating_sub(self.plan.most_starts);
        if surplus == 0 {
            return;
        }
        let mut times: Vec<u64> = self.starts.values().copied().collect();
        times.sort_unstable();
        let oldest = times.get(surplus).copied().unwrap_or_default();
        self.starts.retain(|_, time| *time >= oldest);
        let surplus = self.starts.len().saturating_sub(self.plan.most_starts);
        let keys: Vec<_> = self.starts.keys().take(surplus).copied().collect();
        for key in keys {
            self.starts.remove(&key);
        }
    }

    /// Tells the budget and the process's own metrics what is held.
    fn settle(&mut self) {
        if self.bytes.abs_diff(self.hold.bytes()) > SLACK {
            self.hold.resize(self.bytes);
        }
        self.gauge
            .set(i64::try_from(self.series).unwrap_or(i64::MAX));
    }
}
