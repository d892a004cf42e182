//! `ExtractGrokPatterns`: texts taken apart by patterns that are put together from named ones.
//!
//! A pattern is expanded to a regular expression once. `%{NAME}` is the pattern of that name, `%{NAME:key}`
//! captures what it matches under a key, and `%{NAME:key:type}` as a value of a type.

mod patterns;

use std::borrow::Cow;

use regex::bytes::Regex;
use tidegate_component::pattern;

use super::Kind::{ConstBool, ConstStrs, Str};
use super::{Args, Function, Misuse, State, o, p};
use crate::error::nearest;
use crate::fault::Fault;
use crate::plan::Outcome;
use crate::subject::Subject;
use crate::tree::{self, Tree};
use crate::value::{Map, Value};

/// The longest expression that a pattern may expand to, in bytes. A definition that names itself passes it.
const LONGEST: usize = 64 * 1024;

pub(super) const ALL: &[Function] = &[Function::converter(
    "ExtractGrokPatterns",
    &[
        p("target", Str),
        p("pattern", Str),
        o("namedCapturesOnly", ConstBool),
        o("patternDefinitions", ConstStrs),
    ],
    extract,
)
.prepared(prepare)];

/// The type that a captured text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    Text,
    Int,
    Double,
    Bool,
}

impl Hint {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::Text,
            "int" | "long" => Self::Int,
            "float" | "double" => Self::Double,
            "bool" | "boolean" => Self::Bool,
            _ => return None,
        })
    }

    fn read(self, text: &[u8]) -> Result<Tree, Fault> {
        let utf8 = || std::str::from_utf8(text).ok();
        let read = match self {
            Self::Text => Some(Tree::Str(text.to_vec())),
            Self::Int => utf8().and_then(|text| text.parse().ok()).map(Tree::Int),
            Self::Double => utf8().and_then(|text| text.parse().ok()).map(Tree::Double),
            Self::Bool => match text {
                b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Some(Tree::Bool(true)),
                b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Some(Tree::Bool(false)),
                _ => None,
            },
        };
        read.ok_or_else(|| {
            let text = String::from_utf8_lossy(text);
            Fault::with(format!(
                "`{text}` is not of the type that the pattern names"
            ))
        })
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Grok {
    regex: Regex,
    /// What each group is captured as, by its position; those without a name are not.
    captures: Vec<Option<(Box<[u8]>, Hint)>>,
}

impl Grok {
    fn compile(text: &str, only_named: bool, own: &[(&str, &str)]) -> Result<Self, String> {
        let mut references = References::default();
        let expanded = expand(text, only_named, own, &mut references)?;
        let regex = pattern::compile(&expanded)?;
        let captures: Vec<_> = regex
            .capture_names()
            .map(|group| {
                let name = references.name(group?);
                Some((name.as_bytes().into(), references.hint(name)))
            })
            .collect();
        if only_named && captures.iter().all(Option::is_none) {
            return Err("the pattern captures nothing, as %{WORD:key} does".to_owned());
        }
        Ok(Self { regex, captures })
    }

    /// What a text is taken apart to; nothing where it does not match, and no key for what is empty.
    fn extract(&self, text: &[u8]) -> Result<Value<'static>, Fault> {
        let mut entries = Vec::new();
        if let Some(found) = self.regex.captures(text) {
            for (index, capture) in self.captures.iter().enumerate() {
                let (Some((name, hint)), Some(group)) = (capture, found.get(index)) else {
                    continue;
                };
                if !group.as_bytes().is_empty() {
                    tree::put(&mut entries, name, hint.read(group.as_bytes())?);
                }
            }
        }
        Ok(Value::Map(Map::Encoded(Cow::Owned(tree::map(&entries)))))
    }
}

/// How groups that stand for references begin. Several may capture under one name, so that is not theirs.
const GROUP: &str = "_grok_";

/// What the references in a pattern capture.
#[derive(Default)]
struct References {
    names: Vec<String>,
    hints: Vec<(String, Hint)>,
}

impl References {
    /// Begins a group that captures under a name.
    fn open(&mut self, name: &str) -> String {
        self.names.push(name.to_owned());
        format!("(?P<{GROUP}{}>", self.names.len() - 1)
    }

