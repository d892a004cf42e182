//! About one line per record.

use std::fmt::{Display, Write};

use tidegate_pdata::view::Text as Words;
use tidegate_pdata::view::{
    Attributes, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, MetricData, Number,
    NumberDataPoint, Repeated, Scope, SummaryDataPoint, View,
};
use tidegate_pdata::{Payload, Signal};

use super::go::{Fixed, Id, Plain, Text};

/// The lines of a payload.
pub(super) fn text(payload: &Payload) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = match payload.signal() {
        Signal::Traces => traces(&mut out, payload),
        Signal::Metrics => metrics(&mut out, payload),
        Signal::Logs => logs(&mut out, payload),
    };
    out
}

fn traces(out: &mut String, payload: &Payload) -> std::fmt::Result {
    for (at, resource) in payload.resource_spans().enumerate() {
        let attributes = resource.resource().attributes();
        head(out, "ResourceTraces", at, resource.schema_url(), attributes)?;
        for (at, scope) in resource.scopes().enumerate() {
            scope_head(out, "ScopeTraces", at, &scope.scope(), scope.schema_url())?;
            for span in scope.spans() {
                let span = span.fields();
                write!(
                    out,
                    "{} {} {}",
                    span.name,
                    Id(span.trace_id),
                    Id(span.span_id)
                )?;
                if !span.attributes.is_empty() {
                    write!(out, " {}", joined(span.attributes, " "))?;
                }
                out.push('\n');
            }
        }
    }
    Ok(())
}

fn logs(out: &mut String, payload: &Payload) -> std::fmt::Result {
    for (at, resource) in payload.resource_logs().enumerate() {
        let attributes = resource.resource().attributes();
        head(out, "ResourceLog", at, resource.schema_url(), attributes)?;
        for (at, scope) in resource.scopes().enumerate() {
            scope_head(out, "ScopeLog", at, &scope.scope(), scope.schema_url())?;
            for log in scope.log_records() {
                let log = log.fields();
                let body = Text(log.body.unwrap_or_default());
                writeln!(out, "{body} {}", joined(log.attributes, " "))?;
            }
        }
    }
    Ok(())
}

fn metrics(out: &mut String, payload: &Payload) -> std::fmt::Result {
    for (at, resource) in payload.resource_metrics().enumerate() {
        let attributes = resource.resource().attributes();
        head(
            out,
            "ResourceMetrics",
            at,
            resource.schema_url(),
            attributes,
        )?;
        for (at, scope) in resource.scopes().enumerate() {
            scope_head(out, "ScopeMetrics", at, &scope.scope(), scope.schema_url())?;
            for metric in scope.metrics() {
                metric_lines(out, metric)?;
            }
        }
    }
    Ok(())
}

fn head(
    out: &mut String,
    title: &str,
    at: usize,
    schema: Words<'_>,
    attributes: Attributes<'_>,
) -> std::fmt::Result {
    write!(out, "{title} #{at}")?;
    if !schema.is_empty() {
        write!(out, " [{schema}]")?;
    }
    if !attributes.is_empty() {
        write!(out, " {}", joined(attributes, " "))?;
    }
    out.push('\n');
    Ok(())
}

fn scope_head(
    out: &mut String,
    title: &str,
    at: usize,
    scope: &Scope<'_>,
    schema: Words<'_>,
) -> std::fmt::Result {
    let scope = scope.fields();
    write!(out, "{title} #{at}")?;
    if !scope.name.is_empty() || !scope.version.is_empty() {
        write!(out, " {}", scope.name)?;
    }
    if !scope.version.is_empty() {
        write!(out, "@{}", scope.version)?;
    }
    if !schema.is_empty() {
        write!(out, " [{schema}]")?;
    }
    if !scope.attributes.is_empty() {
        write!(out, " {}", joined(scope.attributes, " "))?;
    }
    out.push('\n');
    Ok(())
}

fn joined(attributes: Attributes<'_>, separator: &str) -> String {
    let pairs: Vec<_> = attributes
        .map(|(key, value)| format!("{key}={}", Text(value)))
        .collect();
    pairs.join(separator)
}

