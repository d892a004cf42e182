//! Texts: putting together, taking apart, changing case.

use std::borrow::Cow;
use std::fmt::Write as _;

use tidegate_pdata::view::AnyValue;
use tidegate_pdata::wire::put_bytes;

use super::Kind::{ConstStr, Each, EachStrLike, Int, Str};
use super::args::text_like;
use super::{Args, Function, Misuse, o, p};
use crate::fault::Fault;
use crate::plan::Outcome;
use crate::subject::Subject;
use crate::value::{Value, put_any};

pub(super) const ALL: &[Function] = &[
    Function::converter(
        "Concat",
        &[p("values", EachStrLike), p("delimiter", Str)],
        concat,
    ),
    Function::converter("Split", &[p("target", Str), p("delimiter", Str)], split),
    Function::converter(
        "Substring",
        &[p("target", Str), p("start", Int), p("length", Int)],
        substring,
    ),
    Function::converter("ToLowerCase", &[p("target", Str)], |args, subject| {
        Ok(Value::text(args.string(0, subject)?.to_lowercase()))
    }),
    Function::converter("ToUpperCase", &[p("target", Str)], |args, subject| {
        Ok(Value::text(args.string(0, subject)?.to_uppercase()))
    }),
    Function::converter("ToSnakeCase", &[p("target", Str)], |args, subject| {
        Ok(Value::text(snake(&args.string(0, subject)?)))
    }),
    Function::converter("ToCamelCase", &[p("target", Str)], |args, subject| {
        Ok(Value::text(camel(&args.string(0, subject)?)))
    }),
    Function::converter(
        "ConvertCase",
        &[p("target", Str), p("to_case", ConstStr)],
        convert_case,
    )
    .prepared(check_case),
    Function::converter(
        "Trim",
        &[p("target", Str), o("replacement", ConstStr)],
        trim,
    ),
    Function::converter(
        "TrimPrefix",
        &[p("target", Str), p("prefix", Str)],
        |args, subject| {
            let prefix = args.text(1, subject)?;
            cut(args.text(0, subject)?, |text| text.strip_prefix(&*prefix))
        },
    ),
    Function::converter(
        "TrimSuffix",
        &[p("target", Str), p("suffix", Str)],
        |args, subject| {
            let suffix = args.text(1, subject)?;
            cut(args.text(0, subject)?, |text| text.strip_suffix(&*suffix))
        },
    ),
    Function::converter(
        "HasPrefix",
        &[p("target", Str), p("prefix", Str)],
        |args, subject| {
            let target = args.text(0, subject)?;
            Ok(Value::Bool(target.starts_with(&args.text(1, subject)?)))
        },
    ),
    Function::converter(
        "HasSuffix",
        &[p("target", Str), p("suffix", Str)],
        |args, subject| {
            let target = args.text(0, subject)?;
            Ok(Value::Bool(target.ends_with(&args.text(1, subject)?)))
        },
    ),
    Function::converter(
        "Format",
        &[p("format", ConstStr), p("values", Each)],
        format,
    ),
];

fn concat<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let delimiter = args.text(1, subject)?;
    let mut out = Vec::new();
    for (index, expr) in args.list_of(0).iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(&delimiter);
        }
        match text_like(expr.eval(subject)?)? {
            Some(text) => out.extend_from_slice(&text),
            None => out.extend_from_slice(b"<nil>"),
        }
    }
    Ok(Value::owned(out))
}

fn split<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.string(0, subject)?;
    let delimiter = args.string(1, subject)?;
    let mut out = Vec::new();
    let mut message = Vec::new();
    let mut put = |part: &str| {
        message.clear();
        put_any(
            &mut message,
            AnyValue::String(tidegate_pdata::view::Text::new(part.as_bytes())),
        );
        put_bytes(&mut out, 1, &message);
    };
    if delimiter.is_empty() {
        // Go then gives the characters, without empty ends.
        for (at, char) in text.char_indices() {
            put(&text[at..at + char.len_utf8()]);
        }
    } else {
        text.split(&*delimiter).for_each(put);
    }
    Ok(Value::List(Cow::Owned(out)))
}

