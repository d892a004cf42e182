//! The keys of `include` and `exclude`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_pdata::Signal;

use crate::literal::Literal;

/// What a record must have to match: of each list given here one entry, of `attributes`, `resources` and
/// `libraries` all.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MatchProperties {
    /// Whether texts are compared as they are (`strict`) or are regular expressions (`regexp`).
    pub(crate) match_type: Option<MatchType>,
    /// How the results of regular expressions are cached.
    #[schemars(extend("x-no-effect" = "patterns are matched in one pass without a cache; remove it"))]
    pub(crate) regexp: Option<RegexpOptions>,
    /// Names of services, for spans.
    pub(crate) services: Vec<String>,
    /// Names of spans.
    pub(crate) span_names: Vec<String>,
    /// Kinds of spans, as `SPAN_KIND_SERVER`.
    pub(crate) span_kinds: Vec<String>,
    /// Bodies of log records, as text.
    pub(crate) log_bodies: Vec<String>,
    /// Severities of log records as their sources name them.
    pub(crate) log_severity_texts: Vec<String>,
    /// The severity that log records have at least.
    pub(crate) log_severity_number: Option<SeverityNumber>,
    /// Names of metrics.
    pub(crate) metric_names: Vec<String>,
    /// Attributes of the record, all of which it must have; for spans and log records.
    pub(crate) attributes: Vec<AttributeMatch>,
    /// Attributes of the resource, all of which it must have.
    pub(crate) resources: Vec<AttributeMatch>,
    /// Scopes, for spans and log records; all must match.
    pub(crate) libraries: Vec<Library>,
}

/// How texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MatchType {
    /// As they are.
    Strict,
    /// By regular expressions, which need not match the whole.
    Regexp,
}

/// Settings of a cache that is not needed here.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RegexpOptions {
    /// Whether results are cached.
    cacheenabled: bool,
    /// How many results are cached.
    cachemaxnumentries: u64,
}

/// The least severity of log records.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SeverityNumber {
    /// The least `SeverityNumber`: 1 is TRACE, 5 DEBUG, 9 INFO, 13 WARN, 17 ERROR, 21 FATAL.
    pub(crate) min: i32,
    /// Whether log records without a severity match.
    pub(crate) match_undefined: bool,
}

/// An attribute.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttributeMatch {
    /// Its key.
    pub(crate) key: String,
    /// Its value, with `match_type: regexp` a pattern; any value where this is left out.
    pub(crate) value: Option<Literal>,
}

/// A scope.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Library {
    /// Its name.
    pub(crate) name: String,
    /// Its version; any version where this is left out.
    pub(crate) version: Option<String>,
}

const KINDS: [&str; 5] = [
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

impl MatchProperties {
    /// The keys, whether each is set, and the signals whose records have it.
    fn uses(&self) -> [(&'static str, bool, &'static [Signal]); 10] {
        use Signal::{Logs, Metrics, Traces};
        [
            ("services", !self.services.is_empty(), &[Traces]),
            ("span_names", !self.span_names.is_empty(), &[Traces]),
            ("span_kinds", !self.span_kinds.is_empty(), &[Traces]),
            ("log_bodies", !self.log_bodies.is_empty(), &[Logs]),
            (
                "log_severity_texts",
                !self.log_severity_texts.is_empty(),
                &[Logs],
            ),
            (
                "log_severity_number",
                self.log_severity_number.is_some(),
                &[Logs],
            ),
            ("metric_names", !self.metric_names.is_empty(), &[Metrics]),
            ("attributes", !self.attributes.is_empty(), &[Traces, Logs]),
            (
                "resources",
                !self.resources.is_empty(),
                &[Traces, Metrics, Logs],
            ),
            ("libraries", !self.libraries.is_empty(), &[Traces, Logs]),
        ]
    }

    /// Checks that what stands at `path` can match records of a signal.
    pub(crate) fn check(&self, signal: Signal, path: &str) -> Result<(), BuildError> {
        let uses = self.uses();
        let foreign = (uses.iter()).find(|(_, set, signals)| *set && !signals.contains(&signal));
        let usable = || {
            let names = uses
                .iter()
                .filter(|(.., signals)| signals.contains(&signal));
            let names: Vec<String> = names.map(|(name, ..)| format!("`{name}`")).collect();
            names.join(", ")
        };
        if let Some((key, ..)) = foreign {
            let message = format!("`{key}` matches nothing in a pipeline of {}", signal.name());
            return Err(BuildError::at(format!("{path}::{key}"), message)
                .remedy(format!("match by {}", usable())));
        }
        if !uses.iter().any(|(_, set, _)| *set) {
            return Err(BuildError::at(path, "there is nothing to match")
                .remedy(format!("match by at least one of {}", usable())));
        }
        let strict = self.match_type == Some(MatchType::Strict);
        let unknown =
            (self.span_kinds.iter()).position(|kind| !KINDS.contains(&kind.as_str()) && strict);
        if let Some(index) = unknown {
            let message = format!("{:?} is no kind of span", self.span_kinds[index]);
            return Err(
                BuildError::at(format!("{path}::span_kinds::{index}"), message)
                    .remedy(format!("write one of {}", KINDS.join(", "))),
            );
        }
        Ok(())
    }
}
