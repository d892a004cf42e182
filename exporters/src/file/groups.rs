//! A file for each value of a resource attribute.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use tidegate_pdata::view::{AnyValue, Groups, ResourceSpans, View};
use tidegate_pdata::{Payload, Signal};

use super::output::{Output, make_folder};

/// Files of which it is remembered that this process has begun them. What comes later is added
/// to without a question, so that names from outside cannot fill the memory.
const MOST_REMEMBERED: usize = 1 << 16;
/// What file systems take for a name and for a path (`NAME_MAX`, `PATH_MAX`).
const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 4095;

/// The files that are open, and how others are called.
pub(super) struct Grouped {
    pub(super) before: String,
    pub(super) after: String,
    pub(super) attribute: String,
    pub(super) most_open: usize,
    pub(super) append: bool,
    pub(super) directories: u32,
    open: HashMap<PathBuf, (u64, Output)>,
    begun: HashSet<PathBuf>,
    /// Rises with every use of a file.
    clock: u64,
}

impl Grouped {
    pub(super) fn new(
        (before, after): (String, String),
        attribute: String,
        most_open: usize,
        append: bool,
        directories: u32,
    ) -> Self {
        Self {
            before,
            after,
            attribute,
            most_open,
            append,
            directories,
            open: HashMap::new(),
            begun: HashSet::new(),
            clock: 0,
        }
    }

    /// Deals a payload over the files that its resources name; what names none is the second.
    pub(super) fn deal(&self, payload: Payload) -> (Vec<(PathBuf, Payload)>, Option<Payload>) {
        let mut paths: Vec<PathBuf> = Vec::new();
        let mut places: HashMap<Option<String>, usize> = HashMap::new();
        let mut next = 1;
        for value in self.values(&payload) {
            if let Entry::Vacant(vacant) = places.entry(value) {
                let path = vacant.key().as_deref().and_then(|value| self.path(value));
                // The first output is of those that name no file.
                vacant.insert(path.map_or(0, |path| {
                    paths.push(path);
                    next += 1;
                    next - 1
                }));
            }
        }
        let outputs = NonZeroUsize::new(next).unwrap_or(NonZeroUsize::MIN);
        if outputs.get() == 1 {
            return (Vec::new(), Some(payload));
        }
        let mut last: (*const u8, usize) = (std::ptr::null(), 0);
        let pieces = payload.partition(outputs, |dealt| {
            if last.0 != dealt.resource.as_ptr() {
                let value = self.value(dealt.resource);
                last = (
                    dealt.resource.as_ptr(),
                    places.get(&value).copied().unwrap_or(0),
                );
            }
            last.1
        });
        let mut pieces = pieces.into_iter();
        let nameless = pieces.next().filter(|piece| piece.items() > 0);
        let named = paths.into_iter().zip(pieces);
        (
            named.filter(|(_, piece)| piece.items() > 0).collect(),
            nameless,
        )
    }

    fn values(&self, payload: &Payload) -> Vec<Option<String>> {
        fn each<R>(
            groups: Groups<'_, R>,
            of: impl Fn(&[u8]) -> Option<String>,
        ) -> Vec<Option<String>> {
            groups.map(|group| of(group.bytes())).collect()
        }
        let of = |bytes: &[u8]| self.value(bytes);
        match payload.signal() {
            Signal::Traces => each(payload.resource_spans(), of),
            Signal::Metrics => each(payload.resource_metrics(), of),
            Signal::Logs => each(payload.resource_logs(), of),
        }
    }

    /// The attribute's value; the resource is the same field for every signal.
    fn value(&self, by_resource: &[u8]) -> Option<String> {
        let resource = ResourceSpans::of(by_resource).resource();
        match resource.attributes().get(&self.attribute)? {
            AnyValue::String(text) => Some(text.to_str().into_owned()),
            _ => None,
        }
    }

    /// The path that a value names; it never leaves what stands before the `*`. None where no
    /// file can be called so.
    fn path(&self, value: &str) -> Option<PathBuf> {
        let mut parts: Vec<&str> = Vec::new();
        for part in value.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let path = format!("{}{}{}", self.before, parts.join("/"), self.after);
        let fits = |name: &str| name.len() <= LONGEST_NAME;
        let good = !path.contains('\0') && path.len() <= LONGEST_PATH && path.split('/').all(fits);
        good.then(|| PathBuf::from(path))
    }

    /// The file of this path, which is opened if it is not open.
    pub(super) fn output(&mut self, path: &PathBuf) -> io::Result<&mut Output> {
        self.clock += 1;
        if !self.open.contains_key(path) {
            self.make_room();
            make_folder(path, self.directories)?;
            let full = self.begun.len() >= MOST_REMEMBERED;
            let append = self.append || full || self.begun.contains(path);
            let output = Output::open(path.clone(), append, None)?;
            if !append {
                self.begun.insert(path.clone());
            }
            self.open.insert(path.clone(), (0, output));
        }
        let clock = self.clock;
        let open = self.open.get_mut(path).map(|(used, output)| {
            *used = clock;
            output
        });
        open.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn make_room(&mut self) {
        while self.open.len() >= self.most_open.max(1) {
            let oldest = self.open.iter().min_by_key(|(_, (used, _))| *used);
            let Some(path) = oldest.map(|(path, _)| path.clone()) else {
                return;
            };
            self.open.remove(&path);
        }
    }

    /// The files that are open.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.open.values().map(|(_, output)| output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(before: &str, value: &str) -> Option<String> {
        let names = (before.to_owned(), ".json".to_owned());
        let grouped = Grouped::new(names, String::new(), 1, false, 0o755);
        let path = grouped.path(value)?;
        Some(path.into_os_string().into_string().unwrap())
    }

    #[test]
    fn value_names_a_file_and_cannot_leave_its_folder() {
        for (value, expected) in [
            ("one", "/out/one.json"),
            ("a/b", "/out/a/b.json"),
            (".././two/two", "/out/two/two.json"),
            ("../../../etc/passwd", "/out/etc/passwd.json"),
            ("a/../../b", "/out/b.json"),
            ("/etc/passwd", "/out/etc/passwd.json"),
            ("", "/out/.json"),
        ] {
            assert_eq!(path("/out/", value).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(path("/out/x-", "../y").as_deref(), Some("/out/x-y.json"));
    }

    #[test]
    fn value_that_no_file_can_be_called_names_none() {
        assert_eq!(path("/out/", "a\0b"), None);
        assert_eq!(path("/out/", &"a".repeat(251)), None);
        assert_eq!(path("/out/", &"ab/".repeat(2000)), None);
        assert!(path("/out/", &"a".repeat(250)).is_some());
    }
}
