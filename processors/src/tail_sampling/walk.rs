//! Taking spans in: each goes to its trace, or follows what was decided of it.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use tidegate_component::Outbox;
use tidegate_pdata::Payload;
use tidegate_pdata::view::{Attributes, Span, SpanFields, View};
use tidegate_pdata::wire::Cursor;
use tokio::time::Instant;

use super::heads::{Head, Resource};
use super::limits::Moment;
use super::marks::Marks;
use super::meters::Cause;
use super::release::Stamp;
use super::rule::{Answer, Facts, Fate, decide_at_once};
use super::statements::Statements;
use super::traces::TraceId;
use super::watch::{Extent, look_at_resource, look_at_span};
use super::{Overflow, Settings, State, Strategy};

/// Field numbers of the request's levels.
const RESOURCE_SPANS: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SPANS: u32 = 2;
const RESOURCE: u32 = 1;
const ATTRIBUTES: u32 = 1;

/// The walk through a payload.
pub(super) struct Intake<'a> {
    pub(super) settings: &'a Settings,
    pub(super) state: &'a mut State,
    pub(super) statements: &'a Statements,
    /// Bytes that all traces may take.
    pub(super) memory: usize,
    pub(super) now: u64,
    pub(super) out: &'a mut Outbox,
    /// The number of the span in the payload.
    pub(super) span: usize,
}

