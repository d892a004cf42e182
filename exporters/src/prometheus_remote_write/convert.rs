//! From a batch to series.

use std::fmt::Write;

use smallvec::SmallVec;
use tidegate_pdata::Payload;
use tidegate_pdata::view::{
    AnyValue, Attributes, Exemplar, ExponentialHistogramDataPointFields, HistogramDataPointFields,
    Metric, MetricData, MetricFields, NumberDataPointFields, Repeated, Resource, Scope,
    SummaryDataPointFields, Text,
};

use super::ProtobufMessage;
use super::request::{self, Request};
use super::series::{Family, Gathered, Kind, Label, STALE, Sample, Value};
use super::symbols::{EMPTY, Symbol};
use crate::prometheus::naming::{Namer, Sort, unit_words};
use crate::prometheus::origin::{INSTANCE, NAME, NAMESPACE, Origin, ResourceLabels};
use crate::prometheus::rejection::Rejection;
use crate::prometheus::value::{NO_RECORDED_VALUE, Native};

/// `AggregationTemporality`.
const CUMULATIVE: i32 = 2;

/// Characters that the labels of an exemplar may have in all.
const EXEMPLAR_CHARS: usize = 128;

/// How batches are converted.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) namer: Namer,
    /// Names in their order, and values.
    pub(super) external: Vec<(String, String)>,
    pub(super) resource_labels: ResourceLabels,
    pub(super) target_info: bool,
    pub(super) scope_labels: bool,
    pub(super) metadata: bool,
    pub(super) version: ProtobufMessage,
    /// Bytes of a request, above which another is begun.
    pub(super) largest: usize,
}

/// What a batch comes to.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) requests: Vec<Request>,
    pub(super) rejected: Rejected,
    pub(super) series: usize,
    /// Samples that made room for another of the same time.
    pub(super) collided: usize,
}

/// Points that cannot be written, by reason.
#[derive(Debug, Default)]
pub(super) struct Rejected {
    points: [u64; Rejection::ALL.len()],
    last: Option<Rejection>,
}

impl Rejected {
    fn add(&mut self, reason: Rejection, points: u64) {
        if points > 0 {
            self.points[reason as usize] += points;
            self.last = Some(reason);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.points.iter().sum()
    }

    pub(super) const fn last(&self) -> Option<Rejection> {
        self.last
    }

    pub(super) const fn by_reason(&self) -> &[u64] {
        &self.points
    }
}

impl Plan {
    /// Converts a payload of metrics; `now` is the time of points that have none.
    pub(super) fn convert(&self, payload: &Payload, now: i64) -> Converted {
        let mut walk = Walk::new(self, now);
        for group in payload.resource_metrics() {
            let resource = group.resource();
            let origin = Origin::of(resource, self.resource_labels);
            walk.latest = 0;
            for scope in group.scopes() {
                walk.enter(&origin, scope.scope(), scope.schema_url());
                for metric in scope.metrics() {
                    walk.metric(&origin, metric);
                }
            }
            if self.target_info && walk.latest > 0 {
                walk.target_info(&origin, resource);
            }
        }
        let Walk {
            mut gathered,
            rejected,
            ..
        } = walk;
        let collided = gathered.sort();
        let metadata = self.metadata && self.version == ProtobufMessage::V1;
        Converted {
            requests: request::write(&gathered, self.version, metadata, self.largest),
            series: gathered.series.len(),
            rejected,
            collided,
        }
    }
}

/// A payload on its way.
struct Walk<'p> {
    plan: &'p Plan,
    now: i64,
    gathered: Gathered,
    rejected: Rejected,
    /// The latest time of the resource at hand.
    latest: i64,
    /// `__name__`, `le`, `quantile`.
    own: [Symbol; 3],
    external: Vec<Label>,
    /// The labels of the scope and of `job` and `instance`, which no attribute replaces.
    firm: Vec<Label>,
    /// Why the points of the scope at hand cannot be written.
    barred: Option<Rejection>,
    /// The labels of the point at hand, by the texts of their names, with places for `own`.
    labels: Vec<Label>,
    /// Labels while they are gathered, each with the key that it comes of.
    loose: Vec<(Symbol, Symbol, Key)>,
    /// Names of labels by the symbols of the keys that they come of.
    names: Vec<Option<Option<Symbol>>>,
    /// The bounds of the histogram before, and their labels.
    bounds: (Vec<f64>, Vec<Symbol>),
    text: String,
}

