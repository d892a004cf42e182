//! The gate of a directory: a library that is loaded into the collector before all others.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::gate::{Deed, Gate, Place};
use crate::system;

const NUMBER: u64 = 4;

pub struct Shim {
    /// Three numbers, which the library maps: the order, the arrivals since, and the objects that are there.
    file: File,
    path: PathBuf,
    library: PathBuf,
}

impl Shim {
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("gate");
        std::fs::write(&path, [0; 3 * NUMBER as usize]).expect("the file can be written");
        let file = File::options().read(true).write(true).open(&path);
        Self {
            file: file.expect("it was just written"),
            path,
            library: system::library("tests/faults/objects/gate.c", folder),
        }
    }

    pub fn environment(&self) -> [(String, String); 2] {
        [("GATE_FILE", &self.path), ("LD_PRELOAD", &self.library)]
            .map(|(key, path)| (key.to_owned(), path.display().to_string()))
    }

    fn write(&self, at: u64, number: i32) {
        self.file
            .write_all_at(&number.to_ne_bytes(), at * NUMBER)
            .expect("it can be written");
    }

    fn read(&self, at: u64) -> u64 {
        let mut bytes = [0; 4];
        self.file
            .read_exact_at(&mut bytes, at * NUMBER)
            .expect("it can be read");
        u64::from(u32::from_ne_bytes(bytes))
    }
}

impl Gate for Shim {
    fn arm(&self, place: Place, deed: Deed) {
        let order = match place {
            Place::Before => 1,
            Place::In => 2,
            Place::After => 3,
        };
        self.write(1, 0);
        self.write(
            0,
            if deed == Deed::Stall {
                order
            } else {
                order + 3
            },
        );
    }

    fn reached(&self) -> u64 {
        self.read(1)
    }

    fn let_pass(&self) {
        self.write(0, 0);
    }

    fn release(&self, _goes_on: bool) {
        // With the process gone, or the order lifted, there is nothing more to say.
        self.write(0, 0);
    }

    fn puts(&self) -> u64 {
        self.read(2)
    }
}
