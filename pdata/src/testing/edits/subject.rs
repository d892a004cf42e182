//! The splicer's side: the script's edits through editors.

use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::oracle::Seen;
use super::script::{AttributeOp, OriginOp, RecordOp, Script};
use crate::splice::*;
use crate::testing::owned;
use crate::view::{AnyValue, Number};

/// Edits a payload as the script says.
pub(crate) struct Subject {
    script: Script,
    pub(crate) seen: Seen,
}

impl Subject {
    pub(crate) const fn new(script: Script) -> Self {
        Self {
            script,
            seen: Seen::new(),
        }
    }
}

impl Edits for Subject {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        let (ops, visit) = self.script.origin();
        for op in ops {
            self.edit_resource(resource, op);
        }
        visit
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        let (ops, visit) = self.script.origin();
        for op in ops {
            self.edit_scope(scope, op);
        }
        visit
    }

    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        let (ops, verdict) = self.script.record::<Span>();
        for op in ops {
            match op {
                RecordOp::Attributes(ops) => self.edit_attributes(&mut span.attributes(), &ops),
                RecordOp::Set(number, from) => set_span(span, number, &from),
                RecordOp::Replace(other) => span.replace(&other.encode_to_vec()),
                RecordOp::Body(_) => {}
                RecordOp::Children(edits) => self.edit_children(span, &edits),
                RecordOp::Resource(op) => self.edit_resource(&mut span.resource(), op),
                RecordOp::Scope(op) => self.edit_scope(&mut span.scope(), op),
                RecordOp::Look => self.seen.push(format!("{:?}", owned::span(span.view()))),
            }
        }
        verdict
    }

    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        let (ops, verdict) = self.script.record::<LogRecord>();
        for op in ops {
            match op {
                RecordOp::Attributes(ops) => self.edit_attributes(&mut record.attributes(), &ops),
                RecordOp::Set(number, from) => set_log_record(record, number, &from),
                RecordOp::Replace(other) => record.replace(&other.encode_to_vec()),
                RecordOp::Body(key) => {
                    if let Some(held) = record.attributes().hold(&key) {
                        record.set_body(held);
                    }
                }
                RecordOp::Children(_) => {}
                RecordOp::Resource(op) => self.edit_resource(&mut record.resource(), op),
                RecordOp::Scope(op) => self.edit_scope(&mut record.scope(), op),
                RecordOp::Look => {
                    self.seen
                        .push(format!("{:?}", owned::log_record(record.view())));
                }
            }
        }
        verdict
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        let (ops, visit) = self.script.metric();
        for op in ops {
            match op {
                RecordOp::Attributes(ops) => self.edit_attributes(&mut metric.attributes(), &ops),
                RecordOp::Set(number, from) => set_metric(metric, number, &from),
                RecordOp::Replace(other) => metric.replace(&other.encode_to_vec()),
                RecordOp::Body(_) | RecordOp::Children(_) => {}
                RecordOp::Resource(op) => self.edit_resource(&mut metric.resource(), op),
                RecordOp::Scope(op) => self.edit_scope(&mut metric.scope(), op),
                RecordOp::Look => self
                    .seen
                    .push(format!("{:?}", owned::metric(metric.view()))),
            }
        }
        visit
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        let (ops, verdict) = self.script.record::<metrics::NumberDataPoint>();
        for op in ops {
            match op {
                RecordOp::Attributes(ops) => self.edit_attributes(&mut point.attributes(), &ops),
                RecordOp::Resource(op) => self.edit_resource(&mut point.resource(), op),
                RecordOp::Scope(op) => self.edit_scope(&mut point.scope(), op),
                RecordOp::Look => {
                    let shown = owned::metric(point.metric());
                    let point = data_point(point.view());
                    self.seen.push(format!("{point} of {shown:?}"));
                }
                RecordOp::Set(1 | 2, from) => {
                    point.set_start_time_unix_nano(from.start_time_unix_nano);
                }
                RecordOp::Set(3 | 4, from) => point.set_time_unix_nano(from.time_unix_nano),
                RecordOp::Set(5 | 6, from) => point.set_flags(from.flags),
                RecordOp::Set(_, from) => point.set_value(from.value.map(number)),
                RecordOp::Replace(_) | RecordOp::Body(_) | RecordOp::Children(_) => {}
            }
        }
        verdict
    }
}

