//! What can be edited of resources, scopes, spans and log records.

use super::Verdict;
use super::editor::{Editor, Level, Target, kind};
use super::store::{Patch, bytes};
use super::value::{NewField, NewValue};
use crate::view::{LogRecord, Resource, Scope, Span, SpanEvent, SpanLink, Text, View};
use crate::wire::Cursor;

/// Edits a resource.
pub type ResourceEditor<'e> = Editor<'e, kind::Resource>;
/// Edits a scope.
pub type ScopeEditor<'e> = Editor<'e, kind::Scope>;
/// Edits a span.
pub type SpanEditor<'e> = Editor<'e, kind::Span>;
/// Edits an event of a span.
pub type SpanEventEditor<'e> = Editor<'e, kind::SpanEvent>;
/// Edits a link of a span.
pub type SpanLinkEditor<'e> = Editor<'e, kind::SpanLink>;
/// Edits a log record.
pub type LogRecordEditor<'e> = Editor<'e, kind::LogRecord>;

macro_rules! target {
    ($($kind:ident: $view:ident at $level:ident, attributes in $attributes:literal;)*) => {$(
        #[expect(private_interfaces, reason = "sealed")]
        impl Target for kind::$kind {
            type View<'a> = $view<'a>;
            const LEVEL: Level = Level::$level;
            #[inline]
            fn view<'a>(self, bytes: &'a [u8]) -> $view<'a> {
                $view::of(bytes)
            }
            #[inline]
            fn attributes(self) -> u32 {
                $attributes
            }
        }
    )*};
}

target! {
    Resource: Resource at Resource, attributes in 1;
    Scope: Scope at Scope, attributes in 3;
    Span: Span at Record, attributes in 9;
    SpanEvent: SpanEvent at Child, attributes in 3;
    SpanLink: SpanLink at Child, attributes in 4;
    LogRecord: LogRecord at Record, attributes in 6;
}

/// Declares methods that set a field; a default is left out, as in proto3.
macro_rules! setters {
    ($kind:ident { $($(#[$doc:meta])* $name:ident: $type:ident = $number:literal;)* }) => {
        impl Editor<'_, kind::$kind> {$(
            $(#[$doc])*
            pub fn $name(&mut self, value: setters!(@type $type)) {
                self.set($number, setters!(@field $type, value).or_absent());
            }
        )*}
    };
    (@type bytes) => { impl AsRef<[u8]> };
    (@type enumeration) => { i32 };
    (@type uint32) => { u32 };
    (@type fixed32) => { u32 };
    (@type fixed64) => { u64 };
    (@field bytes, $value:ident) => { NewField::Bytes($value.as_ref()) };
    (@field enumeration, $value:ident) => { NewField::Varint(i64::from($value) as u64) };
    (@field uint32, $value:ident) => { NewField::Varint(u64::from($value)) };
    (@field fixed32, $value:ident) => { NewField::Fixed32($value) };
    (@field fixed64, $value:ident) => { NewField::Fixed64($value) };
}
pub(super) use setters;

setters!(Resource {
    /// Sets [`Resource::dropped_attributes_count`].
    set_dropped_attributes_count: uint32 = 2;
});

setters!(Scope {
    /// Sets [`Scope::name`].
    set_name: bytes = 1;
    /// Sets [`Scope::version`].
    set_version: bytes = 2;
    /// Sets [`Scope::dropped_attributes_count`].
    set_dropped_attributes_count: uint32 = 4;
});

setters!(Span {
    /// Sets [`Span::trace_id`].
    set_trace_id: bytes = 1;
    /// Sets [`Span::span_id`].
    set_span_id: bytes = 2;
    /// Sets [`Span::trace_state`].
    set_trace_state: bytes = 3;
    /// Sets [`Span::parent_span_id`].
    set_parent_span_id: bytes = 4;
    /// Sets [`Span::name`].
    set_name: bytes = 5;
    /// Sets [`Span::kind`].
    set_kind: enumeration = 6;
    /// Sets [`Span::start_time_unix_nano`].
    set_start_time_unix_nano: fixed64 = 7;
    /// Sets [`Span::end_time_unix_nano`].
    set_end_time_unix_nano: fixed64 = 8;
    /// Sets [`Span::dropped_attributes_count`].
    set_dropped_attributes_count: uint32 = 10;
    /// Sets [`Span::dropped_events_count`].
    set_dropped_events_count: uint32 = 12;
    /// Sets [`Span::dropped_links_count`].
    set_dropped_links_count: uint32 = 14;
    /// Sets [`Span::flags`].
    set_flags: fixed32 = 16;
});

setters!(SpanEvent {
    /// Sets [`SpanEvent::time_unix_nano`].
    set_time_unix_nano: fixed64 = 1;
    /// Sets [`SpanEvent::name`].
    set_name: bytes = 2;
    /// Sets [`SpanEvent::dropped_attributes_count`].
    set_dropped_attributes_count: uint32 = 4;
});

setters!(SpanLink {
    /// Sets [`SpanLink::trace_id`].
    set_trace_id: bytes = 1;
    /// Sets [`SpanLink::span_id`].
    set_span_id: bytes = 2;
    /// Sets [`SpanLink::trace_state`].
    set_trace_state: bytes = 3;
    /// Sets [`SpanLink::dropped_attributes_count`].
    set_dropped_attributes_count: uint32 = 5;
    /// Sets [`SpanLink::flags`].
    set_flags: fixed32 = 6;
});

setters!(LogRecord {
    /// Sets [`LogRecord::time_unix_nano`].
    set_time_unix_nano: fixed64 = 1;
    /// Sets [`LogRecord::severity_number`].
    set_severity_number: enumeration = 2;
    /// Sets [`LogRecord::severity_text`].
    set_severity_text: bytes = 3;
    /// Sets [`LogRecord::dropped_attributes_count`].
    set_dropped_attributes_count: uint32 = 7;
    /// Sets [`LogRecord::flags`].
    set_flags: fixed32 = 8;
    /// Sets [`LogRecord::trace_id`].
    set_trace_id: bytes = 9;
    /// Sets [`LogRecord::span_id`].
    set_span_id: bytes = 10;
    /// Sets [`LogRecord::observed_time_unix_nano`].
    set_observed_time_unix_nano: fixed64 = 11;
    /// Sets [`LogRecord::event_name`].
    set_event_name: bytes = 12;
});

impl LogRecordEditor<'_> {
    /// Sets [`LogRecord::body`].
    pub fn set_body<'v>(&mut self, body: impl Into<NewValue<'v>>) {
        self.set(5, NewField::Value(body.into()));
    }

    /// Leaves the body out.
    pub fn clear_body(&mut self) {
        self.set(5, NewField::Absent);
    }
}

