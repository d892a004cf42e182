//! Which pod a resource belongs to: rules, each with sources that must all be there.
//!
//! What the sources of a rule give is the key of a pod in the table. A pod is in there under the key
//! that each rule makes of it.

use std::net::IpAddr;

use tidegate_pdata::splice::AttributeEditor;
use tidegate_pdata::view::AnyValue;

use super::extract::PodEntry;

/// Where a part of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The sender's address.
    Connection,
    /// An attribute of the resource.
    Attribute(Box<str>),
}

/// The rules, in order.
#[derive(Debug)]
pub(super) struct Associations {
    rules: Vec<Vec<Source>>,
    /// Whether none were written: then an address is looked for in several places.
    implicit: bool,
}

/// What was found of a resource's pod.
#[derive(Debug)]
pub(super) enum Found {
    /// No rule applies.
    Nothing,
    /// Its key, and its address where that was a part of it.
    Key { address: Option<String> },
}

impl Associations {
    pub(super) fn new(rules: Vec<Vec<Source>>) -> Self {
        let implicit = rules.is_empty();
        Self {
            rules: match implicit {
                true => vec![vec![Source::Connection]],
                false => rules,
            },
            implicit,
        }
    }

    /// Makes the key of a resource's pod.
    pub(super) fn key(
        &self,
        attributes: &AttributeEditor<'_>,
        peer: Option<&str>,
        key: &mut Vec<u8>,
    ) -> Found {
        if self.implicit {
            let Some(address) = address(attributes, peer) else {
                return Found::Nothing;
            };
            key.clear();
            part(key, &Source::Connection, address.as_bytes());
            return Found::Key {
                address: Some(address),
            };
        }
        for rule in &self.rules {
            key.clear();
            let whole = rule.iter().all(|source| match source {
                Source::Connection => peer.is_some_and(|peer| {
                    part(key, source, peer.as_bytes());
                    true
                }),
                Source::Attribute(name) => match attributes.get(&**name) {
                    Some(AnyValue::String(text)) if !text.as_bytes().is_empty() => {
                        part(key, source, text.as_bytes());
                        true
                    }
                    _ => false,
                },
            });
            if whole {
                let connection = rule.contains(&Source::Connection);
                let address = peer.filter(|_| connection).map(ToOwned::to_owned);
                return Found::Key { address };
            }
        }
        Found::Nothing
    }

    /// The keys under which a pod is found.
    pub(super) fn keys(&self, pod: &PodEntry) -> Vec<Box<[u8]>> {
        let mut keys = Vec::new();
        for rule in &self.rules {
            // A pod has a key for each of its containers where a rule asks for those.
            let mut made: Vec<Vec<u8>> = vec![Vec::new()];
            for source in rule {
                let values: Vec<&str> = match source {
                    Source::Connection => pod.address.as_deref().into_iter().collect(),
                    Source::Attribute(name) => match &**name {
                        "k8s.namespace.name" => vec![&*pod.namespace],
                        "k8s.pod.name" => vec![&*pod.name],
                        "k8s.pod.uid" => vec![&*pod.uid],
                        "host.name" | "k8s.pod.ip" => pod.address.as_deref().into_iter().collect(),
                        "container.id" => pod.container_ids().collect(),
                        name => pod.attribute(name).into_iter().collect(),
                    },
                };
                made = made
                    .iter()
                    .flat_map(|key| {
                        values.iter().map(|value| {
                            let mut key = key.clone();
                            part(&mut key, source, value.as_bytes());
                            key
                        })
                    })
                    .collect();
            }
            keys.extend(made.into_iter().map(Into::into));
        }
        keys
    }
}

/// Adds a part to a key; no name or value has a zero byte in it that is of use.
fn part(key: &mut Vec<u8>, source: &Source, value: &[u8]) {
    if let Source::Attribute(name) = source {
        key.extend_from_slice(name.as_bytes());
    }
    key.push(0);
    key.extend_from_slice(value);
    key.push(0);
}

/// The address of a pod where no rule is written: what says it of itself comes first.
fn address(attributes: &AttributeEditor<'_>, peer: Option<&str>) -> Option<String> {
    let text = |name: &str| match attributes.get(name) {
        Some(AnyValue::String(text)) if !text.as_bytes().is_empty() => {
            Some(text.to_str().into_owned())
        }
        _ => None,
    };
    let told = text("k8s.pod.ip").or_else(|| text("ip"));
    let known = told.or_else(|| peer.map(ToOwned::to_owned));
    known.or_else(|| text("host.name").filter(|name| name.parse::<IpAddr>().is_ok()))
}
