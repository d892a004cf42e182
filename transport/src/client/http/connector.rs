//! How the HTTP client's connections are made: straight or through a proxy, with TLS or without.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use crate::client::dial::{self, CONNECT_TIMEOUT, DialError};
use crate::client::io::{Io, write_to_io};
use crate::client::proxy::{Proxies, Way};
use crate::tls::{ClientIdentity, ClientTls, TlsError};

/// Makes connections for URLs.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) identity: Arc<Identity>,
    pub(super) proxies: Arc<Proxies>,
}

/// What TLS needs; loaded at once where the configuration names files, else when first used,
/// since who speaks plaintext alone has no need of the system's CAs.
#[derive(Debug)]
pub(super) struct Identity {
    tls: ClientTls,
    alpn: &'static [&'static str],
    loaded: OnceLock<ClientIdentity>,
}

impl Identity {
    pub(super) fn load(tls: &ClientTls, alpn: &'static [&'static str]) -> Result<Self, TlsError> {
        let identity = Self {
            tls: tls.clone(),
            alpn,
            loaded: OnceLock::new(),
        };
        if *tls != ClientTls::default() {
            identity.loaded()?;
        }
        Ok(identity)
    }

    fn loaded(&self) -> Result<&ClientIdentity, TlsError> {
        if let Some(loaded) = self.loaded.get() {
            return Ok(loaded);
        }
        let identity = ClientIdentity::load(&self.tls, self.alpn)?;
        Ok(self.loaded.get_or_init(|| identity))
    }
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Stream, DialError> {
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let way = self.proxies.way(&uri);
        let socket = match &way {
            Way::Straight => dial::tcp(host, port).await?,
            Way::Proxy(proxy) if secure => proxy.tunnel(host, port).await?,
            Way::Proxy(proxy) => proxy.connect().await?,
        };
        let identity = match secure {
            true => Some(
                self.identity
                    .loaded()
                    .map_err(|error| DialError::new(format!("no TLS: {error}"), None))?,
            ),
            false => None,
        };
        Ok(Stream {
            io: dial::secure(socket, identity, host).await?,
            proxied: !secure && matches!(way, Way::Proxy(_)),
        })
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            match timeout(CONNECT_TIMEOUT, connector.connect(uri)).await {
                Ok(connected) => connected.map(TokioIo::new),
                Err(_) => Err(DialError::too_late()),
            }
        })
    }
}

/// A connection as the HTTP client sees it.
#[derive(Debug)]
pub(super) struct Stream {
    io: Io,
    /// Whether requests go to a proxy, which must be told the whole URL.
    proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.proxied);
        match self.io.alpn() {
            Some(b"h2") => connected.negotiated_h2(),
            _ => connected,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

write_to_io!(Stream);
