//! `metricsgeneration`: makes metrics of other metrics by arithmetic.
//!
//! What comes in is copied as it is; new metrics are written behind the metrics of the scope that they come from.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::metrics::Counter;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Outbox, Processor, Reason, Stability,
};
use tidegate_pdata::compose::{Fields, Value, number_point};
use tidegate_pdata::view::{Attributes, KeyValue, Metric, MetricData, Number, NumberDataPoint};
use tidegate_pdata::view::{Repeated, View};
use tidegate_pdata::wire::Cursor;
use tidegate_pdata::{Batch, Budget, Payload, Signal, Signals};

use crate::message::{Head, attribute, copy_but};

/// Makes metrics of the gauges and sums of a resource: the values of one with those of another, or with a number.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The metrics that are made.
    rules: Vec<RuleConfig>,
    /// Whether values are taken together point by point, where attributes that both have are equal, rather than
    /// all with the value of the first point of `metric2`. The original has this as a feature gate,
    /// `metricsgeneration.MatchAttributes`.
    match_attributes: bool,
}

/// How a metric is made.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleConfig {
    /// Its name.
    #[serde(default)]
    name: String,
    /// Its unit.
    #[serde(default)]
    unit: String,
    /// Whether it is made of two metrics (`calculate`) or of one and a number (`scale`).
    #[serde(rename = "type")]
    kind: Option<RuleKind>,
    /// The metric whose values come first; a gauge or a sum.
    #[serde(default)]
    metric1: String,
    /// The metric whose values come second, for `calculate`.
    #[serde(default)]
    metric2: String,
    /// What is done with the values.
    operation: Option<Operation>,
    /// The number that comes second, for `scale`.
    #[serde(default)]
    scale_by: f64,
}

/// What a metric is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RuleKind {
    /// Of two metrics.
    Calculate,
    /// Of one and a number.
    Scale,
}

/// What is done with two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Operation {
    /// Their sum.
    Add,
    /// The first less the second.
    Subtract,
    /// Their product.
    Multiply,
    /// The first by the second.
    Divide,
    /// The first by the second, in hundredths.
    Percent,
}

impl Operation {
    /// The result; none of a division by zero.
    fn of(self, first: f64, second: f64) -> Option<f64> {
        Some(match self {
            Self::Add => first + second,
            Self::Subtract => first - second,
            Self::Multiply => first * second,
            Self::Divide | Self::Percent if second == 0.0 => return None,
            Self::Divide => first / second,
            Self::Percent => first / second * 100.0,
        })
    }
}

/// How a metric is made, checked.
struct Rule {
    name: Box<str>,
    unit: Box<str>,
    metric1: Box<str>,
    operation: Operation,
    operand: Operand,
}

enum Operand {
    Metric(Box<str>),
    Number(f64),
}

