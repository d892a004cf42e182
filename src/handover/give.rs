//! The running process's side: it waits for the one that follows.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tidegate_transport::sockets::Sockets;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::wire::Wire;
use super::{GREETING, MOST_SOCKETS, VERSION};

/// How long the other process may take for a line.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after one that failed.
const AFTER_FAULT: Duration = Duration::from_millis(100);
/// How long it may take to check what it can.
const TO_COMMIT: Duration = Duration::from_secs(60);

/// The place where the next process asks.
#[derive(Debug)]
pub(crate) struct Giving {
    path: PathBuf,
    /// Where the socket is until it is published.
    aside: Option<PathBuf>,
    listener: UnixListener,
}

/// A process has what it needs, and waits until this one lets go.
#[derive(Debug)]
pub(crate) struct Committed {
    wire: Wire,
}

impl Giving {
    /// Opens the socket, for this user alone, beside the one on which another process may wait.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("cannot listen on {} for a handover", path.display());
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        let _ = std::fs::remove_file(&aside);
        let listener = UnixListener::bind(&aside).with_context(failed)?;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&aside, private).with_context(failed)?;
        Ok(Self {
            path: path.to_owned(),
            aside: Some(aside),
            listener,
        })
    }

    /// Puts the socket in its place, where the process before has let go.
    pub(crate) fn publish(&mut self) -> anyhow::Result<()> {
        if let Some(aside) = self.aside.take() {
            let failed = || format!("cannot listen on {} for a handover", self.path.display());
            std::fs::rename(aside, &self.path).with_context(failed)?;
        }
        Ok(())
    }

    /// Answers from here on; what commits comes out of the channel, once.
    ///
    /// `drain` is what the other process is told that the end of this one may take.
    pub(crate) fn serve(
        self,
        sockets: Sockets,
        drain: Duration,
    ) -> io::Result<mpsc::UnboundedReceiver<Committed>> {
        let (sender, committed) = mpsc::unbounded_channel();
        let name = "handover".to_owned();
        std::thread::Builder::new().name(name).spawn(move || {
            for stream in self.listener.incoming() {
                match stream.and_then(|stream| converse(stream, &sockets, drain)) {
                    Ok(Some(done)) => {
                        // Whoever waited for it is ending anyway.
                        let _ = sender.send(done);
                        return;
                    }
                    Ok(None) => info!("the process that wanted to follow has given up"),
                    Err(error) => {
                        warn!(socket = %self.path.display(), %error, "a handover failed");
                        // Out of descriptors, accepting fails again at once.
                        std::thread::sleep(AFTER_FAULT);
                    }
                }
            }
        })?;
        Ok(committed)
    }
}

impl Drop for Giving {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            let _ = std::fs::remove_file(aside);
        }
    }
}

/// Takes the socket away that nobody answers on any more.
pub(crate) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// Speaks with one process; none where it did not commit.
fn converse(
    stream: UnixStream,
    sockets: &Sockets,
    drain: Duration,
) -> io::Result<Option<Committed>> {
    let mut wire = Wire::new(stream)?;
    wire.patience(Some(PATIENCE))?;
    let Some(line) = wire.receive()? else {
        return Ok(None);
    };
    if line != format!("{GREETING} {VERSION} prepare") {
        wire.send(
            &format!("refused this process speaks version {VERSION}"),
            &[],
        )?;
        let message = format!("the other process said {line:?}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let listening: Vec<OwnedFd> = sockets.listening()?.into_iter().map(|(_, fd)| fd).collect();
    if listening.len() > MOST_SOCKETS {
        let message = format!("{} sockets are too many to hand over", listening.len());
        wire.send(&format!("refused {message}"), &[])?;
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    wire.send(&format!("sockets {}", listening.len()), &listening)?;
    drop(listening);
    wire.patience(Some(TO_COMMIT))?;
    match wire.receive()?.as_deref() {
        Some("commit") => {}
        _ => return Ok(None),
    }
    sockets.leave();
    wire.send(&format!("stopping {}", drain.as_secs()), &[])?;
    Ok(Some(Committed { wire }))
}

impl Committed {
    /// The process that follows.
    pub(crate) const fn pid(&self) -> u32 {
        self.wire.pid
    }

    /// Tells it that this process holds nothing any more.
    pub(crate) fn release(self) {
        if let Err(error) = self.wire.send("released", &[]) {
            warn!(%error, "the process that follows is gone");
        }
    }
}
