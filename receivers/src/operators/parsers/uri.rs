//! `uri_parser`.

use super::{Parse, text};
use crate::operators::entry::Entry;
use crate::operators::value::{Map, Text, Value};

/// Makes a map of an address, `https://user@host:80/path?key=value`, or of a query behind a question mark.
pub(crate) struct Uri;

impl Parse for Uri {
    fn parse(&mut self, value: &Value, _: &Entry) -> Result<Value, String> {
        let text = text(value)?;
        let mut entries: Vec<(Text, Value)> = Vec::new();
        let mut add = |key: &'static str, value: &str| {
            if !value.is_empty() {
                entries.push((Text::Static(key), value.into()));
            }
        };
        let text = text.split('#').next().unwrap_or_default();
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        if !address.is_empty() {
            let path = match address.split_once("://") {
                Some((scheme, rest)) => {
                    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                        && scheme
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
                    if !valid {
                        return Err(format!("{scheme:?} is no scheme of an address"));
                    }
                    add("scheme", &scheme.to_ascii_lowercase());
                    let end = rest.find('/').unwrap_or(rest.len());
                    let (user, host, port) = authority(&rest[..end])?;
                    add("user", &user);
                    add("host", host);
                    add("port", port);
                    &rest[end..]
                }
                None if address.starts_with('/') => address,
                None => return Err(format!("{address:?} is no address")),
            };
            add("path", path);
        }
        if !query.is_empty() {
            entries.push((Text::Static("query"), Value::Map(parameters(query)?)));
        }
        Ok(Value::Map(Map::of(entries)))
    }
}

/// Takes `user:password@host:port` apart; the password is nobody's business.
fn authority(text: &str) -> Result<(String, &str, &str), String> {
    let (user, host) = text.rsplit_once('@').unwrap_or(("", text));
    let user = decoded(user.split(':').next().unwrap_or_default(), false)?;
    let fault = || format!("{host:?} is no host");
    let (host, port) = match host.strip_prefix('[') {
        Some(inner) => {
            let (address, rest) = inner.split_once(']').ok_or_else(fault)?;
            (address, rest.strip_prefix(':').unwrap_or(rest))
        }
        None => host.split_once(':').unwrap_or((host, "")),
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fault());
    }
    Ok((user, host, port))
}

/// The values of each key of a query.
fn parameters(query: &str) -> Result<Map, String> {
    let mut all: Vec<(String, Vec<Value>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key, true)?, decoded(value, true)?);
        let place = *places.entry(key.clone()).or_insert(all.len());
        if place == all.len() {
            all.push((key, Vec::new()));
        }
        all[place].1.push(value.into());
    }
    let entries = all
        .into_iter()
        .map(|(key, values)| (key.into(), Value::List(values)));
    Ok(Map::of(entries.collect()))
}

/// A text with `%41` and, in queries, `+` read.
fn decoded(text: &str, query: bool) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' if query => b' ',
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|digits| digits.len() == 2);
                let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                code.ok_or_else(|| format!("{text:?} has a faulty `%`"))?
            }
            other => other,
        });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
