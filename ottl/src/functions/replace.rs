//! Replacing parts of texts, and texts as a whole.

use std::borrow::Cow;

use regex::bytes::Regex;
use tidegate_pdata::view::{AnyValue, Attributes, Text};

use super::Kind::{ConstStr, Function as FunctionKind, Str, Target};
use super::args::prepare_regex;
use super::editors::{Fate, edit_map, map_at};
use super::hashes::apply;
use super::{Args, Function, Misuse, State, o, p};
use crate::fault::Fault;
use crate::subject::Subject;
use crate::tree::{self, Tree};
use crate::value::{Map, Value, put_any};

pub(super) const ALL: &[Function] = &[
    Function::editor(
        "replace_pattern",
        &[
            p("target", Target),
            p("regex", Str),
            p("replacement", Str),
            o("function", FunctionKind),
            o("replacement_format", Str),
        ],
        replace_pattern,
    )
    .prepared(|args| prepare_regex(args, 1)),
    Function::editor(
        "replace_match",
        &[
            p("target", Target),
            p("pattern", Str),
            p("replacement", Str),
            o("function", FunctionKind),
            o("replacement_format", Str),
        ],
        replace_match,
    )
    .prepared(|args| prepare_glob(args, 1)),
    Function::editor(
        "replace_all_patterns",
        &[
            p("target", Target),
            p("mode", ConstStr),
            p("regex", Str),
            p("replacement", Str),
            o("function", FunctionKind),
            o("replacement_format", Str),
        ],
        replace_all_patterns,
    )
    .prepared(prepare_all_patterns),
    Function::editor(
        "replace_all_matches",
        &[
            p("target", Target),
            p("pattern", Str),
            p("replacement", Str),
            o("function", FunctionKind),
            o("replacement_format", Str),
        ],
        replace_all_matches,
    )
    .prepared(|args| prepare_glob(args, 1)),
];

fn prepare_all_patterns(args: &mut Args) -> Result<(), Misuse> {
    match args.constant_str(1) {
        Some("key" | "value") => prepare_regex(args, 2),
        _ => Err((1, "the modes are \"key\" and \"value\"".to_owned())),
    }
}

fn prepare_glob(args: &mut Args, index: usize) -> Result<(), Misuse> {
    if let Some(text) = args.constant_str(index) {
        let regex = glob(text).map_err(|fault| (index, fault))?;
        args.state = State::Regex(regex);
    }
    Ok(())
}