    fn name<'n>(&'n self, group: &'n str) -> &'n str {
        let index = group
            .strip_prefix(GROUP)
            .and_then(|index| index.parse().ok());
        let name = index.and_then(|index: usize| self.names.get(index));
        name.map_or(group, String::as_str)
    }

    fn hint(&self, name: &str) -> Hint {
        let hint = self.hints.iter().rev().find(|(hinted, _)| hinted == name);
        hint.map_or(Hint::Text, |(_, hint)| *hint)
    }
}

/// Replaces references by what they name until none is left.
fn expand(
    text: &str,
    only_named: bool,
    own: &[(&str, &str)],
    references: &mut References,
) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text.to_owned();
    while let Some((before, reference, after)) = next_reference(&rest) {
        let mut parts = reference.split(':');
        let name = parts.next().unwrap_or_default();
        let key = parts.next();
        if let (Some(key), Some(hint)) = (key, parts.next()) {
            let hint = Hint::of(hint).ok_or_else(|| {
                format!("`{hint}` is no type; write int, long, float, double, bool or string")
            })?;
            references.hints.push((key.to_owned(), hint));
        }
        let definition = definition(name, own)?;
        let opening = match key {
            None if only_named => "(?:".to_owned(),
            key => references.open(key.unwrap_or(name)),
        };
        done.push_str(before);
        let next = format!("{opening}{definition}){after}");
        if done.len() + next.len() > LONGEST {
            return Err(format!(
                "the pattern expands to more than {LONGEST} bytes; does `{name}` name itself?"
            ));
        }
        rest = next;
    }
    Ok(done + &rest)
}

/// The first reference in a text, what stands before it, and what stands behind.
fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("%{").map(|at| from + at) {
        let inside = &text[at + 2..];
        if let Some(length) = inside.find('}')
            && is_reference(&inside[..length])
        {
            return Some((&text[..at], &inside[..length], &inside[length + 1..]));
        }
        from = at + 2;
    }
    None
}

/// `NAME`, `NAME:key` or `NAME:key:type`.
fn is_reference(text: &str) -> bool {
    let is_word = |text: &str, also: &[char]| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || also.contains(&c);
        !text.is_empty() && text.chars().all(fits)
    };
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [name] => is_word(name, &[]),
        [name, key] => is_word(name, &[]) && is_word(key, &['.', '+']),
        [name, key, hint] => is_word(name, &[]) && is_word(key, &['.', '+']) && is_word(hint, &[]),
        _ => false,
    }
}

fn definition<'d>(name: &str, own: &[(&str, &'d str)]) -> Result<&'d str, String> {
    let by_name = |(known, _): &&(&str, &'d str)| *known == name;
    if let Some((_, definition)) = own.iter().rev().find(by_name) {
        return Ok(definition);
    }
    let known = || patterns::TABLES.iter().copied().flatten();
    if let Some((_, definition)) = known().find(|(known, _)| *known == name) {
        return Ok(definition);
    }
    let mut message = format!("there is no pattern `{name}`");
    if let Some(near) = nearest(name, known().map(|(name, _)| *name)) {
        message.push_str(&format!(", but `{near}`"));
    }
    Err(message + "; `patternDefinitions` takes others, as [\"NAME=expression\"]")
}

/// The definitions that a statement brings along, as `NAME=expression`.
fn own_definitions(args: &Args) -> Result<Vec<(&str, &str)>, Misuse> {
    let mut own = Vec::new();
    for text in args.constants(3) {
        let text = std::str::from_utf8(text).unwrap_or_default();
        match text.split_once('=') {
            Some((name, definition)) if !name.contains(':') => own.push((name, definition)),
            _ => return Err((3, format!("`{text}` is not of the form NAME=expression"))),
        }
    }
    Ok(own)
}

fn prepare(args: &mut Args) -> Result<(), Misuse> {
    let own = own_definitions(args)?;
    let only_named = args.constant_bool(2).unwrap_or(false);
    if let Some(text) = args.constant_str(1) {
        let grok = Grok::compile(text, only_named, &own).map_err(|fault| (1, fault))?;
        args.state = State::Grok(Box::new(grok));
    }
    Ok(())
}

