//! The keys of `transform`, in both forms.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor, Stability};
use tidegate_ottl::{Condition, ErrorMode, Statement, build_error, infer_context};
use tidegate_pdata::Signal;

use super::{Group, Transform};
use crate::filter::named_context;
use crate::groups::{TextOrGroup, groups};

/// Changes resources, scopes, spans, metrics, data points and log records by statements.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What happens when a statement fails for a record.
    error_mode: ErrorMode,
    /// Statements on traces, as texts or in groups with settings of their own.
    trace_statements: Vec<TextOrGroup<Statements>>,
    /// Statements on metrics, likewise.
    metric_statements: Vec<TextOrGroup<Statements>>,
    /// Statements on log records, likewise.
    log_statements: Vec<TextOrGroup<Statements>>,
    /// Gives each log record a resource of its own while statements run, which only an experimental gate of the
    /// original allows.
    flatten_data: bool,
}

/// Statements with settings of their own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Statements {
    /// What they are carried out for: `resource`, `scope`, `span`, `spanevent`, `metric`, `datapoint` or `log`;
    /// what their paths name where this is left out.
    context: Option<String>,
    /// What happens when one of them fails, if that differs.
    error_mode: Option<ErrorMode>,
    /// Conditions of which any must hold for the statements to be carried out.
    conditions: Vec<String>,
    /// The statements, carried out in order.
    statements: Vec<String>,
}

impl Config {
    fn list(&self, signal: Signal) -> (&'static str, &[TextOrGroup<Statements>]) {
        match signal {
            Signal::Traces => ("trace_statements", &self.trace_statements),
            Signal::Metrics => ("metric_statements", &self.metric_statements),
            Signal::Logs => ("log_statements", &self.log_statements),
        }
    }

    fn groups(&self, signal: Signal) -> Result<Vec<Group>, BuildError> {
        let (key, list) = self.list(signal);
        let is_flat = matches!(list.first(), Some(TextOrGroup::Text(_)));
        let groups = groups(list, key, |statements| Statements {
            statements,
            ..Statements::default()
        })?;
        let groups = groups.iter().enumerate().map(|(index, group)| {
            let path = if is_flat {
                key.to_owned()
            } else {
                format!("{key}::{index}")
            };
            self.group(group, signal, &path, is_flat)
        });
        groups.collect()
    }

    fn group(
        &self,
        group: &Statements,
        signal: Signal,
        path: &str,
        is_flat: bool,
    ) -> Result<Group, BuildError> {
        let at = |part: &str| {
            if is_flat {
                path.to_owned()
            } else {
                format!("{path}::{part}")
            }
        };
        let context = match &group.context {
            Some(name) => named_context(name, signal, &at("context"))?,
            None => infer_context(signal, &group.statements, &group.conditions)
                .map_err(|error| build_error(&at("statements"), &error))?,
        };
        let conditions = group.conditions.iter().enumerate().map(|(index, text)| {
            Condition::compile(text, context)
                .map_err(|error| build_error(&format!("{}::{index}", at("conditions")), &error))
        });
        let statements = group.statements.iter().enumerate().map(|(index, text)| {
            Statement::compile(text, context)
                .map_err(|error| build_error(&format!("{}::{index}", at("statements")), &error))
        });
        Ok(Group {
            context,
            conditions: conditions.collect::<Result<_, _>>()?,
            statements: statements.collect::<Result<_, _>>()?,
            mode: group.error_mode.unwrap_or(self.error_mode),
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "transform";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        if self.flatten_data {
            return Err(BuildError::at("flatten_data", "this is not built")
                .remedy("leave it out; `group_by_attrs` moves attributes to resources"));
        }
        let kept = cx.signal.unwrap_or(Signal::Traces);
        let mut groups = Vec::new();
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            let compiled = self.groups(signal)?;
            if signal == kept {
                groups = compiled;
            }
        }
        Ok(Box::new(Transform::new(cx, groups)))
    }
}