fn substring<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let start = args.int(1, subject)?;
    let length = args.int(2, subject)?;
    if start < 0 {
        return Err(Fault::with(format!(
            "the start, {start}, cannot be negative"
        )));
    }
    if length <= 0 {
        return Err(Fault::with(format!(
            "the length, {length}, must be above 0"
        )));
    }
    let text = args.text(0, subject)?;
    let end = start.saturating_add(length);
    let (from, to) = (start as usize, end as usize);
    if to > text.len() {
        return Err(Fault::with(format!(
            "{end} is past the end of a text of {}",
            text.len()
        )));
    }
    Ok(Value::Str(match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[from..to]),
        Cow::Owned(text) => Cow::Owned(text[from..to].to_vec()),
    }))
}

fn cut<'v>(
    text: Cow<'v, [u8]>,
    strip: impl for<'t> Fn(&'t [u8]) -> Option<&'t [u8]>,
) -> Outcome<'v> {
    Ok(Value::Str(match text {
        Cow::Borrowed(text) => Cow::Borrowed(strip(text).unwrap_or(text)),
        Cow::Owned(text) => Cow::Owned(strip(&text).unwrap_or(&text).to_vec()),
    }))
}

fn trim<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.string(0, subject)?;
    let set = args.constant_str(1).unwrap_or(" ");
    Ok(Value::text(text.trim_matches(|char| set.contains(char))))
}

fn check_case(args: &mut Args) -> Result<(), Misuse> {
    match args.constant_str(1) {
        Some("lower" | "upper" | "snake" | "camel") => Ok(()),
        _ => Err((
            1,
            "the cases are \"lower\", \"upper\", \"snake\" and \"camel\"".into(),
        )),
    }
}

fn convert_case<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.string(0, subject)?;
    Ok(Value::text(match args.constant_str(1) {
        Some("lower") => text.to_lowercase(),
        Some("upper") => text.to_uppercase(),
        Some("snake") => snake(&text),
        _ => camel(&text),
    }))
}

/// Words of small letters between underscores: a word begins at a capital, and at a digit.
pub(super) fn snake(text: &str) -> String {
    let text = text.trim();
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + 2);
    for (at, &char) in chars.iter().enumerate() {
        let is_upper = char.is_ascii_uppercase();
        let is_lower = char.is_ascii_lowercase();
        let is_digit = char.is_ascii_digit();
        let lowered = char.to_ascii_lowercase();
        if let Some(&next) = chars.get(at + 1) {
            let (up, low, num) = (
                next.is_ascii_uppercase(),
                next.is_ascii_lowercase(),
                next.is_ascii_digit(),
            );
            let changes = (is_upper && (low || num))
                || (is_lower && (up || num))
                || (is_digit && (up || low));
            if changes {
                if is_upper && low {
                    let follows_capital = at > 0 && chars[at - 1].is_ascii_uppercase();
                    if follows_capital {
                        out.push('_');
                    }
                }
                out.push(lowered);
                if is_lower || is_digit || num {
                    out.push('_');
                }
                continue;
            }
        }
        if matches!(char, ' ' | '_' | '-' | '.') {
            out.push('_');
        } else {
            out.push(lowered);
        }
    }
    out
}

/// Words put together, each with a capital.
pub(super) fn camel(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut capital = true;
    let mut was_upper = false;
    for char in text.trim().chars() {
        let mut char = char;
        if capital {
            char.make_ascii_uppercase();
        } else if was_upper && char.is_ascii_uppercase() {
            char.make_ascii_lowercase();
        }
        was_upper = char.is_ascii_uppercase() && !capital || capital && char.is_ascii_uppercase();
        if char.is_ascii_alphabetic() {
            out.push(char);
            capital = false;
        } else if char.is_ascii_digit() {
            out.push(char);
            capital = true;
        } else {
            capital = matches!(char, ' ' | '_' | '-' | '.');
            if !capital {
                out.push(char);
            }
        }
    }
    out
}