impl RuleConfig {
    fn compile(&self, path: &str) -> Result<Rule, BuildError> {
        let missing = |key: &str, remedy: &str| {
            let message = format!("`{key}` is missing");
            BuildError::at(format!("{path}::{key}"), message).remedy(remedy)
        };
        if self.name.is_empty() {
            return Err(missing("name", "name the metric that is made"));
        }
        let kind = self.kind;
        let kind = kind.ok_or_else(|| missing("type", "write `calculate` or `scale`"))?;
        if self.metric1.is_empty() {
            return Err(missing("metric1", "name the metric that it is made of"));
        }
        if [&self.metric1, &self.metric2].contains(&&self.name) {
            let message = "a metric cannot be made of itself";
            return Err(BuildError::at(format!("{path}::name"), message)
                .remedy("give the new metric a name of its own"));
        }
        let remedy = "write `add`, `subtract`, `multiply`, `divide` or `percent`";
        let operand = match kind {
            RuleKind::Calculate if self.metric2.is_empty() => {
                return Err(missing("metric2", "name the metric that comes second"));
            }
            RuleKind::Calculate => Operand::Metric(self.metric2.as_str().into()),
            RuleKind::Scale if self.scale_by.is_nan() || self.scale_by <= 0.0 => {
                let message = "values are scaled by a number above 0";
                return Err(BuildError::at(format!("{path}::scale_by"), message)
                    .remedy("write the number, as `scale_by: 1024`"));
            }
            RuleKind::Scale => Operand::Number(self.scale_by),
        };
        Ok(Rule {
            name: self.name.as_str().into(),
            unit: self.unit.as_str().into(),
            metric1: self.metric1.as_str().into(),
            operation: self.operation.ok_or_else(|| missing("operation", remedy))?,
            operand,
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "metricsgeneration";
    const STABILITY: Stability = Stability::Beta;
    const SIGNALS: Signals = Signals::METRICS;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let rules = self.rules.iter().enumerate();
        let rules = rules.map(|(at, rule)| rule.compile(&format!("rules::{at}")));
        Ok(Box::new(MetricsGeneration {
            rules: rules.collect::<Result<_, _>>()?,
            by_attributes: self.match_attributes,
            budget: Arc::clone(&cx.budget),
            malformed: cx.loss("malformed"),
            too_many: cx.metrics.counter(
                "tidegate_metricsgeneration_skipped",
                "Metrics of which none was made, as there were too many points to take together.",
                &[],
            ),
        }))
    }
}

struct MetricsGeneration {
    rules: Vec<Rule>,
    by_attributes: bool,
    budget: Arc<Budget>,
    malformed: Reason,
    too_many: Counter,
}

/// Pairs of points that are looked at for one metric; more would hold up the worker.
const MOST_PAIRS: usize = 1 << 20;

/// Whether a metric and what comes second have too many points together.
fn is_too_much(metric: Metric<'_>, second: &Second<'_>) -> bool {
    let Second::Points(others) = second else {
        return false;
    };
    let points = points_of(metric.data()).map_or(0, Iterator::count);
    points.saturating_mul(others.count()) > MOST_PAIRS
}

/// What comes second in a resource.
enum Second<'a> {
    Number(f64),
    Points(Points<'a>),
}

type Points<'a> = Repeated<'a, NumberDataPoint<'a>>;

/// The points of a gauge or a sum.
fn points_of(data: MetricData<'_>) -> Option<Points<'_>> {
    match data {
        MetricData::Gauge(gauge) => Some(gauge.data_points()),
        MetricData::Sum(sum) => Some(sum.data_points()),
        _ => None,
    }
}

fn value_of(point: NumberDataPoint<'_>) -> f64 {
    point.value().map_or(0.0, Number::to_double)
}

impl Processor for MetricsGeneration {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, context, receipt) = batch.into_parts();
        let mut made = Payload::empty(Signal::Metrics);
        for segment in payload.into_segments() {
            let Some((request, created)) = self.generate(segment.bytes()) else {
                made.push(segment);
                continue;
            };
            let hold = match segment.hold() {
                Some(hold) => hold.overdraw(request.len()),
                None => self.budget.overdraw(request.len()),
            };
            match Payload::admit(Signal::Metrics, request, Some(hold)) {
                Ok(admitted) => {
                    out.created(created);
                    made.append(admitted.payload);
                }
                // Cannot be: what was written is what was read.
                Err(_) => out.dropped(&self.malformed, segment.items()),
            }
        }
        out.push(Batch::new(made, context, receipt));
    }
}

impl MetricsGeneration {
    /// Writes a request with the metrics that are made of it, and counts their points; none if there is none.
    fn generate(&self, request: &Bytes) -> Option<(Bytes, usize)> {
        let mut out = Fields::new();
        let mut created = 0;
        for field in Cursor::new(request).filter(|field| field.number == 1) {
            let resource = Head::of(field.bytes);
            let rules = self.rules_for(&resource);
            if rules.is_empty() {
                out.raw(&request[field.start..field.end]);
                continue;
            }
            let begun = out.begin(1, field.bytes.len());
            out.raw(&resource.before);
            for scope in resource.children() {
                let begun = out.begin(2, scope.len());
                let head = Head::of(scope);
                out.raw(&head.before);
                for metric in head.children() {
                    out.message(2, |out| out.raw(metric));
                }
                for (rule, second) in &rules {
                    for metric in head.children().map(Metric::of) {
                        if metric.name() != *rule.metric1 {
                            continue;
                        }
                        if is_too_much(metric, second) {
                            self.too_many.add(1);
                            continue;
                        }
                        created += rule.write(metric, second, &mut out);
                    }
                }
                out.raw(&head.after);
                out.end(begun);
            }
            out.raw(&resource.after);
            out.end(begun);
        }
        (created > 0).then(|| (out.into_bytes(), created))
    }

