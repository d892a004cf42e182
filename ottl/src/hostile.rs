//! What holds for any text: it is compiled, or refused with a place in it, and what was compiled leaves
//! canonical OTLP behind.
//!
//! The property tests and the fuzz target call it.

use tidegate_pdata::json::from_json;
use tidegate_pdata::splice::{
    DataPointEditor, Edits, LogRecordEditor, MetricEditor, ResourceEditor, ScopeEditor, SpanEditor,
    Splicer, Verdict, Visit,
};
use tidegate_pdata::{Payload, Signal, canonical_items};

use crate::{Condition, Context, Error, Room, Statement, Subject};

const TRACES: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
    "scopeSpans":[{"scope":{"name":"lib","version":"1"},"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10",
    "spanId":"0102030405060708","traceState":"a=b","name":"GET /cart","kind":2,"startTimeUnixNano":"1767323045500000000",
    "endTimeUnixNano":"1767323046500000000","status":{"code":2,"message":"no"},
    "events":[{"name":"e","timeUnixNano":"1767323045600000000","attributes":[{"key":"n","value":{"intValue":"1"}}]}],
    "attributes":[{"key":"a","value":{"stringValue":"{\"b\": [1, 2.5, null]}"}},{"key":"n","value":{"doubleValue":7.5}}]}]}]}]}"#;

const METRICS: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
    {"name":"io","unit":"By","sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[
        {"timeUnixNano":"9","asInt":"3","attributes":[{"key":"a","value":{"stringValue":"x"}}]},
        {"timeUnixNano":"9","asDouble":1.5,"attributes":[{"key":"a","value":{"stringValue":"y"}}]}]}},
    {"name":"took","histogram":{"aggregationTemporality":1,"dataPoints":[
        {"timeUnixNano":"9","count":"3","sum":4.5,"bucketCounts":["1","2"],"explicitBounds":[1]}]}},
    {"name":"wide","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[
        {"timeUnixNano":"9","count":"3","sum":4.5,"scale":3,"zeroCount":"1","positive":{"offset":-2,"bucketCounts":["1","1"]}}]}},
    {"name":"old","summary":{"dataPoints":[{"timeUnixNano":"9","count":"2","sum":3,"quantileValues":[{"quantile":0.5,"value":1}]}]}}
    ]}]}]}"#;

const LOGS: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1767323045500000000","severityNumber":13,
    "severityText":"WARN","body":{"stringValue":"GET /cart 200 key=value"},"attributes":[
    {"key":"a","value":{"arrayValue":{"values":[{"stringValue":"x"},{"intValue":"2"}]}}},
    {"key":"m","value":{"kvlistValue":{"values":[{"key":"n","value":{"intValue":"1"}}]}}},
    {"key":"n","value":{"intValue":"7"}},{"key":"b","value":{"bytesValue":"AAH/"}}]}]}]}]}"#;

/// Compiles a text as a statement and as a condition in every context, and carries out what compiles.
///
/// # Panics
/// When something of that does not hold.
pub fn any_text(text: &str) {
    for context in Context::ALL {
        let statement = Statement::compile(text, context);
        let condition = Condition::compile(text, context);
        for error in [statement.as_ref().err(), condition.as_ref().err()] {
            error.into_iter().for_each(|error| check(error, text));
        }
        if statement.is_err() && condition.is_err() {
            continue;
        }
        let mut trial = Trial {
            context,
            statement: statement.ok(),
            condition: condition.ok(),
            room: Room::default(),
        };
        for (signal, request) in [
            (Signal::Traces, TRACES),
            (Signal::Metrics, METRICS),
            (Signal::Logs, LOGS),
        ] {
            if Context::of_signal(signal).contains(&context) {
                trial.carry_out(signal, request, text);
            }
        }
    }
}

/// An error can be shown, and lies in its text.
fn check(error: &Error, text: &str) {
    let shown = error.to_string();
    assert!(
        error.span.start <= error.span.end && error.span.end <= text.len(),
        "{:?} is not in {text:?}: {shown}",
        error.span
    );
}

struct Trial {
    context: Context,
    statement: Option<Statement>,
    condition: Option<Condition>,
    room: Room,
}

impl Trial {
    fn carry_out(&mut self, signal: Signal, request: &str, text: &str) {
        let bytes = from_json(signal, request.as_bytes(), &mut |_| true);
        let bytes = bytes.expect("the request is OTLP/JSON");
        let admitted = Payload::admit(signal, bytes.into(), None).expect("the request is OTLP");
        let after = Splicer::default().edit(admitted.payload, self);
        for segment in after.segments() {
            assert_eq!(
                canonical_items(signal, segment.bytes()),
                Some(segment.items()),
                "{text:?} leaves what is not canonical"
            );
        }
    }

