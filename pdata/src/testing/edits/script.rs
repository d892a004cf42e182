//! What a test does to each thing that it is shown, drawn from bytes: once for the splicer and
//! once for the oracle, who see the same things in the same order.

use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

use crate::splice::{Verdict, Visit};
use crate::testing::Entropy;

/// An edit of attributes.
#[derive(Clone, Debug)]
pub(super) enum AttributeOp {
    Insert(String, common::AnyValue),
    Update(String, common::AnyValue),
    Upsert(String, common::AnyValue),
    Delete(String),
    Rename(String, String),
    /// Deletes those whose keys' lengths have this remainder by 3.
    DeleteMatching(usize),
    /// Upserts the value of one key under another.
    Copy(String, String),
    /// The same at the n-th attribute.
    UpdateAt(usize, common::AnyValue),
    RenameAt(usize, String),
    DeleteAt(usize),
    Clear,
    /// Notes the value of a key.
    Get(String),
    /// Notes all attributes.
    List,
}

pub(super) type AttributeOps = Vec<AttributeOp>;

/// An edit of a resource or a scope.
#[derive(Clone, Debug)]
pub(super) enum OriginOp {
    Attributes(AttributeOps),
    /// A resource has no name: there it is the dropped attributes' count.
    Name(String),
    DroppedAttributes(u32),
    SchemaUrl(String),
    Look,
}

/// An edit of a record of any type; what a type does not have it ignores.
#[derive(Clone, Debug)]
pub(super) enum RecordOp<R> {
    Attributes(AttributeOps),
    /// The scalars are taken from this record, by number: see the macros of the two sides.
    Set(u32, Box<R>),
    Replace(Box<R>),
    /// Sets the body to an attribute's value.
    Body(String),
    Children(Vec<(AttributeOps, bool)>),
    Resource(OriginOp),
    Scope(OriginOp),
    Look,
}

/// Choices without end, from bytes taken over and over.
pub(crate) struct Script {
    bytes: Vec<u8>,
    at: usize,
}

/// The bytes that one thing's edits are drawn from.
const DRAWN: usize = 40;

impl Script {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            at: 0,
        }
    }

    fn draw<T>(&mut self, draw: impl FnOnce(&mut Entropy<'_>) -> T) -> T {
        let mut drawn = [0; DRAWN];
        if !self.bytes.is_empty() {
            for byte in &mut drawn {
                *byte = self.bytes[self.at % self.bytes.len()];
                self.at += 1;
            }
        }
        draw(&mut Entropy::new(&drawn))
    }

    pub(super) fn origin(&mut self) -> (Vec<OriginOp>, Visit) {
        self.draw(|entropy| (entropy.list(3, origin_op), visit(entropy)))
    }

    pub(super) fn record<R: Drawn>(&mut self) -> (Vec<RecordOp<R>>, Verdict) {
        self.draw(|entropy| {
            let verdict = Verdict::from(entropy.below(4) != 1);
            (entropy.list(4, record_op), verdict)
        })
    }

    pub(super) fn metric(&mut self) -> (Vec<RecordOp<metrics::Metric>>, Visit) {
        self.draw(|entropy| {
            let visit = visit(entropy);
            (entropy.list(4, record_op), visit)
        })
    }
}

fn visit(entropy: &mut Entropy<'_>) -> Visit {
    match entropy.below(12) {
        1 => Visit::Skip,
        2 => Visit::Drop,
        _ => Visit::Enter,
    }
}

/// Keys that meet each other and those of the generated requests.
fn key(entropy: &mut Entropy<'_>) -> String {
    match entropy.below(4) {
        0 => "a".to_owned(),
        1 => "b".to_owned(),
        2 => "http.method".to_owned(),
        _ => entropy.text(),
    }
}

fn value(entropy: &mut Entropy<'_>) -> common::AnyValue {
    use common::any_value::Value;
    let text = |text| common::AnyValue {
        value: Some(Value::StringValue(text)),
    };
    common::AnyValue {
        value: Some(match entropy.below(9) {
            0 => return common::AnyValue::default(),
            1 => Value::BoolValue(entropy.chance(2)),
            2 => Value::IntValue(entropy.integer() as i64),
            3 => Value::DoubleValue(entropy.double()),
            4 => Value::BytesValue(entropy.list(9, Entropy::byte)),
            5 => Value::ArrayValue(common::ArrayValue {
                values: vec![text(entropy.text()), text(entropy.text())],
            }),
            6 => Value::KvlistValue(common::KeyValueList {
                values: vec![common::KeyValue {
                    key: entropy.text(),
                    value: Some(text(entropy.text())),
                    ..Default::default()
                }],
            }),
            _ => Value::StringValue(entropy.text()),
        }),
    }
}

