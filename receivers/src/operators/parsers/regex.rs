//! `regex_parser`.

use regex::bytes::{CaptureLocations, Regex};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildError, pattern};

use super::{Parse, text};
use crate::operators::entry::Entry;
use crate::operators::value::{Map, Text, Value};

/// The keys of `regex_parser`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegexKeys {
    /// The regular expression; its named groups, `(?P<user>\w+)`, are the keys of the result.
    regex: String,
    /// How many results are cached.
    #[schemars(extend("x-no-effect" = "parsing needs no cache; remove it"))]
    #[serde(default, rename = "cache")]
    _cache: Option<super::super::config::Cache>,
}

impl RegexKeys {
    pub(crate) fn parser(&self, path: &str) -> Result<Pattern, BuildError> {
        let at = || format!("{path}::regex");
        let regex = pattern::compile(&self.regex).map_err(|why| BuildError::at(at(), why))?;
        let names: Vec<(usize, Text)> = regex
            .capture_names()
            .enumerate()
            .filter_map(|(at, name)| Some((at, Text::Shared(name?.into()))))
            .collect();
        if names.is_empty() {
            let error = BuildError::at(at(), "no group of the regular expression has a name");
            return Err(error.remedy("write for example `(?P<user>\\w+)`"));
        }
        Ok(Pattern {
            groups: regex.capture_locations(),
            regex,
            names,
        })
    }
}

pub(crate) struct Pattern {
    regex: Regex,
    names: Vec<(usize, Text)>,
    groups: CaptureLocations,
}

impl Parse for Pattern {
    fn parse(&mut self, value: &Value, _: &Entry) -> Result<Value, String> {
        let text = text(value)?;
        let found = self.regex.captures_read(&mut self.groups, text.as_bytes());
        if found.is_none() {
            return Err("it does not match the regular expression".to_owned());
        }
        let group = |at| {
            let (start, end) = self.groups.get(at)?;
            // A pattern may be told to look at bytes.
            text.get(start..end)
        };
        let entries = self.names.iter().map(|(at, name)| {
            let value = Value::from(group(*at).unwrap_or_default());
            (name.clone(), value)
        });
        Ok(Value::Map(Map::of(entries.collect())))
    }
}
