use proptest::prelude::*;

use super::*;
use crate::{Paint, Value};

fn load(text: &str) -> (Option<Node>, String) {
    let mut sources = Sources::default();
    let id = sources.add("c.yaml", text);
    let mut found = Diagnostics::default();
    let node = parse(&sources, id, &mut found);
    (node, found.render(&sources, Paint::Plain))
}

fn json(text: &str) -> serde_json::Value {
    let (node, found) = load(text);
    assert_eq!(found, "");
    serde_json::Value::from(&node.unwrap())
}

#[test]
fn positions_cover_what_was_written() {
    let text = "a:\n  b: [x, 'y']  # note\n  ü: {k: v}\nc: plain text\n";
    let (node, _) = load(text);
    let node = node.unwrap();
    let at = |path: &str| &text[node.at(path).unwrap().span.range()];
    assert_eq!(at("a::b"), "[x, 'y']");
    assert_eq!(at("a::b::1"), "'y'");
    assert_eq!(at("a::ü"), "{k: v}");
    assert_eq!(at("a::ü::k"), "v");
    assert_eq!(at("c"), "plain text");
    let key = node.at("a").unwrap().as_map().unwrap()["ü"].key_span();
    assert_eq!(&text[key.range()], "ü");
}

#[test]
fn an_empty_text_is_null() {
    for text in ["", "\n", "# only a comment\n", "---\n", "\u{feff}"] {
        assert_eq!(json(text), serde_json::Value::Null, "{text:?}");
    }
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let text = "
base: &base {timeout: 5s, retry: {on: true}}
list: &list [1, 2]
a: {<<: *base, timeout: 7s}
b: {timeout: 1s, <<: [{x: 1}, *base, {x: 2, y: 3}]}
c: *list
'<<': kept
";
    let got = json(text);
    assert_eq!(
        got["a"],
        serde_json::json!({"timeout": "7s", "retry": {"on": true}})
    );
    assert_eq!(
        got["b"],
        serde_json::json!({"timeout": "1s", "x": 1, "retry": {"on": true}, "y": 3})
    );
    assert_eq!(got["c"], serde_json::json!([1, 2]));
    assert_eq!(got["<<"], "kept");
}

#[test]
fn only_plain_scalars_have_a_type() {
    let text = "a: 1\nb: '1'\nc: \"true\"\nd: !!str 0123\ne: |\n  5\nf: !!int 7\ng: ! 8\n";
    assert_eq!(
        json(text),
        serde_json::json!({"a": 1, "b": "1", "c": "true", "d": "0123", "e": "5\n", "f": 7, "g": 8})
    );
}

#[test]
fn keys_of_any_scalar_are_their_text() {
    assert_eq!(
        json("404: a\ntrue: b\n~: c\n"),
        serde_json::json!({"404": "a", "true": "b", "~": "c"})
    );
}

#[test]
fn a_duplicate_key_shows_both_places_and_the_first_stands() {
    let (node, found) = load("a:\n  x: 1\n  y: 2\n  x: 3\n");
    assert_eq!(node.unwrap().at("a::x").unwrap().value, Value::Int(1));
    insta::assert_snapshot!(found, @r"
    error[duplicate-key]: key `x` is here twice
     --> c.yaml:4:3
      |
    2 |   x: 1
      |   - first here
    3 |   y: 2
    4 |   x: 3
      |   ^ again here
      |
      = help: keep one of the two, or give one another name
    ");
}

#[test]
fn a_syntax_error_shows_its_place() {
    let (node, found) = load("receivers:\n\totlp:\n");
    assert!(node.is_none());
    insta::assert_snapshot!(found);
    insta::assert_snapshot!(load("a: [1, 2\nb: 3\n").1);
    insta::assert_snapshot!(load("a: b: c\n").1);
    insta::assert_snapshot!(load("a: *nowhere\n").1);
    insta::assert_snapshot!(load("a: 1\n  b: 2\n").1);
}

#[test]
fn an_alias_bomb_is_cut_short() {
    let mut text = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let below = format!("*l{}", i - 1);
        let list = vec![below; 10].join(", ");
        text.push_str(&format!("l{i}: &l{i} [{list}]\n"));
    }
    let (node, found) = load(&text);
    assert!(node.is_none());
    insta::assert_snapshot!(found);
}

#[test]
fn deep_nesting_is_cut_short() {
    for text in [
        "[".repeat(5000),
        "{a: ".repeat(5000),
        "- ".repeat(5000),
        "? ".repeat(5000),
        (0..3000)
            .map(|i| format!("{}a:\n", " ".repeat(i)))
            .collect(),
    ] {
        let (node, found) = load(&text);
        assert!(
            node.is_none() && found.starts_with("error["),
            "{}",
            &text[..20]
        );
    }
}

#[test]
fn an_alias_inside_its_own_value_is_refused() {
    let (node, found) = load("a: &a [1, *a]\n");
    assert!(node.is_none());
    assert!(found.contains("inside the value that it names"), "{found}");
}

#[test]
fn a_key_that_is_no_scalar_is_refused() {
    assert!(
        load("{a: b}: c\n")
            .1
            .contains("a key is a list or a mapping")
    );
}

#[test]
fn only_the_first_document_is_read() {
    assert_eq!(json("a: 1\n---\nb: [\n"), serde_json::json!({"a": 1}));
}

#[test]
fn values_without_a_source_have_no_place() {
    let node = parse_str("{a: [1]}").unwrap();
    assert_eq!(node.at("a::0").unwrap().span, Span::NONE);
    assert_eq!(
        parse_str("[").unwrap_err().iter().next().unwrap().span,
        Span::NONE
    );
}

proptest! {
    #[test]
    fn any_text_parses_or_fails_without_panic(text in r"([a-c:\-\[\]{},&*<|>'#%!?\n \t]|\PC|<<: |: |- |\r\n){0,60}") {
        let (node, found) = load(&text);
        prop_assert!(node.is_some() || found.contains("error["));
    }

    #[test]
    fn any_bytes_parse_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        load(&String::from_utf8_lossy(&bytes));
    }
}
