//! Jaeger's protobuf: the batch of a `PostSpansRequest`.

use tidegate_pdata::wire::{Cursor, Fault, Field, Malformed, WireType};

use super::Stop;
use super::span::{Log, Process, Reference, Said, Span, Tag};
use super::translate::Translator;
use crate::grouped::Grouped;
use crate::text::Text;

/// What is wrong.
struct Wrong(String);

impl From<Malformed> for Wrong {
    fn from(fault: Malformed) -> Self {
        Self(fault.to_string())
    }
}

/// Writes the spans of a request as OTLP.
pub(crate) fn translate(request: &[u8], out: &mut Grouped<'_>) -> Result<(), Stop> {
    let malformed = |fault: Malformed| Stop::Malformed(fault.to_string());
    let mut request = Cursor::new(request);
    while let Some(field) = request.field().map_err(malformed)? {
        if field.number == 1 {
            expect(&request, &field, WireType::Len).map_err(malformed)?;
            batch(field.message(), out)?;
        }
    }
    Ok(())
}

fn batch(batch: Cursor<'_>, out: &mut Grouped<'_>) -> Result<(), Stop> {
    let mut process = Process::default();
    let mut translator = Translator::new(true);
    // The process comes behind the spans that it is of.
    let mut fields = batch;
    let told = |Wrong(what)| Stop::Malformed(format!("process: {what}"));
    while let Some(field) = fields.field().map_err(|fault| told(fault.into()))? {
        if field.number == 2 {
            expect(&fields, &field, WireType::Len).map_err(|fault| told(fault.into()))?;
            read_process(&mut process, field.message()).map_err(told)?;
        }
    }
    let mut span = Span::default();
    let (mut fields, mut at) = (batch, 0);
    let mut is_said = false;
    while let Some(field) = fields
        .field()
        .map_err(|fault| Stop::Malformed(fault.to_string()))?
    {
        if field.number != 1 {
            continue;
        }
        span.clear();
        let told = |Wrong(what)| Stop::Malformed(format!("span {at}: {what}"));
        expect(&fields, &field, WireType::Len).map_err(|fault| told(fault.into()))?;
        match fill(&mut span, field.message()).map_err(told)? {
            // A span may have a process of its own.
            Some(own) => {
                translator.process(&own, out);
                is_said = false;
            }
            None if is_said => {}
            None => {
                translator.process(&process, out);
                is_said = true;
            }
        }
        translator.translate(&span, out)?;
        at += 1;
    }
    Ok(())
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

fn read_process<'a>(process: &mut Process<'a>, mut from: Cursor<'a>) -> Result<(), Wrong> {
    while let Some(field) = from.field()? {
        match field.number {
            1 | 2 => expect(&from, &field, WireType::Len)?,
            _ => continue,
        }
        match field.number {
            1 => process.service = Text::lossy(field.bytes),
            _ => process.tags.push(tag(field.message())?),
        }
    }
    Ok(())
}

/// Fills a span, and gives the process that is its own.
fn fill<'a>(span: &mut Span<'a>, mut from: Cursor<'a>) -> Result<Option<Process<'a>>, Wrong> {
    let (mut start, mut duration) = (0, 0);
    let mut process = None;
    while let Some(field) = from.field()? {
        let wire = match field.number {
            1..=4 | 6..=10 => WireType::Len,
            5 => WireType::Varint,
            _ => continue,
        };
        expect(&from, &field, wire)?;
        match field.number {
            1 => span.trace_id = trace_id(field.bytes)?,
            2 => span.id = span_id(field.bytes)?,
            3 => span.name = Text::lossy(field.bytes),
            4 => span.references.push(reference(field.message())?),
            5 => span.flags = field.scalar as u32,
            6 => start = nanoseconds(field.message())?,
            7 => duration = nanoseconds(field.message())?,
            8 => span.tags.push(tag(field.message())?),
            9 => log(span, field.message())?,
            _ => read_process(process.get_or_insert_default(), field.message())?,
        }
    }
    span.start = unsigned(start);
    span.end = unsigned(start.saturating_add(duration));
    Ok(process)
}

