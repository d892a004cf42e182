//! Files that are set aside: their names, and how long they are kept.
//!
//! `data.json` becomes `data-2026-02-03T04-05-06.789-size.json`. The Collector's older versions
//! left `-size` out; files with such names are counted and removed as well.

use std::path::{Path, PathBuf};
use std::{fs, io};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::config::RotationKeys;

/// The time in a name, which sorts as it passes.
const STAMP: &str = "%Y-%m-%dT%H-%M-%S.%3f";
const STAMP_LENGTH: usize = "2026-02-03T04-05-06.789".len();
const REASON: &str = "-size";

/// When a file is full, and which older ones are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    pub(super) most_bytes: u64,
    most_age: Option<SignedDuration>,
    most_files: Option<usize>,
    local: bool,
}

impl Rotation {
    pub(super) fn new(keys: &RotationKeys) -> Self {
        let megabytes = match keys.max_megabytes {
            0 => RotationKeys::default().max_megabytes,
            megabytes => megabytes,
        };
        let days = i64::from(keys.max_days);
        Self {
            most_bytes: u64::from(megabytes) << 20,
            most_age: (days > 0).then(|| SignedDuration::from_hours(24 * days)),
            most_files: (keys.max_backups > 0).then_some(keys.max_backups as usize),
            local: keys.localtime,
        }
    }

    fn zone(&self) -> TimeZone {
        match self.local {
            true => TimeZone::system(),
            false => TimeZone::UTC,
        }
    }

    /// Sets a file aside under a name that no other file has.
    pub(super) fn set_aside(&self, path: &Path, mut now: Timestamp) -> io::Result<()> {
        let names = Names::of(path);
        loop {
            let stamp = now.to_zoned(self.zone()).strftime(STAMP).to_string();
            let aside = names.folder.join(names.name(&stamp));
            if !fs::exists(&aside)? {
                return fs::rename(path, aside);
            }
            now += SignedDuration::from_millis(1);
        }
    }

    /// Removes what is too old or too much.
    pub(super) fn tidy(&self, path: &Path, now: Timestamp) -> io::Result<()> {
        if self.most_age.is_none() && self.most_files.is_none() {
            return Ok(());
        }
        let names = Names::of(path);
        let mut aside = names.aside()?;
        aside.sort_unstable_by(|one, other| other.cmp(one));
        for (at, (stamp, file)) in aside.iter().enumerate() {
            let many = self.most_files.is_some_and(|most| at >= most);
            if many || self.is_old(*stamp, now) {
                fs::remove_file(file)?;
            }
        }
        Ok(())
    }

    fn is_old(&self, stamp: DateTime, now: Timestamp) -> bool {
        let born = stamp.to_zoned(self.zone()).map(|born| born.timestamp());
        match (self.most_age, born) {
            (Some(most), Ok(born)) => now.duration_since(born) > most,
            _ => false,
        }
    }
}

/// How the files around one are called.
struct Names<'a> {
    folder: &'a Path,
    stem: &'a str,
    extension: &'a str,
}

impl<'a> Names<'a> {
    fn of(path: &'a Path) -> Self {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        // A path comes from the configuration, which is UTF-8.
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        // As Go counts it: `.json` is all extension.
        let dot = name.rfind('.').unwrap_or(name.len());
        Self {
            folder: folder.unwrap_or(Path::new(".")),
            stem: &name[..dot],
            extension: &name[dot..],
        }
    }

    fn name(&self, stamp: &str) -> String {
        format!("{}-{stamp}{REASON}{}", self.stem, self.extension)
    }

    /// The time at which a file of this name was set aside, if it was.
    fn stamp(&self, name: &str) -> Option<DateTime> {
        let rest = name.strip_prefix(self.stem)?.strip_prefix('-')?;
        let stamp = rest.get(..STAMP_LENGTH)?;
        let end = rest[STAMP_LENGTH..].strip_suffix(self.extension)?;
        let ours = end.is_empty() || end == REASON;
        ours.then(|| DateTime::strptime("%Y-%m-%dT%H-%M-%S%.f", stamp).ok())
            .flatten()
    }

    fn aside(&self) -> io::Result<Vec<(DateTime, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(stamp) = name.to_str().and_then(|name| self.stamp(name)) {
                found.push((stamp, entry.path()));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn rotation(max_days: u32, max_backups: u32) -> Rotation {
        Rotation::new(&RotationKeys {
            max_days,
            max_backups,
            ..RotationKeys::default()
        })
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
        let mut names: Vec<_> = entries.map(|entry| name(entry).unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn file_set_aside_has_the_time_before_its_extension_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.json");
        for _ in 0..2 {
            fs::write(&path, "x").unwrap();
            let now = at("2026-02-03T04:05:06.789Z");
            rotation(0, 0).set_aside(&path, now).unwrap();
        }
        let expected = [
            "data-2026-02-03T04-05-06.789-size.json",
            "data-2026-02-03T04-05-06.790-size.json",
        ];
        assert_eq!(names(folder.path()), expected);
    }

    #[test]
    fn only_files_set_aside_are_removed_the_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let kept = [
            "data",
            "data-2026-02-03T00-00-00.000-size",
            "data-2026-02-04T00-00-00.000",
            "data-latest",
            "data-2026-13-03T00-00-00.000",
            "other-2026-02-01T00-00-00.000-size",
        ];
        for name in kept.iter().chain(&["data-2026-02-02T00-00-00.000-size"]) {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let now = at("2026-02-05T00:00:00Z");
        rotation(0, 2).tidy(&path, now).unwrap();
        let mut expected = kept.to_vec();
        expected.sort_unstable();
        assert_eq!(names(folder.path()), expected);
        rotation(1, 0).tidy(&path, now).unwrap();
        assert!(!names(folder.path()).contains(&expected[1].to_owned()));
        assert!(names(folder.path()).contains(&"data-2026-02-04T00-00-00.000".to_owned()));
    }
}
