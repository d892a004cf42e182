//! Spans of Zipkin's second format from protobuf.

use std::net::{Ipv4Addr, Ipv6Addr};

use tidegate_pdata::wire::{Cursor, Fault, Field, Malformed, WireType};

use super::Stop;
use super::span::{Annotation, Endpoint, Kind, Span, Tag};
use crate::grouped::NoRoom;
use crate::text::Text;

/// What is wrong with a span.
struct Wrong(String);

impl From<Malformed> for Wrong {
    fn from(fault: Malformed) -> Self {
        Self(fault.to_string())
    }
}

/// Reads a list of spans and hands each over as it is filled.
pub(super) fn read<'a>(
    body: &'a [u8],
    take: &mut dyn FnMut(&mut Span<'a>) -> Result<(), NoRoom>,
) -> Result<(), Stop> {
    let malformed =
        |at: usize, what: &dyn std::fmt::Display| Stop::Malformed(format!("span {at}: {what}"));
    let mut span = Span::default();
    let mut list = Cursor::new(body);
    let mut at = 0;
    while let Some(field) = list.field().map_err(|fault| malformed(at, &fault))? {
        if field.number != 1 {
            continue;
        }
        span.clear();
        let message = len(&list, &field).map_err(|fault| malformed(at, &fault))?;
        fill(&mut span, message).map_err(|Wrong(what)| malformed(at, &what))?;
        take(&mut span).map_err(|NoRoom| Stop::NoRoom)?;
        at += 1;
    }
    Ok(())
}

/// The message that a field is.
fn len<'a>(within: &Cursor<'a>, field: &Field<'a>) -> Result<Cursor<'a>, Malformed> {
    expect(within, field, WireType::Len)?;
    Ok(field.message())
}

fn expect(within: &Cursor<'_>, field: &Field<'_>, expected: WireType) -> Result<(), Malformed> {
    if field.wire == expected {
        return Ok(());
    }
    let found = field.wire;
    let fault = Fault::WrongWireType { found, expected };
    Err(Malformed {
        offset: field.start,
        ..within.fault(fault)
    })
}

fn fill<'a>(span: &mut Span<'a>, mut from: Cursor<'a>) -> Result<(), Wrong> {
    // Absent and 1970 are the same here.
    span.start = Some(0);
    while let Some(field) = from.field()? {
        let wire = match field.number {
            1..=3 | 5 | 8..=11 => WireType::Len,
            6 => WireType::Fixed64,
            4 | 7 => WireType::Varint,
            _ => continue,
        };
        expect(&from, &field, wire)?;
        match field.number {
            1 => span.trace_id = Some(trace_id(field.bytes)?),
            2 => span.parent = id("parent_id", field.bytes)?,
            3 => span.id = id("id", field.bytes)?,
            4 => {
                span.kind = match field.scalar {
                    1 => Kind::Client,
                    2 => Kind::Server,
                    3 => Kind::Producer,
                    4 => Kind::Consumer,
                    _ => Kind::Unsaid,
                }
            }
            5 => span.name = Text::lossy(field.bytes),
            6 => span.start = Some(field.scalar),
            7 => span.duration = field.scalar,
            8 => endpoint(&mut span.local, field.message())?,
            9 => endpoint(&mut span.remote, field.message())?,
            10 => span.annotations.push(annotation(field.message())?),
            _ => span.tags.push(tag(field.message())?),
        }
    }
    match (span.trace_id, span.id) {
        (None, _) => Err(Wrong("it has no trace_id".to_owned())),
        (_, 0) => Err(Wrong("it has no id, or that is 0".to_owned())),
        _ => Ok(()),
    }
}

fn trace_id(bytes: &[u8]) -> Result<u128, Wrong> {
    if let Ok(short) = <[u8; 8]>::try_from(bytes) {
        return Ok(u64::from_be_bytes(short).into());
    }
    let id = bytes.try_into().map(u128::from_be_bytes);
    id.map_err(|_| Wrong(format!("trace_id has {} bytes, not 8 or 16", bytes.len())))
}

fn id(name: &str, bytes: &[u8]) -> Result<u64, Wrong> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let id = bytes.try_into().map(u64::from_be_bytes);
    id.map_err(|_| Wrong(format!("{name} has {} bytes, not 8", bytes.len())))
}

fn endpoint<'a>(endpoint: &mut Endpoint<'a>, mut from: Cursor<'a>) -> Result<(), Wrong> {
    while let Some(field) = from.field()? {
        let wire = match field.number {
            1..=3 => WireType::Len,
            4 => WireType::Varint,
            _ => continue,
        };
        expect(&from, &field, wire)?;
        match field.number {
            1 => endpoint.service = Text::lossy(field.bytes),
            2 => endpoint.ipv4 = address("ipv4", field.bytes)?,
            3 => endpoint.ipv6 = address("ipv6", field.bytes)?,
            _ => endpoint.port = field.scalar as u16, // the rest is no port
        }
    }
    Ok(())
}

fn address<'a>(name: &str, bytes: &[u8]) -> Result<Option<Text<'a>>, Wrong> {
    let text = match *bytes {
        [] => return Ok(None),
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).to_string(),
        _ => match <[u8; 16]>::try_from(bytes) {
            Ok(bytes) => Ipv6Addr::from(bytes).to_canonical().to_string(),
            Err(_) => {
                let text = format!("{name} has {} bytes, not 4 or 16", bytes.len());
                return Err(Wrong(text));
            }
        },
    };
    Ok(Some(text.into()))
}

fn annotation(mut from: Cursor<'_>) -> Result<Annotation<'_>, Wrong> {
    let mut annotation = Annotation::default();
    while let Some(field) = from.field()? {
        match field.number {
            1 => {
                expect(&from, &field, WireType::Fixed64)?;
                annotation.time = field.scalar;
            }
            2 => {
                expect(&from, &field, WireType::Len)?;
                annotation.value = Text::lossy(field.bytes);
            }
            _ => {}
        }
    }
    Ok(annotation)
}

fn tag(mut from: Cursor<'_>) -> Result<Tag<'_>, Wrong> {
    let mut tag = Tag {
        key: Text::default(),
        value: Text::default(),
    };
    while let Some(field) = from.field()? {
        let to = match field.number {
            1 => &mut tag.key,
            2 => &mut tag.value,
            _ => continue,
        };
        expect(&from, &field, WireType::Len)?;
        *to = Text::lossy(field.bytes);
    }
    Ok(tag)
}
