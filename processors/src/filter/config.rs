//! The keys of `filter`, in all three forms.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor, Stability};
use tidegate_ottl::{Condition, Context, ErrorMode, build_error, infer_context};
use tidegate_pdata::Signal;

use super::matchers::Matchers;
use super::{Check, Checks, Filter};
use crate::groups::{TextOrGroup, groups};
use crate::matching::{AttributeMatch, MatchProperties, MatchType, SeverityNumber};

/// Drops what satisfies a condition: spans, span events, metrics, data points, log records.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What happens when a condition fails for a record.
    error_mode: ErrorMode,
    /// Conditions on traces, each for what the paths in it name; any that holds drops it.
    trace_conditions: Vec<TextOrGroup<Conditions>>,
    /// Conditions on metrics, likewise.
    metric_conditions: Vec<TextOrGroup<Conditions>>,
    /// Conditions on log records, likewise.
    log_conditions: Vec<TextOrGroup<Conditions>>,
    /// Conditions on traces by context.
    traces: TraceConditions,
    /// Conditions on metrics by context, or metrics by their names.
    metrics: MetricConditions,
    /// Conditions on log records by context, or log records by what they have.
    logs: LogConditions,
    /// Spans by what they have.
    spans: SpanMatch,
}

/// Conditions with settings of their own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Conditions {
    /// What they are evaluated for: `resource`, `scope`, `span`, `spanevent`, `metric`, `datapoint` or `log`;
    /// what their paths name where this is left out.
    context: Option<String>,
    /// What happens when one of them fails, if that differs.
    error_mode: Option<ErrorMode>,
    /// The conditions; any that holds drops it.
    conditions: Vec<String>,
}

/// Conditions on traces.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct TraceConditions {
    /// Conditions that drop a resource with all its spans.
    resource: Vec<String>,
    /// Conditions that drop a span.
    span: Vec<String>,
    /// Conditions that drop an event; its span stays.
    spanevent: Vec<String>,
}

/// Conditions on metrics.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct MetricConditions {
    /// Conditions that drop a resource with all its metrics.
    resource: Vec<String>,
    /// Conditions that drop a metric.
    metric: Vec<String>,
    /// Conditions that drop a data point, and its metric with the last one.
    datapoint: Vec<String>,
    /// The metrics that pass.
    include: Option<MetricMatch>,
    /// Of these the metrics that do not pass.
    exclude: Option<MetricMatch>,
}

/// Conditions on log records.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct LogConditions {
    /// Conditions that drop a resource with all its log records.
    resource: Vec<String>,
    /// Conditions that drop a log record.
    log_record: Vec<String>,
    /// The log records that pass.
    include: Option<LogMatch>,
    /// Of these the log records that do not pass.
    exclude: Option<LogMatch>,
}

/// Spans by what they have.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct SpanMatch {
    /// The spans that pass.
    include: Option<MatchProperties>,
    /// Of these the spans that do not pass.
    exclude: Option<MatchProperties>,
}

/// How names are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum MetricMatchType {
    /// As they are.
    Strict,
    /// By regular expressions, which need not match the whole.
    Regexp,
    /// By expressions: refused, since conditions say the same.
    Expr,
}

/// Metrics by their names and resources.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct MetricMatch {
    /// Whether names are compared as they are (`strict`) or are regular expressions (`regexp`).
    match_type: Option<MetricMatchType>,
    /// How the results of regular expressions are cached.
    #[schemars(extend("x-no-effect" = "patterns are matched in one pass without a cache; remove it"))]
    regexp: Option<crate::matching::RegexpOptions>,
    /// Names of metrics.
    metric_names: Vec<String>,
    /// Expressions, of `match_type: expr`.
    expressions: Vec<String>,
    /// Attributes of the resource, all of which it must have.
    resource_attributes: Vec<AttributeMatch>,
}

/// Log records by what they have.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct LogMatch {
    /// Whether texts are compared as they are (`strict`) or are regular expressions (`regexp`).
    match_type: Option<MatchType>,
    /// Attributes of the resource, all of which it must have.
    resource_attributes: Vec<AttributeMatch>,
    /// Attributes of the record, all of which it must have.
    record_attributes: Vec<AttributeMatch>,
    /// Severities as their sources name them, one of which it must have.
    severity_texts: Vec<String>,
    /// The severity that it has at least.
    severity_number: Option<LeastSeverity>,
    /// Bodies as text, one of which it must have.
    bodies: Vec<String>,
}

/// The least severity.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct LeastSeverity {
    /// Its name, as `INFO` or `WARN2`.
    min: String,
    /// Whether log records without a severity match.
    match_undefined: bool,
}

