//! The places a configuration or a value may come from: `file:`, `env:`, `yaml:`, `http:`, `https:`.

use std::path::Path;

use tidegate_document::{Diagnostic, Kind, did_you_mean};

use crate::Surroundings;

const SCHEMES: [&str; 5] = ["env", "file", "yaml", "http", "https"];

/// A place, as `--config` or `${…}` names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A variable of the environment, with the text to take if it is not set.
    Env {
        name: String,
        default: Option<String>,
    },
    /// A file.
    File(String),
    /// The text itself.
    Yaml(String),
    /// An address.
    Http(String),
}

/// What a place gave.
pub(crate) enum Given {
    /// A text.
    Text(String),
    /// A variable that is not set and has no default.
    Unset,
}

impl Place {
    /// Reads what stands behind `--config`, where a path needs no scheme.
    pub(crate) fn of_argument(text: &str) -> Result<Self, Box<Diagnostic>> {
        let drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        match text.split_once(':') {
            Some((scheme, rest)) if !drive => Self::of_scheme(scheme, rest, text),
            _ => Ok(Self::File(text.to_owned())),
        }
    }

    /// Reads what stands in `${…}`, where a name alone is a variable.
    pub(crate) fn of_reference(text: &str) -> Result<Self, Box<Diagnostic>> {
        let place = match text.split_once(':') {
            None => Self::env(text),
            // The Collector takes `${X:-d}` for a scheme called X; nobody means that.
            Some((name, rest)) if rest.starts_with('-') && !SCHEMES.contains(&name) => {
                Self::env(text)
            }
            Some((scheme, rest)) => Self::of_scheme(scheme, rest, text)?,
        };
        match &place {
            Self::Env { name, .. } if !is_variable(name) => Err(Box::new(
                Diagnostic::error(
                    Kind::Expansion,
                    format!("`{name}` cannot name an environment variable"),
                )
                .help(format!(
                    "use letters, digits and `_`; if `${{{text}}}` is meant as text, write `$${{{text}}}`"
                )),
            )),
            _ => Ok(place),
        }
    }

    fn env(text: &str) -> Self {
        let (name, default) = match text.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (text, None),
        };
        Self::Env {
            name: name.to_owned(),
            default,
        }
    }

    fn of_scheme(scheme: &str, rest: &str, whole: &str) -> Result<Self, Box<Diagnostic>> {
        Ok(match scheme {
            "env" => Self::env(rest),
            "file" => Self::File(rest.to_owned()),
            "yaml" => Self::Yaml(rest.to_owned()),
            "http" | "https" => Self::Http(whole.to_owned()),
            _ => {
                let known = SCHEMES.map(|s| format!("`{s}:`")).join(", ");
                let help = match did_you_mean(scheme, SCHEMES) {
                    Some(help) if help.starts_with("did") => help,
                    _ => format!("the schemes are {known}"),
                };
                return Err(Box::new(
                    Diagnostic::error(Kind::Expansion, format!("there is no scheme `{scheme}:`"))
                        .help(help),
                ));
            }
        })
    }

    /// Names the place in diagnostics; what an address says of a user stays out.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Env { name, .. } => format!("env:{name}"),
            Self::File(path) => path.clone(),
            Self::Yaml(_) => "yaml:".to_owned(),
            Self::Http(address) => match (address.find("//"), address.find('@')) {
                (Some(start), Some(at)) if !address[start + 2..at.max(start + 2)].contains('/') => {
                    format!("{}{}", &address[..start + 2], &address[at + 1..])
                }
                _ => address.clone(),
            },
        }
    }

    /// Gets what is there.
    pub(crate) fn read(&self, surroundings: &dyn Surroundings) -> Result<Given, Box<Diagnostic>> {
        match self {
            Self::Env { name, default } => Ok(surroundings
                .variable(name)
                .or_else(|| default.clone())
                .map_or(Given::Unset, Given::Text)),
            Self::Yaml(text) => Ok(Given::Text(text.clone())),
            Self::File(path) => {
                let bytes = surroundings.file(Path::new(path)).map_err(|error| {
                    unreadable(self, &error.to_string())
                        .help("check the path, which is relative to the working directory, and the rights on it")
                })?;
                match String::from_utf8(bytes) {
                    Ok(text) => Ok(Given::Text(text)),
                    Err(error) => {
                        let at = error.utf8_error().valid_up_to();
                        let what = format!("byte {at} is not UTF-8");
                        Err(Box::new(
                            unreadable(self, &what).help("save the file as UTF-8"),
                        ))
                    }
                }
            }
            Self::Http(address) => match surroundings.fetch(address) {
                Ok(text) => Ok(Given::Text(text)),
                Err(what) => Err(Box::new(unreadable(self, &what))),
            },
        }
    }
}

fn unreadable(place: &Place, what: &str) -> Diagnostic {
    Diagnostic::error(
        Kind::Unreadable,
        format!("`{}` cannot be read: {what}", place.name()),
    )
}

fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| word(c) && !c.is_ascii_digit()) && name.chars().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_a_path_unless_it_has_a_scheme() {
        let file = |path: &str| Ok(Place::File(path.to_owned()));
        assert_eq!(Place::of_argument("a/b.yaml"), file("a/b.yaml"));
        assert_eq!(Place::of_argument("file:/a.yaml"), file("/a.yaml"));
        assert_eq!(Place::of_argument(r"C:\a.yaml"), file(r"C:\a.yaml"));
        assert!(Place::of_argument("s3:bucket").is_err());
    }

    #[test]
    fn a_reference_is_a_variable_unless_it_has_a_scheme() {
        let env = |name: &str, default: Option<&str>| {
            Ok(Place::Env {
                name: name.to_owned(),
                default: default.map(str::to_owned),
            })
        };
        assert_eq!(Place::of_reference("X"), env("X", None));
        assert_eq!(Place::of_reference("env:X:-a:-b"), env("X", Some("a:-b")));
        assert_eq!(Place::of_reference("X:-"), env("X", Some("")));
        assert!(Place::of_reference("1").is_err());
        assert!(Place::of_reference("env:a.b").is_err());
        assert!(Place::of_reference("vault:x").is_err());
    }

    #[test]
    fn a_password_in_an_address_is_not_named() {
        let place = Place::Http("https://me:hunter2@host/c.yaml".to_owned());
        assert_eq!(place.name(), "https://host/c.yaml");
    }
}
