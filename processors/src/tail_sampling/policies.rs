//! The keys of policies.

use schemars::JsonSchema;
use serde::Deserialize;

use tidegate_ottl::ErrorMode;

/// Something that says of a trace whether it is to be sampled.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// Its name, in metrics and where policies speak of each other.
    #[serde(default)]
    pub(super) name: String,
    /// What it asks for; the key of the same name says the rest.
    #[serde(rename = "type")]
    pub(super) kind: Type,
    /// The time from the earliest start to the latest end.
    #[serde(default)]
    pub(super) latency: Latency,
    /// A whole number among the attributes of a span or resource.
    #[serde(default)]
    pub(super) numeric_attribute: NumericAttribute,
    /// A share of all traces, chosen by a hash of the trace ID.
    #[serde(default)]
    pub(super) probabilistic: Probabilistic,
    /// How one of the spans ended.
    #[serde(default)]
    pub(super) status_code: StatusCode,
    /// A text among the attributes of a span or resource.
    #[serde(default)]
    pub(super) string_attribute: StringAttribute,
    /// Spans in a second, over all workers.
    #[serde(default)]
    pub(super) rate_limiting: RateLimiting,
    /// Bytes in a second, over all workers.
    #[serde(default)]
    pub(super) bytes_limiting: BytesLimiting,
    /// How many spans the trace has.
    #[serde(default)]
    pub(super) span_count: SpanCount,
    /// A member of the W3C trace state of a span.
    #[serde(default)]
    pub(super) trace_state: TraceState,
    /// True or false among the attributes of a span or resource.
    #[serde(default)]
    pub(super) boolean_attribute: BooleanAttribute,
    /// Conditions on spans and their events.
    #[serde(default)]
    pub(super) ottl_condition: OttlCondition,
    /// Policies that must all sample the trace.
    #[serde(default)]
    pub(super) and: And,
    /// A policy that must not sample the trace.
    #[serde(default)]
    pub(super) not: Not,
    /// Policies that keep the trace out where all of them would sample it, whatever other policies say.
    #[serde(default)]
    pub(super) drop: Drop,
    /// Policies that share a rate; the first that samples the trace decides, within its share.
    #[serde(default)]
    pub(super) composite: Composite,
}

/// What a policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Type {
    AlwaysSample,
    Latency,
    NumericAttribute,
    Probabilistic,
    StatusCode,
    StringAttribute,
    RateLimiting,
    BytesLimiting,
    SpanCount,
    TraceState,
    TraceFlags,
    BooleanAttribute,
    OttlCondition,
    And,
    Not,
    Drop,
    Composite,
}

/// A duration.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Latency {
    /// Milliseconds from which on traces are sampled; with `upper_threshold_ms` they must take longer.
    pub(super) threshold_ms: i64,
    /// Milliseconds up to which traces are sampled; `0` sets no limit.
    pub(super) upper_threshold_ms: i64,
}

/// A number.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NumericAttribute {
    /// The attribute; a value that is no whole number counts as 0.
    pub(super) key: String,
    /// The least value; `0` sets no limit.
    pub(super) min_value: i64,
    /// The greatest value; `0` sets no limit.
    pub(super) max_value: i64,
    /// Samples traces in which no value is in the range.
    pub(super) invert_match: bool,
}

/// A share.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Probabilistic {
    /// What goes into the hash before the trace ID: tiers of collectors with different salts choose differently.
    pub(super) hash_salt: String,
    /// The share, in percent.
    pub(super) sampling_percentage: f64,
}

/// Ends of spans.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StatusCode {
    /// The codes of which one is enough: `OK`, `ERROR`, `UNSET`.
    pub(super) status_codes: Vec<String>,
}

/// A text.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StringAttribute {
    /// The attribute.
    pub(super) key: String,
    /// The texts of which it must be one.
    pub(super) values: Vec<String>,
    /// Whether they are regular expressions, which need not match the whole.
    pub(super) enabled_regex_matching: bool,
    /// How many results of expressions are cached.
    #[schemars(extend("x-no-effect" = "expressions are matched in one pass without a cache; remove it"))]
    pub(super) cache_max_size: Option<u64>,
    /// Samples traces in which no value matches.
    pub(super) invert_match: bool,
}

/// A rate of spans.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateLimiting {
    /// The rate, which the traces sampled in a second stay below.
    pub(super) spans_per_second: i64,
}

/// A rate of bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BytesLimiting {
    /// The rate over a long time.
    pub(super) bytes_per_second: i64,
    /// What may be sampled at once after a quiet time, and the largest trace that is; twice the rate where it is `0`.
    pub(super) burst_capacity: i64,
}

/// A number of spans.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SpanCount {
    /// The least number.
    pub(super) min_spans: i32,
    /// The greatest number; `0` sets no limit.
    pub(super) max_spans: i32,
}

/// A member of the trace state.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TraceState {
    /// The member's key.
    pub(super) key: String,
    /// The values of which it must have one.
    pub(super) values: Vec<String>,
}

/// True or false.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BooleanAttribute {
    /// The attribute; a value of another type counts as false.
    pub(super) key: String,
    /// The value that it must have.
    pub(super) value: bool,
    /// Samples traces in which none has the value.
    pub(super) invert_match: bool,
}

/// Conditions.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OttlCondition {
    /// What happens when a condition fails for a span: the next is asked, or (`propagate`) the policy says nothing
    /// of the trace.
    pub(super) error_mode: ErrorMode,
    /// Conditions on spans, of which one is enough.
    pub(super) span: Vec<String>,
    /// Conditions on events of spans, of which one is enough.
    pub(super) spanevent: Vec<String>,
}

/// Policies that must all agree.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct And {
    /// The policies, of any type but `drop` and `composite`.
    pub(super) and_sub_policy: Vec<Policy>,
}

/// A policy that is turned round.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Not {
    /// The policy, of any type but `drop` and `composite`.
    pub(super) not_sub_policy: Option<Box<Policy>>,
}

/// Policies that keep traces out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Drop {
    /// The policies, of any type but `drop` and `composite`.
    pub(super) drop_sub_policy: Vec<Policy>,
}

/// Policies that share a rate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Composite {
    /// Spans that are sampled in a second at most by each of them, over all workers.
    pub(super) max_total_spans_per_second: i64,
    /// Their names in order; as in the Collector, they are asked in the order of `composite_sub_policy`.
    pub(super) policy_order: Vec<String>,
    /// The policies, of any type but `drop` and `composite`.
    pub(super) composite_sub_policy: Vec<Policy>,
    /// What share each of them has; one that is not named here samples nothing.
    pub(super) rate_allocation: Vec<RateAllocation>,
}

/// A share of a rate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateAllocation {
    /// The name of the policy.
    pub(super) policy: String,
    /// Percent of `max_total_spans_per_second`; equal shares where it is `0`.
    pub(super) percent: i64,
}