fn metric_lines(out: &mut String, metric: Metric<'_>) -> std::fmt::Result {
    let metric = metric.fields();
    let name = metric.name;
    match metric.data {
        MetricData::Empty => Ok(()),
        MetricData::Gauge(data) => lines(out, name, data.data_points(), number),
        MetricData::Sum(data) => lines(out, name, data.data_points(), number),
        MetricData::Histogram(data) => lines(out, name, data.data_points(), histogram),
        MetricData::ExponentialHistogram(data) => lines(out, name, data.data_points(), exponential),
        MetricData::Summary(data) => lines(out, name, data.data_points(), summary),
    }
}

/// A line per point: its attributes and what `value` says of it.
fn lines<'a, P: View<'a>>(
    out: &mut String,
    name: Words<'a>,
    points: Repeated<'a, P>,
    value: impl Fn(P) -> (Attributes<'a>, String),
) -> std::fmt::Result {
    for point in points {
        let (attributes, value) = value(point);
        writeln!(out, "{name}{{{}}} {value}", joined(attributes, ","))?;
    }
    Ok(())
}

fn number(point: NumberDataPoint<'_>) -> (Attributes<'_>, String) {
    let point = point.fields();
    let value = match point.value {
        None => String::new(),
        Some(Number::Int(value)) => value.to_string(),
        Some(Number::Double(value)) => Plain(value).to_string(),
    };
    (point.attributes, value)
}

/// Count, and sum, least and greatest value where they are known.
fn measures(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
    let mut text = format!("count={count}");
    for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(value) = value {
            add(&mut text, format_args!(" {name}={}", Plain(value)));
        }
    }
    text
}

fn add(text: &mut String, more: impl Display) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{more}");
}

fn histogram(point: HistogramDataPoint<'_>) -> (Attributes<'_>, String) {
    let point = point.fields();
    let mut text = measures(point.count, point.sum, point.min, point.max);
    let mut bounds = point.explicit_bounds;
    for count in point.bucket_counts {
        match bounds.next() {
            Some(bound) => add(&mut text, format_args!(" le{}={count}", Plain(bound))),
            None => add(&mut text, format_args!(" {count}")),
        }
    }
    (point.attributes, text)
}

fn exponential(point: ExponentialHistogramDataPoint<'_>) -> (Attributes<'_>, String) {
    let point = point.fields();
    let mut text = measures(point.count, point.sum, point.min, point.max);
    let factor = factor(point.scale);
    let negative = point
        .negative
        .map(|buckets| buckets.fields())
        .unwrap_or_default();
    let counts: Vec<u64> = negative.bucket_counts.collect();
    for (at, count) in counts.iter().enumerate().rev() {
        let bound = -((f64::from(negative.offset) + at as f64) * factor).exp();
        add(&mut text, format_args!(" le{}={count}", Plain(bound)));
    }
    if point.zero_count != 0 {
        add(&mut text, format_args!(" zero={}", point.zero_count));
    }
    let positive = point
        .positive
        .map(|buckets| buckets.fields())
        .unwrap_or_default();
    for (at, count) in positive.bucket_counts.enumerate() {
        let bound = ((f64::from(positive.offset) + at as f64 + 1.0) * factor).exp();
        add(&mut text, format_args!(" le{}={count}", Plain(bound)));
    }
    (point.attributes, text)
}

/// The natural logarithm of the base of an exponential histogram's bounds.
pub(super) fn factor(scale: i32) -> f64 {
    std::f64::consts::LN_2 * f64::from(-scale).exp2()
}

fn summary(point: SummaryDataPoint<'_>) -> (Attributes<'_>, String) {
    let point = point.fields();
    let mut text = format!("count={} sum={}", point.count, Fixed(point.sum));
    for quantile in point.quantile_values {
        let quantile = quantile.fields();
        let (at, value) = (Plain(quantile.quantile), Plain(quantile.value));
        add(&mut text, format_args!(" q{at}={value}"));
    }
    (point.attributes, text)
}
