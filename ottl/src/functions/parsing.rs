//! Texts in JSON, CSV and pairs of keys and values.

use std::borrow::Cow;

use super::Kind::{ConstStr, Str};
use super::{Args, Function, Misuse, o, p};
use crate::fault::Fault;
use crate::plan::Outcome;
use crate::subject::Subject;
use crate::tree::{self, Entries, Tree};
use crate::value::{Map, Value};

pub(super) const ALL: &[Function] = &[
    Function::converter("ParseJSON", &[p("target", Str)], json),
    Function::converter(
        "ParseKeyValue",
        &[
            p("target", Str),
            o("delimiter", ConstStr),
            o("pair_delimiter", ConstStr),
        ],
        key_value,
    )
    .prepared(check_delimiters),
    Function::converter(
        "ParseCSV",
        &[
            p("target", Str),
            p("headers", Str),
            o("delimiter", ConstStr),
            o("header_delimiter", ConstStr),
            o("mode", ConstStr),
        ],
        csv,
    )
    .prepared(check_csv),
];

/// Lists and maps nested deeper than this are refused: OTLP's own levels come on top.
pub(crate) const DEEPEST: usize = 16;

fn json<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.text(0, subject)?;
    let parsed: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|error| Fault::with(format!("the text is no JSON: {error}")))?;
    match tree_of(parsed, DEEPEST)? {
        Tree::Map(entries) => Ok(map(&entries)),
        Tree::List(values) => Ok(Value::List(Cow::Owned(tree::list(&values)))),
        _ => Err(Fault::new("the JSON is neither an object nor an array")),
    }
}

pub(super) fn map<'v>(entries: &Entries) -> Value<'v> {
    Value::Map(Map::Encoded(Cow::Owned(tree::map(entries))))
}

fn tree_of(value: serde_json::Value, depth: usize) -> Result<Tree, Fault> {
    use serde_json::Value as Json;
    let inner = || {
        depth
            .checked_sub(1)
            .ok_or_else(|| Fault::with(format!("the JSON is nested deeper than {DEEPEST} levels")))
    };
    Ok(match value {
        Json::Null => Tree::Empty,
        Json::Bool(value) => Tree::Bool(value),
        Json::Number(number) => Tree::Double(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Tree::Str(text.into_bytes()),
        Json::Array(values) => {
            let depth = inner()?;
            let values = values.into_iter().map(|value| tree_of(value, depth));
            Tree::List(values.collect::<Result<_, _>>()?)
        }
        Json::Object(entries) => {
            let depth = inner()?;
            let entries = entries
                .into_iter()
                .map(|(key, value)| Ok((key.into_bytes(), tree_of(value, depth)?)));
            Tree::Map(entries.collect::<Result<_, Fault>>()?)
        }
    })
}

pub(super) fn check_delimiters(args: &mut Args) -> Result<(), Misuse> {
    for (index, what) in [(1, "delimiter"), (2, "pair delimiter")] {
        if args.constant(index).is_some_and(<[u8]>::is_empty) {
            return Err((index, format!("the {what} cannot be empty")));
        }
    }
    let (delimiter, pairs) = delimiters(args);
    if delimiter == pairs {
        return Err((1, "the two delimiters must differ".to_owned()));
    }
    Ok(())
}

/// What stands between a key and its value, and between two pairs.
pub(super) fn delimiters(args: &Args) -> (&[u8], &[u8]) {
    (
        args.constant(1).unwrap_or(b"="),
        args.constant(2).unwrap_or(b" "),
    )
}

fn key_value<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.text(0, subject)?;
    if text.is_empty() {
        return Err(Fault::new("cannot parse from empty target"));
    }
    let (delimiter, pairs) = delimiters(args);
    let mut entries = Vec::new();
    for pair in quoted_parts(&text, pairs)? {
        let at = pair
            .windows(delimiter.len())
            .position(|window| window == delimiter)
            .ok_or_else(|| {
                let pair = String::from_utf8_lossy(&pair);
                Fault::with(format!("cannot split {pair:?} into a key and a value"))
            })?;
        let key = pair[..at].trim_ascii();
        let value = pair[at + delimiter.len()..].trim_ascii();
        tree::put(&mut entries, key, Tree::Str(value.to_vec()));
    }
    Ok(map(&entries))
}

