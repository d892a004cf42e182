//! The following process's side: it asks the one that runs.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tidegate_transport::sockets::Sockets;
use tracing::{info, warn};

use super::wire::Wire;
use super::{GREETING, VERSION};

/// How long the running process may take for a line, which may be busy with another like this one.
const PATIENCE: Duration = Duration::from_secs(70);
/// What it may take to end beyond the time that it named.
const BEYOND: Duration = Duration::from_secs(30);

/// The running process has sent its sockets, and goes on until it is told.
#[derive(Debug)]
pub(crate) struct Prepared {
    wire: Wire,
}

/// Asks the process that listens on this path for its sockets; none where there is no process.
///
/// # Errors
/// When there is one and it does not give them.
pub(crate) fn prepare(path: &Path, sockets: &Sockets) -> anyhow::Result<Option<Prepared>> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(None),
        Err(error) => {
            let path = path.display();
            return Err(error).context(format!("cannot ask for a handover on {path}"));
        }
    };
    ask(stream, sockets).with_context(|| {
        format!(
            "the process behind {} does not hand over; end it first",
            path.display()
        )
    })
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn ask(stream: UnixStream, sockets: &Sockets) -> anyhow::Result<Option<Prepared>> {
    let mut wire = Wire::new(stream)?;
    wire.patience(Some(PATIENCE))?;
    wire.send(&format!("{GREETING} {VERSION} prepare"), &[])?;
    let Some(line) = wire.receive()? else {
        // It ended just now.
        return Ok(None);
    };
    let count = match line.split_once(' ') {
        Some(("sockets", count)) => count.parse::<usize>().ok(),
        Some(("refused", why)) => bail!("{why}"),
        _ => None,
    };
    let came = wire.sockets();
    if count != Some(came.len()) {
        bail!("it said {line:?} and sent {} sockets", came.len());
    }
    let origin = format!("process {}", wire.pid);
    for socket in came {
        let local = sockets.give(socket, &*origin)?;
        info!(address = %local, origin, "a listening socket was handed over");
    }
    Ok(Some(Prepared { wire }))
}

impl Prepared {
    /// Lets the running process end, and returns once it holds nothing any more.
    ///
    /// # Errors
    /// When it was gone before it could be told, or does not say what was agreed.
    pub(crate) fn commit(mut self) -> anyhow::Result<()> {
        self.wire.send("commit", &[])?;
        let pid = self.wire.pid;
        let drain = match self.wire.receive()? {
            Some(line) => line
                .strip_prefix("stopping ")
                .and_then(|seconds| seconds.parse().ok())
                .ok_or_else(|| anyhow!("process {pid} said {line:?}"))?,
            None => 0,
        };
        info!(
            process = pid,
            seconds = drain,
            "the process before ends; waiting for it"
        );
        let longest = Duration::from_secs(drain).saturating_add(BEYOND);
        self.wire.patience(Some(longest))?;
        match self.wire.receive() {
            Ok(Some(line)) if line == "released" => {}
            Ok(Some(line)) => bail!("process {pid} said {line:?}"),
            Ok(None) => info!(process = pid, "the process before has ended"),
            Err(error) => warn!(process = pid, %error, "the process before does not end; going on"),
        }
        Ok(())
    }
}
