//! Spans.

use super::attributes::Attributes;
use super::repeated::Repeated;
use super::text::Text;

message! {
    /// One operation of a trace.
    Span, SpanFields<'a> {
        /// The trace that it belongs to: 16 bytes, or none.
        trace_id: &'a [u8] = 1,
        /// Its own identity: 8 bytes, or none.
        span_id: &'a [u8] = 2,
        /// The W3C trace state.
        trace_state: Text<'a> = 3,
        /// The span that caused it: 8 bytes, or none for a root.
        parent_span_id: &'a [u8] = 4,
        /// Its name.
        name: Text<'a> = 5,
        /// Its `SpanKind`.
        kind: i32 = 6,
        /// Its start, in nanoseconds since 1970.
        start_time_unix_nano: u64 = 7,
        /// Its end, in nanoseconds since 1970.
        end_time_unix_nano: u64 = 8,
        /// Its attributes.
        attributes: Attributes<'a> = 9,
        /// Attributes that its sender left out.
        dropped_attributes_count: u32 = 10,
        /// What happened during it.
        events: Repeated<'a, SpanEvent<'a>> = 11,
        /// Events that its sender left out.
        dropped_events_count: u32 = 12,
        /// Other spans that it has to do with.
        links: Repeated<'a, SpanLink<'a>> = 13,
        /// Links that its sender left out.
        dropped_links_count: u32 = 14,
        /// How it ended.
        status: Option<Status<'a>> = 15,
        /// W3C trace flags in the low byte, and above them whether the parent is remote.
        flags: u32 = 16,
    }
}

message! {
    /// Something that happened during a span.
    SpanEvent, SpanEventFields<'a> {
        /// When, in nanoseconds since 1970.
        time_unix_nano: u64 = 1,
        /// Its name.
        name: Text<'a> = 2,
        /// Its attributes.
        attributes: Attributes<'a> = 3,
        /// Attributes that its sender left out.
        dropped_attributes_count: u32 = 4,
    }
}

message! {
    /// Another span that a span has to do with.
    SpanLink, SpanLinkFields<'a> {
        /// The other span's trace.
        trace_id: &'a [u8] = 1,
        /// The other span.
        span_id: &'a [u8] = 2,
        /// The other span's W3C trace state.
        trace_state: Text<'a> = 3,
        /// The link's attributes.
        attributes: Attributes<'a> = 4,
        /// Attributes that its sender left out.
        dropped_attributes_count: u32 = 5,
        /// The other span's flags, as in [`Span::flags`].
        flags: u32 = 6,
    }
}

message! {
    /// How a span ended.
    Status, StatusFields<'a> {
        /// What went wrong, for people.
        message: Text<'a> = 2,
        /// Its `StatusCode`.
        code: i32 = 3,
    }
}
