//! URLs.

use super::Kind::Str;
use super::{Args, Function, p};
use crate::fault::Fault;
use crate::plan::Outcome;
use crate::subject::Subject;
use crate::tree::{self, Tree};

pub(super) const ALL: &[Function] = &[Function::converter("URL", &[p("url", Str)], url)];

/// Takes a URL apart, into attributes under their conventional names.
fn url<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.string(0, subject)?;
    if text.is_empty() {
        return Err(Fault::new("url cannot be empty"));
    }
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(Fault::new("a URL has no control characters"));
    }
    let (rest, fragment) = text.split_once('#').unwrap_or((&text, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = scheme(rest)?;
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (domain, port) = host_and_port(host)?;
    let path = unescaped(path)?;
    let mut entries = Vec::new();
    let mut put = |key: &str, value: Tree| tree::put(&mut entries, key.as_bytes(), value);
    put("url.original", Tree::text(&text));
    put("url.domain", Tree::text(&unescaped(domain)?));
    put("url.scheme", Tree::text(&scheme));
    put("url.path", Tree::text(&path));
    if let Some(port) = port {
        put("url.port", Tree::Int(port));
    }
    if !fragment.is_empty() {
        put("url.fragment", Tree::text(&unescaped(fragment)?));
    }
    if let Some(user) = user {
        put("url.user_info", Tree::text(user));
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(password)),
            None => (user, None),
        };
        if !name.is_empty() {
            put("url.username", Tree::text(&unescaped(name)?));
        }
        if let Some(password) = password {
            put("url.password", Tree::text(&unescaped(password)?));
        }
    }
    if !query.is_empty() {
        put("url.query", Tree::text(query));
    }
    if let Some((_, extension)) = path.rsplit_once('.')
        && !extension.is_empty()
    {
        put("url.extension", Tree::text(extension));
    }
    Ok(super::parsing::map(&entries))
}

/// The scheme in small letters, and what follows it.
fn scheme(text: &str) -> Result<(String, &str), Fault> {
    for (at, char) in text.char_indices() {
        match char {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err(Fault::new("the URL lacks its scheme")),
            ':' => return Ok((text[..at].to_ascii_lowercase(), &text[at + 1..])),
            _ => break,
        }
    }
    Ok((String::new(), text))
}

fn host_and_port(host: &str) -> Result<(&str, Option<i64>), Fault> {
    let (domain, rest) = match host.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .ok_or_else(|| Fault::new("the URL's host lacks its `]`"))?,
        None => host.split_at(host.rfind(':').unwrap_or(host.len())),
    };
    if domain.contains(' ') {
        return Err(Fault::new("a URL's host has no spaces"));
    }
    match rest.strip_prefix(':') {
        None | Some("") => Ok((domain, None)),
        Some(port) => port
            .parse::<u32>()
            .map(|port| (domain, Some(i64::from(port))))
            .map_err(|_| Fault::with(format!("{port:?} is no port"))),
    }
}

/// A text without its escapes.
fn unescaped(text: &str) -> Result<String, Fault> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if *byte != b'%' {
            out.push(*byte);
            rest = after;
            continue;
        }
        let escaped = after.get(..2).and_then(crate::lexer::hex);
        let escaped = escaped.ok_or_else(|| Fault::new("the URL has a broken escape"))?;
        out.extend_from_slice(&escaped);
        rest = &after[2..];
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}
