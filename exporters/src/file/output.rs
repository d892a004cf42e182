//! One file, and how messages come into it whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::rotation::Rotation;

/// A file that is open.
pub(super) struct Output {
    path: PathBuf,
    file: File,
    /// Bytes of whole messages in it; none for what is no file, as a terminal or a pipe.
    length: Option<u64>,
    /// Whether bytes of a broken message may lie behind them.
    torn: bool,
    rotation: Option<Rotation>,
}

impl Output {
    /// Opens a file, which is emptied unless told to be added to.
    pub(super) fn open(
        path: PathBuf,
        append: bool,
        rotation: Option<Rotation>,
    ) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        let found = file.metadata()?;
        let mut length = found.is_file().then_some(found.len());
        if !append && length.is_some() {
            file.set_len(0)?;
            length = Some(0);
        }
        Ok(Self {
            path,
            file,
            length,
            torn: false,
            rotation,
        })
    }

    /// Adds a message: all of it, or none.
    pub(super) fn add(&mut self, message: &[u8]) -> io::Result<()> {
        self.mend()?;
        self.rotate(message.len() as u64)?;
        match self.file.write_all(message) {
            Ok(()) => {
                self.length = self.length.map(|length| length + message.len() as u64);
                Ok(())
            }
            Err(error) => {
                self.torn = true;
                // What cannot be cut off now is cut off before the next message.
                let _ = self.mend();
                Err(error)
            }
        }
    }

    /// Cuts off what a write that failed has left.
    fn mend(&mut self) -> io::Result<()> {
        if let Some(length) = self.length.filter(|_| self.torn) {
            self.file.set_len(length)?;
        }
        self.torn = false;
        Ok(())
    }

    /// Begins a new file where this one has no room for as much more.
    fn rotate(&mut self, more: u64) -> io::Result<()> {
        let (Some(rotation), Some(length)) = (&self.rotation, self.length) else {
            return Ok(());
        };
        if length == 0 || length + more <= rotation.most_bytes {
            return Ok(());
        }
        let now = Timestamp::now();
        match rotation.set_aside(&self.path, now) {
            // Somebody else has moved it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        let rotation = self.rotation.take();
        let opened = Self::open(self.path.clone(), true, None);
        self.rotation = rotation;
        let opened = opened?;
        (self.file, self.length) = (opened.file, opened.length);
        if let Some(rotation) = &self.rotation
            && let Err(error) = rotation.tidy(&self.path, now)
        {
            tracing::warn!(path = %self.path.display(), %error, "older files are not removed");
        }
        Ok(())
    }

    /// Brings everything to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self.length {
            Some(_) => self.file.sync_all(),
            None => Ok(()),
        }
    }
}

/// Makes the folder that a file is to lie in, and those around it.
pub(super) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => DirBuilder::new().recursive(true).mode(mode).create(folder),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::config::RotationKeys;
    use super::*;

    #[test]
    fn broken_message_is_cut_off_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut output = Output::open(path.clone(), false, None).unwrap();
        output.add(b"one\n").unwrap();
        // As a write leaves it that the disk had no room for.
        output.file.write_all(b"tw").unwrap();
        output.torn = true;
        output.add(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn file_is_emptied_unless_it_is_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for (append, expected) in [(false, "x"), (true, "xx"), (false, "x")] {
            let mut output = Output::open(path.clone(), append, None).unwrap();
            output.add(b"x").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
    }

    #[test]
    fn full_file_is_set_aside_and_a_long_message_gets_one_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let keys = RotationKeys {
            max_megabytes: 1,
            max_backups: 0,
            ..RotationKeys::default()
        };
        let rotation = Some(Rotation::new(&keys));
        let mut output = Output::open(path.clone(), true, rotation.clone()).unwrap();
        let (half, long) = (vec![b'h'; 1 << 19], vec![b'l'; 3 << 20]);
        for message in [&half, &half, &half, &long, &half] {
            output.add(message).unwrap();
        }
        drop(output);
        let sizes = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let mut sizes: Vec<_> = entries
                .map(|entry| entry.unwrap().metadata().unwrap().len() >> 19)
                .collect();
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(sizes(), [1, 1, 2, 6]);
        let mut output = Output::open(path, true, rotation).unwrap();
        output.add(&half).unwrap();
        output.add(&half).unwrap();
        assert_eq!(sizes(), [1, 1, 2, 2, 6]);
    }

    #[test]
    fn file_that_was_moved_away_does_not_stop_the_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let keys = RotationKeys {
            max_megabytes: 1,
            ..RotationKeys::default()
        };
        let rotation = Some(Rotation::new(&keys));
        let mut output = Output::open(path.clone(), true, rotation).unwrap();
        output.add(&vec![b'x'; 1 << 20]).unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        output.add(b"y").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "y");
    }
}
