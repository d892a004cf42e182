//! Compression of requests: what HTTP's `content-encoding` and gRPC's `grpc-encoding` name.
//!
//! Both directions keep their state per thread, because making a fresh one costs more than a
//! small request. Decompression stops at a cap and asks for room as the output grows, so a
//! few bytes that stand for gigabytes cost no more than the cap.

mod compress;
mod decompress;
mod gzip;
mod stream;

#[cfg(test)]
mod tests;

pub use compress::{CompressError, Level, compress};
pub use decompress::{DecompressError, decompress};
pub use stream::GzipStream;

/// A compressed format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 1952; several members count as one stream.
    Gzip,
    /// RFC 1950. What HTTP calls `deflate` is this too.
    Zlib,
    /// RFC 8878; several frames count as one stream.
    Zstd,
    /// A snappy block. When read, the framed format is recognised and read as well, because
    /// gRPC clients and older collectors call that `snappy`.
    Snappy,
    /// Snappy's framing format.
    SnappyFramed,
    /// LZ4's frame format.
    Lz4,
}

impl Codec {
    /// The format that HTTP's `content-encoding` calls so, after the Collector's table.
    #[must_use]
    pub fn from_content_encoding(name: &str) -> Option<Self> {
        Some(match name {
            "gzip" => Self::Gzip,
            "zlib" | "deflate" => Self::Zlib,
            "zstd" => Self::Zstd,
            "snappy" => Self::Snappy,
            "x-snappy-framed" => Self::SnappyFramed,
            "lz4" => Self::Lz4,
            _ => return None,
        })
    }

    /// The format that gRPC's `grpc-encoding` calls so.
    #[must_use]
    pub fn from_grpc_encoding(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"gzip" => Self::Gzip,
            b"zstd" => Self::Zstd,
            b"snappy" => Self::Snappy,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
            Self::Snappy | Self::SnappyFramed => "snappy",
            Self::Lz4 => "lz4",
        }
    }
}
