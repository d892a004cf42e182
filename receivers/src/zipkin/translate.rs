//! Spans of Zipkin's second format as OTLP.

use tidegate_pdata::compose::{Fields, Value, event, span as field};

use super::exported::{Link, write_event};
use super::names::*;
use super::span::{Kind, Span, Tag};
use super::value::value;
use crate::grouped::{Grouped, NoRoom};
use crate::repeated::repeated;

/// Attributes of resources and scopes.
const RESOURCE_ATTRIBUTES: u32 = 1;

/// What a tag is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// An attribute of the span.
    Attribute,
    /// An attribute of the resource.
    Resource,
    /// It has been put elsewhere, or its key comes again.
    Done,
}

/// Translates spans one after the other.
#[derive(Debug, Default)]
pub(super) struct Translator {
    /// Whether texts that say a number or a truth become one.
    parse: bool,
    /// What each tag of the span at hand is for.
    roles: Vec<Role>,
}

/// What the tags of a span say beside attributes.
#[derive(Debug, Default)]
struct Told<'s> {
    state: &'s str,
    internal: bool,
    status: Option<u64>,
    message: &'s str,
    scope_name: Option<&'s str>,
    scope_version: Option<&'s str>,
    name_source: Option<&'s str>,
}

impl Translator {
    pub(super) fn new(parse: bool) -> Self {
        Self {
            parse,
            ..Self::default()
        }
    }

    /// Writes a span where it belongs.
    pub(super) fn translate(
        &mut self,
        span: &Span<'_>,
        out: &mut Grouped<'_>,
    ) -> Result<(), NoRoom> {
        let told = self.read_tags(span);
        let links = self.read_links(&span.tags);
        out.resource(|resource| self.write_resource(span, &told, resource));
        out.scope(|scope| {
            scope.string(1, told.scope_name.unwrap_or_default());
            scope.string(2, told.scope_version.unwrap_or_default());
        });
        out.span(|fields| {
            write_ids(span, &told, fields);
            self.write_attributes(span, fields);
            for annotation in &span.annotations {
                fields.message(field::EVENTS, |fields| {
                    fields.fixed64(event::TIME, nanoseconds(annotation.time));
                    write_event(&annotation.value, fields);
                });
            }
            for link in &links {
                fields.message(field::LINKS, |fields| link.write(fields));
            }
            if let Some(code) = told.status {
                fields.message(field::STATUS, |status| {
                    status.string(2, told.message);
                    status.uint(3, code);
                });
            }
        })
    }

    /// Finds out what each tag is for.
    fn read_tags<'s>(&mut self, span: &'s Span<'_>) -> Told<'s> {
        let mut told = Told::default();
        let (mut library, mut library_version) = (None, None);
        let (mut error, mut description) = (false, None);
        self.roles.clear();
        self.roles.resize(span.tags.len(), Role::Attribute);
        let (key, roles) = (|at: usize| &*span.tags[at].key, &mut self.roles);
        // Of a key that comes again the last value holds.
        repeated(span.tags.len(), key, |before, _| roles[before] = Role::Done);
        for (at, tag) in span.tags.iter().enumerate() {
            if self.roles[at] == Role::Done {
                continue;
            }
            let text = &*tag.value;
            self.roles[at] = Role::Done;
            match &*tag.key {
                TRACE_STATE => told.state = text,
                SPAN_KIND if span.kind == Kind::Unsaid => told.internal = text == "internal",
                STATUS_CODE => told.status = Some(status_code(text)),
                STATUS_MESSAGE => description = Some((at, text)),
                SCOPE_NAME => told.scope_name = Some(text),
                SCOPE_VERSION => told.scope_version = Some(text),
                LIBRARY_NAME => library = Some(text),
                LIBRARY_VERSION => library_version = Some(text),
                NAME_SOURCE => told.name_source = Some(text).filter(|name| !name.is_empty()),
                ERROR => {
                    error = true;
                    if text != "true" {
                        self.roles[at] = Role::Attribute;
                    }
                }
                key if is_of_resource(key) => self.roles[at] = Role::Resource,
                _ => self.roles[at] = Role::Attribute,
            }
        }
        told.scope_name = told.scope_name.or(library);
        told.scope_version = told.scope_version.or(library_version);
        match (told.status, description) {
            (Some(_), Some((_, text))) => told.message = text,
            // Without a code it describes nothing.
            (None, Some((at, _))) => self.roles[at] = Role::Attribute,
            (_, None) => {}
        }
        if error {
            told.status = Some(2);
        }
        told
    }

