//! The names of components as users write them: `otlp`, `otlp/edge`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The type of a component and, behind a slash, the name of the instance.
///
/// The rules are the Collector's: a type is a letter and up to 62 letters, digits and `_`; a name is 1 to 1,024
/// characters without white space, control characters and symbols.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId {
    text: Box<str>,
    slash: usize,
}

/// Why a text is no [`ComponentId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a component's name: {reason}")]
pub struct InvalidId {
    text: String,
    reason: &'static str,
}

impl ComponentId {
    /// Gives the type: `otlp` of `otlp/edge`.
    pub fn kind(&self) -> &str {
        &self.text[..self.slash]
    }

    /// Gives the name: `edge` of `otlp/edge`, empty where there is none.
    pub fn name(&self) -> &str {
        self.text.get(self.slash + 1..).unwrap_or("")
    }

    /// Gives the whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for ComponentId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        let invalid = |reason| {
            Err(InvalidId {
                text: text.to_owned(),
                reason,
            })
        };
        match (kind, name) {
            ("", Some(_)) => return invalid("nothing is before the slash"),
            ("", None) => return invalid("it is empty"),
            (_, Some("")) => return invalid("nothing is behind the slash"),
            (_, Some(name)) if name.chars().count() > 1024 => {
                return invalid("its name is longer than 1,024 characters");
            }
            (_, Some(name)) if !name.chars().all(is_name_char) => {
                return invalid("a name has no white space, control characters or symbols");
            }
            _ => {}
        }
        if kind.len() > 63 {
            return invalid("its type is longer than 63 characters");
        }
        let tail = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !kind.starts_with(|c: char| c.is_ascii_alphabetic()) || !kind.chars().all(tail) {
            return invalid("a type is a letter, then letters, digits and `_`");
        }
        Ok(Self {
            slash: kind.len(),
            text: match name {
                Some(name) => format!("{kind}/{name}").into(),
                None => kind.into(),
            },
        })
    }
}

// The symbols of ASCII by Unicode's category S; those beyond are left alone.
fn is_name_char(c: char) -> bool {
    !c.is_whitespace()
        && !c.is_control()
        && !matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for ComponentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ComponentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ComponentId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ComponentId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^\\s*[a-zA-Z][0-9a-zA-Z_]{0,62}\\s*(/.+)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_name_are_told_apart() {
        let id: ComponentId = "otlp/edge/2".parse().unwrap();
        assert_eq!((id.kind(), id.name()), ("otlp", "edge/2"));
        let id: ComponentId = " otlp / edge ".parse().unwrap();
        assert_eq!(id.as_str(), "otlp/edge");
        let id: ComponentId = "otlp".parse().unwrap();
        assert_eq!((id.kind(), id.name()), ("otlp", ""));
    }

    #[test]
    fn what_the_collector_refuses_is_refused() {
        for text in [
            "", "/", "/x", "otlp/", "2otlp", "ot-lp", "otlp/a b", "otlp/a$", " ",
        ] {
            assert!(text.parse::<ComponentId>().is_err(), "{text}");
        }
        assert!("a".repeat(64).parse::<ComponentId>().is_err());
    }
}
