//! What statements and conditions do, and what is said of those that are none.

mod laws;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use tidegate_pdata::splice::{Edits, LogRecordEditor, Splicer, Verdict};
use tidegate_pdata::view::AnyValue as View;
use tidegate_pdata::{Payload, Signal};

use crate::functions::{self, Run};
use crate::{Condition, Context, Error, Room, Statement, Subject, infer_context};

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The record that `docs/ottl.md` speaks of.
fn payload() -> Payload {
    let list = ["a", "b"].map(|item| AnyValue {
        value: Some(text(item)),
    });
    let record = LogRecord {
        time_unix_nano: 1_767_323_045_500_000_000,
        severity_text: "WARN".to_owned(),
        severity_number: 13,
        body: Some(AnyValue {
            value: Some(text("hello")),
        }),
        attributes: vec![
            attribute("text", text("plain")),
            attribute("n", Value::IntValue(7)),
            attribute(
                "list",
                Value::ArrayValue(ArrayValue {
                    values: list.into(),
                }),
            ),
            attribute(
                "map",
                Value::KvlistValue(KeyValueList {
                    values: vec![attribute("x", Value::IntValue(1))],
                }),
            ),
        ],
        ..LogRecord::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![record],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    Payload::admit(Signal::Logs, request.encode_to_vec().into(), None)
        .unwrap()
        .payload
}

struct Each<F>(F);

impl<F: FnMut(&mut LogRecordEditor<'_>)> Edits for Each<F> {
    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        (self.0)(record);
        Verdict::Keep
    }
}

fn each(edit: impl FnMut(&mut LogRecordEditor<'_>)) -> Payload {
    Splicer::default().edit(payload(), &mut Each(edit))
}

fn shown(value: View<'_>) -> String {
    let mut out = String::new();
    value.write_text(&mut out).unwrap();
    out
}

/// The attributes of the record after a statement, as JSON.
fn after(statement: &str) -> String {
    let compiled = Statement::compile(statement, Context::Log)
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    let edited = each(|record| {
        let mut room = Room::default();
        let outcome = compiled.execute(&mut Subject::log(record, &mut room));
        outcome.unwrap_or_else(|fault| panic!("{statement}: {fault}"));
    });
    let group = edited.resource_logs().next().unwrap();
    let record = group.scopes().next().unwrap().log_records().next().unwrap();
    let attributes = record.attributes().entries();
    let mut map = Vec::new();
    for entry in attributes {
        tidegate_pdata::wire::put_bytes(&mut map, 1, entry.bytes());
    }
    shown(View::KeyValues(tidegate_pdata::view::Attributes::new(
        &map, 1,
    )))
}

/// The text of an expression's value, or of a condition's.
fn value_of(expression: &str) -> String {
    let is_condition = ["==", " > "].iter().any(|sign| expression.contains(sign));
    let statement = if is_condition {
        format!("set(attributes[\"out\"], true) where {expression}")
    } else {
        format!("set(attributes[\"out\"], {expression})")
    };
    let compiled = Statement::compile(&statement, Context::Log)
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    let mut found = String::from("nothing");
    each(|record| {
        let mut room = Room::default();
        let outcome = compiled.execute(&mut Subject::log(record, &mut room));
        outcome.unwrap_or_else(|fault| panic!("{statement}: {fault}"));
        if let Some(value) = record.attributes().get("out") {
            found = shown(value);
        }
    });
    found
}

/// The rows of the tables of functions: cells without their ticks.
fn rows() -> Vec<Vec<String>> {
    let text = include_str!("../../../docs/ottl.md");
    let (_, functions) = text.split_once("## Functions").unwrap();
    functions
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells
                .map(|cell| cell.trim().trim_matches('`').to_owned())
                .collect()
        })
        .collect()
}

