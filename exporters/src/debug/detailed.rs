//! Every field of every record.

use std::fmt::{Result, Write};

use tidegate_pdata::view::{
    Attributes, Buckets, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, LogRecord,
    Metric, MetricData, Number, NumberDataPoint, Repeated, Resource, Scope, Span, SpanEvent,
    SpanLink, SummaryDataPoint,
};
use tidegate_pdata::{Payload, Signal};

use super::go::{Fixed, Id, Time, Typed};
use super::kind;
use super::normal::factor;

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

fn traces(out: &mut String, payload: &Payload) -> Result {
    for (at, resource) in payload.resource_spans().enumerate() {
        writeln!(out, "ResourceSpans #{at}")?;
        writeln!(out, "Resource SchemaURL: {}", resource.schema_url())?;
        origin(out, resource.resource())?;
        for (at, scope) in resource.scopes().enumerate() {
            writeln!(out, "ScopeSpans #{at}")?;
            writeln!(out, "ScopeSpans SchemaURL: {}", scope.schema_url())?;
            library(out, scope.scope())?;
            for (at, record) in scope.spans().enumerate() {
                writeln!(out, "Span #{at}")?;
                span(out, record)?;
            }
        }
    }
    Ok(())
}

fn metrics(out: &mut String, payload: &Payload) -> Result {
    for (at, resource) in payload.resource_metrics().enumerate() {
        writeln!(out, "ResourceMetrics #{at}")?;
        writeln!(out, "Resource SchemaURL: {}", resource.schema_url())?;
        origin(out, resource.resource())?;
        for (at, scope) in resource.scopes().enumerate() {
            writeln!(out, "ScopeMetrics #{at}")?;
            writeln!(out, "ScopeMetrics SchemaURL: {}", scope.schema_url())?;
            library(out, scope.scope())?;
            for (at, record) in scope.metrics().enumerate() {
                writeln!(out, "Metric #{at}")?;
                metric(out, record)?;
            }
        }
    }
    Ok(())
}

fn logs(out: &mut String, payload: &Payload) -> Result {
    for (at, resource) in payload.resource_logs().enumerate() {
        writeln!(out, "ResourceLog #{at}")?;
        writeln!(out, "Resource SchemaURL: {}", resource.schema_url())?;
        origin(out, resource.resource())?;
        for (at, scope) in resource.scopes().enumerate() {
            writeln!(out, "ScopeLogs #{at}")?;
            writeln!(out, "ScopeLogs SchemaURL: {}", scope.schema_url())?;
            library(out, scope.scope())?;
            for (at, record) in scope.log_records().enumerate() {
                writeln!(out, "LogRecord #{at}")?;
                log(out, record)?;
            }
        }
    }
    Ok(())
}

