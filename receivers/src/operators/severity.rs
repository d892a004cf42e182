//! Severities of entries: `severity_parser` and the `severity` of parsers.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::OneOrMany;

use super::entry::Entry;
use super::field::Field;
use super::value::{Text, Value};

/// The names of the severity numbers from 1 on.
const NAMES: [&str; 24] = [
    "trace", "trace2", "trace3", "trace4", "debug", "debug2", "debug3", "debug4", "info", "info2",
    "info3", "info4", "warn", "warn2", "warn3", "warn4", "error", "error2", "error3", "error4",
    "fatal", "fatal2", "fatal3", "fatal4",
];

/// Those names as they are shown.
const SHOWN: [&str; 25] = [
    "", "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4", "INFO",
    "INFO2", "INFO3", "INFO4", "WARN", "WARN2", "WARN3", "WARN4", "ERROR", "ERROR2", "ERROR3",
    "ERROR4", "FATAL", "FATAL2", "FATAL3", "FATAL4",
];

/// The name of a severity number as it is shown.
pub(crate) fn shown(severity: u8) -> &'static str {
    SHOWN.get(usize::from(severity)).copied().unwrap_or("")
}

/// Where a severity is read from, and what it means.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SeverityKeys {
    /// The field that has the severity.
    pub(crate) parse_from: Option<String>,
    /// What is known beforehand: `default`, `aliases` (`otel`) for the names and numbers of severities alone, or
    /// `none`.
    preset: Preset,
    /// For a severity, `error`, what stands for it: a value, a range `{min: 400, max: 499}`, `4xx`, or a
    /// list of these.
    mapping: BTreeMap<String, OneOrMany<Meaning>>,
    /// Whether the text of the severity becomes its short name, `ERROR`, instead of what was read.
    overwrite_text: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Preset {
    #[default]
    Default,
    Aliases,
    Otel,
    None,
}

/// What stands for a severity.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Meaning {
    Number(i64),
    Text(String),
    Range(Range),
}

/// Numbers that stand for a severity.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Range {
    /// The least number.
    min: i64,
    /// The greatest number.
    max: i64,
}

/// Reads severities off entries.
#[derive(Clone, Debug)]
pub(crate) struct SeverityParser {
    from: Field,
    texts: HashMap<String, u8>,
    ranges: Vec<(i64, i64, u8)>,
    overwrite_text: bool,
}

impl SeverityKeys {
    /// Checks the keys; `path` is the one that leads to them.
    pub(crate) fn build(&self, path: &str) -> Result<SeverityParser, BuildError> {
        let Some(from) = &self.parse_from else {
            let error = BuildError::at(path, "`parse_from` is missing");
            return Err(error.remedy("name the field that has the severity"));
        };
        let fault = |why| BuildError::at(format!("{path}::parse_from"), why);
        let mut parser = SeverityParser {
            from: Field::parse(from).map_err(fault)?,
            texts: preset(self.preset),
            ranges: Vec::new(),
            overwrite_text: self.overwrite_text,
        };
        for (name, meanings) in &self.mapping {
            let severity = severity(name).ok_or_else(|| {
                let message = format!("{name:?} is no severity");
                BuildError::at(format!("{path}::mapping::{name}"), message)
                    .remedy("write trace, debug, info, warn, error or fatal, or one of these with 2, 3 or 4 behind it")
            })?;
            for meaning in meanings.as_slice() {
                parser.add(severity, meaning);
            }
        }
        Ok(parser)
    }
}

fn preset(preset: Preset) -> HashMap<String, u8> {
    let mut texts = HashMap::new();
    if preset == Preset::None {
        return texts;
    }
    for (severity, name) in (1..).zip(NAMES) {
        texts.insert(name.to_owned(), severity);
        texts.insert(severity.to_string(), severity);
        if preset == Preset::Default {
            let other = match name.split_at(4) {
                ("warn", rest) => format!("warning{rest}"),
                ("erro", rest) => format!("err{}", &rest[1..]),
                _ => continue,
            };
            texts.insert(other, severity);
        }
    }
    texts
}

/// The number of a severity's name.
fn severity(name: &str) -> Option<u8> {
    let name = name.to_lowercase();
    if name == "default" {
        return Some(0);
    }
    (1..)
        .zip(NAMES)
        .find(|(severity, known)| *known == name || severity.to_string() == name)
        .map(|(severity, _)| severity)
}

