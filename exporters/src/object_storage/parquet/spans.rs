//! The table of spans.

use arrow_array::builder::{ArrayBuilder, Int64Builder, StringBuilder, UInt32Builder};
use tidegate_pdata::view::{Repeated, Span, SpanEvent, SpanLink, View};

use super::Settings;
use super::attributes::AttributeColumns;
use super::columns::{
    Columns, Ids, Lists, Times, put_duration, put_name, put_text, put_text_or_null,
};
use super::promoted::Promoted;
use super::rows::Place;
use super::table::RecordColumns;

/// The names of `SpanKind`.
pub(super) const KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

/// The names of `StatusCode`.
pub(super) const STATUS_CODES: &[&str] =
    &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

/// The columns of a span's own fields.
pub(super) struct Spans {
    trace_id: Ids,
    span_id: Ids,
    parent_span_id: Ids,
    trace_state: StringBuilder,
    flags: UInt32Builder,
    name: StringBuilder,
    kind: StringBuilder,
    start: Times,
    end: Times,
    duration: Int64Builder,
    status_code: StringBuilder,
    status_message: StringBuilder,
    attributes: AttributeColumns,
    dropped_attributes: UInt32Builder,
    events: Events,
    dropped_events: UInt32Builder,
    links: Links,
    dropped_links: UInt32Builder,
}

impl Spans {
    pub(super) fn new(settings: &Settings) -> Self {
        let ids = || Ids::new(settings.ids);
        Self {
            trace_id: ids(),
            span_id: ids(),
            parent_span_id: ids(),
            trace_state: StringBuilder::new(),
            flags: UInt32Builder::new(),
            name: StringBuilder::new(),
            kind: StringBuilder::new(),
            start: Times::default(),
            end: Times::default(),
            duration: Int64Builder::new(),
            status_code: StringBuilder::new(),
            status_message: StringBuilder::new(),
            attributes: AttributeColumns::default(),
            dropped_attributes: UInt32Builder::new(),
            events: Events::default(),
            dropped_events: UInt32Builder::new(),
            links: Links::new(settings),
            dropped_links: UInt32Builder::new(),
        }
    }
}

impl RecordColumns for Spans {
    fn put(&mut self, place: &Place<'_>, promoted: &mut Promoted, exact: &mut bool) {
        let span = Span::of(place.record).fields();
        self.trace_id.put(span.trace_id);
        self.span_id.put(span.span_id);
        self.parent_span_id.put(span.parent_span_id);
        put_text_or_null(&mut self.trace_state, span.trace_state, exact);
        self.flags.append_value(span.flags);
        put_text(&mut self.name, span.name, exact);
        put_name(&mut self.kind, KINDS, span.kind);
        self.start.put(span.start_time_unix_nano, exact);
        self.end.put(span.end_time_unix_nano, exact);
        put_duration(
            &mut self.duration,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
        );
        if let Some(status) = span.status {
            let status = status.fields();
            put_name(&mut self.status_code, STATUS_CODES, status.code);
            put_text_or_null(&mut self.status_message, status.message, exact);
        } else {
            self.status_code.append_null();
            self.status_message.append_null();
        }
        self.attributes
            .put_promoting(span.attributes, Some(promoted), exact);
        self.dropped_attributes
            .append_value(span.dropped_attributes_count);
        self.events.put(span.events, exact);
        self.dropped_events.append_value(span.dropped_events_count);
        self.links.put(span.links, exact);
        self.dropped_links.append_value(span.dropped_links_count);
    }

    fn finish(&mut self, columns: &mut Columns) {
        columns.push("trace_id", true, self.trace_id.finish());
        columns.push("span_id", true, self.span_id.finish());
        columns.push("parent_span_id", true, self.parent_span_id.finish());
        columns.maybe("trace_state", self.trace_state.finish());
        columns.always("flags", self.flags.finish());
        columns.always("name", self.name.finish());
        columns.always("kind", self.kind.finish());
        columns.maybe("start_time", self.start.finish());
        columns.maybe("end_time", self.end.finish());
        columns.maybe("duration", self.duration.finish());
        columns.maybe("status_code", self.status_code.finish());
        columns.maybe("status_message", self.status_message.finish());
        self.attributes.finish("span_attribute", columns);
        columns.always("dropped_attributes_count", self.dropped_attributes.finish());
        self.events.finish(columns);
        columns.always("dropped_events_count", self.dropped_events.finish());
        self.links.finish(columns);
        columns.always("dropped_links_count", self.dropped_links.finish());
    }
}

#[derive(Default)]
struct Events {
    lists: Lists,
    time: Times,
    name: StringBuilder,
    attributes: AttributeColumns,
    dropped: UInt32Builder,
}

impl Events {
    fn put<'a>(&mut self, events: Repeated<'a, SpanEvent<'a>>, exact: &mut bool) {
        for event in events {
            let event = event.fields();
            self.time.put(event.time_unix_nano, exact);
            put_text(&mut self.name, event.name, exact);
            self.attributes.put(event.attributes, exact);
            self.dropped.append_value(event.dropped_attributes_count);
        }
        self.lists.end(self.name.len());
    }

    fn finish(&mut self, columns: &mut Columns) {
        let mut inner = Columns::default();
        inner.maybe("time", self.time.finish());
        inner.always("name", self.name.finish());
        self.attributes.finish("attribute", &mut inner);
        inner.always("dropped_attributes_count", self.dropped.finish());
        columns.always("events", self.lists.of_structs(inner));
    }
}

struct Links {
    lists: Lists,
    trace_id: Ids,
    span_id: Ids,
    trace_state: StringBuilder,
    flags: UInt32Builder,
    attributes: AttributeColumns,
    dropped: UInt32Builder,
}

impl Links {
    fn new(settings: &Settings) -> Self {
        Self {
            lists: Lists::default(),
            trace_id: Ids::new(settings.ids),
            span_id: Ids::new(settings.ids),
            trace_state: StringBuilder::new(),
            flags: UInt32Builder::new(),
            attributes: AttributeColumns::default(),
            dropped: UInt32Builder::new(),
        }
    }

    fn put<'a>(&mut self, links: Repeated<'a, SpanLink<'a>>, exact: &mut bool) {
        for link in links {
            let link = link.fields();
            self.trace_id.put(link.trace_id);
            self.span_id.put(link.span_id);
            put_text_or_null(&mut self.trace_state, link.trace_state, exact);
            self.flags.append_value(link.flags);
            self.attributes.put(link.attributes, exact);
            self.dropped.append_value(link.dropped_attributes_count);
        }
        self.lists.end(self.flags.len());
    }

    fn finish(&mut self, columns: &mut Columns) {
        let mut inner = Columns::default();
        inner.push("trace_id", true, self.trace_id.finish());
        inner.push("span_id", true, self.span_id.finish());
        inner.maybe("trace_state", self.trace_state.finish());
        inner.always("flags", self.flags.finish());
        self.attributes.finish("attribute", &mut inner);
        inner.always("dropped_attributes_count", self.dropped.finish());
        columns.always("links", self.lists.of_structs(inner));
    }
}
