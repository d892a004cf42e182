use crate::operators::entry::Entry;
use crate::operators::tests::run;
use crate::operators::value::{Map, Value};

/// What a parser makes of a text in the attributes; none where it fails.
fn parsed(operator: &str, text: &str) -> Option<Map> {
    let yaml = format!(" [{{{operator}, on_error: drop_quiet}}]");
    let mut out = run(&yaml, [Entry::with_body(text)]);
    out.pop().map(|entry| entry.attributes)
}

fn texts<const N: usize>(entries: [(&str, &str); N]) -> Option<Map> {
    Some(Map::from(entries.map(|(key, value)| (key, value.into()))))
}

#[test]
fn json() {
    let parser = "type: json_parser";
    let nested = parsed(
        parser,
        r#"{"a": {"b": [1, "x", null, true]}, "a2": 1.5, "a": 2}"#,
    );
    assert_eq!(
        nested,
        Some(Map::from([
            ("a2", Value::Double(1.5)),
            ("a", Value::Double(2.0))
        ]))
    );
    let ints = parsed(
        "type: json_parser, parse_ints: true",
        r#"{"i": -3, "f": 0.5, "big": 18446744073709551615}"#,
    )
    .unwrap();
    assert_eq!(ints.get("i"), Some(&Value::Int(-3)));
    assert_eq!(
        ints.get("big"),
        Some(&Value::Double(18_446_744_073_709_551_615.0))
    );
    for faulty in [
        "",
        "{",
        "[1]",
        "{\"a\": 1} x",
        "\"text\"",
        &format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500)),
    ] {
        assert_eq!(parsed(parser, faulty), None, "{faulty}");
    }
}

#[test]
fn json_goes_where_it_is_told() {
    let yaml = " [{type: json_parser, parse_from: attributes.raw, parse_to: body, severity: {parse_from: body.level}}]";
    let entry = Entry {
        attributes: Map::from([("raw", r#"{"level": "warn", "msg": "m"}"#.into())]),
        ..Entry::with_body("text")
    };
    let entry = run(yaml, [entry]).remove(0);
    assert_eq!(
        entry.body.as_map().and_then(|map| map.get("msg")),
        Some(&"m".into())
    );
    assert_eq!(entry.severity, 13);
    let body = " [{type: json_parser, body: attributes.msg}]";
    let entry = run(body, [Entry::with_body(r#"{"msg": "m"}"#)]).remove(0);
    assert_eq!(entry.body, "m".into());
}

#[test]
fn regular_expressions() {
    let parser = r"type: regex_parser, regex: '^(?P<host>\S+) (?P<code>\d{3})?(?P<rest>.*)$'";
    assert_eq!(
        parsed(parser, "web1 200 ok"),
        texts([("host", "web1"), ("code", "200"), ("rest", " ok")])
    );
    assert_eq!(
        parsed(parser, "web1 x"),
        texts([("host", "web1"), ("code", ""), ("rest", "x")])
    );
    assert_eq!(parsed(parser, "web1"), None);
}

#[test]
fn key_value_pairs() {
    let parser = "type: key_value_parser";
    assert_eq!(
        parsed(parser, "name=stanza  age=2"),
        texts([("name", "stanza"), ("age", "2")])
    );
    assert_eq!(
        parsed(parser, r#"a="x y" b='z' c=p=q"#),
        texts([("a", "x y"), ("b", "z"), ("c", "p=q")])
    );
    let bang = "type: key_value_parser, pair_delimiter: '!'";
    assert_eq!(
        parsed(bang, "name=stanza ! org=otel      ! group=dev"),
        texts([("name", "stanza"), ("org", "otel"), ("group", "dev")])
    );
    assert_eq!(
        parsed("type: key_value_parser, delimiter: ':'", "name:stanza"),
        texts([("name", "stanza")])
    );
    for faulty in ["", "name", "a=1 b", "a=\"x"] {
        assert_eq!(parsed(parser, faulty), None, "{faulty}");
    }
}

#[test]
fn lines_of_csv() {
    let parser = "type: csv_parser, header: 'id,severity,message'";
    let expected = texts([
        ("id", "1"),
        ("severity", "debug"),
        ("message", "Debug Message"),
    ]);
    assert_eq!(parsed(parser, "1,debug,Debug Message"), expected);
    assert_eq!(parsed(parser, r#"1,"debug","Debug Message""#), expected);
    let quoted = parsed(parser, r#"1,"a ""b"", c",d"#).unwrap();
    assert_eq!(quoted.get("severity"), Some(&r#"a "b", c"#.into()));
    for faulty in ["1,2", "1,2,3,4", "1,a\"b,c", "1,\"a,c", "1,\"a\"b,c"] {
        assert_eq!(parsed(parser, faulty), None, "{faulty}");
    }
    let tab = r#"type: csv_parser, header: "id\tseverity\tmessage", delimiter: "\t""#;
    assert_eq!(parsed(tab, "1\tdebug\tDebug Message"), expected);
    let lazy = parsed(
        "type: csv_parser, header: 'a,b', lazy_quotes: true",
        "x\"y,\"a\"b\"",
    )
    .unwrap();
    assert_eq!(lazy.get("b"), Some(&"a\"b".into()));
    let plain = parsed(
        "type: csv_parser, header: 'a,b', ignore_quotes: true",
        "\"x,y\"",
    )
    .unwrap();
    assert_eq!(plain.get("a"), Some(&"\"x".into()));
}

#[test]
fn lines_of_csv_with_a_header_of_their_own() {
    let entry = Entry {
        attributes: Map::from([("Fields", "id,message".into())]),
        ..Entry::with_body("1,Hello")
    };
    let out = run(
        " [{type: csv_parser, header_attribute: Fields, parse_to: body}]",
        [entry],
    );
    assert_eq!(
        out[0].body.as_map().and_then(|map| map.get("message")),
        Some(&"Hello".into())
    );
}

#[test]
fn addresses() {
    let parser = "type: uri_parser";
    let parsed_whole = parsed(
        parser,
        "HTTPS://dev:pw@google.com:8443/app%20a?user_id=2&token=a+b%21&user_id=3#x",
    )
    .unwrap();
    let list = |values: &[&str]| Value::List(values.iter().map(|value| (*value).into()).collect());
    let query = Value::Map(Map::from([
        ("user_id", list(&["2", "3"])),
        ("token", list(&["a b!"])),
    ]));
    let expected = [
        ("scheme", "https".into()),
        ("user", "dev".into()),
        ("host", "google.com".into()),
        ("port", "8443".into()),
        ("path", "/app%20a".into()),
        ("query", query),
    ];
    assert_eq!(parsed_whole, Map::from(expected));
    assert_eq!(
        parsed(parser, "/app?env=prod").map(|map| map.len()),
        Some(2)
    );
    assert_eq!(parsed(parser, "?a=b").map(|map| map.len()), Some(1));
    assert_eq!(
        parsed(parser, "http://[::1]:80/"),
        texts([
            ("scheme", "http"),
            ("host", "::1"),
            ("port", "80"),
            ("path", "/")
        ])
    );
    for faulty in [
        "no address",
        "1x://h",
        "http://h:p/",
        "?a=%4",
        "http://[::1/",
    ] {
        assert_eq!(parsed(parser, faulty), None, "{faulty}");
    }
}
