//! Servers: sockets, connections over workers, and requests handed over as bytes.
//!
//! A [`Server`] accepts on one address and deals connections over the workers, where hyper
//! drives each on the worker's own thread. Above it stand [`Grpc`], which reads a unary
//! call's message into one buffer of its exact size, and [`read_body`], which does the same
//! for HTTP. Everything a client can make grow or last is bounded here: connections, streams,
//! headers, handshakes, idle time, bodies that trickle in.

mod address;
mod auth;
mod body;
pub mod config;
mod connection;
mod cors;
mod encodings;
mod grpc;
mod io;
mod listener;
mod reply;
mod streams;
mod watch;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::request::Parts;
use hyper::body::Incoming;
use tidegate_component::Unauthenticated;
use tidegate_pdata::Context;

use crate::tls::ServerIdentity;

pub use address::{Address, AddressError, Family};
pub use auth::Authentication;
pub use body::{Body, BodyError, Pace, discard, read_body};
pub use cors::Cors;
pub use encodings::Encodings;
pub use grpc::{Call, Grpc, Unary};
pub(crate) use listener::Listener;
pub use listener::{ListenError, Server, check};
pub use reply::{Reply, Response};
pub use streams::{Conversation, Stream, StreamSettings, Streams};

/// Answers requests, on the worker that owns their connection.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn call(
        &self,
        request: Request<Incoming>,
        peer: &Arc<Peer>,
    ) -> impl Future<Output = Response> + Send;

    /// The context of a connection's requests, made when it begins.
    fn greet(&self, address: Option<SocketAddr>) -> Context {
        address.map_or_else(Context::default, |address| {
            Context::builder().peer(address).build()
        })
    }

    /// Whether a request is answered whoever sends it, as a browser's question before its request.
    fn is_open(&self, _request: &Parts) -> bool {
        false
    }

    /// The answer to a request that does not say, or prove, who sends it.
    fn unauthenticated(&self, _request: &Parts, fault: &Unauthenticated) -> Response {
        Reply::text(http::StatusCode::UNAUTHORIZED, fault.to_string())
    }

    /// The answer to a request whose handling panicked; the connection goes on.
    fn panicked(&self) -> Response;

    /// What a client is told that speaks HTTP/1 where only HTTP/2 is spoken.
    fn wrong_protocol(&self) -> Response {
        Reply::text(
            http::StatusCode::BAD_REQUEST,
            "this endpoint speaks HTTP/2 only",
        )
    }
}

/// The other side of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address; none for a unix socket.
    pub address: Option<SocketAddr>,
    /// What is known of it, shared by all requests: its address, and what the service adds.
    pub context: Context,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 alone, by prior knowledge or ALPN.
    Http2,
    /// HTTP/1.1 or HTTP/2, as the client begins.
    Any,
}

/// What a server does beside its service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub address: Address,
    /// What it speaks.
    pub protocol: Protocol,
    /// TLS on every connection.
    pub tls: Option<Arc<ServerIdentity>>,
    /// Asks who sends each request.
    pub authentication: Option<Authentication>,
    /// Connections at a time; more are closed at once. Of these one client takes at most eight ninths.
    pub max_connections: usize,
    /// Connections at a time on which TLS or the first bytes are outstanding; shared alike.
    pub max_handshakes: usize,
    /// Requests at a time on an HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Bytes of a request's headers.
    pub max_header_bytes: u32,
    /// Time for TLS and the first bytes.
    pub handshake_timeout: Duration,
    /// Time from the first byte of an HTTP/1 request to the end of its headers.
    pub header_timeout: Option<Duration>,
    /// Time that a connection may stay without a request.
    pub idle_timeout: Option<Duration>,
    /// Time after which a connection is asked to go, spread by a tenth either way.
    pub max_age: Option<Duration>,
    /// Time that the requests of a connection that was asked to go for its age may still take.
    pub max_age_grace: Option<Duration>,
    /// Silence on an HTTP/2 connection after which it is pinged.
    pub ping_interval: Option<Duration>,
    /// Time to answer a ping.
    pub ping_timeout: Duration,
    /// Whether an HTTP/1 connection serves more than one request.
    pub keep_alives: bool,
    /// Time that open requests may still take when the server stops.
    pub drain: Duration,
}

impl Settings {
    /// The defaults for an address and a protocol.
    #[must_use]
    pub fn new(address: Address, protocol: Protocol) -> Self {
        Self {
            address,
            protocol,
            tls: None,
            authentication: None,
            max_connections: 65_536,
            max_handshakes: 8192,
            max_concurrent_streams: 256,
            max_header_bytes: 64 << 10,
            handshake_timeout: Duration::from_secs(20),
            header_timeout: Some(Duration::from_secs(20)),
            idle_timeout: None,
            max_age: None,
            max_age_grace: None,
            ping_interval: Some(Duration::from_secs(2 * 60 * 60)),
            ping_timeout: Duration::from_secs(20),
            keep_alives: true,
            drain: Duration::from_secs(10),
        }
    }
}
