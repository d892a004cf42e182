//! Spans of the first format as OTLP.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_pdata::compose::{Fields, Value, event, span as field};

use super::status::{Statuses, Tag};
use super::{Endpoint, Span};
use crate::grouped::{Grouped, NoRoom};
use crate::repeated::repeated;
use crate::text::Text;
use crate::zipkin::names::{SERVICE_NAME, START_ABSENT};

/// Whose a span is where nobody says it.
const UNKNOWN: &str = "unknown-service";
/// Names the component that a span without a call belongs to.
const LOCAL_COMPONENT: &str = "lc";

/// Translates spans one after the other.
#[derive(Debug, Default)]
pub(in crate::zipkin) struct Translator {
    /// Whether texts that say a number or a truth become one.
    parse: bool,
    /// Whether spans without a time get the present one.
    dates: bool,
    /// What each tag of the span at hand becomes.
    kept: Vec<bool>,
    scratch: String,
}

/// What the annotations of a span say beside events.
#[derive(Debug, Default)]
struct Sides<'s, 'a> {
    kind: u64,
    endpoint: Option<&'s Endpoint<'a>>,
    first: Option<i64>,
    last: Option<i64>,
}

/// The kind of span that an annotation stands for, if it does for one.
fn kind(value: &str) -> Option<u64> {
    match value {
        "sr" | "ss" => Some(2),
        "cs" | "cr" => Some(3),
        "ms" => Some(4),
        "mr" => Some(5),
        _ => None,
    }
}

impl<'s, 'a> Sides<'s, 'a> {
    fn of(span: &'s Span<'a>) -> Self {
        let mut sides = Self::default();
        for annotation in &span.annotations {
            if annotation.value.is_empty() {
                continue;
            }
            if let Some(kind) = kind(&annotation.value) {
                if sides.kind == 0 {
                    sides.kind = kind;
                }
                let named = |endpoint: &&Endpoint<'_>| !matches!(&*endpoint.service, "" | UNKNOWN);
                let endpoint = annotation.endpoint.as_ref().filter(named);
                sides.endpoint = sides.endpoint.or(endpoint);
            }
            let time = annotation.time;
            sides.first = Some(sides.first.map_or(time, |first| first.min(time)));
            sides.last = Some(sides.last.map_or(time, |last| last.max(time)));
        }
        sides
    }
}

impl Translator {
    pub(in crate::zipkin) fn new(parse: bool, dates: bool) -> Self {
        Self {
            parse,
            dates,
            ..Self::default()
        }
    }

    /// Writes a span where it belongs.
    pub(in crate::zipkin) fn translate(
        &mut self,
        span: &Span<'_>,
        out: &mut Grouped<'_>,
    ) -> Result<(), NoRoom> {
        let sides = Sides::of(span);
        let (status, service) = self.read_tags(span);
        out.resource(|resource| self.write_resource(sides.endpoint, service, resource));
        out.scope(|_| {});
        out.span(|fields| {
            fields.some_bytes(field::TRACE_ID, &span.trace_id.to_be_bytes());
            fields.some_bytes(field::SPAN_ID, &span.id.to_be_bytes());
            if span.parent != 0 {
                fields.some_bytes(field::PARENT_SPAN_ID, &span.parent.to_be_bytes());
            }
            fields.string(field::NAME, &span.name);
            fields.uint(field::KIND, sides.kind);
            let absent = self.write_times(span, &sides, fields);
            self.write_attributes(span, absent, fields);
            for annotation in &span.annotations {
                if annotation.value.is_empty() || kind(&annotation.value).is_some() {
                    continue;
                }
                fields.message(field::EVENTS, |fields| {
                    fields.fixed64(event::TIME, nanoseconds(annotation.time));
                    fields.string(event::NAME, &annotation.value);
                });
            }
            if let Some((code, message)) = status {
                fields.message(field::STATUS, |status| {
                    status.string(2, message);
                    status.uint(3, code as u64); // a sign is extended, as protobuf has it
                });
            }
        })
    }

    /// Finds out what the tags say of the status, and the service that they come from.
    fn read_tags<'s>(&mut self, span: &'s Span<'_>) -> (Option<(i32, &'s str)>, &'s str) {
        let mut statuses = Statuses::default();
        let (mut service, mut component) = ("", "");
        self.kept.clear();
        for tag in &span.binary {
            if !tag.service.is_empty() {
                service = &tag.service;
            }
            if *tag.key == *LOCAL_COMPONENT {
                component = tag.value.text();
            }
            let value = tag.value.value(self.parse);
            let text = match value {
                Value::Str(_) => tag.value.text(),
                _ => "",
            };
            let told = statuses.take(&tag.key, value, text);
            self.kept.push(told != Tag::Status);
        }
        let service = if service.is_empty() {
            component
        } else {
            service
        };
        let key = |at: usize| name(&span.binary[at].key);
        // Of a key that comes again the last value holds.
        repeated(span.binary.len(), key, |before, _| {
            self.kept[before] = false
        });
        (statuses.status(), service)
    }

    fn write_resource(
        &mut self,
        endpoint: Option<&Endpoint<'_>>,
        service: &str,
        resource: &mut Fields,
    ) {
        let Some(endpoint) = endpoint else {
            let service = if service.is_empty() { UNKNOWN } else { service };
            return resource.attribute(1, SERVICE_NAME, service);
        };
        resource.attribute(1, SERVICE_NAME, &*endpoint.service);
        let mut some = |key, text: &Text<'_>| {
            if !text.is_empty() {
                resource.attribute(1, key, &**text);
            }
        };
        some("ipv4", &endpoint.ipv4);
        some("ipv6", &endpoint.ipv6);
        if endpoint.port != 0 {
            self.scratch.clear();
            let _ = write!(self.scratch, "{}", endpoint.port);
            resource.attribute(1, "port", self.scratch.as_str());
        }
    }

    /// Writes when a span began and ended, and says whether that is not known.
    fn write_times(&self, span: &Span<'_>, sides: &Sides<'_, '_>, fields: &mut Fields) -> bool {
        let (mut start, mut end) = if span.start != 0 {
            let end = span.start.saturating_add(span.duration);
            (nanoseconds(span.start), nanoseconds(end))
        } else {
            let time = |time: Option<i64>| time.map_or(0, nanoseconds);
            (time(sides.first), time(sides.last))
        };
        let absent = start == 0 && self.dates;
        if absent {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            start = now.map_or(0, |now| now.as_nanos() as u64);
            end = start;
        }
        fields.fixed64(field::START_TIME, start);
        fields.fixed64(field::END_TIME, end);
        absent
    }

    fn write_attributes(&self, span: &Span<'_>, absent: bool, fields: &mut Fields) {
        for (tag, kept) in span.binary.iter().zip(&self.kept) {
            let key = name(&tag.key);
            if *kept && !(absent && key == START_ABSENT) {
                fields.attribute(field::ATTRIBUTES, key, tag.value.value(self.parse));
            }
        }
        if absent {
            fields.attribute(field::ATTRIBUTES, START_ABSENT, true);
        }
    }
}

/// The name of the attribute that a tag becomes.
fn name(key: &str) -> &str {
    match key {
        LOCAL_COMPONENT => "component",
        key => key,
    }
}

fn nanoseconds(microseconds: i64) -> u64 {
    let microseconds = u64::try_from(microseconds).unwrap_or_default();
    microseconds.saturating_mul(1000)
}
