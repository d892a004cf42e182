//! The keys of `routing`, and the routes that they make for a signal.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError};
use tidegate_ottl::{Condition, Context, ErrorMode, Statement, build_error, infer_context};
use tidegate_pdata::Signal;

use super::request::RequestCondition;
use super::split::{Rule, Test};

/// Passes data to pipelines by conditions: to those of the first route that holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The routes, asked one after the other; what one moves the next ones do not see.
    table: Vec<Item>,
    /// Pipelines for what no route moves; it ends here where there are none.
    #[serde(default)]
    default_pipelines: Vec<String>,
    /// What happens when a condition fails for a record; `propagate` unless told, else the record takes no such route.
    error_mode: Option<ErrorMode>,
}

/// A route.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Item {
    /// What is asked: `request`, `resource`, `span`, `metric`, `datapoint` or `log`; what the paths name, or else
    /// `resource`, where this is left out.
    context: Option<String>,
    /// The condition; either this or `statement`.
    #[serde(default)]
    condition: String,
    /// The condition as a statement: `route() where …`, or `delete_key(…) where …`, which also takes the key off what
    /// it routes.
    #[serde(default)]
    statement: String,
    /// Whether what is routed is seen by later routes too.
    #[serde(default)]
    action: Action,
    /// The pipelines that get it. Each signal uses the pipelines of its own.
    pipelines: Vec<String>,
}

/// What a route does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// It takes what it routes.
    #[default]
    Move,
    /// It takes a copy.
    Copy,
}

/// A route, checked.
pub(super) struct Choice {
    pub(super) asked: Asked,
    pub(super) action: Action,
    /// The positions of its pipelines.
    pub(super) to: Vec<usize>,
}

/// What a route asks.
pub(super) enum Asked {
    Request(RequestCondition),
    Records(Test),
}

/// What `routing` does with a signal.
pub(super) struct Table {
    pub(super) choices: Vec<Choice>,
    pub(super) default: Vec<usize>,
    pub(super) mode: ErrorMode,
}

impl Config {
    /// The routes of the connector's signal.
    pub(super) fn table(&self, cx: &BuildContext) -> Result<Table, BuildError> {
        let own = cx.signal.unwrap_or(Signal::Traces);
        if self.table.is_empty() {
            let error = BuildError::at("table", "has no route");
            return Err(error.remedy("write at least one, with a `condition` and `pipelines`"));
        }
        let mut choices = Vec::new();
        let mut seen = BTreeSet::new();
        for (at, item) in self.table.iter().enumerate() {
            let path = format!("table::{at}");
            if item.pipelines.is_empty() {
                let error = BuildError::at(format!("{path}::pipelines"), "has no pipeline");
                return Err(error.remedy("name one, or take the route out"));
            }
            let to = routes(&item.pipelines, own, &format!("{path}::pipelines"), cx)?;
            if to.is_empty() {
                continue; // it is for other signals
            }
            let (context, asked) = item.asked(own, &path)?;
            // A route that asks what an earlier one asked is passed over, as in the original.
            if seen.insert((context, item.text())) {
                let action = item.action;
                choices.push(Choice { asked, action, to });
            }
        }
        Ok(Table {
            choices,
            default: routes(&self.default_pipelines, own, "default_pipelines", cx)?,
            mode: self.error_mode.unwrap_or(ErrorMode::Propagate),
        })
    }
}

/// The positions of those pipelines that are of a signal.
fn routes(
    names: &[String],
    signal: Signal,
    path: &str,
    cx: &BuildContext,
) -> Result<Vec<usize>, BuildError> {
    let mut routes = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let path = format!("{path}::{at}");
        let word = name.split('/').next().unwrap_or_default();
        let Some(its) = Signal::ALL.into_iter().find(|signal| signal.name() == word) else {
            let message = format!("`{name}` is no pipeline's name");
            let remedy = "it begins with `traces`, `metrics` or `logs`, as `traces/first`";
            return Err(BuildError::at(path, message).remedy(remedy));
        };
        if !cx.signals.has(its) {
            let message = format!("no pipeline of {its} exports to `{}`", cx.id);
            let remedy = format!(
                "name `{}` in the `exporters` of one, or take `{name}` out here",
                cx.id
            );
            return Err(BuildError::at(path, message).remedy(remedy));
        }
        if its != signal {
            continue; // the instance of that signal looks for it
        }
        let route = cx.routes.iter().position(|route| route.pipeline == *name);
        let Some(route) = route else {
            let message = format!("the pipeline `{name}` does not receive from `{}`", cx.id);
            let remedy = format!(
                "name `{}` in `service::pipelines::{name}::receivers`, or take the pipeline out here",
                cx.id
            );
            return Err(BuildError::at(path, message).remedy(remedy));
        };
        if !routes.contains(&route) {
            routes.push(route);
        }
    }
    Ok(routes)
}

