//! Where a server listens.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// The IP versions that a server takes connections of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Either.
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host (a name, an IP address, or empty for every interface) and a port.
    Tcp {
        /// The host, without brackets.
        host: String,
        /// The port; 0 lets the system choose.
        port: u16,
        /// The IP versions.
        family: Family,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// Why text is no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no port.
    #[error("\"{0}\" has no port; write \"{0}:4317\"")]
    NoPort(String),
    /// The port is none.
    #[error("\"{0}\" is no port; write a number from 0 to 65535")]
    Port(String),
    /// An IPv6 address without brackets.
    #[error("\"{0}\" is ambiguous; write an IPv6 address in brackets, as \"[::1]:4317\"")]
    Brackets(String),
    /// An URL.
    #[error("\"{0}\" has a scheme; write only host and port")]
    Scheme(String),
    /// There is nothing.
    #[error("the endpoint is empty; write \"localhost:4317\"")]
    Empty,
    /// A transport that a server cannot use.
    #[error("transport \"{0}\" cannot be listened on; write tcp, tcp4, tcp6 or unix")]
    Transport(String),
}

impl Address {
    /// Reads an endpoint, of a transport by the Collector's name for it.
    ///
    /// # Errors
    /// When the transport is none for streams, or the endpoint has no port.
    pub fn parse(endpoint: &str, transport: &str) -> Result<Self, AddressError> {
        let family = match transport {
            "tcp" | "" => Family::Any,
            "tcp4" => Family::V4,
            "tcp6" => Family::V6,
            "unix" if endpoint.is_empty() => return Err(AddressError::Empty),
            "unix" => return Ok(Self::Unix(PathBuf::from(endpoint))),
            other => return Err(AddressError::Transport(other.to_owned())),
        };
        if endpoint.is_empty() {
            return Err(AddressError::Empty);
        }
        if endpoint.contains("://") {
            return Err(AddressError::Scheme(endpoint.to_owned()));
        }
        let (host, port) = endpoint
            .rsplit_once(':')
            .ok_or_else(|| AddressError::NoPort(endpoint.to_owned()))?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner
                .strip_suffix(']')
                .ok_or_else(|| AddressError::NoPort(endpoint.to_owned()))?,
            None if host.contains(':') => return Err(AddressError::Brackets(endpoint.to_owned())),
            None => host,
        };
        let port = port
            .parse()
            .map_err(|_| AddressError::Port(port.to_owned()))?;
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
            family,
        })
    }

    /// The socket addresses to try in turn, the one that Go's `net.Listen` would take first.
    ///
    /// Every interface is `[::]`, which takes IPv4 as well; where the system has no IPv6,
    /// `0.0.0.0` follows.
    pub(crate) async fn resolve(
        host: &str,
        port: u16,
        family: Family,
    ) -> io::Result<Vec<SocketAddr>> {
        let every = [
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        ];
        let addresses: Vec<IpAddr> = match host.parse::<IpAddr>() {
            Err(_) if host.is_empty() => every.to_vec(),
            Ok(ip) if ip == every[1] && family == Family::Any => every.to_vec(),
            Ok(ip) => vec![ip],
            Err(_) => tokio::net::lookup_host((host, port))
                .await?
                .map(|address| address.ip())
                .collect(),
        };
        let mut found: Vec<SocketAddr> = addresses
            .into_iter()
            .filter(|ip| match family {
                Family::Any => true,
                Family::V4 => ip.is_ipv4(),
                Family::V6 => ip.is_ipv6(),
            })
            .map(|ip| SocketAddr::new(ip, port))
            .collect();
        // A name that has both kinds means IPv4 first, as it does in Go.
        found.sort_by_key(|address| !address.ip().is_unspecified() && address.is_ipv6());
        if found.is_empty() {
            let message = format!("{host} has no address of the kind asked for");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, message));
        }
        Ok(found)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_collector_reads() {
        for (endpoint, host, port) in [
            ("localhost:4317", "localhost", 4317),
            ("0.0.0.0:0", "0.0.0.0", 0),
            (":4318", "", 4318),
            ("[::1]:4317", "::1", 4317),
        ] {
            let expected = Address::Tcp {
                host: host.to_owned(),
                port,
                family: Family::Any,
            };
            assert_eq!(Address::parse(endpoint, "tcp"), Ok(expected));
        }
        assert_eq!(
            Address::parse("/run/otlp.sock", "unix"),
            Ok(Address::Unix("/run/otlp.sock".into()))
        );
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        for (endpoint, transport, text) in [
            (
                "localhost",
                "tcp",
                "\"localhost\" has no port; write \"localhost:4317\"",
            ),
            (
                "localhost:x",
                "tcp",
                "\"x\" is no port; write a number from 0 to 65535",
            ),
            (
                "::1:4317",
                "tcp",
                "\"::1:4317\" is ambiguous; write an IPv6 address in brackets, as \"[::1]:4317\"",
            ),
            (
                "http://a:1",
                "tcp",
                "\"http://a:1\" has a scheme; write only host and port",
            ),
            (
                "",
                "unix",
                "the endpoint is empty; write \"localhost:4317\"",
            ),
            (
                "a:1",
                "udp",
                "transport \"udp\" cannot be listened on; write tcp, tcp4, tcp6 or unix",
            ),
        ] {
            let error = Address::parse(endpoint, transport).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }

    #[tokio::test]
    async fn every_interface_means_both_ip_versions() {
        for host in ["", "0.0.0.0"] {
            let found = Address::resolve(host, 1, Family::Any).await.unwrap();
            assert_eq!(found[0].to_string(), "[::]:1");
        }
        let found = Address::resolve("0.0.0.0", 1, Family::V4).await.unwrap();
        assert_eq!(found[0].to_string(), "0.0.0.0:1");
        assert!(Address::resolve("::1", 1, Family::V4).await.is_err());
    }
}
