//! Contexts: which message a statement is about, and what it can reach from there.

use std::fmt;

use tidegate_pdata::Signal;
use tidegate_pdata::splice::Part;

use crate::ast::{Condition, Seen, Statement};
use crate::error::{Error, nearest};
use crate::functions;

/// What a statement or condition is evaluated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// Each resource.
    Resource,
    /// Each scope.
    Scope,
    /// Each metric.
    Metric,
    /// Each data point.
    DataPoint,
    /// Each span.
    Span,
    /// Each event of a span.
    SpanEvent,
    /// Each log record.
    Log,
}

impl Context {
    /// All of them, those first that are inferred before others.
    pub const ALL: [Self; 7] = [
        Self::Log,
        Self::DataPoint,
        Self::Metric,
        Self::SpanEvent,
        Self::Span,
        Self::Scope,
        Self::Resource,
    ];

    /// Its name in paths and configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::Metric => "metric",
            Self::DataPoint => "datapoint",
            Self::Span => "span",
            Self::SpanEvent => "spanevent",
            Self::Log => "log",
        }
    }

    /// The context of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        if name == "instrumentation_scope" {
            return Some(Self::Scope);
        }
        Self::ALL.into_iter().find(|context| context.name() == name)
    }

    /// Those of a signal, the outermost first.
    #[must_use]
    pub const fn of_signal(signal: Signal) -> &'static [Self] {
        match signal {
            Signal::Traces => &[Self::Resource, Self::Scope, Self::Span, Self::SpanEvent],
            Signal::Metrics => &[Self::Resource, Self::Scope, Self::Metric, Self::DataPoint],
            Signal::Logs => &[Self::Resource, Self::Scope, Self::Log],
        }
    }

    /// Those that can be reached from it, itself first.
    pub(crate) const fn reach(self) -> &'static [Self] {
        match self {
            Self::Resource => &[Self::Resource],
            Self::Scope => &[Self::Scope, Self::Resource],
            Self::Metric => &[Self::Metric, Self::Scope, Self::Resource],
            Self::DataPoint => &[Self::DataPoint, Self::Metric, Self::Scope, Self::Resource],
            Self::Span => &[Self::Span, Self::Scope, Self::Resource],
            Self::SpanEvent => &[Self::SpanEvent, Self::Span, Self::Scope, Self::Resource],
            Self::Log => &[Self::Log, Self::Scope, Self::Resource],
        }
    }

    /// The message that it is, among those that are open.
    pub(crate) const fn part(self) -> Part {
        match self {
            Self::Resource => Part::Resource,
            Self::Scope => Part::Scope,
            Self::Metric => Part::Metric,
            Self::DataPoint | Self::Span | Self::Log => Part::Record,
            Self::SpanEvent => Part::Child,
        }
    }

    /// The number that a name in capitals stands for.
    pub(crate) fn symbol(self, name: &str) -> Option<i64> {
        let find = |table: &[(&str, i64)]| {
            table
                .iter()
                .find(|(symbol, _)| *symbol == name)
                .map(|(_, number)| *number)
        };
        match self {
            Self::Resource | Self::Scope => None,
            Self::Metric => find(METRIC_SYMBOLS),
            Self::DataPoint => find(METRIC_SYMBOLS).or_else(|| find(POINT_SYMBOLS)),
            Self::Span | Self::SpanEvent => find(SPAN_SYMBOLS),
            Self::Log => severity(name),
        }
    }

    /// The names in capitals that it knows.
    pub(crate) fn symbols(self) -> Vec<String> {
        let names =
            |table: &[(&str, i64)]| table.iter().map(|(name, _)| (*name).to_owned()).collect();
        match self {
            Self::Resource | Self::Scope => Vec::new(),
            Self::Metric => names(METRIC_SYMBOLS),
            Self::DataPoint => [names(METRIC_SYMBOLS), names(POINT_SYMBOLS)].concat(),
            Self::Span | Self::SpanEvent => names(SPAN_SYMBOLS),
            Self::Log => SEVERITIES
                .iter()
                .map(|name| format!("SEVERITY_NUMBER_{name}"))
                .collect(),
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const SPAN_SYMBOLS: &[(&str, i64)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
    ("STATUS_CODE_UNSET", 0),
    ("STATUS_CODE_OK", 1),
    ("STATUS_CODE_ERROR", 2),
];

const METRIC_SYMBOLS: &[(&str, i64)] = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
    ("METRIC_DATA_TYPE_NONE", 0),
    ("METRIC_DATA_TYPE_GAUGE", 1),
    ("METRIC_DATA_TYPE_SUM", 2),
    ("METRIC_DATA_TYPE_HISTOGRAM", 3),
    ("METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM", 4),
    ("METRIC_DATA_TYPE_SUMMARY", 5),
];

const POINT_SYMBOLS: &[(&str, i64)] = &[("FLAG_NONE", 0), ("FLAG_NO_RECORDED_VALUE", 1)];

const SEVERITIES: [&str; 7] = [
    "UNSPECIFIED",
    "TRACE",
    "DEBUG",
    "INFO",
    "WARN",
    "ERROR",
    "FATAL",
];

fn severity(name: &str) -> Option<i64> {
    let name = name.strip_prefix("SEVERITY_NUMBER_")?;
    if name == "UNSPECIFIED" {
        return Some(0);
    }
    let (base, step) = match name.as_bytes().last()? {
        digit @ b'2'..=b'4' => (&name[..name.len() - 1], i64::from(digit - b'1')),
        _ => (name, 0),
    };
    let position = SEVERITIES[1..].iter().position(|known| *known == base)?;
    Some(1 + 4 * position as i64 + step)
}

/// Finds the context that all statements and conditions of a group can have together.
///
/// It is the innermost that any path names, or one outside of that where functions or names in capitals
/// demand it.
pub(crate) fn infer(
    signal: Signal,
    statements: &[(Statement, &str)],
    conditions: &[(Condition, &str)],
) -> Result<Context, Error> {
    let mut needs = Needs {
        signal,
        context: None,
        functions: Vec::new(),
        symbols: Vec::new(),
        fault: None,
    };
    for (statement, text) in statements {
        statement.visit(&mut |seen| needs.see(seen, text));
    }
    for (condition, text) in conditions {
        condition.visit(&mut |seen| needs.see(seen, text));
    }
    if let Some(fault) = needs.fault {
        return Err(fault);
    }
    let Some(innermost) = needs.context else {
        let text = statements.first().map(|(_, text)| *text);
        let text = text.or_else(|| conditions.first().map(|(_, text)| *text));
        let text = text.unwrap_or_default();
        return Err(Error::new(
            0..text.len(),
            "no path says for what this is to be evaluated",
        )
        .remedy(format!(
            "put it in a group of its own with `context: {}`, or use a path with its context, as `{}`",
            Context::of_signal(signal)[2],
            sample_path(signal),
        ))
        .in_text(text));
    };
    let mut candidates = Context::ALL
        .into_iter()
        .filter(|context| innermost.reach().contains(context));
    let fits = |context: &Context| needs.fits(*context);
    candidates.find(fits).ok_or_else(|| needs.misfit(innermost))
}

const fn sample_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "span.name",
        Signal::Metrics => "metric.name",
        Signal::Logs => "log.body",
    }
}

