//! `cardinality_limiter`: caps how many series a metric, a service or a tenant has.
//!
//! A batch is looked at where it lies: what all of its series are to their limits is found in sketches that all
//! workers share. Only where a series is beyond one, its metric is written anew with such points in one.

mod config;
mod fold;
mod group;
mod sketch;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use tidegate_component::metrics::{Counter, Metrics};
use tidegate_component::{BuildContext, Outbox, Processor, Reason};
use tidegate_pdata::compose::Fields;
use tidegate_pdata::series::SeriesId;
use tidegate_pdata::splice::{
    DataPoint, DataPointEditor, Edits, MetricEditor, ResourceEditor, ScopeEditor, Splicer, Verdict,
    Visit,
};
use tidegate_pdata::wire::Cursor;
use tidegate_pdata::{Batch, Budget, Context, Payload, Signal};
use tokio::time::Instant;

pub use config::Config;

use fold::{Gone, fold};
use group::{Around, Limit};
use sketch::{Sketch, Verdict as Asked};

use crate::merge::Merger;
use crate::message::{Arena, Head};
use crate::metric::Metric;

/// Groups that have a metric of their own; others are counted together.
const NAMED: usize = 100;
/// How often the log tells who is beyond a limit, in seconds.
const TELL_EVERY: usize = 60;

struct CardinalityLimiter {
    splicer: Splicer,
    look: Look,
    arena: Arena,
    merger: Merger,
    budget: Arc<Budget>,
    folded: Reason,
    lost: Reason,
    malformed: Reason,
}

/// What is found out about a batch.
struct Look {
    sketch: Arc<Sketch>,
    limits: Vec<Limit>,
    culprits: Culprits,
    sender: Context,
    resource: SeriesId,
    scope: SeriesId,
    metric: SeriesId,
    /// The resource and the name of the metric at hand, by which groups are told apart, and these.
    around: (Vec<u8>, Vec<u8>),
    groups: Vec<(u64, u32)>,
    /// Of each metric how many points it has, and whether any is beyond a limit.
    metrics: Vec<(u32, bool)>,
    /// Of each point whether it is beyond a limit.
    beyond: Vec<bool>,
}

/// Who is beyond a limit.
struct Culprits {
    metrics: Metrics,
    counters: HashMap<u64, Counter, foldhash::fast::RandomState>,
    others: HashMap<usize, Counter, foldhash::fast::RandomState>,
    no_room: Counter,
}

const POINTS: &str = "tidegate_cardinality_limiter_points_beyond_limit";
const POINTS_HELP: &str = "Points of series beyond a limit, by the limit and by what is beyond it.";

impl CardinalityLimiter {
    fn new(cx: &BuildContext, limits: Vec<Limit>, window: Duration, most: usize) -> Self {
        let sketch = cx.shared.value(|| Sketch::new(cx, most, window));
        let read = Arc::downgrade(&sketch);
        cx.metrics.gauge_of(
            "tidegate_processor_series",
            "Series that a processor remembers.",
            &[],
            move || read.upgrade().map_or(0, |sketch| sketch.held() as i64),
        );
        let metrics = cx.metrics.clone();
        let no_room = [("limit", "max_series"), ("beyond", "")];
        Self {
            splicer: Splicer::default(),
            look: Look {
                sketch,
                limits,
                culprits: Culprits {
                    no_room: metrics.counter(POINTS, POINTS_HELP, &no_room),
                    metrics,
                    counters: HashMap::default(),
                    others: HashMap::default(),
                },
                sender: Context::default(),
                resource: SeriesId::default(),
                scope: SeriesId::default(),
                metric: SeriesId::default(),
                around: (Vec::new(), Vec::new()),
                groups: Vec::new(),
                metrics: Vec::new(),
                beyond: Vec::new(),
            },
            arena: Arena::default(),
            merger: Merger::default(),
            budget: Arc::clone(&cx.budget),
            folded: cx.reason("folded"),
            lost: cx.loss("series_limit"),
            malformed: cx.loss("malformed"),
        }
    }

    /// Writes a request anew with the points beyond a limit folded.
    fn write(&mut self, request: &Bytes, at: &mut (usize, usize)) -> (Bytes, Gone) {
        self.arena.clear();
        let mut out = Fields::new();
        let mut gone = Gone::default();
        for resource in Cursor::new(request).filter(|field| field.number == 1) {
            let head = Head::of(resource.bytes);
            out.message(1, |out| {
                out.raw(&head.before);
                for scope in head.children() {
                    out.message(2, |out| self.scope(scope, at, out, &mut gone));
                }
                out.raw(&head.after);
            });
        }
        (out.into_bytes(), gone)
    }

    fn scope(&mut self, scope: &[u8], at: &mut (usize, usize), out: &mut Fields, gone: &mut Gone) {
        let head = Head::of(scope);
        out.raw(&head.before);
        for original in head.children() {
            let mut metric = Metric::of(original);
            let (points, any) = self.look.metrics.get(at.0).copied().unwrap_or_default();
            if any {
                let beyond = &self.look.beyond[at.1..];
                let is_beyond = |point: usize| beyond.get(point).copied().unwrap_or_default();
                let into = (&mut self.arena, &mut self.merger);
                let its = fold(&mut metric, is_beyond, into);
                gone.folded += its.folded;
                gone.lost += its.lost;
            }
            *at = (at.0 + 1, at.1 + points as usize);
            if !any || !metric.points().is_empty() {
                metric.write(&self.arena, out);
            }
        }
        out.raw(&head.after);
    }
}

