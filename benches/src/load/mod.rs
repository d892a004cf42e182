//! A closed-loop OTLP load generator: every lane sends a request, waits for its answer, sends the next.
//!
//! It works on raw bytes over hyper, on one thread, so that it takes little from the program it measures.
//! A request that is refused for now is sent again after the time that the receiver asked for; a request
//! that fails for good is counted and given up.

mod answer;
mod body;
mod channel;
mod histogram;
mod lane;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::compression::Compression;
use crate::corpus::Shape;
use channel::Connection;
use lane::{Lane, Work};
use report::Outcome;
pub(crate) use report::Report;

/// The two ways of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// gRPC over HTTP/2
    #[default]
    Grpc,
    /// Protobuf over HTTP/1.1
    Http,
}

/// What to send, where, and how much of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// Receiver to send to, as host:port
    #[arg(long, default_value = "127.0.0.1:4317")]
    pub(crate) endpoint: String,
    #[command(flatten)]
    pub(crate) shape: Shape,
    #[command(flatten)]
    pub(crate) way: Way,
    /// Stop when this many items were accepted or given up
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) items: u64,
    /// Stop after this many seconds instead
    #[arg(long, conflicts_with = "items")]
    pub(crate) seconds: Option<f64>,
    /// Connect by TLS and trust the certificates in this file
    #[arg(long)]
    pub(crate) tls_ca: Option<PathBuf>,
    /// First number of the sequence that IDs are made from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// How requests travel.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Way {
    #[arg(long, value_enum, default_value_t = Protocol::Grpc)]
    pub(crate) protocol: Protocol,
    #[arg(long, value_enum, default_value_t = Compression::None)]
    pub(crate) compression: Compression,
    /// Connections
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Requests in flight on each connection (over HTTP/1.1: that many connections instead)
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) in_flight: u32,
    /// Longest DATA frame to send; Go's gRPC clients never send a longer one than 16 KiB
    #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1024..))]
    pub(crate) frame_size: u32,
    /// Different requests to encode beforehand; where they are compressed, these repeat as they are
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) ring: u32,
    /// Seconds to wait for an answer
    #[arg(long, default_value_t = 30.0)]
    pub(crate) timeout: f64,
    /// Items to offer per second at most, while lanes are free; as many as are accepted without it
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Give a refused request up instead of sending it again
    #[arg(long)]
    pub(crate) no_retry: bool,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            protocol: Protocol::Grpc,
            compression: Compression::None,
            connections: 4,
            in_flight: 8,
            frame_size: 16_384,
            ring: 64,
            timeout: 30.0,
            rate: None,
            no_retry: false,
        }
    }
}

/// Sends the load; returns what came of it.
///
/// # Errors
/// Fails when no connection can be made at the start; later failures are counted instead.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<Report> {
    let work = Arc::new(Work::prepare(settings)?);
    let mut lanes = Vec::new();
    for _ in 0..settings.way.connections {
        match settings.way.protocol {
            Protocol::Grpc => {
                let connection = Arc::new(Connection::open(settings).await?);
                for _ in 0..settings.way.in_flight {
                    lanes.push(Lane::new(
                        work.clone(),
                        connection.clone(),
                        lanes.len() as u64,
                    ));
                }
            }
            Protocol::Http => {
                for _ in 0..settings.way.in_flight {
                    let connection = Arc::new(Connection::open(settings).await?);
                    lanes.push(Lane::new(work.clone(), connection, lanes.len() as u64));
                }
            }
        }
    }
    let start = Instant::now();
    let deadline = settings
        .seconds
        .map(|seconds| start + Duration::from_secs_f64(seconds));
    let mut running = JoinSet::new();
    for lane in lanes {
        running.spawn(lane.run(start, deadline));
    }
    let mut outcome = Outcome::default();
    while let Some(finished) = running.join_next().await {
        outcome.merge(finished?);
    }
    Ok(Report::new(outcome, start.elapsed()))
}

#[cfg(test)]
mod tests;