    fn on(
        &mut self,
        context: Context,
        subject: impl FnOnce(&mut Room, &mut dyn FnMut(Subject<'_>)),
    ) {
        if self.context != context {
            return;
        }
        let (statement, condition) = (&self.statement, &self.condition);
        subject(&mut self.room, &mut |mut subject| {
            // Faults are the record's, and told.
            if let Some(condition) = condition {
                drop(condition.holds(&subject));
            }
            if let Some(statement) = statement {
                drop(statement.execute(&mut subject));
            }
        });
    }
}

impl Edits for Trial {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        self.on(Context::Resource, |room, act| {
            act(Subject::resource(resource, room))
        });
        Visit::Enter
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        self.on(Context::Scope, |room, act| act(Subject::scope(scope, room)));
        Visit::Enter
    }

    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        self.on(Context::Span, |room, act| act(Subject::span(span, room)));
        span.edit_events(|event| {
            self.on(Context::SpanEvent, |room, act| {
                act(Subject::span_event(event, 0, room));
            });
            Verdict::Keep
        });
        Verdict::Keep
    }

    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        self.on(Context::Log, |room, act| act(Subject::log(record, room)));
        Verdict::Keep
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        self.on(Context::Metric, |room, act| {
            act(Subject::metric(metric, room))
        });
        Visit::Enter
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        self.on(Context::DataPoint, |room, act| {
            act(Subject::data_point(point, room))
        });
        Verdict::Keep
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::any_text;
    use crate::functions;

    /// Names, literals and signs that texts are put together from.
    const WORDS: &[&str] = &[
        "attributes",
        "attributes[\"a\"]",
        "attributes[\"n\"]",
        "attributes[\"m\"][\"n\"]",
        "attributes[\"a\"][0]",
        "body",
        "name",
        "resource.attributes",
        "scope.name",
        "span.name",
        "metric.name",
        "trace_id",
        "span_id",
        "start_time",
        "time_unix_nano",
        "severity_number",
        "status.code",
        "events",
        "data_points",
        "value_int",
        "value_double",
        "count",
        "bucket_counts",
        "explicit_bounds",
        "quantile_values",
        "cache[\"k\"]",
        "kind",
        "type",
        "\"text\"",
        "\"\"",
        "\"^(a|b)+$\"",
        "\"%{WORD:w}\"",
        "\"%Y-%m-%d\"",
        "\"1h\"",
        "\"{\\\"a\\\":1}\"",
        "0",
        "1",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "1.5",
        "1e300",
        "true",
        "false",
        "nil",
        "0x0aff",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        ",",
        ",",
        ":",
        ".",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "and",
        "or",
        "not",
        "where",
        "=",
        "é",
        "\u{1F600}",
        "\n",
        "SPAN_KIND_SERVER",
        "STATUS_CODE_ERROR",
        "\"unclosed",
    ];

    fn word() -> impl Strategy<Value = String> {
        let names: Vec<&str> = functions::all().map(|function| function.name).collect();
        prop_oneof![
            4 => prop::sample::select(WORDS).prop_map(str::to_owned),
            1 => prop::sample::select(names.clone()).prop_map(|name| format!("{name}(")),
        ]
    }

    /// A call of any function with arguments that often fit.
    fn call() -> impl Strategy<Value = String> {
        let names: Vec<&str> = functions::all().map(|function| function.name).collect();
        let arguments = prop::collection::vec(prop::sample::select(&WORDS[..45]), 0..5);
        (prop::sample::select(names), arguments)
            .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", ")))
    }

    #[test]
    fn kept_corpus_is_compiled_or_refused() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/statement");
        let mut seen = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            // What a run found has no ending until it is kept.
            if path.extension().is_some_and(|ending| ending == "txt") {
                any_text(&std::fs::read_to_string(path).unwrap());
                seen += 1;
            }
        }
        assert!(seen > 100, "{seen} texts are kept");
    }

    proptest! {
        #[test]
        fn any_words_are_compiled_or_refused(words in prop::collection::vec(word(), 0..16)) {
            any_text(&words.join(" "));
        }

        #[test]
        fn any_call_is_carried_out_or_refused(outer in call(), inner in call(), value in call()) {
            any_text(&outer);
            any_text(&format!("set(attributes[\"a\"], {inner}) where {value} != nil"));
        }

        #[test]
        fn any_characters_are_compiled_or_refused(text in "\\PC{0,60}") {
            any_text(&text);
        }
    }
}
