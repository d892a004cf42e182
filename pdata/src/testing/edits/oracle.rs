//! The oracle: the same edits on prost's types, with the semantics of the Collector's pdata.

use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::script::{AttributeOp, OriginOp, RecordOp, Script};
use crate::splice::{Verdict, Visit};
use crate::testing::Request;
use crate::testing::normal::Normal;

/// What was looked at on the way.
pub(crate) type Seen = Vec<String>;

/// The scope with its schema, the resource with its schema.
struct Origin<'o> {
    resource: &'o mut Resource,
    resource_schema: &'o mut String,
    scope: &'o mut common::InstrumentationScope,
    scope_schema: &'o mut String,
}

struct Oracle {
    script: Script,
    seen: Seen,
    kept: usize,
    dropped: usize,
}

/// Edits a request as the script says.
pub(crate) fn edit(request: &mut Request, script: Script) -> Seen {
    let mut oracle = Oracle {
        script,
        seen: Seen::new(),
        kept: 0,
        dropped: 0,
    };
    request.normalise();
    match request {
        Request::Traces(request) => oracle.traces(&mut request.resource_spans),
        Request::Logs(request) => oracle.logs(&mut request.resource_logs),
        Request::Metrics(request) => oracle.metrics(&mut request.resource_metrics),
    }
    request.normalise();
    oracle.seen
}

/// The walk over groups, for the three signals whose groups are alike but not of one type.
macro_rules! walk {
    ($name:ident, $module:ident::$group:ident { $scopes:ident, $records:ident }, $items:expr, $record:ident) => {
        fn $name(&mut self, groups: &mut Vec<opentelemetry_proto::tonic::$module::v1::$group>) {
            let items = $items;
            groups.retain_mut(|group| {
                let (ops, visit) = self.script.origin();
                let resource = group.resource.get_or_insert_default();
                for op in ops {
                    self.edit_resource(resource, &mut group.schema_url, op);
                }
                let before = (self.kept, self.dropped);
                match visit {
                    Visit::Drop => {
                        let scopes = group.$scopes.iter();
                        self.dropped += scopes
                            .flat_map(|scope| &scope.$records)
                            .map(items)
                            .sum::<usize>();
                        return false;
                    }
                    Visit::Skip => {
                        self.kept += 1;
                        return true;
                    }
                    Visit::Enter => {}
                }
                group.$scopes.retain_mut(|inner| {
                    let (ops, visit) = self.script.origin();
                    let mut origin = Origin {
                        resource,
                        resource_schema: &mut group.schema_url,
                        scope: inner.scope.get_or_insert_default(),
                        scope_schema: &mut inner.schema_url,
                    };
                    for op in ops {
                        self.edit_scope(&mut origin, op);
                    }
                    let before = (self.kept, self.dropped);
                    match visit {
                        Visit::Drop => {
                            self.dropped += inner.$records.iter().map(items).sum::<usize>();
                            return false;
                        }
                        Visit::Skip => {
                            self.kept += 1;
                            return true;
                        }
                        Visit::Enter => {}
                    }
                    inner
                        .$records
                        .retain_mut(|record| self.$record(record, &mut origin));
                    self.dropped == before.1 || self.kept > before.0
                });
                self.dropped == before.1 || self.kept > before.0
            });
        }
    };
}

impl Oracle {
    walk!(
        traces,
        trace::ResourceSpans { scope_spans, spans },
        |_: &Span| 1,
        span
    );
    walk!(
        logs,
        logs::ResourceLogs {
            scope_logs,
            log_records
        },
        |_: &LogRecord| 1,
        log_record
    );
    walk!(
        metrics,
        metrics::ResourceMetrics {
            scope_metrics,
            metrics
        },
        items,
        metric
    );

    fn count(&mut self, verdict: Verdict) -> bool {
        let keep = verdict == Verdict::Keep;
        self.kept += usize::from(keep);
        self.dropped += usize::from(!keep);
        keep
    }