fn extract<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.text(0, subject)?;
    if let State::Grok(grok) = &args.state {
        return grok.extract(&text);
    }
    // A pattern that comes from the record is compiled each time.
    let pattern = args.string(1, subject)?;
    let own = own_definitions(args).map_err(|(_, fault)| Fault::with(fault))?;
    let only_named = args.constant_bool(2).unwrap_or(false);
    let grok = Grok::compile(&pattern, only_named, &own).map_err(Fault::with)?;
    grok.extract(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extracted(text: &str, pattern: &str, only_named: bool) -> String {
        let grok = Grok::compile(pattern, only_named, &[]).unwrap();
        let value = grok.extract(text.as_bytes()).unwrap();
        let text = super::super::text_like(value).unwrap().unwrap();
        String::from_utf8(text.into_owned()).unwrap()
    }

    #[test]
    fn every_pattern_compiles() {
        for (name, _) in patterns::TABLES.iter().copied().flatten() {
            let pattern = format!("%{{{name}}}");
            if let Err(fault) = Grok::compile(&pattern, true, &[])
                && !fault.contains("captures nothing")
            {
                panic!("{name}: {fault}");
            }
        }
    }

    #[test]
    fn values_have_the_types_that_are_named() {
        let pattern =
            "%{WORD:word} %{NUMBER:n:int} %{NUMBER:d.e:double} %{BOOL:b:bool} %{DATA:empty}$";
        assert_eq!(
            extracted("go 7 1.5 true ", pattern, true),
            r#"{"b":true,"d.e":1.5,"n":7,"word":"go"}"#
        );
    }

    #[test]
    fn what_has_no_key_is_captured_under_its_name_unless_told_otherwise() {
        assert_eq!(extracted("a b", "%{WORD} %{WORD:x}", true), r#"{"x":"b"}"#);
        assert_eq!(
            extracted("a b", "%{WORD} %{WORD:x}", false),
            r#"{"WORD":"a","x":"b"}"#
        );
        assert_eq!(extracted("!", "%{WORD:x}", true), "{}");
    }

    #[test]
    fn a_line_of_an_access_log_is_taken_apart() {
        let line = r#"203.0.113.7 - frank [10/Oct/2026:13:55:36 -0700] "GET /a.gif HTTP/1.1" 200 2326 "http://e.example/" "Mozilla/5.0""#;
        assert_eq!(
            extracted(line, "%{COMBINEDAPACHELOG}", true),
            r#"{"http.request.method":"GET","http.request.referrer":"http://e.example/","http.response.body.size":2326,"http.response.status_code":200,"http.version":"1.1","source.address":"203.0.113.7","timestamp":"10/Oct/2026:13:55:36 -0700","url.original":"/a.gif","user.name":"frank","user_agent.original":"Mozilla/5.0"}"#
        );
    }

    #[test]
    fn what_is_captured_last_under_a_name_stays() {
        assert_eq!(
            extracted("a b", "%{WORD:x} %{WORD:x}", true),
            r#"{"x":"b"}"#
        );
        assert_eq!(
            extracted("b", "(?:%{INT:x}|%{WORD:x})", true),
            r#"{"x":"b"}"#
        );
    }

    #[test]
    fn addresses_are_known() {
        for (text, matches) in [
            ("192.0.2.255", true),
            ("2001:db8::1", true),
            ("::", true),
            ("::ffff:192.0.2.1", true),
            ("1:2:3:4:5:6:7:8", true),
            ("256.1.1.1", false),
            ("1:2:3:4:5:6:7", false),
        ] {
            let found = extracted(text, "^%{IP:ip}$", true);
            assert_eq!(found != "{}", matches, "{text}: {found}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let fault =
            |pattern: &str, own: &[(&str, &str)]| Grok::compile(pattern, true, own).unwrap_err();
        assert!(fault("%{WROD:a}", &[]).contains("but `WORD`"));
        assert!(fault("%{INT:a:integer}", &[]).contains("is no type"));
        assert!(fault("plain", &[]).contains("captures nothing"));
        assert!(fault("%{LOOP:a}", &[("LOOP", "x%{LOOP}")]).contains("name itself"));
        assert!(fault("(", &[]).contains('('));
        let grok = Grok::compile("%{WORD:a:int}", true, &[]).unwrap();
        assert!(grok.extract(b"word").is_err());
    }
}
