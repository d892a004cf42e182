//! A message under edit, whatever its type.

use super::attributes::AttributeEditor;
use super::store::{Held, Node, Patch, Place, Store, bytes};
use super::table::Table;
use super::value::NewField;
use crate::wire::{self, Cursor, Field};

/// A message under edit: where it lies now and what is to change.
///
/// Attributes and fields change in tables of their own until somebody looks at the whole
/// message; then it is written to the arena and edited on from there.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The field that the message is, in its parent.
    node: Node,
    /// Its content as it is now, but for what is still pending.
    body: Held,
    /// Whether that is no longer the content in the parent.
    rewritten: bool,
    /// Where its own patches begin; `None` while those of other messages may follow.
    mark: Option<usize>,
    fields: Vec<FieldChange>,
    table: Table,
}

/// A field to be replaced, inserted or removed.
#[derive(Clone, Copy, Debug)]
struct FieldChange {
    number: u32,
    patch: Patch,
}

/// Where a field goes that the message does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Before all others, as the canonical form demands of some.
    First,
    /// After all others.
    Last,
}

impl Draft {
    /// Takes up a message.
    #[inline]
    pub(super) fn open(&mut self, node: Node, place: Place, attributes: u32, mark: Option<usize>) {
        self.node = node;
        self.body = Held {
            place,
            start: node.body,
            end: node.end,
        };
        self.rewritten = false;
        self.mark = mark;
        self.fields.clear();
        self.table.reset(attributes);
    }

    /// Its content, with all edits.
    pub(super) fn content<'m>(&mut self, segment: &'m [u8], store: &'m mut Store) -> &'m [u8] {
        self.settle(segment, store);
        bytes(segment, &store.arena, self.body)
    }

    /// Where its content with all edits lies.
    pub(super) fn settled(&mut self, segment: &[u8], store: &mut Store) -> Held {
        self.settle(segment, store);
        self.body
    }

    /// Its content as it was when it was last looked at.
    pub(super) fn last_content<'m>(&self, segment: &'m [u8], store: &'m Store) -> &'m [u8] {
        bytes(segment, &store.arena, self.body)
    }

    /// Its attributes, as far as they have been looked at.
    #[inline]
    pub(super) const fn table(&self) -> &Table {
        &self.table
    }