impl SpanEditor<'_> {
    /// Sets [`Status::code`](crate::view::Status::code), adding the status if need be.
    pub fn set_status_code(&mut self, code: i32) {
        self.set_inner(15, 3, NewField::Varint(i64::from(code) as u64).or_absent());
    }

    /// Sets [`Status::message`](crate::view::Status::message), adding the status if need be.
    pub fn set_status_message(&mut self, message: impl AsRef<[u8]>) {
        self.set_inner(15, 2, NewField::Bytes(message.as_ref()).or_absent());
    }

    /// Shows the events in order.
    pub fn edit_events(&mut self, edit: impl FnMut(&mut SpanEventEditor<'_>) -> Verdict) {
        self.edit_children(11, kind::SpanEvent, edit);
    }

    /// Shows the links in order.
    pub fn edit_links(&mut self, edit: impl FnMut(&mut SpanLinkEditor<'_>) -> Verdict) {
        self.edit_children(13, kind::SpanLink, edit);
    }

    fn edit_children<T: Target>(
        &mut self,
        number: u32,
        target: T,
        mut edit: impl FnMut(&mut Editor<'_, T>) -> Verdict,
    ) {
        let (span, store) = self.scratch.draft(Level::Record);
        let message = span.settled(self.segment, store);
        let floor = store.patches.len();
        let mut at = message.start;
        while let Some(node) = self.scratch.store.next(self.segment, message, at) {
            at = node.end;
            if node.number != number {
                continue;
            }
            let mark = self.scratch.store.patches.len();
            let (child, _) = self.scratch.draft(Level::Child);
            child.open(node, message.place, target.attributes(), Some(mark));
            let verdict = edit(&mut self.other(target));
            let (child, store) = self.scratch.draft(Level::Child);
            match verdict {
                Verdict::Keep => child.close(self.segment, store),
                Verdict::Drop => {
                    store.patches.truncate(mark);
                    store.push(floor, Patch::removal(node.start, node.end));
                }
            }
        }
    }
}

impl SpanEventEditor<'_> {
    /// The span that it is of, as it was when the walk over its events began.
    pub fn span(&mut self) -> Span<'_> {
        parent(self)
    }
}

impl SpanLinkEditor<'_> {
    /// The span that it is of, as it was when the walk over its links began.
    pub fn span(&mut self) -> Span<'_> {
        parent(self)
    }
}

fn parent<'e, T>(child: &'e mut Editor<'_, T>) -> Span<'e> {
    let (span, store) = child.scratch.draft(Level::Record);
    Span::of(span.last_content(child.segment, store))
}

/// Declares how an editor reaches what its message lies in.
macro_rules! origin {
    ($($kind:ident)*) => {$(
        impl Editor<'_, kind::$kind> {
            /// The scope that it is of. Editing it here edits it for the rest of its records too.
            #[inline]
            pub fn scope(&mut self) -> ScopeEditor<'_> {
                self.other(kind::Scope)
            }
        }
        origin!(@resource $kind);
    )*};
    (@resource $kind:ident) => {
        impl Editor<'_, kind::$kind> {
            /// The resource that it is of. Editing it here edits it for the rest of its records too.
            #[inline]
            pub fn resource(&mut self) -> ResourceEditor<'_> {
                self.other(kind::Resource)
            }
        }
    };
}

origin!(Span SpanEvent SpanLink LogRecord Metric DataPoint);
origin!(@resource Scope);

/// The field of a group that holds its schema URL.
pub(super) const SCHEMA_URL: u32 = 3;

/// Declares the schema URL, which is not in the message but beside it.
macro_rules! schema_url {
    ($($kind:ident: $what:literal;)*) => {$(
        impl Editor<'_, kind::$kind> {
            #[doc = concat!("The schema of ", $what, ".")]
            pub fn schema_url(&mut self) -> Text<'_> {
                self.beside()
            }

            #[doc = concat!("Sets the schema of ", $what, ".")]
            pub fn set_schema_url(&mut self, url: impl AsRef<[u8]>) {
                let field = NewField::Bytes(url.as_ref()).or_absent();
                let new = field.write(SCHEMA_URL, self.segment, &mut self.scratch.store);
                self.scratch.group(<kind::$kind as Target>::LEVEL).schema_url = Some(new);
            }
        }
    )*};
}

schema_url! {
    Resource: "the resource";
    Scope: "the scope's records";
}

impl<T: Target> Editor<'_, T> {
    fn beside(&mut self) -> Text<'_> {
        let group = *self.scratch.group(T::LEVEL);
        let at = group.schema_url.unwrap_or(group.message);
        Cursor::new(bytes(self.segment, &self.scratch.store.arena, at))
            .find(|field| field.number == SCHEMA_URL)
            .map_or(Text::default(), |field| Text::new(field.bytes))
    }
}