/// The symbol of an attribute's key.
type Key = Symbol;

/// What a metric says of its points.
#[derive(Clone, Copy)]
struct Heading {
    family: u32,
    /// Names: of the metric, its sum, its count and its buckets.
    name: Symbol,
    sum: Symbol,
    count: Symbol,
    bucket: Symbol,
    /// Whether points tell since when they count.
    counts: bool,
}

/// The times of a point, in milliseconds.
#[derive(Clone, Copy)]
struct Times {
    start: i64,
    time: i64,
    /// Whether the point says that there is nothing any more.
    ends: bool,
}

impl<'p> Walk<'p> {
    fn new(plan: &'p Plan, now: i64) -> Self {
        let mut gathered = Gathered::default();
        let symbols = &mut gathered.symbols;
        let own = ["__name__", "le", "quantile"].map(|name| symbols.intern(name));
        let external = plan
            .external
            .iter()
            .map(|(name, value)| (symbols.intern(name), symbols.intern(value)))
            .collect();
        Self {
            plan,
            now,
            gathered,
            rejected: Rejected::default(),
            latest: 0,
            own,
            external,
            firm: Vec::new(),
            barred: None,
            labels: Vec::new(),
            loose: Vec::new(),
            names: Vec::new(),
            bounds: (Vec::new(), Vec::new()),
            text: String::new(),
        }
    }

    fn intern(&mut self, text: &str) -> Symbol {
        self.gathered.symbols.intern(text)
    }

    /// Gathers what all points of a scope carry.
    fn enter(&mut self, origin: &Origin, scope: Scope<'_>, schema_url: Text<'_>) {
        self.firm.clear();
        self.barred = None;
        if self.plan.scope_labels {
            let fields = scope.fields();
            for (key, value) in fields.attributes {
                let key = format!("otel_scope_{}", key.to_str());
                match self.plan.namer.label(&key) {
                    Some(name) => {
                        let label = (self.intern(&name), self.value(value));
                        self.firm(label);
                    }
                    None => self.barred = Some(Rejection::LabelName),
                }
            }
            for (name, value) in [
                ("otel_scope_name", fields.name),
                ("otel_scope_version", fields.version),
                ("otel_scope_schema_url", schema_url),
            ] {
                let label = (self.intern(name), self.intern(&value.to_str()));
                self.firm(label);
            }
        }
        self.identity(origin);
    }

    /// `job` and `instance`.
    fn identity(&mut self, origin: &Origin) {
        for (name, value) in [("job", &origin.job), ("instance", &origin.instance)] {
            if let Some(value) = value {
                let label = (self.intern(name), self.intern(value));
                self.firm(label);
            }
        }
    }

    fn firm(&mut self, label: Label) {
        self.firm.retain(|(name, _)| *name != label.0);
        if label.1 != EMPTY {
            self.firm.push(label);
        }
    }

    fn value(&mut self, value: AnyValue<'_>) -> Symbol {
        if let Some(text) = value.as_text().and_then(|text| text.as_str()) {
            return self.intern(text);
        }
        self.text.clear();
        // Writing into a string does not fail.
        let _ = value.write_text(&mut self.text);
        self.gathered.symbols.intern(&self.text)
    }

    /// The name of the label that an attribute's key comes to.
    fn name(&mut self, key: Symbol) -> Option<Symbol> {
        let at = key as usize;
        if self.names.len() <= at {
            self.names.resize(at + 1, None);
        }
        if let Some(known) = self.names[at] {
            return known;
        }
        let name = self.plan.namer.label(self.gathered.symbols.get(key));
        let name = name.map(|name| self.intern(&name));
        self.names[at] = Some(name);
        name
    }

