//! Setting what a path names.

use std::borrow::Cow;

use tidegate_pdata::splice::{NewField, NewValue, Part, kind::DataPoint};
use tidegate_pdata::view::{AnyValue, Attributes, Text};
use tidegate_pdata::wire::{Cursor, put_bytes, put_uint, put_varint};

use super::read::{data, flags_number, numbers, position};
use super::{Field, Path, Side};
use crate::fault::Fault;
use crate::plan::{Key, Resolved, out_of_bounds};
use crate::subject::Subject;
use crate::text;
use crate::tree::{self, Entries, Tree};
use crate::value::{Map, Value};

/// A key that borrows nothing of the record.
enum Step<'k> {
    Str(Cow<'k, [u8]>),
    Int(i64),
}

impl Key {
    fn step<'k>(&'k self, subject: &Subject<'_>) -> Result<Step<'k>, Fault> {
        Ok(match self {
            Self::Str(text) => Step::Str(Cow::Borrowed(text)),
            Self::Int(number) => Step::Int(*number),
            Self::Expr(_) => match self.resolve(subject)? {
                Resolved::Str(text) => Step::Str(Cow::Owned(text.into_owned())),
                Resolved::Int(number) => Step::Int(number),
            },
        })
    }
}

impl Path {
    /// Sets the field; the value borrows nothing of the record, and is not nil.
    pub(crate) fn set(&self, subject: &mut Subject<'_>, value: &Value<'_>) -> Result<(), Fault> {
        match self.field {
            Field::Attributes => self.set_attributes(subject, value),
            Field::Cache => {
                let mut cache = Tree::Map(entries(&subject.room.cache));
                if self.keys.is_empty() {
                    cache = Tree::Map(entries(&map_of(value)?));
                } else {
                    set_inside(&mut cache, &steps(&self.keys, subject)?, value)?;
                }
                if let Tree::Map(entries) = cache {
                    subject.room.cache = tree::map(&entries);
                }
                Ok(())
            }
            Field::Body => self.set_body(subject, value),
            _ => self.set_field(subject, value),
        }
    }

    fn set_attributes(&self, subject: &mut Subject<'_>, value: &Value<'_>) -> Result<(), Fault> {
        let Some((first, rest)) = self.keys.split_first() else {
            let new = map_of(value)?;
            let mut attributes = subject.open.attributes(self.part);
            attributes.clear();
            for (key, value) in Attributes::new(&new, 1) {
                attributes.upsert(key.as_bytes(), value);
            }
            return Ok(());
        };
        let Step::Str(key) = first.step(subject)? else {
            return Err(Fault::new("a map is indexed by a text"));
        };
        if rest.is_empty() {
            let mut attributes = subject.open.attributes(self.part);
            return match new_value(value) {
                Some(new) => {
                    attributes.upsert(&*key, new);
                    Ok(())
                }
                None => {
                    attributes.insert(&*key, NewValue::Empty);
                    Err(unsupported(value))
                }
            };
        }
        let rest = steps(rest, subject)?;
        let mut attributes = subject.open.attributes(self.part);
        let mut old = attributes.get(&*key).map_or(Tree::Empty, Tree::of);
        set_inside(&mut old, &rest, value)?;
        let mut message = Vec::new();
        old.put(&mut message);
        attributes.upsert(&*key, NewValue::Message(&message));
        Ok(())
    }

    fn set_body(&self, subject: &mut Subject<'_>, value: &Value<'_>) -> Result<(), Fault> {
        if self.keys.is_empty() {
            let new = new_value(value).ok_or_else(|| unsupported(value))?;
            subject.open.set(self.part, 5, NewField::Value(new));
            return Ok(());
        }
        let steps = steps(&self.keys, subject)?;
        let old = subject.reading(self.part).field(5);
        let mut body = Tree::of(AnyValue::of_bytes(old.map_or(&[], |field| field.bytes)));
        if !matches!(body, Tree::List(_) | Tree::Map(_)) {
            return Err(Fault::new(
                "log bodies that are no map or list cannot be indexed",
            ));
        }
        set_inside(&mut body, &steps, value)?;
        let mut message = Vec::new();
        body.put(&mut message);
        let new = NewField::Value(NewValue::Message(&message));
        subject.open.set(self.part, 5, new);
        Ok(())
    }

