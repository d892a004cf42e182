//! Settings whose keys lie side by side in one mapping of YAML, though they are several structs in the code.
//!
//! serde's `flatten` and `deny_unknown_fields` do not go together, so a struct of layers is read by splitting the
//! keys: each layer gets those its schema declares.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error};
use serde_json::{Map as JsonMap, Value as Json};

use crate::schema::{generator, keys};
use crate::{Map, Node, Span, Value};

/// Declares a struct whose fields are layers, in place of `serde(flatten)`.
///
/// ```
/// # use serde::Deserialize;
/// # use schemars::JsonSchema;
/// #[derive(Debug, Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// pub struct Client {
///     endpoint: String,
/// }
///
/// #[derive(Debug, Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// pub struct Own {
///     #[serde(default)]
///     verbose: bool,
/// }
///
/// tidegate_document::layered! {
///     /// A client that can be verbose.
///     #[derive(Debug)]
///     pub struct Config {
///         pub own: Own,
///         pub client: Client,
///     }
/// }
///
/// let node = tidegate_document::yaml::parse_str("{verbose: true, endpoint: 'localhost:4317'}").unwrap();
/// let config: Config = tidegate_document::read(&node).unwrap();
/// assert!(config.own.verbose);
/// assert_eq!(config.client.endpoint, "localhost:4317");
/// ```
///
/// A layer that takes any key (`additionalProperties`) gets those that no other declares; a key that several declare
/// goes to each of them. The struct is `Deserialize` and `JsonSchema`, so it can be a layer or a field itself.
#[macro_export]
macro_rules! layered {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $field_vis:vis $field:ident : $layer:ty ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $( $(#[$field_meta])* $field_vis $field: $layer ),+
        }

        impl<'de> $crate::macros::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::macros::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                let mut layers = $crate::macros::Layers::take(
                    deserializer,
                    &[$( $crate::macros::keys_of::<$layer>() ),+],
                )?;
                ::core::result::Result::Ok(Self {
                    $( $field: layers.hand_out::<$layer, D::Error>()? ),+
                })
            }
        }

        impl $crate::macros::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                ::core::stringify!($name).into()
            }

            fn schema_id() -> ::std::borrow::Cow<'static, str> {
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!($name)).into()
            }

            fn json_schema(
                generator: &mut $crate::macros::schemars::SchemaGenerator,
            ) -> $crate::macros::schemars::Schema {
                let layers = [$( $crate::macros::layer::<$layer>(generator) ),+];
                $crate::macros::merged(layers)
            }
        }
    };
}

/// What a layer declares.
#[doc(hidden)]
pub struct LayerKeys {
    names: Vec<String>,
    takes_any: bool,
}

#[doc(hidden)]
pub fn keys_of<T: JsonSchema>() -> LayerKeys {
    let schema = layer::<T>(&mut generator());
    LayerKeys {
        names: keys(&schema),
        takes_any: takes_any(&schema),
    }
}

/// Gives the schema of a layer, itself and not a reference to it.
#[doc(hidden)]
pub fn layer<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

fn takes_any(schema: &Schema) -> bool {
    schema
        .get("additionalProperties")
        .is_some_and(|any| *any != Json::Bool(false))
}

/// Joins the schemas of layers into that of one mapping.
#[doc(hidden)]
pub fn merged(layers: impl IntoIterator<Item = Schema>) -> Schema {
    let mut properties = JsonMap::new();
    let mut required: Vec<Json> = Vec::new();
    let mut additional = Json::Bool(false);
    for layer in layers {
        if let Some(Json::Object(own)) = layer.get("properties") {
            for (name, property) in own {
                properties.entry(name.clone()).or_insert(property.clone());
            }
        }
        if let Some(Json::Array(own)) = layer.get("required") {
            required.extend(
                own.iter()
                    .filter(|name| !required.contains(name))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
        if let Some(any) = layer.get("additionalProperties")
            && *any != Json::Bool(false)
        {
            additional = any.clone();
        }
    }
    let mut whole = Schema::default();
    whole.insert("type".to_owned(), "object".into());
    whole.insert("properties".to_owned(), Json::Object(properties));
    if !required.is_empty() {
        whole.insert("required".to_owned(), Json::Array(required));
    }
    whole.insert("additionalProperties".to_owned(), additional);
    whole
}

/// The nodes of the layers, handed out in order.
#[doc(hidden)]
pub struct Layers {
    parts: std::vec::IntoIter<Node>,
}

impl Layers {
    pub fn take<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
        layers: &[LayerKeys],
    ) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        let map = match node.value {
            Value::Map(map) => map,
            Value::Null => Map::new(),
            other => {
                let message = format!("expected a mapping, found {}", other.kind());
                return Err(D::Error::custom(message));
            }
        };
        let (parts, unknown) = deal(map, node.span, layers);
        match unknown.first() {
            Some((key, _)) => Err(D::Error::custom(format!("unknown key `{key}`"))),
            None => Ok(Self {
                parts: parts.into_iter(),
            }),
        }
    }

    pub fn hand_out<T: DeserializeOwned, E: Error>(&mut self) -> Result<T, E> {
        let node = self.parts.next().unwrap_or(Node::null(Span::NONE));
        T::deserialize(crate::de::NodeDeserializer::new(&node))
            .map_err(|fault| E::custom(fault.sealed()))
    }
}

/// Deals the keys of a mapping out to layers; what none takes comes last.
fn deal(map: Map, span: Span, layers: &[LayerKeys]) -> (Vec<Node>, Map) {
    let mut parts = vec![Map::new(); layers.len()];
    let mut unknown = Map::new();
    for (key, entry) in map {
        let mut takers: Vec<usize> = (0..layers.len())
            .filter(|i| layers[*i].names.contains(&key))
            .collect();
        if takers.is_empty() {
            takers.extend(layers.iter().position(|layer| layer.takes_any));
        }
        match takers.split_last() {
            None => {
                unknown.insert(key, entry);
            }
            Some((last, others)) => {
                for taker in others {
                    parts[*taker].insert(key.clone(), entry.clone());
                }
                parts[*last].insert(key, entry);
            }
        }
    }
    let parts = parts
        .into_iter()
        .map(|part| Node::new(Value::Map(part), span))
        .collect();
    (parts, unknown)
}

/// Takes the keys that a schema declares off a mapping: what it declares, then the rest.
///
/// A node that is no mapping goes to the rest whole; the first is then an empty mapping.
pub fn split(node: &Node, schema: &Schema) -> (Node, Node) {
    let Value::Map(map) = &node.value else {
        return (Node::empty_map(node.span), node.clone());
    };
    let names = keys(schema);
    let (own, rest): (Map, Map) = map
        .iter()
        .map(|(key, entry)| (key.clone(), entry.clone()))
        .partition(|(key, _)| names.contains(key));
    (
        Node::new(Value::Map(own), node.span),
        Node::new(Value::Map(rest), node.span),
    )
}
