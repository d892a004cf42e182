//! `attributes`: edits the attributes of spans, log records and data points.

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Outbox, Processor, Stability};
use tidegate_pdata::splice::{
    DataPointEditor, Edits, LogRecordEditor, MetricEditor, ResourceEditor, ScopeEditor, SpanEditor,
    Splicer, Verdict, Visit,
};
use tidegate_pdata::{Batch, Signal};

use crate::actions::{self, ActionConfig, Actions};
use crate::matching::{Filter, MatchProperties};

/// Inserts, updates, deletes, hashes, extracts and converts attributes of spans, log records and data points.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is done, in this order.
    #[serde(default)]
    actions: Vec<ActionConfig>,
    /// The records to which it is done; all of them where this is left out.
    include: Option<MatchProperties>,
    /// Of these the records to which it is not done.
    exclude: Option<MatchProperties>,
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "attributes";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let signal = cx.signal.unwrap_or(Signal::Traces);
        let filter = Filter::new(self.include.as_ref(), self.exclude.as_ref(), signal)?;
        let actions = actions::compile(&self.actions, "actions")?;
        Ok(Box::new(Attributes {
            splicer: Splicer::default(),
            edit: Edit { actions, filter },
        }))
    }
}

struct Attributes {
    splicer: Splicer,
    edit: Edit,
}

struct Edit {
    actions: Actions,
    filter: Filter,
}

impl Processor for Attributes {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, context, receipt) = batch.into_parts();
        self.edit.actions.begin(&context);
        let payload = self.splicer.edit(payload, &mut self.edit);
        out.push(Batch::new(payload, context, receipt));
    }
}

/// Goes on to what lies within only where something of it can be selected.
const fn enter(possible: bool) -> Visit {
    if possible { Visit::Enter } else { Visit::Skip }
}

impl Edits for Edit {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        enter(self.filter.is_open() || self.filter.resource(resource.view()))
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        enter(self.filter.is_open() || self.filter.scope(scope.view()))
    }

    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        if self.filter.is_open() || self.filter.span(span.view()) {
            self.actions.apply(&mut span.attributes());
        }
        Verdict::Keep
    }

    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        if self.filter.is_open() || self.filter.log_record(record.view()) {
            self.actions.apply(&mut record.attributes());
        }
        Verdict::Keep
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        enter(self.filter.is_open() || self.filter.metric(metric.view()))
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        self.actions.apply(&mut point.attributes());
        Verdict::Keep
    }
}
