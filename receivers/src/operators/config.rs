//! The keys of `operators`: a list in which `type` says what each one is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_document::{ByteSize, Duration, OneOrMany};

use super::parsers::{CsvKeys, JsonKeys, KeyValueKeys, Parsing, RegexKeys};
use super::severity::SeverityKeys;
use super::syslog::{Protocol, SyslogKeys};
use super::time::TimeKeys;
use super::trace::{ScopeKeys, TraceKeys};
use super::value::Value;

/// What happens to an entry that an operator fails on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnError {
    /// It goes on as it is, and the log tells of it.
    #[default]
    Send,
    /// It goes on as it is.
    SendQuiet,
    /// It is dropped, and the log tells of it.
    Drop,
    /// It is dropped.
    DropQuiet,
}

/// What all operators have in common.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Common {
    /// Its name, by which others send entries to it; its type unless told.
    pub(crate) id: Option<String>,
    /// The operators that entries go to next; the one below unless told.
    pub(crate) output: Option<OneOrMany<String>>,
    /// What happens to an entry that it fails on.
    pub(crate) on_error: OnError,
    /// The expression that must hold for an entry to be worked on; others pass as they are.
    #[serde(rename = "if")]
    pub(crate) condition: Option<String>,
}

/// A cache that is not needed here.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cache {
    /// How many results it would hold.
    #[serde(rename = "size")]
    _size: u64,
}

macro_rules! operators {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $layer:ty),+ $(,)? })+) => {$(
        tidegate_document::layered! {
            $(#[$meta])*
            #[derive(Clone, Debug)]
            pub(crate) struct $name { $(pub(crate) $field: $layer),+ }
        }
    )+};
}

operators! {
    /// Passes entries on: a place for others to send them to.
    Noop { common: Common }
    /// Makes a map of JSON.
    JsonParser { common: Common, parsing: Parsing, own: JsonKeys }
    /// Makes a map of the named groups of a regular expression.
    RegexParser { common: Common, parsing: Parsing, own: RegexKeys }
    /// Makes a map of `key=value` pairs.
    KeyValueParser { common: Common, parsing: Parsing, own: KeyValueKeys }
    /// Makes a map of a line of CSV.
    CsvParser { common: Common, parsing: Parsing, own: CsvKeys }
    /// Makes a map of an address.
    UriParser { common: Common, parsing: Parsing }
    /// Makes a map of a syslog message.
    SyslogParser { common: Common, parsing: Parsing, own: SyslogKeys }
    /// Reads the timestamp.
    TimeParserOperator { common: Common, own: TimeKeys }
    /// Reads the severity.
    SeverityParserOperator { common: Common, own: SeverityKeys }
    /// Reads the trace's context.
    TraceParserOperator { common: Common, own: TraceKeys }
    /// Reads the scope's name.
    ScopeParserOperator { common: Common, own: ScopeKeys }
    /// Reads the lines of container runtimes.
    Container { common: Common, parsing: Parsing, own: ContainerKeys }
    /// Makes one entry of several.
    Recombine { common: Common, own: RecombineKeys }
    /// Sends entries different ways.
    Router { common: Common, own: RouterKeys }
    /// Drops entries.
    Filter { common: Common, own: FilterKeys }
    /// Sets a field.
    Add { common: Common, own: AddKeys }
    /// Copies a field.
    Copy { common: Common, own: FromTo }
    /// Moves a field.
    Move { common: Common, own: FromTo }
    /// Takes a field out.
    Remove { common: Common, own: FieldKey }
    /// Takes out all fields but some.
    Retain { common: Common, own: RetainKeys }
    /// Puts what is in a map in the place of the map.
    Flatten { common: Common, own: FieldKey }
    /// Reads a text that stands in quotes.
    Unquote { common: Common, own: FieldKey }
    /// Makes a map of a list by giving its values keys.
    AssignKeys { common: Common, own: AssignKeysKeys }
}

