//! Entries that wait to become one: what `recombine` and `container` have in common.

use std::collections::HashMap;

use super::entry::Entry;

/// What several entries have become so far.
#[derive(Debug)]
struct Group {
    /// The entry that all but the text is of.
    base: Entry,
    text: String,
    entries: usize,
    /// When the first of them was read.
    since: u64,
    /// Where the first of them begins, in each source that they are of.
    starts: Vec<(u64, (u64, u64))>,
    /// Whether the expression has held for one of them.
    matched: bool,
}

/// What bounds a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) unmatched: usize,
    pub(super) bytes: usize,
    pub(super) sources: usize,
    /// Nanoseconds that a group waits.
    pub(super) wait: u64,
}

/// Groups of entries by their source.
#[derive(Debug)]
pub(super) struct Gather {
    groups: HashMap<String, Group>,
    bounds: Bounds,
    joint: String,
    newest: bool,
}

/// What a group has come to: the entry without its text, and that.
pub(super) type Whole = (Entry, String);

const fn or_max(bound: usize) -> usize {
    if bound == 0 { usize::MAX } else { bound }
}

impl Gather {
    pub(super) fn new(bounds: Bounds, joint: String, newest: bool) -> Self {
        Self {
            groups: HashMap::new(),
            bounds: Bounds {
                entries: or_max(bounds.entries),
                unmatched: or_max(bounds.unmatched),
                bytes: or_max(bounds.bytes),
                ..bounds
            },
            joint,
            newest,
        }
    }

    /// Whether something of this source waits.
    pub(super) fn waits(&self, source: &str) -> bool {
        !self.groups.is_empty() && self.groups.contains_key(source)
    }

    /// Adds an entry to its source's group; gives the groups that are full by that.
    pub(super) fn add(
        &mut self,
        source: &str,
        entry: Entry,
        text: &str,
        matched: bool,
        out: &mut Vec<Whole>,
    ) {
        let origin = &entry.origin;
        let start = (origin.source, (origin.start, origin.count));
        if !self.groups.contains_key(source) {
            if self.groups.len() >= self.bounds.sources {
                self.take_all(out);
            }
            let group = Group {
                since: entry.observed,
                base: entry,
                text: text.to_owned(),
                entries: 1,
                starts: vec![start],
                matched,
            };
            self.groups.insert(source.to_owned(), group);
        } else if let Some(group) = self.groups.get_mut(source) {
            group.entries += 1;
            group.matched |= matched;
            if !group.text.is_empty() {
                group.text.push_str(&self.joint);
            }
            group.text.push_str(text);
            if !group.starts.iter().any(|(source, _)| *source == start.0) {
                group.starts.push(start);
            }
            if self.newest {
                group.base = entry;
            }
        }
        let bounds = self.bounds;
        let full = |group: &Group| {
            group.text.len() > bounds.bytes
                || group.entries >= bounds.entries
                || !group.matched && group.entries >= bounds.unmatched
        };
        if self.groups.get(source).is_some_and(full) {
            out.extend(self.take(source));
        }
    }

    /// Takes what waits of a source.
    pub(super) fn take(&mut self, source: &str) -> Option<Whole> {
        let group = self.groups.remove(source)?;
        Some((group.base, group.text))
    }

    /// Takes what has waited long enough.
    pub(super) fn take_due(&mut self, now: u64, out: &mut Vec<Whole>) {
        let wait = self.bounds.wait;
        let due = |group: &Group| group.since.saturating_add(wait) <= now;
        self.take_if(due, out);
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self, out: &mut Vec<Whole>) {
        self.take_if(|_| true, out);
    }

    fn take_if(&mut self, wanted: impl Fn(&Group) -> bool, out: &mut Vec<Whole>) {
        if !self.groups.values().any(&wanted) {
            return;
        }
        let taken = self.groups.extract_if(|_, group| wanted(group));
        let mut taken: Vec<Group> = taken.map(|(_, group)| group).collect();
        taken.sort_by_key(|group| group.since);
        out.extend(taken.into_iter().map(|group| (group.base, group.text)));
    }

    /// When the first of those that wait is due.
    pub(super) fn deadline(&self) -> Option<u64> {
        let since = self.groups.values().map(|group| group.since).min()?;
        Some(since.saturating_add(self.bounds.wait))
    }

    /// Where the first entry of a source of entries begins that waits here, and the how manieth it is.
    pub(super) fn held(&self, source: u64) -> Option<(u64, u64)> {
        let starts = self.groups.values().flat_map(|group| &group.starts);
        let starts = starts.filter(|(of, _)| *of == source);
        starts.map(|(_, start)| *start).min()
    }
}
