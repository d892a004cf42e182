//! `metrics_transform`: renames, copies, combines, groups and aggregates metrics of a batch.
//!
//! A metric that no transform is about is copied as it is. Of the others the points that change are written anew
//! into one buffer, one after the other, and at the end everything is written once.

mod config;
mod filter;
mod operations;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use tidegate_component::metrics::Counter;
use tidegate_component::{BuildContext, Outbox, Processor, Reason};
use tidegate_pdata::compose::Fields;
use tidegate_pdata::wire::Cursor;
use tidegate_pdata::{Batch, Budget, Payload, Signal};

pub use config::Config;

use config::{Action, Case, Transform};
use filter::Matched;
use operations::{Gone, edit, put_label};

use crate::merge::Merger;
use crate::message::{Arena, Head, Place, copy_but};
use crate::metric::Metric;

/// Fields of a request, a resource's metrics and a scope's metrics.
mod container {
    pub(super) const ITSELF: u32 = 1;
    pub(super) const CHILDREN: u32 = 2;
    pub(super) const RESOURCE_ATTRIBUTES: u32 = 1;
}

struct MetricsTransform {
    transforms: Vec<Transform>,
    work: Work,
    budget: Arc<Budget>,
    deleted: Reason,
    merged: Reason,
    malformed: Reason,
    not_combined: Counter,
}

/// Room that is kept from batch to batch, and what happened in one.
#[derive(Default)]
struct Work {
    arena: Arena,
    merger: Merger,
    gone: Gone,
    created: usize,
    not_combined: u64,
}

impl MetricsTransform {
    fn new(cx: &BuildContext, transforms: Vec<Transform>) -> Self {
        Self {
            transforms,
            work: Work::default(),
            budget: Arc::clone(&cx.budget),
            deleted: cx.reason("label_value"),
            merged: cx.reason("aggregated"),
            malformed: cx.loss("malformed"),
            not_combined: cx.metrics.counter(
                "tidegate_metrics_not_combined",
                "Times that metrics could not be combined, as they are of different kinds, units or labels.",
                &[],
            ),
        }
    }

    /// Writes a request anew, unless nothing of it is to change.
    fn transform(&mut self, request: &Bytes) -> Option<Bytes> {
        self.work.arena.clear();
        let mut out = Fields::new();
        let mut groups = Vec::new();
        let mut is_changed = false;
        for resource in Cursor::new(request).filter(|field| field.number == 1) {
            let begun = out.begin(1, resource.bytes.len());
            let mut has_any = false;
            let head = Head::of(resource.bytes);
            out.raw(&head.before);
            for scope in head.children() {
                let mut metrics = Metrics::of(scope);
                metrics.apply(&self.transforms, &mut self.work, (&head, &mut groups));
                is_changed |= metrics.is_changed;
                has_any |= metrics.write(&self.work.arena, &mut out);
            }
            out.raw(&head.after);
            match has_any {
                true => out.end(begun),
                false => out.drop_back(&begun),
            }
        }
        for group in &groups {
            group.write(&self.work.arena, &mut out);
        }
        is_changed.then(|| out.into_bytes())
    }
}

impl Processor for MetricsTransform {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, context, receipt) = batch.into_parts();
        let mut made = Payload::empty(Signal::Metrics);
        for segment in payload.into_segments() {
            let Some(request) = self.transform(segment.bytes()) else {
                made.push(segment);
                continue;
            };
            let hold = match segment.hold() {
                Some(hold) => hold.overdraw(request.len()),
                None => self.budget.overdraw(request.len()),
            };
            let expected = segment.items() + std::mem::take(&mut self.work.created);
            let gone = std::mem::take(&mut self.work.gone);
            match Payload::admit(Signal::Metrics, request, Some(hold)) {
                Ok(admitted) => {
                    out.created(expected - segment.items());
                    out.dropped(&self.deleted, gone.deleted);
                    out.dropped(&self.merged, gone.merged);
                    made.append(admitted.payload);
                }
                // Cannot be: what was written is what was read.
                Err(_) => out.dropped(&self.malformed, segment.items()),
            }
        }
        self.not_combined
            .add(std::mem::take(&mut self.work.not_combined));
        out.push(Batch::new(made, context, receipt));
    }
}

