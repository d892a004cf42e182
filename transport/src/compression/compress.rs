//! Compression of segments into one buffer.

use std::cell::RefCell;
use std::io::Write;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{self, CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

use super::{Codec, gzip};

/// How hard a codec tries, on its own scale.
///
/// gzip and zlib know 0 to 9, zstd −7 to 22; snappy and LZ4 know one level alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Level {
    /// The codec's own default: 6 of 9 for gzip and zlib, 3 for zstd.
    #[default]
    Default,
    /// This level, cut to the codec's range.
    Exact(i32),
}

/// Why bytes could not be compressed.
#[derive(Debug, thiserror::Error)]
#[error("{codec} cannot compress the body: {reason}")]
pub struct CompressError {
    codec: &'static str,
    reason: String,
}

impl CompressError {
    fn new(codec: Codec, reason: impl ToString) -> Self {
        Self {
            codec: codec.name(),
            reason: reason.to_string(),
        }
    }
}

/// Compresses `segments`, taken as one body, and appends the result to `out`.
///
/// # Errors
/// When the codec fails, which only a body past its size limit makes it do.
pub fn compress<'a, I>(
    codec: Codec,
    level: Level,
    segments: I,
    out: &mut Vec<u8>,
) -> Result<(), CompressError>
where
    I: IntoIterator<Item = &'a [u8]>,
    I::IntoIter: Clone,
{
    let segments = segments.into_iter();
    match codec {
        Codec::Gzip => with_deflate(false, level, |state| gzip(state, segments, out)),
        Codec::Zlib => with_deflate(true, level, |state| deflate(state, segments, out)),
        Codec::Zstd => with_zstd(|state| zstd(state, level, segments, out)),
        Codec::Snappy => snap(segments, out),
        Codec::SnappyFramed => {
            let mut to = snap::write::FrameEncoder::new(&mut *out);
            write_all(codec, &mut to, segments)?;
            to.flush().map_err(|error| CompressError::new(codec, error))
        }
        Codec::Lz4 => {
            let mut to = lz4_flex::frame::FrameEncoder::new(&mut *out);
            write_all(codec, &mut to, segments)?;
            to.finish()
                .map(drop)
                .map_err(|error| CompressError::new(codec, error))
        }
    }
}

/// A deflate state and what it was made for.
type Deflate = (bool, u32, Compress);

/// Runs with a state of this thread for raw or zlib deflate at this level.
fn with_deflate<T>(zlib: bool, level: Level, run: impl FnOnce(&mut Compress) -> T) -> T {
    thread_local! {
        static STATES: RefCell<Vec<Deflate>> = const { RefCell::new(Vec::new()) };
    }
    let level = match level {
        Level::Default => Compression::default().level(),
        Level::Exact(level) => level.clamp(0, 9).cast_unsigned(),
    };
    STATES.with_borrow_mut(|states| {
        let found = states
            .iter()
            .position(|made| (made.0, made.1) == (zlib, level));
        let at = found.unwrap_or_else(|| {
            states.push((zlib, level, Compress::new(Compression::new(level), zlib)));
            states.len() - 1
        });
        let state = &mut states[at].2;
        state.reset();
        run(state)
    })
}

fn gzip<'a>(
    state: &mut Compress,
    segments: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    out.extend_from_slice(&gzip::HEADER);
    let mut crc = Crc::new();
    deflate(state, segments.inspect(|segment| crc.update(segment)), out)?;
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    Ok(())
}

fn deflate<'a>(
    state: &mut Compress,
    segments: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    let failed = |error| CompressError::new(Codec::Zlib, error);
    for segment in segments {
        // Telemetry shrinks to a fifth or less: one buffer for most bodies.
        out.reserve(segment.len() / 4 + 64);
        let mut rest = segment;
        while !rest.is_empty() {
            let before = state.total_in();
            state
                .compress_vec(rest, out, FlushCompress::None)
                .map_err(failed)?;
            rest = &rest[(state.total_in() - before) as usize..];
            grow(out);
        }
    }
    loop {
        grow(out);
        let status = state
            .compress_vec(&[], out, FlushCompress::Finish)
            .map_err(failed)?;
        if status == Status::StreamEnd {
            return Ok(());
        }
    }
}

/// Makes place where less than a codec can work with is left.
fn grow(out: &mut Vec<u8>) {
    if out.capacity() - out.len() < 64 {
        out.reserve(out.len().max(1024));
    }
}

fn with_zstd<T>(run: impl FnOnce(&mut CCtx<'static>) -> T) -> T {
    thread_local! {
        static STATE: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    }
    STATE.with_borrow_mut(|state| run(state.get_or_insert_with(CCtx::create)))
}

fn zstd<'a>(
    state: &mut CCtx<'static>,
    level: Level,
    segments: impl Iterator<Item = &'a [u8]> + Clone,
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    let failed = |code| CompressError::new(Codec::Zstd, zstd_safe::get_error_name(code));
    let level = match level {
        Level::Default => zstd_safe::CLEVEL_DEFAULT,
        Level::Exact(level) => level.clamp(-7, zstd_safe::max_c_level()),
    };
    let size: usize = segments.clone().map(<[u8]>::len).sum();
    state
        .reset(ResetDirective::SessionOnly)
        .and_then(|_| state.set_parameter(CParameter::CompressionLevel(level)))
        // The frame then tells its size, and the reader makes one buffer.
        .and_then(|_| state.set_pledged_src_size(Some(size as u64)))
        .map_err(failed)?;
    out.reserve(size / 4 + 64);
    let mut segments = segments.peekable();
    loop {
        let segment = segments.next().unwrap_or_default();
        let last = segments.peek().is_none();
        stream(state, segment, last, out).map_err(failed)?;
        if last {
            return Ok(());
        }
    }
}

fn stream(
    state: &mut CCtx<'static>,
    segment: &[u8],
    last: bool,
    out: &mut Vec<u8>,
) -> Result<(), usize> {
    let directive = match last {
        true => ZSTD_EndDirective::ZSTD_e_end,
        false => ZSTD_EndDirective::ZSTD_e_continue,
    };
    let mut from = InBuffer::around(segment);
    loop {
        let filled = out.len();
        let mut to = OutBuffer::around_pos(out, filled);
        let left = state.compress_stream2(&mut to, &mut from, directive)?;
        if from.pos() == segment.len() && (left == 0 || !last) {
            return Ok(());
        }
        grow(out);
    }
}

fn snap<'a>(
    segments: impl Iterator<Item = &'a [u8]> + Clone,
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    let failed = |error| CompressError::new(Codec::Snappy, error);
    let mut rest = segments.clone();
    let joined: Vec<u8>;
    // A block is made of one piece.
    let whole = match (rest.next(), rest.next()) {
        (Some(only), None) => only,
        _ => {
            joined = segments.flatten().copied().collect();
            &joined
        }
    };
    let start = out.len();
    out.resize(start + snap::raw::max_compress_len(whole.len()), 0);
    let made = snap::raw::Encoder::new()
        .compress(whole, &mut out[start..])
        .map_err(failed)?;
    out.truncate(start + made);
    Ok(())
}

fn write_all<'a>(
    codec: Codec,
    to: &mut impl Write,
    segments: impl Iterator<Item = &'a [u8]>,
) -> Result<(), CompressError> {
    for segment in segments {
        to.write_all(segment)
            .map_err(|error| CompressError::new(codec, error))?;
    }
    Ok(())
}