fn attribute_ops(entropy: &mut Entropy<'_>) -> AttributeOps {
    entropy.list(5, |entropy| match entropy.below(15) {
        0 => AttributeOp::Insert(key(entropy), value(entropy)),
        1 => AttributeOp::Update(key(entropy), value(entropy)),
        2 => AttributeOp::Upsert(key(entropy), value(entropy)),
        3 => AttributeOp::Delete(key(entropy)),
        4 => AttributeOp::Rename(key(entropy), key(entropy)),
        5 => AttributeOp::DeleteMatching(entropy.below(3)),
        6 => AttributeOp::Copy(key(entropy), key(entropy)),
        7 => AttributeOp::UpdateAt(entropy.below(4), value(entropy)),
        8 => AttributeOp::RenameAt(entropy.below(4), key(entropy)),
        9 => AttributeOp::DeleteAt(entropy.below(4)),
        10 => AttributeOp::Clear,
        11 | 12 => AttributeOp::Get(key(entropy)),
        _ => AttributeOp::List,
    })
}

fn origin_op(entropy: &mut Entropy<'_>) -> OriginOp {
    match entropy.below(7) {
        0 => OriginOp::Name(entropy.text()),
        1 => OriginOp::DroppedAttributes(entropy.integer() as u32),
        2 => OriginOp::SchemaUrl(entropy.text()),
        3 => OriginOp::Look,
        _ => OriginOp::Attributes(attribute_ops(entropy)),
    }
}

fn record_op<R: Drawn>(entropy: &mut Entropy<'_>) -> RecordOp<R> {
    match entropy.below(14) {
        0 => RecordOp::Resource(origin_op(entropy)),
        1 => RecordOp::Scope(origin_op(entropy)),
        2 => RecordOp::Look,
        3 => RecordOp::Replace(Box::new(R::drawn(entropy))),
        4 => RecordOp::Body(key(entropy)),
        5 => RecordOp::Children(
            entropy.list(3, |entropy| (attribute_ops(entropy), entropy.below(4) != 1)),
        ),
        6..9 => RecordOp::Set(u32::from(entropy.byte() % 17), Box::new(R::drawn(entropy))),
        _ => RecordOp::Attributes(attribute_ops(entropy)),
    }
}

/// A record that is drawn with a few odd scalars.
pub(super) trait Drawn: Sized {
    fn drawn(entropy: &mut Entropy<'_>) -> Self;
}

impl Drawn for Span {
    fn drawn(entropy: &mut Entropy<'_>) -> Self {
        let (integer, text) = (entropy.integer(), entropy.text());
        Self {
            trace_id: entropy.id(16),
            span_id: entropy.id(8),
            parent_span_id: entropy.id(8),
            trace_state: text.clone(),
            name: text,
            kind: integer as i32,
            start_time_unix_nano: integer,
            end_time_unix_nano: integer,
            dropped_attributes_count: integer as u32,
            dropped_events_count: integer as u32,
            dropped_links_count: integer as u32,
            flags: integer as u32,
            events: vec![Event::default()],
            links: vec![Link::default()],
            ..Default::default()
        }
    }
}

impl Drawn for LogRecord {
    fn drawn(entropy: &mut Entropy<'_>) -> Self {
        let (integer, text) = (entropy.integer(), entropy.text());
        Self {
            time_unix_nano: integer,
            observed_time_unix_nano: integer,
            severity_number: integer as i32,
            severity_text: text.clone(),
            body: Some(value(entropy)),
            dropped_attributes_count: integer as u32,
            flags: integer as u32,
            trace_id: entropy.id(16),
            span_id: entropy.id(8),
            event_name: text,
            ..Default::default()
        }
    }
}

impl Drawn for metrics::Metric {
    fn drawn(entropy: &mut Entropy<'_>) -> Self {
        let text = entropy.text();
        let points = entropy.list(3, metrics::NumberDataPoint::drawn);
        Self {
            name: text.clone(),
            description: text.clone(),
            unit: text,
            data: Some(metrics::metric::Data::Sum(metrics::Sum {
                data_points: points,
                aggregation_temporality: entropy.below(3) as i32,
                is_monotonic: entropy.chance(2),
            })),
            ..Default::default()
        }
    }
}

impl Drawn for metrics::NumberDataPoint {
    fn drawn(entropy: &mut Entropy<'_>) -> Self {
        use metrics::number_data_point::Value;
        let integer = entropy.integer();
        Self {
            start_time_unix_nano: integer,
            time_unix_nano: integer,
            flags: integer as u32,
            value: match entropy.below(3) {
                0 => None,
                1 => Some(Value::AsDouble(entropy.double())),
                _ => Some(Value::AsInt(integer as i64)),
            },
            ..Default::default()
        }
    }
}
