use super::*;
use crate::operators::value::Map;

fn entry() -> Entry {
    Entry {
        severity: 9,
        severity_text: "INFO".into(),
        body: Value::Map(Map::from([
            ("message", "GET /cart failed".into()),
            ("status", Value::Int(503)),
            ("ratio", Value::Double(0.5)),
            ("tags", Value::List(vec!["a".into(), "b".into()])),
        ])),
        attributes: Map::from([
            ("log.file.name", "app.log".into()),
            ("user", Value::Map(Map::from([("id", "u1".into())]))),
        ]),
        ..Entry::default()
    }
}

fn value(text: &str) -> Value {
    let expression = Expression::parse(text).unwrap_or_else(|fault| panic!("`{text}`: {fault}"));
    let value = expression.value(&entry());
    value.unwrap_or_else(|why| panic!("`{text}`: {why}"))
}

#[test]
fn comparisons_texts_and_logic() {
    for holds in [
        r#"body.message startsWith "GET" and body.status >= 500"#,
        r#"body.message matches '^GET /\\w+ failed$'"#,
        r#"not (body.message contains "ok") && body["status"] == 503"#,
        r#"attributes["log.file.name"] endsWith ".log""#,
        r#"attributes.user.id == 'u1' or false"#,
        "body.status in [500, 503] and 'a' in body.tags",
        "'message' in body and 'x' not in body",
        "body.ratio < 1 and body.ratio == 0.5 and body.status == 503.0",
        "attributes.missing == nil and attributes?.missing?.deeper == nil",
        "(attributes.missing ?? 'x') == 'x'",
        "body.status > 500 ? true : false",
        "!(body.message not matches 'GET')",
        "severity_number == 9 and severity_text != ''",
        "body.tags[0] == 'a' and body.tags[-1] == 'b' and len(body.tags) == 2",
        "lower('ABC') + upper('d') == 'abcD' and trim(' x ') == 'x'",
        "replace('a-b', '-', '.') == 'a.b' and split('a,b', ',')[1] == 'b'",
        "int('7') + 1 == 8 and string(7) == '7' and type(body) == 'map'",
        "2 ** 3 ** 2 == 512 and 7 % 4 == 3 and 7 / 2 == 3.5 and -2 + 3 == 1",
        "1 + 2 * 3 == 7 and (1 + 2) * 3 == 9",
        r"`a\d` matches 'a.d' and '\u00fc' == 'ü'",
        "attributes.missing matches 'x' == false",
    ] {
        assert_eq!(value(holds), Value::Bool(true), "{holds}");
    }
}

#[test]
fn reads_the_environment() {
    let path = std::env::var("PATH").unwrap_or_default();
    assert_eq!(value(r#"env("PATH")"#), path.into());
    assert_eq!(value(r#"env("NO_SUCH_VARIABLE_HERE")"#), "".into());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, at, why) in [
        ("body ==", 8, "a value is expected, not the end"),
        ("body @ 1", 6, "`@` means nothing"),
        ("body matches '('", 14, "is no regular expression"),
        ("filter(body, 1)", 1, "the function `filter` is not built"),
        ("bodi == 1", 1, "did you mean `body`?"),
        ("'abc", 1, "has no end"),
        ("len(1, 2)", 1, "takes 1 arguments, not 2"),
        ("body | len()", 6, "the pipe `|` is not built"),
        ("body.x == 'a' b", 15, "nothing is expected here"),
        ("1..3", 4, "`..` is not built"),
    ] {
        let fault = Expression::parse(text).unwrap_err();
        assert!(fault.at == at && fault.why.contains(why), "{text}: {fault}");
    }
    let deep = "(".repeat(10_000);
    assert!(Expression::parse(&deep).is_err());
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    for (text, why) in [
        ("body.missing.deeper == 1", "nothing has no key `deeper`"),
        ("body.status < 'a'", "a number and a text have no order"),
        ("body matches 'a'", "a map cannot match a pattern"),
        ("body.status", "a number is neither true nor false"),
        ("body.tags[7] == 1", "there is no item 7 in a list of 2"),
        ("1 % 0 == 1", "division by zero"),
    ] {
        let expression = Expression::parse(text).unwrap();
        assert_eq!(expression.holds(&entry()), Err(why.to_owned()), "{text}");
    }
}

#[test]
fn templates_keep_the_text_around_expressions() {
    let render = |text: &str| Template::parse(text).unwrap().map(|t| t.render(&entry()));
    assert_eq!(render("plain (text)"), None);
    assert_eq!(
        render("a-EXPR(attributes.user.id)-EXPR(body.tags[0])."),
        Some(Ok("a-u1-a.".to_owned()))
    );
    assert_eq!(
        render("EXPR(len(body.tags))"),
        Some(Err("a number is no text".to_owned()))
    );
    let fault = Template::parse("ab EXPR(body ==)").unwrap_err();
    assert_eq!(fault.at, 16);
}

#[test]
fn no_part_of_an_expression_is_taken_amiss() {
    let whole = r#"not (body.message matches '^[a-z\\u00fc]+$') and attributes["log.file.name"]?.x ?? 'é' in ["a", `b`] ? -1.5e3 ** 2 : len(body.tags[0]) % 0x1f == "\t\u00fc""#;
    let ends: Vec<usize> = whole
        .char_indices()
        .map(|(at, _)| at)
        .chain([whole.len()])
        .collect();
    for (from, start) in ends.iter().enumerate() {
        for end in &ends[from..] {
            if let Ok(expression) = Expression::parse(&whole[*start..*end]) {
                let _ = expression.value(&entry());
            }
        }
    }
}