    fn edit_resource(&mut self, resource: &mut Resource, schema: &mut String, op: OriginOp) {
        match op {
            OriginOp::Attributes(ops) => self.edit_attributes(&mut resource.attributes, &ops),
            OriginOp::Name(name) => resource.dropped_attributes_count = name.len() as u32,
            OriginOp::DroppedAttributes(count) => resource.dropped_attributes_count = count,
            OriginOp::SchemaUrl(url) => *schema = url,
            OriginOp::Look => self.seen.push(format!("{resource:?} {schema}")),
        }
    }

    fn edit_scope(&mut self, origin: &mut Origin<'_>, op: OriginOp) {
        let scope = &mut *origin.scope;
        match op {
            OriginOp::Attributes(ops) => self.edit_attributes(&mut scope.attributes, &ops),
            OriginOp::Name(name) => {
                scope.version.clone_from(&name);
                scope.name = name;
            }
            OriginOp::DroppedAttributes(count) => scope.dropped_attributes_count = count,
            OriginOp::SchemaUrl(url) => *origin.scope_schema = url,
            OriginOp::Look => self.seen.push(format!("{scope:?} {}", origin.scope_schema)),
        }
    }

    /// Does what is alike for all records; returns what is not.
    fn edit_record<R: std::fmt::Debug>(
        &mut self,
        record: &mut R,
        attributes: fn(&mut R) -> &mut Vec<common::KeyValue>,
        origin: &mut Origin<'_>,
        op: RecordOp<R>,
    ) -> Option<RecordOp<R>> {
        match op {
            RecordOp::Attributes(ops) => self.edit_attributes(attributes(record), &ops),
            RecordOp::Replace(other) => *record = *other,
            RecordOp::Resource(op) => {
                self.edit_resource(origin.resource, origin.resource_schema, op);
            }
            RecordOp::Scope(op) => self.edit_scope(origin, op),
            RecordOp::Look => self.seen.push(format!("{record:?}")),
            other => return Some(other),
        }
        None
    }

    fn span(&mut self, span: &mut Span, origin: &mut Origin<'_>) -> bool {
        let (ops, verdict) = self.script.record::<Span>();
        for op in ops {
            let op = self.edit_record(span, |span| &mut span.attributes, origin, op);
            span.normalise();
            match op {
                Some(RecordOp::Set(number, from)) => set_span(span, number, *from),
                Some(RecordOp::Children(edits)) => {
                    let mut each = edits.iter();
                    span.events.retain_mut(|event| {
                        let Some((ops, keep)) = each.next() else {
                            return true;
                        };
                        self.edit_attributes(&mut event.attributes, ops);
                        event.name.push('!');
                        *keep
                    });
                    let mut each = edits.iter();
                    span.links.retain_mut(|link| {
                        let Some((ops, keep)) = each.next() else {
                            return true;
                        };
                        self.edit_attributes(&mut link.attributes, ops);
                        link.flags = 7;
                        *keep
                    });
                }
                _ => {}
            }
        }
        self.count(verdict)
    }

    fn log_record(&mut self, record: &mut LogRecord, origin: &mut Origin<'_>) -> bool {
        let (ops, verdict) = self.script.record::<LogRecord>();
        for op in ops {
            let op = self.edit_record(record, |record| &mut record.attributes, origin, op);
            record.normalise();
            match op {
                Some(RecordOp::Set(number, from)) => set_log_record(record, number, *from),
                Some(RecordOp::Body(key)) => {
                    if let Some(found) = record.attributes.iter().find(|entry| entry.key == key) {
                        record.body.clone_from(&found.value);
                    }
                }
                _ => {}
            }
        }
        self.count(verdict)
    }

    fn metric(&mut self, metric: &mut metrics::Metric, origin: &mut Origin<'_>) -> bool {
        let original = items(metric);
        let (ops, visit) = self.script.metric();
        for op in ops {
            let op = self.edit_record(metric, |metric| &mut metric.metadata, origin, op);
            metric.normalise();
            if let Some(RecordOp::Set(number, from)) = op {
                set_metric(metric, number, *from);
            }
        }
        let before = (self.kept, self.dropped);
        match visit {
            Visit::Drop => {
                self.dropped += original;
                return false;
            }
            Visit::Skip => {
                self.kept += 1;
                return true;
            }
            Visit::Enter => {}
        }
        let shown = metric.clone();
        self.data_points(metric, &shown, origin);
        self.dropped == before.1 || self.kept > before.0
    }