    fn metric(&mut self, origin: &Origin, metric: Metric<'_>) {
        let fields = metric.fields();
        let heading =
            |walk: &mut Self, kind, sort, counts| walk.heading(&fields, kind, sort, counts);
        match fields.data {
            MetricData::Empty => {}
            MetricData::Gauge(gauge) => {
                let heading = heading(self, Kind::Gauge, Sort::Gauge, false);
                self.each(origin, heading, gauge.data_points(), Self::number);
            }
            MetricData::Sum(sum) => {
                let sum = sum.fields();
                let heading = match (sum.aggregation_temporality, sum.is_monotonic) {
                    (CUMULATIVE, true) => heading(self, Kind::Counter, Sort::Counter, true),
                    (CUMULATIVE, false) => heading(self, Kind::Gauge, Sort::Other, false),
                    _ => Err(Rejection::Temporality),
                };
                self.each(origin, heading, sum.data_points, Self::number);
            }
            MetricData::Histogram(histogram) => {
                let histogram = histogram.fields();
                let heading = match histogram.aggregation_temporality {
                    CUMULATIVE => heading(self, Kind::Histogram, Sort::Other, true),
                    _ => Err(Rejection::Temporality),
                };
                self.each(origin, heading, histogram.data_points, Self::histogram);
            }
            MetricData::ExponentialHistogram(histogram) => {
                let histogram = histogram.fields();
                let heading = match histogram.aggregation_temporality {
                    CUMULATIVE => heading(self, Kind::Histogram, Sort::Other, true),
                    _ => Err(Rejection::Temporality),
                };
                self.each(origin, heading, histogram.data_points, Self::native);
            }
            MetricData::Summary(summary) => {
                let heading = heading(self, Kind::Summary, Sort::Other, true);
                self.each(origin, heading, summary.data_points(), Self::summary);
            }
        }
    }

    fn heading(
        &mut self,
        fields: &MetricFields<'_>,
        kind: Kind,
        sort: Sort,
        counts: bool,
    ) -> Result<Heading, Rejection> {
        if let Some(reason) = self.barred {
            return Err(reason);
        }
        let (name, unit) = (fields.name.to_str(), fields.unit.to_str());
        let named = self.plan.namer.metric(&name, &unit, sort);
        let name = named.ok_or(Rejection::MetricName)?;
        let [sum, count, bucket] =
            ["_sum", "_count", "_bucket"].map(|suffix| self.intern(&format!("{name}{suffix}")));
        let name = self.intern(&name);
        let help = self.intern(&fields.description.to_str());
        let unit = self.intern(&unit_words(&unit));
        let family = self.gathered.family(Family {
            name,
            kind,
            help,
            unit,
        });
        Ok(Heading {
            family,
            name,
            sum,
            count,
            bucket,
            counts,
        })
    }

    /// Takes the points of a metric.
    fn each<'a, P: Point<'a>>(
        &mut self,
        origin: &Origin,
        heading: Result<Heading, Rejection>,
        points: Repeated<'a, P::View>,
        take: impl Fn(&mut Self, Heading, &P, Times) -> Result<(), Rejection>,
    ) {
        let heading = match heading {
            Ok(heading) => heading,
            Err(reason) => return self.rejected.add(reason, points.count() as u64),
        };
        for view in points {
            let point = P::of(view);
            let (start, time) = point.times();
            let time = match milliseconds(time) {
                0 => self.now,
                time => time,
            };
            let times = Times {
                start: if heading.counts {
                    milliseconds(start)
                } else {
                    0
                },
                time,
                ends: point.flags() & NO_RECORDED_VALUE != 0,
            };
            let taken = self
                .gather(origin, point.attributes())
                .and_then(|()| take(self, heading, &point, times));
            match taken {
                Ok(()) => self.latest = self.latest.max(time),
                Err(reason) => self.rejected.add(reason, 1),
            }
        }
    }

