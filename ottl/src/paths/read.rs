//! Reading what a path names.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tidegate_pdata::splice::{Reading, kind::DataPoint};
use tidegate_pdata::view::{AnyValue, Repeated, View};
use tidegate_pdata::wire::{Cursor, Field as WireField, put_bytes};

use super::{Field, Path, Side};
use crate::fault::Fault;
use crate::plan::{Outcome, Resolved, index, out_of_bounds};
use crate::subject::Subject;
use crate::text;
use crate::value::{Map, Value, put_any};

impl Path {
    /// The value at the path.
    #[inline]
    pub(crate) fn get<'v>(&'v self, subject: &'v Subject<'_>) -> Outcome<'v> {
        match self.field {
            Field::Attributes => self.attributes(subject),
            Field::Cache => {
                let cache = Value::Map(Map::Encoded(Cow::Borrowed(&subject.room.cache)));
                index(cache, &self.keys, subject)
            }
            Field::Body => self.body(subject),
            _ => self.field(subject),
        }
    }

    #[inline]
    fn attributes<'v>(&'v self, subject: &'v Subject<'_>) -> Outcome<'v> {
        let reading = subject.reading(self.part);
        let Some((first, rest)) = self.keys.split_first() else {
            return Ok(Value::Map(Map::Live(reading)));
        };
        let found = match first.resolve(subject)? {
            Resolved::Str(key) => reading.attribute(&key),
            Resolved::Int(_) => return Err(Fault::new("a map is indexed by a text")),
        };
        match found {
            None => Ok(Value::Nil),
            Some(value) if rest.is_empty() => Ok(Value::of(value)),
            Some(value) => index(Value::of(value), rest, subject),
        }
    }

    fn body<'v>(&'v self, subject: &'v Subject<'_>) -> Outcome<'v> {
        let body = body(subject.reading(self.part));
        if self.keys.is_empty() {
            return Ok(Value::of(body));
        }
        match body {
            AnyValue::Array(_) | AnyValue::KeyValues(_) => {
                index(Value::of(body), &self.keys, subject)
            }
            other => Err(Fault::with(format!(
                "log bodies of type {} cannot be indexed",
                Value::of(other).kind()
            ))),
        }
    }

    fn field<'v>(&'v self, subject: &'v Subject<'_>) -> Outcome<'v> {
        let reading = subject.reading(self.part);
        let point = subject.point;
        Ok(match self.field {
            Field::SchemaUrl => {
                Value::Str(Cow::Borrowed(subject.open.schema_url(self.part).as_bytes()))
            }
            Field::Text(number) => Value::Str(Cow::Borrowed(bytes(reading, number))),
            Field::Uint(number) | Field::Fixed32(number) => {
                Value::Int(scalar(reading, number) as u32 as i64)
            }
            Field::SpanFlags => Value::Int(scalar(reading, 16) as u32 as i64),
            Field::Enum(number) => Value::Int(i64::from(scalar(reading, number) as i32)),
            Field::Nanos(number) => Value::Int(scalar(reading, number) as i64),
            Field::Time(number) => Value::Time(time(scalar(reading, number))),
            Field::TraceId(number) => Value::TraceId(id(bytes(reading, number))),
            Field::TraceIdText(number) => Value::text(text::hex(&id::<16>(bytes(reading, number)))),
            Field::SpanId(number) => Value::SpanId(id(bytes(reading, number))),
            Field::SpanIdText(number) => Value::text(text::hex(&id::<8>(bytes(reading, number)))),
            Field::TraceState => return self.trace_state(subject),
            Field::KindText => Value::Str(Cow::Borrowed(kind_name(scalar(reading, 6)).as_bytes())),
            Field::KindDeprecatedText => {
                Value::Str(Cow::Borrowed(kind_symbol(scalar(reading, 6)).as_bytes()))
            }
            Field::StatusCode => {
                Value::Int(status(reading, 3).map_or(0, |field| i64::from(field.scalar as i32)))
            }
            Field::StatusMessage => Value::Str(Cow::Borrowed(
                status(reading, 2).map_or(&[], |field| field.bytes),
            )),
            Field::Status => Value::Bytes(Cow::Borrowed(bytes(reading, 15))),
            Field::Messages(number) => Value::Messages(Repeated::new(reading.body(), number)),
            Field::EventIndex => Value::Int(subject.event_index),
            Field::BodyText => {
                let mut out = String::new();
                // Writing to a text cannot fail.
                let _ = body(reading).write_text(&mut out);
                Value::text(out)
            }
            Field::MetricType => Value::Int(metric_type(reading)),
            Field::Temporality => data(reading)
                .filter(|field| matches!(field.number, 7 | 9 | 10))
                .map_or(Value::Nil, |field| {
                    Value::Int(i64::from(inner(field.bytes, 2) as i32))
                }),
            Field::Monotonic => data(reading)
                .filter(|field| field.number == 7)
                .map_or(Value::Nil, |field| Value::Bool(inner(field.bytes, 3) != 0)),
            Field::Points => data(reading).map_or(Value::Nil, |field| {
                Value::Messages(Repeated::new(field.bytes, 1))
            }),
            _ => return self.point_field(reading, point, subject),
        })
    }

    fn point_field<'v>(
        &'v self,
        reading: Reading<'v>,
        point: Option<DataPoint>,
        subject: &'v Subject<'_>,
    ) -> Outcome<'v> {
        let Some(point) = point else {
            return Ok(Value::Nil);
        };
        let is_exponential = point == DataPoint::ExponentialHistogram;
        let value = match (self.field, point) {
            (Field::PointFlags, _) => {
                Value::Int(scalar(reading, flags_number(point)) as u32 as i64)
            }
            (Field::ValueDouble, DataPoint::Number) => {
                Value::Double(reading.field(4).map_or(0.0, |field| field.double()))
            }
            (Field::ValueInt, DataPoint::Number) => {
                Value::Int(reading.field(6).map_or(0, |field| field.scalar as i64))
            }
            (Field::ValueDouble | Field::ValueInt, _) | (_, DataPoint::Number)
                if self.field != Field::Exemplars =>
            {
                Value::Nil
            }
            (Field::Exemplars, DataPoint::Summary) => Value::Nil,
            (Field::Exemplars, _) => {
                let number = exemplars_number(point);
                Value::Messages(Repeated::new(reading.body(), number))
            }
            (Field::Count, _) => Value::Int(scalar(reading, 4) as i64),
            (Field::Sum, _) => Value::Double(reading.field(5).map_or(0.0, |field| field.double())),
            (Field::BucketCounts, DataPoint::Histogram) => {
                list(packed(bytes(reading, 6)).map(|count| AnyValue::Int(count as i64)))
            }
            (Field::ExplicitBounds, DataPoint::Histogram) => {
                list(packed(bytes(reading, 7)).map(|bits| AnyValue::Double(f64::from_bits(bits))))
            }
            (Field::Scale, _) if is_exponential => Value::Int(zigzag(scalar(reading, 6))),
            (Field::ZeroCount, _) if is_exponential => Value::Int(scalar(reading, 7) as i64),
            (Field::Offset(side), _) if is_exponential => {
                Value::Int(zigzag(inner(bytes(reading, side.number()), 1)))
            }
            (Field::SideCounts(side), _) if is_exponential => {
                let buckets = tidegate_pdata::view::Buckets::of(bytes(reading, side.number()));
                list(
                    buckets
                        .bucket_counts()
                        .map(|count| AnyValue::Int(count as i64)),
                )
            }
            (Field::Quantiles, DataPoint::Summary) => {
                Value::Messages(Repeated::new(reading.body(), 6))
            }
            _ => Value::Nil,
        };
        if self.keys.is_empty() {
            return Ok(value);
        }
        match value {
            Value::Nil => Ok(Value::Nil),
            value => index(value, &self.keys, subject),
        }
    }

    fn trace_state<'v>(&'v self, subject: &'v Subject<'_>) -> Outcome<'v> {
        let state = bytes(subject.reading(self.part), 3);
        let Some(key) = self.keys.first() else {
            return Ok(Value::Str(Cow::Borrowed(state)));
        };
        let Resolved::Str(key) = key.resolve(subject)? else {
            return Err(Fault::new("trace_state indexing type must be a string"));
        };
        let Some(members) = text::trace_state(state) else {
            return Ok(Value::Nil);
        };
        let found = members.into_iter().find(|(name, _)| *name == &*key);
        Ok(Value::Str(Cow::Borrowed(
            found.map_or(&[], |(_, value)| value),
        )))
    }
}

