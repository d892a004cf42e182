//! From a point's attributes, as they came, to its series.
//!
//! A known series is found by a hash over the attributes' bytes that does not depend on their order, and by comparing
//! those bytes; no label is translated and nothing is allocated.

use std::sync::{Arc, Mutex};

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::hash::BuildHasher;
use tidegate_pdata::view::Attributes;

use super::lock;
use super::series::Series;
use super::stream::Stream;

/// Many more than workers, so that points of different series hardly ever wait for each other.
const SHARDS: usize = 128;

/// What leads from a stream and attributes to a series.
#[derive(Debug)]
struct Alias {
    hash: u64,
    stream: Arc<Stream>,
    attributes: Packed,
    series: Arc<Series>,
}

/// All aliases.
#[derive(Debug)]
pub(super) struct Aliases {
    shards: Box<[Mutex<HashTable<Alias>>]>,
    random: RandomState,
}

impl Default for Aliases {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            random: RandomState::default(),
        }
    }
}

impl Aliases {
    /// The hash of a stream's attributes, in whatever order.
    pub(super) fn hash(&self, stream: &Stream, attributes: Attributes<'_>) -> u64 {
        let sum = attributes.entries().fold(0_u64, |sum, entry| {
            sum.wrapping_add(self.random.hash_one(entry.bytes()))
        });
        self.random.hash_one((stream.hash, sum))
    }

    /// Runs with the series of a stream's attributes, if it is known.
    ///
    /// The lock of one shard is held meanwhile.
    pub(super) fn with<T>(
        &self,
        hash: u64,
        stream: &Arc<Stream>,
        attributes: Attributes<'_>,
        run: impl FnOnce(&Arc<Series>) -> T,
    ) -> Option<T> {
        let shard = lock(self.shard(hash));
        let found = shard.find(hash, |alias| alias.is(hash, stream, attributes));
        found.map(|alias| run(&alias.series))
    }

    /// Leads a stream's attributes to a series from now on.
    pub(super) fn put(
        &self,
        hash: u64,
        stream: &Arc<Stream>,
        attributes: Attributes<'_>,
        series: &Arc<Series>,
    ) {
        let mut shard = lock(self.shard(hash));
        if let Some(alias) = shard.find_mut(hash, |alias| alias.is(hash, stream, attributes)) {
            alias.series = Arc::clone(series);
        } else if series.may_have_alias() {
            let alias = Alias {
                hash,
                stream: Arc::clone(stream),
                attributes: Packed::new(attributes),
                series: Arc::clone(series),
            };
            shard.insert_unique(hash, alias, |alias| alias.hash);
        }
    }

    /// Lets go of those that lead to series that were ended.
    pub(super) fn tidy(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.retain(|alias| !alias.series.is_ended());
            if shard.len() < shard.capacity() / 4 {
                let room = shard.len() * 2;
                shard.shrink_to(room, |alias| alias.hash);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn shard(&self, hash: u64) -> &Mutex<HashTable<Alias>> {
        &self.shards[(hash >> 40) as usize % SHARDS]
    }
}

impl Alias {
    fn is(&self, hash: u64, stream: &Arc<Stream>, attributes: Attributes<'_>) -> bool {
        self.hash == hash && Arc::ptr_eq(&self.stream, stream) && self.attributes.are(attributes)
    }
}

/// Attributes as they came: the length of each, in four bytes, and its message.
#[derive(Debug)]
struct Packed(Box<[u8]>);

impl Packed {
    fn new(attributes: Attributes<'_>) -> Self {
        let size = attributes
            .entries()
            .map(|entry| entry.bytes().len() + 4)
            .sum();
        let mut packed = Vec::with_capacity(size);
        for entry in attributes.entries() {
            packed.extend_from_slice(&length(entry.bytes()));
            packed.extend_from_slice(entry.bytes());
        }
        Self(packed.into_boxed_slice())
    }

    /// Whether these are the attributes, in whatever order.
    fn are(&self, attributes: Attributes<'_>) -> bool {
        self.in_order(attributes) || self.in_any_order(attributes)
    }

    fn in_order(&self, attributes: Attributes<'_>) -> bool {
        let mut rest = &*self.0;
        for entry in attributes.entries() {
            let known = rest
                .strip_prefix(&length(entry.bytes()))
                .and_then(|rest| rest.strip_prefix(entry.bytes()));
            match known {
                Some(after) => rest = after,
                None => return false,
            }
        }
        rest.is_empty()
    }

    #[cold]
    fn in_any_order(&self, attributes: Attributes<'_>) -> bool {
        let mut known: SmallVec<[&[u8]; 16]> = self.iter().collect();
        let mut sent: SmallVec<[&[u8]; 16]> =
            attributes.entries().map(|entry| entry.bytes()).collect();
        known.sort_unstable();
        sent.sort_unstable();
        known == sent
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk()?;
            let (entry, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(entry)
        })
    }
}

/// A request is far below 4 GiB, and so is an attribute.
fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::metrics::v1::NumberDataPoint;
    use proptest::prelude::*;
    use prost::Message;
    use tidegate_pdata::view::View;

    fn point(attributes: &[(String, String)]) -> Vec<u8> {
        let attributes = attributes.iter().map(|(key, value)| KeyValue {
            key: key.clone(),
            value: Some(AnyValue {
                value: Some(Value::StringValue(value.clone())),
            }),
            ..KeyValue::default()
        });
        NumberDataPoint {
            attributes: attributes.collect(),
            ..NumberDataPoint::default()
        }
        .encode_to_vec()
    }

    fn attributes(point: &[u8]) -> Attributes<'_> {
        tidegate_pdata::view::NumberDataPoint::of(point).attributes()
    }

    proptest! {
        #[test]
        fn attributes_are_known_again_in_any_order_and_no_others(
            (one, shuffled, other) in prop::collection::vec(("[a-c]{0,2}", "[a-c]{0,2}"), 0..5).prop_flat_map(|one| {
                let shuffled = Just(one.clone()).prop_shuffle();
                let other = prop::collection::vec(("[a-c]{0,2}", "[a-c]{0,2}"), 0..5);
                (Just(one), shuffled, other)
            }),
        ) {
            let [first, again, different] = [&one, &shuffled, &other].map(|set| point(set));
            let packed = Packed::new(attributes(&first));
            prop_assert!(packed.are(attributes(&first)));
            prop_assert!(packed.are(attributes(&again)));
            let sorted = |set: &[(String, String)]| {
                let mut set = set.to_vec();
                set.sort();
                set
            };
            prop_assert_eq!(packed.are(attributes(&different)), sorted(&one) == sorted(&other));
        }
    }
}
