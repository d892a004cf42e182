//! Values that come from the context of a request.

use tidegate_pdata::Context;

/// Where in the context a value lies, and the value of the batch at hand.
#[derive(Debug)]
pub(super) struct ContextKey {
    place: Place,
    value: String,
    found: bool,
}

#[derive(Debug)]
enum Place {
    Metadata(Box<str>),
    Auth(Box<str>),
    ClientAddress,
}

impl ContextKey {
    /// The key as the configuration writes it; without a known prefix it is one of the metadata.
    pub(super) fn new(key: &str) -> Self {
        let metadata = |key: &str| Place::Metadata(key.to_ascii_lowercase().into());
        let place = match key.split_once('.') {
            _ if key == "client.address" => Place::ClientAddress,
            Some(("metadata", key)) => metadata(key),
            Some(("auth", key)) => Place::Auth(key.into()),
            _ => metadata(key),
        };
        Self {
            place,
            value: String::new(),
            found: false,
        }
    }

    /// Looks the value up for the batches that come with this context.
    pub(super) fn look_up(&mut self, context: &Context) {
        self.value.clear();
        self.found = false;
        match &self.place {
            Place::Metadata(key) => {
                self.found = join(&mut self.value, context.metadata(key));
            }
            Place::Auth(key) => {
                self.found = join(&mut self.value, context.auth(key));
            }
            Place::ClientAddress => {
                // A batch that came over no connection has an empty address, as in the Collector.
                self.found = true;
                if let Some(peer) = context.peer() {
                    self.value = peer.ip().to_canonical().to_string();
                }
            }
        }
    }

    /// The value that was looked up.
    pub(super) fn value(&self) -> Option<&str> {
        self.found.then_some(self.value.as_str())
    }
}

/// Joins values by `;`; says whether there is one.
fn join<'v>(text: &mut String, values: impl Iterator<Item = &'v str>) -> bool {
    let mut found = false;
    for value in values {
        if found {
            text.push(';');
        }
        text.push_str(value);
        found = true;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(key: &str) -> Option<String> {
        let context = Context::builder()
            .metadata("tenant", "a")
            .metadata("tenant", "b")
            .auth("subject", "jo")
            .peer("[::ffff:10.0.0.1]:5000".parse().unwrap())
            .build();
        let mut key = ContextKey::new(key);
        key.look_up(&context);
        key.value().map(str::to_owned)
    }

    #[test]
    fn finds_metadata_identity_and_address() {
        assert_eq!(found("metadata.Tenant").as_deref(), Some("a;b"));
        assert_eq!(found("tenant").as_deref(), Some("a;b"));
        assert_eq!(found("auth.subject").as_deref(), Some("jo"));
        assert_eq!(found("client.address").as_deref(), Some("10.0.0.1"));
        assert_eq!(found("metadata.absent"), None);
        assert_eq!(found("auth.absent"), None);
    }

    #[test]
    fn forgets_the_context_before() {
        let mut key = ContextKey::new("metadata.tenant");
        key.look_up(&Context::builder().metadata("tenant", "a").build());
        key.look_up(&Context::default());
        assert_eq!(key.value(), None);
    }
}
