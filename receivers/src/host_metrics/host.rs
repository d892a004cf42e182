//! The host's files: where they are, and reading them within bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::text;

/// The most that is read of one file.
const MOST: u64 = 16 << 20;

/// Where the host's files are.
///
/// The variables `HOST_PROC`, `HOST_SYS`, `HOST_ETC`, `HOST_DEV` and `HOST_PROC_MOUNTINFO` name
/// other places, as those know who mount a host's folders into a container.
#[derive(Clone, Debug)]
pub(super) struct Host {
    root: PathBuf,
    proc: PathBuf,
    sys: PathBuf,
    etc: PathBuf,
    dev: PathBuf,
    mountinfo: Option<PathBuf>,
}

impl Host {
    /// The host under this root; `variable` looks up a variable of the environment.
    pub(super) fn new(root: &str, variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let root = match root {
            "" => PathBuf::from("/"),
            root => PathBuf::from(root),
        };
        let at = |name: &str, folder: &str| {
            let named = variable(name).filter(|path| !path.as_os_str().is_empty());
            named.unwrap_or_else(|| root.join(folder))
        };
        Self {
            proc: at("HOST_PROC", "proc"),
            sys: at("HOST_SYS", "sys"),
            etc: at("HOST_ETC", "etc"),
            dev: at("HOST_DEV", "dev"),
            mountinfo: variable("HOST_PROC_MOUNTINFO").filter(|path| !path.as_os_str().is_empty()),
            root,
        }
    }

    /// The root.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A file of `/proc`.
    pub(super) fn proc(&self, file: &str) -> PathBuf {
        self.proc.join(file)
    }

    /// A file of `/sys`.
    pub(super) fn sys(&self, file: &str) -> PathBuf {
        self.sys.join(file)
    }

    /// A file of `/etc`.
    pub(super) fn etc(&self, file: &str) -> PathBuf {
        self.etc.join(file)
    }

    /// A file of `/dev`.
    pub(super) fn dev(&self, file: &str) -> PathBuf {
        self.dev.join(file)
    }

    /// The list of mounts that was named by a variable.
    pub(super) fn mountinfo(&self) -> Option<&Path> {
        self.mountinfo.as_deref()
    }

    /// Where a mount point of the host is found from here.
    pub(super) fn mounted(&self, point: &str) -> PathBuf {
        match self.mountinfo {
            // Whoever names the list of mounts sees them where the list says.
            Some(_) => PathBuf::from(point),
            None => self.root.join(point.trim_start_matches('/')),
        }
    }
}

/// A host and a buffer for its files: what every reader has.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) host: Host,
    buffer: Vec<u8>,
    boot: Option<u64>,
}

impl Files {
    pub(super) fn new(host: Host) -> Self {
        Self {
            host,
            buffer: Vec::new(),
            boot: None,
        }
    }

    /// Reads a file into the buffer.
    ///
    /// # Errors
    /// When it cannot be read, or is larger than anything sane; the error names it.
    pub(super) fn read(&mut self, path: &Path) -> Result<&[u8], String> {
        read(path, MOST, &mut self.buffer).map_err(|error| fault(path, &error))?;
        Ok(&self.buffer)
    }

    /// Reads a file of `/proc`.
    pub(super) fn proc(&mut self, file: &str) -> Result<&[u8], String> {
        let path = self.host.proc(file);
        self.read(&path)
    }

    /// The time at which the host booted, in seconds; read once, as the Collector does.
    ///
    /// # Errors
    /// When the host does not tell.
    pub(super) fn boot(&mut self) -> Result<u64, String> {
        if let Some(boot) = self.boot {
            return Ok(boot);
        }
        let stat = self.proc("stat")?;
        let boot = text::lines(stat).find_map(|line| text::labelled(line, b"btime"));
        let boot = boot.ok_or_else(|| fault_in(&self.host.proc("stat"), "no btime"))?;
        self.boot = Some(boot);
        Ok(boot)
    }

    /// The time at which the host booted in nanoseconds, 0 where it does not tell.
    pub(super) fn start(&mut self) -> u64 {
        self.boot()
            .map_or(0, |boot| boot.saturating_mul(1_000_000_000))
    }
}

/// Reads a file of at most so many bytes in the place of what was in a buffer.
fn read(path: &Path, most: u64, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    // What a large file once took is not kept for the small ones after it.
    into.shrink_to(1 << 20);
    let read = File::open(path)?.take(most + 1).read_to_end(into)? as u64;
    if read > most {
        let message = format!("it is larger than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(())
}

/// What is said of a file that cannot be read.
pub(super) fn fault(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// What is said of a file that makes no sense.
pub(super) fn fault_in(path: &Path, what: &str) -> String {
    format!("{}: {what}", path.display())
}

/// The time now, in nanoseconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// The ticks of a second in `/proc`.
pub(super) fn ticks() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}
