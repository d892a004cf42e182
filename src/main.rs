//! The binary: command line, tables of components, and the life of the process.

mod cli;
mod compat;
mod configuration;
#[cfg(test)]
mod examples;
mod fetch;
mod generate;
mod handover;
mod import;
mod ledger;
mod ottl;
mod queue;
mod reference;
mod registry;
mod report;
mod run;
mod sampling;
mod systemd;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
    let cli = Cli::parse();
    // One TLS provider for every client and server; a second call would be the only error.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match dispatch(&cli) {
        Ok(code) => code,
        Err(error) => {
            report::failure(&error);
            ExitCode::FAILURE
        }
    }
}

/// Asks the system for pages of 4 KiB: with those of 2 MiB, which the allocator wants, memory that
/// is set aside and not written to is resident as well, half of what an idle connection takes.
fn keep_pages_small() {
    // A system that cannot do so has no large pages either.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

fn dispatch(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        None => run::run(&cli.sources),
        Some(Command::Validate) => report::validate(&cli.sources),
        Some(Command::Compat { file }) => compat::compat(file, &cli.sources),
        Some(Command::Components) => report::components(),
        Some(Command::Explain { component }) => reference::explain(component.as_deref()),
        Some(Command::ExplainSampling { trace, processor }) => {
            sampling::explain(&cli.sources, trace, processor.as_deref())
        }
        Some(Command::PrintConfig { mode, format }) => {
            report::print_config(&cli.sources, *mode, *format)
        }
        Some(Command::Schema) => report::schema(),
        Some(Command::Generate(options)) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(generate::run(options))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Ledger { endpoint, format }) => ledger::ledger(endpoint, *format),
        Some(Command::Queue { action }) => queue::queue(action),
        Some(Command::Ottl { action }) => ottl::ottl(action),
        Some(Command::ImportStorage(options)) => import::import(options, &cli.sources),
        Some(Command::Featuregate { .. }) => report::feature_gates(),
    }
}