/// A scope's metrics.
struct Metrics<'a> {
    head: Head<'a>,
    metrics: Vec<Metric<'a>>,
    is_changed: bool,
}

/// Metrics that move to a resource of their own.
struct Group<'a> {
    /// The resource with its new attributes.
    resource: Vec<u8>,
    /// What stands behind the resource's scopes.
    after: Vec<u8>,
    metrics: Metrics<'a>,
}

impl Group<'_> {
    fn write(&self, arena: &Arena, out: &mut Fields) {
        out.message(1, |out| {
            out.message(container::ITSELF, |out| out.raw(&self.resource));
            self.metrics.write(arena, out);
            out.raw(&self.after);
        });
    }
}

impl<'a> Metrics<'a> {
    fn of(scope: &'a [u8]) -> Self {
        let head = Head::of(scope);
        Self {
            metrics: head.children().map(Metric::of).collect(),
            head,
            is_changed: false,
        }
    }

    /// Writes the scope with its metrics, if there are any.
    fn write(&self, arena: &Arena, out: &mut Fields) -> bool {
        if self.metrics.is_empty() {
            return false;
        }
        out.message(container::CHILDREN, |out| {
            out.raw(&self.head.before);
            for metric in &self.metrics {
                metric.write(arena, out);
            }
            out.raw(&self.head.after);
        });
        true
    }

    fn apply(
        &mut self,
        transforms: &[Transform],
        work: &mut Work,
        (resource, groups): (&Head<'a>, &mut Vec<Group<'a>>),
    ) {
        for transform in transforms {
            match transform.action {
                Action::Update => self.update(transform, work),
                Action::Insert => self.insert(transform, work),
                Action::Combine => self.combine(transform, work),
                Action::Group => {
                    let moved = self.take(transform, work);
                    if !moved.is_empty() {
                        groups.push(self.group(transform, resource, moved));
                    }
                }
            }
        }
    }

    fn update(&mut self, transform: &Transform, work: &mut Work) {
        let mut is_changed = false;
        self.metrics.retain_mut(|metric| {
            let matched = transform.filter.matches(metric, &work.arena);
            if matched == Matched::None {
                return true;
            }
            is_changed = true;
            transform.apply(metric, matched == Matched::All, work)
        });
        self.is_changed |= is_changed;
    }

    fn insert(&mut self, transform: &Transform, work: &mut Work) {
        for at in 0..self.metrics.len() {
            let matched = transform.filter.matches(&mut self.metrics[at], &work.arena);
            let mut copy = match matched {
                Matched::None => continue,
                Matched::Some => matching(transform, &mut self.metrics[at], work).0,
                Matched::All => self.metrics[at].clone(),
            };
            self.is_changed = true;
            work.created += copy.points().len();
            if transform.apply(&mut copy, true, work) {
                self.metrics.push(copy);
            }
        }
    }