impl LeastSeverity {
    fn number(&self, path: &str) -> Result<SeverityNumber, BuildError> {
        let name = self.min.to_ascii_uppercase();
        let bases = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        let found = bases.iter().enumerate().find_map(|(index, base)| {
            let step = match name.strip_prefix(base)? {
                "" => 0,
                "2" => 1,
                "3" => 2,
                "4" => 3,
                _ => return None,
            };
            Some(1 + 4 * index as i32 + step)
        });
        let min = match (found, name.as_str()) {
            (Some(min), _) => min,
            (None, "" | "UNDEFINED") => 0,
            _ => {
                let message = format!("{:?} is no severity", self.min);
                return Err(BuildError::at(format!("{path}::min"), message)
                    .remedy("write one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL"));
            }
        };
        Ok(SeverityNumber {
            min,
            match_undefined: self.match_undefined,
        })
    }
}

impl MetricMatch {
    /// Its two parts: names, and attributes of resources.
    fn parts(
        &self,
        path: &str,
    ) -> Result<(Option<MatchProperties>, Option<MatchProperties>), BuildError> {
        if self.match_type == Some(MetricMatchType::Expr) || !self.expressions.is_empty() {
            let message = "expressions of `match_type: expr` are not built";
            return Err(BuildError::at(format!("{path}::match_type"), message).remedy(
                "write conditions instead, as metrics: {metric: ['name == \"a\" and HasAttrOnDatapoint(\"key\", \"value\")']}",
            ));
        }
        let match_type = match self.match_type {
            Some(MetricMatchType::Regexp) => Some(MatchType::Regexp),
            _ => Some(MatchType::Strict),
        };
        let names = (!self.metric_names.is_empty()).then(|| MatchProperties {
            match_type,
            metric_names: self.metric_names.clone(),
            ..MatchProperties::default()
        });
        let resources = (!self.resource_attributes.is_empty()).then(|| MatchProperties {
            match_type,
            resources: self.resource_attributes.clone(),
            ..MatchProperties::default()
        });
        Ok((names, resources))
    }
}

impl LogMatch {
    fn properties(&self, path: &str) -> Result<Option<MatchProperties>, BuildError> {
        let severity = self
            .severity_number
            .as_ref()
            .map(|least| least.number(&format!("{path}::severity_number")))
            .transpose()?;
        let is_empty = self.resource_attributes.is_empty()
            && self.record_attributes.is_empty()
            && self.severity_texts.is_empty()
            && self.bodies.is_empty()
            && severity.is_none();
        Ok((!is_empty).then(|| MatchProperties {
            match_type: self.match_type,
            resources: self.resource_attributes.clone(),
            attributes: self.record_attributes.clone(),
            log_severity_texts: self.severity_texts.clone(),
            log_severity_number: severity,
            log_bodies: self.bodies.clone(),
            ..MatchProperties::default()
        }))
    }
}

/// The lists of one signal in the two newer forms.
type Lists<'c> = (
    Signal,
    (&'static str, &'c [TextOrGroup<Conditions>]),
    Vec<(&'static str, Context, &'c [String])>,
);

impl Config {
    fn lists(&self) -> [Lists<'_>; 3] {
        let Self {
            traces,
            metrics,
            logs,
            ..
        } = self;
        [
            (
                Signal::Traces,
                ("trace_conditions", &self.trace_conditions),
                vec![
                    ("traces::resource", Context::Resource, &traces.resource),
                    ("traces::span", Context::Span, &traces.span),
                    ("traces::spanevent", Context::SpanEvent, &traces.spanevent),
                ],
            ),
            (
                Signal::Metrics,
                ("metric_conditions", &self.metric_conditions),
                vec![
                    ("metrics::resource", Context::Resource, &metrics.resource),
                    ("metrics::metric", Context::Metric, &metrics.metric),
                    ("metrics::datapoint", Context::DataPoint, &metrics.datapoint),
                ],
            ),
            (
                Signal::Logs,
                ("log_conditions", &self.log_conditions),
                vec![
                    ("logs::resource", Context::Resource, &logs.resource),
                    ("logs::log_record", Context::Log, &logs.log_record),
                ],
            ),
        ]
    }

