//! What readers see in the middle of what the committer does.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::disk::{Disk, Entry, File};

type Hook = Arc<Mutex<Option<Box<dyn FnMut() + Send>>>>;

/// A disk that calls somebody whenever names have changed, and before that is on stable storage.
struct Watched {
    disk: MemoryDisk,
    hook: Hook,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    fn call(&self) {
        // Taken out, so that what is called may use the disk.
        let hook = self.hook.lock().unwrap().take();
        if let Some(mut hook) = hook {
            hook();
            *self.hook.lock().unwrap() = Some(hook);
        }
    }
}

impl Disk for Watched {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.create_directory(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.disk.open(path)
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.disk.open_to_read(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Arc<dyn File>>> {
        self.disk.lock(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call();
        self.disk.rename(from, to)?;
        self.call();
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_directory(path)
    }
}

#[test]
fn records_are_read_while_a_rewrite_takes_the_place_of_their_segment() {
    let disk = MemoryDisk::default();
    let hook = Hook::default();
    let watched = Watched {
        disk: disk.clone(),
        hook: Arc::clone(&hook),
    };
    let (journal, committer) =
        Journal::unattended(Arc::new(watched), Path::new(DIRECTORY), small_segments()).unwrap();
    let log = journal.log(LOG).unwrap();
    let mut process = Process {
        disk,
        journal,
        committer,
        log,
        answers: Answers::default(),
    };
    let positions: Vec<_> = (0..200)
        .map(|number| process.put(number, &[1_000]))
        .collect();
    let stuck: Vec<u64> = (0..200).filter(|number| number % 50 == 7).collect();
    for (number, position) in positions.iter().enumerate() {
        if !stuck.contains(&(number as u64)) {
            process.log.mark(*position);
        }
    }
    let (log, looks) = (process.log.clone(), Arc::new(Mutex::new(0)));
    let look = {
        let (stuck, looks) = (stuck.clone(), Arc::clone(&looks));
        move || {
            *looks.lock().unwrap() += 1;
            for number in &stuck {
                let record = log.read(positions[*number as usize]).unwrap();
                assert_eq!(number_of(&record), *number);
            }
            let scan = log.scan(0, u64::MAX);
            let found: Vec<_> = scan.map(|record| number_of(&record.unwrap())).collect();
            assert_eq!(found, stuck);
        }
    };
    *hook.lock().unwrap() = Some(Box::new(look));
    for _ in 0..10 {
        process.work();
    }
    assert!(process.log.counts().rewritten_segments > 1);
    assert!(*looks.lock().unwrap() > 2);
    assert_eq!(process.log.counts().damaged_records, 0);
    assert_eq!(process.all(), stuck);
    *hook.lock().unwrap() = None;
}