    fn set_field(&self, subject: &mut Subject<'_>, value: &Value<'_>) -> Result<(), Fault> {
        let part = self.part;
        let open = &mut subject.open;
        match self.field {
            Field::SchemaUrl => open.set_schema_url(part, text_of(value)?),
            Field::Text(number) => open.set(part, number, some_bytes(text_of(value)?)),
            Field::Uint(number) => {
                let value = u64::from(int_of(value)? as u32);
                open.set(part, number, some_varint(value));
            }
            Field::Fixed32(number) => {
                open.set(part, number, some_fixed32(int_of(value)? as u32));
            }
            Field::SpanFlags => {
                let flags = int_of(value)?;
                let flags = u32::try_from(flags)
                    .map_err(|_| Fault::with(format!("{flags} does not fit into 32 bits")))?;
                open.set(part, 16, some_fixed32(flags));
            }
            Field::Enum(number) => {
                let value = i64::from(int_of(value)? as i32) as u64;
                open.set(part, number, some_varint(value));
            }
            Field::Nanos(number) => {
                open.set(part, number, some_fixed64(int_of(value)? as u64));
            }
            Field::Time(number) => {
                let Value::Time(time) = value else {
                    return Err(Fault::expected("time", value.kind()));
                };
                let nanos = time.timestamp().as_nanosecond() as u64;
                open.set(part, number, some_fixed64(nanos));
            }
            Field::TraceId(number) => match value {
                Value::TraceId(id) => open.set(part, number, some_id(id)),
                other => return Err(Fault::expected("trace ID", other.kind())),
            },
            Field::SpanId(number) => match value {
                Value::SpanId(id) => open.set(part, number, some_id(id)),
                other => return Err(Fault::expected("span ID", other.kind())),
            },
            Field::TraceIdText(number) => {
                open.set(part, number, some_id(&text::id::<16>(text_of(value)?)?));
            }
            Field::SpanIdText(number) => {
                open.set(part, number, some_id(&text::id::<8>(text_of(value)?)?));
            }
            Field::TraceState => return self.set_trace_state(subject, value),
            Field::KindText => {
                let names = [
                    "Unspecified",
                    "Internal",
                    "Server",
                    "Client",
                    "Producer",
                    "Consumer",
                ];
                return set_kind(subject, part, text_of(value)?, &names);
            }
            Field::KindDeprecatedText => {
                let names = [
                    "SPAN_KIND_UNSPECIFIED",
                    "SPAN_KIND_INTERNAL",
                    "SPAN_KIND_SERVER",
                    "SPAN_KIND_CLIENT",
                    "SPAN_KIND_PRODUCER",
                    "SPAN_KIND_CONSUMER",
                ];
                return set_kind(subject, part, text_of(value)?, &names);
            }
            Field::StatusCode => {
                let code = i64::from(int_of(value)? as i32) as u64;
                set_inner(
                    subject,
                    part,
                    15,
                    3,
                    |out| put_uint(out, 3, code),
                    code != 0,
                );
            }
            Field::StatusMessage => {
                let message = text_of(value)?;
                let put = |out: &mut Vec<u8>| put_bytes(out, 2, message);
                set_inner(subject, part, 15, 2, put, !message.is_empty());
            }
            Field::BodyText => {
                let new = NewValue::Text(Text::new(text_of(value)?));
                open.set(part, 5, NewField::Value(new));
            }
            // As in the Collector, which does not change the type.
            Field::MetricType => {}
            Field::Temporality => {
                let temporality = i64::from(int_of(value)? as i32) as u64;
                let found = data(subject.reading(part)).map(|field| field.number);
                if let Some(number @ (7 | 9 | 10)) = found {
                    let put = |out: &mut Vec<u8>| put_uint(out, 2, temporality);
                    set_inner(subject, part, number, 2, put, temporality != 0);
                }
            }
            Field::Monotonic => {
                let Value::Bool(monotonic) = value else {
                    return Err(Fault::expected("bool", value.kind()));
                };
                if data(subject.reading(part)).is_some_and(|field| field.number == 7) {
                    let put = |out: &mut Vec<u8>| put_uint(out, 3, 1);
                    set_inner(subject, part, 7, 3, put, *monotonic);
                }
            }
            _ => return self.set_point_field(subject, value),
        }
        Ok(())
    }

