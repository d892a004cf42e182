//! What a plain scalar means, by the rules of go-yaml v3, which the Collector reads with.
//!
//! They are YAML 1.2's core schema, and of YAML 1.1 the octal `0123`, binary `0b101` and `1_000`; `yes`, `on` and
//! the like are strings. A timestamp stays a string, as no field takes one.

use crate::Value;

/// Gives the value of a plain (unquoted) scalar.
pub fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    number(text).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn number(text: &str) -> Option<Value> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    let digits: String = match first {
        b'.' => text.to_owned(),
        _ => text.chars().filter(|c| *c != '_').collect(),
    };
    if first != b'.'
        && let Some(int) = integer(&digits)
    {
        return Some(Value::Int(int));
    }
    is_float(&digits)
        .then(|| digits.parse().ok())
        .flatten()
        .map(Value::Float)
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { -value } else { value };
    (value >= i128::from(i64::MIN)).then_some(value)
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_ok && exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_the_collector() {
        let int = |text, value| assert_eq!(plain(text), Value::Int(value), "{text}");
        int("0123", 83);
        int("0o17", 15);
        int("0xdeadbeef", 3_735_928_559);
        int("0b101", 5);
        int("-12", -12);
        int("1_000", 1000);
        int("18446744073709551615", i128::from(u64::MAX));
        int("0", 0);
        assert_eq!(plain("1e3"), Value::Float(1000.0));
        assert_eq!(plain(".5"), Value::Float(0.5));
        assert_eq!(plain("089"), Value::Float(89.0));
    }

    #[test]
    fn what_only_looks_like_a_number_is_a_string() {
        for text in [
            "yes",
            "off",
            "10s",
            "1.2.3",
            "1:2",
            "-",
            "+",
            ".",
            "0x",
            "0xg",
            "1e",
            "2006-01-02",
            "nan",
            "inf",
            "__",
            "-_",
            "--1",
            "1111:1111::",
        ] {
            assert_eq!(plain(text), Value::String(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn only_the_words_of_yaml_1_2_are_booleans_and_nulls() {
        assert_eq!(plain("True"), Value::Bool(true));
        assert_eq!(plain("~"), Value::Null);
        assert_eq!(plain("tRue"), Value::String("tRue".to_owned()));
    }
}
