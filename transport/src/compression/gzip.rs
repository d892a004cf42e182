//! The header of a gzip member (RFC 1952, section 2.3).

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;

/// The bytes that the checksum and the length after a member take.
pub(super) const TRAILER: usize = 8;

/// What a writer puts before its data: no name, no time, unknown system.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Where the deflate stream of a member begins, or none where no whole header is there.
pub(super) fn data_start(member: &[u8]) -> Option<usize> {
    let [0x1f, 0x8b, 8, flags, ..] = *member else {
        return None;
    };
    let mut at = HEADER.len();
    if flags & FEXTRA != 0 {
        let length = member.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for text in [FNAME, FCOMMENT] {
        if flags & text != 0 {
            at += member.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    if flags & FHCRC != 0 {
        at += 2;
    }
    (at <= member.len()).then_some(at)
}

/// The checksum and the length (modulo 2^32) that end a member, from the bytes after its data.
pub(super) fn trailer(after: &[u8]) -> Option<(u32, u32)> {
    let (crc, rest) = after.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    Some((u32::from_le_bytes(*crc), u32::from_le_bytes(*length)))
}
