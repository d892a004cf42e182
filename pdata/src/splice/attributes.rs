//! Editing attributes: a table of where each lies now.

use std::ops::Range;

use super::store::{Held, Node, Patch, Place, Store, bytes};
use super::value::NewValue;
use crate::view::{AnyValue, Text, View};
use crate::wire::{self, Cursor, Field, WireType};

/// The fields of `KeyValue`.
const KEY: u32 = 1;
const VALUE: u32 = 2;

/// The attributes of a message under edit.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    /// The field that attributes have in the message.
    number: u32,
    /// Where in the message new attributes go.
    insert_at: usize,
    read: bool,
    changed: bool,
}

/// One attribute, as it lies now.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Its field in the message: what a patch replaces. Empty for a new attribute.
    old_start: usize,
    old_end: usize,
    /// Its field as it is now: the same, or in the arena.
    field: Held,
    /// Its key, in the same place.
    key: (usize, usize),
    /// Its `AnyValue`, in the same place; empty, at the end, where it has none.
    value: (usize, usize),
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Kept,
    Written,
    Removed,
}

impl Slot {
    #[inline]
    fn read(field: &Field<'_>, place: Place) -> Self {
        let body = field.body();
        let (key, value) = short(field.bytes, body).unwrap_or_else(|| long(field.bytes, body));
        Self {
            old_start: field.start,
            old_end: field.end,
            field: Held {
                place,
                start: field.start,
                end: field.end,
            },
            key,
            value,
            state: State::Kept,
        }
    }

    const fn key(&self) -> Held {
        Held {
            place: self.field.place,
            start: self.key.0,
            end: self.key.1,
        }
    }

    const fn value(&self) -> Held {
        Held {
            place: self.field.place,
            start: self.value.0,
            end: self.value.1,
        }
    }
}

/// Positions of key and value in the attribute as everybody writes it, which begins at `at`.
#[inline]
fn short(entry: &[u8], at: usize) -> Option<((usize, usize), (usize, usize))> {
    let [0x0a, key @ ..0x80, rest @ ..] = entry else {
        return None;
    };
    let key = usize::from(*key);
    let [0x12, value @ ..0x80, rest @ ..] = rest.get(key..)? else {
        return None;
    };
    let value = usize::from(*value);
    (rest.len() == value).then_some(((at + 2, at + 2 + key), (at + 4 + key, at + 4 + key + value)))
}

/// The same in any attribute.
#[cold]
fn long(entry: &[u8], at: usize) -> ((usize, usize), (usize, usize)) {
    let end = at + entry.len();
    let (mut key, mut value) = ((at, at), (end, end));
    for field in Cursor::at(entry, at) {
        match field.number {
            1 => key = (field.body(), field.end),
            2 => value = (field.body(), field.end),
            _ => {}
        }
    }
    (key, value)
}

impl Table {
    /// Forgets the attributes, for a message that has them in the field `number`.
    #[inline]
    pub(super) fn reset(&mut self, number: u32) {
        self.slots.clear();
        self.number = number;
        self.read = false;
        self.changed = false;
    }

    /// Forgets the attributes: the message lies elsewhere now.
    pub(super) fn forget(&mut self) {
        self.reset(self.number);
    }

    pub(super) const fn is_changed(&self) -> bool {
        self.changed
    }

    /// Finds the attributes of a message, unless that is done.
    pub(super) fn read(&mut self, segment: &[u8], store: &Store, message: Held) {
        if self.read {
            return;
        }
        self.read = true;
        self.insert_at = message.end;
        let content = bytes(segment, &store.arena, message);
        for field in Cursor::at(content, message.start) {
            if field.number == self.number && field.wire == WireType::Len {
                self.slots.push(Slot::read(&field, message.place));
                self.insert_at = field.end;
            }
        }
    }

    /// Turns the changes into patches of the message.
    pub(super) fn flush(&self, store: &mut Store, floor: usize) {
        if !self.changed {
            return;
        }
        for slot in &self.slots {
            match slot.state {
                State::Kept => {}
                State::Written => store.push(
                    floor,
                    Patch::replacement(slot.old_start, slot.old_end, slot.field),
                ),
                State::Removed if slot.old_start < slot.old_end => {
                    store.push(floor, Patch::removal(slot.old_start, slot.old_end));
                }
                State::Removed => {}
            }
        }
    }