#[test]
fn examples_of_the_page_give_what_it_says() {
    let mut seen = Vec::new();
    for row in rows() {
        let (name, example) = (row[0].as_str(), row[1].as_str());
        assert!(example.contains(&format!("{name}(")), "{name}: {example}");
        match row.get(2) {
            Some(value) if name.starts_with(char::is_uppercase) => {
                assert_eq!(value_of(example), *value, "{example}");
            }
            Some(value) => assert_eq!(after(example), *value, "{example}"),
            None => {
                let compiled = [Context::Metric, Context::DataPoint]
                    .map(|context| Statement::compile(example, context));
                assert!(
                    compiled.iter().any(Result::is_ok),
                    "{example}: {compiled:?}"
                );
            }
        }
        seen.push(name.to_owned());
    }
    for function in functions::all().filter(|function| function.name != "IsRootSpan") {
        let is_seen = seen.iter().any(|name| name == function.name);
        assert!(is_seen, "{} is not on the page", function.name);
        let is_editor = matches!(function.run, Run::Editor(_));
        assert_eq!(is_editor, function.name.starts_with(char::is_lowercase));
    }
}

fn fault(statement: &str) -> Error {
    Statement::compile(statement, Context::Log).unwrap_err()
}

fn told(statement: &str) -> (usize, String, String) {
    let error = fault(statement);
    (
        error.position().1,
        error.message,
        error.remedy.unwrap_or_default(),
    )
}

#[test]
fn faults_are_told_with_their_column_and_a_remedy() {
    let cases = [
        (
            "sett(body, 1)",
            1,
            "there is no function `sett`",
            "write `set`",
        ),
        (
            "set(boddy, 1)",
            5,
            "`log` has no field `boddy`",
            "write `log.body`",
        ),
        (
            "set(body, ParsJSON(\"{}\"))",
            11,
            "there is no function `ParsJSON`",
            "write `ParseJSON`",
        ),
        ("set(body 1)", 10, "expected `,` or `)`, found a number", ""),
        ("set(body, )", 11, "expected a value, found `)`", ""),
        (
            "set(body, \"a)",
            11,
            "the text is not ended",
            "end it with `\"`",
        ),
        (
            "set(body, 'a')",
            11,
            "`'` has no meaning here",
            "write texts between double quotes",
        ),
        (
            "set(body, \"\\d\")",
            12,
            "`\\d` is no escape sequence",
            "write `\\\\` for a backslash, as in \"\\\\d+\"",
        ),
        (
            "set(body, 1) where body = 1",
            25,
            "expected a comparison, found `=`",
            "write `==`",
        ),
        (
            "set(body, 1) when body == 1",
            14,
            "expected the end, `where`, `and` or `or`, found `when`",
            "",
        ),
        (
            "set(body, SEVERITY_NUMBER_WARNING)",
            11,
            "`SEVERITY_NUMBER_WARNING` is nothing that `log` knows",
            "write `SEVERITY_NUMBER_WARN`",
        ),
        (
            "set(body, UserAgent(\"a\"))",
            11,
            "the function `UserAgent` is not built",
            "leave the statement out, or do it in the application or the backend",
        ),
        (
            "limit(attributes, 1)",
            1,
            "`limit` lacks its argument `priority_keys`",
            "write limit(target, limit, priority_keys)",
        ),
        (
            "limit(attributes, \"1\", [])",
            19,
            "`limit` of `limit` is a whole number",
            "write limit(target, limit, priority_keys)",
        ),
        (
            "set(event_name, tolower(body))",
            17,
            "`tolower` is no converter: their names begin with a capital",
            "write `Tolower`, or make the editor its own statement",
        ),
        (
            "flatten(body, dept=1)",
            15,
            "`flatten` has no parameter `dept`",
            "write `depth`",
        ),
        (
            "IsMatch(body, \"a\")",
            1,
            "`IsMatch` is a converter, which changes nothing by itself",
            "hand its value to an editor: set(attributes[\"…\"], IsMatch(…))",
        ),
    ];
    for (statement, column, message, remedy) in cases {
        let expected = (column, message.to_owned(), remedy.to_owned());
        assert_eq!(told(statement), expected, "{statement}");
    }
    assert_eq!(
        fault("set(body, 1) where\nboddy == 1").to_string(),
        "line 2, column 1: `log` has no field `boddy`\nboddy == 1\n^^^^^"
    );
}

