use proptest::prelude::*;

use super::*;

#[test]
fn positions_count_from_the_outermost_buffer() {
    let mut inner = Vec::new();
    put_uint(&mut inner, 3, 300);
    put_fixed64(&mut inner, 4, 7);
    let mut outer = Vec::new();
    put_fixed32(&mut outer, 1, 9);
    put_bytes(&mut outer, 2, &inner);

    let fields: Vec<_> = Cursor::new(&outer).collect();
    assert_eq!(
        (fields[0].start, fields[0].end, fields[0].scalar),
        (0, 5, 9)
    );
    assert_eq!((fields[1].start, fields[1].body()), (5, 7));
    let nested: Vec<_> = fields[1].message().collect();
    assert_eq!(
        (nested[0].number, nested[0].start, nested[0].scalar),
        (3, 7, 300)
    );
    assert_eq!((nested[1].start, nested[1].end), (10, outer.len()));
}

#[test]
fn faults_say_what_and_where() {
    let fault = |bytes: &[u8]| {
        let mut cursor = Cursor::new(bytes);
        loop {
            match cursor.field() {
                Ok(Some(_)) => {}
                Ok(None) => return "none".to_owned(),
                Err(malformed) => return malformed.to_string(),
            }
        }
    };
    assert_eq!(fault(&[0x08, 0x80]), "the value is cut off at byte 1");
    assert_eq!(
        fault(&[0x08, 1, 0x0a, 5, 0]),
        "length 5 passes the end at byte 3"
    );
    assert_eq!(fault(&[0x00]), "field number 0 does not exist at byte 0");
    assert_eq!(fault(&[0x0e]), "wire type 6 does not exist at byte 0");
    assert_eq!(fault(&[0x0c]), "a group ends that was not begun at byte 0");
    assert_eq!(fault(&[0x0b, 0x08, 1]), "a group is not ended at byte 3");
    assert_eq!(
        fault(&[0x0b, 0x14]),
        "a group ends that was not begun at byte 1"
    );
    assert_eq!(fault(&[0x0b, 0x08, 1, 0x0c]), "none");
    let mut eleven = vec![0x08];
    eleven.extend([0xff; 10]);
    assert_eq!(fault(&eleven), "a varint is longer than 64 bits at byte 1");
    let mut sixty_five = vec![0x08];
    sixty_five.extend([0xff; 9]);
    sixty_five.push(2);
    assert_eq!(
        fault(&sixty_five),
        "a varint is longer than 64 bits at byte 1"
    );
}

#[test]
fn groups_nest_to_the_limit_and_no_deeper() {
    let nested = |levels| {
        let mut bytes = vec![0x0b; levels];
        bytes.extend(vec![0x0c; levels]);
        Cursor::new(&bytes).field().map(|field| field.unwrap().end)
    };
    assert_eq!(nested(MAX_DEPTH), Ok(2 * MAX_DEPTH));
    assert_eq!(nested(MAX_DEPTH + 1).unwrap_err().fault, Fault::TooDeep);
}

proptest! {
    #[test]
    fn varints_come_back_as_written(value: u64, shift in 0..64_u32) {
        let value = value >> shift;
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value);
        prop_assert_eq!(bytes.len(), varint_len(value));
        let mut cursor = Cursor::new(&bytes);
        prop_assert_eq!(cursor.varint(), Ok(value));
        prop_assert!(cursor.is_done());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let mut cursor = Cursor::new(&bytes);
        let mut end = 0;
        while let Ok(Some(field)) = cursor.field() {
            prop_assert_eq!(field.start, end);
            prop_assert!(field.end > field.start && field.end <= bytes.len());
            end = field.end;
        }
    }
}
