//! Label sets, as the text that stands between the braces of a sample.
//!
//! A series' text is made once, when the series is first seen, with names as the configured translation gives them.
//! Scrapers that cannot take such names and protobuf get theirs from this text again; both are rare.

use std::borrow::Cow;

use super::naming::{Escaping, is_legal};
use super::rejection::Rejection;

/// The longest text of a label set, in bytes: far above what a Prometheus server keeps, far below what would fill
/// the memory by a few series.
const MAX_BYTES: usize = 64 << 10;

/// The labels of one series while they are gathered.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelSet {
    pairs: Vec<(String, String)>,
}

/// The text of a label set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LabelText {
    /// `name="value"` joined by commas; names that are not legal in quotes.
    pub(super) text: Box<str>,
    /// Whether some names are not legal in the old sense.
    pub(super) foreign: bool,
}

impl LabelSet {
    pub(super) fn push(&mut self, name: String, value: String) {
        self.pairs.push((name, value));
    }

    /// Adds a label, or joins its value to that of the label that has the name already.
    pub(super) fn join(&mut self, name: String, value: &str) {
        match self.pairs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => {
                known.push(';');
                known.push_str(value);
            }
            None => self.push(name, value.to_owned()),
        }
    }

    /// Adds a label in the place of one that has the name already.
    pub(super) fn replace(&mut self, name: &str, value: &str) {
        self.pairs.retain(|(known, _)| known != name);
        self.push(name.to_owned(), value.to_owned());
    }

    /// The text, in the order of the names.
    ///
    /// `taken` is a label that samples of this type carry beside these: `le` or `quantile`.
    ///
    /// # Errors
    /// When two labels have one name, a name is reserved, or the text is too long.
    pub(super) fn text(mut self, taken: Option<&str>) -> Result<LabelText, Rejection> {
        self.pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let twice = self.pairs.windows(2).any(|two| two[0].0 == two[1].0);
        if twice
            || self
                .pairs
                .iter()
                .any(|(name, _)| Some(name.as_str()) == taken)
        {
            return Err(Rejection::LabelCollision);
        }
        if self.pairs.iter().any(|(name, _)| name.starts_with("__")) {
            return Err(Rejection::LabelName);
        }
        let mut text = String::new();
        let mut foreign = false;
        for (name, value) in &self.pairs {
            foreign |= !is_legal(name);
            write_pair(&mut text, name, value);
        }
        if text.len() > MAX_BYTES {
            return Err(Rejection::LabelsTooLong);
        }
        Ok(LabelText {
            text: text.into_boxed_str(),
            foreign,
        })
    }
}

fn write_pair(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    write_name(text, name);
    text.push_str("=\"");
    write_escaped(text, value, true);
    text.push('"');
}

/// Writes a name, in quotes where it is not legal.
pub(super) fn write_name(text: &mut String, name: &str) {
    if is_legal(name) {
        text.push_str(name);
    } else {
        text.push('"');
        write_escaped(text, name, true);
        text.push('"');
    }
}

/// Writes text with backslashes and line breaks escaped, and quotes where these end it.
pub(super) fn write_escaped(out: &mut String, text: &str, quotes: bool) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'"' if quotes => "\\\"",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        out.push_str(escape);
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
}

/// The text of a label set with its names as a scheme writes them, in the order that it has.
pub(super) fn escaped(text: &str, escaping: Escaping) -> String {
    let mut out = String::with_capacity(text.len());
    for (name, value) in pairs(text) {
        write_pair(&mut out, &escaping.apply(&name), &value);
    }
    out
}

/// The labels of a text that [`LabelSet::text`] made.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix(',').unwrap_or(rest);
        let name = match rest.strip_prefix('"') {
            Some(quoted) => take_quoted(quoted, &mut rest),
            None => {
                let (name, after) = rest.split_once('=')?;
                rest = after;
                return Some((Cow::Borrowed(name), take_value(&mut rest)?));
            }
        }?;
        rest = rest.strip_prefix('=')?;
        Some((name, take_value(&mut rest)?))
    })
}

fn take_value<'a>(rest: &mut &'a str) -> Option<Cow<'a, str>> {
    take_quoted(rest.strip_prefix('"')?, rest)
}

/// Takes text up to its closing quote, and tells what follows that.
fn take_quoted<'a>(text: &'a str, rest: &mut &'a str) -> Option<Cow<'a, str>> {
    let mut escape = false;
    let mut plain = true;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escape => escape = false,
            b'\\' => (escape, plain) = (true, false),
            b'"' => {
                *rest = &text[at + 1..];
                let inner = &text[..at];
                return Some(if plain {
                    Cow::Borrowed(inner)
                } else {
                    Cow::Owned(unescaped(inner))
                });
            }
            _ => {}
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => break,
            },
            c => c,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(pairs: &[(&str, &str)]) -> LabelSet {
        let mut set = LabelSet::default();
        for (name, value) in pairs {
            set.push((*name).to_owned(), (*value).to_owned());
        }
        set
    }

    #[test]
    fn labels_are_written_in_the_order_of_their_names() {
        let text = set(&[("b", "1"), ("a", "x\"y\\z\nw"), ("c.d", "")])
            .text(None)
            .unwrap();
        assert_eq!(&*text.text, r#"a="x\"y\\z\nw",b="1","c.d"="""#);
        assert!(text.foreign);
        assert_eq!(&*LabelSet::default().text(None).unwrap().text, "");
    }

    #[test]
    fn two_labels_of_one_name_are_refused() {
        assert_eq!(
            set(&[("a", "1"), ("a", "2")]).text(None),
            Err(Rejection::LabelCollision)
        );
        assert_eq!(
            set(&[("le", "1")]).text(Some("le")),
            Err(Rejection::LabelCollision)
        );
        assert!(set(&[("le", "1")]).text(Some("quantile")).is_ok());
    }

    #[test]
    fn reserved_names_and_endless_texts_are_refused() {
        assert_eq!(set(&[("__a", "1")]).text(None), Err(Rejection::LabelName));
        let long = "x".repeat(MAX_BYTES);
        assert_eq!(
            set(&[("a", &long)]).text(None),
            Err(Rejection::LabelsTooLong)
        );
    }

    #[test]
    fn values_of_one_name_can_be_joined_or_replaced() {
        let mut set = LabelSet::default();
        set.join("a".to_owned(), "1");
        set.join("a".to_owned(), "2");
        set.replace("job", "x");
        set.replace("job", "y");
        assert_eq!(&*set.text(None).unwrap().text, r#"a="1;2",job="y""#);
    }

    #[test]
    fn names_are_escaped_for_those_who_ask() {
        let text = set(&[("a.b", "1.2"), ("a_b", "a,\"b\"=\"c")])
            .text(None)
            .unwrap();
        assert_eq!(
            escaped(&text.text, Escaping::Underscores),
            r#"a_b="1.2",a_b="a,\"b\"=\"c""#
        );
        assert_eq!(escaped(&text.text, Escaping::AllowUtf8), &*text.text);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(labels in prop::collection::btree_map("[^_].*", ".*", 0..6)) {
            let mut set = LabelSet::default();
            for (name, value) in &labels {
                set.push(name.clone(), value.clone());
            }
            let text = set.text(None).unwrap();
            let read: Vec<_> = pairs(&text.text).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
            let expected: Vec<_> = labels.into_iter().collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_text_makes_the_reader_panic_or_loop(text in ".*") {
            prop_assert!(pairs(&text).count() <= text.len() + 1);
        }
    }
}
