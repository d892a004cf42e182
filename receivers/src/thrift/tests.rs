//! Both protocols, valid and not.

use proptest::prelude::*;

use super::testing::{Both, Wire, Writer, read};
use super::*;

/// Every field of a struct, as text.
struct Everything;

impl<'a> Both<'a, Result<String, Fault>> for Everything {
    fn with<P: Protocol<'a> + Clone>(self, mut from: P) -> Result<String, Fault> {
        let mut told = String::new();
        read_struct(&mut from, |from, field| {
            let value = match field.kind {
                Kind::Bool => from.truth_of(field)?.to_string(),
                Kind::I16 => from.i16()?.to_string(),
                Kind::I32 => from.i32()?.to_string(),
                Kind::I64 => from.i64()?.to_string(),
                Kind::Double => from.double()?.to_string(),
                Kind::Bytes => String::from_utf8_lossy(from.bytes()?).into_owned(),
                Kind::List => {
                    let mut count = 0;
                    read_structs(from, |from| {
                        count += 1;
                        read_struct(from, |_, _| Ok(false))
                    })?;
                    format!("{count} structs")
                }
                Kind::Struct | Kind::Map | Kind::I8 => return Ok(false),
            };
            told += &format!("{}={value} ", field.id);
            Ok(true)
        })?;
        Ok(told)
    }
}

#[test]
fn every_kind_of_value_is_read() {
    for wire in Wire::BOTH {
        let bytes = Writer::fields(wire, |fields| {
            fields.truth(1, true);
            fields.truth(2, false);
            fields.i16(3, -3);
            fields.i32(4, i32::MIN);
            fields.i64(5, i64::MIN);
            fields.i64(40, i64::MAX);
            fields.double(6, -1.5);
            fields.bytes(7, b"text");
            fields.nested(8, &Writer::fields(wire, |inner| inner.truth(1, true)));
            let one = Writer::fields(wire, |inner| inner.i32(1, 1));
            fields.list(9, &vec![one.clone(); 3]);
            fields.list(10, &vec![one; 20]);
        });
        let expected = "1=true 2=false 3=-3 4=-2147483648 5=-9223372036854775808 \
                        40=9223372036854775807 6=-1.5 7=text 9=3 structs 10=20 structs ";
        assert_eq!(
            read(wire, &bytes, Everything),
            Ok(expected.to_owned()),
            "{wire:?}"
        );
        for end in 0..bytes.len() {
            assert!(
                read(wire, &bytes[..end], Everything).is_err(),
                "{wire:?} {end}"
            );
        }
    }
}

/// The method of a call.
struct Method;

impl<'a> Both<'a, Result<&'a [u8], Fault>> for Method {
    fn with<P: Protocol<'a> + Clone>(self, mut from: P) -> Result<&'a [u8], Fault> {
        from.call()
    }
}

#[test]
fn calls_are_told_from_what_is_none() {
    for wire in Wire::BOTH {
        let call = Writer::call(wire, "emitBatch", &[0]);
        assert_eq!(read(wire, &call, Method), Ok(&b"emitBatch"[..]));
        let fault = read(wire, b"\x80\xff\xff\xff\xff", Method).unwrap_err();
        assert_eq!(fault.to_string(), "this is no call at byte 0");
    }
    // Old clients write no version.
    let old = [&[0, 0, 0, 2][..], b"go", &[1, 0, 0, 0, 1]].concat();
    assert_eq!(read(Wire::Binary, &old, Method), Ok(&b"go"[..]));
    let reply = [&[0, 0, 0, 2][..], b"go", &[2, 0, 0, 0, 1]].concat();
    assert!(read(Wire::Binary, &reply, Method).is_err());
}

/// A value that nobody knows.
struct Skip(Kind);

impl<'a> Both<'a, Result<(), Fault>> for Skip {
    fn with<P: Protocol<'a> + Clone>(self, mut from: P) -> Result<(), Fault> {
        from.skip_value(self.0, MAX_DEPTH)
    }
}

#[test]
fn maps_are_passed_over() {
    let binary = [13, 0, 1, 11, 8, 0, 0, 0, 1, 0, 0, 0, 1, b'k', 0, 0, 0, 7, 0];
    assert_eq!(read(Wire::Binary, &binary, Skip(Kind::Struct)), Ok(()));
    let compact = [0x1b, 1, 0x85, 1, b'k', 14, 0];
    assert_eq!(read(Wire::Compact, &compact, Skip(Kind::Struct)), Ok(()));
    assert_eq!(
        read(Wire::Compact, &[0x1b, 0, 0], Skip(Kind::Struct)),
        Ok(())
    );
}

#[test]
fn counts_and_lengths_past_the_end_are_refused_at_once() {
    for (wire, kind, bytes, told) in [
        (
            Wire::Binary,
            Kind::List,
            &[10, 0x7f, 0xff, 0xff, 0xff][..],
            "2147483647 elements pass the end at byte 5",
        ),
        (
            Wire::Binary,
            Kind::List,
            &[10, 0xff, 0xff, 0xff, 0xff],
            "length 4294967295 passes the end at byte 1",
        ),
        (
            Wire::Binary,
            Kind::Bytes,
            &[0, 0, 0, 2, 0],
            "length 2 passes the end at byte 4",
        ),
        (
            Wire::Binary,
            Kind::Map,
            &[8, 8, 0, 0, 0, 2, 0, 0, 0, 0],
            "2 elements pass the end at byte 6",
        ),
        (
            Wire::Compact,
            Kind::List,
            &[0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f],
            "4294967295 elements pass the end at byte 6",
        ),
        (
            Wire::Compact,
            Kind::Bytes,
            &[0xff; 6],
            "a number is longer than its type at byte 0",
        ),
        (
            Wire::Compact,
            Kind::I64,
            &[0xff; 11],
            "a number is longer than its type at byte 0",
        ),
        (
            Wire::Compact,
            Kind::Struct,
            &[0x1f],
            "type 15 does not exist at byte 1",
        ),
        (
            Wire::Binary,
            Kind::Struct,
            &[1],
            "type 1 does not exist at byte 0",
        ),
    ] {
        let fault = read(wire, bytes, Skip(kind)).unwrap_err();
        assert_eq!(fault.to_string(), told, "{wire:?} {bytes:?}");
    }
}

#[test]
fn what_nests_too_deep_is_refused() {
    let deep = [vec![0x1c; 40], vec![0; 41]].concat();
    let fault = read(Wire::Compact, &deep, Skip(Kind::Struct)).unwrap_err();
    assert_eq!(fault.what, What::TooDeep);
    let shallow = [vec![0x1c; 30], vec![0; 31]].concat();
    assert_eq!(read(Wire::Compact, &shallow, Skip(Kind::Struct)), Ok(()));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for wire in Wire::BOTH {
            let _ = read(wire, &bytes, Everything);
            let _ = read(wire, &bytes, Method);
            for kind in [Kind::List, Kind::Map, Kind::Struct, Kind::Bytes] {
                let _ = read(wire, &bytes, Skip(kind));
            }
        }
    }
}