impl Subject {
    fn edit_resource(&mut self, resource: &mut ResourceEditor<'_>, op: OriginOp) {
        match op {
            OriginOp::Attributes(ops) => self.edit_attributes(&mut resource.attributes(), &ops),
            OriginOp::Name(name) => resource.set_dropped_attributes_count(name.len() as u32),
            OriginOp::DroppedAttributes(count) => resource.set_dropped_attributes_count(count),
            OriginOp::SchemaUrl(url) => resource.set_schema_url(url),
            OriginOp::Look => {
                let shown = owned::resource(resource.view());
                self.seen
                    .push(format!("{shown:?} {}", resource.schema_url()));
            }
        }
    }

    fn edit_scope(&mut self, scope: &mut ScopeEditor<'_>, op: OriginOp) {
        match op {
            OriginOp::Attributes(ops) => self.edit_attributes(&mut scope.attributes(), &ops),
            OriginOp::Name(name) => {
                scope.set_name(&name);
                scope.set_version(&name);
            }
            OriginOp::DroppedAttributes(count) => scope.set_dropped_attributes_count(count),
            OriginOp::SchemaUrl(url) => scope.set_schema_url(url),
            OriginOp::Look => {
                let shown = owned::scope(scope.view());
                self.seen.push(format!("{shown:?} {}", scope.schema_url()));
            }
        }
    }

    fn edit_children(&mut self, span: &mut SpanEditor<'_>, edits: &[(Vec<AttributeOp>, bool)]) {
        let mut each = edits.iter();
        span.edit_events(|event| {
            let Some((ops, keep)) = each.next() else {
                return Verdict::Keep;
            };
            self.edit_attributes(&mut event.attributes(), ops);
            let name = format!("{}!", event.view().name());
            event.set_name(name);
            Verdict::from(*keep)
        });
        let mut each = edits.iter();
        span.edit_links(|link| {
            let Some((ops, keep)) = each.next() else {
                return Verdict::Keep;
            };
            self.edit_attributes(&mut link.attributes(), ops);
            link.set_flags(7);
            Verdict::from(*keep)
        });
    }

    fn edit_attributes(&mut self, attributes: &mut AttributeEditor<'_>, ops: &[AttributeOp]) {
        for op in ops {
            self.edit_attribute(attributes, op);
        }
    }

    fn edit_attribute(&mut self, attributes: &mut AttributeEditor<'_>, op: &AttributeOp) {
        let nth = |attributes: &AttributeEditor<'_>, nth| {
            let mut there = attributes
                .positions()
                .filter(|at| attributes.at(*at).is_some());
            there.nth(nth).unwrap_or(usize::MAX)
        };
        match op {
            AttributeOp::Insert(key, value) => with(value, |value| {
                attributes.insert(key, value);
            }),
            AttributeOp::Update(key, value) => with(value, |value| {
                attributes.update(key, value);
            }),
            AttributeOp::Upsert(key, value) => with(value, |value| attributes.upsert(key, value)),
            AttributeOp::Delete(key) => {
                attributes.delete(key);
            }
            AttributeOp::Rename(from, to) => {
                attributes.rename(from, to);
            }
            AttributeOp::DeleteMatching(rest) => {
                attributes.delete_matching(|key, _| key.len() % 3 == *rest);
            }
            AttributeOp::Copy(from, to) => {
                if let Some(held) = attributes.hold(from) {
                    attributes.upsert(to, held);
                }
            }
            AttributeOp::UpdateAt(index, value) => {
                let at = nth(attributes, *index);
                with(value, |value| attributes.update_at(at, value));
            }
            AttributeOp::RenameAt(index, key) => attributes.rename_at(nth(attributes, *index), key),
            AttributeOp::DeleteAt(index) => attributes.delete_at(nth(attributes, *index)),
            AttributeOp::Clear => attributes.clear(),
            AttributeOp::Get(key) => {
                let found = attributes.get(key).map(owned::value);
                self.seen.push(format!("{found:?}"));
            }
            AttributeOp::List => {
                let all: Vec<_> = attributes.iter().map(owned::attribute).collect();
                assert_eq!(
                    (all.len(), all.is_empty()),
                    (attributes.len(), attributes.is_empty())
                );
                self.seen.push(format!("{all:?}"));
            }
        }
    }
}

