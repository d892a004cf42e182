//! Operators as configurations write them, joined.

use tidegate_component::BuildContext;

use super::*;

/// The operators of a configuration.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    operators: Vec<OperatorConfig>,
}

fn read(yaml: &str) -> Config {
    let node = tidegate_document::yaml::parse_str(&format!("operators:{yaml}")).unwrap();
    tidegate_document::read(&node).unwrap_or_else(|found| panic!("{yaml}: {found:#?}"))
}

fn context() -> BuildContext {
    BuildContext::detached("receiver", "file_log".parse().unwrap())
}

pub(super) fn chain(yaml: &str) -> Chain {
    let built = Chain::build(&read(yaml).operators, "operators", &context());
    built.unwrap_or_else(|error| panic!("{yaml}: {}: {error}", error.path))
}

fn fault(yaml: &str) -> String {
    match Chain::build(&read(yaml).operators, "operators", &context()) {
        Ok(_) => panic!("{yaml} is built"),
        Err(error) => format!("{}: {error}", error.path),
    }
}

/// Takes entries through operators.
pub(super) fn run(yaml: &str, entries: impl IntoIterator<Item = Entry>) -> Vec<Entry> {
    let mut chain = chain(yaml);
    let mut out = Vec::new();
    for entry in entries {
        chain.push(entry, &mut |entry| out.push(entry));
    }
    chain.flush(None, &mut |entry| out.push(entry));
    out
}

/// Takes lines through operators, and gives their bodies.
fn bodies(yaml: &str, lines: &[&str]) -> Vec<String> {
    let entries = lines.iter().map(|line| Entry::with_body(*line));
    let out = run(yaml, entries);
    out.iter()
        .map(|entry| entry.body.as_str().unwrap_or("?").to_owned())
        .collect()
}

fn one(yaml: &str, entry: Entry) -> Entry {
    let mut out = run(yaml, [entry]);
    assert_eq!(out.len(), 1, "{yaml}: {out:#?}");
    out.remove(0)
}

fn attribute<'e>(entry: &'e Entry, key: &str) -> &'e Value {
    entry.attributes.get(key).unwrap_or(&Value::Null)
}