fn origin(out: &mut String, resource: Resource<'_>) -> Result {
    attributes(out, "Resource attributes", "", resource.attributes())?;
    let entities = resource.entity_refs();
    if entities.is_empty() {
        return Ok(());
    }
    writeln!(out, "Resource entity refs:")?;
    for (at, entity) in entities.enumerate() {
        let entity = entity.fields();
        writeln!(out, "     -> Entity ref #{at}:")?;
        writeln!(out, "          -> Type: {}", entity.r#type)?;
        if !entity.schema_url.is_empty() {
            writeln!(out, "          -> Schema URL: {}", entity.schema_url)?;
        }
        for (title, keys) in [
            ("ID keys", entity.id_keys),
            ("Description keys", entity.description_keys),
        ] {
            if !keys.is_empty() {
                writeln!(out, "          -> {title}:")?;
            }
            for key in keys {
                writeln!(out, "               -> {key}")?;
            }
        }
    }
    Ok(())
}

fn library(out: &mut String, scope: Scope<'_>) -> Result {
    let scope = scope.fields();
    writeln!(out, "InstrumentationScope {} {}", scope.name, scope.version)?;
    attributes(out, "InstrumentationScope attributes", "", scope.attributes)
}

/// Attributes under a title; nothing where there is none.
fn attributes(out: &mut String, title: &str, indent: &str, attributes: Attributes<'_>) -> Result {
    if attributes.is_empty() {
        return Ok(());
    }
    writeln!(out, "{title}:")?;
    for (key, value) in attributes {
        writeln!(out, "{indent}     -> {key}: {}", Typed(value))?;
    }
    Ok(())
}

fn span(out: &mut String, span: Span<'_>) -> Result {
    let span = span.fields();
    let kind = match span.kind {
        0 => "Unspecified",
        1 => "Internal",
        2 => "Server",
        3 => "Client",
        4 => "Producer",
        5 => "Consumer",
        _ => "",
    };
    let status = span
        .status
        .map(|status| status.fields())
        .unwrap_or_default();
    let code = match status.code {
        0 => "Unset",
        1 => "Ok",
        2 => "Error",
        _ => "",
    };
    writeln!(out, "    Trace ID       : {}", Id(span.trace_id))?;
    writeln!(out, "    Parent ID      : {}", Id(span.parent_span_id))?;
    writeln!(out, "    ID             : {}", Id(span.span_id))?;
    writeln!(out, "    Name           : {}", span.name)?;
    writeln!(out, "    Kind           : {kind}")?;
    if !span.trace_state.is_empty() {
        writeln!(out, "    TraceState     : {}", span.trace_state)?;
    }
    writeln!(
        out,
        "    Start time     : {}",
        Time(span.start_time_unix_nano)
    )?;
    writeln!(
        out,
        "    End time       : {}",
        Time(span.end_time_unix_nano)
    )?;
    writeln!(out, "    Status code    : {code}")?;
    writeln!(out, "    Status message : {}", status.message)?;
    writeln!(
        out,
        "    DroppedAttributesCount: {}",
        span.dropped_attributes_count
    )?;
    writeln!(out, "    DroppedEventsCount: {}", span.dropped_events_count)?;
    writeln!(out, "    DroppedLinksCount: {}", span.dropped_links_count)?;
    attributes(out, "Attributes", "", span.attributes)?;
    events(out, span.events)?;
    links(out, span.links)
}

fn events(out: &mut String, events: Repeated<'_, SpanEvent<'_>>) -> Result {
    if !events.is_empty() {
        writeln!(out, "Events:")?;
    }
    for (at, event) in events.enumerate() {
        let event = event.fields();
        writeln!(out, "SpanEvent #{at}")?;
        writeln!(out, "     -> Name: {}", event.name)?;
        writeln!(out, "     -> Timestamp: {}", Time(event.time_unix_nano))?;
        let dropped = event.dropped_attributes_count;
        writeln!(out, "     -> DroppedAttributesCount: {dropped}")?;
        attributes(out, "     -> Attributes:", "     ", event.attributes)?;
    }
    Ok(())
}

fn links(out: &mut String, links: Repeated<'_, SpanLink<'_>>) -> Result {
    if !links.is_empty() {
        writeln!(out, "Links:")?;
    }
    for (at, link) in links.enumerate() {
        let link = link.fields();
        writeln!(out, "SpanLink #{at}")?;
        writeln!(out, "     -> Trace ID: {}", Id(link.trace_id))?;
        writeln!(out, "     -> ID: {}", Id(link.span_id))?;
        writeln!(out, "     -> TraceState: {}", link.trace_state)?;
        let dropped = link.dropped_attributes_count;
        writeln!(out, "     -> DroppedAttributesCount: {dropped}")?;
        attributes(out, "     -> Attributes:", "     ", link.attributes)?;
    }
    Ok(())
}

fn log(out: &mut String, log: LogRecord<'_>) -> Result {
    let log = log.fields();
    writeln!(
        out,
        "ObservedTimestamp: {}",
        Time(log.observed_time_unix_nano)
    )?;
    writeln!(out, "Timestamp: {}", Time(log.time_unix_nano))?;
    writeln!(out, "SeverityText: {}", log.severity_text)?;
    let number = log.severity_number;
    writeln!(out, "SeverityNumber: {}({number})", severity(number))?;
    if !log.event_name.is_empty() {
        writeln!(out, "EventName: {}", log.event_name)?;
    }
    writeln!(out, "Body: {}", Typed(log.body.unwrap_or_default()))?;
    attributes(out, "Attributes", "", log.attributes)?;
    writeln!(out, "Trace ID: {}", Id(log.trace_id))?;
    writeln!(out, "Span ID: {}", Id(log.span_id))?;
    writeln!(out, "Flags: {}", log.flags)
}

/// What a severity is called: six names, each for four numbers.
fn severity(number: i32) -> String {
    const NAMES: [&str; 6] = ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"];
    let Ok(number) = usize::try_from(number) else {
        return String::new();
    };
    let Some(at) = number.checked_sub(1) else {
        return "Unspecified".to_owned();
    };
    match (NAMES.get(at / 4), at % 4) {
        (None, _) => String::new(),
        (Some(name), 0) => (*name).to_owned(),
        (Some(name), step) => format!("{name}{}", step + 1),
    }
}

fn metric(out: &mut String, metric: Metric<'_>) -> Result {
    let metric = metric.fields();
    writeln!(out, "Descriptor:")?;
    writeln!(out, "     -> Name: {}", metric.name)?;
    writeln!(out, "     -> Description: {}", metric.description)?;
    writeln!(out, "     -> Unit: {}", metric.unit)?;
    writeln!(out, "     -> DataType: {}", kind(&metric.data))?;
    attributes(out, "     -> Metadata", "     ", metric.metadata)?;
    match metric.data {
        MetricData::Empty => Ok(()),
        MetricData::Gauge(data) => numbers(out, data.data_points()),
        MetricData::Sum(data) => {
            let data = data.fields();
            writeln!(out, "     -> IsMonotonic: {}", data.is_monotonic)?;
            temporality(out, data.aggregation_temporality)?;
            numbers(out, data.data_points)
        }
        MetricData::Histogram(data) => {
            temporality(out, data.aggregation_temporality())?;
            data.data_points()
                .enumerate()
                .try_for_each(|(at, point)| histogram(out, at, point))
        }
        MetricData::ExponentialHistogram(data) => {
            temporality(out, data.aggregation_temporality())?;
            data.data_points()
                .enumerate()
                .try_for_each(|(at, point)| exponential(out, at, point))
        }
        MetricData::Summary(data) => data
            .data_points()
            .enumerate()
            .try_for_each(|(at, point)| summary(out, at, point)),
    }
}

fn temporality(out: &mut String, number: i32) -> Result {
    let name = match number {
        0 => "Unspecified",
        1 => "Delta",
        2 => "Cumulative",
        _ => "",
    };
    writeln!(out, "     -> AggregationTemporality: {name}")
}

fn times(out: &mut String, start: u64, time: u64) -> Result {
    writeln!(out, "StartTimestamp: {}", Time(start))?;
    writeln!(out, "Timestamp: {}", Time(time))
}

fn numbers(out: &mut String, points: Repeated<'_, NumberDataPoint<'_>>) -> Result {
    for (at, point) in points.enumerate() {
        let point = point.fields();
        writeln!(out, "NumberDataPoints #{at}")?;
        attributes(out, "Data point attributes", "", point.attributes)?;
        times(out, point.start_time_unix_nano, point.time_unix_nano)?;
        value(out, "Value", point.value)?;
        exemplars(out, point.exemplars)?;
    }
    Ok(())
}

fn value(out: &mut String, title: &str, number: Option<Number>) -> Result {
    match number {
        None => Ok(()),
        Some(Number::Int(value)) => writeln!(out, "{title}: {value}"),
        Some(Number::Double(value)) => writeln!(out, "{title}: {}", Fixed(value)),
    }
}

/// Count, and sum, least and greatest value where they are known.
fn measures(
    out: &mut String,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
) -> Result {
    writeln!(out, "Count: {count}")?;
    for (name, value) in [("Sum", sum), ("Min", min), ("Max", max)] {
        if let Some(value) = value {
            writeln!(out, "{name}: {}", Fixed(value))?;
        }
    }
    Ok(())
}

fn histogram(out: &mut String, at: usize, point: HistogramDataPoint<'_>) -> Result {
    let point = point.fields();
    writeln!(out, "HistogramDataPoints #{at}")?;
    attributes(out, "Data point attributes", "", point.attributes)?;
    times(out, point.start_time_unix_nano, point.time_unix_nano)?;
    measures(out, point.count, point.sum, point.min, point.max)?;
    for (at, bound) in point.explicit_bounds.enumerate() {
        writeln!(out, "ExplicitBounds #{at}: {}", Fixed(bound))?;
    }
    for (at, count) in point.bucket_counts.enumerate() {
        writeln!(out, "Buckets #{at}, Count: {count}")?;
    }
    exemplars(out, point.exemplars)
}

fn exponential(out: &mut String, at: usize, point: ExponentialHistogramDataPoint<'_>) -> Result {
    let point = point.fields();
    writeln!(out, "ExponentialHistogramDataPoints #{at}")?;
    attributes(out, "Data point attributes", "", point.attributes)?;
    times(out, point.start_time_unix_nano, point.time_unix_nano)?;
    measures(out, point.count, point.sum, point.min, point.max)?;
    let factor = factor(point.scale);
    let negative = bounds(point.negative, factor);
    for (lower, upper, count) in negative.into_iter().rev() {
        let (lower, upper) = (Fixed(-upper), Fixed(-lower));
        writeln!(out, "Bucket [{lower}, {upper}), Count: {count}")?;
    }
    if point.zero_count != 0 {
        writeln!(out, "Bucket [0, 0], Count: {}", point.zero_count)?;
    }
    for (lower, upper, count) in bounds(point.positive, factor) {
        let (lower, upper) = (Fixed(lower), Fixed(upper));
        writeln!(out, "Bucket ({lower}, {upper}], Count: {count}")?;
    }
    exemplars(out, point.exemplars)
}

/// The bounds and the count of each bucket.
fn bounds(buckets: Option<Buckets<'_>>, factor: f64) -> Vec<(f64, f64, u64)> {
    let buckets = buckets.map(|buckets| buckets.fields()).unwrap_or_default();
    let first = f64::from(buckets.offset);
    let bound = |at: usize| ((first + at as f64) * factor).exp();
    buckets
        .bucket_counts
        .enumerate()
        .map(|(at, count)| (bound(at), bound(at + 1), count))
        .collect()
}

fn summary(out: &mut String, at: usize, point: SummaryDataPoint<'_>) -> Result {
    let point = point.fields();
    writeln!(out, "SummaryDataPoints #{at}")?;
    attributes(out, "Data point attributes", "", point.attributes)?;
    times(out, point.start_time_unix_nano, point.time_unix_nano)?;
    writeln!(out, "Count: {}", point.count)?;
    writeln!(out, "Sum: {}", Fixed(point.sum))?;
    for (at, quantile) in point.quantile_values.enumerate() {
        let quantile = quantile.fields();
        let (of, value) = (Fixed(quantile.quantile), Fixed(quantile.value));
        writeln!(out, "QuantileValue #{at}: Quantile {of}, Value {value}")?;
    }
    Ok(())
}

fn exemplars(out: &mut String, exemplars: Repeated<'_, Exemplar<'_>>) -> Result {
    if !exemplars.is_empty() {
        writeln!(out, "Exemplars:")?;
    }
    for (at, exemplar) in exemplars.enumerate() {
        let exemplar = exemplar.fields();
        writeln!(out, "Exemplar #{at}")?;
        writeln!(out, "     -> Trace ID: {}", Id(exemplar.trace_id))?;
        writeln!(out, "     -> Span ID: {}", Id(exemplar.span_id))?;
        writeln!(out, "     -> Timestamp: {}", Time(exemplar.time_unix_nano))?;
        value(out, "     -> Value", exemplar.value)?;
        attributes(
            out,
            "     -> FilteredAttributes",
            "     ",
            exemplar.filtered_attributes,
        )?;
    }
    Ok(())
}