    /// Gathers the labels of a point.
    fn gather(&mut self, origin: &Origin, attributes: Attributes<'_>) -> Result<(), Rejection> {
        self.loose.clear();
        for (key, value) in attributes {
            let key = key.to_str();
            // Where attributes of the resource are labels, they win over the point's of the same key.
            if !origin.attributes.is_empty()
                && origin.attributes.iter().any(|(known, _)| **known == *key)
            {
                continue;
            }
            let key = self.intern(&key);
            let name = self.name(key).ok_or(Rejection::LabelName)?;
            let value = self.value(value);
            self.loose.push((name, value, key));
        }
        for (key, value) in &origin.attributes {
            let key = self.intern(key);
            let name = self.name(key).ok_or(Rejection::LabelName)?;
            let value = self.intern(value);
            self.loose.push((name, value, key));
        }
        self.settle();
        Ok(())
    }

    /// Makes labels of what was gathered: those of one name become one, and what every point carries joins them.
    fn settle(&mut self) {
        let symbols = &mut self.gathered.symbols;
        self.loose.sort_by(|a, b| {
            let [x, y] = [a, b].map(|one| (symbols.get(one.0), symbols.get(one.2)));
            x.cmp(&y)
        });
        self.labels.clear();
        for (name, value, _) in &self.loose {
            match self.labels.last_mut() {
                Some((last, joined)) if last == name => {
                    let text = format!("{};{}", symbols.get(*joined), symbols.get(*value));
                    *joined = symbols.intern(&text);
                }
                _ => self.labels.push((*name, *value)),
            }
        }
        let (own, firm) = (&self.own, &self.firm);
        self.labels.retain(|(name, value)| {
            *value != EMPTY && *name != own[0] && !firm.iter().any(|(taken, _)| taken == name)
        });
        for label in firm.iter().chain(&self.external) {
            let place = self
                .labels
                .binary_search_by(|known| symbols.get(known.0).cmp(symbols.get(label.0)));
            // What is not firm gives way.
            if let Err(place) = place {
                self.labels.insert(place, *label);
            }
        }
    }

    /// The series of the point at hand with a name of its own and perhaps one more label.
    fn series(&mut self, family: u32, name: Symbol, more: Option<Label>) -> u32 {
        let symbols = &self.gathered.symbols;
        let place = |label: Symbol| {
            let text = symbols.get(label);
            self.labels
                .partition_point(|known| symbols.get(known.0) < text)
        };
        // `__name__` comes before `le` and `quantile`. An attribute of the name of one of these gives way.
        let first = place(self.own[0]);
        let second = more.map_or(self.labels.len(), |label| place(label.0));
        let (before, rest) = self.labels.split_at(first);
        let (between, after) = rest.split_at(second - first);
        let free = |label: &&Label| more.is_none_or(|(taken, _)| taken != label.0);
        let mut merged: SmallVec<[Label; 32]> = SmallVec::with_capacity(self.labels.len() + 2);
        merged.extend_from_slice(before);
        merged.push((self.own[0], name));
        merged.extend_from_slice(between);
        merged.extend(more);
        merged.extend(after.iter().filter(free).copied());
        self.gathered.series(merged.iter().copied(), family)
    }

    fn sample(&mut self, series: u32, times: Times, value: Value) {
        let value = match (times.ends, value) {
            (false, value) => value,
            (true, Value::Number(_)) => Value::Number(STALE),
            (true, _) => Value::NoNative,
        };
        self.gathered.samples.push(Sample {
            series,
            time: times.time,
            start: times.start,
            value,
        });
    }

