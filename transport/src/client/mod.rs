//! Clients: gRPC and HTTP, with the keys that users write for them.

mod auth;
mod call;
mod channel;
mod connection;
mod dial;
mod endpoint;
mod greeting;
mod grpc;
mod headers;
mod http;
mod io;
mod message;
mod pieces;
mod proxy;

pub use auth::{AuthKeys, MiddlewareKeys};
pub use call::CallError;
pub use dial::DialError;
pub use endpoint::{Endpoint, InvalidEndpoint, Place};
pub use grpc::{GrpcChannel, GrpcClient, GrpcCompression, GrpcSettings, KeepaliveKeys};
pub use headers::Headers;
pub use http::{
    Answer, Call, CompressionParams, CookieKeys, Flow, HttpChannel, HttpClient, HttpCompression,
    HttpError, HttpSettings, Pieces, retry_after,
};
pub use message::Message;
