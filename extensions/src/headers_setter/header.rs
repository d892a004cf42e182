//! One header, and where its value comes from.

use std::path::PathBuf;
use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_component::BuildError;
use tidegate_pdata::{Context, ContextKeys};

use super::{Action, HeaderKeys};
use crate::credentials::{Credentials, FileError};

/// A header that is set or taken away.
pub(super) struct Header {
    name: HeaderName,
    action: Action,
    origin: Origin,
}

/// Where a value comes from.
enum Origin {
    /// A header that is taken away has none.
    Nowhere,
    Fixed(HeaderValue),
    File(PathBuf, OnceLock<Credentials<HeaderValue>>),
    Metadata(String, HeaderValue),
    Auth(String, HeaderValue),
}

impl Header {
    /// The header of the keys at this place in the list.
    pub(super) fn new(keys: &HeaderKeys, at: usize) -> Result<Self, BuildError> {
        let path = |key: &str| format!("headers::{at}::{key}");
        let name: HeaderName = keys.key.parse().map_err(|_| {
            let message = match keys.key.as_str() {
                "" => "no header is named".to_owned(),
                key => format!("\"{key}\" is no name of a header"),
            };
            BuildError::at(path("key"), message).remedy("write a name as \"X-Scope-OrgID\"")
        })?;
        if is_protocols(&name) {
            let message = format!("`{name}` belongs to the protocol");
            return Err(BuildError::at(path("key"), message).remedy("choose another header"));
        }
        let origin = match keys.action {
            Action::Delete => Origin::Nowhere,
            _ => Origin::new(keys, &path)?,
        };
        Ok(Self {
            name,
            action: keys.action,
            origin,
        })
    }

    /// Reads the file that has the value.
    pub(super) fn open(&self) -> Result<(), FileError> {
        if let Origin::File(path, value) = &self.origin {
            // A second start, which nobody makes, changes nothing.
            let _ = value.set(Credentials::of_file(path, |text| {
                sensitive(text.trim()).ok_or_else(|| "it cannot be sent in a header".to_owned())
            })?);
        }
        Ok(())
    }

    pub(super) fn set(&self, context: &Context, headers: &mut HeaderMap) -> Result<(), String> {
        let is_there = headers
            .get(&self.name)
            .is_some_and(|value| !value.is_empty());
        match self.action {
            Action::Delete => {
                headers.remove(&self.name);
                return Ok(());
            }
            Action::Insert if is_there => return Ok(()),
            Action::Update if !is_there => return Ok(()),
            Action::Insert | Action::Update | Action::Upsert => {}
        }
        let value = self.origin.value(context);
        let value = value.map_err(|fault| format!("the header `{}` {fault}", self.name))?;
        headers.insert(&self.name, value);
        Ok(())
    }

    /// What of a context the header holds. Credentials are not named: they are not for the disk.
    pub(super) fn reads(&self) -> ContextKeys {
        let keys = ContextKeys::default();
        match &self.origin {
            Origin::Metadata(key, _) if key != "authorization" => keys.metadata(key),
            Origin::Auth(key, _) if key != "raw" => keys.auth(key),
            _ => keys,
        }
    }
}

impl Origin {
    fn new(keys: &HeaderKeys, path: &dyn Fn(&str) -> String) -> Result<Self, BuildError> {
        let unsendable = |key: &str| {
            BuildError::at(path(key), "the value cannot be sent in a header")
                .remedy("take out line breaks and what is not ASCII")
        };
        let default = keys.default_value.as_ref();
        let default = || {
            let text = default.map(|value| value.reveal()).unwrap_or_default();
            sensitive(text).ok_or_else(|| unsendable("default_value"))
        };
        let HeaderKeys {
            value,
            value_file,
            from_context,
            from_attribute,
            ..
        } = keys;
        match (value, value_file, from_context, from_attribute) {
            (Some(value), None, None, None) => {
                let value = HeaderValue::try_from(value).map_err(|_| unsendable("value"))?;
                Ok(Self::Fixed(value))
            }
            (None, Some(file), None, None) => Ok(Self::File(file.clone(), OnceLock::new())),
            (None, None, Some(key), None) => match key.strip_prefix("auth.") {
                Some(field) => Ok(Self::Auth(field.to_owned(), default()?)),
                None => Ok(Self::Metadata(key.to_ascii_lowercase(), default()?)),
            },
            (None, None, None, Some(field)) => Ok(Self::Auth(field.clone(), default()?)),
            (None, None, None, None) => {
                let message = format!("nothing says what `{}` holds", keys.key);
                Err(BuildError::at(path("key"), message)
                    .remedy("write `value`, `value_file`, `from_context` or `from_attribute`"))
            }
            _ => {
                let message = format!("`{}` is given more than one value", keys.key);
                Err(BuildError::at(path("key"), message).remedy(
                    "write one of `value`, `value_file`, `from_context` and `from_attribute`",
                ))
            }
        }
    }

    fn value(&self, context: &Context) -> Result<HeaderValue, &'static str> {
        match self {
            Self::Nowhere => Err("has no value"),
            Self::Fixed(value) => Ok(value.clone()),
            Self::File(_, value) => {
                let value = value.get().ok_or("has a file that was not opened")?;
                Ok((*value.current()).clone())
            }
            Self::Metadata(key, default) => only(context.metadata(key), default),
            Self::Auth(key, default) => only(context.auth(key), default),
        }
    }
}

/// The one value that there is, or the default where there is none.
fn only<'a>(
    mut values: impl Iterator<Item = &'a str>,
    default: &HeaderValue,
) -> Result<HeaderValue, &'static str> {
    match (values.next(), values.next()) {
        (None, _) => Ok(default.clone()),
        (Some(value), None) => {
            sensitive(value).ok_or("cannot be sent: its value has control characters")
        }
        (Some(_), Some(_)) => Err("has several values to choose from in the client's metadata"),
    }
}

/// A value that logs do not show.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Headers that a request cannot do without, or that say how its body is to be read.
fn is_protocols(name: &HeaderName) -> bool {
    let name = name.as_str();
    let body = ["content-type", "content-encoding", "content-length"];
    let connection = ["te", "connection", "transfer-encoding", "upgrade"];
    body.contains(&name) || connection.contains(&name) || name.starts_with("grpc-")
}
