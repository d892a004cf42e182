//! What is known of a batch beside its bytes: who sent it, and how.

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
}
