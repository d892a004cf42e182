//! Spans of Jaeger's as OTLP.

use tidegate_pdata::compose::{Fields, event, link, span as field};

use super::span::{Process, Said, Span, Tag};
use crate::grouped::{Grouped, NoRoom};
use crate::repeated::repeated;

const SPAN_KIND: &str = "span.kind";
const ERROR: &str = "error";
const STATUS_CODE: &str = "otel.status_code";
const STATUS_MESSAGE: &str = "otel.status_description";
const HTTP_MESSAGE: &str = "http.status_message";
const HTTP_STATUS: [&str; 2] = ["http.status_code", "http.response.status_code"];
const SCOPE_NAME: &str = "otel.scope.name";
const SCOPE_VERSION: &str = "otel.scope.version";
const TRACE_STATE: &str = "w3c.tracestate";
/// The field of a log that names what happened.
const EVENT: &str = "event";
const SERVICE_NAME: &str = "service.name";
/// The service's name of spans whose resource had none.
const NO_SERVICE: &str = "OTLPResourceNoServiceName";

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const OK: u64 = 1;
const FAILED: u64 = 2;

/// Translates spans one after the other.
#[derive(Debug, Default)]
pub(super) struct Translator {
    /// Whether tags name the scope and the trace state, which thrift's clients do not do.
    exported: bool,
    /// Which tags of the span at hand, and of a log, are left.
    kept: Vec<bool>,
    kept_of_log: Vec<bool>,
}

/// Tags of which some are taken out.
struct Tags<'s, 'a> {
    all: &'s [Tag<'a>],
    kept: &'s mut Vec<bool>,
}

impl<'s, 'a> Tags<'s, 'a> {
    fn new(all: &'s [Tag<'a>], kept: &'s mut Vec<bool>) -> Self {
        kept.clear();
        kept.resize(all.len(), true);
        // Of a key that comes again the last value holds.
        repeated(
            all.len(),
            |at| &*all[at].key,
            |before, _| kept[before] = false,
        );
        Self { all, kept }
    }

    fn find(&self, key: &str) -> Option<usize> {
        (0..self.all.len()).find(|at| self.kept[*at] && *self.all[*at].key == *key)
    }

    fn get(&self, key: &str) -> Option<&'s Said<'a>> {
        self.find(key).map(|at| &self.all[at].value)
    }

    /// Takes a tag out.
    fn take(&mut self, key: &str) -> Option<&'s Said<'a>> {
        let at = self.find(key)?;
        self.kept[at] = false;
        Some(&self.all[at].value)
    }

    fn take_text(&mut self, key: &str) -> Option<&'s str> {
        self.take(key).map(Said::text)
    }

    fn left(&self) -> impl Iterator<Item = &'s Tag<'a>> {
        let all = self.all.iter().zip(&*self.kept);
        all.filter(|(_, kept)| **kept).map(|(tag, _)| tag)
    }

    fn write(&self, fields: &mut Fields, number: u32) {
        for tag in self.left() {
            fields.attribute(number, &tag.key, tag.value.value());
        }
    }
}

impl Translator {
    /// For spans of this kind: those in protobuf may have come from an exporter.
    pub(super) fn new(exported: bool) -> Self {
        Self {
            exported,
            ..Self::default()
        }
    }

    /// Says who sent the spans that follow.
    pub(super) fn process(&mut self, process: &Process<'_>, out: &mut Grouped<'_>) {
        out.resource(|resource| {
            if *process.service == *NO_SERVICE {
                return;
            }
            let mut tags = Tags::new(&process.tags, &mut self.kept);
            if !process.service.is_empty() && tags.get(SERVICE_NAME).is_none() {
                resource.attribute(1, SERVICE_NAME, &*process.service);
            }
            if tags.get("host.name").is_none()
                && let Some(host) = tags.take("hostname")
            {
                resource.attribute(1, "host.name", host.value());
            }
            if tags.get("opencensus.exporterversion").is_none()
                && let Some(version) = tags.take_text("jaeger.version")
            {
                let version = format!("Jaeger-{version}");
                resource.attribute(1, "opencensus.exporterversion", version.as_str());
            }
            tags.write(resource, 1);
        });
    }