    /// The links among the tags: those that are numbered from 0 on.
    fn read_links<'s>(&mut self, tags: &'s [Tag<'_>]) -> Vec<Link<'s>> {
        /// The most that the original looks for.
        const MOST: usize = 128;
        let mut links = Vec::new();
        if !tags.iter().any(|tag| tag.key.starts_with(LINK)) {
            return links;
        }
        for number in 0..MOST {
            let key = format!("{LINK}{number}");
            let found = tags.iter().rposition(|tag| *tag.key == key);
            let Some(at) = found else {
                break;
            };
            if let Some(link) = Link::read(&tags[at].value) {
                links.push(link);
                self.roles[at] = Role::Done;
            }
        }
        links
    }

    fn tags<'s>(&self, span: &'s Span<'_>, role: Role) -> impl Iterator<Item = (&'s str, &'s str)> {
        let tags = span.tags.iter().zip(&self.roles);
        let tags = tags.filter(move |(_, its)| **its == role);
        tags.map(|(tag, _)| (&*tag.key, &*tag.value))
    }

    fn write_resource(&self, span: &Span<'_>, told: &Told<'_>, resource: &mut Fields) {
        let service = &*span.local.service;
        if !matches!(service, "" | NO_SERVICE) {
            let key = told.name_source.unwrap_or(SERVICE_NAME);
            // A tag of this name says it better.
            if self
                .tags(span, Role::Resource)
                .all(|(other, _)| other != key)
            {
                resource.attribute(RESOURCE_ATTRIBUTES, key, service);
            }
        }
        for (key, text) in self.tags(span, Role::Resource) {
            resource.attribute(RESOURCE_ATTRIBUTES, key, text);
        }
    }

    fn write_attributes(&self, span: &Span<'_>, fields: &mut Fields) {
        let own = own_attributes(span);
        let own = || {
            own.iter()
                .filter_map(|(key, value)| Some((*key, (*value)?)))
        };
        for (key, text) in self.tags(span, Role::Attribute) {
            if own().all(|(other, _)| other != key) {
                fields.attribute(field::ATTRIBUTES, key, value(text, self.parse));
            }
        }
        for (key, value) in own() {
            fields.attribute(field::ATTRIBUTES, key, value);
        }
    }
}

/// The attributes that are made of a span's endpoints and times.
fn own_attributes<'s>(span: &'s Span<'_>) -> [(&'static str, Option<Value<'s>>); 6] {
    let text = |text: Option<&'s str>| text.map(Value::Str);
    let port = |port: u16| (port > 0).then_some(Value::Int(port.into()));
    let peer = Some(&*span.remote.service).filter(|name| !name.is_empty());
    [
        (LOCAL_ADDRESS, text(span.local.address())),
        (LOCAL_PORT, port(span.local.port)),
        (PEER_SERVICE, text(peer)),
        (PEER_ADDRESS, text(span.remote.address())),
        (PEER_PORT, port(span.remote.port)),
        (
            START_ABSENT,
            span.start.is_none().then_some(Value::Bool(true)),
        ),
    ]
}

fn write_ids(span: &Span<'_>, told: &Told<'_>, fields: &mut Fields) {
    let trace_id = span.trace_id.unwrap_or_default();
    fields.some_bytes(field::TRACE_ID, &trace_id.to_be_bytes());
    fields.some_bytes(field::SPAN_ID, &span.id.to_be_bytes());
    fields.string(field::TRACE_STATE, told.state);
    if span.parent != 0 && span.parent != span.id {
        fields.some_bytes(field::PARENT_SPAN_ID, &span.parent.to_be_bytes());
    }
    fields.string(field::NAME, &span.name);
    let kind = match span.kind {
        Kind::Unsaid => u64::from(told.internal),
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    };
    fields.uint(field::KIND, kind);
    let start = span.start.unwrap_or_default();
    fields.fixed64(field::START_TIME, nanoseconds(start));
    fields.fixed64(
        field::END_TIME,
        nanoseconds(start.saturating_add(span.duration)),
    );
}

pub(super) const fn nanoseconds(microseconds: u64) -> u64 {
    microseconds.saturating_mul(1000)
}

/// The code of a status by the names that exporters have given it.
pub(super) fn status_code(name: &str) -> u64 {
    match name {
        "OK" | "Ok" | "STATUS_CODE_OK" => 1,
        "ERROR" | "Error" | "STATUS_CODE_ERROR" => 2,
        _ => 0,
    }
}
