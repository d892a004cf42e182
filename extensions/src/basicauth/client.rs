//! The side of exporters: user and password go with each request.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tidegate_component::{
    BuildError, ClientAuthenticator, Extension, ExtensionContext, StartError, async_trait,
};
use tidegate_document::Secret;
use tidegate_pdata::Context;

use super::{ClientAuth, given};
use crate::credentials::{Credentials, FileError};

/// A user or a password, and the file that has it in its place.
struct Origin {
    text: Secret,
    file: Option<PathBuf>,
}

impl Origin {
    fn open(
        &self,
        check: fn(&str) -> Result<(), String>,
    ) -> Result<Credentials<String>, FileError> {
        match &self.file {
            Some(file) => Credentials::of_file(file, move |text| {
                // Editors end a file with a line break.
                let text = text.trim_end_matches(['\r', '\n']);
                check(text).map(|()| text.to_owned())
            }),
            None => Ok(Credentials::fixed(self.text.reveal().to_owned())),
        }
    }
}

/// The extension with `client_auth`.
pub(super) struct Client {
    username: Origin,
    password: Origin,
    sender: Arc<Sender>,
}

impl Client {
    pub(super) fn new(keys: &ClientAuth) -> Result<Self, BuildError> {
        if keys.aws_secrets_manager.is_some() {
            let message = "credentials from AWS Secrets Manager are not built";
            return Err(BuildError::at("client_auth::aws_secrets_manager", message)
                .remedy("have them written to files, and name these as `username_file` and `password_file`"));
        }
        let origin = |text: &str, file: Option<&PathBuf>| Origin {
            text: Secret::new(text),
            file: given(file).cloned(),
        };
        let client = Self {
            username: origin(&keys.username, keys.username_file.as_ref()),
            password: origin(keys.password.reveal(), keys.password_file.as_ref()),
            sender: Arc::default(),
        };
        if client.username.file.is_none() {
            user(&keys.username).map_err(|fault| {
                BuildError::at("client_auth::username", fault).remedy("choose another user")
            })?;
        }
        Ok(client)
    }
}

/// Whether a text can be a user: what follows the first colon would count as the password.
fn user(text: &str) -> Result<(), String> {
    match text.contains(':') {
        true => Err("a user has no colon".to_owned()),
        false => Ok(()),
    }
}

#[async_trait]
impl Extension for Client {
    async fn start(&self, _cx: ExtensionContext) -> Result<(), StartError> {
        let pair = (self.username.open(user)?, self.password.open(|_| Ok(()))?);
        // A second start, which nobody makes, changes nothing.
        let _ = self.sender.0.set(pair);
        Ok(())
    }

    fn client_authenticator(&self) -> Option<Arc<dyn ClientAuthenticator>> {
        Some(Arc::clone(&self.sender) as _)
    }

    async fn stop(&self) {}
}

#[derive(Default)]
struct Sender(OnceLock<(Credentials<String>, Credentials<String>)>);

impl ClientAuthenticator for Sender {
    fn authorize(&self, _: &Context, headers: &mut HeaderMap) -> Result<(), String> {
        let (username, password) = self.0.get().ok_or("basicauth was not started")?;
        let pair = format!("{}:{}", username.current(), password.current());
        let text = format!("Basic {}", STANDARD.encode(pair));
        let mut value = HeaderValue::try_from(text).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}
