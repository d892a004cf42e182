//! Decompression into one buffer, capped.

use std::cell::RefCell;
use std::io::Read;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zstd::zstd_safe::{self, DCtx, InBuffer, OutBuffer, ResetDirective};

use super::{Codec, gzip};

/// Why bytes could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// They are not what they are called.
    #[error("{codec}: {reason}")]
    Corrupt {
        /// What they are called.
        codec: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// They stand for more than is taken.
    #[error("the body is larger than {max} bytes after decompression")]
    TooLarge {
        /// The cap in bytes.
        max: usize,
    },
    /// There is no room for the result now.
    #[error("there is no room for the decompressed body")]
    NoRoom,
}

/// Decompresses `input` into a buffer of exactly its size, of at most `max` bytes.
///
/// Before the buffer is made and each time it grows, `room` is asked for the bytes that it
/// will take.
///
/// # Errors
/// When the input is corrupt or stands for more than `max`, or `room` says no.
pub fn decompress(
    codec: Codec,
    input: &[u8],
    max: usize,
    room: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<u8>, DecompressError> {
    let mut output = Output {
        bytes: Vec::new(),
        codec,
        max,
        room,
    };
    match codec {
        Codec::Gzip => with_state(|state| gunzip(state, input, &mut output))?,
        Codec::Zlib => with_state(|state| {
            state.inflate.reset(true);
            output.start(None, input.len())?;
            inflate(&mut state.inflate, input, &mut output).map(drop)
        })?,
        Codec::Zstd => with_state(|state| unzstd(&mut state.zstd, input, &mut output))?,
        Codec::Snappy if !input.starts_with(SNAPPY_STREAM) => unsnap(input, &mut output)?,
        Codec::Snappy | Codec::SnappyFramed => {
            output.read(snap::read::FrameDecoder::new(input), input.len())?;
        }
        Codec::Lz4 => unlz4(input, &mut output)?,
    }
    output.finish()
}

/// What every stream in snappy's framing format begins with.
const SNAPPY_STREAM: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// The most that one byte of deflate can stand for (zlib's technical notes).
const DEFLATE_RATIO: usize = 1032;

struct State {
    inflate: Decompress,
    zstd: DCtx<'static>,
}

fn with_state<T>(run: impl FnOnce(&mut State) -> T) -> T {
    thread_local! {
        static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
    }
    STATE.with_borrow_mut(|state| {
        run(state.get_or_insert_with(|| State {
            inflate: Decompress::new(false),
            zstd: DCtx::create(),
        }))
    })
}

/// The buffer that a codec writes to.
struct Output<'a> {
    bytes: Vec<u8>,
    codec: Codec,
    max: usize,
    room: &'a mut dyn FnMut(usize) -> bool,
}

impl Output<'_> {
    /// Makes the buffer: of the known size, or of a guess from the input's.
    fn start(&mut self, size: Option<usize>, input: usize) -> Result<(), DecompressError> {
        match size {
            Some(size) if size > self.max => Err(self.too_large()),
            Some(size) => self.reserve(size),
            None => self.reserve(input.saturating_mul(4).max(1024)),
        }
    }

    /// Makes place for more where the buffer is full.
    fn grow(&mut self) -> Result<(), DecompressError> {
        if self.bytes.len() > self.max {
            return Err(self.too_large());
        }
        if self.bytes.len() == self.bytes.capacity() {
            self.reserve(self.bytes.capacity().saturating_mul(2).max(1024))?;
        }
        Ok(())
    }

    fn reserve(&mut self, capacity: usize) -> Result<(), DecompressError> {
        // One byte past the cap tells a body that ends there from one that goes on.
        let capacity = capacity.min(self.max.saturating_add(1));
        if !(self.room)(capacity) {
            return Err(DecompressError::NoRoom);
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
        Ok(())
    }

    /// Reads to where the reader says it ends.
    fn read(&mut self, mut from: impl Read, input: usize) -> Result<(), DecompressError> {
        self.start(None, input)?;
        self.read_on(&mut from)
    }

    fn read_on(&mut self, from: &mut impl Read) -> Result<(), DecompressError> {
        loop {
            self.grow()?;
            let (start, end) = (self.bytes.len(), self.bytes.capacity());
            self.bytes.resize(end, 0);
            let read = from.read(&mut self.bytes[start..]);
            self.bytes
                .truncate(start + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(self.corrupt(error.to_string())),
            }
        }
    }

    fn finish(mut self) -> Result<Vec<u8>, DecompressError> {
        if self.bytes.len() > self.max {
            return Err(self.too_large());
        }
        self.bytes.shrink_to_fit();
        Ok(self.bytes)
    }

    fn corrupt(&self, reason: impl Into<String>) -> DecompressError {
        DecompressError::Corrupt {
            codec: self.codec.name(),
            reason: reason.into(),
        }
    }

    const fn too_large(&self) -> DecompressError {
        DecompressError::TooLarge { max: self.max }
    }
}

