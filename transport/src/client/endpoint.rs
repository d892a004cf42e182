//! Where a gRPC client connects to, read from the `endpoint` key.

use std::fmt;
use std::path::PathBuf;

/// What follows the scheme of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A host, by name or address, and a port.
    Tcp {
        /// The name or address; an IPv6 address stands without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket in the file system; on Linux a leading `@` makes it an abstract one.
    Unix(PathBuf),
}

/// A gRPC endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect.
    pub place: Place,
    /// What the scheme says of TLS: `https` asks for it, `http` for none, all others leave it open.
    pub tls: Option<bool>,
}

/// Why a text is no endpoint, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct InvalidEndpoint {
    /// What is wrong.
    pub fault: String,
    /// What to write instead.
    pub remedy: String,
}

impl InvalidEndpoint {
    fn new(fault: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            fault: fault.into(),
            remedy: remedy.into(),
        }
    }
}

impl Endpoint {
    /// Reads an endpoint in gRPC's naming: `host:port`, `dns:///host:port`, `unix:path`, and
    /// with a scheme of the web, `http://host:port`.
    ///
    /// # Errors
    /// When there is no port, or the scheme is not known.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidEndpoint::new(
                "there is no endpoint",
                "write the collector's address, as `gateway:4317`",
            ));
        }
        if let Some(path) = text.strip_prefix("unix-abstract:") {
            return unix(&format!("@{}", path.trim_start_matches('/')));
        }
        if let Some(path) = text.strip_prefix("unix://").or(text.strip_prefix("unix:")) {
            return unix(path);
        }
        if let Some(rest) = text
            .strip_prefix("dns:")
            .or(text.strip_prefix("passthrough:"))
        {
            return Ok(Self {
                place: tcp(resolver_path(rest))?,
                tls: None,
            });
        }
        match text.split_once("://") {
            None => Ok(Self {
                place: tcp(text)?,
                tls: None,
            }),
            Some(("http", rest)) => Ok(Self {
                place: tcp(rest.strip_suffix('/').unwrap_or(rest))?,
                tls: Some(false),
            }),
            Some(("https", rest)) => Ok(Self {
                place: tcp(rest.strip_suffix('/').unwrap_or(rest))?,
                tls: Some(true),
            }),
            Some((scheme, _)) => Err(InvalidEndpoint::new(
                format!("the scheme \"{scheme}\" is not known"),
                "write `host:port`, `dns:///host:port` or `unix:///path`",
            )),
        }
    }
}

/// What names the host in a URI of a resolver: `///host:port`, `//authority/host:port` or `host:port`.
fn resolver_path(rest: &str) -> &str {
    match rest.strip_prefix("//") {
        // The authority would be a DNS server of one's own: the system's resolver is used.
        Some(rest) => rest.split_once('/').map_or(rest, |(_, path)| path),
        None => rest,
    }
}

fn unix(path: &str) -> Result<Endpoint, InvalidEndpoint> {
    if path.is_empty() || path == "@" {
        return Err(InvalidEndpoint::new(
            "the socket has no path",
            "write `unix:///run/collector.sock`",
        ));
    }
    Ok(Endpoint {
        place: Place::Unix(PathBuf::from(path)),
        tls: None,
    })
}

fn tcp(text: &str) -> Result<Place, InvalidEndpoint> {
    if let Some((_, path)) = text.split_once('/') {
        return Err(InvalidEndpoint::new(
            format!("the path \"/{path}\" has no meaning over gRPC"),
            "take the path away, or use `otlp_http`",
        ));
    }
    let no_port = || {
        InvalidEndpoint::new(
            format!("\"{text}\" has no port"),
            format!("write `{text}:4317`"),
        )
    };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(|| {
                InvalidEndpoint::new(
                    format!("\"{text}\" has no closing bracket"),
                    "write an IPv6 address as `[::1]:4317`",
                )
            })?;
            (host, rest.strip_prefix(':').ok_or_else(no_port)?)
        }
        None => text.rsplit_once(':').ok_or_else(no_port)?,
    };
    if host.contains(':') && !text.starts_with('[') {
        return Err(InvalidEndpoint::new(
            format!("\"{text}\" has too many colons"),
            format!("write an IPv6 address in brackets: `[{host}]:{port}`"),
        ));
    }
    if host.is_empty() {
        return Err(InvalidEndpoint::new(
            format!("\"{text}\" has no host"),
            format!("write `localhost:{port}`"),
        ));
    }
    if port.is_empty() {
        return Err(InvalidEndpoint::new(
            format!("\"{text}\" has no port after its colon"),
            format!("write for example `{host}:4317`"),
        ));
    }
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        InvalidEndpoint::new(
            format!("\"{port}\" is no port"),
            "write a number from 1 to 65535",
        )
    })?;
    Ok(Place::Tcp {
        host: host.to_owned(),
        port,
    })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> String {
        Endpoint::parse(text).unwrap().place.to_string()
    }

    #[test]
    fn every_form_of_the_original_is_read() {
        for (text, expected) in [
            ("gateway:4317", "gateway:4317"),
            ("dns:///gateway:4317", "gateway:4317"),
            ("dns://8.8.8.8/gateway:4317", "gateway:4317"),
            ("dns:gateway:4317", "gateway:4317"),
            ("passthrough:///10.0.0.1:4317", "10.0.0.1:4317"),
            ("[::1]:4317", "[::1]:4317"),
            ("http://gateway:4317", "gateway:4317"),
            ("https://gateway:4317/", "gateway:4317"),
            ("unix:///run/otel.sock", "unix:/run/otel.sock"),
            ("unix:run/otel.sock", "unix:run/otel.sock"),
            ("unix-abstract:otel", "unix:@otel"),
        ] {
            assert_eq!(place(text), expected);
        }
    }

    #[test]
    fn a_scheme_of_the_web_decides_about_tls() {
        let tls = |text| Endpoint::parse(text).unwrap().tls;
        assert_eq!(tls("http://gateway:4317"), Some(false));
        assert_eq!(tls("https://gateway:4317"), Some(true));
        assert_eq!(tls("gateway:4317"), None);
        assert_eq!(tls("dns:///gateway:4317"), None);
    }

    #[test]
    fn a_fault_comes_with_what_to_write_instead() {
        for (text, fault, remedy) in [
            ("", "there is no endpoint", "`gateway:4317`"),
            ("gateway", "has no port", "`gateway:4317`"),
            ("gateway:http", "\"http\" is no port", "1 to 65535"),
            ("gateway:0", "\"0\" is no port", "1 to 65535"),
            (":4317", "has no host", "`localhost:4317`"),
            ("::1:4317", "too many colons", "`[::1]:4317`"),
            ("[::1:4317", "closing bracket", "`[::1]:4317`"),
            ("xds:///gateway", "scheme \"xds\"", "`host:port`"),
            (
                "http://gateway:4317/v1/traces",
                "no meaning over gRPC",
                "`otlp_http`",
            ),
            ("unix://", "no path", "unix:///run"),
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(error.fault.contains(fault), "{text}: {error}");
            assert!(error.remedy.contains(remedy), "{text}: {}", error.remedy);
        }
    }
}