/// The parts of a text between delimiters that stand outside of quotes; the quotes are taken off.
fn quoted_parts(text: &[u8], delimiter: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let mut parts = Vec::new();
    let mut current = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    let mut at = 0;
    while at < text.len() {
        if quote.is_none() && text[at..].starts_with(delimiter) {
            if !current.is_empty() {
                parts.push(std::mem::take(&mut current));
            }
            at += delimiter.len();
            continue;
        }
        let byte = text[at];
        at += 1;
        if escaped {
            escaped = false;
        } else {
            match (quote, byte) {
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    continue;
                }
                (Some(open), byte) if open == byte => {
                    quote = None;
                    continue;
                }
                _ => escaped = byte == b'\\',
            }
        }
        current.push(byte);
    }
    if quote.is_some() {
        return Err(Fault::new("never reached the end of a quoted value"));
    }
    if !current.is_empty() {
        parts.push(current);
    }
    Ok(parts)
}

fn check_csv(args: &mut Args) -> Result<(), Misuse> {
    if args
        .constant_str(2)
        .is_some_and(|text| text.chars().count() != 1)
    {
        return Err((2, "the delimiter is a single character".to_owned()));
    }
    if args.constant_str(3).is_some_and(str::is_empty) {
        return Err((3, "the delimiter of the header cannot be empty".to_owned()));
    }
    match args.constant_str(4) {
        None | Some("strict" | "lazyQuotes" | "ignoreQuotes") => Ok(()),
        Some(_) => Err((
            4,
            "the modes are \"strict\", \"lazyQuotes\" and \"ignoreQuotes\"".to_owned(),
        )),
    }
}

fn csv<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.string(0, subject)?;
    let header = args.string(1, subject)?;
    if header.is_empty() {
        return Err(Fault::new("headers must not be an empty string"));
    }
    let delimiter = args
        .constant_str(2)
        .and_then(|text| text.chars().next())
        .unwrap_or(',');
    let own = delimiter.to_string();
    let headers = header.split(args.constant_str(3).unwrap_or(&own));
    let fields: Vec<String> = match args.constant_str(4).unwrap_or("strict") {
        "ignoreQuotes" => text.split(delimiter).map(ToOwned::to_owned).collect(),
        mode => csv_fields(&text, delimiter, mode == "lazyQuotes")?,
    };
    let headers: Vec<&str> = headers.collect();
    if headers.len() != fields.len() {
        return Err(Fault::with(format!(
            "wrong number of fields: expected {}, found {}",
            headers.len(),
            fields.len()
        )));
    }
    let mut entries = Vec::new();
    for (header, field) in headers.into_iter().zip(fields) {
        tree::put(
            &mut entries,
            header.as_bytes(),
            Tree::Str(field.into_bytes()),
        );
    }
    Ok(map(&entries))
}

/// The fields of a record; what further lines hold goes on where the one before ended.
fn csv_fields(text: &str, delimiter: char, lazy: bool) -> Result<Vec<String>, Fault> {
    let text = text.replace("\r\n", "\n");
    let mut rest = text.trim_start_matches('\n').trim_end_matches('\n');
    if rest.is_empty() {
        return Err(Fault::new("no csv lines found"));
    }
    let mut fields = Vec::new();
    // What was read of a field whose line ended.
    let mut carried: Option<String> = None;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted, delimiter, lazy)?,
            None => {
                let end = rest.find([delimiter, '\n']).unwrap_or(rest.len());
                if !lazy && rest[..end].contains('"') {
                    return Err(Fault::new("bare \" in a csv field that is not quoted"));
                }
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        let field = match carried.take() {
            Some(before) => format!("{before}\n{field}"),
            None => field,
        };
        match after.chars().next() {
            None => {
                fields.push(field);
                return Ok(fields);
            }
            Some('\n') => {
                carried = Some(field);
                rest = after.trim_start_matches('\n');
            }
            Some(char) => {
                fields.push(field);
                rest = &after[char.len_utf8()..];
            }
        }
    }
}

fn quoted_field(text: &str, delimiter: char, lazy: bool) -> Result<(String, &str), Fault> {
    let mut field = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('"') {
        field.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.chars().next() {
            Some('"') => {
                field.push('"');
                rest = &rest[1..];
            }
            None | Some('\n') => return Ok((field, rest)),
            Some(char) if char == delimiter => return Ok((field, rest)),
            Some(_) if lazy => field.push('"'),
            Some(_) => return Err(Fault::new("extraneous \" in a quoted csv field")),
        }
    }
    if lazy {
        field.push_str(rest);
        return Ok((field, ""));
    }
    Err(Fault::new("a quoted csv field is not ended"))
}