    /// The rules for which a resource has metrics, each with what comes second.
    fn rules_for<'r, 'a>(&'r self, resource: &Head<'a>) -> Vec<(&'r Rule, Second<'a>)> {
        let find = |name: &str| {
            let metrics = resource
                .children()
                .flat_map(|scope| Head::of(scope).children());
            let named = metrics
                .map(Metric::of)
                .filter(|metric| metric.name() == name);
            named.last()
        };
        let second = |operand: &Operand| match operand {
            Operand::Number(number) => Some(Second::Number(*number)),
            Operand::Metric(name) => {
                let points = points_of(find(name)?.data());
                Some(match points {
                    Some(points) if self.by_attributes => Second::Points(points),
                    None if self.by_attributes => return None,
                    points => {
                        let first = points.and_then(|mut points| points.next());
                        Second::Number(first.map_or(0.0, value_of))
                    }
                })
            }
        };
        let rules = self
            .rules
            .iter()
            .filter(|rule| find(&rule.metric1).is_some());
        rules
            .filter_map(|rule| Some((rule, second(&rule.operand)?)))
            .collect()
    }
}

impl Rule {
    /// Whether values that only rise do so in the new metric.
    fn keeps_rising(&self) -> bool {
        matches!(self.operand, Operand::Number(_)) && self.operation != Operation::Subtract
    }

    /// Writes the metric that is made of one, and counts its points; one without any is not written.
    fn write(&self, metric: Metric<'_>, second: &Second<'_>, out: &mut Fields) -> usize {
        let data = metric.data();
        let Some(points) = points_of(data) else {
            return 0;
        };
        let begun = out.begin(2, 1 << 10);
        out.string(1, &self.name);
        out.string(3, &self.unit);
        let mut created = 0;
        let kind = if matches!(data, MetricData::Sum(_)) {
            7
        } else {
            5
        };
        out.message(kind, |out| {
            for point in points {
                created += self.write_points(point, second, out);
            }
            if let MetricData::Sum(sum) = data {
                let sum = sum.fields();
                out.uint(2, sum.aggregation_temporality as u64);
                out.uint(3, (sum.is_monotonic && self.keeps_rising()).into());
            }
        });
        match created {
            0 => out.drop_back(&begun),
            _ => out.end(begun),
        }
        created
    }

    fn write_points(
        &self,
        point: NumberDataPoint<'_>,
        second: &Second<'_>,
        out: &mut Fields,
    ) -> usize {
        let first = value_of(point);
        match second {
            Second::Number(number) => match self.operation.of(first, *number) {
                Some(value) => {
                    write_point(point, value, None, out);
                    1
                }
                None => 0,
            },
            Second::Points(others) => {
                let mut written = 0;
                for other in *others {
                    let value = self.operation.of(first, value_of(other));
                    let agrees = agree(point.attributes(), other.attributes());
                    if let (Some(value), true) = (value, agrees) {
                        write_point(point, value, Some(other), out);
                        written += 1;
                    }
                }
                written
            }
        }
    }
}

/// Whether attributes that both have are equal.
fn agree(these: Attributes<'_>, those: Attributes<'_>) -> bool {
    let differs = |entry: KeyValue<'_>| {
        let same = those.entries().find(|other| other.key() == entry.key());
        same.is_some_and(|other| other.value_bytes() != entry.value_bytes())
    };
    !these.entries().any(differs)
}

/// The field of a metric's data that holds points.
const POINTS: u32 = 1;

/// Writes a point with another value, and with the attributes that another has besides.
fn write_point(
    point: NumberDataPoint<'_>,
    value: f64,
    other: Option<NumberDataPoint<'_>>,
    out: &mut Fields,
) {
    use number_point::{AS_DOUBLE, AS_INT, ATTRIBUTES};
    out.message(POINTS, |out| {
        copy_but(point.bytes(), out, |number, _| {
            matches!(number, AS_DOUBLE | AS_INT)
        });
        out.double(AS_DOUBLE, value);
        let more = other
            .map(|other| other.attributes().entries())
            .into_iter()
            .flatten();
        for entry in more {
            let key = entry.key();
            if point.attributes().get(key.as_bytes()).is_none() {
                attribute(
                    out,
                    ATTRIBUTES,
                    key.as_bytes(),
                    Value::Message(entry.value_bytes()),
                );
            }
        }
    });
}