impl SyslogParser {
    /// That of a receiver of syslog.
    pub(crate) fn of(
        protocol: Protocol,
        location: Option<String>,
        allow_skip_pri_header: bool,
        on_error: OnError,
    ) -> Self {
        Self {
            common: Common {
                on_error,
                ..Common::default()
            },
            parsing: Parsing::default(),
            own: SyslogKeys {
                protocol,
                location,
                allow_skip_pri_header,
            },
        }
    }
}

/// The keys of `container`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ContainerKeys {
    /// The format of the lines; found out by each line unless told.
    pub(crate) format: Option<Format>,
    /// Whether namespace, pod and container are read off the path of the file.
    pub(crate) add_metadata_from_filepath: bool,
    /// The size at which a line that is put together of partial ones is cut off; 0 is without a bound.
    pub(crate) max_log_size: ByteSize,
}

impl Default for ContainerKeys {
    fn default() -> Self {
        Self {
            format: None,
            add_metadata_from_filepath: true,
            max_log_size: ByteSize::mib(1),
        }
    }
}

/// How a container runtime writes lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// As JSON.
    Docker,
    /// With time, stream and tag before the text.
    Crio,
    /// With time, stream and tag before the text.
    Containerd,
}

/// The keys of `recombine`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecombineKeys {
    /// The field whose texts are joined.
    pub(crate) combine_field: String,
    /// What stands between them.
    #[serde(default = "newline")]
    pub(crate) combine_with: String,
    /// The expression that holds for the first entry of several.
    #[serde(default)]
    pub(crate) is_first_entry: Option<String>,
    /// The expression that holds for the last entry of several.
    #[serde(default)]
    pub(crate) is_last_entry: Option<String>,
    /// How many entries become one at most; 0 is without a bound.
    #[serde(default = "thousand")]
    pub(crate) max_batch_size: usize,
    /// How many entries become one at most while the expression has held for none of them; 0 is without a bound.
    #[serde(default = "hundred")]
    pub(crate) max_unmatched_batch_size: usize,
    /// Whether what is not joined comes from the `oldest` or the `newest` entry.
    #[serde(default)]
    pub(crate) overwrite_with: Side,
    /// How long entries wait for others.
    #[serde(default = "five_seconds")]
    pub(crate) force_flush_period: Duration,
    /// The field that tells sources apart; entries of different sources are not joined.
    #[serde(default = "file_path")]
    pub(crate) source_identifier: String,
    /// How many sources may wait at a time.
    #[serde(default = "thousand")]
    pub(crate) max_sources: usize,
    /// The size at which a text that is put together is cut off; 0 is without a bound.
    #[serde(default)]
    pub(crate) max_log_size: ByteSize,
}

/// Which of several entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// The first.
    Oldest,
    /// The last.
    #[default]
    Newest,
}

fn newline() -> String {
    "\n".to_owned()
}

const fn thousand() -> usize {
    1000
}

const fn hundred() -> usize {
    100
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn file_path() -> String {
    "attributes[\"log.file.path\"]".to_owned()
}

/// The keys of `router`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouterKeys {
    /// The ways; an entry takes the first whose expression holds.
    #[schemars(length(min = 1))]
    pub(crate) routes: Vec<RouteKeys>,
    /// The operators that all other entries go to; they are dropped unless told.
    #[serde(default)]
    pub(crate) default: Option<OneOrMany<String>>,
}

/// A way out of a router.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteKeys {
    /// The expression that holds for entries that go this way.
    pub(crate) expr: String,
    /// The operators that they go to.
    pub(crate) output: OneOrMany<String>,
    /// Attributes that they are given.
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, String>,
}

/// The keys of `filter`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterKeys {
    /// The expression that holds for entries that are dropped.
    pub(crate) expr: String,
    /// The share of those that is dropped.
    #[serde(default = "all")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) drop_ratio: f64,
}

const fn all() -> f64 {
    1.0
}

