//! Requests laid flat: what the splitter and whatever else regroups records is compared by.

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use prost::Message;

use super::Request;

/// A record with all that surrounds it, encoded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlatRecord {
    /// The fields of its resource's container, without the children.
    pub resource: Vec<u8>,
    /// The fields of its scope's container, without the children.
    pub scope: Vec<u8>,
    /// The fields of its metric, without the data points; empty for other records.
    pub metric: Vec<u8>,
    /// The record.
    pub record: Vec<u8>,
    /// Which resource, scope and metric of the request it stands in.
    pub place: [usize; 3],
}

/// A request laid flat.
#[derive(Clone, Debug, Default)]
pub struct Flat {
    /// Its records in order.
    pub records: Vec<FlatRecord>,
    /// Its innermost containers that hold no record, as records without content.
    pub barren: Vec<FlatRecord>,
}

impl Request {
    /// Lays the request flat.
    #[must_use]
    pub fn flatten(&self) -> Flat {
        let mut flat = Flat::default();
        match self {
            Self::Traces(request) => {
                for (r, resource) in request.resource_spans.iter().enumerate() {
                    let mut bare = resource.clone();
                    bare.scope_spans.clear();
                    let at = At::resource(r, bare.encode_to_vec());
                    flat.note_barren(&at, resource.scope_spans.is_empty());
                    for (s, scope) in resource.scope_spans.iter().enumerate() {
                        let mut bare = scope.clone();
                        bare.spans.clear();
                        flat.add(&at.scope(s, bare.encode_to_vec()), &scope.spans);
                    }
                }
            }
            Self::Logs(request) => {
                for (r, resource) in request.resource_logs.iter().enumerate() {
                    let mut bare = resource.clone();
                    bare.scope_logs.clear();
                    let at = At::resource(r, bare.encode_to_vec());
                    flat.note_barren(&at, resource.scope_logs.is_empty());
                    for (s, scope) in resource.scope_logs.iter().enumerate() {
                        let mut bare = scope.clone();
                        bare.log_records.clear();
                        flat.add(&at.scope(s, bare.encode_to_vec()), &scope.log_records);
                    }
                }
            }
            Self::Metrics(request) => {
                for (r, resource) in request.resource_metrics.iter().enumerate() {
                    let mut bare = resource.clone();
                    bare.scope_metrics.clear();
                    let at = At::resource(r, bare.encode_to_vec());
                    flat.note_barren(&at, resource.scope_metrics.is_empty());
                    for (s, scope) in resource.scope_metrics.iter().enumerate() {
                        let mut bare = scope.clone();
                        bare.metrics.clear();
                        let at = at.scope(s, bare.encode_to_vec());
                        flat.note_barren(&at, scope.metrics.is_empty());
                        for (m, metric) in scope.metrics.iter().enumerate() {
                            flat.add_metric(&at, m, metric);
                        }
                    }
                }
            }
        }
        flat
    }
}

impl Flat {
    /// Adds the records of an innermost container.
    fn add(&mut self, at: &At, records: &[impl Message]) {
        self.note_barren(at, records.is_empty());
        let records = records
            .iter()
            .map(|record| at.record(record.encode_to_vec()));
        self.records.extend(records);
    }

    fn note_barren(&mut self, at: &At, is_barren: bool) {
        if is_barren {
            self.barren.push(at.record(Vec::new()));
        }
    }

    fn add_metric(&mut self, at: &At, index: usize, metric: &Metric) {
        let mut bare = metric.clone();
        match &mut bare.data {
            None => {}
            Some(Data::Gauge(data)) => data.data_points.clear(),
            Some(Data::Sum(data)) => data.data_points.clear(),
            Some(Data::Histogram(data)) => data.data_points.clear(),
            Some(Data::ExponentialHistogram(data)) => data.data_points.clear(),
            Some(Data::Summary(data)) => data.data_points.clear(),
        }
        let at = at.metric(index, bare.encode_to_vec());
        match &metric.data {
            None => self.note_barren(&at, true),
            Some(Data::Gauge(data)) => self.add(&at, &data.data_points),
            Some(Data::Sum(data)) => self.add(&at, &data.data_points),
            Some(Data::Histogram(data)) => self.add(&at, &data.data_points),
            Some(Data::ExponentialHistogram(data)) => self.add(&at, &data.data_points),
            Some(Data::Summary(data)) => self.add(&at, &data.data_points),
        }
    }
}

/// The containers on the way to a record.
#[derive(Clone, Debug)]
struct At(FlatRecord);

impl At {
    fn resource(index: usize, resource: Vec<u8>) -> Self {
        Self(FlatRecord {
            resource,
            scope: Vec::new(),
            metric: Vec::new(),
            record: Vec::new(),
            place: [index, 0, 0],
        })
    }

    fn scope(&self, index: usize, scope: Vec<u8>) -> Self {
        let mut at = self.clone();
        at.0.scope = scope;
        at.0.place[1] = index;
        at
    }

    fn metric(&self, index: usize, metric: Vec<u8>) -> Self {
        let mut at = self.clone();
        at.0.metric = metric;
        at.0.place[2] = index;
        at
    }

    fn record(&self, record: Vec<u8>) -> FlatRecord {
        FlatRecord {
            record,
            ..self.0.clone()
        }
    }
}
