//! Notes: small values under names, beside the logs of a journal.
//!
//! They are for what may be an older state after a loss of power, but never a torn one, as the places
//! to read on from in files. A change is appended to a file and is there after the death of the
//! process; the file is written anew, synced and put in the place of the old one when most of it is
//! outdated.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::{Disk, File, read_small, replace, write_fully};
use crate::error::OpenError;

/// The directory of notes; no log has such a name.
pub(crate) const NOTES: &str = ".notes";
/// What a file of notes begins with.
const MAGIC: &[u8; 8] = b"TGNOTES\x01";
/// What a file of notes may take at most.
const LARGEST: usize = 256 << 20;
/// The size below which a file is not written anew.
const SMALL: usize = 256 << 10;
/// Bytes before a change: its length and the checksum of the rest.
const HEAD: usize = 8;

/// A change of notes: a name and its new value; none takes it out.
pub type Change<'c> = (&'c str, Option<&'c [u8]>);

/// Small values under names, kept in one file.
pub struct Notes {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn File>,
    /// Where the next change goes.
    end: u64,
    values: BTreeMap<String, Vec<u8>>,
    /// Bytes that the values would take in a new file.
    live: usize,
    /// Says that somebody has them.
    _claim: Arc<()>,
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notes")
            .field("path", &self.path)
            .field("values", &self.values.len())
            .finish_non_exhaustive()
    }
}

impl Notes {
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        claim: Arc<()>,
    ) -> Result<Self, OpenError> {
        let bytes = read_small(&*disk, &path, LARGEST);
        let bytes = bytes.map_err(OpenError::io("read the notes", &path))?;
        let values = read(&bytes);
        let live = values.iter().map(|(name, value)| size(name, value)).sum();
        // What was torn or outdated goes with the old file.
        let (file, end) =
            write_anew(&*disk, &path, &values).map_err(OpenError::io("write the notes", &path))?;
        Ok(Self {
            disk,
            path,
            file,
            end,
            values,
            live,
            _claim: claim,
        })
    }

    /// Every value with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Makes changes, all of them or, where the disk fails, some of them from the first on.
    ///
    /// They survive the process at once, a loss of power some time later.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn change<'c>(&mut self, changes: impl IntoIterator<Item = Change<'c>>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (name, value) in changes {
            let old = match value {
                Some(value) => {
                    put(&mut bytes, name, Some(value));
                    self.live += size(name, value);
                    self.values.insert(name.to_owned(), value.to_vec())
                }
                None => {
                    put(&mut bytes, name, None);
                    self.values.remove(name)
                }
            };
            self.live -= old.map_or(0, |old| size(name, &old));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let after = self.end + bytes.len() as u64;
        let outdated = after.saturating_sub(self.live as u64);
        if after > SMALL as u64 && outdated > 2 * self.live as u64 {
            (self.file, self.end) = write_anew(&*self.disk, &self.path, &self.values)?;
            return Ok(());
        }
        // What is written in part only is written over by the next change.
        write_fully(&*self.file, &mut [IoSlice::new(&bytes)], self.end)?;
        self.end = after;
        Ok(())
    }

    /// Has all changes survive a loss of power.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

fn size(name: &str, value: &[u8]) -> usize {
    HEAD + 3 + name.len() + value.len()
}

/// Writes a change.
fn put(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    let mut body = Vec::with_capacity(3 + name.len() + value.map_or(0, <[u8]>::len));
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    body.extend_from_slice(&length.to_le_bytes());
    body.push(u8::from(value.is_some()));
    body.extend_from_slice(&name.as_bytes()[..usize::from(length)]);
    body.extend_from_slice(value.unwrap_or_default());
    let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    out.extend_from_slice(&body);
}

/// Reads changes up to the first that is not sound.
fn read(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut values = BTreeMap::new();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return values;
    };
    while let Some((name, value, after)) = change(rest) {
        match value {
            Some(value) => values.insert(name.to_owned(), value.to_vec()),
            None => values.remove(name),
        };
        rest = after;
    }
    values
}

/// A change: its name, its value if it has one, and what follows.
type Read<'b> = (&'b str, Option<&'b [u8]>, &'b [u8]);

fn change(bytes: &[u8]) -> Option<Read<'_>> {
    let (size, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let size = u32::from_le_bytes(*size) as usize;
    let (body, after) = rest.split_at_checked(size)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (length, body) = body.split_first_chunk()?;
    let (kind, body) = body.split_first()?;
    let (name, value) = body.split_at_checked(u16::from_le_bytes(*length).into())?;
    let name = std::str::from_utf8(name).ok()?;
    Some((name, (*kind == 1).then_some(value), after))
}

/// Writes a file of these values alone, and opens it to add to it.
fn write_anew(
    disk: &dyn Disk,
    path: &std::path::Path,
    values: &BTreeMap<String, Vec<u8>>,
) -> io::Result<(Arc<dyn File>, u64)> {
    let mut bytes = MAGIC.to_vec();
    for (name, value) in values {
        put(&mut bytes, name, Some(value));
    }
    replace(disk, path, &bytes)?;
    Ok((disk.open(path)?, bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    fn open(path: &std::path::Path) -> Notes {
        Notes::open(Arc::new(OsDisk), path.to_owned(), Arc::default()).unwrap()
    }

    fn shown(notes: &Notes) -> Vec<String> {
        let value = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        notes
            .iter()
            .map(|(name, bytes)| format!("{name}={}", value(bytes)))
            .collect()
    }

    #[test]
    fn changes_are_there_after_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut notes = open(&path);
        notes
            .change([("x", Some(&b"1"[..])), ("y", Some(b"2"))])
            .unwrap();
        notes
            .change([("x", Some(&b"3"[..])), ("y", None), ("z", Some(b""))])
            .unwrap();
        // Nothing is said to it, as by kill -9.
        std::mem::forget(notes);
        assert_eq!(shown(&open(&path)), ["x=3", "z="]);
    }

    #[test]
    fn a_torn_end_costs_the_last_changes_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut notes = open(&path);
        notes.change([("x", Some(&b"1"[..]))]).unwrap();
        let sound = std::fs::metadata(&path).unwrap().len();
        notes.change([("x", Some(&b"2"[..]))]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for end in sound as usize..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert_eq!(shown(&open(&path)), ["x=1"], "cut at {end}");
        }
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_eq!(shown(&open(&path)), ["x=1"]);
        std::fs::write(&path, b"something else").unwrap();
        assert!(shown(&open(&path)).is_empty());
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut notes = open(&path);
        let value = [7; 100];
        for round in 0..100u32 {
            let names: Vec<String> = (0..100).map(|at| format!("name {at}")).collect();
            let round = round.to_le_bytes();
            let changes = names.iter().map(|name| (name.as_str(), Some(&value[..])));
            notes
                .change(changes.chain([("round", Some(&round[..]))]))
                .unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 2 * SMALL as u64);
        drop(notes);
        let notes = open(&path);
        assert_eq!(notes.iter().count(), 101);
        let last = notes.iter().find(|(name, _)| *name == "round");
        assert_eq!(last.map(|(_, value)| value), Some(&99u32.to_le_bytes()[..]));
    }
}