impl SeverityParser {
    fn add(&mut self, severity: u8, meaning: &Meaning) {
        match meaning {
            Meaning::Number(number) => {
                self.texts.insert(number.to_string(), severity);
            }
            Meaning::Range(range) => {
                let (min, max) = (range.min.min(range.max), range.min.max(range.max));
                self.ranges.push((min, max, severity));
            }
            Meaning::Text(text) => match text.as_bytes() {
                [hundred @ b'2'..=b'5', b'x', b'x'] => {
                    let min = i64::from(hundred - b'0') * 100;
                    self.ranges.push((min, min + 99, severity));
                }
                _ => {
                    self.texts.insert(text.to_lowercase(), severity);
                }
            },
        }
    }

    /// Sets the entry's severity.
    pub(crate) fn parse(&self, entry: &mut Entry) -> Result<(), String> {
        let Some(value) = self.from.get(entry) else {
            return Err(format!("there is no {} to read a severity from", self.from));
        };
        let text: Text = match value {
            Value::Str(text) => text.clone(),
            Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned().into(),
            Value::Int(number) => number.to_string().into(),
            Value::Double(number) if number.fract() == 0.0 => format!("{number:.0}").into(),
            other => return Err(format!("{} is no severity", other.kind())),
        };
        entry.severity = self.find(&text);
        entry.severity_text = if self.overwrite_text {
            Text::Static(shown(entry.severity))
        } else {
            text
        };
        Ok(())
    }

    fn find(&self, text: &str) -> u8 {
        let known = match self.texts.get(text) {
            None if text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) =>
            {
                None
            }
            None => self.texts.get(&text.to_lowercase()),
            known => known,
        };
        if let Some(severity) = known {
            return *severity;
        }
        if self.ranges.is_empty() {
            return 0;
        }
        let number: Option<i64> = text.parse().ok();
        let within = |(min, max, _): &&(i64, i64, u8)| {
            number.is_some_and(|number| (*min..=*max).contains(&number))
        };
        self.ranges
            .iter()
            .find(within)
            .map_or(0, |(_, _, severity)| *severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(yaml: &str, value: impl Into<Value>) -> Result<(u8, String), String> {
        let yaml = format!("{{parse_from: body, {yaml}}}");
        let node = tidegate_document::yaml::parse_str(&yaml).unwrap();
        let keys: SeverityKeys = tidegate_document::read(&node).unwrap();
        let parser = keys.build("severity").unwrap();
        let mut entry = Entry::with_body(value);
        parser.parse(&mut entry)?;
        Ok((entry.severity, entry.severity_text.to_string()))
    }

    fn severity(yaml: &str, value: impl Into<Value>) -> u8 {
        parse(yaml, value).unwrap().0
    }

    #[test]
    fn presets() {
        for (text, expected) in [
            ("ERROR", 17),
            ("err", 17),
            ("Warning2", 14),
            ("info", 9),
            ("9", 9),
            ("unknown", 0),
        ] {
            assert_eq!(severity("", text), expected, "{text}");
        }
        assert_eq!(severity("preset: aliases", "warning"), 0);
        assert_eq!(severity("preset: otel", "fatal4"), 24);
        assert_eq!(
            severity("preset: none, mapping: {error: nooo!}", "ERROR"),
            0
        );
        assert_eq!(
            severity("preset: none, mapping: {error: nooo!}", "nooo!"),
            17
        );
    }

    #[test]
    fn mappings_of_values_lists_and_ranges() {
        let yaml = "mapping: {error: [nooo!, 404], info: HEY, debug: 1234, warn: 5xx, \
                    fatal: [really serious, {min: 9050, max: 9001}], info3: {min: 300, max: 399}}";
        for (value, expected) in [
            (Value::from("nooo!"), 17),
            (Value::Int(404), 17),
            ("hey".into(), 9),
            (Value::Int(1234), 5),
            (Value::Double(503.0), 13),
            ("503".into(), 13),
            ("Really Serious".into(), 21),
            (Value::Int(9001), 21),
            (Value::Int(9051), 0),
            (Value::Int(302), 11),
        ] {
            assert_eq!(severity(yaml, value.clone()), expected, "{value:?}");
        }
    }

    #[test]
    fn the_text_is_what_was_read_unless_told() {
        assert_eq!(parse("", "Err").unwrap(), (17, "Err".to_owned()));
        assert_eq!(
            parse("overwrite_text: true", "Err").unwrap(),
            (17, "ERROR".to_owned())
        );
        assert!(parse("", Value::Bool(true)).is_err());
    }

    #[test]
    fn a_severity_that_is_none_is_told() {
        let node =
            tidegate_document::yaml::parse_str("{parse_from: body, mapping: {loud: a}}").unwrap();
        let keys: SeverityKeys = tidegate_document::read(&node).unwrap();
        let error = keys.build("severity").unwrap_err();
        assert_eq!(error.path, "severity::mapping::loud");
    }
}