    fn set_point_field(&self, subject: &mut Subject<'_>, value: &Value<'_>) -> Result<(), Fault> {
        let part = self.part;
        let Some(point) = subject.point else {
            return Err(Fault::with(format!("`{}` cannot be set", self.text)));
        };
        let is_exponential = point == DataPoint::ExponentialHistogram;
        match self.field {
            Field::PointFlags => {
                let flags = u64::from(int_of(value)? as u32);
                subject
                    .open
                    .set(part, flags_number(point), some_varint(flags));
            }
            Field::ValueDouble => {
                let number = double_of(value)?;
                if point == DataPoint::Number {
                    subject
                        .open
                        .set(part, 4, NewField::Fixed64(number.to_bits()));
                    subject.open.set(part, 6, NewField::Absent);
                }
            }
            Field::ValueInt => {
                let number = int_of(value)?;
                if point == DataPoint::Number {
                    subject.open.set(part, 4, NewField::Absent);
                    subject.open.set(part, 6, NewField::Fixed64(number as u64));
                }
            }
            Field::Count => {
                let count = int_of(value)? as u64;
                if point != DataPoint::Number {
                    subject.open.set(part, 4, some_fixed64(count));
                }
            }
            Field::Sum => {
                let sum = double_of(value)?.to_bits();
                match point {
                    DataPoint::Number => {}
                    DataPoint::Summary => subject.open.set(part, 5, some_fixed64(sum)),
                    _ => subject.open.set(part, 5, NewField::Fixed64(sum)),
                }
            }
            Field::BucketCounts if point == DataPoint::Histogram => {
                let counts = self.changed_list(subject, value, int)?;
                self.set_packed(subject, 6, counts.into_iter().map(|count| count as u64));
            }
            Field::ExplicitBounds if point == DataPoint::Histogram => {
                let bounds = self.changed_list(subject, value, double)?;
                self.set_packed(subject, 7, bounds.into_iter().map(f64::to_bits));
            }
            Field::Scale => {
                let scale = int_of(value)?;
                if is_exponential {
                    subject.open.set(part, 6, some_varint(zigzag(scale)));
                }
            }
            Field::ZeroCount => {
                let count = int_of(value)? as u64;
                if is_exponential {
                    subject.open.set(part, 7, some_fixed64(count));
                }
            }
            Field::Offset(side) => {
                let offset = zigzag(int_of(value)?);
                if is_exponential {
                    let put = |out: &mut Vec<u8>| put_uint(out, 1, offset);
                    set_inner(subject, part, side.number(), 1, put, offset != 0);
                }
            }
            Field::SideCounts(side) if is_exponential => {
                let counts = self.changed_list(subject, value, int)?;
                set_side_counts(subject, part, side, &counts);
            }
            _ => {}
        }
        Ok(())
    }

