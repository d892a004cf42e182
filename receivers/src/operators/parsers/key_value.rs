//! `key_value_parser`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::{Parse, text};
use crate::operators::entry::Entry;
use crate::operators::value::{Map, Text, Value};

/// The keys of `key_value_parser`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KeyValueKeys {
    /// What stands between a key and its value.
    delimiter: String,
    /// What stands between pairs; any white space unless told.
    pair_delimiter: String,
}

impl Default for KeyValueKeys {
    fn default() -> Self {
        Self {
            delimiter: "=".to_owned(),
            pair_delimiter: String::new(),
        }
    }
}

impl KeyValueKeys {
    pub(crate) fn parser(&self, path: &str) -> Result<KeyValue, BuildError> {
        if self.delimiter.is_empty() {
            let error = BuildError::at(format!("{path}::delimiter"), "the delimiter is empty");
            return Err(error.remedy("write for example `delimiter: \"=\"`"));
        }
        let alike = self.delimiter == self.pair_delimiter
            || self.pair_delimiter.is_empty() && self.delimiter.trim().is_empty();
        if alike {
            let message = "pairs would be told apart by what stands within them";
            return Err(BuildError::at(format!("{path}::pair_delimiter"), message)
                .remedy("give `delimiter` and `pair_delimiter` different texts"));
        }
        Ok(KeyValue {
            delimiter: self.delimiter.clone(),
            pair_delimiter: self.pair_delimiter.clone(),
        })
    }
}

pub(crate) struct KeyValue {
    delimiter: String,
    pair_delimiter: String,
}

impl Parse for KeyValue {
    fn parse(&mut self, value: &Value, _: &Entry) -> Result<Value, String> {
        let text = text(value)?;
        let mut entries: Vec<(Text, Value)> = Vec::new();
        let mut rest = text;
        while let Some(pair) = self.next_pair(&mut rest)? {
            let Some((key, value)) = pair.split_once(&self.delimiter) else {
                return Err(format!("{pair:?} is no pair around {:?}", self.delimiter));
            };
            entries.push((bare(key).into(), bare(value).into()));
        }
        if entries.is_empty() {
            return Err("there is no pair in it".to_owned());
        }
        Ok(Value::Map(Map::of(entries)))
    }
}

impl KeyValue {
    /// The next pair that is not empty; delimiters in quotes end none.
    fn next_pair<'t>(&self, rest: &mut &'t str) -> Result<Option<&'t str>, String> {
        while !rest.is_empty() {
            let mut quote = None;
            let mut end = rest.len();
            let mut skip = 0;
            for (at, char) in rest.char_indices() {
                match quote {
                    Some(open) if char == open => quote = None,
                    Some(_) => {}
                    None if matches!(char, '"' | '\'') => quote = Some(char),
                    None => skip = self.delimits(&rest[at..], char),
                }
                if skip > 0 {
                    end = at;
                    break;
                }
            }
            if quote.is_some() {
                return Err("a quote in it is not closed".to_owned());
            }
            let pair = rest[..end].trim();
            *rest = &rest[end + skip..];
            if !pair.is_empty() {
                return Ok(Some(pair));
            }
        }
        Ok(None)
    }

    /// The length of the delimiter of pairs that a text begins with.
    fn delimits(&self, text: &str, first: char) -> usize {
        if !self.pair_delimiter.is_empty() {
            return if text.starts_with(&self.pair_delimiter) {
                self.pair_delimiter.len()
            } else {
                0
            };
        }
        if first.is_whitespace() {
            first.len_utf8()
        } else {
            0
        }
    }
}

/// A key or a value without spaces and quotes around it.
fn bare(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    text
}
