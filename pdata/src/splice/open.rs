//! The messages that are open at once, whatever their types: for processors whose configuration says which
//! field of which message they read and edit.

use super::attributes::AttributeEditor;
use super::draft::{Draft, Order};
use super::editor::{Editor, Level, Scratch, Target};
use super::records::SCHEMA_URL;
use super::store::{Store, bytes};
use super::value::NewField;
use crate::view::{AnyValue, Attributes, Text};
use crate::wire::{Cursor, Field};

/// One of the messages that are open: the one at hand, or one that it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The resource.
    Resource,
    /// The scope.
    Scope,
    /// The metric, of data points and of itself.
    Metric,
    /// The span, the log record or the data point.
    Record,
    /// The event or the link of a span.
    Child,
}

impl Part {
    const fn level(self) -> Level {
        match self {
            Self::Resource => Level::Resource,
            Self::Scope => Level::Scope,
            Self::Metric => Level::Metric,
            Self::Record => Level::Record,
            Self::Child => Level::Child,
        }
    }
}

/// Metrics that are added take so many times the size of the segment at most, and this.
const MOST_ADDED: usize = 8;
const LEAST_ROOM: usize = 1 << 16;

/// All messages that are open, by their [`Part`].
///
/// Parts that are not open where it was taken have contents that mean nothing.
#[derive(Debug)]
pub struct Open<'e> {
    segment: &'e [u8],
    scratch: &'e mut Scratch,
}

impl<T: Target> Editor<'_, T> {
    /// The message with those that it lies in.
    #[inline]
    pub fn open(&mut self) -> Open<'_> {
        Open {
            segment: self.segment,
            scratch: self.scratch,
        }
    }
}

impl Open<'_> {
    /// What a message looks like now.
    #[inline]
    #[must_use]
    pub fn reading(&self, part: Part) -> Reading<'_> {
        Reading {
            segment: self.segment,
            store: &self.scratch.store,
            draft: self.scratch.peek(part.level()),
        }
    }

    /// The attributes of a message.
    #[inline]
    pub fn attributes(&mut self, part: Part) -> AttributeEditor<'_> {
        let (draft, store) = self.scratch.draft(part.level());
        draft.attributes(self.segment, store)
    }

    /// Sets the field of this number, of those that come at most once.
    ///
    /// Unlike the editors' own methods it never writes the message anew, so it may be used while the
    /// message's records, points or events are being walked.
    pub fn set(&mut self, part: Part, number: u32, value: NewField<'_>) {
        let order = if part == Part::Metric && number <= 3 {
            Order::First
        } else {
            Order::Last
        };
        let (draft, store) = self.scratch.draft(part.level());
        draft.set(self.segment, store, (number, order), value);
    }

    /// Replaces a message by another of its type, in canonical form. Of a message whose children are
    /// being walked it must not be used.
    pub fn replace(&mut self, part: Part, message: &[u8]) {
        let (draft, store) = self.scratch.draft(part.level());
        draft.replace(store, message);
    }

    /// The content of a message with all edits, which writes it anew if there are any; likewise not for a
    /// message whose children are being walked.
    pub fn content(&mut self, part: Part) -> &[u8] {
        let (draft, store) = self.scratch.draft(part.level());
        draft.content(self.segment, store)
    }

    /// Adds a metric to the scope, in canonical form: for edits of a metric, and shown after those that
    /// the scope has already; says whether there was room.
    ///
    /// What is added is shown too, and may add more: so it is bounded by what there was.
    pub fn add_metric(&mut self, message: &[u8]) -> bool {
        let most = MOST_ADDED * self.segment.len() + LEAST_ROOM;
        if self.scratch.added_bytes + message.len() > most {
            return false;
        }
        self.scratch.added_bytes += message.len();
        let metric = self
            .scratch
            .store
            .write(|out| out.extend_from_slice(message));
        self.scratch.added.push_back(metric);
        true
    }

    /// The schema of a resource, or of a scope's records.
    #[must_use]
    pub fn schema_url(&self, part: Part) -> Text<'_> {
        let group = self.scratch.peek_group(part.level());
        let at = group.schema_url.unwrap_or(group.message);
        Cursor::new(bytes(self.segment, &self.scratch.store.arena, at))
            .find(|field| field.number == SCHEMA_URL)
            .map_or(Text::default(), |field| Text::new(field.bytes))
    }

    /// Sets the schema of a resource, or of a scope's records.
    pub fn set_schema_url(&mut self, part: Part, url: &[u8]) {
        let field = NewField::Bytes(url).or_absent();
        let new = field.write(SCHEMA_URL, self.segment, &mut self.scratch.store);
        self.scratch.group(part.level()).schema_url = Some(new);
    }
}

/// A message with its edits so far, read where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'r> {
    segment: &'r [u8],
    store: &'r Store,
    draft: &'r Draft,
}

impl<'r> Reading<'r> {
    /// The first field of this number, but for attributes.
    #[inline]
    #[must_use]
    pub fn field(&self, number: u32) -> Option<Field<'r>> {
        self.draft.peek_field(self.segment, self.store, number)
    }

    /// The content of the message, without the fields and attributes that were set since it was last
    /// written: for repeated fields, which are not set.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &'r [u8] {
        self.draft.last_content(self.segment, self.store)
    }

    /// The value of the first attribute with this key.
    #[inline]
    #[must_use]
    pub fn attribute(&self, key: &[u8]) -> Option<AnyValue<'r>> {
        let table = self.draft.table();
        if !table.is_read() {
            return Attributes::new(self.body(), table.number()).get(key);
        }
        let position = table.find(self.segment, self.store, key)?;
        let (_, value) = table.pair(position)?;
        Some(AnyValue::of_bytes(bytes(
            self.segment,
            &self.store.arena,
            value,
        )))
    }

    /// All attributes, in order.
    #[must_use]
    pub fn attributes(&self) -> ReadAttributes<'r> {
        let table = self.draft.table();
        ReadAttributes {
            reading: *self,
            plain: (!table.is_read()).then(|| Attributes::new(self.body(), table.number())),
            position: 0,
        }
    }
}

/// The attributes of a message with its edits so far.
#[derive(Clone, Debug)]
pub struct ReadAttributes<'r> {
    reading: Reading<'r>,
    /// Those of the message, where none was looked at or edited yet.
    plain: Option<Attributes<'r>>,
    position: usize,
}

impl<'r> Iterator for ReadAttributes<'r> {
    type Item = (Text<'r>, AnyValue<'r>);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(plain) = &mut self.plain {
            return plain.next();
        }
        let Reading {
            segment,
            store,
            draft,
        } = self.reading;
        let table = draft.table();
        while self.position < table.positions() {
            let position = self.position;
            self.position += 1;
            if let Some((key, value)) = table.pair(position) {
                let at = |held| bytes(segment, &store.arena, held);
                return Some((Text::new(at(key)), AnyValue::of_bytes(at(value))));
            }
        }
        None
    }
}
