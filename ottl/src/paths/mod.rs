//! Paths: the fields of records that statements read and set.

mod read;
mod tables;
mod write;

use tidegate_pdata::splice::Part;

use crate::ast;
use crate::context::Context;
use crate::error::{Error, nearest};
use crate::plan::Key;

pub(crate) use read::read_time;
pub(crate) use write::entries;

/// A field of a message that is open, and the way into it.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) part: Part,
    pub(crate) field: Field,
    pub(crate) keys: Box<[Key]>,
    /// As it was written.
    pub(crate) text: Box<str>,
}

/// A field; numbers are those of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Attributes,
    Cache,
    SchemaUrl,
    Text(u32),
    /// A varint of 32 bits.
    Uint(u32),
    Fixed32(u32),
    /// A span's flags, which are checked.
    SpanFlags,
    /// An enumeration.
    Enum(u32),
    Nanos(u32),
    Time(u32),
    TraceId(u32),
    TraceIdText(u32),
    SpanId(u32),
    SpanIdText(u32),
    TraceState,
    KindText,
    KindDeprecatedText,
    StatusCode,
    StatusMessage,
    Status,
    /// Messages in a repeated field.
    Messages(u32),
    EventIndex,
    Body,
    BodyText,
    MetricType,
    Temporality,
    Monotonic,
    Points,
    PointFlags,
    ValueDouble,
    ValueInt,
    Exemplars,
    Count,
    Sum,
    BucketCounts,
    ExplicitBounds,
    Scale,
    ZeroCount,
    Offset(Side),
    SideCounts(Side),
    Quantiles,
}

/// One side of an exponential histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Positive,
    Negative,
}

impl Field {
    /// Whether it can have keys behind it.
    const fn is_indexable(self) -> bool {
        matches!(
            self,
            Self::Attributes
                | Self::Cache
                | Self::Body
                | Self::TraceState
                | Self::BucketCounts
                | Self::ExplicitBounds
                | Self::SideCounts(_)
        )
    }

    /// Why it cannot be set, if it cannot.
    const fn is_read_only(self) -> bool {
        matches!(
            self,
            Self::EventIndex | Self::Status | Self::Points | Self::Exemplars | Self::Quantiles
        ) || matches!(self, Self::Messages(_))
    }
}

/// The names of a context's own fields.
pub(crate) fn names(context: Context) -> Vec<&'static str> {
    tables::fields(context)
        .iter()
        .map(|(name, _)| *name)
        .collect()
}

/// Finds what a path means in a context; keys are compiled by the caller.
pub(crate) fn resolve(
    path: &ast::Path,
    context: Context,
    compile_key: &mut dyn FnMut(&ast::Key) -> Result<Key, Error>,
) -> Result<(Path, Context), Error> {
    let first = &path.fields[0];
    let (owner, fields) = match Context::of(&first.name) {
        Some(owner) if context.reach().contains(&owner) && first.keys.is_empty() => {
            (owner, &path.fields[1..])
        }
        Some(owner) if !tables::is_field(context, &first.name) => {
            return Err(Error::new(
                path.span.clone(),
                format!("`{owner}` cannot be reached from `{context}`"),
            )
            .remedy(format!(
                "from `{context}` there are {}",
                listed(context.reach().iter().map(|context| context.name()))
            )));
        }
        _ => (context, &path.fields[..]),
    };
    if fields.is_empty() {
        return Err(
            Error::new(path.span.clone(), format!("`{owner}` alone is no field"))
                .remedy(format!("name one of its fields: {}", listed(names(owner)))),
        );
    }
    let name: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let joined = name.join(".");
    let table = tables::fields(owner);
    let Some((_, field)) = table.iter().find(|(known, _)| *known == joined) else {
        return Err(unknown(path, &joined, owner, context));
    };
    if *field == Field::Cache && owner != context {
        return Err(Error::new(
            path.span.clone(),
            format!("`{owner}.cache` cannot be reached from `{context}`"),
        )
        .remedy(format!("write `{context}.cache`")));
    }
    let (last, inner) = fields.split_last().unwrap_or((first, &[]));
    let misplaced = inner.iter().find(|field| !field.keys.is_empty());
    if let Some(misplaced) = misplaced {
        return Err(Error::new(
            misplaced.span.clone(),
            format!("`{}` has no elements", misplaced.name),
        ));
    }
    if !last.keys.is_empty() && !field.is_indexable() {
        return Err(Error::new(
            last.span.clone(),
            format!("`{joined}` has no elements"),
        ));
    }
    if *field == Field::TraceState && last.keys.len() > 1 {
        return Err(Error::new(
            last.span.clone(),
            "a trace state has texts under its keys, which have no elements",
        ));
    }
    let keys = last
        .keys
        .iter()
        .map(compile_key)
        .collect::<Result<_, _>>()?;
    let resolved = Path {
        part: owner.part(),
        field: *field,
        keys,
        text: format!("{owner}.{joined}").into(),
    };
    Ok((resolved, owner))
}

/// Checks that a path can be set from a context.
pub(crate) fn check_settable(
    path: &Path,
    owner: Context,
    context: Context,
    span: ast::Span,
) -> Result<(), Error> {
    if path.field.is_read_only() {
        return Err(Error::new(span, format!("`{}` cannot be set", path.text)));
    }
    // The whole metric would have to be written anew while its points are being walked.
    if matches!(path.field, Field::Temporality | Field::Monotonic) && owner != context {
        return Err(Error::new(
            span,
            format!(
                "`{}` can only be set from `metric`, not from `{context}`",
                path.text
            ),
        )
        .remedy("put the statement in a group of its own with `context: metric`"));
    }
    Ok(())
}

fn unknown(path: &ast::Path, name: &str, owner: Context, context: Context) -> Error {
    let error = Error::new(
        path.span.clone(),
        format!("`{owner}` has no field `{name}`"),
    );
    let known = names(owner);
    if tables::NOT_BUILT.contains(&(owner, name)) {
        return Error::new(path.span.clone(), format!("`{owner}.{name}` is not built"))
            .remedy("use the fields in it instead");
    }
    let elsewhere = context
        .reach()
        .iter()
        .find(|other| **other != owner && names(**other).contains(&name));
    if let Some(near) = nearest(name, known.iter().copied()) {
        return error.remedy(format!("write `{owner}.{near}`"));
    }
    match elsewhere {
        Some(other) => error.remedy(format!("write `{other}.{name}`")),
        None => error.remedy(format!("its fields are {}", listed(known))),
    }
}

fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