    /// Its first field of a number as it is now, but for attributes.
    #[inline]
    pub(super) fn peek_field<'m>(
        &self,
        segment: &'m [u8],
        store: &'m Store,
        number: u32,
    ) -> Option<Field<'m>> {
        if let Some(change) = self.fields.iter().find(|change| change.number == number) {
            let new = store
                .arena
                .get(change.patch.new_start..change.patch.new_end);
            return Cursor::new(new.unwrap_or_default()).next();
        }
        Cursor::new(self.last_content(segment, store)).find(|field| field.number == number)
    }

    /// The field that it is, in its parent.
    pub(super) const fn node(&self) -> Node {
        self.node
    }

    /// An editor of its attributes.
    #[inline]
    pub(super) fn attributes<'e>(
        &'e mut self,
        segment: &'e [u8],
        store: &'e mut Store,
    ) -> AttributeEditor<'e> {
        self.table.read(segment, store, self.body);
        AttributeEditor {
            segment,
            store,
            table: &mut self.table,
        }
    }

    /// Whether something is to change that is not yet in `body`.
    fn is_pending(&self, store: &Store) -> bool {
        !self.fields.is_empty()
            || self.table.is_changed()
            || self.mark.is_some_and(|mark| store.patches.len() > mark)
    }

    /// Whether anything changed.
    #[inline]
    pub(super) fn is_changed(&self, store: &Store) -> bool {
        self.rewritten || self.is_pending(store)
    }

    /// Turns what is pending into patches; says where they begin.
    fn flush(&mut self, store: &mut Store) -> usize {
        let mark = self.mark.unwrap_or(store.patches.len());
        for change in &self.fields {
            store.push(store.patches.len(), change.patch);
        }
        let floor = store.patches.len();
        self.table.flush(store, floor);
        store.sort(mark);
        mark
    }

    /// Writes the message anew if something is pending.
    fn settle(&mut self, segment: &[u8], store: &mut Store) {
        if !self.is_pending(store) {
            return;
        }
        let mark = self.flush(store);
        self.become_content(store.apply(segment, self.body, mark));
    }

    fn become_content(&mut self, body: Held) {
        self.body = body;
        self.rewritten = true;
        self.fields.clear();
        self.table.forget();
    }

    /// Replaces the whole message.
    pub(super) fn replace(&mut self, store: &mut Store, content: &[u8]) {
        if let Some(mark) = self.mark {
            store.patches.truncate(mark);
        }
        let body = store.write(|out| out.extend_from_slice(content));
        self.become_content(body);
    }

    /// Sets a field that comes at most once.
    pub(super) fn set(
        &mut self,
        segment: &[u8],
        store: &mut Store,
        (number, order): (u32, Order),
        value: NewField<'_>,
    ) {
        let new = value.write(number, segment, store);
        self.put(segment, store, (number, order), new);
    }

    fn put(&mut self, segment: &[u8], store: &Store, (number, order): (u32, Order), new: Held) {
        if let Some(change) = self.change(number) {
            (change.patch.new_start, change.patch.new_end) = (new.start, new.end);
            return;
        }
        let content = bytes(segment, &store.arena, self.body);
        let found = Cursor::at(content, self.body.start).find(|field| field.number == number);
        let node = match (found, order) {
            (Some(field), _) => Node::of(&field),
            (None, _) if new.len() == 0 => return,
            (None, Order::First) => Node::absent(number, self.body.start),
            (None, Order::Last) => Node::absent(number, self.body.end),
        };
        self.fields.push(FieldChange {
            number,
            patch: Patch::replacement(node.start, node.end, new),
        });
    }

    fn change(&mut self, number: u32) -> Option<&mut FieldChange> {
        self.fields
            .iter_mut()
            .find(|change| change.number == number)
    }

    /// Sets a field of a message that is a field of this one, adding that message if need be.
    pub(super) fn set_inner(
        &mut self,
        segment: &[u8],
        store: &mut Store,
        outer: u32,
        inner: u32,
        value: NewField<'_>,
    ) {
        self.settle(segment, store);
        let old = field(segment, store, self.body, outer);
        let message = old.map_or(
            Held {
                start: self.body.end,
                ..self.body
            },
            |node| Held {
                start: node.body,
                end: node.end,
                ..self.body
            },
        );
        let (at, end) = field(segment, store, message, inner)
            .map_or((message.end, message.end), |node| (node.start, node.end));
        let new = value.write(inner, segment, store);
        let length = message.len() - (end - at) + new.len();
        let start = store.arena.len();
        wire::put_head(&mut store.arena, outer, length);
        store.copy(segment, Held { end: at, ..message });
        store.copy(segment, new);
        store.copy(
            segment,
            Held {
                start: end,
                ..message
            },
        );
        let whole = store.since(start);
        self.put(segment, store, (outer, Order::Last), whole);
    }

    /// Patches the parent, whose patches this message's follow: for a message that has a mark.
    #[inline]
    pub(super) fn close(&mut self, segment: &[u8], store: &mut Store) {
        if self.is_changed(store) {
            self.patch_parent(segment, store);
        }
    }

    fn patch_parent(&mut self, segment: &[u8], store: &mut Store) {
        if self.rewritten {
            self.settle(segment, store);
            let head = store.head(self.node, self.body.len());
            let floor = store.patches.len();
            store.push(floor, head);
            store.push(
                floor + 1,
                Patch::replacement(self.node.body, self.node.end, self.body),
            );
            return;
        }
        let mark = self.flush(store);
        let growth = store.growth(mark);
        if growth != 0 {
            let length = (self.node.end - self.node.body).saturating_add_signed(growth);
            let head = store.head(self.node, length);
            store.patches.insert(mark, head);
        }
    }

    /// Gives back what a message with very many attributes took.
    pub(super) fn shrink(&mut self, slots: usize) {
        self.table.shrink(slots);
    }
}

/// The first field of a message that has this number.
fn field(segment: &[u8], store: &Store, message: Held, number: u32) -> Option<Node> {
    Cursor::at(bytes(segment, &store.arena, message), message.start)
        .find(|field| field.number == number)
        .map(|field| Node::of(&field))
}
