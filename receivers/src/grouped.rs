//! Spans of older protocols, which come in any order, by resource and scope as OTLP has them.

use std::collections::HashMap;

use tidegate_pdata::compose::{Fields, Request};
use tidegate_pdata::{Payload, Reservation, Signal};
use tidegate_transport::grpc::{Code, Status};

/// There is no room for what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// About what a group takes beside its spans.
const GROUP: usize = 256;

/// The field that a span is of its scope.
const SPANS: u32 = 2;

/// Spans, encoded, by resource and scope.
///
/// A resource or a scope is known by its encoded fields. As what is written grows, `room` is asked for the bytes in all.
pub(crate) struct Grouped<'r> {
    resources: Vec<OfResource>,
    by_resource: HashMap<Box<[u8]>, usize>,
    by_scope: HashMap<(usize, Box<[u8]>), usize>,
    /// The resource and the scope of the next span.
    current: (usize, usize),
    scratch: Fields,
    bytes: usize,
    room: &'r mut dyn FnMut(usize) -> bool,
    /// Bytes that `room` was last asked for.
    asked: usize,
}

struct OfResource {
    fields: Box<[u8]>,
    scopes: Vec<OfScope>,
}

struct OfScope {
    fields: Box<[u8]>,
    spans: Fields,
    count: usize,
}

impl<'r> Grouped<'r> {
    /// No spans yet.
    pub(crate) fn new(room: &'r mut dyn FnMut(usize) -> bool) -> Self {
        Self {
            resources: Vec::new(),
            by_resource: HashMap::new(),
            by_scope: HashMap::new(),
            current: (0, 0),
            scratch: Fields::new(),
            bytes: 0,
            room,
            asked: 0,
        }
    }

    /// Says whose the next spans are: the resource, whose fields `write` writes. What its scope is
    /// comes after; without a word it is one without a name.
    pub(crate) fn resource(&mut self, write: impl FnOnce(&mut Fields)) {
        self.scratch.clear();
        write(&mut self.scratch);
        let fields = self.scratch.bytes();
        let current = self.resources.get(self.current.0);
        if current.is_some_and(|resource| *resource.fields == *fields) {
            return;
        }
        self.current.1 = usize::MAX;
        let known = self.by_resource.get(fields).copied();
        self.current.0 = known.unwrap_or_else(|| {
            let at = self.resources.len();
            self.bytes += 2 * fields.len() + GROUP;
            self.by_resource.insert(fields.into(), at);
            self.resources.push(OfResource {
                fields: fields.into(),
                scopes: Vec::new(),
            });
            at
        });
    }

    /// Says of which scope of the resource the next spans are.
    pub(crate) fn scope(&mut self, write: impl FnOnce(&mut Fields)) {
        self.scratch.clear();
        write(&mut self.scratch);
        let fields = self.scratch.bytes();
        let resource = self.current.0;
        let Some(of) = self.resources.get_mut(resource) else {
            return;
        };
        let current = of.scopes.get(self.current.1);
        if current.is_some_and(|scope| *scope.fields == *fields) {
            return;
        }
        let key = (resource, Box::from(fields));
        let known = self.by_scope.get(&key).copied();
        self.current.1 = known.unwrap_or_else(|| {
            let at = of.scopes.len();
            self.bytes += 2 * fields.len() + GROUP;
            self.by_scope.insert(key, at);
            of.scopes.push(OfScope {
                fields: fields.into(),
                spans: Fields::new(),
                count: 0,
            });
            at
        });
    }

    /// Writes a span of the resource and the scope said last.
    pub(crate) fn span(&mut self, write: impl FnOnce(&mut Fields)) -> Result<(), NoRoom> {
        if self.place().is_none() {
            if self.resources.is_empty() {
                self.resource(|_| {});
            }
            self.scope(|_| {});
        }
        let Some(of) = self.place() else {
            return Ok(()); // there is one now
        };
        let before = of.spans.len();
        of.spans.message(SPANS, write);
        of.count += 1;
        let written = of.spans.len() - before;
        self.bytes += written;
        // What is written, and its copy in the request.
        let needed = 2 * self.bytes;
        if needed > self.asked {
            let asked = needed.max(2 * self.asked).max(4096);
            if !(self.room)(asked) {
                return Err(NoRoom);
            }
            self.asked = asked;
        }
        Ok(())
    }

    fn place(&mut self) -> Option<&mut OfScope> {
        let (resource, scope) = self.current;
        self.resources.get_mut(resource)?.scopes.get_mut(scope)
    }

    /// The request.
    pub(crate) fn finish(self) -> Request {
        let mut request = Request::new(Signal::Traces);
        for of in self.resources {
            let scopes = of.scopes.into_iter();
            let mut scopes = scopes.filter(|of| of.count > 0).peekable();
            if scopes.peek().is_none() {
                continue;
            }
            request.resource(|resource| resource.raw(&of.fields));
            for of in scopes {
                request.scope_of("", |scope| scope.raw(&of.fields));
                request.records(of.count, of.spans.bytes());
            }
        }
        request
    }
}

/// The payload of a request that was composed here; its room becomes what it weighs.
pub(crate) fn payload(request: Request, mut hold: Reservation) -> Result<Payload, Status> {
    hold.resize(request.size());
    request.finish(Some(hold)).map_err(|fault| {
        let text = format!("the spans could not be written as OTLP: {fault}");
        Status::new(Code::Internal, text)
    })
}
