//! Types: asking for them, and converting between them.

use std::borrow::Cow;

use super::Kind::{Any, Each, IntLike, Str};
use super::{Args, Function, Kind, Misuse, p};
use crate::fault::Fault;
use crate::plan::Outcome;
use crate::subject::Subject;
use crate::value::Value;

pub(super) const ALL: &[Function] = &[
    Function::converter("IsString", &[p("target", Any)], |args, subject| {
        is(args, subject, |value| matches!(value, Value::Str(_)))
    }),
    Function::converter("IsInt", &[p("target", Any)], |args, subject| {
        is(args, subject, |value| matches!(value, Value::Int(_)))
    }),
    Function::converter("IsDouble", &[p("target", Any)], |args, subject| {
        is(args, subject, |value| matches!(value, Value::Double(_)))
    }),
    Function::converter("IsBool", &[p("target", Any)], |args, subject| {
        is(args, subject, |value| matches!(value, Value::Bool(_)))
    }),
    Function::converter("IsMap", &[p("target", Any)], |args, subject| {
        is(args, subject, |value| matches!(value, Value::Map(_)))
    }),
    Function::converter("IsList", &[p("target", Any)], |args, subject| {
        is(args, subject, |value| {
            matches!(value, Value::List(_) | Value::Messages(_))
        })
    }),
    Function::converter("Int", &[p("target", IntLike)], int),
    Function::converter(
        "Double",
        &[p("target", Kind::DoubleLike)],
        |args, subject| {
            Ok(args
                .double_like(0, subject)?
                .map_or(Value::Nil, Value::Double))
        },
    ),
    Function::converter("Bool", &[p("target", Any)], bool).prepared(check_bool),
    Function::converter("String", &[p("target", Kind::StrLike)], |args, subject| {
        Ok(args.text_like(0, subject)?.map_or(Value::Nil, Value::Str))
    }),
    Function::converter(
        "ParseInt",
        &[p("target", Str), p("base", Kind::Int)],
        parse_int,
    ),
    Function::converter("Coalesce", &[p("values", Each)], |args, subject| {
        for expr in args.list_of(0) {
            let value = expr.eval(subject)?;
            if !matches!(value, Value::Nil) {
                return Ok(value);
            }
        }
        Ok(Value::Nil)
    }),
    Function::converter(
        "Log",
        &[p("target", Kind::DoubleLike)],
        |args, subject| match args.double_like(0, subject)? {
            Some(value) if value > 0.0 => Ok(Value::Double(value.ln())),
            _ => Err(Fault::new("a logarithm is of a number greater than 0")),
        },
    ),
];

fn is<'v>(args: &'v Args, subject: &'v Subject<'_>, test: fn(&Value<'_>) -> bool) -> Outcome<'v> {
    Ok(Value::Bool(test(&args.value(0, subject)?)))
}

fn int<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    Ok(match args.value(0, subject)? {
        Value::Nil => Value::Nil,
        Value::Int(value) => Value::Int(value),
        // Rust holds what is out of range at the ends; Go's result depends on the machine.
        Value::Double(value) => Value::Int(value as i64),
        Value::Bool(value) => Value::Int(i64::from(value)),
        Value::Str(text) => std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse().ok())
            .map_or(Value::Nil, Value::Int),
        other => return Err(Fault::expected("a number", other.kind())),
    })
}

fn bool<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    Ok(match args.value(0, subject)? {
        Value::Nil => Value::Nil,
        Value::Bool(value) => Value::Bool(value),
        Value::Int(value) => Value::Bool(value != 0),
        Value::Double(value) => Value::Bool(value != 0.0),
        Value::Str(text) => parse_bool(&text)
            .map(Value::Bool)
            .ok_or_else(|| Fault::new("the text is no truth value"))?,
        other => return Err(Fault::expected("a truth value", other.kind())),
    })
}

fn parse_bool(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"t" | b"T" | b"TRUE" | b"true" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"FALSE" | b"false" | b"False" => Some(false),
        _ => None,
    }
}

fn check_bool(args: &mut Args) -> Result<(), Misuse> {
    match args.constant(0) {
        Some(text) if parse_bool(text).is_none() => {
            Err((0, "the text is no truth value".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Reads a number as Go does: in digits, in hexadecimal with an exponent, or by name.
pub(super) fn parse_double(text: &str) -> Option<f64> {
    let is_plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if is_plain {
        return text.parse::<f64>().ok().filter(|value| value.is_finite());
    }
    let (sign, name) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match name.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => Some(sign * f64::INFINITY),
        "nan" if sign == 1.0 && name.len() == text.len() => Some(f64::NAN),
        _ => None,
    }
}

fn parse_int<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.string(0, subject)?;
    let base = args.int(1, subject)?;
    let parsed = match u32::try_from(base) {
        Ok(base @ 2..=36) => i64::from_str_radix(&text, base).ok(),
        Ok(0) => prefixed(&text),
        _ => return Err(Fault::with(format!("{base} is no base from 2 to 36"))),
    };
    parsed
        .map(Value::Int)
        .ok_or_else(|| Fault::with(format!("{text:?} is no whole number to base {base}")))
}

/// Reads a number whose base its own prefix names.
fn prefixed(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let plain: Cow<'_, str> = digits.replace('_', "").into();
    let lower = plain.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, &*lower),
    };
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}
