//! A directory of logs, held by one process.

use std::collections::HashMap;
use std::fmt;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use crate::committer::{Command, Committer};
use crate::disk::{Disk, File, OsDisk, read_fully, write_fully};
use crate::error::OpenError;
use crate::load::load;
use crate::log::{Claim, Log};
use crate::names::{from_directory, to_directory};
use crate::notes::{NOTES, Notes};
use crate::options::Options;
use crate::quarantine::QUARANTINE;
use crate::state::{Directory, LogState};

/// The file whose lock says who has the directory.
pub(crate) const LOCK: &str = "LOCK";

/// A log that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    /// Segments on disk.
    pub segments: usize,
    /// Bytes of all its files, quarantine included.
    pub bytes: u64,
}

/// A directory of logs. No other process, and nobody else in this one, has it meanwhile.
///
/// Dropping it closes it.
pub struct Journal {
    directory: Arc<Directory>,
    /// Logs that were opened, by name; their number gives each its index.
    opened: Mutex<HashMap<String, Opened>>,
    /// Notes that were opened, by name; alive as long as somebody has them.
    noted: Mutex<HashMap<String, Weak<()>>>,
    thread: Option<JoinHandle<()>>,
}

/// A log that was opened, and perhaps let go.
struct Opened {
    state: Arc<LogState>,
    /// Alive as long as a handle is.
    claim: Weak<Claim>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.directory.path)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens a directory, which is made if its parent is there, and locks it.
    ///
    /// # Errors
    ///
    /// When somebody else has it, or the file system says no.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(OsDisk), path, options)
    }

    /// Opens a directory of another file system.
    ///
    /// # Errors
    ///
    /// As [`Journal::open`].
    pub fn open_on(disk: Arc<dyn Disk>, path: &Path, options: Options) -> Result<Self, OpenError> {
        let (mut journal, receiver) = Self::prepare(disk, path, options)?;
        let committer = Committer::new(Arc::clone(&journal.directory), receiver);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || committer.run())
            .map_err(OpenError::io("start a thread for", path))?;
        journal.thread = Some(thread);
        Ok(journal)
    }

    /// A journal without its thread, and what the thread would do.
    #[cfg(test)]
    pub(crate) fn unattended(
        disk: Arc<dyn Disk>,
        path: &Path,
        options: Options,
    ) -> Result<(Self, Committer), OpenError> {
        let (journal, receiver) = Self::prepare(disk, path, options)?;
        let committer = Committer::new(Arc::clone(&journal.directory), receiver);
        Ok((journal, committer))
    }

    #[cfg(test)]
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    fn prepare(
        disk: Arc<dyn Disk>,
        path: &Path,
        options: Options,
    ) -> Result<(Self, Receiver<Command>), OpenError> {
        disk.create_directory(path)
            .map_err(OpenError::io("make the directory", path))?;
        let lock = lock(&*disk, path)?;
        let (sender, receiver) = mpsc::channel();
        let directory = Directory::new(path.to_owned(), disk, options, lock, sender);
        let journal = Self {
            directory: Arc::new(directory),
            opened: Mutex::default(),
            noted: Mutex::default(),
            thread: None,
        };
        for stored in journal.stored()? {
            journal.directory.grow(stored.bytes);
        }
        Ok((journal, receiver))
    }

    /// Opens a log, or begins it.
    ///
    /// One whose handles are all gone may be opened again; it goes on as it was, and what nobody
    /// has in hand any more is read by a scan of all its numbers.
    ///
    /// # Errors
    ///
    /// When it is open already, its name makes no file name, a later version wrote it, or the
    /// file system says no.
    pub fn log(&self, name: &str) -> Result<Log, OpenError> {
        let fault = || OpenError::Name {
            name: name.to_owned(),
        };
        let path = to_directory(name).ok_or_else(fault)?;
        let path = self.directory.path.join(path);
        let claim = Arc::new(Claim);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = opened.get_mut(name) {
            if log.claim.strong_count() > 0 {
                return Err(OpenError::Claimed {
                    name: name.to_owned(),
                });
            }
            log.claim = Arc::downgrade(&claim);
            return Ok(Log::new(&log.state, claim));
        }
        let state = Arc::new(load(&self.directory, name, &path, opened.len())?);
        let log = Opened {
            state: Arc::clone(&state),
            claim: Arc::downgrade(&claim),
        };
        opened.insert(name.to_owned(), log);
        // The committer may not have started yet; it will.
        let _ = self.directory.sender.send(Command::Tidy {
            log: Arc::clone(&state),
        });
        Ok(Log::new(&state, claim))
    }

    /// Opens notes of a name, or begins them.
    ///
    /// # Errors
    ///
    /// When they are open already, the name makes no file name, or the file system says no.
    pub fn notes(&self, name: &str) -> Result<Notes, OpenError> {
        let fault = || OpenError::Name {
            name: name.to_owned(),
        };
        let file = to_directory(name).ok_or_else(fault)?;
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted
            .get(name)
            .is_some_and(|claim| claim.strong_count() > 0)
        {
            return Err(OpenError::Claimed {
                name: name.to_owned(),
            });
        }
        let folder = self.directory.path.join(NOTES);
        let disk = Arc::clone(&self.directory.disk);
        disk.create_directory(&folder)
            .map_err(OpenError::io("make the directory", &folder))?;
        let claim = Arc::new(());
        noted.insert(name.to_owned(), Arc::downgrade(&claim));
        Notes::open(disk, folder.join(format!("{file}.notes")), claim)
    }

    /// Logs that are on disk and that nobody has opened: those of exporters that were removed.
    ///
    /// They are kept, and count towards `max_size`.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn unclaimed(&self) -> Result<Vec<Stored>, OpenError> {
        let mut stored = self.stored()?;
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = |name: &str| {
            let log = opened.get(name);
            log.is_some_and(|log| log.claim.strong_count() > 0)
        };
        stored.retain(|stored| !is_open(&stored.name));
        Ok(stored)
    }

    fn stored(&self) -> Result<Vec<Stored>, OpenError> {
        stored(&*self.directory.disk, &self.directory.path)
    }

    /// Bytes that the segments of all logs, and what is in quarantine, take on disk.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.directory.used()
    }

    /// Returns once all that was appended and marked before has been written, and told.
    pub fn flush(&self) {
        let (sender, receiver) = mpsc::channel();
        if self.directory.sender.send(Command::Flush(sender)).is_ok() {
            // A committer that is gone answers by hanging up.
            let _ = receiver.recv();
        }
    }

    /// Ends all logs in good order: what was appended is written and told, what is in flight
    /// is no longer under suspicion, and the directory is free for others.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.directory.sender.send(Command::Close);
            // The last handle may lie in something that the thread itself was to tell; it closes
            // the journal when it is through with that.
            if thread.thread().id() == std::thread::current().id() {
                return;
            }
            let _ = thread.join();
            self.directory.lock.unlock();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.end();
    }
}

