//! Writing the metrics that were chosen.

use smallvec::SmallVec;
use tidegate_pdata::compose::{Request, Value, number_point};

use super::choices::{Aggregation, Choice};
use super::{Chosen, Metric, Table};

/// Writes metrics of one resource and scope into a request, those alone that were chosen.
pub(crate) struct Emit<'a, T> {
    request: &'a mut Request,
    chosen: &'a Chosen<T>,
    /// Counts the metrics that had a point.
    metrics: &'a mut usize,
    start: u64,
    time: u64,
}

impl<'a, T: Table> Emit<'a, T> {
    /// Writes into a request whose scope has been begun; points have these times, in nanoseconds.
    pub(crate) fn new(
        request: &'a mut Request,
        metrics: &'a mut usize,
        chosen: &'a Chosen<T>,
        start: u64,
        time: u64,
    ) -> Self {
        Self {
            request,
            chosen,
            metrics,
            start,
            time,
        }
    }

    /// Writes the points of a metric, unless nobody wants it.
    pub(crate) fn metric(&mut self, metric: T, write: impl FnOnce(&mut Points<'_>)) {
        let choice = self.chosen.of(metric);
        if !choice.enabled {
            return;
        }
        let before = self.request.items();
        let metric = &T::ALL[metric.at()];
        self.request
            .metric(metric.name, metric.description, metric.unit, metric.kind);
        let mut points = Points {
            request: self.request,
            metric,
            choice,
            start: self.start,
            time: self.time,
            groups: Vec::new(),
        };
        write(&mut points);
        points.finish();
        *self.metrics += usize::from(self.request.items() > before);
    }

    /// Writes a metric of one point without attributes.
    pub(crate) fn int(&mut self, metric: T, value: u64) {
        self.metric(metric, |points| points.int(value, &[]));
    }

    /// Writes a metric of one point without attributes.
    pub(crate) fn double(&mut self, metric: T, value: f64) {
        self.metric(metric, |points| points.double(value, &[]));
    }
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    fn join(self, other: Self, how: Aggregation) -> Self {
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => Self::Int(match how {
                Aggregation::Sum | Aggregation::Avg => one.wrapping_add(two),
                Aggregation::Min => one.min(two),
                Aggregation::Max => one.max(two),
            }),
            (Self::Double(one), Self::Double(two)) => Self::Double(match how {
                Aggregation::Sum | Aggregation::Avg => one + two,
                Aggregation::Min => one.min(two),
                Aggregation::Max => one.max(two),
            }),
            // The points of a metric are all of one type.
            (one, _) => one,
        }
    }

    fn divided(self, by: u32) -> Self {
        match self {
            Self::Int(value) => Self::Int(value / i64::from(by.max(1))),
            Self::Double(value) => Self::Double(value / f64::from(by.max(1))),
        }
    }
}

/// The value of an attribute that is kept for a while.
enum Kept {
    Text(Box<str>),
    Int(i64),
}

impl Kept {
    fn new(value: Value<'_>) -> Self {
        match value {
            Value::Str(text) => Self::Text(text.into()),
            Value::Int(number) => Self::Int(number),
            // No scraper has others.
            _ => Self::Text("".into()),
        }
    }

    fn is(&self, value: Value<'_>) -> bool {
        self.value() == value
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Str(text),
            Self::Int(number) => Value::Int(*number),
        }
    }
}

/// Points that have been joined, as some of their attributes are left out.
struct Group {
    attributes: SmallVec<[Kept; 4]>,
    value: Number,
    count: u32,
}

/// Takes the points of one metric.
pub(crate) struct Points<'a> {
    request: &'a mut Request,
    metric: &'a Metric,
    choice: &'a Choice,
    start: u64,
    time: u64,
    groups: Vec<Group>,
}

impl Points<'_> {
    /// Adds a whole number; the attributes' values in the order of the table.
    pub(crate) fn int(&mut self, value: u64, attributes: &[&str]) {
        // As the Collector does: OTLP has signed numbers alone.
        self.add_text(Number::Int(value as i64), attributes);
    }

    /// Adds a number; what is none, as a share of nothing, is left out.
    pub(crate) fn double(&mut self, value: f64, attributes: &[&str]) {
        if value.is_finite() {
            self.add_text(Number::Double(value), attributes);
        }
    }

    /// Adds a whole number whose attributes are not all text.
    pub(crate) fn int_of(&mut self, value: u64, attributes: &[Value<'_>]) {
        self.add(Number::Int(value as i64), attributes);
    }

    fn add_text(&mut self, value: Number, attributes: &[&str]) {
        let attributes = attributes.iter().map(|text| Value::Str(text));
        self.add(value, &attributes.collect::<SmallVec<[Value<'_>; 5]>>());
    }

    fn add(&mut self, value: Number, attributes: &[Value<'_>]) {
        debug_assert_eq!(attributes.len(), self.metric.attributes.len());
        let Some(kept) = self.choice.kept else {
            let names = self.metric.attributes.iter().copied();
            write(
                self.request,
                (self.start, self.time),
                value,
                names.zip(attributes.iter().copied()),
            );
            return;
        };
        let is_kept = |at: &usize| kept & 1 << at != 0;
        let all = attributes.iter().enumerate();
        let those = || {
            all.clone()
                .filter(|(at, _)| is_kept(at))
                .map(|(_, value)| *value)
        };
        let how = self.choice.aggregation;
        let same = |group: &&mut Group| {
            let kept = group.attributes.iter();
            kept.zip(those()).all(|(kept, value)| kept.is(value))
        };
        match self.groups.iter_mut().find(same) {
            Some(group) => {
                group.value = group.value.join(value, how);
                group.count += 1;
            }
            None => self.groups.push(Group {
                attributes: those().map(Kept::new).collect(),
                value,
                count: 1,
            }),
        }
    }

    fn finish(self) {
        let kept = self.choice.kept.unwrap_or_default();
        for group in &self.groups {
            let value = match self.choice.aggregation {
                Aggregation::Avg => group.value.divided(group.count),
                _ => group.value,
            };
            let names = self.metric.attributes.iter().enumerate();
            let names = names.filter(|(at, _)| kept & 1 << at != 0);
            let names = names.map(|(_, name)| *name);
            let attributes = names.zip(group.attributes.iter().map(Kept::value));
            write(self.request, (self.start, self.time), value, attributes);
        }
    }
}

fn write<'v>(
    request: &mut Request,
    (start, time): (u64, u64),
    value: Number,
    attributes: impl Iterator<Item = (&'static str, Value<'v>)>,
) {
    request.point(|point| {
        point.fixed64(number_point::START_TIME, start);
        point.fixed64(number_point::TIME, time);
        match value {
            Number::Double(value) => point.double(number_point::AS_DOUBLE, value),
            Number::Int(value) => point.int(number_point::AS_INT, value),
        }
        for (name, value) in attributes {
            point.attribute(number_point::ATTRIBUTES, name, value);
        }
    });
}