impl Processor for CardinalityLimiter {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let now = Instant::now();
        self.look.sketch.turn(now);
        let (payload, context, receipt) = batch.into_parts();
        self.look.sender = context.clone();
        self.look.metrics.clear();
        self.look.beyond.clear();
        let payload = self.splicer.edit(payload, &mut self.look);
        if !self.look.beyond.contains(&true) {
            out.push(Batch::new(payload, context, receipt));
            return;
        }
        let mut made = Payload::empty(Signal::Metrics);
        let mut at = (0, 0);
        for segment in payload.into_segments() {
            let (request, gone) = self.write(segment.bytes(), &mut at);
            let hold = match segment.hold() {
                Some(hold) => hold.overdraw(request.len()),
                None => self.budget.overdraw(request.len()),
            };
            match Payload::admit(Signal::Metrics, request, Some(hold)) {
                Ok(admitted) => {
                    out.dropped(&self.folded, gone.folded);
                    out.dropped(&self.lost, gone.lost);
                    made.append(admitted.payload);
                }
                // Cannot be: what was written is what was read.
                Err(_) => out.dropped(&self.malformed, segment.items()),
            }
        }
        self.look.culprits.tell(&self.look.sketch, now);
        out.push(Batch::new(made, context, receipt));
    }

    fn deadline(&self) -> Option<Instant> {
        self.look.sketch.due()
    }

    fn flush(&mut self, now: Instant, _: &mut Outbox) {
        // The last flush lies past every deadline, and there is nothing to let go of then.
        if now <= Instant::now() {
            self.look.sketch.turn(now);
        }
    }
}

impl Edits for Look {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        let resource = resource.view();
        self.resource = self.sketch.hash.attributes(resource.attributes());
        self.around.0.clear();
        self.around.0.extend_from_slice(resource.bytes());
        Visit::Enter
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        let scope = scope.view();
        let hash = &self.sketch.hash;
        let parts = [scope.name(), scope.version()];
        self.scope = hash.join(parts.map(|part| hash.bytes(part.as_bytes())));
        Visit::Enter
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        let name = metric.view().fields().name.as_bytes();
        let hash = &self.sketch.hash;
        self.metric = hash.join([self.resource, self.scope, hash.bytes(name)]);
        self.around.1.clear();
        self.around.1.extend_from_slice(name);
        let around = Around::new(&self.around, &self.sender);
        self.groups.clear();
        let groups = self.limits.iter();
        let groups = groups.map(|limit| (limit.group(&around, hash).bits(), limit.series));
        self.groups.extend(groups);
        self.metrics.push((0, false));
        Visit::Enter
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        let attributes = match point.view() {
            DataPoint::Number(of) => of.attributes(),
            DataPoint::Histogram(of) => of.attributes(),
            DataPoint::ExponentialHistogram(of) => of.attributes(),
            DataPoint::Summary(of) => of.attributes(),
        };
        let hash = &self.sketch.hash;
        let series = hash.join([self.metric, hash.attributes(attributes)]).bits();
        let asked = self.sketch.ask(series, &self.groups);
        let is_beyond = match asked {
            Asked::Within => false,
            Asked::NoRoom => {
                self.culprits.no_room.add(1);
                true
            }
            Asked::Beyond(at) => {
                let (limit, group) = (&self.limits[at], self.groups[at].0);
                let around = Around::new(&self.around, &self.sender);
                self.culprits
                    .count(&self.sketch, (at, limit), group, &around);
                true
            }
        };
        self.beyond.push(is_beyond);
        if let Some((points, any)) = self.metrics.last_mut() {
            *points += 1;
            *any |= is_beyond;
        }
        Verdict::Keep
    }
}

impl Culprits {
    /// Counts a point under the name of its group, or with others where too many have one.
    fn count(
        &mut self,
        sketch: &Sketch,
        (at, limit): (usize, &Limit),
        group: u64,
        around: &Around<'_>,
    ) {
        if let Some(counter) = self.counters.get(&group) {
            return counter.add(1);
        }
        let metrics = &self.metrics;
        let counter = |beyond: &str| {
            let labels = [("limit", limit.name.as_str()), ("beyond", beyond)];
            metrics.counter(POINTS, POINTS_HELP, &labels)
        };
        if sketch.named.fetch_add(1, Relaxed) < NAMED {
            let shown = limit.shown(around);
            tracing::warn!(
                limit = limit.name,
                series = limit.series,
                beyond = shown,
                "too many series; the points of further ones go into one"
            );
            let counter = counter(&shown);
            counter.add(1);
            self.counters.insert(group, counter);
            return;
        }
        sketch.named.fetch_sub(1, Relaxed);
        let others = self.others.entry(at).or_insert_with(|| counter("others"));
        others.add(1);
    }

    /// Tells now and then who is beyond a limit for how many points.
    fn tell(&self, sketch: &Sketch, now: Instant) {
        let now = sketch.seconds(now) + 1;
        let told = sketch.told.load(Relaxed);
        if now < told + TELL_EVERY
            || sketch
                .told
                .compare_exchange(told, now, Relaxed, Relaxed)
                .is_err()
        {
            return;
        }
        let points: u64 = self.counters.values().map(Counter::value).sum();
        let others: u64 = self.others.values().map(Counter::value).sum();
        tracing::warn!(
            groups = self.counters.len(),
            points,
            others,
            no_room = self.no_room.value(),
            "series beyond a limit go on coming; {POINTS} says whose"
        );
    }
}
