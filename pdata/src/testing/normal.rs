//! Messages as the views show them: an absent resource, scope, status or attribute's value is an empty
//! one, and the indices that only profiles have are not there.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, metric::Data};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::testing::Request;

pub(crate) trait Normal {
    fn normalise(&mut self);
}

impl<T: Normal> Normal for Vec<T> {
    fn normalise(&mut self) {
        self.iter_mut().for_each(T::normalise);
    }
}

impl Normal for AnyValue {
    fn normalise(&mut self) {
        match &mut self.value {
            Some(Value::StringValueStrindex(_)) => self.value = None,
            Some(Value::ArrayValue(list)) => list.values.normalise(),
            Some(Value::KvlistValue(map)) => map.values.normalise(),
            _ => {}
        }
    }
}

impl Normal for KeyValue {
    fn normalise(&mut self) {
        self.key_strindex = 0;
        self.value.get_or_insert_default().normalise();
    }
}

impl Normal for Resource {
    fn normalise(&mut self) {
        self.attributes.normalise();
    }
}

impl Normal for InstrumentationScope {
    fn normalise(&mut self) {
        self.attributes.normalise();
    }
}

impl Normal for Span {
    fn normalise(&mut self) {
        self.attributes.normalise();
        self.status.get_or_insert_default();
        for event in &mut self.events {
            event.attributes.normalise();
        }
        for link in &mut self.links {
            link.attributes.normalise();
        }
    }
}

impl Normal for LogRecord {
    fn normalise(&mut self) {
        self.attributes.normalise();
        self.body.iter_mut().for_each(Normal::normalise);
    }
}

impl Normal for Exemplar {
    fn normalise(&mut self) {
        self.filtered_attributes.normalise();
    }
}

impl Normal for Metric {
    fn normalise(&mut self) {
        macro_rules! points {
            ($data:ident, $($exemplars:ident)?) => {
                for point in &mut $data.data_points {
                    point.attributes.normalise();
                    $(point.$exemplars.normalise();)?
                }
            };
        }
        self.metadata.normalise();
        match &mut self.data {
            None => {}
            Some(Data::Gauge(data)) => points!(data, exemplars),
            Some(Data::Sum(data)) => points!(data, exemplars),
            Some(Data::Histogram(data)) => points!(data, exemplars),
            Some(Data::ExponentialHistogram(data)) => points!(data, exemplars),
            Some(Data::Summary(data)) => points!(data,),
        }
    }
}

macro_rules! groups {
    ($groups:expr, $scopes:ident, $records:ident) => {
        for group in &mut $groups {
            group.resource.get_or_insert_default().normalise();
            for scope in &mut group.$scopes {
                scope.scope.get_or_insert_default().normalise();
                scope.$records.normalise();
            }
        }
    };
}

impl Normal for Request {
    fn normalise(&mut self) {
        match self {
            Self::Traces(request) => groups!(request.resource_spans, scope_spans, spans),
            Self::Metrics(request) => groups!(request.resource_metrics, scope_metrics, metrics),
            Self::Logs(request) => groups!(request.resource_logs, scope_logs, log_records),
        }
    }
}