struct Needs<'a> {
    signal: Signal,
    context: Option<Context>,
    functions: Vec<(&'a str, &'a str)>,
    symbols: Vec<(&'a str, &'a str)>,
    fault: Option<Error>,
}

impl<'a> Needs<'a> {
    fn see(&mut self, seen: Seen<'a>, text: &'a str) {
        match seen {
            Seen::Function(name) => self.functions.push((name, text)),
            Seen::Symbol(name) => self.symbols.push((name, text)),
            Seen::Path(path) => {
                let first = &path.fields[0];
                let known = Context::of(&first.name)
                    .filter(|context| Context::of_signal(self.signal).contains(context));
                match known {
                    Some(context) => {
                        let rank = |context| Context::ALL.iter().position(|one| *one == context);
                        if self.context.is_none_or(|found| rank(context) < rank(found)) {
                            self.context = Some(context);
                        }
                    }
                    None if self.fault.is_none() => {
                        self.fault = Some(missing_context(self.signal, first, text));
                    }
                    None => {}
                }
            }
        }
    }

    fn fits(&self, context: Context) -> bool {
        self.functions
            .iter()
            .all(|(name, _)| functions::is_known(name, context))
            && self
                .symbols
                .iter()
                .all(|(name, _)| context.symbol(name).is_some() || functions::is_any(name))
    }

    fn misfit(&self, context: Context) -> Error {
        let function = self
            .functions
            .iter()
            .find(|(name, _)| !functions::is_known(name, context));
        if let Some((name, text)) = function {
            let at = text.find(name).unwrap_or(0);
            return functions::unknown(name, at..at + name.len(), context).in_text(text);
        }
        let symbol = self
            .symbols
            .iter()
            .find(|(name, _)| context.symbol(name).is_none() && !functions::is_any(name));
        let (name, text) = symbol.copied().unwrap_or_default();
        let at = text.find(name).unwrap_or(0);
        unknown_symbol(name, at..at + name.len(), context).in_text(text)
    }
}

fn missing_context(signal: Signal, first: &crate::ast::Field, text: &str) -> Error {
    let contexts = Context::of_signal(signal);
    let known = contexts.iter().map(|context| context.name());
    let mut options: Vec<String> = Vec::new();
    for context in contexts {
        if crate::paths::names(*context).contains(&first.name.as_str()) {
            options.push(format!("`{context}.{}`", first.name));
        }
    }
    let error = Error::new(
        first.span.clone(),
        format!(
            "`{}` does not say of what: in {} a path begins with {}",
            first.name,
            signal.name(),
            known
                .clone()
                .map(|name| format!("`{name}.`"))
                .collect::<Vec<_>>()
                .join(", "),
        ),
    )
    .in_text(text);
    if !options.is_empty() {
        return error.remedy(format!("write {}", options.join(" or ")));
    }
    match nearest(&first.name, known) {
        Some(name) => error.remedy(format!("write `{name}.`")),
        None => error,
    }
}

/// A name in capitals that a context does not know.
pub(crate) fn unknown_symbol(name: &str, span: std::ops::Range<usize>, context: Context) -> Error {
    let symbols = context.symbols();
    let error = Error::new(span, format!("`{name}` is nothing that `{context}` knows"));
    match nearest(name, symbols.iter().map(String::as_str)) {
        Some(near) => error.remedy(format!("write `{near}`")),
        None => error.remedy("names in capitals are those of enumerations, as `SPAN_KIND_SERVER`; texts stand between quotes"),
    }
}
