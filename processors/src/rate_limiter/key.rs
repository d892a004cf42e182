//! What tells tenants apart: the client's address, its metadata, who it is, or what it sends.

use std::borrow::Cow;

use tidegate_component::BuildError;
use tidegate_pdata::Context;
use tidegate_pdata::view::{AnyValue, ByResource, Span, View};

/// Bytes of a key that count: who invents longer ones shares a bucket with others that begin alike.
const LONGEST: usize = 256;

/// Where a part of the key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Address,
    Metadata(Box<str>),
    Auth(Box<str>),
    Resource(Box<str>),
}

/// One part of the key.
#[derive(Clone, Debug)]
struct Part {
    /// What the configuration calls it.
    name: Box<str>,
    source: Source,
}

/// The parts that a tenant's key is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyBy(Vec<Part>);

impl KeyBy {
    /// The key of these parts, as `key_by` and `metadata_keys` name them.
    pub(super) fn new(key_by: &[String], metadata_keys: &[String]) -> Result<Self, BuildError> {
        let mut parts = Vec::new();
        for (at, name) in key_by.iter().enumerate() {
            parts.push(Part {
                name: name.as_str().into(),
                source: source(name).map_err(|error| error.under(at))?,
            });
        }
        for name in metadata_keys {
            parts.push(Part {
                name: name.as_str().into(),
                source: Source::Metadata(name.to_ascii_lowercase().into()),
            });
        }
        for (at, part) in parts.iter().enumerate() {
            if parts[..at].iter().any(|other| other.source == part.source) {
                let message = format!("{:?} tells tenants apart twice", part.name);
                let key = if at < key_by.len() {
                    "key_by"
                } else {
                    "metadata_keys"
                };
                return Err(BuildError::at(key, message).remedy("name it once"));
            }
        }
        Ok(Self(parts))
    }

    /// Whether there is no part, so that all are one tenant.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a part lies in what is sent, so that the key is not known before it is there.
    pub(super) fn is_in_resource(&self) -> bool {
        let is_resource = |part: &Part| matches!(part.source, Source::Resource(_));
        self.0.iter().any(is_resource)
    }

    /// The key of a tenant as the configuration writes it: `name:value;name:value`, or for a
    /// single part the value alone.
    pub(super) fn written<'k>(&self, key: &'k str) -> &'k str {
        let [part] = &*self.0 else { return key };
        let rest = key.strip_prefix(&*part.name);
        rest.and_then(|rest| rest.strip_prefix(':')).unwrap_or(key)
    }

    /// The key of what a sender sends of one resource.
    pub(super) fn key<'a>(&'a self, sender: &'a Context, resource: &'a [u8]) -> Cow<'a, str> {
        let key = match &*self.0 {
            [] => Cow::Borrowed(""),
            [part] => part.value(sender, resource),
            parts => {
                let mut key = String::new();
                for part in parts {
                    if !key.is_empty() {
                        key.push(';');
                    }
                    key.push_str(&part.name);
                    key.push(':');
                    key.push_str(&part.value(sender, resource));
                }
                Cow::Owned(key)
            }
        };
        shortened(key)
    }

    /// Whom a key stands for, in words.
    pub(super) fn tenant(&self, key: &str) -> String {
        let shown: String = key.chars().take(100).collect();
        match &*self.0 {
            [] => "all senders together".to_owned(),
            [part] if key.is_empty() => format!("senders without {}", part.name),
            [part] => format!("{} {shown:?}", part.name),
            _ => format!("{shown:?}"),
        }
    }
}

/// An error at one entry of `key_by`.
struct Unknown(String);

impl Unknown {
    fn under(self, at: usize) -> BuildError {
        let message = format!("{:?} is nothing that tells tenants apart", self.0);
        BuildError::at(format!("key_by::{at}"), message).remedy(
            "write client.address, metadata.KEY, auth.KEY or resource.KEY with the name of a header, \
             a field of the identity or a resource attribute",
        )
    }
}

fn source(name: &str) -> Result<Source, Unknown> {
    match name.split_once('.') {
        _ if name == "client.address" => Ok(Source::Address),
        Some((_, "")) => Err(Unknown(name.to_owned())),
        Some(("metadata", key)) => Ok(Source::Metadata(key.to_ascii_lowercase().into())),
        Some(("auth", key)) => Ok(Source::Auth(key.into())),
        Some(("resource", key)) => Ok(Source::Resource(key.into())),
        _ => Err(Unknown(name.to_owned())),
    }
}

impl Part {
    /// Its value; empty where there is none.
    fn value<'a>(&'a self, sender: &'a Context, resource: &'a [u8]) -> Cow<'a, str> {
        match &self.source {
            Source::Address => match sender.peer() {
                Some(peer) => Cow::Owned(peer.ip().to_canonical().to_string()),
                None => Cow::Borrowed(""),
            },
            Source::Metadata(key) => joined(sender.metadata(key)),
            Source::Auth(key) => joined(sender.auth(key)),
            Source::Resource(key) => {
                let group: ByResource<'a, Span<'a>> = View::of(resource);
                match group.resource().attributes().get(&**key) {
                    None => Cow::Borrowed(""),
                    Some(AnyValue::String(text)) => text.to_str(),
                    Some(value) => {
                        let mut text = String::new();
                        // Writing into a string cannot fail.
                        let _ = value.write_text(&mut text);
                        Cow::Owned(text)
                    }
                }
            }
        }
    }
}

/// Values as one: itself where there is one.
fn joined<'a>(mut values: impl Iterator<Item = &'a str>) -> Cow<'a, str> {
    let first = Cow::Borrowed(values.next().unwrap_or_default());
    values.fold(first, |mut all, value| {
        let text = all.to_mut();
        text.push(',');
        text.push_str(value);
        all
    })
}

fn shortened(key: Cow<'_, str>) -> Cow<'_, str> {
    if key.len() <= LONGEST {
        return key;
    }
    let end = key.floor_char_boundary(LONGEST);
    match key {
        Cow::Borrowed(key) => Cow::Borrowed(&key[..end]),
        Cow::Owned(mut key) => {
            key.truncate(end);
            Cow::Owned(key)
        }
    }
}