    /// Writes a span of the process said last.
    pub(super) fn translate(
        &mut self,
        span: &Span<'_>,
        out: &mut Grouped<'_>,
    ) -> Result<(), NoRoom> {
        if span.is_blank() {
            return Ok(());
        }
        let mut tags = Tags::new(&span.tags, &mut self.kept);
        let (mut scope, mut version, mut state) = ("", "", "");
        if self.exported {
            if let Some(name) = tags.take_text(SCOPE_NAME) {
                scope = name;
                version = tags.take_text(SCOPE_VERSION).unwrap_or_default();
            }
            state = tags.take_text(TRACE_STATE).unwrap_or_default();
        }
        let kind = tags.take_text(SPAN_KIND).map_or(0, kind);
        let status = status(&mut tags, kind);
        let parent = span.parent();
        out.scope(|fields| {
            fields.string(1, scope);
            fields.string(2, version);
        });
        out.span(|fields| {
            fields.some_bytes(field::TRACE_ID, &span.trace_id.to_be_bytes());
            fields.some_bytes(field::SPAN_ID, &span.id.to_be_bytes());
            fields.string(field::TRACE_STATE, state);
            if parent != 0 {
                fields.some_bytes(field::PARENT_SPAN_ID, &parent.to_be_bytes());
            }
            fields.string(field::NAME, &span.name);
            fields.uint(field::KIND, kind);
            fields.fixed64(field::START_TIME, span.start);
            fields.fixed64(field::END_TIME, span.end);
            tags.write(fields, field::ATTRIBUTES);
            write_events(span, &mut self.kept_of_log, fields);
            write_links(span, parent, fields);
            if let Some((code, message)) = status {
                fields.message(field::STATUS, |status| {
                    status.string(2, message);
                    status.uint(3, code);
                });
            }
            fields.fixed32(field::FLAGS, span.flags & 1);
        })
    }
}

fn kind(name: &str) -> u64 {
    match name {
        "internal" => 1,
        "server" => SERVER,
        "client" => CLIENT,
        "producer" => 4,
        "consumer" => 5,
        _ => 0,
    }
}

/// The status that tags say, the surest first: that something failed, a code, one of HTTP.
fn status<'s>(tags: &mut Tags<'s, '_>, kind: u64) -> Option<(u64, &'s str)> {
    let mut status = None;
    if let Some(Said::Truth(true)) = tags.get(ERROR) {
        tags.take(ERROR);
        let message = tags.take_text(STATUS_MESSAGE);
        let message = message.or_else(|| tags.get(HTTP_MESSAGE).map(Said::text));
        status = Some((FAILED, message.unwrap_or_default()));
    }
    if let Some(code) = tags.take_text(STATUS_CODE) {
        return status.or_else(|| {
            let code = match () {
                () if code.eq_ignore_ascii_case("OK") => OK,
                () if code.eq_ignore_ascii_case("ERROR") => FAILED,
                () => 0,
            };
            Some((code, tags.take_text(STATUS_MESSAGE).unwrap_or_default()))
        });
    }
    status.or_else(|| {
        let code = HTTP_STATUS.iter().find_map(|key| tags.get(key))?;
        let code = match code {
            Said::Whole(code) => *code,
            other => other.text().parse().ok()?,
        };
        let failed = match code {
            // It is the client's fault, not the server's.
            400..500 if kind == SERVER => false,
            400..500 if kind == CLIENT => true,
            other => !(100..399).contains(&other),
        };
        let message = tags.get(HTTP_MESSAGE).map(Said::text);
        failed.then_some((FAILED, message.unwrap_or_default()))
    })
}

fn write_events(span: &Span<'_>, kept: &mut Vec<bool>, fields: &mut Fields) {
    for log in &span.logs {
        let of = span.fields.get(log.fields.clone()).unwrap_or_default();
        let mut tags = Tags::new(of, kept);
        fields.message(field::EVENTS, |fields| {
            fields.fixed64(event::TIME, log.time);
            fields.string(event::NAME, tags.take_text(EVENT).unwrap_or_default());
            tags.write(fields, event::ATTRIBUTES);
        });
    }
}

fn write_links(span: &Span<'_>, parent: u64, fields: &mut Fields) {
    for reference in &span.references {
        // The parent is told already.
        if reference.is_child && reference.id == parent {
            continue;
        }
        fields.message(field::LINKS, |fields| {
            fields.some_bytes(link::TRACE_ID, &reference.trace_id.to_be_bytes());
            fields.some_bytes(link::SPAN_ID, &reference.id.to_be_bytes());
            let kind = match reference.is_child {
                true => "child_of",
                false => "follows_from",
            };
            fields.attribute(link::ATTRIBUTES, "opentracing.ref_type", kind);
        });
    }
}
