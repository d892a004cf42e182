//! The traces that a worker holds.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use tidegate_pdata::wire::{field_len, put_bytes};

use super::heads::Head;
use super::marks::Marks;
use super::watch::Extent;

/// The ID of a trace; zeros for spans without one.
pub(super) type TraceId = [u8; 16];

/// Bytes that a trace takes beside its spans: itself, its place in the table, its due time.
const OVERHEAD: usize = 200;
/// Bytes that one more scope of a trace takes.
const GROUP: usize = 48;
/// Of how many scopes a trace's spans are put together.
const GROUPS_LOOKED_AT: usize = 16;
/// Slots that are made at a time.
const CHUNK: usize = 1024;
/// The field of spans in `ScopeSpans`.
const SPANS: u32 = 2;

/// Spans of a trace that lie in one scope, as fields of `ScopeSpans`.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) head: Rc<Head>,
    pub(super) spans: Vec<u8>,
    pub(super) count: u32,
}

/// A trace.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) id: TraceId,
    /// When its first span came, in milliseconds.
    pub(super) arrived: u64,
    pub(super) spans: u64,
    /// The bytes of its spans, its resources and its scopes.
    pub(super) bytes: usize,
    /// What it takes.
    pub(super) taken: usize,
    pub(super) extent: Extent,
    pub(super) marks: Marks,
    pub(super) groups: SmallVec<[Group; 1]>,
    pub(super) has_root: bool,
    /// The part of a batch that brought spans of it last.
    pub(super) part: u32,
}

impl Trace {
    /// Adds a copy of a span; says by how many bytes what it takes has grown.
    pub(super) fn add(&mut self, head: &Rc<Head>, span: &[u8]) -> usize {
        let mut lately = self.groups.iter().rev().take(GROUPS_LOOKED_AT);
        let known = lately.position(|group| Rc::ptr_eq(&group.head, head));
        let mut grown = 0;
        let at = match known {
            Some(back) => self.groups.len() - 1 - back,
            None => {
                let resource = &head.resource;
                let last = self.groups.last().map(|group| &group.head.resource);
                self.bytes += head.fields.len();
                if last.is_none_or(|last| !Rc::ptr_eq(last, resource)) {
                    self.bytes += resource.fields.len();
                }
                grown += if self.groups.is_empty() { 0 } else { GROUP };
                self.groups.push(Group {
                    head: Rc::clone(head),
                    spans: Vec::new(),
                    count: 0,
                });
                self.groups.len() - 1
            }
        };
        let group = &mut self.groups[at];
        let need = field_len(SPANS, span.len());
        let before = group.spans.capacity();
        if before - group.spans.len() < need {
            // A quarter more than is needed: doubling would waste what is held for long.
            let more = need.max(group.spans.len() / 4);
            group.spans.reserve_exact(more);
        }
        put_bytes(&mut group.spans, SPANS, span);
        group.count = group.count.saturating_add(1);
        grown += group.spans.capacity() - before;
        self.spans += 1;
        self.bytes += need;
        self.taken += grown;
        grown
    }
}

/// When a trace is due.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: u64,
    slot: u32,
    generation: u32,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    trace: Option<Trace>,
}

/// All traces that are held, and when they are due.
///
/// The wait is the same for all, so those that come later are due later: a queue is in order by itself. Those
/// whose root has come have a second one.
#[derive(Debug, Default)]
pub(super) struct Traces {
    hasher: RandomState,
    index: HashTable<u32>,
    /// In pieces, so that growing moves nothing.
    slots: Vec<Box<[Slot]>>,
    free: Vec<u32>,
    due: VecDeque<Due>,
    due_by_root: VecDeque<Due>,
    spans: usize,
    bytes: usize,
}

