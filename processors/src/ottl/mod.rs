//! What `filter` and `transform` have in common: how faults of statements are met.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::metrics::Counter;
use tidegate_component::{BuildContext, BuildError, Outbox, Reason};
use tidegate_ottl::{Error, Fault};
use tidegate_pdata::{Batch, Context, Payload, Receipt};

/// What happens when a statement or condition fails for a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ErrorMode {
    /// It is counted and logged, and the next one is carried out.
    #[default]
    Ignore,
    /// It is counted, and the next one is carried out.
    Silent,
    /// The whole batch is turned away.
    Propagate,
}

/// Meets the faults of a processor's statements.
pub(crate) struct Faults {
    count: Counter,
    reason: Reason,
    aggregated: Reason,
    seen: u64,
    /// The first of the batch that turns it away.
    propagated: Option<String>,
}

impl Faults {
    pub(crate) fn new(cx: &BuildContext) -> Self {
        let help = "Statements and conditions that failed for a record.";
        Self {
            count: cx.metrics.counter("tidegate_statement_errors", help, &[]),
            reason: cx.reason("statement_failed"),
            aggregated: cx.reason("aggregated"),
            seen: 0,
            propagated: None,
        }
    }

    /// Meets a fault; says whether the batch is turned away.
    #[cold]
    pub(crate) fn meet(&mut self, text: &str, fault: &Fault, mode: ErrorMode) -> bool {
        self.count.add(1);
        match mode {
            ErrorMode::Propagate => {
                self.propagated
                    .get_or_insert_with(|| format!("the statement `{text}` failed: {fault}"));
                return true;
            }
            ErrorMode::Ignore => {
                self.seen += 1;
                // One line for the first, the tenth, the hundredth: never one for each record.
                if self.seen.ilog10() > (self.seen - 1).checked_ilog10().unwrap_or(0)
                    || self.seen == 1
                {
                    let count = self.seen;
                    tracing::warn!(statement = text, %fault, count, "a statement failed");
                }
            }
            ErrorMode::Silent => {}
        }
        false
    }

    /// Tells of points that statements put together with others.
    pub(crate) fn merged(&self, items: usize, out: &mut Outbox) {
        out.dropped(&self.aggregated, items);
    }

    /// Whether the batch at hand is turned away.
    pub(crate) const fn is_propagated(&self) -> bool {
        self.propagated.is_some()
    }

    /// Passes on what was made of a batch, or turns away what it was.
    pub(crate) fn finish(
        &mut self,
        original: Option<Payload>,
        edited: Payload,
        (context, receipt): (Context, Receipt),
        out: &mut Outbox,
    ) -> bool {
        match (self.propagated.take(), original) {
            (Some(message), Some(original)) => {
                let batch = Batch::new(original, context, receipt);
                out.reject(batch, &self.reason, message.into());
                false
            }
            _ => {
                out.push(Batch::new(edited, context, receipt));
                true
            }
        }
    }
}

/// A fault in a text of the configuration, at its key.
pub(crate) fn build_error(path: &str, error: &Error) -> BuildError {
    let build_error = BuildError::at(path, error.to_string());
    match &error.remedy {
        Some(remedy) => build_error.remedy(remedy.clone()),
        None => build_error,
    }
}

/// A list of texts, or of groups with settings of their own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum TextOrGroup<G> {
    /// One text.
    Text(String),
    /// A group of them.
    Group(G),
}

/// What a list holds: texts alone, which are one group, or groups.
pub(crate) fn groups<G: Clone>(
    list: &[TextOrGroup<G>],
    path: &str,
    group: impl FnOnce(Vec<String>) -> G,
) -> Result<Vec<G>, BuildError> {
    let texts: Vec<String> = list
        .iter()
        .filter_map(|entry| match entry {
            TextOrGroup::Text(text) => Some(text.clone()),
            TextOrGroup::Group(_) => None,
        })
        .collect();
    if texts.is_empty() {
        let groups = list.iter().filter_map(|entry| match entry {
            TextOrGroup::Group(group) => Some(group.clone()),
            TextOrGroup::Text(_) => None,
        });
        return Ok(groups.collect());
    }
    if texts.len() < list.len() {
        let message = "texts and groups stand side by side";
        return Err(BuildError::at(path, message)
            .remedy("put the texts into a group of their own, or leave the groups out"));
    }
    Ok(vec![group(texts)])
}