    fn data_points(
        &mut self,
        metric: &mut metrics::Metric,
        shown: &metrics::Metric,
        origin: &mut Origin<'_>,
    ) {
        use metrics::metric::Data;
        macro_rules! points {
            ($data:expr) => {
                $data.data_points.retain_mut(|point| {
                    let (ops, verdict) = self.script.record::<metrics::NumberDataPoint>();
                    for op in ops {
                        match op {
                            RecordOp::Attributes(ops) => {
                                self.edit_attributes(&mut point.attributes, &ops)
                            }
                            RecordOp::Resource(op) => {
                                self.edit_resource(origin.resource, origin.resource_schema, op)
                            }
                            RecordOp::Scope(op) => self.edit_scope(origin, op),
                            RecordOp::Look => self.seen.push(format!("{point:?} of {shown:?}")),
                            RecordOp::Set(1 | 2, from) => {
                                point.start_time_unix_nano = from.start_time_unix_nano
                            }
                            RecordOp::Set(3 | 4, from) => {
                                point.time_unix_nano = from.time_unix_nano
                            }
                            RecordOp::Set(5 | 6, from) => point.flags = from.flags,
                            RecordOp::Set(_, from) => point.set_value(from.value),
                            _ => {}
                        }
                    }
                    self.count(verdict)
                })
            };
        }
        match &mut metric.data {
            None => {}
            Some(Data::Gauge(data)) => points!(data),
            Some(Data::Sum(data)) => points!(data),
            Some(Data::Histogram(data)) => points!(data),
            Some(Data::ExponentialHistogram(data)) => points!(data),
            Some(Data::Summary(data)) => points!(data),
        }
    }

    fn edit_attributes(&mut self, entries: &mut Vec<common::KeyValue>, ops: &[AttributeOp]) {
        for op in ops {
            self.edit_attribute(entries, op);
        }
    }

    fn edit_attribute(&mut self, entries: &mut Vec<common::KeyValue>, op: &AttributeOp) {
        let find = |entries: &[common::KeyValue], key: &str| {
            entries.iter().position(|entry| entry.key == key)
        };
        match op {
            AttributeOp::Insert(key, value) if find(entries, key).is_none() => {
                entries.push(entry(key, value.clone()));
            }
            AttributeOp::Insert(..) => {}
            AttributeOp::Update(key, value) => {
                if let Some(index) = find(entries, key) {
                    entries[index].value = Some(value.clone());
                }
            }
            AttributeOp::Upsert(key, value) => match find(entries, key) {
                Some(index) => entries[index].value = Some(value.clone()),
                None => entries.push(entry(key, value.clone())),
            },
            AttributeOp::Delete(key) => {
                find(entries, key).map(|index| entries.remove(index));
            }
            AttributeOp::Rename(from, to) => {
                if let Some(index) = find(entries, from) {
                    entries[index].key.clone_from(to);
                }
            }
            AttributeOp::DeleteMatching(rest) => {
                entries.retain(|entry| entry.key.len() % 3 != *rest)
            }
            AttributeOp::Copy(from, to) => {
                if let Some(index) = find(entries, from) {
                    let value = entries[index].value.clone().unwrap_or_default();
                    self.edit_attribute(entries, &AttributeOp::Upsert(to.clone(), value));
                }
            }
            AttributeOp::UpdateAt(index, value) => {
                if let Some(entry) = entries.get_mut(*index) {
                    entry.value = Some(value.clone());
                }
            }
            AttributeOp::RenameAt(index, key) => {
                if let Some(entry) = entries.get_mut(*index) {
                    entry.key.clone_from(key);
                }
            }
            AttributeOp::DeleteAt(index) => {
                if *index < entries.len() {
                    entries.remove(*index);
                }
            }
            AttributeOp::Clear => entries.clear(),
            AttributeOp::Get(key) => {
                let mut found = find(entries, key).map(|index| entries[index].value.clone());
                found.iter_mut().flatten().for_each(Normal::normalise);
                self.seen
                    .push(format!("{:?}", found.map(Option::unwrap_or_default)));
            }
            AttributeOp::List => {
                let mut entries = entries.clone();
                entries.iter_mut().for_each(Normal::normalise);
                self.seen.push(format!("{entries:?}"));
            }
        }
    }
}

