//! Editors: one message in the hands of a processor.

use std::collections::VecDeque;

use super::attributes::AttributeEditor;
use super::draft::{Draft, Order};
use super::store::{Held, Store};
use super::value::NewField;

/// Types of messages that an editor can be of.
pub mod kind {
    /// A resource.
    #[derive(Clone, Copy, Debug)]
    pub struct Resource;
    /// A scope.
    #[derive(Clone, Copy, Debug)]
    pub struct Scope;
    /// A span.
    #[derive(Clone, Copy, Debug)]
    pub struct Span;
    /// An event of a span.
    #[derive(Clone, Copy, Debug)]
    pub struct SpanEvent;
    /// A link of a span.
    #[derive(Clone, Copy, Debug)]
    pub struct SpanLink;
    /// A log record.
    #[derive(Clone, Copy, Debug)]
    pub struct LogRecord;
    /// A metric.
    #[derive(Clone, Copy, Debug)]
    pub struct Metric;
    /// A data point, by the kind of its metric.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum DataPoint {
        /// Of a gauge or a sum.
        Number,
        /// Of a histogram.
        Histogram,
        /// Of an exponential histogram.
        ExponentialHistogram,
        /// Of a summary.
        Summary,
    }
}

/// How deep a message lies; what is open at each level has a draft of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Level {
    Resource,
    Scope,
    Metric,
    Record,
    Child,
}

/// A type of message that an editor can be of: the members of [`kind`].
#[expect(private_interfaces, reason = "sealed: implemented here alone")]
pub trait Target: Copy {
    /// The view of such a message.
    type View<'a>;
    #[doc(hidden)]
    const LEVEL: Level;
    /// The view of these bytes.
    fn view<'a>(self, bytes: &'a [u8]) -> Self::View<'a>;
    /// The number of the field that holds its attributes.
    fn attributes(self) -> u32;
    /// Whether the canonical form wants this field before others.
    fn is_first(self, _number: u32) -> bool {
        false
    }
}

/// Everything that is needed to edit a segment.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) store: Store,
    drafts: [Draft; 5],
    groups: [Group; 2],
    /// Metrics that were added to the scope and not shown yet.
    pub(super) added: VecDeque<Held>,
    /// Bytes of metrics that were added to the segment.
    pub(super) added_bytes: usize,
}

/// The message around a resource or a scope.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    pub(super) message: Held,
    /// The new field with its schema URL.
    pub(super) schema_url: Option<Held>,
}

/// Capacities that are kept between payloads; more was needed by an unusual one.
const KEPT_ARENA: usize = 1 << 20;
const KEPT_PATCHES: usize = 1 << 16;
const KEPT_SLOTS: usize = 1 << 10;

impl Scratch {
    pub(super) fn clear(&mut self) {
        self.store.clear();
        self.added.clear();
        self.added_bytes = 0;
    }

    /// Gives back what only an unusual payload needs.
    pub(super) fn shrink(&mut self) {
        self.store.clear();
        self.store.arena.shrink_to(KEPT_ARENA);
        self.store.patches.shrink_to(KEPT_PATCHES);
        for draft in &mut self.drafts {
            draft.shrink(KEPT_SLOTS);
        }
    }

    #[inline]
    pub(super) fn draft(&mut self, level: Level) -> (&mut Draft, &mut Store) {
        (&mut self.drafts[level as usize], &mut self.store)
    }

    #[inline]
    pub(super) const fn peek(&self, level: Level) -> &Draft {
        &self.drafts[level as usize]
    }

    pub(super) fn peek_group(&self, level: Level) -> &Group {
        &self.groups[usize::from(!matches!(level, Level::Resource))]
    }

    /// The message around the resource or the scope.
    pub(super) fn group(&mut self, level: Level) -> &mut Group {
        &mut self.groups[usize::from(!matches!(level, Level::Resource))]
    }
}

/// A message in the hands of a processor.
///
/// What it reads has all edits made so far. Looking at the whole of an edited message by
/// [`view`](Self::view) writes it anew first, some 30 ns for a span; looking at attributes through
/// [`attributes`](Self::attributes) does not.
#[derive(Debug)]
pub struct Editor<'e, T> {
    pub(super) segment: &'e [u8],
    pub(super) scratch: &'e mut Scratch,
    pub(super) target: T,
}

impl<T: Target> Editor<'_, T> {
    /// The message with all edits.
    #[inline]
    pub fn view(&mut self) -> T::View<'_> {
        let (draft, store) = self.scratch.draft(T::LEVEL);
        self.target.view(draft.content(self.segment, store))
    }

    /// Its attributes.
    #[inline]
    pub fn attributes(&mut self) -> AttributeEditor<'_> {
        let (draft, store) = self.scratch.draft(T::LEVEL);
        draft.attributes(self.segment, store)
    }

    /// Replaces the message by another of its type, in canonical form.
    pub fn replace(&mut self, message: &[u8]) {
        let (draft, store) = self.scratch.draft(T::LEVEL);
        draft.replace(store, message);
    }

    /// Sets the field of this number, of those that come at most once and are in no oneof.
    ///
    /// For what has no method of its own here.
    pub fn set(&mut self, number: u32, value: NewField<'_>) {
        let order = if self.target.is_first(number) {
            Order::First
        } else {
            Order::Last
        };
        let (draft, store) = self.scratch.draft(T::LEVEL);
        draft.set(self.segment, store, (number, order), value);
    }

    /// Sets a field of the message that the field `outer` is.
    pub(super) fn set_inner(&mut self, outer: u32, inner: u32, value: NewField<'_>) {
        let (draft, store) = self.scratch.draft(T::LEVEL);
        draft.set_inner(self.segment, store, outer, inner, value);
    }

    /// The same editing space for another message that is open.
    pub(super) fn other<O>(&mut self, target: O) -> Editor<'_, O> {
        Editor {
            segment: self.segment,
            scratch: self.scratch,
            target,
        }
    }
}