/// An ID of 128 bits: as in the original what follows is passed over.
fn trace_id(bytes: &[u8]) -> Result<u128, Wrong> {
    match bytes.first_chunk() {
        Some(id) => Ok(u128::from_be_bytes(*id)),
        None => Err(Wrong(format!("trace_id has {} bytes, not 16", bytes.len()))),
    }
}

fn span_id(bytes: &[u8]) -> Result<u64, Wrong> {
    match bytes.first_chunk() {
        Some(id) => Ok(u64::from_be_bytes(*id)),
        None => Err(Wrong(format!("span_id has {} bytes, not 8", bytes.len()))),
    }
}

fn reference(mut from: Cursor<'_>) -> Result<Reference, Wrong> {
    let mut reference = Reference {
        is_child: true,
        ..Reference::default()
    };
    while let Some(field) = from.field()? {
        match field.number {
            1 | 2 => expect(&from, &field, WireType::Len)?,
            3 => expect(&from, &field, WireType::Varint)?,
            _ => continue,
        }
        match field.number {
            1 => reference.trace_id = trace_id(field.bytes)?,
            2 => reference.id = span_id(field.bytes)?,
            _ => reference.is_child = field.scalar == 0,
        }
    }
    Ok(reference)
}

/// A time or a span of time: seconds and nanoseconds.
fn nanoseconds(mut from: Cursor<'_>) -> Result<i64, Wrong> {
    let (mut seconds, mut rest) = (0_i64, 0_i64);
    while let Some(field) = from.field()? {
        match field.number {
            1 | 2 => expect(&from, &field, WireType::Varint)?,
            _ => continue,
        }
        match field.number {
            1 => seconds = field.scalar as i64,
            _ => rest = i64::from(field.scalar as i32),
        }
    }
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
}

fn unsigned(nanoseconds: i64) -> u64 {
    nanoseconds.try_into().unwrap_or_default()
}

fn log<'a>(span: &mut Span<'a>, mut from: Cursor<'a>) -> Result<(), Wrong> {
    let begin = span.fields.len();
    let mut time = 0;
    while let Some(field) = from.field()? {
        match field.number {
            1 | 2 => expect(&from, &field, WireType::Len)?,
            _ => continue,
        }
        match field.number {
            1 => time = unsigned(nanoseconds(field.message())?),
            _ => span.fields.push(tag(field.message())?),
        }
    }
    let fields = begin..span.fields.len();
    span.logs.push(Log { time, fields });
    Ok(())
}

fn tag(mut from: Cursor<'_>) -> Result<Tag<'_>, Wrong> {
    let mut tag = Tag::default();
    let (mut kind, mut text, mut bytes): (_, &[u8], &[u8]) = (0, &[], &[]);
    let (mut truth, mut whole, mut double) = (false, 0, 0.0);
    while let Some(field) = from.field()? {
        let wire = match field.number {
            1 | 3 | 7 => WireType::Len,
            2 | 4 | 5 => WireType::Varint,
            6 => WireType::Fixed64,
            _ => continue,
        };
        expect(&from, &field, wire)?;
        match field.number {
            1 => tag.key = Text::lossy(field.bytes),
            2 => kind = field.scalar as i32,
            3 => text = field.bytes,
            4 => truth = field.scalar != 0,
            5 => whole = field.scalar as i64,
            6 => double = field.double(),
            _ => bytes = field.bytes,
        }
    }
    tag.value = match kind {
        0 => Said::Text(Text::lossy(text)),
        1 => Said::Truth(truth),
        2 => Said::Whole(whole),
        3 => Said::Double(double),
        4 => Said::Bytes(bytes),
        other => Said::Text(format!("<Unknown Jaeger TagType \"{other}\">").into()),
    };
    Ok(tag)
}
