//! Jaeger's thrift: a batch, alone or as the argument of a call.

use super::Stop;
use super::span::{Log, Process, Reference, Said, Span, Tag};
use super::translate::Translator;
use crate::grouped::{Grouped, NoRoom};
use crate::text::Text;
use crate::thrift::{Fault, Field, Kind, Protocol, Required, What, read_struct, read_structs};

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Malformed(fault.to_string())
    }
}

/// Writes the spans of a call to an agent as OTLP.
pub(crate) fn translate_call<'a, P: Protocol<'a> + Clone>(
    mut from: P,
    out: &mut Grouped<'_>,
) -> Result<(), Stop> {
    let method = from.call()?;
    if method != b"emitBatch" {
        let method = String::from_utf8_lossy(method);
        return Err(Stop::Unsupported(format!("there is no method {method:?}")));
    }
    let mut stop = None;
    let mut required = Required::new("emitBatch", &[1]);
    read_struct(&mut from, |from, field| {
        if (field.id, field.kind) != (1, Kind::Struct) || stop.is_some() {
            return Ok(false);
        }
        required.seen(1);
        stop = translate(from, out).err();
        match &stop {
            // Where it stands in the batch nobody knows.
            Some(_) => Err(from.fault(What::Truncated)),
            None => Ok(true),
        }
    })
    .map_err(|fault| stop.take().unwrap_or_else(|| fault.into()))?;
    Ok(required.check(&from)?)
}

/// Writes the spans of a batch as OTLP.
pub(crate) fn translate<'a, P: Protocol<'a> + Clone>(
    from: &mut P,
    out: &mut Grouped<'_>,
) -> Result<(), Stop> {
    let mut spans = Spans {
        translator: Translator::new(false),
        span: Span::default(),
        at: 0,
        full: false,
    };
    let mut required = Required::new("Batch", &[1, 2]);
    let mut process = None;
    // Spans that come before their process are read when that is known.
    let mut early = None;
    let read = read_struct(from, |from, field| {
        match (field.id, field.kind) {
            (1, Kind::Struct) => process = Some(read_process(from)?),
            (2, Kind::List) => match &process {
                Some(process) => spans.read(process, from, out)?,
                None => {
                    early = Some(from.clone());
                    from.skip(field)?;
                }
            },
            _ => return Ok(false),
        }
        required.seen(field.id);
        Ok(true)
    });
    let read = read.and_then(|()| required.check(from));
    let read = read.and_then(|()| match (early, process) {
        (Some(mut from), Some(process)) => spans.read(&process, &mut from, out),
        _ => Ok(()),
    });
    match read {
        _ if spans.full => Err(Stop::NoRoom),
        Ok(()) => Ok(()),
        Err(fault) => Err(Stop::Malformed(format!("span {}: {fault}", spans.at))),
    }
}

/// Reads the spans of a batch.
struct Spans<'a> {
    translator: Translator,
    span: Span<'a>,
    /// The number of the span at hand.
    at: usize,
    /// Whether there was no room for one.
    full: bool,
}

impl<'a> Spans<'a> {
    fn read<P: Protocol<'a>>(
        &mut self,
        process: &Process<'a>,
        from: &mut P,
        out: &mut Grouped<'_>,
    ) -> Result<(), Fault> {
        self.translator.process(process, out);
        read_structs(from, |from| {
            self.span.clear();
            fill(&mut self.span, from)?;
            if !self.full {
                let written = self.translator.translate(&self.span, out);
                self.full = matches!(written, Err(NoRoom));
            }
            self.at += 1;
            Ok(())
        })
    }
}

fn read_process<'a, P: Protocol<'a>>(from: &mut P) -> Result<Process<'a>, Fault> {
    let mut process = Process::default();
    let mut required = Required::new("Process", &[1]);
    read_struct(from, |from, field| {
        match (field.id, field.kind) {
            (1, Kind::Bytes) => process.service = Text::lossy(from.bytes()?),
            (2, Kind::List) => tags(&mut process.tags, from)?,
            _ => return Ok(false),
        }
        required.seen(field.id);
        Ok(true)
    })?;
    required.check(from)?;
    Ok(process)
}

