//! The life of the process: start, signals, an orderly end.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tidegate_component::metrics::Registry as Metrics;
use tidegate_component::status::{LedgerRow, Summary};
use tidegate_config::Settings;
use tidegate_engine::telemetry::{Served, install_logs};
use tidegate_engine::{Engine, Plan, Pool, Running, default_budget, default_workers};
use tidegate_pdata::Budget;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::cli::Sources;
use crate::configuration::Configuration;

/// Runs the configuration until SIGTERM or SIGINT.
pub(crate) fn run(sources: &Sources) -> anyhow::Result<ExitCode> {
    let configuration = Configuration::read(sources)?;
    configuration.report();
    let Some(plan) = configuration.plan else {
        writeln!(
            std::io::stderr(),
            "tidegate does not start: the configuration is not valid"
        )?;
        return Ok(ExitCode::FAILURE);
    };
    for gates in &sources.feature_gates {
        let _ = writeln!(
            std::io::stderr(),
            "--feature-gates={gates} has no effect: there are no feature gates"
        );
    }
    install_logs(&configuration.settings.service.telemetry);
    let pool = Pool::start(default_workers()).context("the workers cannot be started")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(live(pool, plan, &configuration.settings))?;
    Ok(ExitCode::SUCCESS)
}

async fn live(pool: Pool, plan: Plan, settings: &Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let metrics = Metrics::default();
    let workers = default_workers();
    let engine = Engine::new(pool, Budget::new(default_budget()), metrics.clone());
    let served = Served::start(&settings.service.telemetry, &metrics).await?;
    let running = match engine.start(&plan).await {
        Ok(running) => running,
        Err(failure) => {
            served.stop().await;
            return Err(failure.into());
        }
    };
    for (pipeline, promise) in plan.promises() {
        info!(pipeline, promise = promise.name(), "pipeline runs");
    }
    info!(
        workers,
        version = env!("CARGO_PKG_VERSION"),
        "everything is ready"
    );
    let signal = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    let limit: Duration = settings.service.shutdown_timeout.into();
    info!(
        signal,
        timeout = ?limit,
        "shutting down: queues are drained until the timeout; interrupt to end without"
    );
    tokio::select! {
        () = stop(running, limit) => {}
        _ = interrupt.recv() => warn!("interrupted again: ending without draining"),
    }
    served.stop().await;
    Ok(())
}

async fn stop(running: Running, limit: Duration) {
    let ledger = running.shutdown(tokio::time::Instant::now() + limit).await;
    for row in &ledger {
        tell(row);
    }
    info!(target: LEDGER, "shut down: {}", Summary::of(&ledger).in_words("left on disk"));
}

/// The target of its lines, which the log never thins out.
const LEDGER: &str = "tidegate::ledger";

/// One line for each edge on which items ended for another reason than delivery.
fn tell(row: &LedgerRow) {
    for (reason, items) in row.dropped.iter().filter(|(_, items)| **items > 0) {
        warn!(
            target: LEDGER,
            pipeline = row.pipeline,
            kind = &*row.kind,
            component = row.component,
            signal = &*row.signal,
            reason,
            items,
            lost = row.lost.get(reason).copied().unwrap_or_default(),
            "items ended here"
        );
    }
    info!(
        target: LEDGER,
        pipeline = row.pipeline,
        kind = &*row.kind,
        component = row.component,
        signal = &*row.signal,
        r#in = row.r#in,
        created = row.created,
        out = row.out,
        consumed = row.consumed,
        held = row.held,
        "ledger"
    );
}