fn gunzip(state: &mut State, input: &[u8], output: &mut Output<'_>) -> Result<(), DecompressError> {
    // The length at the end is that of the last member alone: right for all but odd streams,
    // and no more than a guess for them.
    let size = input
        .len()
        .checked_sub(gzip::TRAILER)
        .and_then(|at| gzip::trailer(&input[at..]))
        .map(|(_, length)| length as usize)
        .filter(|size| *size <= output.max && *size / DEFLATE_RATIO <= input.len());
    output.start(size, input.len())?;
    let mut rest = input;
    loop {
        let start = gzip::data_start(rest).ok_or_else(|| output.corrupt("invalid header"))?;
        let before = output.bytes.len();
        state.inflate.reset(false);
        let after = &rest[start..];
        let used = inflate(&mut state.inflate, after, output)?;
        let (crc, length) =
            gzip::trailer(&after[used..]).ok_or_else(|| output.corrupt("unexpected end"))?;
        let mut found = Crc::new();
        found.update(&output.bytes[before..]);
        if (crc, length) != (found.sum(), found.amount()) {
            return Err(output.corrupt("invalid checksum"));
        }
        rest = &after[used + gzip::TRAILER..];
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// Inflates one stream and says how many bytes of the input it took.
fn inflate(
    state: &mut Decompress,
    input: &[u8],
    output: &mut Output<'_>,
) -> Result<usize, DecompressError> {
    loop {
        let used = state.total_in() as usize;
        let made = output.bytes.len();
        let status = state
            .decompress_vec(&input[used..], &mut output.bytes, FlushDecompress::None)
            .map_err(|error| output.corrupt(error.message().unwrap_or("damaged")))?;
        let now = state.total_in() as usize;
        if status == Status::StreamEnd {
            return Ok(now);
        }
        if output.bytes.len() == output.bytes.capacity() {
            output.grow()?;
        } else if now == used && output.bytes.len() == made {
            return Err(output.corrupt("unexpected end"));
        }
    }
}

fn unzstd(
    state: &mut DCtx<'static>,
    input: &[u8],
    output: &mut Output<'_>,
) -> Result<(), DecompressError> {
    let error = |code| zstd_safe::get_error_name(code);
    // A frame may ask for a window of 128 MiB, but no more of it is touched than there is output.
    state
        .reset(ResetDirective::SessionOnly)
        .map_err(|code| output.corrupt(error(code)))?;
    let size =
        zstd_safe::get_frame_content_size(input).map_err(|_| output.corrupt("invalid header"))?;
    let size = size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    output.start(size, input.len())?;
    let mut from = InBuffer::around(input);
    loop {
        let made = output.bytes.len();
        let full = output.bytes.capacity();
        let mut to = OutBuffer::around_pos(&mut output.bytes, made);
        let left = state.decompress_stream(&mut to, &mut from);
        let left = left.map_err(|code| output.corrupt(error(code)))?;
        let all = from.pos() == input.len();
        if left == 0 && all {
            return Ok(());
        }
        if output.bytes.len() == full {
            output.grow()?;
        } else if all {
            return Err(output.corrupt("unexpected end"));
        }
    }
}

fn unsnap(input: &[u8], output: &mut Output<'_>) -> Result<(), DecompressError> {
    let size = snap::raw::decompress_len(input).map_err(|e| output.corrupt(e.to_string()))?;
    output.start(Some(size), input.len())?;
    output.bytes.resize(size, 0);
    snap::raw::Decoder::new()
        .decompress(input, &mut output.bytes)
        .map(drop)
        .map_err(|e| output.corrupt(e.to_string()))
}

/// An input whose end is an error: LZ4's decoder takes it for the end of a frame otherwise.
struct Endless<'a>(&'a [u8]);

impl Read for Endless<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(to)? {
            0 if !to.is_empty() => Err(std::io::Error::other("unexpected end")),
            read => Ok(read),
        }
    }
}

fn unlz4(input: &[u8], output: &mut Output<'_>) -> Result<(), DecompressError> {
    output.start(None, input.len())?;
    let mut from = lz4_flex::frame::FrameDecoder::new(Endless(input));
    loop {
        // Ends with each frame.
        output.read_on(&mut from)?;
        if from.get_ref().0.is_empty() {
            return Ok(());
        }
    }
}
