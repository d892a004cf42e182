//! What lies in the files, byte by byte: segment headers, record headers, notes.
//!
//! All numbers are little endian. `docs/disk-queue.md` describes the same for people.

use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};

/// The version of the format that this build writes; it reads that before as well, whose segments
/// end with their footer right behind the last record.
pub(crate) const VERSION: u16 = 2;

/// Bytes before the first record of a segment.
pub(crate) const SEGMENT_HEADER: usize = 64;

/// Bytes before a record's payload.
pub(crate) const RECORD_HEADER: usize = 64;

/// Bytes of one note in a marks, flights or deaths file.
pub(crate) const NOTE: usize = 16;

/// Records begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

const SEGMENT_MAGIC: [u8; 8] = *b"TDGJSEG\x01";
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"TdR\x01";

/// The identity of a log: what tells its records from all other bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogId {
    pub(crate) bytes: [u8; 16],
    /// The checksum of the identity, with which every other checksum begins.
    salt: u32,
}

impl LogId {
    pub(crate) fn new(bytes: [u8; 16]) -> Self {
        Self {
            bytes,
            salt: crc32c(&bytes),
        }
    }

    fn sum(self, bytes: &[u8]) -> u32 {
        crc32c_append(self.salt, bytes)
    }
}

/// The head of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log: LogId,
    pub(crate) segment: u32,
    /// Whether the segment before it was complete and synced when this one was begun.
    pub(crate) follows_settled: bool,
}

impl SegmentHeader {
    pub(crate) fn encode(self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.log.bytes);
        bytes[32] = u8::from(self.follows_settled);
        let sum = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the head of a segment; the error is its version, where that is not ours.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, u16> {
        if bytes.len() < SEGMENT_HEADER || bytes[..8] != SEGMENT_MAGIC {
            return Ok(None);
        }
        if crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Ok(None);
        }
        let version = u16::from_le_bytes(array(bytes, 8));
        if !(1..=VERSION).contains(&version) {
            return Err(version);
        }
        Ok(Some(Self {
            log: LogId::new(array(bytes, 16)),
            segment: u32_at(bytes, 12),
            follows_settled: bytes[32] != 0,
        }))
    }
}

/// What a header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A record: payload and context follow.
    Record,
    /// The end of a segment that takes no more; nothing follows.
    Footer,
}

/// What stands before a record, or instead of one at the end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) payload: u32,
    pub(crate) context: u16,
    /// The record's place in the segment's numbering; in a footer, the first unused one.
    pub(crate) ordinal: u32,
    pub(crate) segment: u32,
    /// Bytes of the segment that were known to be on disk when this was written.
    pub(crate) synced: u32,
    /// Milliseconds since 1970 by the clock of the writer.
    pub(crate) appended: u64,
    pub(crate) items: u64,
    pub(crate) id: [u8; 16],
    /// The checksum of payload and context.
    pub(crate) data_sum: u32,
}

impl Header {
    pub(crate) fn encode(&self, log: LogId) -> [u8; RECORD_HEADER] {
        let mut bytes = [0; RECORD_HEADER];
        let kind: u16 = match self.kind {
            Kind::Record => 1,
            Kind::Footer => 2,
        };
        bytes[..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4..8].copy_from_slice(&self.payload.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.context.to_le_bytes());
        bytes[10..12].copy_from_slice(&kind.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.ordinal.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.segment.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.synced.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.appended.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.items.to_le_bytes());
        bytes[40..56].copy_from_slice(&self.id);
        bytes[56..60].copy_from_slice(&self.data_sum.to_le_bytes());
        let sum = log.sum(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header of this log; anything else is none.
    pub(crate) fn decode(bytes: &[u8], log: LogId) -> Option<Self> {
        if bytes.len() < RECORD_HEADER || bytes[..4] != RECORD_MAGIC {
            return None;
        }
        if log.sum(&bytes[..60]) != u32_at(bytes, 60) {
            return None;
        }
        let kind = match u16::from_le_bytes(array(bytes, 10)) {
            1 => Kind::Record,
            2 => Kind::Footer,
            _ => return None,
        };
        Some(Self {
            kind,
            payload: u32_at(bytes, 4),
            context: u16::from_le_bytes(array(bytes, 8)),
            ordinal: u32_at(bytes, 12),
            segment: u32_at(bytes, 16),
            synced: u32_at(bytes, 20),
            appended: u64_at(bytes, 24),
            items: u64_at(bytes, 32),
            id: array(bytes, 40),
            data_sum: u32_at(bytes, 56),
        })
    }

    /// Bytes of payload and context.
    pub(crate) fn data(&self) -> u64 {
        u64::from(self.payload) + u64::from(self.context)
    }

    /// Bytes from this header to where the next one begins.
    pub(crate) fn span(&self) -> u64 {
        span(self.data())
    }
}

/// Bytes on disk of a record with so many bytes of payload and context.
pub(crate) fn span(data: u64) -> u64 {
    (RECORD_HEADER as u64 + data).next_multiple_of(ALIGNMENT as u64)
}

/// The checksum of a record's bytes, in the order in which they are written.
pub(crate) fn data_sum<'a>(parts: impl IntoIterator<Item = &'a Bytes>) -> u32 {
    parts
        .into_iter()
        .fold(0, |sum, part| crc32c_append(sum, part))
}

/// A few bytes about one record, each for itself: a lost or torn one harms no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) segment: u32,
    pub(crate) ordinal: u32,
    /// What it means is up to the file that it is in.
    pub(crate) value: u32,
}

