//! A span of Zipkin's second format, as JSON and protobuf fill it.

use std::net::IpAddr;

use crate::text::Text;

/// Which side of a call or of a message a span is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// None is said.
    #[default]
    Unsaid,
    Client,
    Server,
    Producer,
    Consumer,
}

impl Kind {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "CLIENT" => Self::Client,
            "SERVER" => Self::Server,
            "PRODUCER" => Self::Producer,
            "CONSUMER" => Self::Consumer,
            _ => Self::Unsaid,
        }
    }
}

/// A span. It is filled again and again, so that its lists keep their memory.
#[derive(Debug, Default)]
pub(super) struct Span<'a> {
    pub(super) trace_id: Option<u128>,
    /// 0 is none.
    pub(super) id: u64,
    /// 0 is none.
    pub(super) parent: u64,
    pub(super) name: Text<'a>,
    pub(super) kind: Kind,
    /// Microseconds since 1970; none where there is none.
    pub(super) start: Option<u64>,
    /// Microseconds.
    pub(super) duration: u64,
    pub(super) local: Endpoint<'a>,
    pub(super) remote: Endpoint<'a>,
    pub(super) annotations: Vec<Annotation<'a>>,
    pub(super) tags: Vec<Tag<'a>>,
}

/// Something that happened.
#[derive(Debug, Default)]
pub(super) struct Annotation<'a> {
    /// Microseconds since 1970.
    pub(super) time: u64,
    pub(super) value: Text<'a>,
}

/// A key and a value.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    pub(super) key: Text<'a>,
    pub(super) value: Text<'a>,
}

/// One side of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Endpoint<'a> {
    pub(super) service: Text<'a>,
    pub(super) ipv4: Option<Text<'a>>,
    pub(super) ipv6: Option<Text<'a>>,
    pub(super) port: u16,
}

impl Endpoint<'_> {
    /// The address to tell: of two the one of IPv6.
    pub(super) fn address(&self) -> Option<&str> {
        let address = self.ipv6.as_ref().or(self.ipv4.as_ref());
        address.map(|address| &**address)
    }
}

impl Span<'_> {
    /// Forgets all but the memory of its lists.
    pub(super) fn clear(&mut self) {
        self.annotations.clear();
        self.tags.clear();
        let annotations = std::mem::take(&mut self.annotations);
        let tags = std::mem::take(&mut self.tags);
        *self = Self {
            annotations,
            tags,
            ..Self::default()
        };
    }
}

/// An IP address in its usual form, with IPv4 in no clothes of IPv6; none where it is no address.
pub(super) fn address(text: Text<'_>) -> Option<Text<'_>> {
    match text.parse().ok()? {
        // It has one form only.
        IpAddr::V4(_) => Some(text),
        IpAddr::V6(address) => Some(address.to_canonical().to_string().into()),
    }
}