/// Compiles a pattern of `*`, `?`, classes and alternatives that must match the whole.
fn glob(text: &str) -> Result<Regex, String> {
    let mut pattern = String::from("(?s)^(?:");
    let mut chars = text.chars().peekable();
    let mut open = 0;
    while let Some(char) = chars.next() {
        match char {
            '*' => {
                while chars.next_if_eq(&'*').is_some() {}
                pattern.push_str(".*");
            }
            '?' => pattern.push('.'),
            '[' => {
                pattern.push('[');
                if chars.next_if_eq(&'!').is_some() {
                    pattern.push('^');
                }
                let mut is_closed = false;
                for char in chars.by_ref() {
                    match char {
                        ']' => {
                            is_closed = true;
                            break;
                        }
                        '[' | '&' | '~' | '^' | '\\' => {
                            pattern.push('\\');
                            pattern.push(char);
                        }
                        other => pattern.push(other),
                    }
                }
                if !is_closed {
                    return Err(format!("{text:?} has a class that is not ended"));
                }
                pattern.push(']');
            }
            '{' => {
                open += 1;
                pattern.push_str("(?:");
            }
            '}' if open > 0 => {
                open -= 1;
                pattern.push(')');
            }
            ',' if open > 0 => pattern.push('|'),
            '\\' => {
                let escaped = chars.next().unwrap_or('\\');
                pattern.push_str(&regex::escape(escaped.encode_utf8(&mut [0; 4])));
            }
            other => pattern.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    if open > 0 {
        return Err(format!("{text:?} has alternatives that are not ended"));
    }
    pattern.push_str(")$");
    Regex::new(&pattern).map_err(|_| format!("{text:?} is no pattern"))
}

/// The glob of an argument: compiled beforehand where it was written, else anew.
fn glob_of<'a>(args: &'a Args, subject: &Subject<'_>) -> Result<Cow<'a, Regex>, Fault> {
    if let State::Regex(regex) = &args.state {
        return Ok(Cow::Borrowed(regex));
    }
    let text = args.string(1, subject)?;
    glob(&text).map(Cow::Owned).map_err(Fault::with)
}

/// How a replacement is handed through a function and a format; both are optional.
struct Through<'a> {
    function: Option<&'static Function>,
    format: Option<Vec<u8>>,
    subject: &'a Subject<'a>,
}

impl<'a> Through<'a> {
    fn of(args: &Args, first: usize, subject: &'a Subject<'a>) -> Result<Self, Fault> {
        let function = args.function(first);
        let format = if function.is_some() && args.has(first + 1) {
            Some(args.text(first + 1, subject)?.into_owned())
        } else {
            None
        };
        Ok(Self {
            function,
            format,
            subject,
        })
    }

    fn apply(&self, text: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let Some(function) = self.function else {
            return Ok(text);
        };
        let text = apply(function, text, self.subject)?;
        let Some(format) = &self.format else {
            return Ok(text);
        };
        let mut parts = format.split(|byte| *byte == b'%');
        let (before, after) = (parts.next(), parts.next());
        match (
            before,
            after.and_then(|after| after.strip_prefix(b"s")),
            parts.next(),
        ) {
            (Some(before), Some(after), None) => Ok([before, &text, after].concat()),
            _ => Err(Fault::new(
                "replacementFormat must hold a single %s and no other format specifiers",
            )),
        }
    }

    /// A text with what matches replaced; `None` where nothing does.
    fn replaced(
        &self,
        regex: &Regex,
        text: &[u8],
        replacement: &[u8],
    ) -> Result<Option<Vec<u8>>, Fault> {
        if self.function.is_none() {
            return Ok(match regex.replace_all(text, replacement) {
                Cow::Borrowed(_) => None,
                Cow::Owned(new) => Some(new),
            });
        }
        let mut updated = None;
        for found in regex.captures_iter(text) {
            let mut expanded = Vec::new();
            found.expand(replacement, &mut expanded);
            let new = self.apply(expanded)?;
            // Every occurrence of what matched, as in the Collector.
            let whole = found.get(0).map_or(&[][..], |found| found.as_bytes());
            let old = updated.take().unwrap_or_else(|| text.to_vec());
            updated = Some(replace_bytes(&old, whole, &new));
        }
        Ok(updated)
    }
}

fn replace_bytes(text: &[u8], part: &[u8], by: &[u8]) -> Vec<u8> {
    if part.is_empty() {
        return text.to_vec();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(part) {
            out.extend_from_slice(by);
            at += part.len();
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

fn replace_pattern(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let path = args.path(0)?;
    let Value::Str(text) = path.get(subject)? else {
        return Ok(());
    };
    let regex = args.regex(1, subject)?;
    if !regex.is_match(&text) {
        return Ok(());
    }
    let replacement = args.text(2, subject)?;
    let through = Through::of(args, 3, subject)?;
    let new = through.replaced(&regex, &text, &replacement)?;
    drop((text, replacement));
    match new {
        Some(new) => path.set(subject, &Value::owned(new)),
        None => Ok(()),
    }
}

/// The replacement for a whole text.
fn whole(args: &Args, subject: &Subject<'_>) -> Result<Vec<u8>, Fault> {
    let replacement = args.text(2, subject)?.into_owned();
    Through::of(args, 3, subject)?.apply(replacement)
}

fn replace_match(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let path = args.path(0)?;
    let glob = glob_of(args, subject)?;
    let matches = match path.get(subject)? {
        Value::Str(text) => glob.is_match(&text),
        _ => false,
    };
    if !matches {
        return Ok(());
    }
    let new = whole(args, subject)?;
    path.set(subject, &Value::owned(new))
}

fn replace_all_matches(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let glob = glob_of(args, subject)?;
    let new = whole(args, subject)?;
    let mut message = Vec::new();
    put_any(&mut message, AnyValue::String(Text::new(&new)));
    edit_map(args.path(0)?, subject, |map| {
        map.rewrite(|_, value| match value {
            AnyValue::String(text) if glob.is_match(text.as_bytes()) => {
                Fate::Value(message.clone())
            }
            _ => Fate::Keep,
        });
        Ok(())
    })
}

fn replace_all_patterns(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let path = args.path(0)?;
    let regex = args.regex(2, subject)?;
    if args.constant_str(1) == Some("key") {
        return replace_keys(args, &regex, subject);
    }
    if args.function(4).is_none() {
        let replacement = args.text(3, subject)?.into_owned();
        return edit_map(path, subject, |map| {
            map.rewrite(|_, value| {
                let AnyValue::String(text) = value else {
                    return Fate::Keep;
                };
                match regex.replace_all(text.as_bytes(), &*replacement) {
                    Cow::Borrowed(_) => Fate::Keep,
                    Cow::Owned(new) => {
                        let mut message = Vec::new();
                        put_any(&mut message, AnyValue::String(Text::new(&new)));
                        Fate::Value(message)
                    }
                }
            });
            Ok(())
        });
    }
    let replacement = args.text(3, subject)?.into_owned();
    let through = Through::of(args, 4, subject)?;
    let mut all = crate::paths::entries(&map_at(path, subject)?);
    for (_, value) in &mut all {
        // A value of which the function makes nothing stays, as in the Collector.
        if let Tree::Str(text) = value
            && let Ok(Some(new)) = through.replaced(&regex, text, &replacement)
        {
            *text = new;
        }
    }
    let new = tree::map(&all);
    path.set(subject, &Value::Map(Map::Encoded(Cow::Owned(new))))
}

fn replace_keys(args: &Args, regex: &Regex, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let path = args.path(0)?;
    let old = map_at(path, subject)?;
    if !Attributes::new(&old, 1).any(|(key, _)| regex.is_match(key.as_bytes())) {
        return Ok(());
    }
    let replacement = args.text(3, subject)?.into_owned();
    let through = Through::of(args, 4, subject)?;
    let mut new = Vec::new();
    for (key, value) in Attributes::new(&old, 1) {
        let key = key.as_bytes();
        match through.replaced(regex, key, &replacement) {
            Ok(Some(renamed)) => tree::put(&mut new, &renamed, Tree::of(value)),
            Ok(None) => tree::put(&mut new, key, Tree::of(value)),
            // An entry of whose key the function makes nothing goes, as in the Collector.
            Err(_) => {}
        }
    }
    let new = tree::map(&new);
    path.set(subject, &Value::Map(Map::Encoded(Cow::Owned(new))))
}
