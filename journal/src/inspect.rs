//! Looks at a directory while no process works on it, and changes nothing in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::bits::Bits;
use crate::cursor::position;
use crate::disk::{Disk, File};
use crate::error::OpenError;
use crate::format::LogId;
use crate::journal::{LOCK, Stored, stored};
use crate::load::{identity, segments};
use crate::marks;
use crate::names::to_directory;
use crate::quarantine::QUARANTINE;
use crate::segment::{Damage, Scanner, Step, head};
use crate::state::segment_path;

/// What is in one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// What names the log.
    pub id: [u8; 16],
    /// Segments on disk.
    pub segments: usize,
    /// Records that are sound and not marked.
    pub live_records: u64,
    /// Items of those.
    pub live_items: u64,
    /// Bytes of their payloads.
    pub live_bytes: u64,
    /// When the oldest of them was appended, in milliseconds since 1970.
    pub oldest: Option<u64>,
    /// Records that are marked and still on disk.
    pub marked_records: u64,
    /// Records, and other stretches of bytes, that are damaged.
    pub damaged: u64,
    /// Stretches that a crash left half written; nothing in them was told durable.
    pub torn: u64,
    /// Segments that the file system could not read to their end.
    pub unreadable: u64,
    /// Their files.
    pub unreadable_files: Vec<PathBuf>,
    /// What was put into quarantine.
    pub quarantined: Vec<Quarantined>,
}

/// One stretch of bytes in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// A live record, as an inspection meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// Its number in the log.
    pub number: u64,
    /// Items in it.
    pub items: u64,
    /// When it was appended, in milliseconds since 1970.
    pub appended: u64,
    /// The payload.
    pub payload: Bytes,
}

/// A directory that is looked at. It is locked meanwhile, so that nobody changes it.
#[derive(Debug)]
pub struct Inspector {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    lock: Arc<dyn File>,
}

impl Inspector {
    /// Takes the lock of a directory.
    ///
    /// # Errors
    ///
    /// When it is no directory of a disk queue, a process has it, or the file system says no.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(crate::disk::OsDisk), path)
    }

    /// Takes the lock of a directory of another file system.
    ///
    /// # Errors
    ///
    /// As [`Inspector::open`].
    pub fn open_on(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, OpenError> {
        // Only a lock that is there is taken: looking makes no files.
        let lock = path.join(LOCK);
        disk.open_to_read(&lock)
            .map_err(OpenError::io("find the lock of a disk queue in", path))?;
        let lock = crate::journal::hold(&*disk, path)?;
        Ok(Self {
            disk,
            path: path.to_owned(),
            lock,
        })
    }

    /// The logs of the directory, by name.
    ///
    /// # Errors
    ///
    /// When the file system says no.
    pub fn logs(&self) -> Result<Vec<Stored>, OpenError> {
        stored(&*self.disk, &self.path)
    }

    /// Reads a whole log, checks every byte, and gives each live record to `each`, in order.
    ///
    /// # Errors
    ///
    /// When the log cannot be opened or `each` fails; what cannot be read inside it is counted.
    pub fn read<E: From<OpenError>>(
        &self,
        name: &str,
        mut each: impl FnMut(Met) -> Result<(), E>,
    ) -> Result<LogReport, E> {
        let path = to_directory(name).ok_or_else(|| OpenError::Name {
            name: name.to_owned(),
        })?;
        let path = self.path.join(path);
        let entries = self
            .disk
            .list(&path)
            .map_err(OpenError::io("read", &path))?;
        let found = segments(&entries);
        let mut report = LogReport {
            segments: found.len(),
            quarantined: self.quarantined(&path)?,
            ..LogReport::default()
        };
        let Some(id) = identity(&*self.disk, &path, &found)? else {
            return Ok(report);
        };
        report.id = id.bytes;
        for number in found.keys() {
            let file = segment_path(&path, *number);
            let scanner = self.scanner(&path, id, *number);
            let read = match scanner {
                Ok(scanner) => self.read_segment(&path, id, scanner, &mut report, &mut each)?,
                Err(error) => Err(error),
            };
            if read.is_err() {
                report.unreadable += 1;
                report.unreadable_files.push(file);
            }
        }
        Ok(report)
    }

    fn scanner(&self, path: &Path, id: LogId, number: u32) -> io::Result<(u32, Scanner)> {
        let file = self.disk.open_to_read(&segment_path(path, number))?;
        let next = segment_path(path, number.wrapping_add(1));
        let settled = match self.disk.open_to_read(&next) {
            Ok(next) => head(&*next)?,
            Err(_) => Ok(None),
        };
        let settled = matches!(settled, Ok(Some(header)) if header.follows_settled);
        Ok((number, Scanner::new(file, id, number, None, settled)?))
    }

    /// Reads a segment; the inner error ends the segment, the outer one everything.
    fn read_segment<E>(
        &self,
        path: &Path,
        id: LogId,
        (number, mut scanner): (u32, Scanner),
        report: &mut LogReport,
        each: &mut impl FnMut(Met) -> Result<(), E>,
    ) -> Result<io::Result<()>, E> {
        let dead = match marks::read(&*self.disk, path, id, number) {
            Ok(dead) => dead,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let met = match next(&mut scanner, &dead, report) {
                Ok(Some(met)) => met,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            report.live_records += 1;
            report.live_items += met.items;
            report.live_bytes += met.payload.len() as u64;
            report.oldest = Some(
                report
                    .oldest
                    .map_or(met.appended, |old| old.min(met.appended)),
            );
            each(met)?;
        }
    }

    fn quarantined(&self, path: &Path) -> Result<Vec<Quarantined>, OpenError> {
        let directory = path.join(QUARANTINE);
        let entries = match self.disk.list(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(OpenError::io("read", &directory))?,
        };
        let mut files: Vec<Quarantined> = entries
            .into_iter()
            .map(|entry| Quarantined {
                path: directory.join(entry.name),
                bytes: entry.size,
            })
            .collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.lock.unlock();
    }
}

/// The next live record; what is passed over on the way is counted.
fn next(scanner: &mut Scanner, dead: &Bits, report: &mut LogReport) -> io::Result<Option<Met>> {
    loop {
        let (header, offset) = match scanner.step()? {
            Step::End => return Ok(None),
            Step::Damage(damage) => {
                report.count(damage);
                continue;
            }
            Step::Record { header, offset } => (header, offset),
        };
        if dead.has(header.ordinal) {
            report.marked_records += 1;
            continue;
        }
        match scanner.data(&header, offset)? {
            Some(data) => {
                return Ok(Some(Met {
                    number: position(&header, offset).number(),
                    items: header.items,
                    appended: header.appended,
                    payload: data.payload,
                }));
            }
            None => {
                let damage = scanner.damaged(&header, offset)?;
                report.count(damage);
            }
        }
    }
}

impl LogReport {
    fn count(&mut self, damage: Damage) {
        if damage.torn {
            self.torn += 1;
        } else {
            self.damaged += 1;
        }
    }
}