/// Writes values into a text, as Go's `Sprintf` does for the verbs that fit them.
fn format<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let mut rest = args.constant_str(0).unwrap_or_default();
    let mut values = args.list_of(1).iter();
    let mut out = String::new();
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (directive, after) = directive(&rest[at + 1..]);
        rest = after;
        if directive.verb == '%' {
            out.push('%');
            continue;
        }
        match values.next() {
            Some(expr) => directive.write(&mut out, &expr.eval(subject)?)?,
            None => {
                let _ = write!(out, "%!{}(MISSING)", directive.verb);
            }
        }
    }
    out.push_str(rest);
    let extra: Vec<_> = values.collect();
    if !extra.is_empty() {
        out.push_str("%!(EXTRA ");
        for (index, expr) in extra.into_iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            let value = expr.eval(subject)?;
            let _ = write!(out, "{}={}", go_type(&value), plain(&value)?);
        }
        out.push(')');
    }
    Ok(Value::text(out))
}

#[derive(Default)]
struct Directive {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
    verb: char,
}

/// A width or precision that is greater is taken for this.
const WIDEST: usize = 1 << 10;

fn directive(text: &str) -> (Directive, &str) {
    let mut directive = Directive {
        verb: '%',
        ..Directive::default()
    };
    let mut chars = text.char_indices().peekable();
    let number = |chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>| {
        let mut number = None;
        while let Some(digit) = chars.peek().and_then(|(_, char)| char.to_digit(10)) {
            number = Some((number.unwrap_or(0) * 10 + digit as usize).min(WIDEST));
            chars.next();
        }
        number
    };
    while let Some((_, flag)) = chars.peek() {
        match flag {
            '-' => directive.minus = true,
            '+' => directive.plus = true,
            '0' => directive.zero = true,
            ' ' => directive.space = true,
            '#' => directive.sharp = true,
            _ => break,
        }
        chars.next();
    }
    directive.width = number(&mut chars);
    if chars.peek().is_some_and(|(_, char)| *char == '.') {
        chars.next();
        directive.precision = Some(number(&mut chars).unwrap_or(0));
    }
    if let Some((at, verb)) = chars.next() {
        directive.verb = verb;
        return (directive, &text[at + verb.len_utf8()..]);
    }
    (directive, "")
}

impl Directive {
    fn write(&self, out: &mut String, value: &Value<'_>) -> Result<(), Fault> {
        let (text, is_number) = match (self.verb, value) {
            ('d', Value::Int(value) | Value::Duration(value)) => (self.signed(*value), true),
            ('x', Value::Int(value)) => (format!("{value:x}"), true),
            ('X', Value::Int(value)) => (format!("{value:X}"), true),
            ('o', Value::Int(value)) => (format!("{value:o}"), true),
            ('b', Value::Int(value)) => (format!("{value:b}"), true),
            ('c', Value::Int(value)) => {
                let char = u32::try_from(*value).ok().and_then(char::from_u32);
                (
                    char.unwrap_or(char::REPLACEMENT_CHARACTER).to_string(),
                    false,
                )
            }
            ('f' | 'F', Value::Double(value)) => {
                let text = format!("{:.*}", self.precision.unwrap_or(6), value);
                (self.with_sign(text, *value >= 0.0), true)
            }
            ('e', Value::Double(value)) => {
                (self.with_sign(self.exponent(*value), *value >= 0.0), true)
            }
            ('g' | 'v', Value::Double(value)) => {
                (self.with_sign(general(*value), *value >= 0.0), true)
            }
            ('t', Value::Bool(value)) => (value.to_string(), false),
            ('s' | 'v', Value::Str(text)) => {
                let text = String::from_utf8_lossy(text);
                let short: String = match self.precision {
                    Some(most) => text.chars().take(most).collect(),
                    None => text.into_owned(),
                };
                (short, false)
            }
            ('q', Value::Str(text)) => (format!("{:?}", String::from_utf8_lossy(text)), false),
            ('x', Value::Str(text) | Value::Bytes(text)) => (crate::text::hex(text), false),
            ('v', Value::Int(value)) => (self.signed(*value), true),
            ('v' | 's', Value::Bool(_) | Value::List(_) | Value::Map(_) | Value::Nil)
                if self.verb == 'v' || matches!(value, Value::List(_) | Value::Map(_)) =>
            {
                (plain(value)?, false)
            }
            (
                's' | 'v',
                Value::Duration(_) | Value::Time(_) | Value::TraceId(_) | Value::SpanId(_),
            ) => (plain(value)?, false),
            _ => {
                let text = match value {
                    Value::Nil => format!("%!{}(<nil>)", self.verb),
                    value => format!("%!{}({}={})", self.verb, go_type(value), plain(value)?),
                };
                (text, false)
            }
        };
        self.pad(out, &text, is_number);
        Ok(())
    }

