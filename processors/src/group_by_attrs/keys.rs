//! Attributes as they lie in messages.

use tidegate_pdata::compose::Fields;
use tidegate_pdata::wire::Cursor;

/// A message that holds attributes, and the field that they are.
#[derive(Clone, Copy)]
pub(super) struct Holder<'a> {
    pub(super) message: &'a [u8],
    pub(super) field: u32,
}

/// An attribute: its key, its value, and the whole entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) whole: &'a [u8],
}

impl<'a> Entry<'a> {
    fn new(whole: &'a [u8]) -> Self {
        let mut entry = Self {
            key: &[],
            value: &[],
            whole,
        };
        for field in Cursor::new(whole) {
            match field.number {
                1 => entry.key = field.bytes,
                2 => entry.value = field.bytes,
                _ => {}
            }
        }
        entry
    }
}

impl<'a> Holder<'a> {
    pub(super) fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        let fields = Cursor::new(self.message).filter(move |field| field.number == self.field);
        fields.map(|field| Entry::new(field.bytes))
    }

    /// The attributes of these keys, in the order of the keys; of one that comes twice the first.
    pub(super) fn select(self, keys: &[Box<str>], found: &mut Vec<Option<Entry<'a>>>) {
        found.clear();
        found.resize(keys.len(), None);
        if keys.is_empty() {
            return;
        }
        for entry in self.entries() {
            let at = keys.iter().position(|key| key.as_bytes() == entry.key);
            if let Some(place) = at.and_then(|at| found.get_mut(at)) {
                place.get_or_insert(entry);
            }
        }
    }
}

/// Writes a message without the attributes that were selected of it.
pub(super) fn write_without(
    holder: Holder<'_>,
    selected: &[Option<Entry<'_>>],
    write: &mut Fields,
) {
    let mut copied = 0;
    for field in Cursor::new(holder.message) {
        let is_selected = field.number == holder.field
            && selected
                .iter()
                .flatten()
                .any(|entry| std::ptr::eq(entry.whole, field.bytes));
        if is_selected {
            write.raw(&holder.message[copied..field.start]);
            copied = field.end;
        }
    }
    write.raw(&holder.message[copied..]);
}