impl Traces {
    pub(super) fn hash(&self, id: &TraceId) -> u64 {
        self.hasher.hash_one(id)
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Spans held, and the bytes that all of it takes.
    pub(super) const fn size(&self) -> (usize, usize) {
        (self.spans, self.bytes)
    }

    pub(super) fn find(&self, hash: u64, id: &TraceId) -> Option<u32> {
        let is_it = |slot: &u32| self.get(*slot).is_some_and(|trace| trace.id == *id);
        self.index.find(hash, is_it).copied()
    }

    fn slot(&self, slot: u32) -> Option<&Slot> {
        let slot = slot as usize;
        self.slots.get(slot / CHUNK)?.get(slot % CHUNK)
    }

    fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        let slot = slot as usize;
        self.slots.get_mut(slot / CHUNK)?.get_mut(slot % CHUNK)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Trace> {
        self.slot(slot)?.trace.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Trace> {
        self.slot_mut(slot)?.trace.as_mut()
    }

    /// Adds a trace that is not there yet.
    pub(super) fn insert(&mut self, hash: u64, id: TraceId, arrived: u64, due: u64) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        let trace = Trace {
            id,
            arrived,
            taken: OVERHEAD,
            ..Trace::default()
        };
        let mut generation = 0;
        if let Some(free) = self.slot_mut(slot) {
            free.trace = Some(trace);
            generation = free.generation;
        }
        self.bytes += OVERHEAD;
        self.due.push_back(Due {
            at: due,
            slot,
            generation,
        });
        let Self {
            index,
            slots,
            hasher,
            ..
        } = self;
        index.insert_unique(hash, slot, |slot| {
            let slot = &slots[*slot as usize / CHUNK][*slot as usize % CHUNK];
            hasher.hash_one(slot.trace.as_ref().map_or(&[0; 16], |trace| &trace.id))
        });
        slot
    }

    fn grow(&mut self) -> u32 {
        let first = (self.slots.len() * CHUNK) as u32;
        self.slots
            .push((0..CHUNK).map(|_| Slot::default()).collect());
        self.free.extend((first + 1..first + CHUNK as u32).rev());
        first
    }

    /// Adds a span to a trace.
    pub(super) fn add(&mut self, slot: u32, head: &Rc<Head>, span: &[u8]) {
        if let Some(trace) = self.get_mut(slot) {
            let grown = trace.add(head, span);
            self.bytes += grown;
            self.spans += 1;
        }
    }

    /// Has a trace decided at a time, if it has not been said that it has a root.
    pub(super) fn root_came(&mut self, slot: u32, at: u64) {
        let Some(found) = self.slot_mut(slot) else {
            return;
        };
        let generation = found.generation;
        if let Some(trace) = &mut found.trace
            && !std::mem::replace(&mut trace.has_root, true)
        {
            self.due_by_root.push_back(Due {
                at,
                slot,
                generation,
            });
        }
    }

    /// Takes a trace out.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Trace> {
        let found = self.slot_mut(slot)?;
        let trace = found.trace.take()?;
        found.generation = found.generation.wrapping_add(1);
        let hash = self.hasher.hash_one(trace.id);
        if let Ok(entry) = self.index.find_entry(hash, |known| *known == slot) {
            entry.remove();
        }
        self.free.push(slot);
        self.spans -= usize::try_from(trace.spans).unwrap_or(0);
        self.bytes -= trace.taken;
        if self.index.is_empty() {
            self.forget_room();
        }
        Some(trace)
    }

    /// Gives back what a burst has taken, once nothing is held.
    fn forget_room(&mut self) {
        self.due.clear();
        self.due_by_root.clear();
        if self.slots.len() > 4 {
            *self = Self {
                hasher: self.hasher.clone(),
                ..Self::default()
            };
        }
    }

    fn is_there(&self, due: &Due) -> bool {
        let slot = self.slot(due.slot);
        slot.is_some_and(|slot| slot.generation == due.generation && slot.trace.is_some())
    }

    /// When the next trace is due, or earlier.
    pub(super) fn next_due(&self) -> Option<u64> {
        let queues = [self.due.front(), self.due_by_root.front()];
        queues.into_iter().flatten().map(|due| due.at).min()
    }

    /// A trace that is due.
    pub(super) fn take_due(&mut self, now: u64) -> Option<u32> {
        loop {
            let is_due = |due: Option<&Due>| due.is_some_and(|due| due.at <= now);
            let due = if is_due(self.due_by_root.front()) {
                self.due_by_root.pop_front()?
            } else if is_due(self.due.front()) {
                self.due.pop_front()?
            } else {
                return None;
            };
            if self.is_there(&due) {
                return Some(due.slot);
            }
        }
    }

    /// The trace that has been held longest.
    pub(super) fn take_oldest(&mut self) -> Option<u32> {
        loop {
            let due = self.due.pop_front()?;
            if self.is_there(&due) {
                return Some(due.slot);
            }
        }
    }
}
