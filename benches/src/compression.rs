//! The compressions both sides of a run can use.

use std::io::{Read, Write};

use bytes::Bytes;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A compression, by the name that `grpc-encoding` and `content-encoding` give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The header value, `None` where the header is left out.
    pub(crate) fn header(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        }
    }

    /// Reads a header value; an unknown name is an error.
    pub(crate) fn of_header(value: &[u8]) -> Option<Compression> {
        match value {
            b"" | b"identity" => Some(Compression::None),
            b"gzip" => Some(Compression::Gzip),
            b"zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Compresses at the level that clients use by default (gzip 6, zstd 3).
    pub(crate) fn compress(self, plain: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Compression::None => Ok(plain.to_vec()),
            Compression::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(plain)?;
                encoder.finish()
            }
            Compression::Zstd => zstd::bulk::compress(plain, 3),
        }
    }

    /// Decompresses a body of at most `cap` bytes; a longer one is an error.
    pub(crate) fn decompress(self, packed: Bytes, cap: u64) -> std::io::Result<Bytes> {
        let mut plain = Vec::with_capacity(packed.len() * 4);
        match self {
            Compression::None => return Ok(packed),
            Compression::Gzip => {
                let decoder = flate2::read::MultiGzDecoder::new(packed.as_ref());
                decoder.take(cap + 1).read_to_end(&mut plain)?;
            }
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed.as_ref())?;
                decoder.take(cap + 1).read_to_end(&mut plain)?;
            }
        }
        if plain.len() as u64 > cap {
            return Err(std::io::Error::other("the body inflates past the cap"));
        }
        Ok(plain.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_survives_every_compression() {
        let plain = b"telemetry ".repeat(100);
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let packed = compression.compress(&plain).unwrap();
            let back = compression.decompress(packed.into(), 10_000).unwrap();
            assert_eq!(back, plain);
        }
    }

    #[test]
    fn a_body_past_the_cap_is_an_error() {
        let packed = Compression::Gzip.compress(&[0; 10_000]).unwrap();
        assert!(Compression::Gzip.decompress(packed.into(), 9_999).is_err());
    }
}
