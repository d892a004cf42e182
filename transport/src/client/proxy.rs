//! Proxies: which one a connection goes through, and how.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::dial::{self, DialError};
use super::io::{Io, Socket};
use crate::tls::{ClientIdentity, ClientTls};

/// The longest answer to a CONNECT that is read.
const MAX_ANSWER: usize = 8 << 10;

/// What says which connections go through a proxy.
#[derive(Debug)]
pub(super) enum Proxies {
    /// None, whatever the environment says.
    None,
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; never for this very machine.
    Environment(Box<Matcher>),
    /// One for all.
    One(Box<Proxy>),
}

/// How a connection is made.
pub(super) enum Way {
    Straight,
    Proxy(Box<Proxy>),
}

/// The way through a proxy to a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tunnel {
    pub(super) proxy: Proxy,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Tunnel {
    /// The tunnel that the environment asks for on the way to a host, whatever the protocol.
    pub(super) fn to(host: &str, port: u16) -> Option<Self> {
        let literal = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        let uri = format!("https://{literal}:{port}").parse().ok()?;
        match Proxies::environment().way(&uri) {
            Way::Straight => None,
            Way::Proxy(proxy) => Some(Self {
                proxy: *proxy,
                host: host.to_owned(),
                port,
            }),
        }
    }
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proxy {
    secure: bool,
    host: String,
    port: u16,
    authorization: Option<String>,
}

impl Proxies {
    pub(super) fn environment() -> Self {
        Self::Environment(Box::new(Matcher::from_env()))
    }

    /// The proxy of a `proxy_url`.
    pub(super) fn one(url: &str) -> Result<Self, String> {
        Proxy::parse(url).map(Box::new).map(Self::One)
    }

    pub(super) fn way(&self, uri: &Uri) -> Way {
        match self {
            Self::None => Way::Straight,
            Self::One(proxy) => Way::Proxy(proxy.clone()),
            Self::Environment(_) if is_here(uri.host().unwrap_or_default()) => Way::Straight,
            Self::Environment(matcher) => matcher
                .intercept(uri)
                .and_then(|intercept| Proxy::of(&intercept))
                .map_or(Way::Straight, |proxy| Way::Proxy(Box::new(proxy))),
        }
    }
}

/// Whether a host is this very machine, which no proxy of the environment serves.
fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

impl Proxy {
    fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| "this is no URL".to_owned())?;
        let authority = uri.authority().ok_or("the URL names no host")?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(other) => return Err(format!("proxies by \"{other}\" are not built")),
            None => return Err("the URL has no scheme".to_owned()),
        };
        let authorization = authority
            .as_str()
            .rsplit_once('@')
            .map(|(user, _)| format!("Basic {}", STANDARD.encode(percent_decoded(user))));
        Ok(Self {
            secure,
            host: authority
                .host()
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: authority
                .port_u16()
                .unwrap_or(if secure { 443 } else { 80 }),
            authorization,
        })
    }

    fn of(intercept: &Intercept) -> Option<Self> {
        let mut proxy = Self::parse(&intercept.uri().to_string()).ok()?;
        if let Some(basic) = intercept.basic_auth() {
            proxy.authorization = basic.to_str().ok().map(ToOwned::to_owned);
        }
        Some(proxy)
    }

    /// What goes into `proxy-authorization`, where the proxy wants it.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Connects to the proxy itself.
    pub(super) async fn connect(&self) -> Result<Socket, DialError> {
        let socket = dial::tcp(&self.host, self.port)
            .await
            .map_err(|error| self.failed(&error))?;
        if !self.secure {
            return Ok(socket);
        }
        let identity = ClientIdentity::load(&ClientTls::default(), &["http/1.1"])
            .map_err(|error| self.failed(&error))?;
        match dial::secure(socket, Some(&identity), &self.host).await {
            Ok(Io::Tls(stream)) => Ok(Socket::Proxied(stream)),
            Ok(Io::Plain(socket)) => Ok(socket),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Asks the proxy for a tunnel to a host.
    pub(super) async fn tunnel(&self, host: &str, port: u16) -> Result<Socket, DialError> {
        let mut socket = self.connect().await?;
        let to = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let mut ask = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if let Some(authorization) = &self.authorization {
            ask.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        ask.push_str("\r\n");
        socket
            .write_all(ask.as_bytes())
            .await
            .map_err(|error| self.failed(&error))?;
        let answer = self.answer(&mut socket).await?;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            let line = answer.lines().next().unwrap_or_default();
            return Err(self.failed(&format!("it answered \"{line}\" when asked for {to}")));
        }
        Ok(socket)
    }

    /// Reads the head of an answer, and not a byte more.
    async fn answer(&self, socket: &mut Socket) -> Result<String, DialError> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = socket
                .read_u8()
                .await
                .map_err(|error| self.failed(&error))?;
            head.push(byte);
            if head.len() > MAX_ANSWER {
                return Err(self.failed(&"its answer has no end"));
            }
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> DialError {
        DialError::new(
            format!("the proxy {}:{} failed: {error}", self.host, self.port),
            Some("look at `proxy_url`, or at HTTPS_PROXY and NO_PROXY in the environment"),
        )
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_url_gives_host_port_and_credentials() {
        let proxy = Proxy::parse("http://user:p%40ss@proxy:3128").unwrap();
        assert_eq!(
            (proxy.host.as_str(), proxy.port, proxy.secure),
            ("proxy", 3128, false)
        );
        let expected = format!("Basic {}", STANDARD.encode("user:p@ss"));
        assert_eq!(proxy.authorization(), Some(expected.as_str()));
        assert_eq!(Proxy::parse("https://proxy").unwrap().port, 443);
        assert!(
            Proxy::parse("socks5://proxy:1080")
                .unwrap_err()
                .contains("socks5")
        );
        assert!(Proxy::parse("proxy:3128").is_err());
    }

    #[test]
    fn proxies_of_the_environment_leave_this_machine_alone() {
        let matcher = Matcher::builder()
            .all("http://proxy:3128")
            .no("inside.example")
            .build();
        let proxies = Proxies::Environment(Box::new(matcher));
        let straight =
            |uri: &'static str| matches!(proxies.way(&Uri::from_static(uri)), Way::Straight);
        assert!(straight("http://localhost:4318/v1/traces"));
        assert!(straight("http://127.0.0.1:4318/v1/traces"));
        assert!(straight("http://[::1]:4318/v1/traces"));
        assert!(straight("http://inside.example/v1/traces"));
        assert!(!straight("https://outside.example/v1/traces"));
    }
}
