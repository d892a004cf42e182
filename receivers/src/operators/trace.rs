//! The trace in which an entry was written, and the scope that wrote it.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::entry::Entry;
use super::field::Field;
use super::value::Value;

/// Where the trace's context is read from.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TraceKeys {
    /// Where the trace's ID is, in hexadecimal digits: `parse_from: attributes.trace_id` unless told.
    trace_id: Option<Source>,
    /// Where the span's ID is: `parse_from: attributes.span_id` unless told.
    span_id: Option<Source>,
    /// Where the trace's flags are: `parse_from: attributes.trace_flags` unless told.
    trace_flags: Option<Source>,
}

/// A field that something is read from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Source {
    /// The field.
    parse_from: String,
}

/// Reads the trace's context off entries.
#[derive(Clone, Debug)]
pub(crate) struct TraceParser {
    trace_id: Field,
    span_id: Field,
    trace_flags: Field,
}

impl TraceKeys {
    /// Checks the keys; `path` is the one that leads to them.
    pub(crate) fn build(&self, path: &str) -> Result<TraceParser, BuildError> {
        let field = |source: &Option<Source>, key: &str| match source {
            None => Ok(Field::attribute(key)),
            Some(source) => {
                let fault = |why| BuildError::at(format!("{path}::{key}::parse_from"), why);
                Field::parse(&source.parse_from).map_err(fault)
            }
        };
        Ok(TraceParser {
            trace_id: field(&self.trace_id, "trace_id")?,
            span_id: field(&self.span_id, "span_id")?,
            trace_flags: field(&self.trace_flags, "trace_flags")?,
        })
    }
}

impl TraceParser {
    /// Sets the entry's trace; what has no value is passed over.
    pub(crate) fn parse(&self, entry: &mut Entry) -> Result<(), String> {
        let trace_id = hex::<16>(self.trace_id.get(entry));
        let span_id = hex::<8>(self.span_id.get(entry));
        let flags = hex::<1>(self.trace_flags.get(entry));
        let mut faults = Vec::new();
        match trace_id {
            Ok(id) => entry.trace_id = id.or(entry.trace_id),
            Err(why) => faults.push(format!("{}: {why}", self.trace_id)),
        }
        match span_id {
            Ok(id) => entry.span_id = id.or(entry.span_id),
            Err(why) => faults.push(format!("{}: {why}", self.span_id)),
        }
        match flags {
            Ok(flags) => entry.trace_flags = flags.map_or(entry.trace_flags, |[flags]| flags),
            Err(why) => faults.push(format!("{}: {why}", self.trace_flags)),
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(faults.join("; "))
    }
}

fn hex<const N: usize>(value: Option<&Value>) -> Result<Option<[u8; N]>, String> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Str(text)) => text,
        Some(other) => return Err(format!("{} is no ID", other.kind())),
    };
    let fault = || format!("{:?} is not {} hexadecimal digits", &**text, 2 * N);
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(fault());
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| fault())?;
    }
    Ok(Some(bytes))
}

/// Where the scope's name is read from.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScopeKeys {
    /// The field that has the scope's name.
    pub(crate) parse_from: Option<String>,
}

/// Reads the scope's name off entries.
#[derive(Clone, Debug)]
pub(crate) struct ScopeParser(Field);

impl ScopeKeys {
    /// Checks the keys; `path` is the one that leads to them.
    pub(crate) fn build(&self, path: &str) -> Result<ScopeParser, BuildError> {
        let Some(from) = &self.parse_from else {
            let error = BuildError::at(path, "`parse_from` is missing");
            return Err(error.remedy("name the field that has the scope's name"));
        };
        let fault = |why| BuildError::at(format!("{path}::parse_from"), why);
        Field::parse(from).map(ScopeParser).map_err(fault)
    }
}

impl ScopeParser {
    /// Sets the entry's scope.
    pub(crate) fn parse(&self, entry: &mut Entry) -> Result<(), String> {
        match self.0.get(entry) {
            Some(Value::Str(name)) => {
                entry.scope = name.clone();
                Ok(())
            }
            Some(other) => Err(format!("{} is no name of a scope", other.kind())),
            None => Err(format!(
                "there is no {} to read a scope's name from",
                self.0
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::value::Map;

    #[test]
    fn ids_are_read_from_hexadecimal_digits() {
        let keys = TraceKeys {
            span_id: Some(Source {
                parse_from: "body.span".to_owned(),
            }),
            ..TraceKeys::default()
        };
        let parser = keys.build("trace").unwrap();
        let mut entry = Entry {
            body: Value::Map(Map::from([("span", "d75597dee50b0cac".into())])),
            attributes: Map::from([
                ("trace_id", "480140f3d770a5ae32f0a22b6a812cff".into()),
                ("trace_flags", "01".into()),
            ]),
            ..Entry::default()
        };
        parser.parse(&mut entry).unwrap();
        assert_eq!(entry.trace_id.map(|id| id[15]), Some(0xff));
        assert_eq!(entry.span_id.map(|id| id[0]), Some(0xd7));
        assert_eq!(entry.trace_flags, 1);
        entry.attributes.insert("trace_id", "no".into());
        let fault = parser.parse(&mut entry).unwrap_err();
        assert!(
            fault.starts_with("attributes.trace_id: \"no\" is not 32"),
            "{fault}"
        );
    }

    #[test]
    fn the_scope_is_read_from_its_field() {
        let keys = ScopeKeys {
            parse_from: Some("attributes.logger".to_owned()),
        };
        let parser = keys.build("scope_name").unwrap();
        let mut entry = Entry::default();
        assert!(parser.parse(&mut entry).is_err());
        entry.attributes.insert("logger", "com.example.Foo".into());
        parser.parse(&mut entry).unwrap();
        assert_eq!(&*entry.scope, "com.example.Foo");
    }
}
