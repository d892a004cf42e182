//! Spans on their way out, put together by resource and scope.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use tidegate_component::Outbox;
use tidegate_pdata::compose::Fields;
use tidegate_pdata::wire::{Cursor, field_len, put_bytes, put_head};
use tidegate_pdata::{Batch, Budget, Context, Payload, Receipt, Segment, Signal};

use super::heads::Head;

/// Bytes from which on what has gathered goes out; well below what gRPC servers take.
const ENOUGH: usize = 1 << 20;

/// Fields of the requests.
const RESOURCE_SPANS: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SCOPE: u32 = 1;
const SPANS: u32 = 2;
/// Field of a scope.
const ATTRIBUTES: u32 = 3;

/// Attributes that say which policy sampled a span.
const POLICY: &str = "tailsampling.policy";
const PART: &str = "tailsampling.composite_policy";
const CACHED: &str = "tailsampling.cached_decision";

/// What is written into a scope beside what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    /// The policy that sampled the trace.
    pub(super) policy: Option<usize>,
    /// A policy that has parts, and the part that sampled the trace.
    pub(super) part: Option<(usize, usize)>,
    /// Whether the decision was remembered.
    pub(super) cached: bool,
}

impl Stamp {
    const fn is_blank(&self) -> bool {
        self.policy.is_none() && self.part.is_none() && !self.cached
    }
}

/// What a stamp refers to by number.
pub(super) trait Names {
    /// The name of a policy.
    fn policy(&self, policy: usize) -> &str;
    /// The name of a part of a policy.
    fn part(&self, policy: usize, part: usize) -> &str;
}

/// The spans of one scope.
struct Outgoing {
    head: Rc<Head>,
    stamp: Stamp,
    pieces: Vec<Vec<u8>>,
    bytes: usize,
}

/// What is on its way out.
pub(super) struct Release {
    budget: Arc<Budget>,
    places: HashMap<(*const Head, Stamp), usize, foldhash::fast::RandomState>,
    groups: Vec<Outgoing>,
    bytes: usize,
    spans: usize,
}

impl Release {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            budget,
            places: HashMap::default(),
            groups: Vec::new(),
            bytes: 0,
            spans: 0,
        }
    }

    /// Puts spans on the way, given as fields of `ScopeSpans`.
    pub(super) fn add(
        &mut self,
        (head, stamp): (&Rc<Head>, Stamp),
        spans: Vec<u8>,
        count: usize,
        names: &impl Names,
        out: &mut Outbox,
    ) {
        if self.bytes + spans.len() > ENOUGH {
            self.flush(names, out);
        }
        if spans.len() > ENOUGH {
            // No request is larger than what receivers take because one trace is.
            for piece in pieces(&spans) {
                self.put((head, stamp), piece.0.to_vec(), piece.1);
                self.flush(names, out);
            }
            return;
        }
        self.put((head, stamp), spans, count);
    }

    /// Puts a span on the way.
    pub(super) fn add_span(
        &mut self,
        (head, stamp): (&Rc<Head>, Stamp),
        span: &[u8],
        names: &impl Names,
        out: &mut Outbox,
    ) {
        if self.bytes + span.len() > ENOUGH {
            self.flush(names, out);
        }
        let at = self.place(head, stamp);
        let group = &mut self.groups[at];
        if group.pieces.last().is_none_or(|last| last.len() > 1 << 16) {
            group.pieces.push(Vec::new());
        }
        let before = group.bytes;
        if let Some(last) = group.pieces.last_mut() {
            put_bytes(last, SPANS, span);
            group.bytes += field_len(SPANS, span.len());
        }
        self.bytes += group.bytes - before;
        self.spans += 1;
    }

    fn put(&mut self, (head, stamp): (&Rc<Head>, Stamp), spans: Vec<u8>, count: usize) {
        let at = self.place(head, stamp);
        self.bytes += spans.len();
        self.spans += count;
        let group = &mut self.groups[at];
        group.bytes += spans.len();
        group.pieces.push(spans);
    }

    fn place(&mut self, head: &Rc<Head>, stamp: Stamp) -> usize {
        let next = self.groups.len();
        let at = *self.places.entry((Rc::as_ptr(head), stamp)).or_insert(next);
        if at == next {
            self.bytes += head.fields.len() + head.resource.fields.len();
            self.groups.push(Outgoing {
                head: Rc::clone(head),
                stamp,
                pieces: Vec::new(),
                bytes: 0,
            });
        }
        at
    }

    /// Sends what has gathered.
    pub(super) fn flush(&mut self, names: &impl Names, out: &mut Outbox) {
        if self.groups.is_empty() {
            return;
        }
        let mut groups = std::mem::take(&mut self.groups);
        // Scopes of a resource side by side; which resource comes first does not matter.
        groups.sort_by_key(|group| Rc::as_ptr(&group.head.resource));
        let bytes = Bytes::from(written(&groups, names));
        let hold = self.budget.overdraw(bytes.len());
        let segment = Segment::new(bytes, self.spans, Some(Arc::new(hold)));
        let payload = Payload::from_segment(Signal::Traces, segment);
        out.push(Batch::new(payload, Context::default(), Receipt::none()));
        self.places.clear();
        self.places.shrink_to(1 << 12);
        (self.bytes, self.spans) = (0, 0);
    }
}

