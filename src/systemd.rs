//! systemd: the sockets that it passes, and what it is told in return.
//!
//! Both protocols are plain: descriptors from 3 on, counted in `LISTEN_FDS` (sd_listen_fds(3)), and
//! lines sent to the datagram socket that `NOTIFY_SOCKET` names (sd_notify(3)).

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use listenfd::ListenFd;
use tidegate_transport::sockets::Sockets;
use tracing::{debug, warn};

/// Takes the sockets that were passed with the start of the process. To be called once, before
/// there are other threads: it clears the variables, which are for this process alone.
pub(crate) fn take_sockets(sockets: &Sockets) {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut passed = ListenFd::from_env();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    for at in 0..passed.len() {
        let origin = match names.next() {
            Some(name) => format!("systemd, {name}"),
            None => "systemd".to_owned(),
        };
        let given = take(&mut passed, at).and_then(|socket| sockets.give(socket, &*origin));
        if let Err(error) = given {
            let descriptor = at + 3;
            warn!(origin, descriptor, %error, "a passed socket is of no use");
        }
    }
}

fn take(passed: &mut ListenFd, at: usize) -> io::Result<OwnedFd> {
    let none = || io::Error::from(io::ErrorKind::NotFound);
    match passed.take_tcp_listener(at) {
        Ok(listener) => listener.map(OwnedFd::from).ok_or_else(none),
        Err(_) => {
            let listener = passed.take_unix_listener(at)?;
            listener.map(OwnedFd::from).ok_or_else(none)
        }
    }
}

/// Who is told how the process is; nobody where it was not started as a service of type `notify`.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Whoever the environment names.
    pub(crate) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let to = variable("NOTIFY_SOCKET").and_then(|path| match connect(&path) {
            Ok(to) => Some(to),
            Err(error) => {
                warn!(socket = ?path, %error, "the service manager cannot be told anything");
                None
            }
        });
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        let mine = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = text("WATCHDOG_USEC").and_then(|micros| micros.parse().ok());
        Self {
            to,
            watchdog: watchdog.filter(|_| mine).map(Duration::from_micros),
        }
    }

    /// Half of the time within which the service manager wants a sign of life.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        let within = self.watchdog.filter(|_| self.to.is_some());
        within
            .map(|within| within / 2)
            .filter(|half| !half.is_zero())
    }

    /// Sends lines such as `READY=1`.
    pub(crate) fn tell(&self, lines: &[&str]) {
        let Some((socket, address)) = &self.to else {
            return;
        };
        if let Err(error) = socket.send_to_addr(lines.join("\n").as_bytes(), address) {
            debug!(%error, "the service manager was not told");
        }
    }

    /// The same for something to read, as `status` shows it.
    pub(crate) fn status(&self, status: &str) {
        self.tell(&[&format!("STATUS={status}")]);
    }
}

/// A socket to send from, and the address: a path, or a name in the abstract namespace behind `@`.
fn connect(to: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match to.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(to)?,
        _ => {
            let message = "it is neither a path nor an abstract name";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    };
    Ok((UnixDatagram::unbound()?, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifier(to: &OsStr) -> Notifier {
        Notifier {
            to: Some(connect(to).unwrap()),
            watchdog: Some(Duration::from_secs(30)),
        }
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn lines_reach_a_path_and_an_abstract_name() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        notifier(path.as_os_str()).tell(&["READY=1", "STATUS=runs"]);
        assert_eq!(received(&socket), "READY=1\nSTATUS=runs");

        let name = format!("tidegate-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        notifier(OsStr::new(&format!("@{name}"))).status("stops");
        assert_eq!(received(&socket), "STATUS=stops");
    }

    #[test]
    fn sign_of_life_is_given_at_half_of_the_time() {
        let place = tempfile::tempdir().unwrap();
        let notifier = notifier(place.path().join("away").as_os_str());
        assert_eq!(notifier.watchdog(), Some(Duration::from_secs(15)));
        // Nobody there is no fault of ours.
        notifier.tell(&["WATCHDOG=1"]);
        assert_eq!(Notifier::default().watchdog(), None);
    }
}
