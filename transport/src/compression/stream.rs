//! Compression of a body whose pieces are made one by one.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::gzip;

/// Room that the compressor gets at a time.
const ROOM: usize = 16 << 10;

/// A gzip stream (RFC 1952) that is written piece by piece.
#[derive(Debug)]
pub struct GzipStream {
    state: Compress,
    crc: Crc,
    begun: bool,
}

impl GzipStream {
    /// A stream at a level from 0 to 9.
    #[must_use]
    pub fn new(level: u32) -> Self {
        Self {
            state: Compress::new(Compression::new(level.min(9)), false),
            crc: Crc::new(),
            begun: false,
        }
    }

    /// Compresses a piece; what comes of it may stay inside until there is more.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.begin(out);
        self.crc.update(piece);
        let mut rest = piece;
        while !rest.is_empty() {
            let before = self.state.total_in();
            self.step(rest, out, FlushCompress::None);
            let taken = self.state.total_in() - before;
            rest = usize::try_from(taken)
                .ok()
                .and_then(|taken| rest.get(taken..))
                .unwrap_or_default();
        }
    }

    /// Ends the stream.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.begin(out);
        while self.step(&[], out, FlushCompress::Finish) != Status::StreamEnd {}
        out.extend_from_slice(&self.crc.sum().to_le_bytes());
        out.extend_from_slice(&self.crc.amount().to_le_bytes());
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            out.extend_from_slice(&gzip::HEADER);
            self.begun = true;
        }
    }

    fn step(&mut self, input: &[u8], out: &mut Vec<u8>, flush: FlushCompress) -> Status {
        out.reserve(ROOM);
        self.state
            .compress_vec(input, out, flush)
            .expect("deflate fails only where it is called out of order")
    }
}
