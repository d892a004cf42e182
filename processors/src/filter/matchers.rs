//! The older `include` and `exclude`, by names and attributes.

use tidegate_component::BuildError;
use tidegate_pdata::Signal;
use tidegate_pdata::view::{LogRecord, Metric, Resource, Scope, Span};

use crate::matching::{Filter, MatchProperties};

/// What must let a record pass; each on its own.
#[derive(Default)]
pub(super) struct Matchers(Vec<Filter>);

impl Matchers {
    pub(super) fn add(
        &mut self,
        include: Option<&MatchProperties>,
        exclude: Option<&MatchProperties>,
        signal: Signal,
    ) -> Result<(), BuildError> {
        if include.is_some() || exclude.is_some() {
            self.0.push(Filter::new(include, exclude, signal)?);
        }
        Ok(())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn resource(&mut self, resource: Resource<'_>) {
        for filter in &mut self.0 {
            filter.resource(resource);
        }
    }

    pub(super) fn scope(&mut self, scope: Scope<'_>) {
        for filter in &mut self.0 {
            filter.scope(scope);
        }
    }

    pub(super) fn span<'a>(&mut self, span: impl FnOnce() -> Span<'a>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let span = span();
        self.0.iter_mut().all(|filter| filter.span(span))
    }

    pub(super) fn log_record<'a>(&mut self, record: impl FnOnce() -> LogRecord<'a>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let record = record();
        self.0.iter_mut().all(|filter| filter.log_record(record))
    }

    pub(super) fn metric<'a>(&mut self, metric: impl FnOnce() -> Metric<'a>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let metric = metric();
        self.0.iter_mut().all(|filter| filter.metric(metric))
    }
}