/// Hands on a value in the form that a processor would have it in.
fn with(value: &common::AnyValue, then: impl FnOnce(NewValue<'_>)) {
    use common::any_value::Value;
    match &value.value {
        None => then(NewValue::Empty),
        Some(Value::StringValue(text)) => then(text.as_str().into()),
        Some(Value::BoolValue(value)) => then((*value).into()),
        Some(Value::IntValue(value)) => then((*value).into()),
        Some(Value::DoubleValue(value)) => then((*value).into()),
        Some(Value::BytesValue(bytes)) => then(NewValue::Bytes(bytes)),
        Some(Value::ArrayValue(list)) => then(NewValue::Array(&list.encode_to_vec())),
        Some(Value::KvlistValue(_)) => {
            let message = value.encode_to_vec();
            let view: AnyValue<'_> = crate::view::View::of(&message);
            then(view.into());
        }
        Some(Value::StringValueStrindex(_)) => then(NewValue::Message(&value.encode_to_vec())),
    }
}

fn number(value: metrics::number_data_point::Value) -> Number {
    use metrics::number_data_point::Value;
    match value {
        Value::AsDouble(value) => Number::Double(value),
        Value::AsInt(value) => Number::Int(value),
    }
}

fn data_point(point: DataPoint<'_>) -> String {
    match point {
        DataPoint::Number(point) => format!("{:?}", owned::number_point(point)),
        DataPoint::Histogram(point) => format!("{:?}", owned::histogram_point(point)),
        DataPoint::ExponentialHistogram(point) => format!("{:?}", owned::exponential_point(point)),
        DataPoint::Summary(point) => format!("{:?}", owned::summary_point(point)),
    }
}

fn set_span(span: &mut SpanEditor<'_>, number: u32, from: &Span) {
    match number {
        1 => span.set_trace_id(&from.trace_id),
        2 => span.set_span_id(&from.span_id),
        3 => span.set_trace_state(&from.trace_state),
        4 => span.set_parent_span_id(&from.parent_span_id),
        5 => span.set_name(&from.name),
        6 => span.set_kind(from.kind),
        7 => span.set_start_time_unix_nano(from.start_time_unix_nano),
        8 => span.set_end_time_unix_nano(from.end_time_unix_nano),
        10 => span.set_dropped_attributes_count(from.dropped_attributes_count),
        12 => span.set_dropped_events_count(from.dropped_events_count),
        13 => span.set_status_message(&from.name),
        14 => span.set_dropped_links_count(from.dropped_links_count),
        15 => span.set_status_code(from.kind),
        16 => span.set_flags(from.flags),
        _ => {}
    }
}

fn set_log_record(record: &mut LogRecordEditor<'_>, number: u32, from: &LogRecord) {
    match number {
        1 => record.set_time_unix_nano(from.time_unix_nano),
        2 => record.set_severity_number(from.severity_number),
        3 => record.set_severity_text(&from.severity_text),
        4 => record.clear_body(),
        5 | 6 => with(&from.body.clone().unwrap_or_default(), |body| {
            record.set_body(body)
        }),
        7 => record.set_dropped_attributes_count(from.dropped_attributes_count),
        8 => record.set_flags(from.flags),
        9 => record.set_trace_id(&from.trace_id),
        10 => record.set_span_id(&from.span_id),
        11 => record.set_observed_time_unix_nano(from.observed_time_unix_nano),
        12 => record.set_event_name(&from.event_name),
        _ => {}
    }
}

fn set_metric(metric: &mut MetricEditor<'_>, number: u32, from: &metrics::Metric) {
    let Some(metrics::metric::Data::Sum(sum)) = &from.data else {
        return;
    };
    match number {
        1 | 2 => metric.set_name(&from.name),
        3 | 4 => metric.set_description(&from.description),
        5 | 6 => metric.set_unit(&from.unit),
        7..10 => metric.set_aggregation_temporality(sum.aggregation_temporality),
        10.. => metric.set_is_monotonic(sum.is_monotonic),
        _ => {}
    }
}
