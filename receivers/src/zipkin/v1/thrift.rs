//! Spans of the first format from thrift, in the binary protocol.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Annotation, Binary, Endpoint, Said, Span};
use crate::grouped::NoRoom;
use crate::text::Text;
use crate::thrift::{self, Fault, Field, Kind, Protocol, read_struct, read_structs};
use crate::zipkin::Stop;

/// Reads a list of spans and hands each over as it is filled.
pub(in crate::zipkin) fn read<'a>(
    body: &'a [u8],
    take: &mut dyn FnMut(&mut Span<'a>) -> Result<(), NoRoom>,
) -> Result<(), Stop> {
    let mut from = thrift::Binary::new(body);
    let mut span = Span::default();
    let (mut at, mut full) = (0, false);
    let read = read_structs(&mut from, |from| {
        if full {
            return Ok(());
        }
        span.clear();
        read_struct(from, |from, field| fill(&mut span, from, field))?;
        at += 1;
        full = take(&mut span).is_err();
        Ok(())
    });
    match read {
        _ if full => Err(Stop::NoRoom),
        Ok(()) => Ok(()),
        Err(fault) => Err(Stop::Malformed(format!("span {at}: {fault}"))),
    }
}

fn fill<'a, P: Protocol<'a>>(
    span: &mut Span<'a>,
    from: &mut P,
    field: Field,
) -> Result<bool, Fault> {
    match (field.id, field.kind) {
        (1, Kind::I64) => {
            let low = u128::from(from.i64()? as u64);
            span.trace_id = span.trace_id >> 64 << 64 | low;
        }
        (12, Kind::I64) => {
            let high = u128::from(from.i64()? as u64);
            span.trace_id = high << 64 | u128::from(span.trace_id as u64);
        }
        (3, Kind::Bytes) => span.name = Text::lossy(from.bytes()?),
        (4, Kind::I64) => span.id = from.i64()? as u64,
        (5, Kind::I64) => span.parent = from.i64()? as u64,
        (6, Kind::List) => read_structs(from, |from| {
            let mut annotation = Annotation::default();
            read_struct(from, |from, field| annotate(&mut annotation, from, field))?;
            span.annotations.push(annotation);
            Ok(())
        })?,
        (8, Kind::List) => read_structs(from, |from| {
            span.binary.push(binary(from)?);
            Ok(())
        })?,
        (10, Kind::I64) => span.start = from.i64()?,
        (11, Kind::I64) => span.duration = from.i64()?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn annotate<'a, P: Protocol<'a>>(
    annotation: &mut Annotation<'a>,
    from: &mut P,
    field: Field,
) -> Result<bool, Fault> {
    match (field.id, field.kind) {
        (1, Kind::I64) => annotation.time = from.i64()?,
        (2, Kind::Bytes) => annotation.value = Text::lossy(from.bytes()?),
        (3, Kind::Struct) => annotation.endpoint = Some(endpoint(from)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn binary<'a, P: Protocol<'a>>(from: &mut P) -> Result<Binary<'a>, Fault> {
    let mut binary = Binary::default();
    let (mut value, mut kind): (&[u8], i32) = (&[], 0);
    read_struct(from, |from, field| {
        match (field.id, field.kind) {
            (1, Kind::Bytes) => binary.key = Text::lossy(from.bytes()?),
            (2, Kind::Bytes) => value = from.bytes()?,
            (3, Kind::I32) => kind = from.i32()?,
            (4, Kind::Struct) => binary.service = endpoint(from)?.service,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    binary.value = said(kind, value);
    Ok(binary)
}

/// The value that bytes of a kind say.
fn said(kind: i32, bytes: &[u8]) -> Said<'_> {
    let short = || Said::Text(Text::borrowed("<not enough bytes representing the number>"));
    match kind {
        0 => Said::Truth(*bytes == [1]),
        1 => Said::Text(STANDARD.encode(bytes).into()),
        2 => bytes.first_chunk().map_or_else(short, |bytes| {
            Said::Whole(u16::from_be_bytes(*bytes).into())
        }),
        3 => bytes.first_chunk().map_or_else(short, |bytes| {
            Said::Whole(u32::from_be_bytes(*bytes).into())
        }),
        4 => bytes
            .first_chunk()
            .map_or_else(short, |bytes| Said::Whole(i64::from_be_bytes(*bytes))),
        5 => bytes
            .first_chunk()
            .map_or_else(short, |bytes| Said::Double(f64::from_be_bytes(*bytes))),
        6 => Said::Text(Text::lossy(bytes)),
        other => {
            let text = format!("<unknown zipkin v1 binary annotation type ({other})>");
            Said::Text(text.into())
        }
    }
}

fn endpoint<'a, P: Protocol<'a>>(from: &mut P) -> Result<Endpoint<'a>, Fault> {
    let mut endpoint = Endpoint::default();
    read_struct(from, |from, field| {
        match (field.id, field.kind) {
            (1, Kind::I32) => {
                let address = from.i32()? as u32;
                if address != 0 {
                    endpoint.ipv4 = Ipv4Addr::from(address).to_string().into();
                }
            }
            (2, Kind::I16) => endpoint.port = i32::from(from.i16()? as u16),
            (3, Kind::Bytes) => endpoint.service = Text::lossy(from.bytes()?),
            (4, Kind::Bytes) => {
                if let Ok(bytes) = <[u8; 16]>::try_from(from.bytes()?) {
                    let address = Ipv6Addr::from(bytes).to_canonical();
                    endpoint.ipv6 = address.to_string().into();
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(endpoint)
}
