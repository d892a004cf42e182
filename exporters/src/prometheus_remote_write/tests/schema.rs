//! The messages of both versions, for reading what was written.

use std::collections::BTreeMap;

use prost::Message;

use crate::prometheus_remote_write::ProtobufMessage;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
    #[prost(int64, tag = "3")]
    start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Span {
    #[prost(sint32, tag = "1")]
    pub(super) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(super) length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Native {
    #[prost(uint64, optional, tag = "1")]
    pub(super) count_int: Option<u64>,
    #[prost(double, tag = "3")]
    pub(super) sum: f64,
    #[prost(sint32, tag = "4")]
    pub(super) schema: i32,
    #[prost(double, tag = "5")]
    pub(super) zero_threshold: f64,
    #[prost(uint64, optional, tag = "6")]
    pub(super) zero_count_int: Option<u64>,
    #[prost(message, repeated, tag = "8")]
    pub(super) negative_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "9")]
    pub(super) negative_deltas: Vec<i64>,
    #[prost(message, repeated, tag = "11")]
    pub(super) positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "12")]
    pub(super) positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    pub(super) timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ExemplarOne {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesOne {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<ExemplarOne>,
    #[prost(message, repeated, tag = "4")]
    natives: Vec<Native>,
}

#[derive(Clone, PartialEq, Message)]
struct MetadataOne {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    family: String,
    #[prost(string, tag = "4")]
    help: String,
    #[prost(string, tag = "5")]
    unit: String,
}

#[derive(Clone, PartialEq, Message)]
struct One {
    #[prost(message, repeated, tag = "1")]
    series: Vec<SeriesOne>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<MetadataOne>,
}

#[derive(Clone, PartialEq, Message)]
struct ExemplarTwo {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct MetadataTwo {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help: u32,
    #[prost(uint32, tag = "4")]
    unit: u32,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesTwo {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    natives: Vec<Native>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<ExemplarTwo>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<MetadataTwo>,
    #[prost(int64, tag = "6")]
    created: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Two {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    series: Vec<SeriesTwo>,
}

/// What was written of one series, in either version.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// The names of its labels, as they came.
    pub(super) names: Vec<String>,
    /// Time, the bits of the value, start.
    pub(super) samples: Vec<(i64, u64, i64)>,
    pub(super) natives: Vec<Native>,
    /// Labels, value, time.
    pub(super) exemplars: Vec<(String, f64, i64)>,
    /// Type, help, unit.
    pub(super) metadata: Option<(i32, String, String)>,
    pub(super) created: i64,
}

impl Series {
    pub(super) fn numbers(&self) -> Vec<(i64, f64)> {
        let number = |(time, bits, _): &(i64, u64, i64)| (*time, f64::from_bits(*bits));
        self.samples.iter().map(number).collect()
    }
}

/// What was written, in one request or several.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// By labels, as `name="value"` joined by commas.
    pub(super) series: BTreeMap<String, Series>,
    /// Type, help and unit by name, as the first version has them.
    pub(super) families: BTreeMap<String, (i32, String, String)>,
    /// Series that came more than once.
    pub(super) twice: usize,
}

impl Written {
    pub(super) fn read(&mut self, body: &[u8], version: ProtobufMessage) {
        match version {
            ProtobufMessage::V1 => self.one(One::decode(body).unwrap()),
            ProtobufMessage::V2 => self.two(Two::decode(body).unwrap()),
        }
    }

    /// The only series of a name, with this in its labels.
    pub(super) fn with(&self, name: &str, label: &str) -> &Series {
        let name = format!("__name__=\"{name}\"");
        let found = self.series.iter();
        let mut found =
            found.filter(|(labels, _)| labels.contains(&name) && labels.contains(label));
        match (found.next(), found.next()) {
            (Some((_, series)), None) => series,
            _ => panic!("{name} {label} in {:#?}", self.series.keys()),
        }
    }

    pub(super) fn numbers(&self, name: &str) -> Vec<(i64, f64)> {
        self.with(name, "").numbers()
    }

    fn add(&mut self, labels: &[(String, String)], series: Series) {
        let known = self.series.insert(text(labels), series);
        self.twice += usize::from(known.is_some());
    }

    fn one(&mut self, request: One) {
        let pairs = |labels: &[Label]| -> Vec<(String, String)> {
            let pair = |label: &Label| (label.name.clone(), label.value.clone());
            labels.iter().map(pair).collect()
        };
        for one in request.series {
            let labels = pairs(&one.labels);
            let exemplar = |one: ExemplarOne| (text(&pairs(&one.labels)), one.value, one.timestamp);
            let series = Series {
                names: labels.iter().map(|(name, _)| name.clone()).collect(),
                samples: one.samples.iter().map(sample).collect(),
                natives: one.natives,
                exemplars: one.exemplars.into_iter().map(exemplar).collect(),
                ..Series::default()
            };
            self.add(&labels, series);
        }
        for one in request.metadata {
            self.families
                .insert(one.family, (one.kind, one.help, one.unit));
        }
    }

    fn two(&mut self, request: Two) {
        assert_eq!(request.symbols[0], "");
        let mut symbols = request.symbols.clone();
        symbols.sort();
        symbols.dedup();
        assert_eq!(symbols.len(), request.symbols.len(), "each text once");
        let get = |at: u32| request.symbols[at as usize].clone();
        let pairs = |labels: &[u32]| -> Vec<(String, String)> {
            let pair = |two: &[u32]| (get(two[0]), get(two[1]));
            labels.chunks(2).map(pair).collect()
        };
        for one in request.series {
            let labels = pairs(&one.labels);
            let exemplar = |one: ExemplarTwo| (text(&pairs(&one.labels)), one.value, one.timestamp);
            let metadata = one
                .metadata
                .map(|one| (one.kind, get(one.help), get(one.unit)));
            let series = Series {
                names: labels.iter().map(|(name, _)| name.clone()).collect(),
                samples: one.samples.iter().map(sample).collect(),
                natives: one.natives,
                exemplars: one.exemplars.into_iter().map(exemplar).collect(),
                metadata,
                created: one.created,
            };
            self.add(&labels, series);
        }
    }
}

fn sample(sample: &Sample) -> (i64, u64, i64) {
    (
        sample.timestamp,
        sample.value.to_bits(),
        sample.start_timestamp,
    )
}

fn text(labels: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| format!("{name}=\"{value}\"");
    labels.iter().map(pair).collect::<Vec<_>>().join(",")
}
