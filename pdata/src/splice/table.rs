//! Where each attribute of a message under edit lies now.

use super::slot::{Change, Entry, KEY, Kind, Slot, VALUE, parts, short_length};
use super::store::{Held, Node, Patch, Place, Store, bytes};
use super::value::NewValue;
use crate::wire::{self, Cursor, WireType};

/// The attributes of a message under edit.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    /// The attributes of which a slot has not all there is to know.
    entries: Vec<Entry>,
    /// The field that attributes have in the message.
    number: u32,
    /// Where the message lies.
    place: Place,
    /// Where in the message new attributes go.
    insert_at: usize,
    read: bool,
    changed: bool,
}

impl Table {
    /// Forgets the attributes, for a message that has them in the field `number`.
    #[inline]
    pub(super) fn reset(&mut self, number: u32) {
        self.slots.clear();
        self.entries.clear();
        self.number = number;
        self.read = false;
        self.changed = false;
    }

    /// Forgets the attributes: the message lies elsewhere now.
    pub(super) fn forget(&mut self) {
        self.reset(self.number);
    }

    #[inline]
    pub(super) const fn is_changed(&self) -> bool {
        self.changed
    }

    /// Whether the attributes have been found, so that edits of them are here alone.
    #[inline]
    pub(super) const fn is_read(&self) -> bool {
        self.read
    }

    /// The field that attributes have in the message.
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// Finds the attributes of a message, unless that is done.
    #[inline]
    pub(super) fn read(&mut self, segment: &[u8], store: &Store, message: Held) {
        if !self.read {
            self.read_anew(bytes(segment, &store.arena, message), message);
        }
    }

    fn read_anew(&mut self, content: &[u8], message: Held) {
        self.read = true;
        self.place = message.place;
        self.insert_at = message.end;
        let tag = wire::tag(self.number, WireType::Len);
        let mut fields = Cursor::at(content, message.start);
        loop {
            if fields.rest().first() == Some(&tag) {
                fields = self.read_plain(fields, tag);
            }
            let Some(field) = fields.next() else {
                return;
            };
            if field.number == self.number && field.wire == WireType::Len {
                self.push(Entry::of(&field));
                self.insert_at = field.end;
            }
        }
    }

