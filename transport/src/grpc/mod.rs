//! gRPC over HTTP/2, as far as unary calls need it: framing, status, deadlines.
//!
//! The five bytes before a message, the trailers and the headers are ours, so that a message
//! is one piece of bytes from the socket to the pipeline and back to a socket. What is
//! written here follows the project's PROTOCOL-HTTP2 document; server and client share it.

mod code;
mod deadline;
mod message;
mod status;

pub use code::Code;
pub use deadline::{format_timeout, parse_timeout};
pub use message::{PREFIX, Prefix};
pub use status::Status;

/// The media type of every request and answer.
pub const CONTENT_TYPE: &str = "application/grpc";

/// The encodings that a server takes, for `grpc-accept-encoding`.
pub const ACCEPT_ENCODING: &str = "identity,gzip,zstd,snappy";