fn fill<'a, P: Protocol<'a>>(span: &mut Span<'a>, from: &mut P) -> Result<(), Fault> {
    let mut required = Required::new("Span", &[1, 2, 3, 4, 5, 7, 8, 9]);
    let (mut low, mut high, mut start, mut duration) = (0, 0, 0, 0);
    read_struct(from, |from, field| {
        match (field.id, field.kind) {
            (1, Kind::I64) => low = from.i64()?,
            (2, Kind::I64) => high = from.i64()?,
            (3, Kind::I64) => span.id = from.i64()? as u64,
            (4, Kind::I64) => span.parent = from.i64()? as u64,
            (5, Kind::Bytes) => span.name = Text::lossy(from.bytes()?),
            (6, Kind::List) => read_structs(from, |from| {
                span.references.push(reference(from)?);
                Ok(())
            })?,
            (7, Kind::I32) => span.flags = from.i32()? as u32,
            (8, Kind::I64) => start = from.i64()?,
            (9, Kind::I64) => duration = from.i64()?,
            (10, Kind::List) => tags(&mut span.tags, from)?,
            (11, Kind::List) => read_structs(from, |from| log(span, from))?,
            _ => return Ok(false),
        }
        required.seen(field.id);
        Ok(true)
    })?;
    required.check(from)?;
    span.trace_id = trace_id(low, high);
    span.start = nanoseconds(start);
    span.end = nanoseconds(start.saturating_add(duration));
    Ok(())
}

fn trace_id(low: i64, high: i64) -> u128 {
    u128::from(high as u64) << 64 | u128::from(low as u64)
}

fn nanoseconds(microseconds: i64) -> u64 {
    let microseconds = u64::try_from(microseconds).unwrap_or_default();
    microseconds.saturating_mul(1000)
}

fn reference<'a, P: Protocol<'a>>(from: &mut P) -> Result<Reference, Fault> {
    let mut reference = Reference::default();
    let mut required = Required::new("SpanRef", &[1, 2, 3, 4]);
    let (mut low, mut high) = (0, 0);
    read_struct(from, |from, field| {
        match (field.id, field.kind) {
            (1, Kind::I32) => reference.is_child = from.i32()? == 0,
            (2, Kind::I64) => low = from.i64()?,
            (3, Kind::I64) => high = from.i64()?,
            (4, Kind::I64) => reference.id = from.i64()? as u64,
            _ => return Ok(false),
        }
        required.seen(field.id);
        Ok(true)
    })?;
    required.check(from)?;
    reference.trace_id = trace_id(low, high);
    Ok(reference)
}

fn log<'a, P: Protocol<'a>>(span: &mut Span<'a>, from: &mut P) -> Result<(), Fault> {
    let begin = span.fields.len();
    let mut required = Required::new("Log", &[1, 2]);
    let mut time = 0;
    read_struct(from, |from, field| {
        match (field.id, field.kind) {
            (1, Kind::I64) => time = nanoseconds(from.i64()?),
            (2, Kind::List) => tags(&mut span.fields, from)?,
            _ => return Ok(false),
        }
        required.seen(field.id);
        Ok(true)
    })?;
    required.check(from)?;
    let fields = begin..span.fields.len();
    span.logs.push(Log { time, fields });
    Ok(())
}

fn tags<'a, P: Protocol<'a>>(tags: &mut Vec<Tag<'a>>, from: &mut P) -> Result<(), Fault> {
    read_structs(from, |from| {
        tags.push(tag(from)?);
        Ok(())
    })
}

fn tag<'a, P: Protocol<'a>>(from: &mut P) -> Result<Tag<'a>, Fault> {
    let mut tag = Tag::default();
    let mut required = Required::new("Tag", &[1, 2]);
    let (mut kind, mut text, mut bytes): (_, &[u8], &[u8]) = (0, &[], &[]);
    let (mut truth, mut whole, mut double) = (false, 0, 0.0);
    read_struct(from, |from, field: Field| {
        match (field.id, field.kind) {
            (1, Kind::Bytes) => tag.key = Text::lossy(from.bytes()?),
            (2, Kind::I32) => kind = from.i32()?,
            (3, Kind::Bytes) => text = from.bytes()?,
            (4, Kind::Double) => double = from.double()?,
            (5, Kind::Bool) => truth = from.truth_of(field)?,
            (6, Kind::I64) => whole = from.i64()?,
            (7, Kind::Bytes) => bytes = from.bytes()?,
            _ => return Ok(false),
        }
        required.seen(field.id);
        Ok(true)
    })?;
    required.check(from)?;
    tag.value = match kind {
        0 => Said::Text(Text::lossy(text)),
        1 => Said::Double(double),
        2 => Said::Truth(truth),
        3 => Said::Whole(whole),
        4 => Said::Bytes(bytes),
        _ => Said::Text(Text::borrowed("<Unknown Jaeger TagType \"<UNSET>\">")),
    };
    Ok(tag)
}
