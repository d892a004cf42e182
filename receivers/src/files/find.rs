//! Finding the files that patterns match.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::glob::{Glob, Part};
use super::order::Selection;

/// How deep `**` goes.
const MAX_DEPTH: usize = 64;

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i128,
}

impl About {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        }
    }

    /// What tells it from all other files that are there now.
    pub(crate) const fn id(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// A file that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) about: About,
}

/// Finds files again and again.
#[derive(Debug)]
pub(crate) struct Finder {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
    older_than: Option<Duration>,
    selection: Option<Selection>,
    /// Names in directories that have not changed for a while, by their paths.
    listed: HashMap<PathBuf, Listing>,
    turn: u64,
}

/// What was in a directory.
#[derive(Debug)]
struct Listing {
    about: About,
    entries: Vec<(String, bool)>,
    turn: u64,
}

/// How old a change of a directory must be to be sure that no other came in the same tick of its clock.
const SETTLED: i128 = 3_000_000_000;

impl Finder {
    pub(crate) fn new(
        include: Vec<Glob>,
        exclude: Vec<Glob>,
        older_than: Option<Duration>,
        selection: Option<Selection>,
    ) -> Self {
        Self {
            selection,
            include,
            exclude,
            older_than,
            listed: HashMap::new(),
            turn: 0,
        }
    }

    /// Every file that is included and not excluded, each path once, in order.
    pub(crate) fn find(&mut self) -> Vec<Found> {
        self.turn += 1;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |now| i128::try_from(now.as_nanos()).unwrap_or(0));
        let mut paths = Vec::new();
        let include = std::mem::take(&mut self.include);
        for glob in &include {
            for parts in glob.forms() {
                let (root, parts) = match parts.split_first() {
                    Some((Part::Name(first), rest)) if first.is_empty() => {
                        (PathBuf::from("/"), rest)
                    }
                    _ => (PathBuf::new(), parts),
                };
                self.walk(&root, parts, now, 0, &mut paths);
            }
        }
        self.include = include;
        let turn = self.turn;
        self.listed.retain(|_, listing| listing.turn == turn);
        paths.sort_unstable();
        paths.dedup();
        let excluded = |path: &Path| {
            let text = path.to_string_lossy();
            self.exclude.iter().any(|glob| glob.matches(&text))
        };
        let oldest = self
            .older_than
            .map(|age| now - i128::try_from(age.as_nanos()).unwrap_or(0));
        let mut found = Vec::new();
        for path in paths {
            if excluded(&path) {
                continue;
            }
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            let about = About::of(&metadata);
            let too_old = oldest.is_some_and(|oldest| about.modified < oldest);
            if metadata.is_file() && !too_old {
                found.push(Found { path, about });
            }
        }
        match &self.selection {
            Some(selection) => selection.select(found),
            None => found,
        }
    }

    fn walk(&mut self, at: &Path, parts: &[Part], now: i128, depth: usize, out: &mut Vec<PathBuf>) {
        let Some((part, rest)) = parts.split_first() else {
            if !at.as_os_str().is_empty() {
                out.push(at.to_owned());
            }
            return;
        };
        match part {
            Part::Name(name) => self.walk(&at.join(name), rest, now, depth, out),
            Part::Pattern(_) => {
                for (name, is_directory) in self.list(at, now) {
                    if part.matches(&name) && (is_directory || rest.is_empty()) {
                        self.walk(&at.join(name), rest, now, depth, out);
                    }
                }
            }
            Part::Any => {
                self.walk(at, rest, now, depth, out);
                if depth >= MAX_DEPTH {
                    return;
                }
                for (name, is_directory) in self.list(at, now) {
                    // Links to directories above would lead around in circles.
                    let inner = at.join(name);
                    if is_directory && !inner.is_symlink() {
                        self.walk(&inner, parts, now, depth + 1, out);
                    }
                }
            }
        }
    }

    /// The names in a directory, and which of them may be directories.
    fn list(&mut self, at: &Path, now: i128) -> Vec<(String, bool)> {
        let path = if at.as_os_str().is_empty() {
            Path::new(".")
        } else {
            at
        };
        let Ok(metadata) = fs::metadata(path) else {
            return Vec::new();
        };
        let about = About::of(&metadata);
        if let Some(listing) = self.listed.get_mut(at)
            && listing.about == about
            && about.modified + SETTLED < now
        {
            listing.turn = self.turn;
            return listing.entries.clone();
        }
        let Ok(directory) = fs::read_dir(path) else {
            return Vec::new();
        };
        let mut entries = Vec::new();
        for entry in directory.flatten() {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if let Ok(name) = entry.file_name().into_string() {
                entries.push((name, !is_file));
            }
        }
        let listing = Listing {
            about,
            entries: entries.clone(),
            turn: self.turn,
        };
        self.listed.insert(at.to_owned(), listing);
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(root: &Path, patterns: &[&str]) -> Vec<Glob> {
        let parse = |pattern: &&str| Glob::parse(&format!("{}/{pattern}", root.display())).unwrap();
        patterns.iter().map(parse).collect()
    }

    fn names(root: &Path, found: &[Found]) -> Vec<String> {
        let name = |found: &Found| found.path.strip_prefix(root).unwrap().display().to_string();
        found.iter().map(name).collect()
    }

    #[test]
    fn finds_what_is_included_and_not_excluded() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for path in ["a/x.log", "a/b/y.log", "a/b/z.txt", "c/x.log", "top.log"] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "line\n").unwrap();
        }
        fs::create_dir(root.join("a/directory.log")).unwrap();
        let find = |include: &[&str], exclude: &[&str]| {
            let mut finder = Finder::new(globs(root, include), globs(root, exclude), None, None);
            names(root, &finder.find())
        };
        assert_eq!(find(&["*/*.log"], &[]), ["a/x.log", "c/x.log"]);
        assert_eq!(
            find(&["**/*.log", "top.log"], &["c/*"]),
            ["a/b/y.log", "a/x.log", "top.log"]
        );
        assert_eq!(find(&["**"], &["**/*.log"]), ["a/b/z.txt"]);
        assert_eq!(
            find(&["nowhere/*.log", "gone.log"], &[]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn files_that_come_and_go_are_seen_however_directories_are_remembered() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let mut finder = Finder::new(globs(root, &["*.log"]), Vec::new(), None, None);
        assert!(finder.find().is_empty());
        fs::write(root.join("a.log"), "line\n").unwrap();
        assert_eq!(names(root, &finder.find()), ["a.log"]);
        fs::rename(root.join("a.log"), root.join("b.log")).unwrap();
        assert_eq!(names(root, &finder.find()), ["b.log"]);
        // As if all of it had happened long ago.
        let old = fs::File::open(root).unwrap();
        old.set_modified(SystemTime::now() - Duration::from_secs(60))
            .unwrap();
        assert_eq!(names(root, &finder.find()), ["b.log"]);
        fs::remove_file(root.join("b.log")).unwrap();
        assert!(finder.find().is_empty());
    }

    #[test]
    fn old_files_are_left_out_if_told() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for name in ["old.log", "new.log"] {
            fs::write(root.join(name), "line\n").unwrap();
        }
        let old = fs::File::options()
            .append(true)
            .open(root.join("old.log"))
            .unwrap();
        old.set_modified(SystemTime::now() - Duration::from_secs(7200))
            .unwrap();
        let hour = Some(Duration::from_secs(3600));
        let mut finder = Finder::new(globs(root, &["*.log"]), Vec::new(), hour, None);
        assert_eq!(names(root, &finder.find()), ["new.log"]);
    }
}