/// Takes the lock of a directory and writes down who has it.
fn lock(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn File>, OpenError> {
    let lock = hold(disk, path)?;
    let process = format!("{}\n", std::process::id());
    // A disk that is full is no reason not to read what is there: the lock holds without a name.
    let _ = lock
        .set_size(0)
        .and_then(|()| write_fully(&*lock, &mut [IoSlice::new(process.as_bytes())], 0));
    Ok(lock)
}

/// Takes the lock of a directory.
pub(crate) fn hold(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn File>, OpenError> {
    let file = path.join(LOCK);
    let lock = disk.lock(&file).map_err(OpenError::io("lock", &file))?;
    lock.ok_or_else(|| OpenError::Held {
        path: path.to_owned(),
        holder: holder(disk, &file),
    })
}

fn holder(disk: &dyn Disk, file: &Path) -> String {
    let mut bytes = [0; 20];
    let read = disk
        .open_to_read(file)
        .and_then(|file| read_fully(&*file, &mut bytes, 0));
    let text = std::str::from_utf8(&bytes[..read.unwrap_or(0)]).unwrap_or_default();
    let text = text.trim();
    let known = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if known { text } else { "?" }.to_owned()
}

/// The logs that a directory holds, by name.
pub(crate) fn stored(disk: &dyn Disk, path: &Path) -> Result<Vec<Stored>, OpenError> {
    let list = |path: &Path| disk.list(path).map_err(OpenError::io("read", path));
    let mut logs = Vec::new();
    for entry in list(path)? {
        let Some(name) = from_directory(&entry.name).filter(|_| entry.is_directory) else {
            continue;
        };
        let inside = path.join(&entry.name);
        let mut stored = Stored {
            name,
            directory: inside.clone(),
            segments: 0,
            bytes: 0,
        };
        for file in list(&inside)? {
            if file.name == QUARANTINE && file.is_directory {
                let put_away = list(&inside.join(QUARANTINE))?;
                stored.bytes += put_away.iter().map(|file| file.size).sum::<u64>();
            } else if crate::state::number_in(&file.name, "seg").is_some() {
                stored.segments += 1;
                stored.bytes += file.size;
            }
        }
        logs.push(stored);
    }
    logs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(logs)
}
