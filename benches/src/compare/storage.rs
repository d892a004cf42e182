//! The folder of the queues on disk, and what a sync of its disk takes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;

/// Bytes that are appended before each sync.
const APPENDED: usize = 64 << 10;
/// Syncs in one probe.
const SYNCS: usize = 300;

/// An empty folder for the queues of one run, removed with all that is in it.
pub(super) struct Storage(PathBuf);

impl Storage {
    /// Where it is among what a run leaves.
    pub(super) fn within(folder: &Path) -> PathBuf {
        folder.join("storage")
    }

    /// Makes it, without what an earlier run may have left.
    pub(super) fn fresh(folder: &Path) -> anyhow::Result<Self> {
        let storage = Self(Self::within(folder));
        storage.clear();
        fs::create_dir_all(&storage.0).with_context(|| storage.0.display().to_string())?;
        Ok(storage)
    }

    fn clear(&self) {
        // Whether it is there or not: what matters shows when it is made.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Bytes that the files of a folder and of the folders in it have.
pub(super) fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => bytes_in(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// The milliseconds that each of a number of syncs took, after some bytes were appended.
pub(super) fn sync_times(folder: &Path) -> anyhow::Result<Vec<f64>> {
    let path = folder.join("sync-probe");
    let mut file = File::create(&path).with_context(|| path.display().to_string())?;
    let bytes = [0xa5; APPENDED];
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let since = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        times.push(since.elapsed().as_secs_f64() * 1000.0);
    }
    fs::remove_file(&path)?;
    Ok(times)
}

/// The value that a share of the values does not exceed; zero where there are none.
pub(super) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (last as f64 * share).ceil() as usize;
    values.get(at).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_there() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.5), 51.0);
        assert_eq!(quantile(&mut values, 0.99), 100.0);
        assert_eq!(quantile(&mut values, 0.0), 1.0);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }

    #[test]
    fn a_fresh_storage_is_empty_and_goes_with_its_run() {
        let folder = tempfile::tempdir().unwrap();
        let left = Storage::within(folder.path()).join("log");
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("segment"), [0; 100]).unwrap();
        assert_eq!(bytes_in(folder.path()), 100);
        let storage = Storage::fresh(folder.path()).unwrap();
        assert_eq!(bytes_in(folder.path()), 0);
        assert!(Storage::within(folder.path()).is_dir());
        drop(storage);
        assert!(!Storage::within(folder.path()).exists());
    }
}
