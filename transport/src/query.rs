//! Queries of URLs, as forms write them.

use std::borrow::Cow;

/// The keys and values of a query, in their order.
pub fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    })
}

/// Every value of a key.
pub fn values<'a>(query: &'a str, key: &'a str) -> impl Iterator<Item = String> + 'a {
    let found = pairs(query).filter(move |(name, _)| name == key);
    found.map(|(_, value)| value.into_owned())
}

/// A text as it must be written to be one value of a query.
#[must_use]
pub fn escape(text: &str) -> String {
    use std::fmt::Write;

    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A text as it was before it was written in a query; an escape that is none stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let code = after
            .get(..2)
            .filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let code = code.and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(code)) => {
                out.push(code);
                rest = &after[2..];
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_browsers_write_it() {
        let read: Vec<_> = pairs("a=1%262&b=x+y&&c&d=%zz&a=3%&e=%+1").collect();
        let expected = [
            ("a", "1&2"),
            ("b", "x y"),
            ("c", ""),
            ("d", "%zz"),
            ("a", "3%"),
            ("e", "% 1"),
        ];
        let read: Vec<_> = read.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(read, expected);
        assert_eq!(
            values("a=1&b=2&a=%C3%A4", "a").collect::<Vec<_>>(),
            ["1", "ä"]
        );
    }
}
