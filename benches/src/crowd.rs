//! Many clients that connect and say nothing: what each costs the program that they are connected to.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::compare::memory_now;

/// HTTP/2's preface and empty settings (RFC 9113, section 3.4), as a client begins.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The settings of the other side, acknowledged.
const ACKNOWLEDGED: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
const PATIENCE: Duration = Duration::from_secs(10);
/// Time for the program to come to rest.
const REST: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// The program's OTLP/gRPC address
    #[arg(long, default_value = "127.0.0.1:4317")]
    endpoint: SocketAddr,
    /// The program's process
    #[arg(long)]
    pid: u32,
    /// Connections; the limit of open files must allow for them on both sides
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// Opens them without a word, as a client that never begins
    #[arg(long)]
    silent: bool,
}

/// What they cost.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    connections: usize,
    /// The program's resident size before and with them.
    kib_before: u64,
    kib_with: u64,
    kib_each: f64,
}

pub(crate) async fn run(settings: &Settings) -> anyhow::Result<Report> {
    let kib_before = memory_now(settings.pid)?;
    let mut open = Vec::with_capacity(settings.count);
    for number in 1..=settings.count {
        let connected = timeout(PATIENCE, connect(settings)).await;
        let connected = connected.context("no answer within 10 s")?;
        open.push(connected.with_context(|| format!("connection {number}"))?);
    }
    sleep(REST).await;
    let kib_with = memory_now(settings.pid)?;
    Ok(Report {
        connections: open.len(),
        kib_before,
        kib_with,
        kib_each: (kib_with as f64 - kib_before as f64) / open.len().max(1) as f64,
    })
}

async fn connect(settings: &Settings) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(settings.endpoint).await?;
    if settings.silent {
        return Ok(stream);
    }
    stream.write_all(GREETING).await?;
    if stream.read(&mut [0; 1024]).await? == 0 {
        bail!("was closed");
    }
    stream.write_all(ACKNOWLEDGED).await?;
    Ok(stream)
}
