//! Child processes that end with the comparison, whichever way it ends.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::sink::Faults;
use crate::tls::Certificate;

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A running program; killed when dropped.
pub(super) struct Running {
    child: Child,
    pub(super) pid: u32,
    log: PathBuf,
}

impl Running {
    /// Starts a program whose output goes to `log`.
    pub(super) fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| log.display().to_string())?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true);
        let child = command.spawn()?;
        let pid = child.id().context("the process has ended at once")?;
        Ok(Self {
            child,
            pid,
            log: log.to_owned(),
        })
    }

    /// Waits until every address accepts connections; returns the time that it took from `since`.
    pub(super) async fn listening(
        &mut self,
        addresses: &[SocketAddr],
        since: Instant,
    ) -> anyhow::Result<Duration> {
        for &address in addresses {
            while TcpStream::connect(address).await.is_err() {
                if let Some(status) = self.child.try_wait()? {
                    bail!("ended at its start ({status}): {}", self.last_words());
                }
                if since.elapsed() > START_LIMIT {
                    bail!("does not listen on {address}: {}", self.last_words());
                }
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
        }
        Ok(since.elapsed())
    }

    /// Asks the process to end and waits until it has, killing it after a while.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if self.child.try_wait()?.is_none()
            && let Some(pid) = pid
        {
            kill_process(pid, Signal::TERM)?;
        }
        match tokio::time::timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(status) => {
                status?;
                Ok(())
            }
            Err(_) => {
                self.child.kill().await?;
                bail!("did not end within {STOP_LIMIT:?} of SIGTERM");
            }
        }
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut lines: Vec<&str> = text.lines().rev().take(4).collect();
        lines.reverse();
        lines.join(" / ")
    }
}

/// The sink as a process of its own.
pub(super) struct SinkProcess {
    /// Held for its end: it is killed when this is dropped.
    _child: Child,
    pub(super) address: SocketAddr,
}

impl SinkProcess {
    /// Starts a sink that serves in the clear and by TLS, as its clients begin.
    pub(super) async fn start(faults: &Faults, folder: &Path) -> anyhow::Result<Self> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(anywhere, faults, folder).await
    }

    /// Starts a sink at an address that was free before.
    pub(super) async fn start_at(
        address: SocketAddr,
        faults: &Faults,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let files = Certificate::within(folder);
        let mut child = Command::new(std::env::current_exe()?)
            .args(["sink", "--until-stdin-closes"])
            .args(["--listen", &address.to_string(), "--tls-certificate"])
            .arg(files.certificate)
            .arg("--tls-key")
            .arg(files.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("the sink has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_LIMIT, lines.next_line()).await??;
        let greeting: serde_json::Value =
            serde_json::from_str(&line.context("the sink ended at its start")?)?;
        let address = greeting["listening"].as_str().context("no address")?;
        let address = address.parse()?;
        super::control::set_faults(address, faults).await?;
        Ok(Self {
            _child: child,
            address,
        })
    }
}

/// `N` ports of the loopback that are free at this moment.
pub(crate) fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let mut held = Vec::new();
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for address in &mut addresses {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}
