//! `transform`: changes resources, scopes, spans, metrics, data points and log records by statements.
//!
//! Groups of statements are carried out one after the other over the whole batch, as they were written. Where a
//! group cannot see the difference it shares the walk of the one before.

mod config;
#[cfg(test)]
mod tests;

use tidegate_component::{BuildContext, Outbox, Processor, Reason};
use tidegate_ottl::{Condition, Context, ErrorMode, Faults, Room, Statement, Subject};
use tidegate_pdata::Batch;
use tidegate_pdata::splice::{
    DataPointEditor, Edits, LogRecordEditor, MetricEditor, ResourceEditor, ScopeEditor, SpanEditor,
    Splicer, Verdict, Visit,
};

pub use config::Config;

/// Statements that are carried out together.
struct Group {
    context: Context,
    /// Any of these must hold; none asks nothing.
    conditions: Vec<Condition>,
    statements: Vec<Statement>,
    mode: ErrorMode,
}

impl Group {
    fn writes_up(&self) -> bool {
        self.statements.iter().any(Statement::writes_up)
    }

    fn applies(&self, subject: &Subject<'_>, faults: &mut Faults) -> bool {
        if self.conditions.is_empty() {
            return true;
        }
        for condition in &self.conditions {
            match condition.holds(subject) {
                Ok(true) => return true,
                Ok(false) => {}
                Err(fault) => {
                    if faults.meet(condition.text(), &fault, self.mode) {
                        return false;
                    }
                }
            }
        }
        false
    }

    fn run(&self, subject: &mut Subject<'_>, faults: &mut Faults) {
        if faults.is_propagated() || !self.applies(subject, faults) {
            return;
        }
        for statement in &self.statements {
            if let Err(fault) = statement.execute(subject)
                && faults.meet(statement.text(), &fault, self.mode)
            {
                return;
            }
        }
    }
}

/// Groups that share a walk.
struct Stage {
    groups: Vec<Group>,
    /// Whether any of them is about something below the scope.
    has_records: bool,
    has_points: bool,
    has_events: bool,
}

impl Stage {
    /// Deals groups over as few walks as give the same result.
    fn deal(groups: Vec<Group>) -> Vec<Self> {
        let mut stages: Vec<Vec<Group>> = Vec::new();
        for group in groups {
            match stages.last_mut() {
                Some(stage) if can_share(stage, &group) => stage.push(group),
                _ => stages.push(vec![group]),
            }
        }
        stages.into_iter().map(Self::new).collect()
    }

    fn new(groups: Vec<Group>) -> Self {
        let has = |context| groups.iter().any(|group| group.context == context);
        Self {
            has_points: has(Context::DataPoint),
            has_events: has(Context::SpanEvent),
            has_records: groups.iter().any(|group| depth(group.context) > 1),
            groups,
        }
    }
}

const fn depth(context: Context) -> usize {
    match context {
        Context::Resource => 0,
        Context::Scope => 1,
        Context::Metric | Context::Span | Context::Log => 2,
        Context::DataPoint | Context::SpanEvent => 3,
    }
}

/// Whether a group gives the same result in the walk of others as in one of its own: it may not come
/// before what is farther out, and nothing may change what records share.
fn can_share(stage: &[Group], group: &Group) -> bool {
    let is_closed = |group: &Group| !group.writes_up();
    stage
        .iter()
        .all(|earlier| is_closed(earlier) && depth(earlier.context) <= depth(group.context))
        && is_closed(group)
}

struct Transform {
    splicer: Splicer,
    stages: Vec<Stage>,
    faults: Faults,
    /// Points that statements put together with others.
    merged: Reason,
    room: Room,
    propagates: bool,
}

impl Transform {
    fn new(cx: &BuildContext, groups: Vec<Group>) -> Self {
        Self {
            splicer: Splicer::default(),
            propagates: groups
                .iter()
                .any(|group| group.mode == ErrorMode::Propagate),
            stages: Stage::deal(groups),
            faults: Faults::new(cx),
            merged: cx.reason("aggregated"),
            room: Room::default(),
        }
    }
}

impl Processor for Transform {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        if self.stages.is_empty() {
            out.push(batch);
            return;
        }
        let (mut payload, context, receipt) = batch.into_parts();
        let original = self.propagates.then(|| payload.clone());
        let before = payload.items();
        for stage in &self.stages {
            let mut walk = Walk {
                stage,
                faults: &mut self.faults,
                room: &mut self.room,
            };
            payload = self.splicer.edit(payload, &mut walk);
            if self.faults.is_propagated() {
                break;
            }
        }
        let created = payload.items().saturating_sub(before);
        let gone = before.saturating_sub(payload.items());
        if self
            .faults
            .finish(original, payload, (context, receipt), out)
        {
            out.created(created);
            if gone > 0 {
                out.dropped(&self.merged, gone);
            }
        }
    }
}

/// One walk over a batch.
struct Walk<'t> {
    stage: &'t Stage,
    faults: &'t mut Faults,
    room: &'t mut Room,
}

impl<'t> Walk<'t> {
    fn groups(&self, context: Context) -> impl Iterator<Item = &'t Group> + use<'t> {
        let groups = self.stage.groups.iter();
        groups.filter(move |group| group.context == context)
    }
}

impl Edits for Walk<'_> {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        for group in self.groups(Context::Resource) {
            group.run(&mut Subject::resource(resource, self.room), self.faults);
        }
        let goes_on = self.stage.has_records || self.groups(Context::Scope).next().is_some();
        if goes_on { Visit::Enter } else { Visit::Skip }
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        for group in self.groups(Context::Scope) {
            group.run(&mut Subject::scope(scope, self.room), self.faults);
        }
        if self.stage.has_records {
            Visit::Enter
        } else {
            Visit::Skip
        }
    }

    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        for group in self.groups(Context::Span) {
            group.run(&mut Subject::span(span, self.room), self.faults);
        }
        if self.stage.has_events {
            let mut index = 0;
            span.edit_events(|event| {
                for group in self.groups(Context::SpanEvent) {
                    let mut subject = Subject::span_event(event, index, self.room);
                    group.run(&mut subject, self.faults);
                }
                index += 1;
                Verdict::Keep
            });
        }
        Verdict::Keep
    }

    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        for group in self.groups(Context::Log) {
            group.run(&mut Subject::log(record, self.room), self.faults);
        }
        Verdict::Keep
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        for group in self.groups(Context::Metric) {
            group.run(&mut Subject::metric(metric, self.room), self.faults);
        }
        if self.stage.has_points {
            Visit::Enter
        } else {
            Visit::Skip
        }
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        for group in self.groups(Context::DataPoint) {
            group.run(&mut Subject::data_point(point, self.room), self.faults);
        }
        Verdict::Keep
    }
}