/// Cuts spans into pieces that are small enough, or of one span; each with how many it has.
fn pieces(spans: &[u8]) -> Vec<(&[u8], usize)> {
    let mut pieces = Vec::new();
    let (mut start, mut end, mut count) = (0, 0, 0);
    for span in Cursor::new(spans) {
        if count > 0 && span.end - start > ENOUGH {
            pieces.push((&spans[start..end], count));
            (start, count) = (end, 0);
        }
        end = span.end;
        count += 1;
    }
    pieces.push((&spans[start..], count));
    pieces
}

/// The request that groups make, in a buffer of its size.
fn written(groups: &[Outgoing], names: &impl Names) -> Vec<u8> {
    let stamped: Vec<Option<Vec<u8>>> = groups
        .iter()
        .map(|group| {
            (!group.stamp.is_blank()).then(|| stamped(&group.head.fields, group.stamp, names))
        })
        .collect();
    let fields = |at: usize| -> &[u8] { stamped[at].as_deref().unwrap_or(&groups[at].head.fields) };
    let scope_len = |at: usize| fields(at).len() + groups[at].bytes;
    let mut resources: Vec<(usize, usize, usize)> = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let resource = &group.head.resource;
        let begins = at == 0 || !Rc::ptr_eq(&groups[at - 1].head.resource, resource);
        if begins {
            resources.push((at, at, resource.fields.len()));
        }
        if let Some((_, end, len)) = resources.last_mut() {
            *end = at + 1;
            *len += field_len(SCOPE_SPANS, scope_len(at));
        }
    }
    let whole = resources.iter();
    let whole = whole.map(|(.., len)| field_len(RESOURCE_SPANS, *len)).sum();
    let mut out = Vec::with_capacity(whole);
    for (start, end, len) in resources {
        put_head(&mut out, RESOURCE_SPANS, len);
        out.extend_from_slice(&groups[start].head.resource.fields);
        for (at, group) in groups.iter().enumerate().take(end).skip(start) {
            put_head(&mut out, SCOPE_SPANS, scope_len(at));
            out.extend_from_slice(fields(at));
            for piece in &group.pieces {
                out.extend_from_slice(piece);
            }
        }
    }
    debug_assert_eq!(out.len(), whole, "the size was known beforehand");
    out
}

/// The fields of a scope with the attributes of a stamp.
fn stamped(head: &[u8], stamp: Stamp, names: &impl Names) -> Vec<u8> {
    let mut out = Fields::new();
    let scope = Cursor::new(head).find(|field| field.number == SCOPE);
    out.message(SCOPE, |out| {
        for field in Cursor::new(scope.map_or(&[], |field| field.bytes)) {
            let bytes = scope.map_or(&[][..], |scope| &scope.bytes[field.start..field.end]);
            if field.number != ATTRIBUTES || !is_ours(field.bytes) {
                out.raw(bytes);
            }
        }
        if let Some((policy, part)) = stamp.part {
            out.attribute(ATTRIBUTES, PART, names.part(policy, part));
        }
        if let Some(policy) = stamp.policy {
            out.attribute(ATTRIBUTES, POLICY, names.policy(policy));
        }
        if stamp.cached {
            out.attribute(ATTRIBUTES, CACHED, true);
        }
    });
    for field in Cursor::new(head) {
        if field.number != SCOPE {
            out.raw(&head[field.start..field.end]);
        }
    }
    out.bytes().to_vec()
}

/// Whether an attribute has one of the names that are written here.
fn is_ours(attribute: &[u8]) -> bool {
    let key = Cursor::new(attribute).find(|field| field.number == 1);
    let key = key.map_or(&[][..], |field| field.bytes);
    [POLICY, PART, CACHED]
        .iter()
        .any(|ours| ours.as_bytes() == key)
}