    fn number(
        &mut self,
        heading: Heading,
        point: &NumberDataPointFields<'_>,
        times: Times,
    ) -> Result<(), Rejection> {
        let value = point.value.map_or(0.0, |value| value.to_double());
        let series = self.series(heading.family, heading.name, None);
        self.sample(series, times, Value::of(value));
        if heading.counts {
            for exemplar in point.exemplars {
                self.exemplar(series, exemplar);
            }
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        heading: Heading,
        point: &HistogramDataPointFields<'_>,
        times: Times,
    ) -> Result<(), Rejection> {
        let mut bounds = point.explicit_bounds;
        if bounds.any(f64::is_nan) {
            return Err(Rejection::Malformed);
        }
        if point.sum.is_some() || times.ends {
            let series = self.series(heading.family, heading.sum, None);
            self.sample(series, times, Value::of(point.sum.unwrap_or(0.0)));
        }
        let count = Value::of(point.count as f64);
        let series = self.series(heading.family, heading.count, None);
        self.sample(series, times, count);
        self.measure(point);
        let mut buckets: SmallVec<[(f64, u32); 16]> = SmallVec::new();
        let mut sum = 0_u64;
        let counts = point.explicit_bounds.zip(point.bucket_counts);
        for (at, (bound, inside)) in counts.enumerate() {
            sum = sum.saturating_add(inside);
            let le = (self.own[1], self.bounds.1.get(at).copied().unwrap_or(EMPTY));
            let series = self.series(heading.family, heading.bucket, Some(le));
            self.sample(series, times, Value::of(sum as f64));
            buckets.push((bound, series));
        }
        let le = (self.own[1], self.intern("+Inf"));
        let last = self.series(heading.family, heading.bucket, Some(le));
        self.sample(last, times, count);
        for exemplar in point.exemplars {
            let value = exemplar.value().map_or(0.0, |value| value.to_double());
            let inside = buckets.iter().find(|(bound, _)| value <= *bound);
            self.exemplar(inside.map_or(last, |(_, series)| *series), exemplar);
        }
        Ok(())
    }

    /// Has the labels of a histogram's bounds at hand; they are mostly those of the one before.
    fn measure(&mut self, point: &HistogramDataPointFields<'_>) {
        let same = |(a, b): (&f64, f64)| a.to_bits() == b.to_bits();
        let (known, labels) = &mut self.bounds;
        let sent = point.explicit_bounds;
        if known.len() == sent.len() && known.iter().zip(sent).all(same) {
            return;
        }
        known.clear();
        labels.clear();
        for bound in sent {
            known.push(bound);
            self.text.clear();
            write_decimal(&mut self.text, bound);
            labels.push(self.gathered.symbols.intern(&self.text));
        }
    }

    fn native(
        &mut self,
        heading: Heading,
        point: &ExponentialHistogramDataPointFields<'_>,
        times: Times,
    ) -> Result<(), Rejection> {
        let value = if times.ends {
            Value::NoNative
        } else {
            let native = Native::read(point)?;
            self.gathered.natives.push(native);
            // A batch has far fewer points than four billion.
            Value::Native(u32::try_from(self.gathered.natives.len() - 1).unwrap_or(u32::MAX))
        };
        let series = self.series(heading.family, heading.name, None);
        self.sample(series, times, value);
        for exemplar in point.exemplars {
            self.exemplar(series, exemplar);
        }
        Ok(())
    }

    fn summary(
        &mut self,
        heading: Heading,
        point: &SummaryDataPointFields<'_>,
        times: Times,
    ) -> Result<(), Rejection> {
        for (name, value) in [
            (heading.sum, point.sum),
            (heading.count, point.count as f64),
        ] {
            let series = self.series(heading.family, name, None);
            self.sample(series, times, Value::of(value));
        }
        for quantile in point.quantile_values {
            let quantile = quantile.fields();
            self.text.clear();
            write_decimal(&mut self.text, quantile.quantile);
            let label = (self.own[2], self.gathered.symbols.intern(&self.text));
            let series = self.series(heading.family, heading.name, Some(label));
            self.sample(series, times, Value::of(quantile.value));
        }
        Ok(())
    }

    fn exemplar(&mut self, series: u32, exemplar: Exemplar<'_>) {
        let fields = exemplar.fields();
        let mut labels: Vec<Label> = Vec::new();
        let mut chars = 0;
        for (name, id) in [("trace_id", fields.trace_id), ("span_id", fields.span_id)] {
            if id.iter().any(|byte| *byte != 0) {
                self.text.clear();
                for byte in id {
                    // Writing into a string does not fail.
                    let _ = write!(self.text, "{byte:02x}");
                }
                chars += name.len() + self.text.len();
                let value = self.gathered.symbols.intern(&self.text);
                labels.push((self.intern(name), value));
            }
        }
        let ids = labels.len();
        for (key, value) in fields.filtered_attributes {
            let label = (self.intern(&key.to_str()), self.value(value));
            let symbols = &self.gathered.symbols;
            chars += symbols.get(label.0).chars().count() + symbols.get(label.1).chars().count();
            labels.push(label);
        }
        // Those of the measurement are left out where they are too long.
        if chars > EXEMPLAR_CHARS {
            labels.truncate(ids);
        }
        let symbols = &self.gathered.symbols;
        labels.sort_by(|a, b| symbols.get(a.0).cmp(symbols.get(b.0)));
        labels.dedup_by_key(|label| label.0);
        let value = fields.value.map_or(0.0, |value| value.to_double());
        let at = (milliseconds(fields.time_unix_nano), value);
        self.gathered.exemplar(series, at, labels.into_iter());
    }

    /// The series that tells of a resource.
    fn target_info(&mut self, origin: &Origin, resource: Resource<'_>) {
        let named = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
        if !named(&origin.job) && !named(&origin.instance) {
            return;
        }
        self.firm.clear();
        self.identity(origin);
        self.loose.clear();
        for (key, value) in resource.attributes() {
            if [NAME, NAMESPACE, INSTANCE].contains(&key.as_bytes()) {
                continue;
            }
            let key = self.intern(&key.to_str());
            if let Some(name) = self.name(key) {
                let value = self.value(value);
                self.loose.push((name, value, key));
            }
        }
        if self.loose.is_empty() {
            return;
        }
        self.settle();
        let name = self.intern(&self.plan.namer.target_info());
        let help = self.intern("Target metadata");
        let family = self.gathered.family(Family {
            name,
            kind: Kind::Gauge,
            help,
            unit: EMPTY,
        });
        let series = self.series(family, name, None);
        let times = Times {
            start: 0,
            time: self.latest,
            ends: false,
        };
        self.sample(series, times, Value::of(1.0));
    }
}

/// Writes a number without an exponent, as labels have it.
fn write_decimal(text: &mut String, value: f64) {
    if value.is_infinite() {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        // Writing into a string does not fail.
        let _ = write!(text, "{value}");
    }
}

const fn milliseconds(nanos: u64) -> i64 {
    (nanos / 1_000_000).cast_signed()
}

/// A data point of some type.
trait Point<'a>: Sized {
    type View: tidegate_pdata::view::View<'a>;

    fn of(view: Self::View) -> Self;
    fn attributes(&self) -> Attributes<'a>;
    fn flags(&self) -> u32;
    /// Start and end, in nanoseconds since 1970.
    fn times(&self) -> (u64, u64);
}

macro_rules! points {
    ($($fields:ident of $view:ident),*) => {$(
        impl<'a> Point<'a> for $fields<'a> {
            type View = tidegate_pdata::view::$view<'a>;

            fn of(view: Self::View) -> Self {
                view.fields()
            }

            fn attributes(&self) -> Attributes<'a> {
                self.attributes
            }

            fn flags(&self) -> u32 {
                self.flags
            }

            fn times(&self) -> (u64, u64) {
                (self.start_time_unix_nano, self.time_unix_nano)
            }
        }
    )*};
}

points! {
    NumberDataPointFields of NumberDataPoint,
    HistogramDataPointFields of HistogramDataPoint,
    ExponentialHistogramDataPointFields of ExponentialHistogramDataPoint,
    SummaryDataPointFields of SummaryDataPoint
}