    /// Gives back what a message with very many attributes took.
    pub(super) fn shrink(&mut self, slots: usize) {
        self.slots.clear();
        self.slots.shrink_to(slots);
    }
}

/// Edits the attributes of a message.
///
/// Edits take effect at once for whatever is asked next. Where a key comes twice, the first is
/// read, updated and deleted, as in the Collector. New attributes go after the last.
#[derive(Debug)]
pub struct AttributeEditor<'e> {
    pub(super) segment: &'e [u8],
    pub(super) store: &'e mut Store,
    pub(super) table: &'e mut Table,
}

impl AttributeEditor<'_> {
    /// The value of the first attribute with this key.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<AnyValue<'_>> {
        let held = self.hold(key)?;
        Some(AnyValue::of(bytes(self.segment, &self.store.arena, held)))
    }

    /// A hold on the value of the first attribute with this key, to write it elsewhere.
    #[must_use]
    pub fn hold(&self, key: impl AsRef<[u8]>) -> Option<Held> {
        self.find(key.as_ref())
            .map(|index| self.table.slots[index].value())
    }

    /// The number of attributes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live().count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live().next().is_none()
    }

    /// The attributes in order.
    pub fn iter(&self) -> impl Iterator<Item = (Text<'_>, AnyValue<'_>)> {
        self.live().map(|slot| self.pair(slot))
    }

    /// Adds an attribute, unless there is one with this key; says whether it did.
    pub fn insert<'v>(&mut self, key: impl AsRef<[u8]>, value: impl Into<NewValue<'v>>) -> bool {
        let key = key.as_ref();
        let absent = self.find(key).is_none();
        if absent {
            self.add(key, value.into());
        }
        absent
    }

    /// Replaces the value of the first attribute with this key; says whether there is one.
    pub fn update<'v>(&mut self, key: impl AsRef<[u8]>, value: impl Into<NewValue<'v>>) -> bool {
        let found = self.find(key.as_ref());
        if let Some(index) = found {
            self.set_value(index, value.into());
        }
        found.is_some()
    }

    /// Replaces the value of the first attribute with this key, or adds one.
    pub fn upsert<'v>(&mut self, key: impl AsRef<[u8]>, value: impl Into<NewValue<'v>>) {
        let key = key.as_ref();
        match self.find(key) {
            Some(index) => self.set_value(index, value.into()),
            None => self.add(key, value.into()),
        }
    }

    /// Removes the first attribute with this key; says whether there was one.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> bool {
        let found = self.find(key.as_ref());
        if let Some(index) = found {
            self.remove(index);
        }
        found.is_some()
    }

    /// Gives the first attribute with one key another key, in its place; says whether there is one.
    ///
    /// What has the other key already stays.
    pub fn rename(&mut self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> bool {
        let found = self.find(from.as_ref());
        if let Some(index) = found {
            self.set_key(index, to.as_ref());
        }
        found.is_some()
    }

    /// Removes the attributes that do not satisfy a condition; says how many.
    pub fn retain(&mut self, mut keep: impl FnMut(Text<'_>, AnyValue<'_>) -> bool) -> usize {
        let mut removed = 0;
        for index in 0..self.table.slots.len() {
            let slot = &self.table.slots[index];
            if slot.state == State::Removed {
                continue;
            }
            let (key, value) = self.pair(slot);
            if !keep(key, value) {
                self.remove(index);
                removed += 1;
            }
        }
        removed
    }

    /// Removes all attributes that satisfy a condition; says how many.
    pub fn delete_matching(
        &mut self,
        mut lose: impl FnMut(Text<'_>, AnyValue<'_>) -> bool,
    ) -> usize {
        self.retain(|key, value| !lose(key, value))
    }

    /// Removes all attributes.
    pub fn clear(&mut self) {
        self.retain(|_, _| false);
    }

    /// The positions at which attributes may be; new ones take positions past these.
    #[must_use]
    pub fn positions(&self) -> Range<usize> {
        0..self.table.slots.len()
    }

    /// The attribute at a position, unless it was removed.
    #[must_use]
    pub fn at(&self, position: usize) -> Option<(Text<'_>, AnyValue<'_>)> {
        let slot = self.table.slots.get(position)?;
        (slot.state != State::Removed).then(|| self.pair(slot))
    }

    /// Replaces the value at a position, unless the attribute was removed.
    pub fn update_at<'v>(&mut self, position: usize, value: impl Into<NewValue<'v>>) {
        if self.at(position).is_some() {
            self.set_value(position, value.into());
        }
    }

    /// Gives the attribute at a position another key, unless it was removed.
    pub fn rename_at(&mut self, position: usize, key: impl AsRef<[u8]>) {
        if self.at(position).is_some() {
            self.set_key(position, key.as_ref());
        }
    }

    /// Removes the attribute at a position.
    pub fn delete_at(&mut self, position: usize) {
        if self.at(position).is_some() {
            self.remove(position);
        }
    }

    fn live(&self) -> impl Iterator<Item = &Slot> {
        self.table
            .slots
            .iter()
            .filter(|slot| slot.state != State::Removed)
    }

    fn pair(&self, slot: &Slot) -> (Text<'_>, AnyValue<'_>) {
        let at = |held| bytes(self.segment, &self.store.arena, held);
        (Text::new(at(slot.key())), AnyValue::of(at(slot.value())))
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<usize> {
        self.table.slots.iter().position(|slot| {
            slot.key.1 - slot.key.0 == key.len()
                && slot.state != State::Removed
                && bytes(self.segment, &self.store.arena, slot.key()) == key
        })
    }

    fn remove(&mut self, index: usize) {
        self.table.slots[index].state = State::Removed;
        self.table.changed = true;
    }

    fn add(&mut self, key: &[u8], value: NewValue<'_>) {
        let at = self.table.insert_at;
        let (store, segment) = (&mut *self.store, self.segment);
        let length = value.len(segment, store);
        let body = wire::field_len(KEY, key.len()) + wire::field_len(VALUE, length);
        let start = store.arena.len();
        wire::put_head(&mut store.arena, self.table.number, body);
        wire::put_bytes(&mut store.arena, KEY, key);
        let key_end = store.arena.len();
        wire::put_head(&mut store.arena, VALUE, length);
        let value_start = store.arena.len();
        value.write(segment, store);
        let field = store.since(start);
        self.table.slots.push(Slot {
            old_start: at,
            old_end: at,
            field,
            key: (key_end - key.len(), key_end),
            value: (value_start, field.end),
            state: State::Written,
        });
        self.table.changed = true;
    }

    fn set_value(&mut self, index: usize, value: NewValue<'_>) {
        let length = value.len(self.segment, self.store);
        self.rewrite(index, VALUE, length, |segment, store| {
            value.write(segment, store)
        });
    }

    fn set_key(&mut self, index: usize, key: &[u8]) {
        self.rewrite(index, KEY, key.len(), |_, store| {
            store.arena.extend_from_slice(key)
        });
    }

    /// Writes an attribute anew with other content in one of its two fields, keeping all else
    /// that may be in it.
    fn rewrite(
        &mut self,
        index: usize,
        number: u32,
        length: usize,
        write: impl FnOnce(&[u8], &mut Store),
    ) {
        let slot = &mut self.table.slots[index];
        let (store, segment) = (&mut *self.store, self.segment);
        let Some(entry) = store.next(segment, slot.field, slot.field.start) else {
            return;
        };
        let entry = Held {
            start: entry.body,
            ..slot.field
        };
        let old = find(store, segment, entry, number);
        let body = entry.len() - (old.end - old.start) + wire::field_len(number, length);
        let start = store.arena.len();
        wire::put_head(&mut store.arena, self.table.number, body);
        let body_start = store.arena.len();
        store.copy(
            segment,
            Held {
                end: old.start,
                ..entry
            },
        );
        wire::put_head(&mut store.arena, number, length);
        write(segment, store);
        store.copy(
            segment,
            Held {
                start: old.end,
                ..entry
            },
        );
        slot.field = store.since(start);
        slot.state = State::Written;
        let content = bytes(segment, &store.arena, slot.field);
        let content = content.get(body_start - start..).unwrap_or_default();
        (slot.key, slot.value) =
            short(content, body_start).unwrap_or_else(|| long(content, body_start));
        self.table.changed = true;
    }
}

/// The field `number` of an attribute, or where it is to be: the key first, the value last.
fn find(store: &Store, segment: &[u8], entry: Held, number: u32) -> Node {
    let mut at = entry.start;
    while let Some(node) = store.next(segment, entry, at) {
        if node.number == number {
            return node;
        }
        at = node.end;
    }
    Node::absent(
        number,
        if number == KEY {
            entry.start
        } else {
            entry.end
        },
    )
}
