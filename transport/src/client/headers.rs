//! The `headers` key: names and values to send with every request.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use std::collections::BTreeMap;
use tidegate_component::BuildError;
use tidegate_document::Secret;

/// Names and values, as a mapping or as a list of `{name: …, value: …}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(Vec<(String, Secret)>);

/// The two ways to write it.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Written {
    Map(BTreeMap<String, Secret>),
    List(Vec<Pair>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pair {
    /// The header's name.
    name: String,
    /// The header's value, never shown.
    value: Secret,
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Map(map) => map.into_iter().collect(),
            Written::List(list) => list
                .into_iter()
                .map(|pair| (pair.name, pair.value))
                .collect(),
        }))
    }
}

impl JsonSchema for Headers {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}

/// Headers that belong to the protocol or to one connection, and cannot be set.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Headers {
    /// The headers, checked; names that belong to the protocol are refused.
    ///
    /// # Errors
    /// When a name or a value cannot be sent.
    pub fn build(&self) -> Result<HeaderMap, BuildError> {
        let mut headers = HeaderMap::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            let path = || format!("headers::{name}");
            let lower = name.to_ascii_lowercase();
            if RESERVED.contains(&lower.as_str()) || lower.starts_with("grpc-") {
                return Err(
                    BuildError::at(path(), "the protocol sets this header itself")
                        .remedy("take it away"),
                );
            }
            let name = HeaderName::try_from(lower).map_err(|_| {
                BuildError::at(path(), "this is no name for a header")
                    .remedy("use letters, digits and hyphens")
            })?;
            let mut value = HeaderValue::try_from(value.reveal()).map_err(|_| {
                BuildError::at(path(), "the value cannot be sent in a header")
                    .remedy("take line breaks and other control characters out")
            })?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(headers)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let secret = |(name, value): (N, V)| (name.into(), Secret::new(value));
        Self(pairs.into_iter().map(secret).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_headers_are_read() {
        let map: Headers = serde_json::from_str(r#"{"X-Tenant": "a"}"#).unwrap();
        let list: Headers =
            serde_json::from_str(r#"[{"name": "X-Tenant", "value": "a"}]"#).unwrap();
        assert_eq!(map, list);
        let built = map.build().unwrap();
        assert_eq!(built["x-tenant"], "a");
        assert!(built["x-tenant"].is_sensitive());
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_named() {
        for (name, value) in [
            ("TE", "x"),
            ("grpc-timeout", "1S"),
            ("a b", "x"),
            ("a", "x\ny"),
        ] {
            let headers: Headers = [(name, value)].into_iter().collect();
            let error = headers.build().unwrap_err();
            assert_eq!(error.path, format!("headers::{name}"));
            assert!(error.remedy.is_some());
            assert!(!error.to_string().contains(value));
        }
    }
}