#[test]
fn patterns_are_checked_beforehand() {
    let (column, message, _) = told("set(body, IsMatch(body, \"(\"))");
    assert_eq!(column, 25);
    assert!(
        message.starts_with("\"(\" is no regular expression: "),
        "{message}"
    );
}

#[test]
fn nesting_and_length_are_bounded() {
    let deep = format!("{}true{}", "(".repeat(5000), ")".repeat(5000));
    let error = Condition::compile(&deep, Context::Log).unwrap_err();
    assert!(error.message.contains("nested deeper"), "{error}");
    let long = format!("body == \"{}\"", "a".repeat(1 << 16));
    let error = Condition::compile(&long, Context::Log).unwrap_err();
    assert!(error.message.contains("64 KiB"), "{error}");
    let json = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let statement = format!("set(body, ParseJSON(\"{json}\"))");
    let compiled = Statement::compile(&statement, Context::Log).unwrap();
    each(|record| {
        let mut room = Room::default();
        let fault = compiled
            .execute(&mut Subject::log(record, &mut room))
            .unwrap_err();
        assert!(fault.to_string().contains("nested deeper"), "{fault}");
    });
}

fn inferred(signal: Signal, statements: &[&str]) -> Result<Context, Error> {
    let statements: Vec<String> = statements.iter().map(|&text| text.to_owned()).collect();
    infer_context(signal, &statements, &[])
}

#[test]
fn the_innermost_context_is_inferred_unless_functions_demand_another() {
    use Signal::{Logs, Metrics, Traces};
    let cases: [(Signal, &[&str], Context); 6] = [
        (
            Logs,
            &["set(resource.attributes[\"a\"], 1)"],
            Context::Resource,
        ),
        (
            Logs,
            &["set(resource.attributes[\"a\"], log.body)"],
            Context::Log,
        ),
        (
            Traces,
            &["set(span.name, \"a\")", "set(spanevent.name, \"b\")"],
            Context::SpanEvent,
        ),
        (
            Metrics,
            &["set(metric.name, \"a\") where datapoint.count > 1"],
            Context::DataPoint,
        ),
        (
            Metrics,
            &["convert_sum_to_gauge() where metric.name == \"a\""],
            Context::Metric,
        ),
        (
            Traces,
            &["set(scope.name, \"a\") where span.kind == SPAN_KIND_SERVER"],
            Context::Span,
        ),
    ];
    for (signal, statements, context) in cases {
        assert_eq!(inferred(signal, statements), Ok(context), "{statements:?}");
    }
    let error = inferred(Logs, &["set(attributes[\"a\"], 1)"]).unwrap_err();
    assert_eq!(error.position(), (1, 5));
    let remedy = "write `resource.attributes` or `scope.attributes` or `log.attributes`";
    assert_eq!(error.remedy.as_deref(), Some(remedy));
    let error = inferred(Metrics, &["convert_sum_to_gauge()"]).unwrap_err();
    assert_eq!(
        error.message,
        "no path says for what this is to be evaluated"
    );
}

#[test]
fn what_is_known_beforehand_is_worked_out_once() {
    for (condition, holds) in [
        ("1 + 1 == 2 and Len(\"abc\") == 3", true),
        ("IsMatch(\"abc\", \"^b\") or SHA1(\"a\") == \"\"", false),
        ("not (nil != nil)", true),
    ] {
        let compiled = Condition::compile(condition, Context::Log).unwrap();
        assert!(
            format!("{compiled:?}").contains(&format!("Const({holds})")),
            "{compiled:?}"
        );
    }
}
