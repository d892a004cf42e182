//! What shares a limit: the metrics of a name, a service, a tenant.

use std::fmt::Write as _;

use tidegate_pdata::Context;
use tidegate_pdata::series::{SeriesHash, SeriesId};
use tidegate_pdata::view::{AnyValue, Attributes};

/// Bytes of a name that are shown.
const SHOWN: usize = 100;

/// A limit and what shares it.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    /// What it is per, as it is written.
    pub(super) name: String,
    pub(super) parts: Vec<Part>,
    pub(super) series: u32,
}

/// One thing that tells groups apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Metric,
    Resource(Box<str>),
    Metadata(Box<str>),
}

/// Where a series is, as far as groups are told apart by it.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) metric: &'a [u8],
    pub(super) resource: Attributes<'a>,
    pub(super) sender: &'a Context,
}

/// The field of a resource that holds its attributes.
const ATTRIBUTES: u32 = 1;

impl<'a> Around<'a> {
    /// Around a metric of this resource and this name.
    pub(super) fn new((resource, metric): &'a (Vec<u8>, Vec<u8>), sender: &'a Context) -> Self {
        Self {
            metric,
            resource: Attributes::new(resource, ATTRIBUTES),
            sender,
        }
    }
}

impl Part {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.split_once('.') {
            None if name == "metric" => Some(Self::Metric),
            None if name == "service" => Some(Self::Resource("service.name".into())),
            Some((_, "")) => None,
            Some(("resource", key)) => Some(Self::Resource(key.into())),
            Some(("metadata", key)) => Some(Self::Metadata(key.to_ascii_lowercase().into())),
            _ => None,
        }
    }

    fn id(&self, around: &Around<'_>, hash: &SeriesHash) -> SeriesId {
        match self {
            Self::Metric => hash.bytes(around.metric),
            Self::Resource(key) => {
                let mut entries = around.resource.entries();
                let entry = entries.find(|entry| entry.key().as_bytes() == key.as_bytes());
                entry.map_or_else(SeriesId::default, |entry| hash.bytes(entry.bytes()))
            }
            Self::Metadata(key) => {
                let values = around.sender.metadata(key);
                let values = values.map(|value| hash.bytes(value.as_bytes()));
                values.fold(SeriesId::default(), |id, next| hash.join([id, next]))
            }
        }
    }

    fn show(&self, around: &Around<'_>, out: &mut String) {
        match self {
            Self::Metric => out.push_str(&String::from_utf8_lossy(around.metric)),
            Self::Resource(key) => match around.resource.get(&**key) {
                None => out.push('-'),
                Some(AnyValue::String(text)) => out.push_str(&text.to_str()),
                // Writing to a string cannot fail.
                Some(value) => _ = value.write_text(out),
            },
            Self::Metadata(key) => {
                for (at, value) in around.sender.metadata(key).enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    let _ = write!(out, "{comma}{value}");
                }
            }
        }
    }
}

impl Limit {
    /// The group of a series.
    pub(super) fn group(&self, around: &Around<'_>, hash: &SeriesHash) -> SeriesId {
        let ids = self.parts.iter().map(|part| part.id(around, hash));
        let seed = hash.bytes(self.name.as_bytes());
        ids.fold(seed, |id, next| hash.join([id, next]))
    }

    /// What a group is called, for people.
    pub(super) fn shown(&self, around: &Around<'_>) -> String {
        let mut name = String::new();
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                name.push_str(", ");
            }
            part.show(around, &mut name);
        }
        name.truncate(name.floor_char_boundary(SHOWN));
        name
    }
}
