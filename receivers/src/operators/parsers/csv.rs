//! `csv_parser`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::{Parse, text};
use crate::operators::entry::Entry;
use crate::operators::value::{Map, Text, Value};

/// The keys of `csv_parser`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CsvKeys {
    /// The names of the columns, with delimiters between them.
    header: Option<String>,
    /// The attribute that has the names of the columns, instead of `header`.
    header_attribute: Option<String>,
    /// What stands between columns, one character; a comma unless told.
    delimiter: Option<String>,
    /// What stands between the names of the columns; the `delimiter` unless told.
    header_delimiter: Option<String>,
    /// Whether quotes may stand within columns as they are.
    lazy_quotes: bool,
    /// Whether quotes mean nothing at all.
    ignore_quotes: bool,
}

impl CsvKeys {
    pub(crate) fn parser(&self, path: &str) -> Result<Csv, BuildError> {
        let at = |key: &str| format!("{path}::{key}");
        let delimiter = one(self.delimiter.as_deref().unwrap_or(","), &at("delimiter"))?;
        let header_delimiter = match &self.header_delimiter {
            Some(text) => one(text, &at("header_delimiter"))?,
            None => delimiter,
        };
        if self.lazy_quotes && self.ignore_quotes {
            let message = "quotes cannot be lazy and mean nothing";
            return Err(BuildError::at(at("ignore_quotes"), message).remedy("take one of them out"));
        }
        let columns = match (&self.header, &self.header_attribute) {
            (Some(header), None) => Columns::Fixed(names(header, header_delimiter)),
            (None, Some(attribute)) => Columns::Attribute(attribute.clone()),
            _ => {
                let message = "needs either `header` or `header_attribute`";
                return Err(BuildError::at(path, message)
                    .remedy("write for example `header: time,level,message`"));
            }
        };
        if matches!(&columns, Columns::Fixed(names) if names.len() < 2) {
            let message = format!("{delimiter:?} is not in the header, so there is but one column");
            return Err(BuildError::at(at("header"), message));
        }
        Ok(Csv {
            columns,
            delimiter,
            header_delimiter,
            lazy: self.lazy_quotes,
            quotes: !self.ignore_quotes,
        })
    }
}

fn one(text: &str, path: &str) -> Result<char, BuildError> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(char), None) if !matches!(char, '\r' | '\n' | '"') => Ok(char),
        _ => {
            let message = format!("{text:?} is not one character that can stand between columns");
            Err(BuildError::at(path, message).remedy("write for example `\",\"` or `\"\\t\"`"))
        }
    }
}

fn names(header: &str, delimiter: char) -> Vec<Text> {
    let names = header.split(delimiter);
    names.map(|name| Text::Shared(name.into())).collect()
}

enum Columns {
    Fixed(Vec<Text>),
    Attribute(String),
}

pub(crate) struct Csv {
    columns: Columns,
    delimiter: char,
    header_delimiter: char,
    lazy: bool,
    quotes: bool,
}

impl Parse for Csv {
    fn parse(&mut self, value: &Value, entry: &Entry) -> Result<Value, String> {
        let text = text(value)?;
        let found;
        let columns = match &self.columns {
            Columns::Fixed(columns) => columns,
            Columns::Attribute(name) => {
                let header = entry.attributes.get(name).and_then(Value::as_str);
                let header =
                    header.ok_or_else(|| format!("the attribute {name:?} has no header"))?;
                found = names(header, self.header_delimiter);
                &found
            }
        };
        let values = self.split(text)?;
        if values.len() != columns.len() {
            let (found, expected) = (values.len(), columns.len());
            return Err(format!("it has {found} columns, not {expected}"));
        }
        let entries = columns
            .iter()
            .cloned()
            .zip(values.into_iter().map(Value::from));
        Ok(Value::Map(Map::of(entries.collect())))
    }
}

impl Csv {
    fn split(&self, text: &str) -> Result<Vec<String>, String> {
        if !self.quotes {
            return Ok(text.split(self.delimiter).map(ToOwned::to_owned).collect());
        }
        let mut values = Vec::new();
        let mut rest = text;
        loop {
            let (value, after) = match rest.strip_prefix('"') {
                Some(quoted) => self.quoted(quoted)?,
                None => self.bare(rest)?,
            };
            values.push(value);
            match after.strip_prefix(self.delimiter) {
                Some(next) => rest = next,
                None if after.is_empty() => return Ok(values),
                None => return Err("text follows a closing quote".to_owned()),
            }
        }
    }

    fn bare<'t>(&self, text: &'t str) -> Result<(String, &'t str), String> {
        let end = text.find(self.delimiter).unwrap_or(text.len());
        let value = &text[..end];
        if !self.lazy && value.contains('"') {
            return Err("a quote stands in a column without quotes".to_owned());
        }
        Ok((value.to_owned(), &text[end..]))
    }

    fn quoted<'t>(&self, text: &'t str) -> Result<(String, &'t str), String> {
        let mut value = String::new();
        let mut rest = text;
        loop {
            let Some(end) = rest.find('"') else {
                if self.lazy {
                    value.push_str(rest);
                    return Ok((value, ""));
                }
                return Err("a quote is not closed".to_owned());
            };
            value.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            if let Some(after) = rest.strip_prefix('"') {
                value.push('"');
                rest = after;
            } else if rest.is_empty() || rest.starts_with(self.delimiter) {
                return Ok((value, rest));
            } else if self.lazy {
                value.push('"');
            } else {
                return Err("text follows a closing quote".to_owned());
            }
        }
    }
}