    /// The list that results: the value itself, or the one there is with one element replaced.
    fn changed_list<T>(
        &self,
        subject: &Subject<'_>,
        value: &Value<'_>,
        read: impl Fn(AnyValue<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Fault> {
        let Some(key) = self.keys.first() else {
            let Value::List(list) = value else {
                return Err(Fault::expected("list", value.kind()));
            };
            return numbers(list, read);
        };
        if self.keys.len() > 1 {
            return Err(Fault::new("a number does not support indexing"));
        }
        let Step::Int(index) = key.step(subject)? else {
            return Err(Fault::new("a list is indexed by a whole number"));
        };
        let whole = Path {
            part: self.part,
            field: self.field,
            keys: Box::new([]),
            text: Box::from(""),
        };
        let Value::List(old) = whole.get(subject)?.into_owned() else {
            return Err(out_of_bounds(index));
        };
        let mut list = numbers(&old, &read)?;
        let at = position(index, list.len())?;
        let new = value.as_any().and_then(read);
        list[at] = new.ok_or_else(|| Fault::expected("a number", value.kind()))?;
        Ok(list)
    }

    fn set_packed(
        &self,
        subject: &mut Subject<'_>,
        number: u32,
        values: impl Iterator<Item = u64>,
    ) {
        let bytes: Vec<u8> = values.flat_map(u64::to_le_bytes).collect();
        subject.open.set(self.part, number, some_bytes(&bytes));
    }

    fn set_trace_state(&self, subject: &mut Subject<'_>, value: &Value<'_>) -> Result<(), Fault> {
        let new = text_of(value)?;
        let Some(key) = self.keys.first() else {
            subject.open.set(self.part, 3, some_bytes(new));
            return Ok(());
        };
        let Step::Str(key) = key.step(subject)? else {
            return Err(Fault::new("trace_state indexing type must be a string"));
        };
        let old = subject.reading(self.part).field(3);
        let state = old.map_or(&[][..], |field| field.bytes);
        let inserted =
            text::trace_state(state).and_then(|members| text::insert_member(&members, &key, new));
        if let Some(state) = inserted {
            subject.open.set(self.part, 3, some_bytes(&state));
        }
        Ok(())
    }
}

/// Sets a field of a message that the field `outer` is, which is written anew.
fn set_inner(
    subject: &mut Subject<'_>,
    part: Part,
    outer: u32,
    number: u32,
    put: impl FnOnce(&mut Vec<u8>),
    is_set: bool,
) {
    let mut message = std::mem::take(&mut subject.room.bytes);
    message.clear();
    if let Some(old) = subject.reading(part).field(outer) {
        for field in Cursor::new(old.bytes).filter(|field| field.number != number) {
            message.extend_from_slice(&old.bytes[field.start..field.end]);
        }
    }
    if is_set {
        put(&mut message);
    }
    subject.open.set(part, outer, NewField::Bytes(&message));
    subject.room.bytes = message;
}

fn set_side_counts(subject: &mut Subject<'_>, part: Part, side: Side, counts: &[i64]) {
    let mut packed = Vec::new();
    for count in counts {
        put_varint(&mut packed, *count as u64);
    }
    let put = |out: &mut Vec<u8>| put_bytes(out, 2, &packed);
    set_inner(subject, part, side.number(), 2, put, !packed.is_empty());
}

fn set_kind(
    subject: &mut Subject<'_>,
    part: Part,
    name: &[u8],
    names: &[&str],
) -> Result<(), Fault> {
    let Some(kind) = names.iter().position(|known| known.as_bytes() == name) else {
        let name = String::from_utf8_lossy(name);
        return Err(Fault::with(format!("unknown span kind, {name}")));
    };
    subject.open.set(part, 6, some_varint(kind as u64));
    Ok(())
}

fn steps<'k>(keys: &'k [Key], subject: &Subject<'_>) -> Result<Vec<Step<'k>>, Fault> {
    keys.iter().map(|key| key.step(subject)).collect()
}

/// Longer lists are not made by an index alone.
const LONGEST_GAP: i64 = 10_000;

/// Sets what lies inside a value, making maps and lists on the way where there is nothing.
fn set_inside(tree: &mut Tree, steps: &[Step<'_>], value: &Value<'_>) -> Result<(), Fault> {
    let mut at = tree;
    for step in steps {
        if *at == Tree::Empty {
            *at = match step {
                Step::Str(_) => Tree::Map(Vec::new()),
                Step::Int(index) if (0..LONGEST_GAP).contains(index) => {
                    Tree::List(vec![Tree::Empty; *index as usize + 1])
                }
                Step::Int(index) => return Err(out_of_bounds(*index)),
            };
        }
        at = match (at, step) {
            (Tree::Map(entries), Step::Str(key)) => Tree::entry(entries, key),
            (Tree::List(values), Step::Int(index)) => {
                let position = position(*index, values.len())?;
                &mut values[position]
            }
            (Tree::Map(_), _) => return Err(Fault::new("a map is indexed by a text")),
            (Tree::List(_), _) => return Err(Fault::new("a list is indexed by a whole number")),
            _ => return Err(Fault::new("a value that is no map or list has no elements")),
        };
    }
    *at = Tree::of(value.as_any().ok_or_else(|| unsupported(value))?);
    Ok(())
}

/// The entries of the content of a `KeyValueList`.
pub(crate) fn entries(bytes: &[u8]) -> Entries {
    match Tree::of(AnyValue::KeyValues(Attributes::new(bytes, 1))) {
        Tree::Map(entries) => entries,
        _ => Vec::new(),
    }
}

fn map_of<'a>(value: &'a Value<'_>) -> Result<Cow<'a, [u8]>, Fault> {
    match value {
        Value::Map(map) => Ok(map.encoded()),
        other => Err(Fault::expected("map", other.kind())),
    }
}

/// The value as the splicer writes it; `None` for types that attributes do not have.
fn new_value<'a>(value: &'a Value<'_>) -> Option<NewValue<'a>> {
    Some(match value {
        Value::Nil => NewValue::Empty,
        Value::Bool(value) => NewValue::Bool(*value),
        Value::Int(value) => NewValue::Int(*value),
        Value::Double(value) => NewValue::Double(*value),
        Value::Str(text) => NewValue::Text(Text::new(text)),
        Value::Bytes(bytes) => NewValue::Bytes(bytes),
        Value::List(list) => NewValue::Array(list),
        Value::Map(Map::Encoded(map)) => NewValue::KeyValues(map),
        _ => return None,
    })
}

fn unsupported(value: &Value<'_>) -> Fault {
    Fault::with(format!("a {} cannot be set there", value.kind()))
}

fn text_of<'a>(value: &'a Value<'_>) -> Result<&'a [u8], Fault> {
    match value {
        Value::Str(text) => Ok(text),
        other => Err(Fault::expected("string", other.kind())),
    }
}

fn int_of(value: &Value<'_>) -> Result<i64, Fault> {
    match value {
        Value::Int(value) => Ok(*value),
        other => Err(Fault::expected("int", other.kind())),
    }
}

fn double_of(value: &Value<'_>) -> Result<f64, Fault> {
    match value {
        Value::Double(value) => Ok(*value),
        other => Err(Fault::expected("double", other.kind())),
    }
}

const fn int(value: AnyValue<'_>) -> Option<i64> {
    match value {
        AnyValue::Int(value) => Some(value),
        _ => None,
    }
}

const fn double(value: AnyValue<'_>) -> Option<f64> {
    match value {
        AnyValue::Double(value) => Some(value),
        _ => None,
    }
}

const fn zigzag(value: i64) -> u64 {
    let value = value as i32;
    ((value << 1) ^ (value >> 31)) as u32 as u64
}

const fn some_bytes(bytes: &[u8]) -> NewField<'_> {
    match bytes {
        [] => NewField::Absent,
        bytes => NewField::Bytes(bytes),
    }
}

/// An ID of zeros is none.
fn some_id(id: &[u8]) -> NewField<'_> {
    if id.iter().all(|byte| *byte == 0) {
        NewField::Absent
    } else {
        NewField::Bytes(id)
    }
}

const fn some_varint<'v>(value: u64) -> NewField<'v> {
    match value {
        0 => NewField::Absent,
        value => NewField::Varint(value),
    }
}

const fn some_fixed32<'v>(value: u32) -> NewField<'v> {
    match value {
        0 => NewField::Absent,
        value => NewField::Fixed32(value),
    }
}

const fn some_fixed64<'v>(value: u64) -> NewField<'v> {
    match value {
        0 => NewField::Absent,
        value => NewField::Fixed64(value),
    }
}
