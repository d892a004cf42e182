//! A span of Jaeger's, as protobuf and thrift fill it.

use std::ops::Range;

use tidegate_pdata::compose::Value;

use crate::text::Text;

/// A span. It is filled again and again, so that its lists keep their memory.
#[derive(Debug, Default)]
pub(super) struct Span<'a> {
    pub(super) trace_id: u128,
    pub(super) id: u64,
    /// What the span itself says of its parent; 0 where only its references do.
    pub(super) parent: u64,
    pub(super) name: Text<'a>,
    pub(super) references: Vec<Reference>,
    pub(super) flags: u32,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    /// Nanoseconds since 1970.
    pub(super) end: u64,
    pub(super) tags: Vec<Tag<'a>>,
    pub(super) logs: Vec<Log>,
    /// The fields of all logs.
    pub(super) fields: Vec<Tag<'a>>,
}

/// Another span that this one follows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reference {
    pub(super) trace_id: u128,
    pub(super) id: u64,
    /// Whether it is a child of that; else it only follows.
    pub(super) is_child: bool,
}

/// Something that happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// Nanoseconds since 1970.
    pub(super) time: u64,
    /// Where its fields lie among those of all logs.
    pub(super) fields: Range<usize>,
}

/// A key and a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Tag<'a> {
    pub(super) key: Text<'a>,
    pub(super) value: Said<'a>,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Said<'a> {
    Text(Text<'a>),
    Truth(bool),
    Whole(i64),
    Double(f64),
    Bytes(&'a [u8]),
}

impl Default for Said<'_> {
    fn default() -> Self {
        Self::Text(Text::default())
    }
}

impl Said<'_> {
    /// The text, where it is one.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Str(text),
            Self::Truth(truth) => Value::Bool(*truth),
            Self::Whole(number) => Value::Int(*number),
            Self::Double(number) => Value::Double(*number),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

/// Who sent spans.
#[derive(Debug, Default)]
pub(super) struct Process<'a> {
    pub(super) service: Text<'a>,
    pub(super) tags: Vec<Tag<'a>>,
}

impl Span<'_> {
    /// Forgets all but the memory of its lists.
    pub(super) fn clear(&mut self) {
        self.references.clear();
        self.tags.clear();
        self.logs.clear();
        self.fields.clear();
        *self = Self {
            references: std::mem::take(&mut self.references),
            tags: std::mem::take(&mut self.tags),
            logs: std::mem::take(&mut self.logs),
            fields: std::mem::take(&mut self.fields),
            ..Self::default()
        };
    }

    /// Whether nothing at all is said.
    pub(super) fn is_blank(&self) -> bool {
        (self.trace_id, self.id, self.parent, self.flags) == (0, 0, 0, 0)
            && (self.start, self.end) == (0, 0)
            && self.name.is_empty()
            && self.references.is_empty()
            && self.tags.is_empty()
            && self.logs.is_empty()
    }

    /// The parent: the one that the span says, or that of its references in the same trace, a child's
    /// before one that only follows.
    pub(super) fn parent(&self) -> u64 {
        if self.parent != 0 {
            return self.parent;
        }
        let own = self.references.iter();
        let own = own.filter(|other| other.trace_id == self.trace_id);
        let mut follows = None;
        for reference in own {
            if reference.is_child {
                return reference.id;
            }
            follows = follows.or(Some(reference.id));
        }
        follows.unwrap_or_default()
    }
}