    /// Takes out what matches; points that do not stay.
    fn take(&mut self, transform: &Transform, work: &Work) -> Vec<Metric<'a>> {
        let mut taken = Vec::new();
        self.metrics.retain_mut(|metric| {
            match transform.filter.matches(metric, &work.arena) {
                Matched::None => return true,
                Matched::All => taken.push(metric.clone()),
                Matched::Some => {
                    let (matching, rest) = matching(transform, metric, work);
                    taken.push(matching);
                    *metric.points() = rest;
                    return true;
                }
            }
            false
        });
        self.is_changed |= !taken.is_empty();
        taken
    }

    fn combine(&mut self, transform: &Transform, work: &mut Work) {
        let arena = &work.arena;
        let matching = self.metrics.iter_mut();
        let mut matching: Vec<&mut Metric<'a>> = matching
            .filter_map(|metric| {
                let matched = transform.filter.matches(metric, arena);
                (matched != Matched::None).then_some(metric)
            })
            .collect();
        if matching.is_empty() {
            return;
        }
        if !can_be_combined(&mut matching, arena) {
            work.not_combined += 1;
            return;
        }
        let mut taken = self.take(transform, work);
        let mut points = Vec::new();
        for metric in &mut taken {
            transform.label(metric, &mut work.arena);
            points.append(metric.points());
        }
        let mut combined = taken[0].with_points(points);
        combined.name = Cow::Owned(transform.new_name.as_bytes().to_vec());
        if combined.kind() != 11 {
            let Work { merger, arena, .. } = work;
            work.gone.merged += merger.merge(&mut combined, transform.aggregation, arena);
        }
        if transform.apply(&mut combined, true, work) {
            self.metrics.push(combined);
        }
    }

    fn group(
        &self,
        transform: &Transform,
        resource: &Head<'a>,
        moved: Vec<Metric<'a>>,
    ) -> Group<'a> {
        let mut new = Fields::new();
        let labels = &transform.group_resource_labels;
        copy_but(resource.itself, &mut new, |number, bytes| {
            let key = Cursor::new(bytes).find(|field| field.number == 1);
            let key = key.map_or(&[][..], |field| field.bytes);
            number == container::RESOURCE_ATTRIBUTES
                && labels.keys().any(|label| label.as_bytes() == key)
        });
        for (label, value) in labels {
            new.attribute(container::RESOURCE_ATTRIBUTES, label, value.as_str());
        }
        Group {
            resource: new.bytes().to_vec(),
            after: resource.after.clone(),
            metrics: Metrics {
                head: self.head.clone(),
                metrics: moved,
                is_changed: true,
            },
        }
    }
}

/// A metric with the points that match, and those that do not.
fn matching<'a>(
    transform: &Transform,
    metric: &mut Metric<'a>,
    work: &Work,
) -> (Metric<'a>, Vec<Place<'a>>) {
    let field = metric.attributes_field();
    let points = metric.points().iter().cloned();
    let (matching, rest) = points.partition(|point| {
        let attributes = tidegate_pdata::view::Attributes::new(work.arena.get(point), field);
        transform.filter.matches_point(attributes)
    });
    (metric.with_points(matching), rest)
}

/// Whether metrics are of one kind, unit and nature, and their points have the same labels.
fn can_be_combined(metrics: &mut [&mut Metric<'_>], arena: &Arena) -> bool {
    let Some((first, others)) = metrics.split_first_mut() else {
        return false;
    };
    if others.is_empty() {
        return true;
    }
    let keys = first.keys(arena);
    first.kind() != 11
        && others.iter_mut().all(|other| {
            (first.kind(), first.unit(), first.nature())
                == (other.kind(), other.unit(), other.nature())
                && other.keys(arena) == keys
        })
}

impl Transform {
    /// Gives a metric its new name and does to its points what is to be done; says whether anything is left of it.
    fn apply(&self, metric: &mut Metric<'_>, all: bool, work: &mut Work) -> bool {
        let was_empty = metric.points().is_empty();
        if !self.new_name.is_empty() && all {
            let expanded = self.filter.expand(&self.new_name, &metric.name);
            let name = expanded.unwrap_or_else(|| self.new_name.as_bytes().to_vec());
            metric.name = Cow::Owned(name);
        }
        for operation in &self.operations {
            let Work {
                arena,
                merger,
                gone,
                ..
            } = work;
            operation.apply(metric, (&self.filter, all), (arena, merger), gone);
        }
        was_empty || !metric.points().is_empty()
    }

    /// Gives the points of a metric labels out of its name.
    fn label(&self, metric: &mut Metric<'_>, arena: &mut Arena) {
        let name = metric.name.clone();
        let field = metric.attributes_field();
        for (label, value) in self.filter.groups(&name) {
            let value = match self.submatch_case {
                None => Cow::Borrowed(value),
                Some(case) => {
                    let text = String::from_utf8_lossy(value);
                    Cow::Owned(match case {
                        Case::Lower => text.to_lowercase().into_bytes(),
                        Case::Upper => text.to_uppercase().into_bytes(),
                    })
                }
            };
            edit(metric, arena, |point, out| {
                put_label(point, field, &label, &value, out);
                true
            });
        }
    }
}
