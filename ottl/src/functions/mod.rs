//! The functions that statements call: editors, which change records, and converters, which give values.

mod args;
mod casts;
mod editors;
mod encoding;
mod grok;
mod hashes;
mod lists;
mod maps;
mod metrics;
mod parsing;
mod patterns;
mod records;
mod replace;
mod strings;
mod times;
mod urls;

use std::ops::Range;

pub(crate) use args::{Arg, Args, State, text_like};

use crate::context::Context;
use crate::error::{Error, nearest};
use crate::fault::Fault;
use crate::plan::Outcome;
use crate::subject::Subject;

pub(crate) type Converter = for<'v> fn(&'v Args, &'v Subject<'_>) -> Outcome<'v>;
pub(crate) type Editor = fn(&Args, &mut Subject<'_>) -> Result<(), Fault>;

/// What is wrong with an argument: its position and the words for it.
pub(crate) type Misuse = (usize, String);

/// Looks at arguments when they are compiled.
pub(crate) type Prepare = fn(&mut Args) -> Result<(), Misuse>;

/// A function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Param],
    pub(crate) run: Run,
    /// Checks arguments that are known beforehand, and makes of them what is needed at each call.
    pub(crate) prepare: Option<Prepare>,
    /// The contexts that have it; all where there is none.
    contexts: &'static [Context],
    /// Whether equal arguments always give an equal value.
    pub(crate) is_pure: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    Converter(Converter),
    Editor(Editor),
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_optional: bool,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any value.
    Any,
    Str,
    /// Anything that has a text.
    StrLike,
    Int,
    IntLike,
    DoubleLike,
    Map,
    List,
    Time,
    Duration,
    BytesLike,
    /// A text, a number or a truth value that is written there.
    ConstStr,
    ConstInt,
    ConstBool,
    /// A list that is written there, of any values.
    Each,
    /// A list that is written there, of values that have a text.
    EachStrLike,
    /// A list that is written there, of texts.
    EachStr,
    /// A list that is written there, of texts that are written there.
    ConstStrs,
    /// A path that can be set.
    Target,
    /// The name of a converter.
    Function,
}

pub(crate) const fn p(name: &'static str, kind: Kind) -> Param {
    Param {
        name,
        kind,
        is_optional: false,
    }
}

pub(crate) const fn o(name: &'static str, kind: Kind) -> Param {
    Param {
        name,
        kind,
        is_optional: true,
    }
}

impl Function {
    pub(crate) const fn converter(
        name: &'static str,
        params: &'static [Param],
        run: Converter,
    ) -> Self {
        Self {
            name,
            params,
            run: Run::Converter(run),
            prepare: None,
            contexts: &[],
            is_pure: true,
        }
    }

    pub(crate) const fn editor(name: &'static str, params: &'static [Param], run: Editor) -> Self {
        Self {
            name,
            params,
            run: Run::Editor(run),
            prepare: None,
            contexts: &[],
            is_pure: false,
        }
    }

    pub(crate) const fn prepared(self, prepare: Prepare) -> Self {
        Self {
            prepare: Some(prepare),
            ..self
        }
    }

    pub(crate) const fn only(self, contexts: &'static [Context]) -> Self {
        Self { contexts, ..self }
    }

    pub(crate) const fn impure(self) -> Self {
        Self {
            is_pure: false,
            ..self
        }
    }

    pub(crate) fn is_in(&self, context: Context) -> bool {
        self.contexts.is_empty() || self.contexts.contains(&context)
    }
}

const ALL: [&[Function]; 16] = [
    args::NONE,
    casts::ALL,
    editors::ALL,
    encoding::ALL,
    grok::ALL,
    hashes::ALL,
    lists::ALL,
    maps::ALL,
    metrics::ALL,
    parsing::ALL,
    patterns::ALL,
    records::ALL,
    replace::ALL,
    strings::ALL,
    times::ALL,
    urls::ALL,
];

/// Functions of the Collector that are not here.
const NOT_BUILT: &[&str] = &[
    "ConvertAttributesToElementsXML",
    "ConvertTextToElementsXML",
    "GetXML",
    "InsertXML",
    "ParseCEF",
    "ParseCLF",
    "ParseELF",
    "ParseLEEF",
    "ParseSeverity",
    "ParseSimplifiedXML",
    "ParseXML",
    "ProfileID",
    "RemoveXML",
    "UserAgent",
    "convert_exponential_histogram_to_histogram",
    "extract_percentile_metric",
    "merge_histogram_buckets",
    "set_semconv_span_name",
];

pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    const TABLES: &[&[Function]] = &ALL;
    TABLES.iter().flat_map(|table| table.iter())
}

/// Whether a text is a number.
pub(crate) fn is_double(text: &str) -> bool {
    casts::parse_double(text).is_some()
}

/// The function of a name, in a context.
pub(crate) fn find(name: &str, context: Context) -> Option<&'static Function> {
    all().find(|function| function.name == name && function.is_in(context))
}

/// Whether a context has a function, or would have it if it was built.
pub(crate) fn is_known(name: &str, context: Context) -> bool {
    find(name, context).is_some() || NOT_BUILT.contains(&name)
}

/// Whether any context has a function.
pub(crate) fn is_any(name: &str) -> bool {
    all().any(|function| function.name == name) || NOT_BUILT.contains(&name)
}

/// The error for a function that a context does not have.
pub(crate) fn unknown(name: &str, span: Range<usize>, context: Context) -> Error {
    if NOT_BUILT.contains(&name) {
        return Error::new(span, format!("the function `{name}` is not built"))
            .remedy("leave the statement out, or do it in the application or the backend");
    }
    if let Some(function) = all().find(|function| function.name == name) {
        let contexts: Vec<String> = function
            .contexts
            .iter()
            .map(|context| format!("`{context}`"))
            .collect();
        return Error::new(
            span,
            format!(
                "`{name}` is not for `{context}`, but for {}",
                contexts.join(", ")
            ),
        )
        .remedy("put the statement in a group of its own with that `context`");
    }
    let error = Error::new(span, format!("there is no function `{name}`"));
    let is_editor = name.starts_with(|char: char| char.is_ascii_lowercase());
    let alike = all().filter(|function| {
        matches!(function.run, Run::Editor(_)) == is_editor && function.is_in(context)
    });
    match nearest(name, alike.map(|function| function.name)) {
        Some(near) => error.remedy(format!("write `{near}`")),
        None => error.remedy("docs/ottl.md lists all functions"),
    }
}
