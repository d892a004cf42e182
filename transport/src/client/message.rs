//! A request's message: the five bytes before it, then its segments as they are or compressed.

use bytes::Bytes;
use smallvec::SmallVec;

use super::pieces::joined;
use crate::compression::{Codec, Level, compress};
use crate::grpc::{PREFIX, Prefix};

/// A body that is larger is compressed on a blocking thread, so that nothing else on the
/// worker waits for it.
pub(super) const LONG_COMPRESSION: usize = 256 << 10;

const TOO_LARGE: &str = "the request is 4 GiB or larger";

/// A message in the pieces in which it is sent; cloning copies no bytes.
#[derive(Clone, Debug)]
pub struct Message {
    pub(super) pieces: SmallVec<[Bytes; 4]>,
    pub(super) encoding: Option<&'static str>,
}

impl Message {
    /// The message that these segments make together, uncompressed.
    ///
    /// # Errors
    /// When they are 4 GiB or more, which gRPC cannot say.
    pub(super) fn plain<'a>(
        segments: impl Iterator<Item = &'a Bytes> + Clone,
    ) -> Result<Self, String> {
        let length = segments.clone().map(Bytes::len).sum::<usize>();
        let prefix = Prefix {
            flags: 0,
            length: u32::try_from(length).map_err(|_| TOO_LARGE)?,
        };
        Ok(Self {
            pieces: joined(&prefix.bytes(), segments.cloned()),
            encoding: None,
        })
    }

    /// The message that these segments make together, compressed into one piece.
    ///
    /// # Errors
    /// When the codec fails, or the result is 4 GiB or more.
    pub(super) fn compressed<'a>(
        encoding: Encoding,
        segments: impl Iterator<Item = &'a Bytes> + Clone,
    ) -> Result<Self, String> {
        let mut out = vec![0; PREFIX];
        let segments = segments.map(|segment| &**segment);
        compress(encoding.codec, encoding.level, segments, &mut out)
            .map_err(|error| error.to_string())?;
        let length = u32::try_from(out.len() - PREFIX).map_err(|_| TOO_LARGE)?;
        out[..PREFIX].copy_from_slice(&Prefix { flags: 1, length }.bytes());
        Ok(Self {
            pieces: SmallVec::from_iter([Bytes::from(out)]),
            encoding: Some(encoding.name),
        })
    }
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// As `grpc-encoding` names it.
    pub(super) name: &'static str,
    pub(super) codec: Codec,
    pub(super) level: Level,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(message: &Message) -> Vec<u8> {
        message.pieces.iter().flatten().copied().collect()
    }

    fn segments(sizes: &[usize]) -> Vec<Bytes> {
        let filled = |(at, size): (usize, &usize)| Bytes::from(vec![at as u8; *size]);
        sizes.iter().enumerate().map(filled).collect()
    }

    #[test]
    fn the_pieces_are_the_prefix_and_the_segments_in_order() {
        for sizes in [vec![], vec![0], vec![5], vec![1, 100_000, 2, 3]] {
            let segments = segments(&sizes);
            let message = Message::plain(segments.iter()).unwrap();
            let bytes = whole(&message);
            let length = u32::try_from(sizes.iter().sum::<usize>()).unwrap();
            assert_eq!(bytes[0], 0);
            assert_eq!(bytes[1..PREFIX], length.to_be_bytes());
            assert_eq!(bytes[PREFIX..], *segments.concat());
        }
    }

    #[test]
    fn a_compressed_message_says_so_and_reads_back() {
        let segments = segments(&[100, 50_000, 3]);
        let encoding = Encoding {
            name: "gzip",
            codec: Codec::Gzip,
            level: Level::Default,
        };
        let message = Message::compressed(encoding, segments.iter()).unwrap();
        let bytes = whole(&message);
        assert_eq!(bytes[0], 1);
        assert_eq!(
            bytes[1..PREFIX],
            ((bytes.len() - PREFIX) as u32).to_be_bytes()
        );
        let read =
            crate::compression::decompress(Codec::Gzip, &bytes[PREFIX..], 1 << 20, &mut |_| true);
        assert_eq!(read.unwrap(), segments.concat());
    }
}