/// The keys of `add`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddKeys {
    /// The field.
    pub(crate) field: String,
    /// Its value; `EXPR(…)` is what an expression comes to.
    pub(crate) value: Value,
}

/// A field and where its value goes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FromTo {
    /// The field that is read.
    pub(crate) from: String,
    /// The field that is set.
    pub(crate) to: String,
}

/// A field.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldKey {
    /// The field.
    pub(crate) field: String,
}

/// The keys of `retain`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetainKeys {
    /// The fields that stay; body, attributes or resource stay whole where no field of them is named.
    #[schemars(length(min = 1))]
    pub(crate) fields: Vec<String>,
}

/// The keys of `assign_keys`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignKeysKeys {
    /// The field that has the list.
    pub(crate) field: String,
    /// The keys, one for each value.
    #[schemars(length(min = 1))]
    pub(crate) keys: Vec<String>,
}

/// One operator; those without keys are not built.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum OperatorConfig {
    Noop(Noop),
    JsonParser(JsonParser),
    RegexParser(RegexParser),
    KeyValueParser(KeyValueParser),
    CsvParser(CsvParser),
    SyslogParser(SyslogParser),
    TimeParser(TimeParserOperator),
    SeverityParser(SeverityParserOperator),
    TraceParser(TraceParserOperator),
    ScopeNameParser(ScopeParserOperator),
    Container(Container),
    Recombine(Recombine),
    Router(Router),
    Filter(Filter),
    Add(Add),
    Copy(Copy),
    Move(Move),
    Remove(Remove),
    Retain(Retain),
    Flatten(Flatten),
    AssignKeys(AssignKeys),
    UriParser(UriParser),
    Unquote(Unquote),
    JsonArrayParser,
    RegexReplace,
    SanitizeUtf8,
    FileOutput,
    Stdout,
}

impl OperatorConfig {
    /// What users write as its `type`, and what it has in common with others; nothing where it is not built.
    pub(crate) fn about(&self) -> (&'static str, Option<&Common>) {
        match self {
            Self::Noop(it) => ("noop", Some(&it.common)),
            Self::JsonParser(it) => ("json_parser", Some(&it.common)),
            Self::RegexParser(it) => ("regex_parser", Some(&it.common)),
            Self::KeyValueParser(it) => ("key_value_parser", Some(&it.common)),
            Self::CsvParser(it) => ("csv_parser", Some(&it.common)),
            Self::SyslogParser(it) => ("syslog_parser", Some(&it.common)),
            Self::TimeParser(it) => ("time_parser", Some(&it.common)),
            Self::SeverityParser(it) => ("severity_parser", Some(&it.common)),
            Self::TraceParser(it) => ("trace_parser", Some(&it.common)),
            Self::ScopeNameParser(it) => ("scope_name_parser", Some(&it.common)),
            Self::Container(it) => ("container", Some(&it.common)),
            Self::Recombine(it) => ("recombine", Some(&it.common)),
            Self::Router(it) => ("router", Some(&it.common)),
            Self::Filter(it) => ("filter", Some(&it.common)),
            Self::Add(it) => ("add", Some(&it.common)),
            Self::Copy(it) => ("copy", Some(&it.common)),
            Self::Move(it) => ("move", Some(&it.common)),
            Self::Remove(it) => ("remove", Some(&it.common)),
            Self::Retain(it) => ("retain", Some(&it.common)),
            Self::Flatten(it) => ("flatten", Some(&it.common)),
            Self::AssignKeys(it) => ("assign_keys", Some(&it.common)),
            Self::UriParser(it) => ("uri_parser", Some(&it.common)),
            Self::Unquote(it) => ("unquote", Some(&it.common)),
            Self::JsonArrayParser => ("json_array_parser", None),
            Self::RegexReplace => ("regex_replace", None),
            Self::SanitizeUtf8 => ("sanitize_utf8", None),
            Self::FileOutput => ("file_output", None),
            Self::Stdout => ("stdout", None),
        }
    }
}