impl Side {
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Positive => 8,
            Self::Negative => 9,
        }
    }
}

pub(super) const fn flags_number(point: DataPoint) -> u32 {
    match point {
        DataPoint::Number | DataPoint::Summary => 8,
        DataPoint::Histogram | DataPoint::ExponentialHistogram => 10,
    }
}

const fn exemplars_number(point: DataPoint) -> u32 {
    match point {
        DataPoint::Number => 5,
        DataPoint::Histogram => 8,
        DataPoint::ExponentialHistogram | DataPoint::Summary => 11,
    }
}

fn list<'a, 'v>(values: impl Iterator<Item = AnyValue<'a>>) -> Value<'v> {
    let mut out = Vec::new();
    let mut message = Vec::new();
    for value in values {
        message.clear();
        put_any(&mut message, value);
        put_bytes(&mut out, 1, &message);
    }
    Value::List(Cow::Owned(out))
}

/// Packed numbers of eight bytes.
fn packed(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|number| u64::from_le_bytes(*number))
}

fn bytes(reading: Reading<'_>, number: u32) -> &[u8] {
    reading.field(number).map_or(&[], |field| field.bytes)
}

fn scalar(reading: Reading<'_>, number: u32) -> u64 {
    reading.field(number).map_or(0, |field| field.scalar)
}

