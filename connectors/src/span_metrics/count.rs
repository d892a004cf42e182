//! Counting spans where they lie.
//!
//! A series is found by a hash over its key: what tells its spans apart, written one after the other into one buffer.
//! Nothing is allocated once it is known.

use std::fmt::{self, Write};
use std::sync::Arc;

use tidegate_pdata::compose::{Fields, Value};
use tidegate_pdata::series::SeriesId;
use tidegate_pdata::view::{AnyValue, Attributes, ResourceSpans, SpanFields};
use tidegate_pdata::wire::put_bytes;
use tidegate_pdata::{Payload, view};

use super::State;
use super::adjusted::{Adjusted, Adjuster};
use super::plan::{Family, Found, Plan, Role, Values, kind, status};
use super::table::{Counted, Seen, Table};
use crate::aggregate::{Aggregate, Exemplar};
use crate::clock::Moment;

/// Spans that were not counted.
#[derive(Debug, Default)]
pub(super) struct Skipped {
    /// As their resources have no `service.name`.
    pub(super) nameless: usize,
    /// As there is no room for their resources.
    pub(super) no_room: usize,
    /// Spans that were counted as overflow, in some metric.
    pub(super) overflowed: u64,
}

/// Counts spans.
pub(super) struct Counting {
    plan: Arc<Plan>,
    state: Arc<State>,
    adjuster: Adjuster,
    key: Vec<u8>,
    /// Resources seen so far.
    seen: u64,
}

/// What spans have in common.
struct Origin<'a> {
    id: SeriesId,
    service: &'a [u8],
    values: Values<'a>,
    /// The scope's name and version, where series tell them.
    scope: Option<(&'a [u8], &'a [u8])>,
    now: Moment,
}

/// A span that is counted.
struct One<'a> {
    fields: SpanFields<'a>,
    status: i32,
    adjusted: Adjusted,
    duration: f64,
    exemplar: Option<Exemplar>,
}

impl Counting {
    pub(super) fn new(plan: Arc<Plan>, state: Arc<State>, seed: u64) -> Self {
        Self {
            plan,
            state,
            adjuster: Adjuster::new(seed),
            key: Vec::new(),
            seen: 0,
        }
    }

    /// Counts the spans of a payload.
    pub(super) fn payload(&mut self, payload: &Payload, table: &mut Table) -> Skipped {
        let now = Moment::now();
        let mut skipped = Skipped::default();
        for group in payload.resource_spans() {
            self.resource(&group, table, now, &mut skipped);
        }
        skipped
    }

    fn resource(
        &mut self,
        group: &ResourceSpans<'_>,
        table: &mut Table,
        now: Moment,
        skipped: &mut Skipped,
    ) {
        let spans = || {
            group
                .scopes()
                .map(|scope| scope.spans().count())
                .sum::<usize>()
        };
        let attributes = group.resource().attributes();
        let Some(service) = attributes.get("service.name") else {
            skipped.nameless += spans();
            return;
        };
        let plan = Arc::clone(&self.plan);
        let id = plan.resource(&self.state.hash, attributes);
        self.seen += 1;
        let seen = Seen {
            at: now.at,
            order: self.seen,
        };
        let counted = match table.resources.get_mut(&id) {
            Some(counted) => counted,
            None => {
                let known = self
                    .state
                    .totals()
                    .resource(id, now, || encoded(attributes));
                let Some(resource) = known else {
                    skipped.no_room += spans();
                    return;
                };
                let new = Counted::new(&plan, resource, seen);
                table.resources.entry(id).or_insert(new)
            }
        };
        counted.seen = seen;
        let mut origin = Origin {
            id,
            service: service.as_text().map_or(&[], |text| text.as_bytes()),
            values: plan.no_values(),
            scope: None,
            now,
        };
        plan.find(attributes, &mut origin.values);
        for scope in group.scopes() {
            let fields = scope.scope().fields();
            let name = fields.name.as_bytes();
            origin.scope = plan.tells(name).then(|| (name, fields.version.as_bytes()));
            for span in scope.spans() {
                self.span(&plan, span.fields(), &origin, counted, skipped);
            }
        }
    }

    fn span(
        &mut self,
        plan: &Plan,
        fields: SpanFields<'_>,
        origin: &Origin<'_>,
        counted: &mut Counted,
        skipped: &mut Skipped,
    ) {
        let took = fields
            .end_time_unix_nano
            .saturating_sub(fields.start_time_unix_nano);
        let duration = took as f64 / plan.unit_nanos;
        let one = One {
            status: fields.status.map_or(0, |status| status.code()),
            adjusted: self.adjuster.of(fields.trace_state.as_bytes()),
            exemplar: exemplar(plan, &fields, duration),
            duration,
            fields,
        };
        let mut values = plan.no_values();
        plan.find(one.fields.attributes, &mut values);
        self.begin_key(plan, &one, origin);
        let begun = self.key.len();
        let mut overflowed = false;
        for (at, family) in plan.families.iter().enumerate() {
            if family.role != Role::Events {
                self.key.truncate(begun);
                overflowed |= self.add(plan, (at, family), &one, &values, origin, counted);
                continue;
            }
            for event in one.fields.events {
                let mut values = values.clone();
                plan.find(event.attributes(), &mut values);
                self.key.truncate(begun);
                overflowed |= self.add(plan, (at, family), &one, &values, origin, counted);
            }
        }
        skipped.overflowed += u64::from(overflowed);
    }

