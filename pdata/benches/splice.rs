//! What views and splices cost per item, on the corpora of `testing`.
//!
//! `cargo bench -p tidegate-pdata --features testing --bench splice --profile bench-quick`

#![allow(clippy::print_stdout, reason = "the figures are its output")]

mod figure;

use std::hint::black_box;

use figure::figure;
use tidegate_pdata::Payload;
use tidegate_pdata::splice::{
    AttributeEditor, DataPointEditor, Edits, LogRecordEditor, NewValue, ResourceEditor, SpanEditor,
    Splicer, Verdict, Visit,
};
use tidegate_pdata::testing::{Request, realistic_logs, realistic_metrics, realistic_traces};
use tidegate_pdata::view::{AnyValue, Attributes, MetricData, Span};

const ITEMS: usize = 100;
const MANY: usize = 10_000;

fn main() {
    println!("CPU-ns per item, best of 9");
    for items in [ITEMS, MANY] {
        println!("{items} items a request");
        let traces = payload(&Request::Traces(realistic_traces(items)));
        views_of_spans(&traces);
        splices_of_spans(&traces);
        let logs = payload(&Request::Logs(realistic_logs(items)));
        views_of_log_records(&logs);
        splice("log records: insert, delete, replace", &logs, Three);
        let metrics = payload(&Request::Metrics(realistic_metrics(items)));
        views_of_data_points(&metrics);
        splice("data points: insert", &metrics, One);
    }
}

fn payload(request: &Request) -> Payload {
    let admitted = Payload::admit(request.signal(), request.encode().into(), None);
    admitted.expect("the corpus is well-formed").payload
}

fn spans(traces: &Payload) -> impl Iterator<Item = Span<'_>> {
    let scopes = black_box(traces)
        .resource_spans()
        .flat_map(|group| group.scopes());
    scopes.flat_map(|scope| scope.spans())
}

fn views_of_spans(traces: &Payload) {
    let items = traces.items();
    figure("  spans: copy of the bytes", items, || {
        black_box(traces).segments()[0].bytes().to_vec()
    });
    figure("  spans: one field", items, || {
        spans(traces)
            .map(|span| usize::from(span.trace_id()[0]))
            .sum::<usize>()
    });
    figure("  spans: every field", items, || {
        spans(traces)
            .map(|span| black_box(span.fields()).name.len())
            .sum::<usize>()
    });
    figure("  spans: every field and attribute", items, || {
        spans(traces)
            .map(|span| weigh(black_box(span.fields()).attributes))
            .sum::<usize>()
    });
    figure("  spans: one attribute", items, || {
        spans(traces)
            .filter(|span| span.attributes().get("server.port").is_some())
            .count()
    });
}

fn views_of_log_records(logs: &Payload) {
    figure(
        "  log records: every field and attribute",
        logs.items(),
        || {
            let scopes = black_box(logs)
                .resource_logs()
                .flat_map(|group| group.scopes());
            let records = scopes.flat_map(|scope| scope.log_records());
            records
                .map(|record| weigh(black_box(record.fields()).attributes))
                .sum::<usize>()
        },
    );
}

fn views_of_data_points(metrics: &Payload) {
    figure(
        "  data points: every field and attribute",
        metrics.items(),
        || {
            let scopes = black_box(metrics)
                .resource_metrics()
                .flat_map(|group| group.scopes());
            let metrics = scopes.flat_map(|scope| scope.metrics());
            metrics.map(|metric| points(metric.data())).sum::<usize>()
        },
    );
}

fn points(data: MetricData<'_>) -> usize {
    macro_rules! weigh {
        ($data:ident) => {
            $data
                .data_points()
                .map(|point| weigh(black_box(point.fields()).attributes))
                .sum()
        };
    }
    match data {
        MetricData::Empty => 0,
        MetricData::Gauge(data) => weigh!(data),
        MetricData::Sum(data) => weigh!(data),
        MetricData::Histogram(data) => weigh!(data),
        MetricData::ExponentialHistogram(data) => weigh!(data),
        MetricData::Summary(data) => weigh!(data),
    }
}

fn weigh(attributes: Attributes<'_>) -> usize {
    attributes
        .map(|(key, value)| match value {
            AnyValue::String(text) => key.len() + text.len(),
            _ => key.len(),
        })
        .sum()
}

fn splices_of_spans(traces: &Payload) {
    splice("spans: looked at, no change", traces, Nothing);
    splice("spans: insert, delete, replace", traces, Three);
    splice("spans: insert", traces, One);
    splice("spans: name set", traces, Name);
    splice(
        "spans: name set and read, three as above",
        traces,
        NameAndThree,
    );
    splice("spans: nine of ten dropped", traces, NineOfTen(0));
    splice("spans: their resource", traces, OfResource);
}

fn splice(name: &str, payload: &Payload, mut edits: impl Edits) {
    let mut splicer = Splicer::default();
    figure(&format!("  splice, {name}"), payload.items(), || {
        splicer.edit(black_box(payload).clone(), &mut edits)
    });
}

fn three(mut attributes: AttributeEditor<'_>) -> Verdict {
    attributes.insert("deployment.environment", "production");
    attributes.delete("user_agent.original");
    attributes.update("client.address", NewValue::Hex(&[0x5a; 16]));
    Verdict::Keep
}

struct Nothing;

impl Edits for Nothing {}

struct Three;

impl Edits for Three {
    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        three(span.attributes())
    }
    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        three(record.attributes())
    }
}

struct One;

impl One {
    fn insert(mut attributes: AttributeEditor<'_>) -> Verdict {
        attributes.insert("deployment.environment", "production");
        Verdict::Keep
    }
}

impl Edits for One {
    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        Self::insert(span.attributes())
    }
    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        Self::insert(point.attributes())
    }
}

struct Name;

impl Edits for Name {
    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        span.set_name("GET /");
        Verdict::Keep
    }
}

struct NameAndThree;

impl Edits for NameAndThree {
    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        span.set_name("GET /");
        black_box(span.view().name());
        three(span.attributes())
    }
}

struct NineOfTen(usize);

impl Edits for NineOfTen {
    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        black_box(span.view().trace_id());
        self.0 += 1;
        Verdict::from(self.0.is_multiple_of(10))
    }
}

struct OfResource;

impl Edits for OfResource {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        resource
            .attributes()
            .upsert("deployment.environment", "production");
        Visit::Skip
    }
}
