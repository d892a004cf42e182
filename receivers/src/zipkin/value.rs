//! Values of tags, which are texts all of them.

use tidegate_pdata::compose::Value;

/// The value of a tag: the text, or what the text says where `parse` is set.
///
/// A number that is too large for its type stays a text.
pub(super) fn value(text: &str, parse: bool) -> Value<'_> {
    parse
        .then(|| parsed(text))
        .flatten()
        .unwrap_or(Value::Str(text))
}

fn parsed(text: &str) -> Option<Value<'static>> {
    match text {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        _ => {}
    }
    let number = text.strip_prefix('-').unwrap_or(text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match number.split_once('.') {
        None if digits(number) => text.parse().ok().map(Value::Int),
        Some((before, after)) if digits(before) && digits(after) => {
            let value: Option<f64> = text.parse().ok();
            value.filter(|value| value.is_finite()).map(Value::Double)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_say_a_number_or_a_truth_become_one_where_asked() {
        for (text, value) in [
            ("", None),
            ("12", Some(Value::Int(12))),
            ("-0", Some(Value::Int(0))),
            ("007", Some(Value::Int(7))),
            ("1.50", Some(Value::Double(1.5))),
            ("-1.0", Some(Value::Double(-1.0))),
            ("true", Some(Value::Bool(true))),
            ("false", Some(Value::Bool(false))),
            ("True", None),
            ("1e3", None),
            (".5", None),
            ("5.", None),
            ("-", None),
            ("+1", None),
            ("1 ", None),
            ("{\"a\":1}", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(super::value(text, true), value.unwrap_or(Value::Str(text)));
            assert_eq!(super::value(text, false), Value::Str(text));
        }
    }
}