impl Intake<'_> {
    pub(super) fn take(&mut self, payload: &Payload) {
        self.now = self.state.millis(Instant::now());
        for segment in payload.segments() {
            for field in Cursor::new(segment.bytes()) {
                if field.number == RESOURCE_SPANS {
                    self.resource_spans(field.bytes);
                }
            }
        }
    }

    fn resource_spans(&mut self, message: &[u8]) {
        let fields = head_of(message, SCOPE_SPANS);
        let watches = &self.settings.program.watches;
        let look = |marks: &mut Marks| {
            let resource = Cursor::new(&fields).find(|field| field.number == RESOURCE);
            if let Some(resource) = resource {
                let attributes = Attributes::new(resource.bytes, ATTRIBUTES);
                look_at_resource(watches, attributes, marks);
            }
        };
        let resource = self.state.heads.resource(&fields, look);
        self.state.part = self.state.part.wrapping_add(1).max(1);
        for field in Cursor::new(message) {
            if field.number == SCOPE_SPANS {
                self.scope_spans(&resource, field.bytes);
            }
        }
        if self.settings.strategy == Strategy::SpanIngest {
            self.decide_touched();
        }
    }

    fn scope_spans(&mut self, resource: &Rc<Resource>, message: &[u8]) {
        let fields = head_of(message, SPANS);
        let head = self.state.heads.head(resource, &fields);
        for field in Cursor::new(message) {
            if field.number == SPANS {
                self.span(&head, field.bytes);
                self.span += 1;
            }
        }
    }

    fn span(&mut self, head: &Rc<Head>, bytes: &[u8]) {
        let fields = Span::of(bytes).fields();
        let id = id_of(fields.trace_id);
        let hash = self.state.traces.hash(&id);
        let found = self.state.traces.find(hash, &id);
        let slot = match found {
            // Where no new traces are taken, those that are held may still grow past the limit.
            Some(_) if self.is_past(self.memory.saturating_add(self.memory / 4)) => {
                self.state.lose(self.out);
                return;
            }
            Some(slot) => slot,
            None if self.follows(hash, head, bytes) => return,
            None if self.is_past(self.memory) => {
                self.state.others.remember(hash, self.now / 1000);
                self.state.lose(self.out);
                return;
            }
            None => self.begin(hash, id),
        };
        let is_dropped = self.look(slot, head, &fields);
        self.state.traces.add(slot, head, bytes);
        if is_dropped {
            return (self.state).decide(self.settings, slot, Cause::Due, self.out);
        }
        if fields.parent_span_id.iter().all(|byte| *byte == 0)
            && let Some(wait) = self.settings.root_wait
        {
            let due = self.state.due(self.now, wait);
            self.state.traces.root_came(slot, due);
        }
        self.cap(slot);
    }

    /// Whether no more is to be taken, as all traces take more than so many bytes.
    fn is_past(&self, bytes: usize) -> bool {
        self.settings.overflow == Overflow::DropNew
            && self.state.counted.all_bytes(self.state.size().1) > bytes
    }

    /// Has a span follow what was decided of its trace, if that is remembered.
    fn follows(&mut self, hash: u64, head: &Rc<Head>, bytes: &[u8]) -> bool {
        let second = self.now / 1000;
        let state = &mut *self.state;
        if let Some(age) = state.sampled.age(hash, second) {
            state.counted.meters.came_late(true, age);
            let stamp = Stamp {
                cached: self.settings.records,
                ..Stamp::default()
            };
            (state.release).add_span((head, stamp), bytes, self.settings, self.out);
            return true;
        }
        if let Some(age) = state.others.age(hash, second) {
            state.counted.meters.came_late(false, age);
            self.out.dropped(&state.reasons.sampled_out, 1);
            return true;
        }
        false
    }

    /// Begins a trace, for which the oldest gives way where there are as many as there may be.
    fn begin(&mut self, hash: u64, id: TraceId) -> u32 {
        let state = &mut *self.state;
        let held = state.counted.all_traces(state.traces.len());
        if held >= self.settings.num_traces
            && !self.settings.blocks
            && let Some(oldest) = state.traces.take_oldest()
        {
            state.decide(self.settings, oldest, Cause::NumTraces, self.out);
        }
        state.counted.meters.began();
        let due = state.due(self.now, self.settings.wait);
        state.traces.insert(hash, id, self.now, due)
    }

    /// Marks what a span shows of its trace; says whether a policy drops the trace, whatever is to come.
    fn look(&mut self, slot: u32, head: &Rc<Head>, fields: &SpanFields<'_>) -> bool {
        let State {
            traces,
            touched,
            part,
            counted,
            ..
        } = &mut *self.state;
        let Some(trace) = traces.get_mut(slot) else {
            return false;
        };
        let program = &self.settings.program;
        let watches_drops =
            !program.lasting_drops.is_empty() && self.settings.strategy == Strategy::TraceComplete;
        let before = watches_drops.then(|| (trace.marks.clone(), trace.spans));
        if trace.part != *part {
            trace.part = *part;
            if self.settings.strategy == Strategy::SpanIngest {
                // Each part of a batch is looked at by itself.
                trace.marks.clear();
                trace.extent = Extent::default();
                touched.push(slot);
            }
            trace.marks.add(&head.resource.marks);
        }
        trace
            .extent
            .cover(fields.start_time_unix_nano, fields.end_time_unix_nano);
        look_at_span(&program.watches, fields, trace.extent, &mut trace.marks);
        (self.statements).mark(&program.conditions, self.span, &mut trace.marks);
        let Some((before, spans)) = before else {
            return false;
        };
        if spans > 0 && trace.marks == before {
            return false;
        }
        let part = Cell::new(None);
        let facts = Facts {
            id: &trace.id,
            spans: spans + 1,
            bytes: trace.bytes,
            marks: &trace.marks,
            limits: &counted.global.limits,
            now: Moment { nanos: 0 },
            part: &part,
        };
        let mut drops = program.lasting_drops.iter();
        drops.any(|at| program.policies[*at].rule.ask(&facts) == Ok(Answer::Dropped))
    }

    /// Drops a trace that has become too large.
    fn cap(&mut self, slot: u32) {
        let state = &mut *self.state;
        let is_large = |bytes: usize| bytes > self.settings.max_trace;
        if !state.traces.get(slot).is_some_and(|of| is_large(of.bytes)) {
            return;
        }
        if let Some(trace) = state.traces.remove(slot) {
            let spans = usize::try_from(trace.spans).unwrap_or(usize::MAX);
            self.out.dropped(&state.reasons.too_large, spans);
            state.counted.meters.too_large.add(1);
            let hash = state.traces.hash(&trace.id);
            state.others.remember(hash, self.now / 1000);
        }
    }

    /// Asks the policies of what the part of the batch at hand has brought.
    fn decide_touched(&mut self) {
        let touched = std::mem::take(&mut self.state.touched);
        for slot in &touched {
            let state = &mut *self.state;
            let Some(trace) = state.traces.get(*slot) else {
                continue;
            };
            if trace.part != state.part {
                continue;
            }
            let part = Cell::new(None);
            let facts = Facts {
                id: &trace.id,
                spans: trace.spans,
                bytes: trace.bytes,
                marks: &trace.marks,
                limits: &state.counted.global.limits,
                now: Moment::now(),
                part: &part,
            };
            let meters = &mut state.counted.meters;
            meters.begin(trace.spans);
            let policies = &self.settings.program.policies;
            let Some(decision) = decide_at_once(policies, &facts, meters) else {
                continue;
            };
            debug_assert!(decision.fate != Fate::NotSampled);
            if let Some(trace) = state.traces.remove(*slot) {
                state.conclude(self.settings, trace, decision, Cause::Due, self.out);
            }
        }
        self.state.touched = touched;
        self.state.touched.clear();
    }
}

impl State {
    /// Counts a span for which there is no memory.
    fn lose(&self, out: &mut Outbox) {
        out.dropped(&self.reasons.no_memory, 1);
    }
}

/// The ID as 16 bytes; zeros where it is none.
fn id_of(bytes: &[u8]) -> TraceId {
    bytes.try_into().unwrap_or_default()
}

/// The fields of a message but for its children, which come last in what has passed the door.
fn head_of(message: &[u8], child: u32) -> Cow<'_, [u8]> {
    let mut end = None;
    let mut is_mixed = false;
    for field in Cursor::new(message) {
        match (end, field.number == child) {
            (None, true) => end = Some(field.start),
            (Some(_), false) => is_mixed = true,
            _ => {}
        }
    }
    if !is_mixed {
        return Cow::Borrowed(&message[..end.unwrap_or(message.len())]);
    }
    let fields = Cursor::new(message).filter(|field| field.number != child);
    let bytes = fields.flat_map(|field| &message[field.start..field.end]);
    Cow::Owned(bytes.copied().collect())
}