    /// Compiles the conditions of all signals, and keeps those of one.
    fn checks(&self, kept: Signal) -> Result<Checks, BuildError> {
        let mut checks = Checks::default();
        for (signal, (key, list), by_context) in self.lists() {
            let mut own = Checks::default();
            for (path, context, conditions) in &by_context {
                add(&mut own, conditions, *context, self.error_mode, path)?;
            }
            let is_older = by_context.iter().any(|(.., list)| !list.is_empty());
            let has_matchers = match signal {
                Signal::Traces => self.spans.include.is_some() || self.spans.exclude.is_some(),
                Signal::Metrics => self.metrics.include.is_some() || self.metrics.exclude.is_some(),
                Signal::Logs => self.logs.include.is_some() || self.logs.exclude.is_some(),
            };
            if !list.is_empty() && (is_older || has_matchers && signal != Signal::Traces)
                || is_older && has_matchers
            {
                let message = format!("{} are filtered in two forms at once", signal.name());
                return Err(BuildError::at(key, message)
                    .remedy(format!("put all conditions under `{key}`")));
            }
            self.add_groups(&mut own, signal, key, list)?;
            if signal == kept {
                checks = own;
            }
        }
        Ok(checks)
    }

    fn add_groups(
        &self,
        checks: &mut Checks,
        signal: Signal,
        key: &str,
        list: &[TextOrGroup<Conditions>],
    ) -> Result<(), BuildError> {
        let is_flat = matches!(list.first(), Some(TextOrGroup::Text(_)));
        let groups = groups(list, key, |conditions| Conditions {
            conditions,
            ..Conditions::default()
        })?;
        for (index, group) in groups.iter().enumerate() {
            let path = if is_flat {
                key.to_owned()
            } else {
                format!("{key}::{index}::conditions")
            };
            let context = match &group.context {
                Some(name) => named_context(name, signal, &format!("{key}::{index}::context"))?,
                None if group.conditions.is_empty() => continue,
                None => infer_context(signal, &[], &group.conditions)
                    .map_err(|error| build_error(&path, &error))?,
            };
            let mode = group.error_mode.unwrap_or(self.error_mode);
            add(checks, &group.conditions, context, mode, &path)?;
        }
        Ok(())
    }

    fn matchers(&self, signal: Signal) -> Result<Matchers, BuildError> {
        let mut matchers = Matchers::default();
        match signal {
            Signal::Traces => {
                let SpanMatch { include, exclude } = &self.spans;
                matchers
                    .add(include.as_ref(), exclude.as_ref(), signal)
                    .map_err(|error| below("spans", error))?;
            }
            Signal::Metrics => {
                if let Some(include) = &self.metrics.include {
                    let (names, resources) = include.parts("metrics::include")?;
                    matchers
                        .add(names.as_ref(), None, signal)
                        .map_err(|error| below("metrics", error))?;
                    matchers
                        .add(resources.as_ref(), None, signal)
                        .map_err(|error| below("metrics", error))?;
                }
                if let Some(exclude) = &self.metrics.exclude {
                    let (names, resources) = exclude.parts("metrics::exclude")?;
                    matchers
                        .add(None, names.as_ref(), signal)
                        .map_err(|error| below("metrics", error))?;
                    matchers
                        .add(None, resources.as_ref(), signal)
                        .map_err(|error| below("metrics", error))?;
                }
            }
            Signal::Logs => {
                let of = |part: &Option<LogMatch>, path| match part {
                    Some(part) => part.properties(path),
                    None => Ok(None),
                };
                let include = of(&self.logs.include, "logs::include")?;
                let exclude = of(&self.logs.exclude, "logs::exclude")?;
                matchers
                    .add(include.as_ref(), exclude.as_ref(), signal)
                    .map_err(|error| below("logs", error))?;
            }
        }
        Ok(matchers)
    }
}

/// An error with its key under another.
fn below(key: &str, mut error: BuildError) -> BuildError {
    error.path = format!("{key}::{}", error.path);
    error
}

fn add(
    checks: &mut Checks,
    conditions: &[String],
    context: Context,
    mode: ErrorMode,
    path: &str,
) -> Result<(), BuildError> {
    for (index, text) in conditions.iter().enumerate() {
        let condition = Condition::compile(text, context)
            .map_err(|error| build_error(&format!("{path}::{index}"), &error))?;
        checks.of(context).push(Check { condition, mode });
    }
    Ok(())
}

/// The context of a name that a configuration gives for a signal.
pub(crate) fn named_context(name: &str, signal: Signal, path: &str) -> Result<Context, BuildError> {
    let contexts = Context::of_signal(signal);
    Context::of(name)
        .filter(|context| contexts.contains(context))
        .ok_or_else(|| {
            let names: Vec<&str> = contexts.iter().map(|context| context.name()).collect();
            BuildError::at(path, format!("{name:?} is no context of {}", signal.name()))
                .remedy(format!("write one of {}", names.join(", ")))
        })
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "filter";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let signal = cx.signal.unwrap_or(Signal::Traces);
        let checks = self.checks(signal)?;
        for other in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            self.matchers(other)?;
        }
        let matchers = self.matchers(signal)?;
        let is_idle = matchers.is_empty() && checks.is_empty();
        Ok(Box::new(Filter::new(cx, checks, matchers, is_idle)))
    }
}
