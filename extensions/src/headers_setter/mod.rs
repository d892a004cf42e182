//! `headers_setter`: headers for the requests of exporters, fixed or taken from what the batch came with.

mod header;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ClientAuthenticator, ComponentConfig, Extension, ExtensionContext,
    Extensions, StartError, async_trait,
};
use tidegate_document::Secret;
use tidegate_pdata::{Context, ContextKeys};

use header::Header;

/// Sets headers of the requests of exporters that name it as their authenticator, as the tenant that a batch came from.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The headers, in the order in which they are set.
    headers: Vec<HeaderKeys>,
    /// Another extension that authenticates requests; its headers are set before these.
    additional_auth: Option<String>,
}

/// A member of `headers`; one of `value`, `value_file`, `from_context` and `from_attribute` says what it holds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct HeaderKeys {
    /// The header's name.
    key: String,
    /// What is done with the header.
    action: Action,
    /// A fixed value.
    value: Option<String>,
    /// A file that holds the value. It is read again when it changes.
    value_file: Option<PathBuf>,
    /// The metadata of the client that has the value, or `auth.` and a field of its identity. The receiver needs
    /// `include_metadata`, and a `batch` on the way `metadata_keys`.
    from_context: Option<String>,
    /// The field of the client's identity that has the value.
    from_attribute: Option<String>,
    /// The value where the client has none.
    default_value: Option<Secret>,
}

/// What is done with a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Action {
    /// Sets it where there is none.
    Insert,
    /// Sets it where there is one.
    Update,
    /// Sets it.
    #[default]
    Upsert,
    /// Takes it away.
    Delete,
}

impl ComponentConfig for Config {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "headers_setter";

    fn build(&self, _cx: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        let additional = self.additional_auth.clone().filter(|name| !name.is_empty());
        if self.headers.is_empty() && additional.is_none() {
            return Err(BuildError::at("headers", "no header is named")
                .remedy("write `headers: [{key: X-Scope-OrgID, from_context: tenant}]`"));
        }
        let headers = self.headers.iter().enumerate();
        let headers = headers.map(|(at, keys)| Header::new(keys, at));
        Ok(Arc::new(HeadersSetter {
            additional,
            setter: Arc::new(Setter {
                headers: headers.collect::<Result<_, _>>()?,
                additional: OnceLock::new(),
            }),
        }))
    }
}

struct HeadersSetter {
    additional: Option<String>,
    setter: Arc<Setter>,
}

#[async_trait]
impl Extension for HeadersSetter {
    fn join(&self, extensions: &Extensions) -> Result<(), BuildError> {
        let Some(name) = &self.additional else {
            return Ok(());
        };
        let path = "additional_auth";
        let additional = extensions.client_authenticator(name, path)?;
        if additional.stands_on_others() {
            let message = format!("`{name}` stands on another extension itself");
            return Err(
                BuildError::at(path, message).remedy("name one that authenticates requests alone")
            );
        }
        // Extensions are joined once.
        let _ = self.setter.additional.set(additional);
        Ok(())
    }

    async fn start(&self, _cx: ExtensionContext) -> Result<(), StartError> {
        for header in &self.setter.headers {
            header.open()?;
        }
        Ok(())
    }

    fn client_authenticator(&self) -> Option<Arc<dyn ClientAuthenticator>> {
        Some(Arc::clone(&self.setter) as _)
    }

    async fn stop(&self) {}
}

struct Setter {
    headers: Vec<Header>,
    additional: OnceLock<Arc<dyn ClientAuthenticator>>,
}

impl ClientAuthenticator for Setter {
    fn authorize(&self, context: &Context, headers: &mut HeaderMap) -> Result<(), String> {
        if let Some(additional) = self.additional.get() {
            additional.authorize(context, headers)?;
        }
        self.headers
            .iter()
            .try_for_each(|header| header.set(context, headers))
    }

    /// Its own headers may go in the clear.
    fn needs_tls(&self) -> bool {
        let additional = self.additional.get();
        additional.is_some_and(|additional| additional.needs_tls())
    }

    fn reads(&self) -> ContextKeys {
        let additional = self.additional.get().map(|additional| additional.reads());
        let headers = self.headers.iter().map(Header::reads);
        headers.fold(additional.unwrap_or_default(), ContextKeys::and)
    }

    fn stands_on_others(&self) -> bool {
        true
    }
}
