//! `basicauth`: users and passwords (RFC 7617), sent to servers or asked of clients.

mod cache;
mod client;
mod htpasswd;
mod md5crypt;
mod server;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Extension};
use tidegate_document::Secret;

use client::Client;
use server::Server;

/// Asks the clients of the receivers that name it for user and password, or sends these with the requests of the
/// exporters that do.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The users that receivers let in.
    htpasswd: Option<Htpasswd>,
    /// The user that exporters are to servers.
    client_auth: Option<ClientAuth>,
}

/// `htpasswd`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Htpasswd {
    /// A file as Apache's `htpasswd` writes it: `user:hash` on each line, by bcrypt, MD5, SHA-1 or crypt's SHA-256
    /// and SHA-512, or a password in plain text. It is read again when it changes.
    file: Option<PathBuf>,
    /// The same lines in place; they come before those of the file.
    inline: Secret,
}

/// `client_auth`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ClientAuth {
    /// The user.
    username: String,
    /// A file with the user in place of `username`. It is read again when it changes.
    username_file: Option<PathBuf>,
    /// The password.
    password: Secret,
    /// A file with the password in place of `password`. It is read again when it changes.
    password_file: Option<PathBuf>,
    /// Credentials from AWS Secrets Manager: not built, and refused.
    aws_secrets_manager: Option<BTreeMap<String, serde_json::Value>>,
}

impl ComponentConfig for Config {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "basicauth";

    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        match (&self.htpasswd, &self.client_auth) {
            (Some(keys), None) => Ok(Arc::new(Server::new(keys, cx)?)),
            (None, Some(keys)) => Ok(Arc::new(Client::new(keys)?)),
            (Some(_), Some(_)) => Err(BuildError::at("client_auth", "`htpasswd` is given too")
                .remedy("use two extensions, as `basicauth/server` and `basicauth/client`")),
            (None, None) => Err(BuildError::at("", "no credentials are given").remedy(
                "write `htpasswd` to ask clients who they are, `client_auth` to tell servers",
            )),
        }
    }
}

/// A path that is given: an empty text is none.
fn given(path: Option<&PathBuf>) -> Option<&PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}