fn entry(key: &str, value: common::AnyValue) -> common::KeyValue {
    common::KeyValue {
        key: key.to_owned(),
        value: Some(value),
        ..Default::default()
    }
}

fn set_span(span: &mut Span, number: u32, from: Span) {
    let status = span.status.get_or_insert_with(Status::default);
    match number {
        1 => span.trace_id = from.trace_id,
        2 => span.span_id = from.span_id,
        3 => span.trace_state = from.trace_state,
        4 => span.parent_span_id = from.parent_span_id,
        5 => span.name = from.name,
        6 => span.kind = from.kind,
        7 => span.start_time_unix_nano = from.start_time_unix_nano,
        8 => span.end_time_unix_nano = from.end_time_unix_nano,
        10 => span.dropped_attributes_count = from.dropped_attributes_count,
        12 => span.dropped_events_count = from.dropped_events_count,
        13 => status.message = from.name,
        14 => span.dropped_links_count = from.dropped_links_count,
        15 => status.code = from.kind,
        16 => span.flags = from.flags,
        _ => {}
    }
}

fn set_log_record(record: &mut LogRecord, number: u32, from: LogRecord) {
    match number {
        1 => record.time_unix_nano = from.time_unix_nano,
        2 => record.severity_number = from.severity_number,
        3 => record.severity_text = from.severity_text,
        4 => record.body = None,
        5 | 6 => record.body = from.body,
        7 => record.dropped_attributes_count = from.dropped_attributes_count,
        8 => record.flags = from.flags,
        9 => record.trace_id = from.trace_id,
        10 => record.span_id = from.span_id,
        11 => record.observed_time_unix_nano = from.observed_time_unix_nano,
        12 => record.event_name = from.event_name,
        _ => {}
    }
}

fn set_metric(metric: &mut metrics::Metric, number: u32, from: metrics::Metric) {
    use metrics::metric::Data;
    let Some(Data::Sum(sum)) = from.data else {
        return;
    };
    match (number, &mut metric.data) {
        (1 | 2, _) => metric.name = from.name,
        (3 | 4, _) => metric.description = from.description,
        (5 | 6, _) => metric.unit = from.unit,
        (7..10, Some(Data::Sum(data))) => {
            data.aggregation_temporality = sum.aggregation_temporality
        }
        (7..10, Some(Data::Histogram(data))) => {
            data.aggregation_temporality = sum.aggregation_temporality
        }
        (7..10, Some(Data::ExponentialHistogram(data))) => {
            data.aggregation_temporality = sum.aggregation_temporality;
        }
        (10.., Some(Data::Sum(data))) => data.is_monotonic = sum.is_monotonic,
        _ => {}
    }
}

trait SetValue {
    fn set_value(&mut self, value: Option<metrics::number_data_point::Value>);
}

impl SetValue for metrics::NumberDataPoint {
    fn set_value(&mut self, value: Option<metrics::number_data_point::Value>) {
        self.value = value;
    }
}

/// Points of other kinds have no single value.
macro_rules! no_value {
    ($($point:ident)*) => {$(
        impl SetValue for metrics::$point {
            fn set_value(&mut self, _: Option<metrics::number_data_point::Value>) {}
        }
    )*};
}
no_value!(HistogramDataPoint ExponentialHistogramDataPoint SummaryDataPoint);

fn items(metric: &metrics::Metric) -> usize {
    use metrics::metric::Data;
    match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    }
}
