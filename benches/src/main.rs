//! Measures collectors from outside: a load generator, a sink that counts, and a comparison of the two ends.

mod compare;
mod compression;
mod corpus;
mod count;
mod crowd;
mod load;
mod signal;
mod sink;
mod tls;
mod wire;

use std::io::Write;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures telemetry collectors from outside
#[derive(Debug, Parser)]
#[command(name = "tidegate-benches")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send telemetry as fast as it is accepted; print what came of it as JSON
    Load(load::Settings),
    /// Take telemetry, count it, throw it away
    Sink(sink::Settings),
    /// Open many connections that do nothing; print what each costs the program as JSON
    Crowd(crowd::Settings),
    /// Run collectors side by side and compare what they cost
    Compare(compare::Settings),
}

// One thread: what the generator and the sink take is taken from the program that they measure.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // The first to install is this one; there is none before it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Cli::parse().command {
        Command::Load(settings) => {
            let report = load::run(&settings).await?;
            print(&serde_json::to_string(&report)?)
        }
        Command::Sink(settings) => {
            let sink = sink::Sink::bind(&settings).await?;
            print(&format!(r#"{{"listening":"{}"}}"#, sink.address()?))?;
            sink.serve().await
        }
        Command::Crowd(settings) => {
            let report = crowd::run(&settings).await?;
            print(&serde_json::to_string(&report)?)
        }
        Command::Compare(settings) => compare::run(settings).await,
    }
}

fn print(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
