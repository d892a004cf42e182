//! The side of receivers: each request says user and password.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tidegate_component::{
    BuildContext, BuildError, Extension, ExtensionContext, Identity, ServerAuthenticator,
    StartError, Unauthenticated, async_trait,
};
use tidegate_document::Secret;
use tokio::sync::Semaphore;

use super::cache::Cache;
use super::htpasswd::Table;
use super::{Htpasswd, given};
use crate::credentials::Credentials;

/// The extension with `htpasswd`.
pub(super) struct Server {
    file: Option<PathBuf>,
    inline: Secret,
    guard: Arc<Guard>,
}

impl Server {
    pub(super) fn new(keys: &Htpasswd, cx: &BuildContext) -> Result<Self, BuildError> {
        let file = given(keys.file.as_ref()).cloned();
        if file.is_none() && keys.inline.is_empty() {
            return Err(
                BuildError::at("htpasswd", "no users are given").remedy("write `file` or `inline`")
            );
        }
        let mut table = Table::default();
        let inline = table.read(keys.inline.reveal());
        inline.map_err(|fault| {
            BuildError::at("htpasswd::inline", fault)
                .remedy("write `user:hash`, as `htpasswd -nB user` does")
        })?;
        Ok(Self {
            file,
            inline: keys.inline.clone(),
            guard: Arc::new(Guard {
                users: OnceLock::new(),
                at_a_time: Semaphore::new(cx.workers.max(1)),
            }),
        })
    }
}

#[async_trait]
impl Extension for Server {
    async fn start(&self, _cx: ExtensionContext) -> Result<(), StartError> {
        let inline = self.inline.clone();
        let users = move |text: &str| {
            let mut table = Table::default();
            table.read(text)?;
            table.read(inline.reveal())?;
            Ok(Users {
                table,
                cache: Cache::default(),
            })
        };
        let users = match &self.file {
            Some(file) => Credentials::of_file(file, users)?,
            None => Credentials::fixed(users("").map_err(|fault: String| StartError {
                message: fault,
                source: None,
            })?),
        };
        // A second start, which nobody makes, changes nothing.
        let _ = self.guard.users.set(users);
        Ok(())
    }

    fn server_authenticator(&self) -> Option<Arc<dyn ServerAuthenticator>> {
        Some(Arc::clone(&self.guard) as _)
    }

    async fn stop(&self) {}
}

struct Users {
    table: Table,
    cache: Cache,
}

struct Guard {
    users: OnceLock<Credentials<Users>>,
    /// Hashes made at a time, so that a flood of wrong passwords leaves the processors to others.
    at_a_time: Semaphore,
}

/// What a request says.
struct Said {
    user: String,
    password: String,
    /// Both, as they were encoded.
    raw: String,
}

#[async_trait]
impl ServerAuthenticator for Guard {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, Unauthenticated> {
        let header = headers.get(AUTHORIZATION).filter(|value| !value.is_empty());
        let header = header.ok_or_else(|| Unauthenticated::new("no basic auth provided"))?;
        let said = said(header.as_bytes())?;
        let identity = Identity::default()
            .with("username", &said.user)
            .with("raw", &said.raw);
        let wrong = || Unauthenticated::new("invalid credentials");
        let users = self.users.get().ok_or_else(wrong)?.current();
        if users.cache.knows(said.raw.as_bytes()) {
            return Ok(identity);
        }
        let _turn = self.at_a_time.acquire().await.map_err(|_| wrong())?;
        let checked = tokio::task::spawn_blocking(move || {
            let right = users.table.matches(&said.user, &said.password);
            if right {
                users.cache.add(said.raw.as_bytes());
            }
            right
        });
        match checked.await {
            Ok(true) => Ok(identity),
            _ => Err(wrong()),
        }
    }
}

fn said(header: &[u8]) -> Result<Said, Unauthenticated> {
    const SCHEME: &[u8] = b"Basic ";
    let malformed = || Unauthenticated::new("invalid authorization format");
    let encoded = header
        .split_at_checked(SCHEME.len())
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME))
        .map(|(_, encoded)| encoded)
        .ok_or_else(|| Unauthenticated::new("invalid authorization scheme prefix"))?;
    let decoded = STANDARD.decode(encoded).map_err(|_| malformed())?;
    let decoded = String::from_utf8(decoded).map_err(|_| malformed())?;
    let (user, password) = decoded.split_once(':').ok_or_else(malformed)?;
    Ok(Said {
        user: user.to_owned(),
        password: password.to_owned(),
        raw: String::from_utf8_lossy(encoded).into_owned(),
    })
}