    fn signed(&self, value: i64) -> String {
        self.with_sign(value.to_string(), value >= 0)
    }

    fn with_sign(&self, text: String, is_positive: bool) -> String {
        match (is_positive, self.plus, self.space) {
            (true, true, _) => format!("+{text}"),
            (true, false, true) => format!(" {text}"),
            _ => text,
        }
    }

    fn exponent(&self, value: f64) -> String {
        let text = format!("{:.*e}", self.precision.unwrap_or(6), value);
        match text.split_once('e') {
            Some((mantissa, exponent)) => {
                let (sign, digits) = match exponent.strip_prefix('-') {
                    Some(digits) => ('-', digits),
                    None => ('+', exponent),
                };
                format!("{mantissa}e{sign}{digits:0>2}")
            }
            None => text,
        }
    }

    fn pad(&self, out: &mut String, text: &str, is_number: bool) {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let fill = |out: &mut String, char| out.extend(std::iter::repeat_n(char, missing));
        if self.minus {
            out.push_str(text);
            fill(out, ' ');
        } else if self.zero && is_number {
            let (sign, digits) = match text.as_bytes().first() {
                Some(b'+' | b'-') => text.split_at(1),
                _ => ("", text),
            };
            out.push_str(sign);
            fill(out, '0');
            out.push_str(digits);
        } else {
            fill(out, ' ');
            out.push_str(text);
        }
    }
}

/// A double as Go's `%v` writes it.
fn general(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let exponent = if value == 0.0 {
        0
    } else {
        value.abs().log10().floor() as i32
    };
    if (-4..21).contains(&exponent) {
        return value.to_string();
    }
    exponential(value)
}

/// A double with an exponent of two digits at least.
pub(super) fn exponential(value: f64) -> String {
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => text,
    }
}

/// A value as Go's `%v` writes it; lists and maps as JSON.
fn plain(value: &Value<'_>) -> Result<String, Fault> {
    Ok(match value {
        Value::Double(value) => general(*value),
        Value::Duration(nanos) => super::times::duration_text(*nanos),
        Value::Time(time) => super::times::go_text(time),
        Value::TraceId(id) => crate::text::hex(id),
        Value::SpanId(id) => crate::text::hex(id),
        Value::Nil => "<nil>".to_owned(),
        value => {
            let text = text_like(value.borrow())?.unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        }
    })
}

const fn go_type(value: &Value<'_>) -> &'static str {
    match value {
        Value::Nil | Value::Messages(_) => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Double(_) => "float64",
        Value::Str(_) => "string",
        Value::Bytes(_) => "[]uint8",
        Value::List(_) => "pcommon.Slice",
        Value::Map(_) => "pcommon.Map",
        Value::Duration(_) => "time.Duration",
        Value::Time(_) => "time.Time",
        Value::TraceId(_) => "pcommon.TraceID",
        Value::SpanId(_) => "pcommon.SpanID",
    }
}