#[test]
fn entries_go_down_the_list_and_where_outputs_say() {
    let yaml = "
- {type: router, routes: [{expr: 'body startsWith \"{\"', output: js, attributes: {kind: json}}], default: end}
- {type: json_parser, id: js}
- {type: add, field: attributes.parsed, value: true}
- {type: noop, id: end}
";
    let json = one(yaml, Entry::with_body(r#"{"a": 1}"#));
    assert_eq!(attribute(&json, "a"), &Value::Double(1.0));
    assert_eq!(attribute(&json, "kind"), &"json".into());
    assert_eq!(attribute(&json, "parsed"), &Value::Bool(true));
    let plain = one(yaml, Entry::with_body("text"));
    assert!(plain.attributes.len() == 0);
}

#[test]
fn several_outputs_get_a_copy_each_in_order() {
    let yaml = "
- {type: noop, output: [a, b]}
- {type: add, id: a, field: body, value: a, output: end}
- {type: add, id: b, field: body, value: b}
- {type: noop, id: end}
";
    assert_eq!(bodies(yaml, &["x", "y"]), ["a", "b", "a", "b"]);
}

#[test]
fn what_no_route_takes_is_dropped_and_counted() {
    let context = context();
    let yaml =
        "[{type: router, routes: [{expr: 'body == \"a\"', output: end}]}, {type: noop, id: end}]";
    let mut chain =
        Chain::build(&read(&format!(" {yaml}")).operators, "operators", &context).unwrap();
    let mut out = 0;
    for line in ["a", "b", "c"] {
        chain.push(Entry::with_body(line), &mut |_| out += 1);
    }
    assert_eq!(out, 1);
    assert!(
        context.reasons.counts().contains(&("not_routed", 2)),
        "{:?}",
        context.reasons.counts()
    );
}

#[test]
fn a_filter_drops_what_its_expression_holds_for() {
    let yaml = " [{type: filter, expr: 'body contains \"debug\"'}]";
    assert_eq!(bodies(yaml, &["a debug", "b", "debug"]), ["b"]);
    let none = " [{type: filter, expr: 'true', drop_ratio: 0.0}]";
    assert_eq!(bodies(none, &["a", "b"]), ["a", "b"]);
}

#[test]
fn an_entry_that_an_operator_fails_on_goes_on_or_does_not() {
    for (mode, count) in [
        ("send", 1),
        ("send_quiet", 1),
        ("drop", 0),
        ("drop_quiet", 0),
    ] {
        let yaml = format!(
            " [{{type: json_parser, on_error: {mode}}}, {{type: add, field: attributes.x, value: 1}}]"
        );
        let out = run(&yaml, [Entry::with_body("no json")]);
        assert_eq!(out.len(), count, "{mode}");
        assert!(
            out.iter()
                .all(|entry| attribute(entry, "x") == &Value::Int(1))
        );
    }
}

#[test]
fn a_condition_decides_what_an_operator_works_on() {
    let yaml = " [{type: json_parser, if: 'body matches \"^{\"', on_error: drop}]";
    assert_eq!(
        bodies(yaml, &["plain", "{\"a\": 1}", "{broken"]),
        ["plain", "{\"a\": 1}"]
    );
}

#[test]
fn the_pattern_of_vms_with_regex_severity_and_route_works() {
    let yaml = r#"
- {type: regex_parser, regex: '^(?P<ts>\S+ \S+) (?P<sev>[A-Z]+) (?P<msg>.*)', timestamp: {parse_from: attributes.ts, layout: '%Y-%m-%d %H:%M:%S', location: UTC}, severity: {parse_from: attributes.sev}}
- {type: move, from: attributes.msg, to: body}
- {type: router, routes: [{expr: 'body startsWith "{"', output: js}], default: end}
- {type: json_parser, id: js, parse_to: attributes}
- {type: noop, id: end}
"#;
    let entry = one(
        yaml,
        Entry::with_body(r#"2024-05-06 07:08:09 ERROR {"user": "u1", "n": 2}"#),
    );
    assert_eq!(entry.timestamp, Some(1_714_979_289_000_000_000));
    assert_eq!((entry.severity, &*entry.severity_text), (17, "ERROR"));
    assert_eq!(attribute(&entry, "user"), &"u1".into());
    assert_eq!(attribute(&entry, "n"), &Value::Double(2.0));
    let plain = one(yaml, Entry::with_body("2024-05-06 07:08:09 WARN slow"));
    assert_eq!((plain.severity, plain.body), (13, "slow".into()));
}

#[test]
fn values_move_about() {
    let entry = || Entry {
        attributes: Map::from([
            ("a", "x".into()),
            (
                "m",
                Value::Map(Map::from([("k", Value::Int(1)), ("l", Value::Int(2))])),
            ),
            ("list", Value::List(vec!["p".into(), "q".into()])),
        ]),
        resource: Map::from([("k8s.namespace.name", "ns".into())]),
        ..Entry::with_body("text")
    };
    let moved = one(
        r#" [{type: move, from: 'resource["k8s.namespace.name"]', to: resource.namespace}]"#,
        entry(),
    );
    assert_eq!(moved.resource, Map::from([("namespace", "ns".into())]));
    let copied = one(
        " [{type: copy, from: body, to: attributes.message}]",
        entry(),
    );
    assert_eq!(attribute(&copied, "message"), &copied.body);
    let removed = one(" [{type: remove, field: attributes.m.k}]", entry());
    assert_eq!(
        attribute(&removed, "m"),
        &Value::Map(Map::from([("l", Value::Int(2))]))
    );
    let retained = one(
        " [{type: retain, fields: [attributes.a, attributes.none]}]",
        entry(),
    );
    assert_eq!(retained.attributes, Map::from([("a", "x".into())]));
    assert_eq!((retained.body, retained.resource.len()), ("text".into(), 1));
    let flat = one(" [{type: flatten, field: attributes.m}]", entry());
    assert_eq!(attribute(&flat, "k"), &Value::Int(1));
    assert_eq!(attribute(&flat, "m"), &Value::Null);
    let keyed = one(
        " [{type: assign_keys, field: attributes.list, keys: [first, second]}]",
        entry(),
    );
    assert_eq!(
        attribute(&keyed, "list"),
        &Value::Map(Map::from([("first", "p".into()), ("second", "q".into())]))
    );
    let added = one(
        " [{type: add, field: attributes.sum, value: EXPR(attributes.m.k + 1)}, {type: add, field: attributes.c.d, value: {e: [1, true]}}]",
        entry(),
    );
    assert_eq!(attribute(&added, "sum"), &Value::Int(2));
    assert!(attribute(&added, "c").as_map().is_some());
    for failing in [
        "move, from: attributes.no, to: body",
        "remove, field: body.x",
        "flatten, field: attributes.a",
        "assign_keys, field: attributes.list, keys: [a]",
    ] {
        let out = run(
            &format!(" [{{type: {failing}, on_error: drop}}]"),
            [entry()],
        );
        assert!(out.is_empty(), "{failing}");
    }
}

#[test]
fn entries_recombine_from_a_first_one_on() {
    let trace = "\
Log message 1
Error: java.lang.Exception: Stack trace
        at java.lang.Thread.dumpStack(Thread.java:1336)
        at Main.main(Main.java:3)
Another log message";
    let lines: Vec<&str> = trace.lines().collect();
    let yaml =
        r#" [{type: recombine, combine_field: body, is_first_entry: 'body matches "^[^\\s]"'}]"#;
    let expected = [
        lines[0].to_owned(),
        lines[1..4].join("\n"),
        lines[4].to_owned(),
    ];
    assert_eq!(bodies(yaml, &lines), expected);
}

#[test]
fn entries_recombine_up_to_bounds() {
    let run = |expression: &str, unmatched: usize, lines: &str| {
        let yaml = format!(
            " [{{type: recombine, combine_field: body, combine_with: '+', {expression}: 'body == \"log1\"', max_unmatched_batch_size: {unmatched}}}]"
        );
        let lines: Vec<String> = lines.split(' ').map(|n| format!("log{n}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        bodies(&yaml, &lines).join(" ")
    };
    let first = "is_first_entry";
    assert_eq!(
        run(first, 0, "2 3 4 1 5 6 7 1"),
        "log2+log3+log4 log1+log5+log6+log7 log1"
    );
    assert_eq!(
        run(first, 1, "2 3 4 1 5 6 7 1"),
        "log2 log3 log4 log1+log5+log6+log7 log1"
    );
    assert_eq!(
        run(first, 3, "2 3 4 5 1 6 7 1 8 1"),
        "log2+log3+log4 log5 log1+log6+log7 log1+log8 log1"
    );
    let last = "is_last_entry";
    assert_eq!(
        run(last, 3, "2 3 4 5 1 6 7 1 8 1"),
        "log2+log3+log4 log5+log1 log6+log7+log1 log8+log1"
    );
    let sized = " [{type: recombine, combine_field: body, is_first_entry: 'false', max_log_size: 5, max_unmatched_batch_size: 0}]";
    assert_eq!(bodies(sized, &["abc", "def", "g"]), ["abc\ndef", "g"]);
}

#[test]
fn entries_of_several_sources_recombine_apart() {
    let yaml = " [{type: recombine, combine_field: body, combine_with: '', is_last_entry: 'body endsWith \";\"'}]";
    let line = |file: &str, body: &str| Entry {
        attributes: Map::from([("log.file.path", file.into())]),
        ..Entry::with_body(body)
    };
    let out = run(
        yaml,
        [
            line("a", "1"),
            line("b", "x"),
            line("a", "2;"),
            line("b", "y;"),
        ],
    );
    let bodies: Vec<_> = out
        .iter()
        .map(|entry| entry.body.as_str().unwrap())
        .collect();
    assert_eq!(bodies, ["12;", "xy;"]);
}

#[test]
fn what_waits_is_known_and_let_go_in_time() {
    let mut chain = chain(
        " [{type: recombine, combine_field: body, is_first_entry: 'body == \"x\"', force_flush_period: 1s}]",
    );
    let mut out = Vec::new();
    let entry = |start: u64, body: &str| Entry {
        observed: 1_000_000_000,
        origin: Origin {
            source: 7,
            start,
            count: start / 10,
            path: None,
        },
        ..Entry::with_body(body)
    };
    chain.push(entry(10, "x"), &mut |entry| out.push(entry));
    chain.push(entry(20, "y"), &mut |entry| out.push(entry));
    assert_eq!(
        (chain.held(7), chain.held(8), chain.deadline()),
        (Some((10, 1)), None, Some(2_000_000_000))
    );
    chain.flush(Some(1_999_999_999), &mut |entry| out.push(entry));
    assert!(out.is_empty());
    chain.flush(Some(2_000_000_000), &mut |entry| out.push(entry));
    assert_eq!(
        (out.len(), chain.held(7), chain.deadline()),
        (1, None, None)
    );
}

const POD: &str = "/var/log/pods/some-ns_kube-controller-kind-control-plane_49cc7c1fd3702c40b2686ea7486091d6/kube-controller/1.log";

fn of_pod(body: &str) -> Entry {
    Entry {
        attributes: Map::from([("log.file.path", POD.into())]),
        ..Entry::with_body(body)
    }
}

#[test]
fn lines_of_containers_are_taken_apart() {
    for (line, body, tag, time) in [
        (
            r#"{"log":"INFO: log line here","stream":"stdout","time":"2024-03-30T08:31:20.545192187Z"}"#,
            "INFO: log line here",
            None,
            1_711_787_480_545_192_187,
        ),
        (
            r#"{"log":"with \"quotes\"\n","stream":"stdout","time":"2024-03-30T08:31:20.545192187Z","attrs":{"a":"b"}}"#,
            "with \"quotes\"",
            None,
            1_711_787_480_545_192_187,
        ),
        (
            "2024-04-13T07:59:37.505201169-05:00 stdout F standalone crio line which is awesome",
            "standalone crio line which is awesome",
            Some("F"),
            1_713_013_177_505_201_169,
        ),
        (
            "2023-06-22T10:27:25.813799277Z stdout F standalone containerd line",
            "standalone containerd line",
            Some("F"),
            1_687_429_645_813_799_277,
        ),
        (
            "2023-06-22T10:27:25.813799277Z stdout F",
            "",
            Some("F"),
            1_687_429_645_813_799_277,
        ),
    ] {
        let entry = one(" [{type: container}]", of_pod(line));
        assert_eq!(entry.body, body.into());
        assert_eq!(entry.timestamp, Some(time), "{line}");
        assert_eq!(attribute(&entry, "log.iostream"), &"stdout".into());
        assert_eq!(entry.attributes.get("logtag").and_then(Value::as_str), tag);
        let expected = Map::from([
            ("k8s.pod.name", "kube-controller-kind-control-plane".into()),
            ("k8s.pod.uid", "49cc7c1fd3702c40b2686ea7486091d6".into()),
            ("k8s.container.name", "kube-controller".into()),
            ("k8s.container.restart_count", "1".into()),
            ("k8s.namespace.name", "some-ns".into()),
        ]);
        assert_eq!(entry.resource, expected);
    }
}

#[test]
fn partial_lines_of_containers_become_one_by_file_and_stream() {
    let lines = [
        "2023-06-22T10:27:25.813799277Z stdout P multiline containerd line that i",
        "2023-06-22T10:27:25.813799277Z stderr F another",
        "2023-06-22T10:27:25.813799278Z stdout F s super awesome",
        "2023-06-22T10:27:25.813799279Z stdout F next",
    ];
    let out = run(" [{type: container}]", lines.map(of_pod));
    let bodies: Vec<_> = out
        .iter()
        .map(|entry| entry.body.as_str().unwrap())
        .collect();
    assert_eq!(
        bodies,
        [
            "another",
            "multiline containerd line that is super awesome",
            "next"
        ]
    );
    assert_eq!(attribute(&out[1], "logtag"), &"F".into());
    let piece = "x".repeat(16 * 1024);
    let docker =
        |log: &str| format!(r#"{{"log":"{log}","stream":"stdout","time":"2024-03-30T08:31:20Z"}}"#);
    let out = run(
        " [{type: container}]",
        [of_pod(&docker(&piece)), of_pod(&docker("end\\n"))],
    );
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].body.as_str().map(str::len), Some(16 * 1024 + 3));
    let bounded = run(
        " [{type: container, max_log_size: 10}]",
        ["P 12345", "P 678901", "F x"]
            .map(|rest| of_pod(&format!("2023-06-22T10:27:25Z stdout {rest}"))),
    );
    assert_eq!(bounded.len(), 2);
}

#[test]
fn what_is_no_line_of_a_container_stays_as_it_is() {
    for line in [
        "plain",
        "{\"no\": 1}",
        "2023-06-22T10:27:25Z nowhere F x",
        "",
    ] {
        let entry = one(" [{type: container}]", of_pod(line));
        assert_eq!(entry.body, line.into());
    }
    let elsewhere = Entry {
        attributes: Map::from([("log.file.path", "/var/log/app.log".into())]),
        ..Entry::with_body("2023-06-22T10:27:25Z stdout F x")
    };
    let entry = one(" [{type: container}]", elsewhere);
    assert_eq!((entry.body, entry.resource.len()), ("x".into(), 0));
}

#[test]
fn severity_time_trace_and_scope_are_operators_of_their_own() {
    let yaml = "
- {type: json_parser}
- {type: time_parser, parse_from: attributes.time, layout_type: epoch, layout: s}
- {type: severity_parser, parse_from: attributes.level, mapping: {warn: [hm]}}
- {type: trace_parser, span_id: {parse_from: attributes.span}}
- {type: scope_name_parser, parse_from: attributes.logger}
";
    let line = r#"{"time": 1136214245, "level": "hm", "trace_id": "480140f3d770a5ae32f0a22b6a812cff", "span": "00f067aa0ba902b7", "logger": "com.Foo"}"#;
    let entry = one(yaml, Entry::with_body(line));
    assert_eq!(entry.timestamp, Some(1_136_214_245_000_000_000));
    assert_eq!((entry.severity, &*entry.scope), (13, "com.Foo"));
    assert!(entry.trace_id.is_some() && entry.span_id.is_some());
}

#[test]
fn what_is_wrong_is_told_with_the_key_at_fault() {
    for (yaml, expected) in [
        (
            " [{type: regex_replace, regex: a}]",
            "operators::0: the operator `regex_replace` is not built",
        ),
        (
            " [{type: noop, output: nowhere}]",
            "operators::0::output: there is no operator with the ID \"nowhere\"",
        ),
        (
            " [{type: noop, id: a}, {type: noop, id: a}]",
            "operators::1::id: another operator has the ID",
        ),
        (
            " [{type: noop, id: a, output: b}, {type: noop, id: b, output: a}]",
            "in a circle",
        ),
        (
            " [{type: noop, if: 'body =='}]",
            "operators::0::if: at character 8",
        ),
        (
            " [{type: regex_parser, regex: '('}]",
            "operators::0::regex: \"(\" is no regular expression",
        ),
        (
            " [{type: regex_parser, regex: 'a'}]",
            "operators::0::regex: no group",
        ),
        (
            " [{type: recombine, combine_field: body}]",
            "operators::0: needs either",
        ),
        (
            " [{type: router, routes: [{expr: 'filter(body)', output: a}]}, {type: noop, id: a}]",
            "the function `filter` is not built",
        ),
        (
            " [{type: json_parser, parse_from: 'body['}]",
            "operators::0::parse_from",
        ),
        (
            " [{type: json_parser, parse_to: body, body: body.x}]",
            "operators::0::body",
        ),
        (
            " [{type: key_value_parser, delimiter: ' '}]",
            "operators::0::pair_delimiter",
        ),
        (" [{type: csv_parser, header: a}]", "operators::0::header"),
        (" [{type: flatten, field: body}]", "operators::0::field"),
        (
            " [{type: add, field: attributes, value: 1}]",
            "operators::0::value",
        ),
        (
            " [{type: container, parse_to: body}]",
            "operators::0::parse_to",
        ),
    ] {
        let fault = fault(yaml);
        assert!(fault.contains(expected), "{yaml}: {fault}");
    }
    let twice = read(" [{type: noop}, {type: noop}, {type: noop, id: noop1}]");
    assert!(Chain::build(&twice.operators, "operators", &context()).is_ok());
}

#[test]
fn a_type_that_is_none_is_told_with_those_there_are() {
    let node = tidegate_document::yaml::parse_str("operators: [{type: jsn_parser}]").unwrap();
    let found = tidegate_document::read::<Config>(&node).unwrap_err();
    let text = format!("{found:#?}");
    assert!(
        text.contains("jsn_parser") && text.contains("json_parser"),
        "{text}"
    );
    let node =
        tidegate_document::yaml::parse_str("operators: [{type: noop, colour: red}]").unwrap();
    let found = tidegate_document::read::<Config>(&node).unwrap_err();
    assert!(
        format!("{found:#?}").contains("unknown key `colour`"),
        "{found:#?}"
    );
}
