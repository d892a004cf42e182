//! `filter`: drops spans, span events, metrics, data points and log records that satisfy a condition.
//!
//! All conditions are evaluated in one walk over the batch, where the records lie. What then holds no record any
//! more goes too: a metric without points, a scope, a resource; a span without events stays.

mod config;
mod matchers;
#[cfg(test)]
mod tests;

use tidegate_component::metrics::Counter;
use tidegate_component::{BuildContext, Outbox, Processor, Reason};
use tidegate_ottl::{Condition, Context, ErrorMode, Faults, Room, Subject};
use tidegate_pdata::splice::{
    DataPointEditor, Edits, LogRecordEditor, MetricEditor, ResourceEditor, ScopeEditor, SpanEditor,
    Splicer, Verdict, Visit,
};
use tidegate_pdata::view::MetricData;
use tidegate_pdata::{Batch, Signal};

pub use config::Config;
pub(crate) use config::named_context;

use matchers::Matchers;

/// A condition with what happens when it fails.
struct Check {
    condition: Condition,
    mode: ErrorMode,
}

/// The conditions of each context.
#[derive(Default)]
struct Checks {
    resource: Vec<Check>,
    scope: Vec<Check>,
    metric: Vec<Check>,
    point: Vec<Check>,
    span: Vec<Check>,
    event: Vec<Check>,
    log: Vec<Check>,
}

impl Checks {
    fn of(&mut self, context: Context) -> &mut Vec<Check> {
        match context {
            Context::Resource => &mut self.resource,
            Context::Scope => &mut self.scope,
            Context::Metric => &mut self.metric,
            Context::DataPoint => &mut self.point,
            Context::Span => &mut self.span,
            Context::SpanEvent => &mut self.event,
            Context::Log => &mut self.log,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Check> {
        let all = [
            &self.resource,
            &self.scope,
            &self.metric,
            &self.point,
            &self.span,
            &self.event,
            &self.log,
        ];
        all.into_iter().flatten()
    }

    fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    fn propagates(&self) -> bool {
        self.all().any(|check| check.mode == ErrorMode::Propagate)
    }
}

struct Filter {
    splicer: Splicer,
    edit: Edit,
    filtered: Reason,
    count: Counter,
    propagates: bool,
    is_idle: bool,
}

struct Edit {
    checks: Checks,
    matchers: Matchers,
    faults: Faults,
    room: Room,
}

impl Filter {
    fn new(cx: &BuildContext, checks: Checks, matchers: Matchers, is_idle: bool) -> Self {
        let items = match cx.signal {
            Some(Signal::Metrics) => "datapoints",
            Some(Signal::Logs) => "logs",
            Some(Signal::Traces) | None => "spans",
        };
        let name = format!("otelcol_processor_filter_{items}_filtered");
        let id = cx.id.to_string();
        let help = "Items that were filtered out.";
        Self {
            splicer: Splicer::default(),
            propagates: checks.propagates(),
            edit: Edit {
                checks,
                matchers,
                faults: Faults::new(cx),
                room: Room::default(),
            },
            filtered: cx.reason("filtered"),
            count: cx.metrics.counter(&name, help, &[("filter", &id)]),
            is_idle,
        }
    }
}

impl Processor for Filter {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        if self.is_idle {
            out.push(batch);
            return;
        }
        let (payload, context, receipt) = batch.into_parts();
        let original = self.propagates.then(|| payload.clone());
        let before = payload.items();
        let edited = self.splicer.edit(payload, &mut self.edit);
        let dropped = before.saturating_sub(edited.items());
        let passed = self
            .edit
            .faults
            .finish(original, edited, (context, receipt), out);
        if passed && dropped > 0 {
            out.dropped(&self.filtered, dropped);
            self.count.add(dropped as u64);
        }
    }
}

/// Whether any condition holds; one that fails does not.
fn any(checks: &[Check], subject: &Subject<'_>, faults: &mut Faults) -> bool {
    for Check { condition, mode } in checks {
        match condition.holds(subject) {
            Ok(true) => return true,
            Ok(false) => {}
            Err(fault) => {
                if faults.meet(condition.text(), &fault, *mode) {
                    return false;
                }
            }
        }
    }
    false
}

impl Edits for Edit {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        self.matchers.resource(resource.view());
        let checks = &self.checks;
        if checks.resource.is_empty() {
            return Visit::Enter;
        }
        let subject = Subject::resource(resource, &mut self.room);
        if any(&checks.resource, &subject, &mut self.faults) {
            return Visit::Drop;
        }
        Visit::Enter
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        self.matchers.scope(scope.view());
        if self.checks.scope.is_empty() {
            return Visit::Enter;
        }
        let subject = Subject::scope(scope, &mut self.room);
        if any(&self.checks.scope, &subject, &mut self.faults) {
            return Visit::Drop;
        }
        Visit::Enter
    }

    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        if !self.matchers.span(|| span.view()) {
            return Verdict::Drop;
        }
        let Self {
            checks,
            faults,
            room,
            ..
        } = self;
        if !checks.span.is_empty() {
            let subject = Subject::span(span, room);
            if any(&checks.span, &subject, faults) {
                return Verdict::Drop;
            }
        }
        if !checks.event.is_empty() {
            let mut index = 0;
            span.edit_events(|event| {
                let subject = Subject::span_event(event, index, room);
                index += 1;
                Verdict::from(!any(&checks.event, &subject, faults))
            });
        }
        Verdict::Keep
    }

    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        if !self.matchers.log_record(|| record.view()) {
            return Verdict::Drop;
        }
        if self.checks.log.is_empty() {
            return Verdict::Keep;
        }
        let subject = Subject::log(record, &mut self.room);
        Verdict::from(!any(&self.checks.log, &subject, &mut self.faults))
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        if !self.matchers.metric(|| metric.view()) {
            return Visit::Drop;
        }
        if !self.checks.metric.is_empty() {
            let subject = Subject::metric(metric, &mut self.room);
            if any(&self.checks.metric, &subject, &mut self.faults) {
                return Visit::Drop;
            }
        }
        if self.checks.point.is_empty() {
            return Visit::Skip;
        }
        if has_no_points(metric.view().data()) {
            return Visit::Drop;
        }
        Visit::Enter
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        let subject = Subject::data_point(point, &mut self.room);
        Verdict::from(!any(&self.checks.point, &subject, &mut self.faults))
    }
}

/// Whether a metric of a known kind has no points, as one that lost all of them.
fn has_no_points(data: MetricData<'_>) -> bool {
    match data {
        MetricData::Empty => false,
        MetricData::Gauge(data) => data.data_points().is_empty(),
        MetricData::Sum(data) => data.data_points().is_empty(),
        MetricData::Histogram(data) => data.data_points().is_empty(),
        MetricData::ExponentialHistogram(data) => data.data_points().is_empty(),
        MetricData::Summary(data) => data.data_points().is_empty(),
    }
}