/// A scalar of a message.
fn inner(message: &[u8], number: u32) -> u64 {
    Cursor::new(message)
        .find(|field| field.number == number)
        .map_or(0, |field| field.scalar)
}

const fn zigzag(scalar: u64) -> i64 {
    let value = scalar as u32;
    ((value >> 1) as i32 ^ -((value & 1) as i32)) as i64
}

fn id<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

fn status(reading: Reading<'_>, number: u32) -> Option<WireField<'_>> {
    Cursor::new(bytes(reading, 15)).find(|field| field.number == number)
}

fn body(reading: Reading<'_>) -> AnyValue<'_> {
    AnyValue::of_bytes(bytes(reading, 5))
}

/// The field that has the points of a metric.
pub(super) fn data(reading: Reading<'_>) -> Option<WireField<'_>> {
    [5, 7, 9, 10, 11]
        .into_iter()
        .find_map(|number| reading.field(number))
}

fn metric_type(reading: Reading<'_>) -> i64 {
    match data(reading).map(|field| field.number) {
        Some(5) => 1,
        Some(7) => 2,
        Some(9) => 3,
        Some(10) => 4,
        Some(11) => 5,
        _ => 0,
    }
}

/// The time of nanoseconds since 1970, in UTC.
fn time(nanos: u64) -> Zoned {
    read_time(i128::from(nanos)).unwrap_or_default()
}

/// The time of nanoseconds since 1970, in UTC.
pub(crate) fn read_time(nanos: i128) -> Option<Zoned> {
    let timestamp = Timestamp::from_nanosecond(nanos).ok()?;
    Some(timestamp.to_zoned(TimeZone::UTC))
}

const fn kind_name(kind: u64) -> &'static str {
    match kind {
        0 => "Unspecified",
        1 => "Internal",
        2 => "Server",
        3 => "Client",
        4 => "Producer",
        5 => "Consumer",
        _ => "",
    }
}

const fn kind_symbol(kind: u64) -> &'static str {
    match kind {
        0 => "SPAN_KIND_UNSPECIFIED",
        1 => "SPAN_KIND_INTERNAL",
        2 => "SPAN_KIND_SERVER",
        3 => "SPAN_KIND_CLIENT",
        4 => "SPAN_KIND_PRODUCER",
        5 => "SPAN_KIND_CONSUMER",
        _ => "",
    }
}

/// The elements of a list of whole numbers or doubles; a fault where one is neither.
pub(super) fn numbers<T>(
    list: &[u8],
    read: impl Fn(AnyValue<'_>) -> Option<T>,
) -> Result<Vec<T>, Fault> {
    Repeated::<'_, AnyValue<'_>>::new(list, 1)
        .map(|value| {
            let kind = Value::of(value).kind();
            read(value).ok_or_else(|| Fault::with(format!("the list holds a {kind}")))
        })
        .collect()
}

pub(super) fn position(index: i64, length: usize) -> Result<usize, Fault> {
    usize::try_from(index)
        .ok()
        .filter(|at| *at < length)
        .ok_or_else(|| out_of_bounds(index))
}
