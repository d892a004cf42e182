//! Expectations are what `pcommon.Value.AsString` of the Collector's pdata 1.56 returns.

use common::any_value::Value;

use super::*;

fn text(value: Value) -> String {
    let message = common::AnyValue { value: Some(value) }.encode_to_vec();
    let mut text = String::new();
    AnyValue::of(&message).write_text(&mut text).unwrap();
    text
}

fn string(text: &str) -> common::AnyValue {
    common::AnyValue {
        value: Some(Value::StringValue(text.to_owned())),
    }
}

fn value(value: Value) -> common::AnyValue {
    common::AnyValue { value: Some(value) }
}

fn map(entries: &[(&str, common::AnyValue)]) -> Value {
    Value::KvlistValue(common::KeyValueList {
        values: entries
            .iter()
            .map(|(key, value)| common::KeyValue {
                key: (*key).to_owned(),
                value: Some(value.clone()),
                ..Default::default()
            })
            .collect(),
    })
}

fn list(values: &[common::AnyValue]) -> Value {
    Value::ArrayValue(common::ArrayValue {
        values: values.to_vec(),
    })
}

#[test]
fn scalars_are_written_bare() {
    assert_eq!(
        text(Value::StringValue("a \"b\" <c>".into())),
        "a \"b\" <c>"
    );
    assert_eq!(text(Value::BoolValue(true)), "true");
    assert_eq!(text(Value::IntValue(i64::MIN)), "-9223372036854775808");
    for (bytes, encoded) in [
        (&b""[..], ""),
        (b"f", "Zg=="),
        (b"fo", "Zm8="),
        (b"foo", "Zm9v"),
        (b"\xfb\xff\xfe", "+//+"),
    ] {
        assert_eq!(text(Value::BytesValue(bytes.to_vec())), encoded);
    }
    let mut nothing = String::new();
    AnyValue::Empty.write_text(&mut nothing).unwrap();
    assert_eq!(nothing, "");
}

#[test]
fn doubles_are_written_as_ecmascript_does() {
    for (double, written) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (1.5, "1.5"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (-1.25e-9, "-1.25e-9"),
        (1e-10, "1e-10"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        (f64::NAN, "json: unsupported value: NaN"),
        (f64::INFINITY, "json: unsupported value: +Inf"),
        (f64::NEG_INFINITY, "json: unsupported value: -Inf"),
    ] {
        assert_eq!(text(Value::DoubleValue(double)), written);
    }
}

#[test]
fn maps_and_lists_are_written_as_json_with_sorted_keys() {
    let inner = value(map(&[
        ("z", string("1")),
        ("a", value(Value::BoolValue(false))),
    ]));
    let outer = map(&[
        ("b", inner),
        (
            "a",
            value(list(&[
                string("x"),
                common::AnyValue::default(),
                value(Value::IntValue(-3)),
            ])),
        ),
        ("bytes", value(Value::BytesValue(vec![1, 2, 3]))),
        ("", value(list(&[]))),
    ]);
    assert_eq!(
        text(outer),
        r#"{"":[],"a":["x",null,-3],"b":{"a":false,"z":"1"},"bytes":"AQID"}"#
    );
}

#[test]
fn of_equal_keys_in_a_map_the_last_is_written() {
    let twice = map(&[("a", string("1")), ("b", string("2")), ("a", string("3"))]);
    assert_eq!(text(twice), r#"{"a":"3","b":"2"}"#);
}

#[test]
fn json_text_is_escaped_for_html_too() {
    let special = list(&[string(
        "\"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}<>&\u{2028}\u{2029}é😀",
    )]);
    assert_eq!(
        text(special),
        "[\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\u{7f}\\u003c\\u003e\\u0026\\u2028\\u2029é😀\"]"
    );
}

#[test]
fn a_list_with_a_number_that_json_lacks_is_written_as_nothing() {
    assert_eq!(text(list(&[value(Value::DoubleValue(f64::NAN))])), "");
    let hidden = map(&[
        ("a", value(Value::DoubleValue(f64::NAN))),
        ("a", string("b")),
    ]);
    assert_eq!(text(hidden), r#"{"a":"b"}"#);
}

#[test]
fn bytes_that_are_no_utf8_become_replacement_characters() {
    // A string value of one stray byte, and the same in a list.
    let mut bare = String::new();
    AnyValue::of(b"\x0a\x03a\xffb")
        .write_text(&mut bare)
        .unwrap();
    assert_eq!(bare, "a\u{fffd}b");
    let mut listed = String::new();
    AnyValue::of(b"\x2a\x08\x0a\x06\x0a\x04\xe2\x82ab")
        .write_text(&mut listed)
        .unwrap();
    assert_eq!(listed, "[\"\\ufffd\\ufffdab\"]");
}

#[test]
fn endless_nesting_ends() {
    let mut nested = Vec::new();
    for _ in 0..500 {
        let inner = std::mem::take(&mut nested);
        crate::wire::put_head(&mut nested, 5, crate::wire::field_len(1, inner.len()));
        crate::wire::put_bytes(&mut nested, 1, &inner);
    }
    let mut text = String::new();
    AnyValue::of(&nested).write_text(&mut text).unwrap();
    assert_eq!(text, format!("{}null{}", "[".repeat(64), "]".repeat(64)));
}