    /// Writes what tells spans apart in every family.
    fn begin_key(&mut self, plan: &Plan, one: &One<'_>, origin: &Origin<'_>) {
        self.key.clear();
        if plan.service_name {
            part(&mut self.key, origin.service);
        }
        if plan.span_name {
            part(&mut self.key, one.fields.name.as_bytes());
        }
        if plan.span_kind {
            self.key.push(one.fields.kind.clamp(-1, 6) as u8);
        }
        if plan.status_code {
            self.key.push(one.status.clamp(-1, 3) as u8);
        }
        if plan.sampling_method {
            self.key.push(one.adjusted.by_threshold.into());
        }
        let (name, version) = origin.scope.unwrap_or_default();
        part(&mut self.key, name);
        part(&mut self.key, version);
    }

    /// Counts a span, or one of its events, in a family; says whether that was as overflow.
    fn add(
        &mut self,
        plan: &Plan,
        (at, family): (usize, &Family),
        one: &One<'_>,
        values: &[Found<'_>],
        origin: &Origin<'_>,
        counted: &mut Counted,
    ) -> bool {
        for looked in &family.looked {
            match looked.value(values, &origin.values) {
                Some(value) => value_part(&mut self.key, AnyValue::of_bytes(value)),
                None => self.key.extend_from_slice(&u32::MAX.to_le_bytes()),
            }
        }
        let id = self.state.hash.bytes(&self.key);
        let Counted {
            resource, families, ..
        } = counted;
        let slots = &mut families[at];
        let slot = match slots.get(id) {
            Some(slot) => slot,
            None => {
                let attributes = || attributes(plan, family, one, values, origin);
                let resource = (origin.id, &*resource);
                let mut totals = self.state.totals();
                let (id, series) = totals.series(resource, at, id, origin.now, attributes);
                drop(totals);
                slots.add(id, series, || Aggregate::new(&family.shape))
            }
        };
        slot.aggregate
            .observe(one.duration, one.adjusted.count, &family.shape);
        if let Some(exemplar) = one.exemplar
            && !slot.series.is_overflow
            && slot.aggregate.exemplars.len() < plan.exemplars
        {
            slot.aggregate.exemplars.push(exemplar);
        }
        slot.series.is_overflow
    }
}

fn exemplar(plan: &Plan, fields: &SpanFields<'_>, duration: f64) -> Option<Exemplar> {
    if plan.exemplars == 0 {
        return None;
    }
    let trace_id: [u8; 16] = fields.trace_id.try_into().ok()?;
    (trace_id != [0; 16]).then(|| Exemplar {
        trace_id,
        span_id: fields.span_id.try_into().unwrap_or_default(),
        duration,
    })
}

/// Writes a part of a key and where it ends.
fn part(key: &mut Vec<u8>, bytes: &[u8]) {
    key.extend_from_slice(bytes);
    key.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
}

/// Writes a value into a key as its text: the number 200 and the text "200" are one label in the end.
fn value_part(key: &mut Vec<u8>, value: AnyValue<'_>) {
    if let AnyValue::String(text) = value {
        return part(key, text.as_bytes());
    }
    let begun = key.len();
    // Writing into a vector does not fail.
    let _ = value.write_text(&mut Into(key));
    let length = (key.len() - begun) as u32;
    key.extend_from_slice(&length.to_le_bytes());
}

struct Into<'k>(&'k mut Vec<u8>);

impl Write for Into<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Attributes, as fields of number 1.
fn encoded(attributes: Attributes<'_>) -> Box<[u8]> {
    let mut out = Vec::new();
    for entry in attributes.entries() {
        put_bytes(&mut out, 1, entry.bytes());
    }
    out.into()
}

/// The attributes of a series, as fields of number 1.
fn attributes(
    plan: &Plan,
    family: &Family,
    one: &One<'_>,
    values: &[Found<'_>],
    origin: &Origin<'_>,
) -> Box<[u8]> {
    let mut out = Fields::new();
    if plan.service_name {
        text(&mut out, "service.name", origin.service);
    }
    if plan.span_name {
        text(&mut out, "span.name", one.fields.name.as_bytes());
    }
    if plan.span_kind {
        text(&mut out, "span.kind", kind(one.fields.kind).as_bytes());
    }
    if plan.status_code {
        text(&mut out, "status.code", status(one.status).as_bytes());
    }
    if let Some((name, version)) = origin.scope {
        text(&mut out, "span.instrumentation.scope.name", name);
        if !version.is_empty() {
            text(&mut out, "span.instrumentation.scope.version", version);
        }
    }
    if plan.sampling_method {
        let method: &[u8] = match one.adjusted.by_threshold {
            true => b"extrapolated",
            false => b"counted",
        };
        text(&mut out, "sampling.method", method);
    }
    for looked in &family.looked {
        if let Some(value) = looked.value(values, &origin.values) {
            let name = view::Text::new(&plan.names[looked.at]);
            out.message(1, |entry| {
                entry.some_bytes(1, name.as_bytes());
                entry.value(2, Value::Message(value));
            });
        }
    }
    out.bytes().into()
}

/// Writes a text as an attribute, as it came.
fn text(out: &mut Fields, key: &str, bytes: &[u8]) {
    let mut value = Vec::with_capacity(bytes.len() + 8);
    put_bytes(&mut value, 1, bytes);
    out.message(1, |entry| {
        entry.string(1, key);
        entry.value(2, Value::Message(&value));
    });
}