/// The editors that a statement may call beside `route`.
const EDITORS: [&str; 2] = ["delete_key", "delete_matching_keys"];

impl Item {
    fn text(&self) -> &str {
        if self.condition.is_empty() {
            &self.statement
        } else {
            &self.condition
        }
    }

    /// What the route asks of a signal, and the name of its context.
    fn asked(&self, signal: Signal, path: &str) -> Result<(&'static str, Asked), BuildError> {
        match (self.condition.is_empty(), self.statement.is_empty()) {
            (true, true) => {
                let error = BuildError::at(path, "asks nothing");
                return Err(
                    error.remedy("write a `condition`, as `attributes[\"env\"] == \"prod\"`")
                );
            }
            (false, false) => {
                let error = BuildError::at(path, "has both a `condition` and a `statement`");
                return Err(error.remedy("take one of them out"));
            }
            _ => {}
        }
        if self.context.as_deref() == Some("request") {
            if self.condition.is_empty() {
                let error =
                    BuildError::at(format!("{path}::statement"), "a request has no statements");
                return Err(
                    error.remedy("write a `condition`, as `request[\"X-Tenant\"] == \"acme\"`")
                );
            }
            let condition = RequestCondition::parse(&self.condition).map_err(|error| {
                BuildError::at(format!("{path}::condition"), error.0).remedy(error.1)
            })?;
            return Ok(("request", Asked::Request(condition)));
        }
        let context = self.context_of(signal, path)?;
        let rule = if self.condition.is_empty() {
            self.statement_rule(context, &format!("{path}::statement"))?
        } else {
            condition(&self.condition, context, &format!("{path}::condition"))?
        };
        Ok((context.name(), Asked::Records(Test { context, rule })))
    }

    fn context_of(&self, signal: Signal, path: &str) -> Result<Context, BuildError> {
        let all = Context::of_signal(signal);
        let is_asked = |context: &Context| !matches!(context, Context::Scope | Context::SpanEvent);
        let Some(name) = self.context.as_deref().filter(|name| !name.is_empty()) else {
            let texts = [self.text().to_owned()];
            let inferred = match self.condition.is_empty() {
                true => infer_context(signal, &texts, &[]),
                false => infer_context(signal, &[], &texts),
            };
            return Ok(inferred.ok().filter(is_asked).unwrap_or(Context::Resource));
        };
        let context = Context::of(name)
            .filter(is_asked)
            .filter(|context| all.contains(context));
        context.ok_or_else(|| {
            let names = all
                .iter()
                .filter(|context| is_asked(context))
                .map(|context| context.name());
            let names: Vec<&str> = std::iter::once("request").chain(names).collect();
            let message = format!("{name:?} is no context of {}", signal.name());
            BuildError::at(format!("{path}::context"), message)
                .remedy(format!("write one of {}", names.join(", ")))
        })
    }

    fn statement_rule(&self, context: Context, path: &str) -> Result<Rule, BuildError> {
        let text = &self.statement;
        let name = text.split('(').next().unwrap_or_default().trim();
        if name == "route" {
            return match after_route(text) {
                Some("") => Ok(Rule::Always),
                Some(rest) => {
                    // So that errors tell the column of what was written.
                    let padded = " ".repeat(text.len() - rest.len()) + rest;
                    condition(&padded, context, path)
                }
                None => Err(
                    BuildError::at(path, "`route` takes no arguments and a condition")
                        .remedy("write `route() where …`"),
                ),
            };
        }
        let statement =
            Statement::compile(text, context).map_err(|error| build_error(path, &error))?;
        if !EDITORS.contains(&name) {
            let message = format!("`{name}` cannot be called here");
            return Err(BuildError::at(path, message)
                .remedy("write `route() where …`, `delete_key(…) where …` or `delete_matching_keys(…) where …`"));
        }
        Ok(Rule::Statement(statement))
    }
}

fn condition(text: &str, context: Context, path: &str) -> Result<Rule, BuildError> {
    let condition = Condition::compile(text, context).map_err(|error| build_error(path, &error))?;
    Ok(Rule::Condition(condition))
}

/// The condition of `route() where …`; an empty one where there is none.
fn after_route(text: &str) -> Option<&str> {
    let rest = text.trim_start().strip_prefix("route")?.trim_start();
    let rest = rest
        .strip_prefix('(')?
        .trim_start()
        .strip_prefix(')')?
        .trim();
    if rest.is_empty() {
        return Some("");
    }
    let condition = rest.strip_prefix("where")?;
    condition
        .starts_with(|next: char| next.is_whitespace() || next == '(')
        .then_some(condition)
}
