//! Zipkin's first format: what a span is lies in its annotations.

mod json;
mod status;
mod thrift;
mod translate;

use crate::text::Text;
use tidegate_pdata::compose::Value;

pub(super) use json::read as read_json;
pub(super) use thrift::read as read_thrift;
pub(super) use translate::Translator;

/// A span. It is filled again and again, so that its lists keep their memory.
#[derive(Debug, Default)]
pub(super) struct Span<'a> {
    trace_id: u128,
    id: u64,
    /// 0 is none.
    parent: u64,
    name: Text<'a>,
    /// Microseconds since 1970; 0 is none.
    start: i64,
    /// Microseconds.
    duration: i64,
    annotations: Vec<Annotation<'a>>,
    binary: Vec<Binary<'a>>,
}

impl Span<'_> {
    fn clear(&mut self) {
        self.annotations.clear();
        self.binary.clear();
        let annotations = std::mem::take(&mut self.annotations);
        let binary = std::mem::take(&mut self.binary);
        *self = Self {
            annotations,
            binary,
            ..Self::default()
        };
    }
}

/// Something that happened, or a side of a call that says when.
#[derive(Debug, Default)]
struct Annotation<'a> {
    /// Microseconds since 1970.
    time: i64,
    value: Text<'a>,
    endpoint: Option<Endpoint<'a>>,
}

/// A key and a value.
#[derive(Debug, Default)]
struct Binary<'a> {
    key: Text<'a>,
    value: Said<'a>,
    /// The name of the service that said it.
    service: Text<'a>,
}

/// A value.
#[derive(Clone, Debug)]
enum Said<'a> {
    Text(Text<'a>),
    Truth(bool),
    Whole(i64),
    Double(f64),
}

impl Default for Said<'_> {
    fn default() -> Self {
        Self::Text(Text::default())
    }
}

impl Said<'_> {
    /// The text, where it is one.
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    fn value(&self, parse: bool) -> Value<'_> {
        match self {
            Self::Text(text) => super::value::value(text, parse),
            Self::Truth(truth) => Value::Bool(*truth),
            Self::Whole(number) => Value::Int(*number),
            Self::Double(number) => Value::Double(*number),
        }
    }
}

/// The host that said something.
#[derive(Clone, Debug, Default)]
struct Endpoint<'a> {
    service: Text<'a>,
    ipv4: Text<'a>,
    ipv6: Text<'a>,
    port: i32,
}
