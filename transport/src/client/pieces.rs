//! Pieces: the buffers in which a body goes to its connection.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

/// Segments from this size on are sent as they lie; smaller ones are copied together.
///
/// A frame and a system call of its own would cost more than the copy, and peers count many
/// small frames as an attack.
const LARGE: usize = 16 << 10;

/// The most that small segments are copied together to.
const JOINED: usize = 64 << 10;

/// The pieces of a body that begins with `prefix` and goes on with these segments.
pub(super) fn joined(
    prefix: &[u8],
    segments: impl IntoIterator<Item = Bytes>,
) -> SmallVec<[Bytes; 4]> {
    let mut segments = segments.into_iter().filter(|segment| !segment.is_empty());
    let mut pieces = SmallVec::new();
    let mut open = BytesMut::new();
    open.put_slice(prefix);
    let close = |open: &mut BytesMut, pieces: &mut SmallVec<[Bytes; 4]>| {
        if !open.is_empty() {
            pieces.push(open.split().freeze());
        }
    };
    let Some(first) = segments.next() else {
        close(&mut open, &mut pieces);
        return pieces;
    };
    let mut next = Some(first);
    while let Some(segment) = next {
        next = segments.next();
        // One alone need not be copied, however small.
        let alone = open.is_empty() && next.is_none();
        if segment.len() >= LARGE || alone {
            close(&mut open, &mut pieces);
            pieces.push(segment);
            continue;
        }
        if open.len() + segment.len() > JOINED {
            close(&mut open, &mut pieces);
        }
        open.put_slice(&segment);
    }
    close(&mut open, &mut pieces);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(sizes: &[usize]) -> Vec<Bytes> {
        let filled = |(at, size): (usize, &usize)| Bytes::from(vec![at as u8; *size]);
        sizes.iter().enumerate().map(filled).collect()
    }

    #[test]
    fn pieces_are_the_segments_in_order_and_of_bounded_size() {
        for sizes in [
            vec![],
            vec![0],
            vec![5],
            vec![LARGE],
            vec![1, LARGE, 0, 2, 3, LARGE + 7, 4],
            vec![LARGE - 1; 20],
            vec![10; 100_000],
        ] {
            let segments = segments(&sizes);
            for prefix in [&b""[..], b"12345"] {
                let pieces = joined(prefix, segments.iter().cloned());
                assert!(pieces.concat() == [prefix, &segments.concat()].concat());
                assert!(pieces.iter().all(|piece| !piece.is_empty()));
                let small = pieces.iter().filter(|piece| piece.len() < LARGE).count();
                let large = sizes.iter().filter(|size| **size >= LARGE).count();
                assert!(small <= large + 1, "{sizes:?}");
            }
        }
    }

    #[test]
    fn large_segments_and_those_alone_are_not_copied() {
        let segments = segments(&[LARGE, 10, LARGE]);
        let pieces = joined(b"12345", segments.iter().cloned());
        assert_eq!(pieces.len(), 4);
        assert_eq!(pieces[1].as_ptr(), segments[0].as_ptr());
        assert_eq!(pieces[3].as_ptr(), segments[2].as_ptr());
        let alone = joined(b"", [segments[1].clone()]);
        assert_eq!(alone[0].as_ptr(), segments[1].as_ptr());
    }
}
