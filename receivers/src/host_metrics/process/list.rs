//! The processes of a host, and their files.

use std::fmt::Write as _;
use std::io;
use std::mem::MaybeUninit;
use std::path::PathBuf;

use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, RawDir, open, openat, readlinkat};
use rustix::io::read;

use crate::host_metrics::host::{Host, fault};
use crate::host_metrics::text;

/// The most that is read of one file of a process.
const MOST: usize = 64 << 10;
/// What a directory is read by.
const ENTRIES: usize = 16 << 10;

/// Reads processes through one handle to `/proc`, by the same few buffers.
#[derive(Debug)]
pub(in crate::host_metrics) struct List {
    folder: PathBuf,
    proc: Option<OwnedFd>,
    pids: Vec<u64>,
    path: String,
    text: Vec<u8>,
    entries: Box<[MaybeUninit<u8>]>,
}

impl List {
    pub(in crate::host_metrics) fn new(host: &Host) -> Self {
        Self {
            folder: host.proc(""),
            proc: None,
            pids: Vec::new(),
            path: String::new(),
            text: Vec::new(),
            entries: Box::new_uninit_slice(ENTRIES),
        }
    }

    /// The processes that there are now.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(in crate::host_metrics) fn pids(&mut self) -> Result<Vec<u64>, String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = open(&self.folder, flags, Mode::empty()).map_err(io::Error::from);
        let listed = listed.and_then(|folder| {
            let mut pids = std::mem::take(&mut self.pids);
            pids.clear();
            names(&folder, &mut self.entries, |name| {
                pids.extend(text::number(name))
            })?;
            // As `/proc` has them; elsewhere they may come in any order.
            pids.sort_unstable();
            self.proc = Some(folder);
            Ok(pids)
        });
        listed.map_err(|error| fault(&self.folder, &error))
    }

    /// Takes the room of a list back, to be filled by the next.
    pub(in crate::host_metrics) fn keep(&mut self, pids: Vec<u64>) {
        self.pids = pids;
    }

    /// Reads a small file of a process.
    ///
    /// # Errors
    /// When the process has ended, or its file may not be read.
    pub(in crate::host_metrics) fn read(&mut self, pid: u64, file: &str) -> io::Result<&[u8]> {
        let mut text = std::mem::take(&mut self.text);
        let read = self.read_into(pid, file, &mut text);
        self.text = text;
        read.map(|()| self.text.as_slice())
    }

    /// Reads a file of a process into a buffer, as much of it as is taken.
    pub(super) fn read_into(&mut self, pid: u64, file: &str, into: &mut Vec<u8>) -> io::Result<()> {
        into.clear();
        let file = self.open(pid, file, OFlags::RDONLY)?;
        while into.len() < MOST {
            into.reserve(4096);
            if read(&file, spare_capacity(into))? == 0 {
                break;
            }
        }
        into.truncate(MOST);
        Ok(())
    }

    /// Where a link of a process points to.
    pub(super) fn link(&mut self, pid: u64, file: &str, into: &mut Vec<u8>) -> io::Result<()> {
        self.name(pid, file);
        let reused = std::mem::take(into);
        let target = readlinkat(handle(&self.proc)?, &self.path, reused)?;
        *into = target.into_bytes();
        Ok(())
    }

    /// Visits the names in a folder of a process.
    pub(super) fn names(
        &mut self,
        pid: u64,
        folder: &str,
        visit: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let folder = self.open(pid, folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
        names(&folder, &mut self.entries, visit)
    }

    fn open(&mut self, pid: u64, file: &str, flags: OFlags) -> io::Result<OwnedFd> {
        self.name(pid, file);
        let flags = flags | OFlags::CLOEXEC;
        Ok(openat(
            handle(&self.proc)?,
            &self.path,
            flags,
            Mode::empty(),
        )?)
    }

    fn name(&mut self, pid: u64, file: &str) {
        self.path.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.path, "{pid}/{file}");
    }
}

fn handle(proc: &Option<OwnedFd>) -> io::Result<BorrowedFd<'_>> {
    let open = proc.as_ref().map(AsFd::as_fd);
    open.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// Visits the names in a folder, but for those of itself and of the one above.
fn names(
    folder: &OwnedFd,
    buffer: &mut [MaybeUninit<u8>],
    mut visit: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut entries = RawDir::new(folder, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            visit(name);
        }
    }
    Ok(())
}
