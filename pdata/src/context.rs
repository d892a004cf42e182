//! What is known of a batch beside its bytes: who sent it, and how.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::Client;

/// The client's metadata, address and identity that a batch came with.
///
/// Cloning is one reference count; a batch without any of it allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Context(Option<Arc<Fields>>);

#[derive(Clone, Debug, Default)]
struct Fields {
    metadata: Vec<(Box<str>, Box<str>)>,
    auth: Vec<(Box<str>, Box<str>)>,
    peer: Option<SocketAddr>,
    client: Option<Client>,
}

impl Context {
    /// Starts a context.
    #[must_use]
    pub fn builder() -> ContextBuilder {
        ContextBuilder(Fields::default())
    }

    /// Starts a context that has all that this one has, and more.
    #[must_use]
    pub fn extend(&self) -> ContextBuilder {
        ContextBuilder(self.0.as_deref().cloned().unwrap_or_default())
    }

    /// Every value of a metadata key (a header, in lower case), in the order they came.
    pub fn metadata<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields(|fields| &fields.metadata, key)
    }

    /// Every value of a field of the authenticated identity.
    pub fn auth<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields(|fields| &fields.auth, key)
    }

    /// The client's address, where the batch came over a connection.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.as_ref().and_then(|fields| fields.peer)
    }

    /// The client's account with the budget, where fairness knows it.
    #[must_use]
    pub fn client(&self) -> Option<&Client> {
        self.0.as_ref().and_then(|fields| fields.client.as_ref())
    }

    /// What these keys name of it, as bytes that [`Context::restore`] reads; none where there is
    /// nothing of it.
    #[must_use]
    pub fn keep(&self, keys: &ContextKeys) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (place, names) in [(METADATA, &keys.metadata), (AUTH, &keys.auth)] {
            for name in names {
                let values: &mut dyn Iterator<Item = &str> = match place {
                    METADATA => &mut self.metadata(name),
                    _ => &mut self.auth(name),
                };
                for value in values {
                    bytes.push(place);
                    for text in [name, value] {
                        // Headers are far shorter.
                        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                        bytes.extend_from_slice(&length.to_le_bytes());
                        bytes.extend_from_slice(text.as_bytes());
                    }
                }
            }
        }
        bytes
    }

    /// The context that [`Context::keep`] wrote; none where the bytes are not its.
    #[must_use]
    pub fn restore(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let mut rest = bytes;
        let mut context = Self::builder();
        while let Some((place, after)) = rest.split_first() {
            rest = after;
            let (name, value) = (text(&mut rest)?, text(&mut rest)?);
            context = match *place {
                METADATA => context.metadata(name, value),
                AUTH => context.auth(name, value),
                _ => return None,
            };
        }
        Some(context.build())
    }

    fn fields<'a>(
        &'a self,
        which: impl Fn(&'a Fields) -> &'a Vec<(Box<str>, Box<str>)>,
        key: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        self.0
            .as_deref()
            .map(which)
            .into_iter()
            .flatten()
            .filter(move |(name, _)| **name == *key)
            .map(|(_, value)| &**value)
    }
}

/// Where a value that was kept belongs.
const METADATA: u8 = 1;
const AUTH: u8 = 2;

/// Takes a text off the front, which stands behind its length.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (text, after) = after.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

/// Keys of a context: what somebody reads of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextKeys {
    metadata: BTreeSet<String>,
    auth: BTreeSet<String>,
}

impl ContextKeys {
    /// Adds a metadata key, which must be in lower case.
    #[must_use]
    pub fn metadata(mut self, key: &str) -> Self {
        self.metadata.insert(key.to_owned());
        self
    }

    /// Adds a field of the authenticated identity.
    #[must_use]
    pub fn auth(mut self, key: &str) -> Self {
        self.auth.insert(key.to_owned());
        self
    }

    /// The keys of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.metadata.extend(other.metadata);
        self.auth.extend(other.auth);
        self
    }
}

/// Collects what a context holds.
#[derive(Debug)]
pub struct ContextBuilder(Fields);

impl ContextBuilder {
    /// Adds a value of a metadata key, which must be in lower case.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.0.metadata.push((key.into(), value.into()));
        self
    }

    /// Adds a field of the authenticated identity.
    #[must_use]
    pub fn auth(mut self, key: &str, value: &str) -> Self {
        self.0.auth.push((key.into(), value.into()));
        self
    }

    /// Sets the client's address.
    #[must_use]
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        self.0.peer = Some(peer);
        self
    }

    /// Sets the client's account with the budget.
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.0.client = Some(client);
        self
    }

    /// The context.
    #[must_use]
    pub fn build(self) -> Context {
        Context(Some(Arc::new(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_value_of_a_key_in_order() {
        let context = Context::builder()
            .metadata("tenant", "a")
            .metadata("other", "x")
            .metadata("tenant", "b")
            .build();
        assert_eq!(context.metadata("tenant").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(context.auth("tenant").count(), 0);
        assert_eq!(Context::default().metadata("tenant").count(), 0);
    }

    #[test]
    fn what_is_read_of_a_context_is_kept_and_nothing_else() {
        let context = Context::builder()
            .metadata("tenant", "ä")
            .metadata("tenant", "")
            .metadata("authorization", "secret")
            .auth("username", "jo")
            .auth("raw", "secret")
            .build();
        let keys = ContextKeys::default()
            .metadata("tenant")
            .and(ContextKeys::default().auth("username").auth("absent"));
        let kept = context.keep(&keys);
        let back = Context::restore(&kept).unwrap();
        assert_eq!(back.metadata("tenant").collect::<Vec<_>>(), ["ä", ""]);
        assert_eq!(back.auth("username").collect::<Vec<_>>(), ["jo"]);
        assert_eq!(
            back.metadata("authorization").count() + back.auth("raw").count(),
            0
        );
        assert!(context.keep(&ContextKeys::default()).is_empty());
        for cut in 1..kept.len() {
            let read = Context::restore(&kept[..cut]);
            let values = |context: &Context| {
                context.metadata("tenant").count() + context.auth("username").count()
            };
            assert!(read.is_none_or(|context| values(&context) < 3), "{cut}");
        }
        assert!(Context::restore(&[9, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
        assert!(Context::restore(&[]).is_some());
    }
}
