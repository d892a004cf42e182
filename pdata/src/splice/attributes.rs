//! Editing attributes.

use std::ops::Range;

use super::store::{Held, Store, bytes};
use super::table::Table;
use super::value::NewValue;
use crate::view::{AnyValue, Text, View};

/// Edits the attributes of a message.
///
/// Edits take effect at once for whatever is asked next. Where a key comes twice, the first is
/// read, updated and deleted, as in the Collector. New attributes go after the last, whose place
/// in the order the Collector gives to a deleted one's: here the others keep theirs.
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
        self.at(self.position(key)?).map(|(_, value)| value)
    }

    /// A hold on the value of the first attribute with this key, to write it elsewhere.
    #[must_use]
    pub fn hold(&self, key: impl AsRef<[u8]>) -> Option<Held> {
        self.table.pair(self.position(key)?).map(|(_, value)| value)
    }

    /// The number of attributes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The attributes in order.
    pub fn iter(&self) -> impl Iterator<Item = (Text<'_>, AnyValue<'_>)> {
        self.positions().filter_map(|position| self.at(position))
    }

    /// Adds an attribute, unless there is one with this key; says whether it did.
    pub fn insert<'v>(&mut self, key: impl AsRef<[u8]>, value: impl Into<NewValue<'v>>) -> bool {
        let key = key.as_ref();
        let absent = self.position(key).is_none();
        if absent {
            self.add(key, &value.into());
        }
        absent
    }

    /// Replaces the value of the first attribute with this key; says whether there is one.
    pub fn update<'v>(&mut self, key: impl AsRef<[u8]>, value: impl Into<NewValue<'v>>) -> bool {
        let found = self.position(key);
        if let Some(position) = found {
            self.set_value(position, &value.into());
        }
        found.is_some()
    }

    /// Replaces the value of the first attribute with this key, or adds one.
    pub fn upsert<'v>(&mut self, key: impl AsRef<[u8]>, value: impl Into<NewValue<'v>>) {
        let key = key.as_ref();
        match self.position(key) {
            Some(position) => self.set_value(position, &value.into()),
            None => self.add(key, &value.into()),
        }
    }

    /// Removes the first attribute with this key; says whether there was one.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> bool {
        let found = self.position(key);
        if let Some(position) = found {
            self.table.remove(position);
        }
        found.is_some()
    }

    /// Gives the first attribute with one key another key, in its place; says whether there is one.
    ///
    /// What has the other key already stays.
    pub fn rename(&mut self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> bool {
        let found = self.position(from);
        if let Some(position) = found {
            self.set_key(position, to.as_ref());
        }
        found.is_some()
    }

    /// Removes the attributes that do not satisfy a condition; says how many.
    pub fn retain(&mut self, mut keep: impl FnMut(Text<'_>, AnyValue<'_>) -> bool) -> usize {
        let mut removed = 0;
        for position in self.positions() {
            if self
                .at(position)
                .is_some_and(|(key, value)| !keep(key, value))
            {
                self.table.remove(position);
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

    /// The position of the first attribute with this key. It stays the same until the message is
    /// looked at as a whole.
    #[must_use]
    #[inline]
    pub fn position(&self, key: impl AsRef<[u8]>) -> Option<usize> {
        self.table.find(self.segment, self.store, key.as_ref())
    }

    /// The positions at which attributes may be; new ones take positions past these.
    #[must_use]
    pub fn positions(&self) -> Range<usize> {
        0..self.table.positions()
    }

    /// The attribute at a position, unless it was removed.
    #[must_use]
    pub fn at(&self, position: usize) -> Option<(Text<'_>, AnyValue<'_>)> {
        let (key, value) = self.table.pair(position)?;
        let at = |held| bytes(self.segment, &self.store.arena, held);
        Some((Text::new(at(key)), AnyValue::of(at(value))))
    }

    /// Replaces the value at a position, unless the attribute was removed.
    pub fn update_at<'v>(&mut self, position: usize, value: impl Into<NewValue<'v>>) {
        if self.table.pair(position).is_some() {
            self.set_value(position, &value.into());
        }
    }

    /// Gives the attribute at a position another key, unless it was removed.
    pub fn rename_at(&mut self, position: usize, key: impl AsRef<[u8]>) {
        if self.table.pair(position).is_some() {
            self.set_key(position, key.as_ref());
        }
    }

    /// Removes the attribute at a position.
    pub fn delete_at(&mut self, position: usize) {
        self.table.remove(position);
    }

    fn add(&mut self, key: &[u8], value: &NewValue<'_>) {
        self.table.add(self.segment, self.store, key, value);
    }

    fn set_value(&mut self, position: usize, value: &NewValue<'_>) {
        self.table
            .set_value(self.segment, self.store, position, value);
    }

    fn set_key(&mut self, position: usize, key: &[u8]) {
        self.table.set_key(self.segment, self.store, position, key);
    }
}