impl Note {
    pub(crate) fn encode(self, log: LogId) -> [u8; NOTE] {
        let mut bytes = [0; NOTE];
        bytes[..4].copy_from_slice(&self.segment.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.ordinal.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.value.to_le_bytes());
        let sum = log.sum(&bytes[..12]);
        bytes[12..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Every whole note in the bytes; whatever is none is left out.
    pub(crate) fn decode_all(bytes: &[u8], log: LogId) -> impl Iterator<Item = Self> {
        bytes
            .chunks_exact(NOTE)
            .filter(move |note| log.sum(&note[..12]) == u32_at(note, 12))
            .map(|note| Self {
                segment: u32_at(note, 0),
                ordinal: u32_at(note, 4),
                value: u32_at(note, 8),
            })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            kind: Kind::Record,
            payload: 44_000,
            context: 12,
            ordinal: 7,
            segment: 3,
            synced: 128,
            appended: 1_700_000_000_000,
            items: 100,
            id: *b"0123456789abcdef",
            data_sum: 0xdead_beef,
        }
    }

    #[test]
    fn headers_come_back_as_they_were() {
        let log = LogId::new([9; 16]);
        assert_eq!(Header::decode(&header().encode(log), log), Some(header()));
        let segment = SegmentHeader {
            log,
            segment: 8,
            follows_settled: true,
        };
        assert_eq!(SegmentHeader::decode(&segment.encode()), Ok(Some(segment)));
    }

    #[test]
    fn a_header_of_another_log_is_none() {
        let bytes = header().encode(LogId::new([1; 16]));
        assert_eq!(Header::decode(&bytes, LogId::new([2; 16])), None);
    }

    #[test]
    fn a_later_version_is_told_apart_from_garbage() {
        let log = LogId::new([9; 16]);
        let mut bytes = SegmentHeader {
            log,
            segment: 8,
            follows_settled: false,
        }
        .encode();
        bytes[8] = 3;
        let sum = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(3));
        bytes[20] ^= 1;
        assert_eq!(SegmentHeader::decode(&bytes), Ok(None));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_makes_a_header_none(bit in 0_usize..512) {
            let log = LogId::new([9; 16]);
            let mut bytes = header().encode(log);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Header::decode(&bytes, log), None);
        }

        #[test]
        fn a_damaged_note_harms_no_other(bit in 0_usize..128, at in 0_usize..3) {
            let log = LogId::new([9; 16]);
            let notes = [1, 2, 3].map(|ordinal| Note { segment: 1, ordinal, value: 0 });
            let mut bytes: Vec<u8> = notes.iter().flat_map(|note| note.encode(log)).collect();
            bytes[at * NOTE + bit / 8] ^= 1 << (bit % 8);
            let read: Vec<Note> = Note::decode_all(&bytes, log).collect();
            let mut left = notes.to_vec();
            left.remove(at);
            prop_assert_eq!(read, left);
        }
    }

    #[test]
    fn zeros_are_no_note() {
        let log = LogId::new([0; 16]);
        assert_eq!(Note::decode_all(&[0; 64], log).count(), 0);
    }
}
