//! What components share of the network: servers and clients, TLS, gRPC, compression.

pub mod client;
pub mod compression;
mod crowd;
pub mod datagrams;
pub mod grpc;
pub mod kubernetes;
pub mod pages;
pub mod query;
mod reload;
pub mod server;
pub mod sockets;
pub mod tls;

pub use reload::Reloading;
