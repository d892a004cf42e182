//! What a detector finds: attributes, of which users choose.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;
use tidegate_component::BuildError;
use tidegate_document::did_you_mean;

use crate::literal::Literal;

/// An attribute that a detector knows, and whether it is set unless told.
pub(super) type Known = (&'static str, bool);

/// A member of `resource_attributes`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    /// Whether the attribute is set.
    enabled: bool,
}

/// `resource_attributes` of a detector.
pub(super) type Switches = BTreeMap<String, Switch>;

/// The attributes of a detector that are to be set.
#[derive(Clone, Debug)]
pub(super) struct Chosen(Vec<&'static str>);

impl Chosen {
    /// Those that are known and not switched off, or switched on.
    pub(super) fn new(
        detector: &str,
        known: &'static [Known],
        switches: &Switches,
    ) -> Result<Self, BuildError> {
        for name in switches.keys() {
            if known.iter().any(|(known, _)| known == name) {
                continue;
            }
            let path = format!("{detector}::resource_attributes::{name}");
            let message = format!("the detector `{detector}` does not set `{name}`");
            let hint = did_you_mean(name, known.iter().map(|(name, _)| *name));
            return Err(
                BuildError::at(path, message).remedy(hint.unwrap_or_else(|| {
                    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                    format!("it sets {}", names.join(", "))
                })),
            );
        }
        let wanted = known.iter().filter(|(name, wanted)| {
            let switch = switches.get(*name);
            switch.map_or(*wanted, |switch| switch.enabled)
        });
        Ok(Self(wanted.map(|(name, _)| *name).collect()))
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.0.contains(&name)
    }
}

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Int(i64),
    Texts(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Value {
    /// As it is spliced in.
    pub(super) fn literal(&self) -> Result<Literal, Error> {
        match self {
            Self::Text(text) => Literal::deserialize(text.as_str().into_deserializer()),
            Self::Int(int) => Literal::deserialize((*int).into_deserializer()),
            Self::Texts(texts) => Literal::deserialize(texts.clone().into_deserializer()),
        }
    }
}

/// The attributes that a detector found, in its order.
#[derive(Debug)]
pub(super) struct Found<'a> {
    chosen: &'a Chosen,
    pub(super) attributes: Vec<(String, Value)>,
}

impl<'a> Found<'a> {
    pub(super) const fn new(chosen: &'a Chosen) -> Self {
        Self {
            chosen,
            attributes: Vec::new(),
        }
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.chosen.wants(name)
    }

    /// Sets an attribute, where it is wanted.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if self.chosen.wants(name) {
            self.attributes.push((name.to_owned(), value.into()));
        }
    }

    /// Sets an attribute, where it is wanted and there is a value.
    pub(super) fn set_some(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Adds an attribute whose name is found too, as that of a tag.
    pub(super) fn add(&mut self, name: String, value: impl Into<Value>) {
        self.attributes.push((name, value.into()));
    }
}
