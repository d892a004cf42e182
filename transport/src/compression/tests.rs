use proptest::prelude::*;

use super::*;

const CODECS: [Codec; 6] = [
    Codec::Gzip,
    Codec::Zlib,
    Codec::Zstd,
    Codec::Snappy,
    Codec::SnappyFramed,
    Codec::Lz4,
];

fn packed(codec: Codec, segments: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(codec, Level::Default, segments.iter().copied(), &mut out).unwrap();
    out
}

fn unpacked(codec: Codec, input: &[u8], max: usize) -> Result<Vec<u8>, DecompressError> {
    decompress(codec, input, max, &mut |_| true)
}

fn repetitive(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251 / 7) as u8).collect()
}

proptest! {
    #[test]
    fn what_was_compressed_comes_back(
        segments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 0..4),
        level in -10..30,
    ) {
        let whole = segments.concat();
        for codec in CODECS {
            let mut out = b"ahead".to_vec();
            let parts = segments.iter().map(Vec::as_slice);
            compress(codec, Level::Exact(level), parts, &mut out).unwrap();
            prop_assert!(out.starts_with(b"ahead"));
            let back = unpacked(codec, &out[5..], whole.len()).unwrap();
            prop_assert_eq!(back.capacity(), back.len());
            prop_assert_eq!(&back, &whole);
        }
    }

    #[test]
    fn damaged_input_never_panics(
        at in 0usize..400, byte in any::<u8>(), cut in 0usize..400,
    ) {
        for codec in CODECS {
            let mut input = packed(codec, &[&repetitive(3000)]);
            let (at, cut) = (at % input.len(), cut % input.len());
            input[at] = byte;
            let _ = unpacked(codec, &input, 10_000);
            let _ = unpacked(codec, &input[..cut], 10_000);
        }
    }
}

#[test]
fn cut_off_input_is_corrupt() {
    for codec in CODECS {
        let input = packed(codec, &[&repetitive(100_000)]);
        for cut in [1, input.len() / 2, input.len() - 1] {
            let result = unpacked(codec, &input[..cut], 1 << 20);
            assert!(
                matches!(result, Err(DecompressError::Corrupt { .. })),
                "{codec:?} cut at {cut}"
            );
        }
    }
}

#[test]
fn a_bomb_stops_at_the_cap_and_takes_no_more_room() {
    for codec in CODECS {
        let bomb = packed(codec, &[&vec![0; 64 << 20]]);
        let mut most = 0;
        let result = decompress(codec, &bomb, 1 << 20, &mut |bytes| {
            most = most.max(bytes);
            true
        });
        assert!(matches!(result, Err(DecompressError::TooLarge { .. })));
        assert!(most <= (1 << 20) + 1, "{codec:?} took {most}");
    }
}

#[test]
fn a_body_of_exactly_the_cap_is_taken() {
    for codec in CODECS {
        let body = repetitive(70_000);
        let input = packed(codec, &[&body]);
        assert_eq!(unpacked(codec, &input, body.len()).unwrap(), body);
        let over = unpacked(codec, &input, body.len() - 1);
        assert!(matches!(over, Err(DecompressError::TooLarge { .. })));
    }
}

#[test]
fn stops_where_there_is_no_room() {
    for codec in CODECS {
        let input = packed(codec, &[&repetitive(1 << 20)]);
        let result = decompress(codec, &input, 4 << 20, &mut |bytes| bytes < 100_000);
        assert!(matches!(result, Err(DecompressError::NoRoom)), "{codec:?}");
    }
}

#[test]
fn several_members_are_one_stream() {
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Lz4] {
        let mut input = packed(codec, &[b"one "]);
        input.extend(packed(codec, &[b""]));
        input.extend(packed(codec, &[b"stream"]));
        assert_eq!(unpacked(codec, &input, 100).unwrap(), b"one stream");
    }
}

#[test]
fn bytes_after_the_end_are_corrupt_gzip() {
    let mut input = packed(Codec::Gzip, &[b"body"]);
    input.push(0);
    let result = unpacked(Codec::Gzip, &input, 100);
    assert!(matches!(result, Err(DecompressError::Corrupt { .. })));
}

#[test]
fn a_gzip_header_may_carry_a_name_a_comment_and_more() {
    let plain = packed(Codec::Gzip, &[b"body"]);
    let mut input = vec![0x1f, 0x8b, 8, 0b1_1110, 0, 0, 0, 0, 0, 3];
    input.extend(b"\x03\x00abcname\0comment\0\x12\x34");
    input.extend(&plain[10..]);
    assert_eq!(unpacked(Codec::Gzip, &input, 100).unwrap(), b"body");
}

#[test]
fn a_wrong_gzip_checksum_is_told() {
    let mut input = packed(Codec::Gzip, &[b"body"]);
    let at = input.len() - 8;
    input[at] ^= 1;
    let error = unpacked(Codec::Gzip, &input, 100).unwrap_err();
    assert_eq!(error.to_string(), "gzip: invalid checksum");
}

#[test]
fn snappy_is_read_in_either_format() {
    let framed = packed(Codec::SnappyFramed, &[b"body"]);
    assert_eq!(unpacked(Codec::Snappy, &framed, 100).unwrap(), b"body");
}

#[test]
fn a_gzip_length_that_lies_is_only_a_guess() {
    let mut whole = packed(Codec::Gzip, &[&repetitive(5000)]);
    whole.extend(packed(Codec::Gzip, &[b"tail"]));
    let back = unpacked(Codec::Gzip, &whole, 1 << 20).unwrap();
    assert_eq!(back.len(), 5004);
    assert_eq!(back.capacity(), 5004);
}

proptest! {
    #[test]
    fn a_stream_of_pieces_reads_back_as_one_body(
        pieces in prop::collection::vec(prop::collection::vec(0u8..4, 0..70_000), 0..4),
        level in 0u32..12,
    ) {
        let mut stream = GzipStream::new(level);
        let mut out = Vec::new();
        for piece in &pieces {
            stream.push(piece, &mut out);
        }
        stream.finish(&mut out);
        let whole = pieces.concat();
        prop_assert_eq!(unpacked(Codec::Gzip, &out, whole.len()).unwrap(), whole);
    }
}