    /// Takes plain attributes as long as there are any.
    #[inline]
    fn read_plain<'m>(&mut self, fields: Cursor<'m>, tag: u8) -> Cursor<'m> {
        let (mut rest, mut at) = (fields.rest(), fields.offset());
        let end = at + rest.len();
        let head = u32::from_le_bytes([tag, 0, 0x0a, 0]);
        while let Some((slot, after)) = Slot::plain(rest, head, at) {
            self.slots.push(slot);
            rest = after;
            at = end - rest.len();
        }
        self.insert_at = at;
        Cursor::at(rest, at)
    }

    fn push(&mut self, entry: Entry) {
        self.slots.push(Slot {
            kind: Kind::Entry,
            key: short_length(entry.key.1 - entry.key.0),
            value: 0,
            at: self.entries.len(),
        });
        self.entries.push(entry);
    }

    /// Turns the changes into patches of the message, in their order.
    #[inline]
    pub(super) fn flush(&self, store: &mut Store, floor: usize) {
        if self.changed {
            self.flush_changes(store, floor);
        }
    }

    fn flush_changes(&self, store: &mut Store, floor: usize) {
        for slot in self.slots.iter().filter(|slot| slot.kind != Kind::Plain) {
            let entry = &self.entries[slot.at];
            let (start, end) = entry.old;
            match entry.change {
                Change::None => {}
                Change::Written => {
                    store.push(floor, Patch::replacement(start, end, arena(entry.new)));
                }
                Change::Removed if start == end => {}
                Change::Removed => store.push(floor, Patch::removal(start, end)),
            }
        }
    }

    /// Gives back what a message with very many attributes took.
    pub(super) fn shrink(&mut self, slots: usize) {
        self.slots.clear();
        self.slots.shrink_to(slots);
        self.entries.clear();
        self.entries.shrink_to(slots);
    }

    /// The number of positions, those of removed attributes among them.
    pub(super) fn positions(&self) -> usize {
        self.slots.len()
    }

    /// The position of the first attribute with this key.
    #[inline]
    pub(super) fn find(&self, segment: &[u8], store: &Store, key: &[u8]) -> Option<usize> {
        let length = short_length(key.len());
        self.slots
            .iter()
            .position(|slot| slot.key == length && self.has_key(slot, segment, store, key))
    }

    #[inline]
    fn has_key(&self, slot: &Slot, segment: &[u8], store: &Store, key: &[u8]) -> bool {
        let held = match slot.kind {
            Kind::Plain => self.held(Change::None, Entry::plain(slot).key),
            Kind::Entry => {
                let entry = &self.entries[slot.at];
                self.held(entry.change, entry.key)
            }
            Kind::Removed => return false,
        };
        let found = bytes(segment, &store.arena, held);
        // Keys of one length mostly differ early: that is cheaper to see here than in a call.
        match (found.first_chunk::<8>(), key.first_chunk::<8>()) {
            (Some(found), Some(key)) if found != key => false,
            _ => found == key,
        }
    }

    /// Where a part of an attribute lies.
    #[inline]
    const fn held(&self, change: Change, (start, end): (usize, usize)) -> Held {
        let place = match change {
            Change::Written => Place::Arena,
            _ => self.place,
        };
        Held { place, start, end }
    }

    /// The key and the value at a position, unless they were removed.
    pub(super) fn pair(&self, position: usize) -> Option<(Held, Held)> {
        let slot = self.slots.get(position)?;
        (slot.kind != Kind::Removed).then(|| {
            let Entry {
                key, value, change, ..
            } = self.entry(slot);
            (self.held(change, key), self.held(change, value))
        })
    }

    #[inline]
    fn entry(&self, slot: &Slot) -> Entry {
        match slot.kind {
            Kind::Plain => Entry::plain(slot),
            Kind::Entry | Kind::Removed => self.entries[slot.at],
        }
    }

    /// Removes the attribute at a position.
    pub(super) fn remove(&mut self, position: usize) {
        let Some(slot) = self.slots.get_mut(position) else {
            return;
        };
        if slot.kind == Kind::Plain {
            let entry = Entry::plain(slot);
            slot.at = self.entries.len();
            self.entries.push(entry);
        }
        slot.kind = Kind::Removed;
        self.entries[slot.at].change = Change::Removed;
        self.changed = true;
    }

    /// Adds an attribute after the others.
    pub(super) fn add(
        &mut self,
        segment: &[u8],
        store: &mut Store,
        key: &[u8],
        value: &NewValue<'_>,
    ) {
        let at = self.insert_at;
        let write_key = |store: &mut Store| store.arena.extend_from_slice(key);
        let entry = self.write((at, at), segment, store, key.len(), write_key, value);
        self.push(entry);
        self.changed = true;
    }

    /// Replaces the value of the attribute at a position, which must not have been removed.
    pub(super) fn set_value(
        &mut self,
        segment: &[u8],
        store: &mut Store,
        position: usize,
        value: &NewValue<'_>,
    ) {
        let Some(slot) = self.slots.get(position) else {
            return;
        };
        let entry = self.entry(slot);
        let new = if entry.bare {
            let key = self.held(entry.change, entry.key);
            let write_key = |store: &mut Store| store.copy(segment, key);
            self.write(entry.old, segment, store, key.len(), write_key, value)
        } else {
            let length = value.len(segment, store);
            self.rewrite(&entry, segment, store, (VALUE, length), |store| {
                value.write(segment, store);
            })
        };
        self.replace(position, new);
    }

    /// Replaces the key of the attribute at a position, which must not have been removed.
    pub(super) fn set_key(
        &mut self,
        segment: &[u8],
        store: &mut Store,
        position: usize,
        key: &[u8],
    ) {
        let Some(slot) = self.slots.get(position) else {
            return;
        };
        let entry = self.entry(slot);
        let write_key = |store: &mut Store| store.arena.extend_from_slice(key);
        let new = if entry.bare {
            let value = NewValue::Held(self.held(entry.change, entry.value));
            self.write(entry.old, segment, store, key.len(), write_key, &value)
        } else {
            self.rewrite(&entry, segment, store, (KEY, key.len()), write_key)
        };
        self.replace(position, new);
    }

    fn replace(&mut self, position: usize, new: Entry) {
        let slot = &mut self.slots[position];
        slot.key = short_length(new.key.1 - new.key.0);
        if slot.kind == Kind::Plain {
            slot.kind = Kind::Entry;
            slot.at = self.entries.len();
            self.entries.push(new);
        } else {
            self.entries[slot.at] = new;
        }
        self.changed = true;
    }

    /// Writes an attribute of a key and a value alone.
    #[inline]
    fn write(
        &self,
        old: (usize, usize),
        segment: &[u8],
        store: &mut Store,
        key: usize,
        write_key: impl FnOnce(&mut Store),
        value: &NewValue<'_>,
    ) -> Entry {
        let length = value.len(segment, store);
        let body = wire::field_len(KEY, key) + wire::field_len(VALUE, length);
        let start = store.arena.len();
        store.arena.reserve(wire::field_len(self.number, body));
        wire::put_head(&mut store.arena, self.number, body);
        wire::put_head(&mut store.arena, KEY, key);
        let key = store.arena.len();
        write_key(store);
        let key = (key, store.arena.len());
        wire::put_head(&mut store.arena, VALUE, length);
        let value_start = store.arena.len();
        value.write(segment, store);
        let end = store.arena.len();
        Entry {
            old,
            new: (start, end),
            key,
            value: (value_start, end),
            change: Change::Written,
            bare: true,
        }
    }

    /// Writes an attribute anew with another content of a length in one of its two fields,
    /// keeping all else that is in it.
    #[cold]
    fn rewrite(
        &self,
        entry: &Entry,
        segment: &[u8],
        store: &mut Store,
        (number, length): (u32, usize),
        write: impl FnOnce(&mut Store),
    ) -> Entry {
        let field = match entry.change {
            Change::Written => entry.new,
            _ => entry.old,
        };
        let field = self.held(entry.change, field);
        let node = store.next(segment, field, field.start);
        let message = Held {
            start: node.map_or(field.end, |node| node.body),
            ..field
        };
        let old = find(store, segment, message, number);
        let body = message.len() - (old.end - old.start) + wire::field_len(number, length);
        let start = store.arena.len();
        wire::put_head(&mut store.arena, self.number, body);
        let body = store.arena.len();
        let before = Held {
            end: old.start,
            ..message
        };
        store.copy(segment, before);
        wire::put_head(&mut store.arena, number, length);
        write(store);
        let after = Held {
            start: old.end,
            ..message
        };
        store.copy(segment, after);
        let (key, value) = parts(store.arena.get(body..).unwrap_or_default(), body);
        Entry {
            old: entry.old,
            new: (start, store.arena.len()),
            key,
            value,
            change: Change::Written,
            bare: false,
        }
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
    let at = if number == KEY {
        entry.start
    } else {
        entry.end
    };
    Node::absent(number, at)
}

const fn arena((start, end): (usize, usize)) -> Held {
    let place = Place::Arena;
    Held { place, start, end }
}
