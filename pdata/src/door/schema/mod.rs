//! OTLP's messages as tables: what the check, the rewriting and the splitter know of the schema.
//!
//! From opentelemetry-proto 1.10, down to the last field. A new field of OTLP is one line here;
//! until it has one it is unknown, which means kept.

mod otlp;
#[cfg(test)]
mod tests;

use crate::Signal;
use crate::wire::WireType;

pub(crate) use otlp::KEY_VALUE;

/// A message type.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its fields by ascending number.
    pub(crate) fields: &'static [FieldType],
    /// The rules of its fields by number: all of OTLP's numbers are below [`RULES`].
    rules: [Rule; RULES],
}

const RULES: usize = 32;

/// A field of a message type.
#[derive(Debug)]
pub(crate) struct FieldType {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) label: Label,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Nothing that the schema knows of.
    Unknown,
    Varint,
    Fixed32,
    Fixed64,
    /// A string or bytes.
    Bytes,
    /// Numbers of eight bytes in one packed field.
    PackedFixed64,
    /// Varints in one packed field.
    PackedVarint,
    Message(&'static Message),
    /// A message of type [`KEY_VALUE`], which has a path of its own through the check.
    Attribute,
}

/// How often and where a field may stand in the canonical form of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// At most once.
    Singular,
    /// At most once, and before every field of the schema that is not `First`: what a reader of
    /// the others needs beforehand.
    First,
    /// Of all the fields that are of this oneof, one at most.
    OneOf,
    /// Like `OneOf`, and it holds items.
    OneOfContainer,
    /// Any number of times.
    Repeated,
    /// Any number of times, and each holds items.
    Container,
    /// Any number of times, and each is a span, a log record or a data point.
    Item,
}

impl Label {
    pub(crate) const fn is_one_of(self) -> bool {
        matches!(self, Self::OneOf | Self::OneOfContainer)
    }

    pub(crate) const fn is_repeated(self) -> bool {
        matches!(self, Self::Repeated | Self::Container | Self::Item)
    }
}

/// What a field is to those who count and deal out records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It belongs to its message.
    Own,
    /// It holds items.
    Container,
    /// It is a span, a log record or a data point.
    Item,
}

/// What the check needs of a field, at hand by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) kind: Kind,
    /// Low bits of the tag that it must have.
    pub(crate) wire: u8,
    /// What it is to those who count and deal out records.
    pub(crate) role: Role,
    /// Its bit among the fields seen.
    pub(crate) bit: u32,
    /// The fields that may not have been seen before it.
    pub(crate) forbids: u32,
}

/// The rule of fields that the schema does not know: no tag has its wire type.
const UNKNOWN: Rule = Rule {
    kind: Kind::Unknown,
    wire: u8::MAX,
    role: Role::Own,
    bit: 0,
    forbids: 0,
};

impl Kind {
    /// The wire type of canonical form.
    pub(crate) const fn wire(self) -> WireType {
        match self {
            Self::Varint | Self::Unknown => WireType::Varint,
            Self::Fixed32 => WireType::Fixed32,
            Self::Fixed64 => WireType::Fixed64,
            _ => WireType::Len,
        }
    }

    /// The wire type of a single element, where a field may be packed or not.
    pub(crate) const fn element(self) -> Option<WireType> {
        match self {
            Self::PackedFixed64 => Some(WireType::Fixed64),
            Self::PackedVarint => Some(WireType::Varint),
            _ => None,
        }
    }

    /// The type of the messages that it holds.
    pub(crate) const fn message(self) -> Option<&'static Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Attribute => Some(&KEY_VALUE),
            _ => None,
        }
    }
}

impl Message {
    const fn of(fields: &'static [FieldType]) -> Self {
        let mut rules = [UNKNOWN; RULES];
        let mut index = 0;
        while index < fields.len() {
            let field = &fields[index];
            let bit = 1 << index;
            rules[field.number as usize] = Rule {
                kind: field.kind,
                wire: field.kind.wire() as u8,
                role: match field.label {
                    Label::Item => Role::Item,
                    Label::Container | Label::OneOfContainer => Role::Container,
                    _ => Role::Own,
                },
                bit,
                forbids: match field.label {
                    Label::Singular => bit,
                    Label::First => bit | after_first(fields),
                    Label::OneOf | Label::OneOfContainer => one_of(fields),
                    Label::Repeated | Label::Container | Label::Item => 0,
                },
            };
            index += 1;
        }
        Self { fields, rules }
    }

    /// The type of a signal's request.
    pub(crate) const fn request(signal: Signal) -> &'static Self {
        match signal {
            Signal::Traces => &otlp::TRACES,
            Signal::Metrics => &otlp::METRICS,
            Signal::Logs => &otlp::LOGS,
        }
    }

    /// The rule of a field by its number.
    #[inline]
    pub(crate) fn rule(&self, number: u32) -> &Rule {
        self.rules.get(number as usize).unwrap_or(&UNKNOWN)
    }

    /// The rule of a field by its tag, which is below 128.
    #[inline]
    pub(crate) fn rule_of_byte(&self, tag: u8) -> &Rule {
        &self.rules[usize::from(tag >> 3) % RULES]
    }

    /// The field of a number and its place in the table.
    pub(crate) fn field(&self, number: u32) -> Option<(usize, &'static FieldType)> {
        let index = self.rule(number).bit.trailing_zeros() as usize;
        Some((index, self.fields.get(index)?))
    }
}

/// The bits of the fields that are not `First`.
const fn after_first(fields: &[FieldType]) -> u32 {
    let mut bits = 0;
    let mut index = 0;
    while index < fields.len() {
        if !matches!(fields[index].label, Label::First) {
            bits |= 1 << index;
        }
        index += 1;
    }
    bits
}

/// The bits of the fields in a oneof: no message of OTLP has two.
const fn one_of(fields: &[FieldType]) -> u32 {
    let mut bits = 0;
    let mut index = 0;
    while index < fields.len() {
        if fields[index].label.is_one_of() {
            bits |= 1 << index;
        }
        index += 1;
    }
    bits
}
