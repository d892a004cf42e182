//! The life of the process: start, signals, an orderly end.

use std::convert::Infallible;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tidegate_component::metrics::Registry as Metrics;
use tidegate_component::status::{LedgerRow, Summary};
use tidegate_config::Settings;
use tidegate_engine::telemetry::{Served, install_logs};
use tidegate_engine::{Engine, Plan, Pool, Running, default_budget, default_workers};
use tidegate_pdata::Budget;
use tidegate_transport::server;
use tidegate_transport::sockets::Sockets;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::cli::Sources;
use crate::configuration::Configuration;
use crate::handover::{self, Committed, Giving};
use crate::systemd::{self, Notifier};

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
    systemd::take_sockets(Sockets::of_process());
    let pool = Pool::start(default_workers()).context("the workers cannot be started")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(live(pool, plan, &configuration.settings))?;
    Ok(ExitCode::SUCCESS)
}

/// Why the process ends.
enum End {
    /// A signal of this name.
    Signal(&'static str),
    /// Another process follows and has the sockets.
    Followed(Committed),
}

async fn live(pool: Pool, plan: Plan, settings: &Settings) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let notifier = Notifier::from_environment();
    notifier.status("starting");
    let giving = match &settings.service.handover {
        None => None,
        Some(handover) => {
            let mut giving = Giving::open(&handover.socket)?;
            let follow = follow(&plan, &handover.socket);
            tokio::select! {
                followed = follow => followed?,
                signal = signals.any() => bail!("{signal} came before anything was started"),
            }
            giving.publish()?;
            Some(giving)
        }
    };
    let metrics = Metrics::default();
    let engine = Engine::new(pool.clone(), Budget::new(default_budget()), metrics.clone());
    let served = Served::start(&settings.service.telemetry, &metrics).await?;
    let running = match engine.start(&plan).await {
        Ok(running) => running,
        Err(failure) => {
            served.stop().await;
            return Err(failure.into());
        }
    };
    tell_ready(&plan, &notifier);
    let limit: Duration = settings.service.shutdown_timeout.into();
    let mut committed = giving
        .map(|giving| giving.serve(Sockets::of_process().clone(), limit))
        .transpose()?;
    let end = tokio::select! {
        end = end(&mut signals, committed.as_mut()) => end,
        never = watched(&pool, &notifier) => match never {},
    };
    part(&end, limit, &notifier);
    let stopped = async {
        tokio::select! {
            () = stop(running, limit) => {}
            () = signals.interrupted() => warn!("interrupted again: ending without draining"),
        }
        served.stop().await;
    };
    tokio::select! {
        () = stopped => {}
        never = watched(&pool, &notifier) => match never {},
    }
    // One may have asked after the signal, and waits for the end as well.
    let mut late = || committed.as_mut()?.try_recv().ok();
    match (end, &settings.service.handover) {
        (End::Followed(follower), _) => follower.release(),
        (End::Signal(_), Some(handover)) => match late() {
            Some(follower) => follower.release(),
            None => handover::remove(&handover.socket),
        },
        (End::Signal(_), None) => {}
    }
    Ok(())
}

/// Asks the process that runs, if there is one, for its sockets, makes sure that this one can
/// follow it, and has it end.
async fn follow(plan: &Plan, socket: &Path) -> anyhow::Result<()> {
    let Some(prepared) = handover::prepare(socket, Sockets::of_process())? else {
        return Ok(());
    };
    // From here to the commit an error leaves the running process as it is.
    for address in plan.listens() {
        let checked = server::check(address).await;
        checked.context("this process could not start, so the running one goes on")?;
    }
    let (sender, done) = oneshot::channel();
    std::thread::Builder::new()
        .name("follow".to_owned())
        .spawn(move || sender.send(prepared.commit()))?;
    done.await?
}

fn tell_ready(plan: &Plan, notifier: &Notifier) {
    for (address, origin) in Sockets::of_process().close_unclaimed() {
        warn!(
            %address,
            origin,
            "nothing listens on this address, so the socket that was handed over is closed"
        );
    }
    for (pipeline, promise) in plan.promises() {
        info!(pipeline, promise = promise.name(), "pipeline runs");
    }
    info!(
        workers = default_workers(),
        version = env!("CARGO_PKG_VERSION"),
        "everything is ready"
    );
    let pipelines = plan.promises().count();
    let status = format!("STATUS=running {pipelines} pipelines");
    notifier.tell(&["READY=1", &status]);
}

/// Waits for what ends the process.
async fn end(signals: &mut Signals, committed: Option<&mut UnboundedReceiver<Committed>>) -> End {
    let followed = async {
        match committed {
            Some(committed) => committed.recv().await,
            None => None,
        }
    };
    tokio::select! {
        signal = signals.any() => End::Signal(signal),
        Some(committed) = followed => End::Followed(committed),
    }
}

/// Says that the process stops, and why.
fn part(end: &End, limit: Duration, notifier: &Notifier) {
    let seconds = limit.as_secs();
    match end {
        End::Signal(signal) => {
            notifier.tell(&[
                "STOPPING=1",
                &format!("STATUS=draining, {seconds} s at most"),
            ]);
            info!(
                signal,
                timeout = ?limit,
                "shutting down: queues are drained until the timeout; interrupt to end without"
            );
        }
        End::Followed(committed) => {
            let process = committed.pid();
            notifier.tell(&[&format!("MAINPID={process}")]);
            info!(
                process,
                timeout = ?limit,
                "another process follows and has the listening sockets; queues are drained until the timeout"
            );
        }
    }
}

/// Gives signs of life as often as the service manager wants them, for as long as every worker
/// takes its turns.
async fn watched(pool: &Pool, notifier: &Notifier) -> Infallible {
    let Some(half) = notifier.watchdog() else {
        return std::future::pending().await;
    };
    loop {
        pool.respond().await;
        notifier.tell(&["WATCHDOG=1"]);
        tokio::time::sleep(half).await;
    }
}

/// The signals that end the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    async fn interrupted(&mut self) {
        self.interrupt.recv().await;
    }
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
