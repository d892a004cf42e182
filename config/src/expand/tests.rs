use proptest::prelude::*;
use serde_json::json;

use crate::testing::World;

/// Gives what a string field and any other field read of `${ENV}`.
fn both(value: &str) -> (Option<String>, serde_json::Value) {
    let loaded = World::default()
        .set("ENV", value)
        .text("field: ${env:ENV}\n");
    let node = loaded.at("field");
    (node.as_str().map(str::to_owned), node.into())
}

fn inline(value: &str) -> String {
    let world = World::default().set("ENV", value);
    let loaded = world.text("field: inline field with ${env:ENV} expansion\n");
    loaded.at("field").as_str().unwrap().to_owned()
}

#[test]
fn a_whole_value_is_yaml_and_keeps_its_text() {
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(both("123"), (text("123"), json!(123)));
    assert_eq!(both("0123"), (text("0123"), json!(83)));
    assert_eq!(
        both("0xdeadbeef"),
        (text("0xdeadbeef"), json!(3_735_928_559_u64))
    );
    assert_eq!(both("true"), (text("true"), json!(true)));
    assert_eq!(both(""), (text(""), json!(null)));
    assert_eq!(both("[a, b/c]"), (text("[a, b/c]"), json!(["a", "b/c"])));
    assert_eq!(both("{a: 1}"), (text("{a: 1}"), json!({"a": 1})));
}

#[test]
fn a_string_is_taken_as_it_stands() {
    for text in [
        "\"0123\"",
        "!!str 0123",
        "t",
        "[\"a\",",
        "2023-03-20T03:17:55Z",
    ] {
        assert_eq!(both(text), (Some(text.to_owned()), json!(text)), "{text}");
    }
}

#[test]
fn within_a_text_stands_the_text() {
    assert_eq!(inline("0123"), "inline field with 0123 expansion");
    assert_eq!(inline("\"0123\""), "inline field with \"0123\" expansion");
    assert_eq!(
        inline("{\"field\": 123}"),
        "inline field with {\"field\": 123} expansion"
    );
    assert_eq!(inline("[\"a\","), "inline field with [\"a\", expansion");
    assert_eq!(inline(""), "inline field with  expansion");
}

#[test]
fn a_reference_in_a_comment_of_a_value_is_a_fault_only_where_the_text_is_wanted() {
    let value = "true # comment with a ${env:hello.world} reference";
    assert_eq!(both(value), (None, json!(true)));
    let loaded = World::default().set("ENV", value).text("field: x ${ENV}\n");
    assert!(loaded.diagnostics.has_errors());
}

#[test]
fn references_in_values_are_expanded_again() {
    let world = World::default()
        .set("ENV", "The value ${env:ENV2} is wrapped")
        .set("ENV2", "The value ${ENV3} is wrapped")
        .set("ENV3", "123")
        .set("MAP", "{env: \"${MAP2}\", inline: \"inline ${MAP2}\"}")
        .set("MAP2", "{env2: \"${MAP3}\"}")
        .set("MAP3", "{value: 123}")
        .set("INDIRECT", "${ENV3}");
    let loaded = world.text("a: ${env:ENV}\nb: ${MAP}\nc: ${INDIRECT}\n");
    assert_eq!(
        loaded.json("a"),
        "The value The value 123 is wrapped is wrapped"
    );
    assert_eq!(
        loaded.json("b"),
        json!({"env": {"env2": {"value": 123}}, "inline": "inline {env2: \"{value: 123}\"}"})
    );
    assert_eq!(loaded.json("c"), 123);
    assert_eq!(loaded.at("c").as_str(), Some("123"));
}

#[test]
fn two_dollars_are_one_and_hold_a_reference_back() {
    let world = World::default()
        .set("ENV_VALUE", "some expanded value")
        .set(
            "ENV_LIST",
            "['$$ESCAPE_ME','$${ESCAPE_ME}','$${env:ESCAPE_ME}']",
        )
        .set("ENV_NESTED", "here is 1 $$")
        .set("ENV_NESTED_TWICE", "here are 2 $$$");
    let loaded = world.text(
        "
'1': $$ENV_VALUE
'2': $$$$ENV_VALUE
'3': $$${ENV_VALUE}
'4': some${ENV_VALUE}text
'5': some$${ENV_VALUE}text
'6': $${ONE}$${TWO}
'7': text$$
'9': $${1}$${env:2}
'11': $${env:${ENV_VALUE}}
'12': $${env:$${ENV_VALUE}}
'13': 'env:MAP_VALUE_2}$${ENV_VALUE}{'
'15': $ENV_VALUE
'16': ${env:ENV_LIST}
'18': ${env:ENV_NESTED}
'19': ${env:ENV_NESTED_TWICE}
'22': ${env:UNDEFINED_KEY:-$${env:UNDEFINED_KEY}}
",
    );
    let expected = json!({
        "1": "$ENV_VALUE", "2": "$$ENV_VALUE", "3": "$some expanded value",
        "4": "somesome expanded valuetext", "5": "some${ENV_VALUE}text", "6": "${ONE}${TWO}",
        "7": "text$", "9": "${1}${env:2}", "11": "${env:some expanded value}",
        "12": "${env:${ENV_VALUE}}", "13": "env:MAP_VALUE_2}${ENV_VALUE}{", "15": "$ENV_VALUE",
        "16": ["$ESCAPE_ME", "${ESCAPE_ME}", "${env:ESCAPE_ME}"],
        "18": "here is 1 $", "19": "here are 2 $$",
        "22": "${env:UNDEFINED_KEY:-${env:UNDEFINED_KEY}}",
    });
    assert_eq!(loaded.json(""), expected);
}

#[test]
fn a_default_stands_in_only_where_nothing_is_set() {
    let world = World::default()
        .set("EMPTY", "")
        .set("HOST", "h")
        .set("PORT", "1");
    let loaded = world.text(
        "
unset: ${X:-5}
explicit: ${env:X:-a b}
empty_default: ${X:-}
empty: ${EMPTY:-5}
inner: ${X:-${HOST}:${PORT}}
",
    );
    assert_eq!(
        loaded.json(""),
        json!({"unset": 5, "explicit": "a b", "empty_default": "", "empty": null, "inner": "h:1"})
    );
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.rendered());
}

#[test]
fn what_is_not_set_is_null_and_a_warning() {
    let loaded = World::default().text("a:\n  b: x ${HOME_OF_X} y\n  c: ${env:UNSET}\n");
    assert_eq!(loaded.json("a"), json!({"b": "x  y", "c": null}));
    insta::assert_snapshot!(loaded.rendered());
}

#[test]
fn a_file_brings_a_subtree_or_a_text() {
    let world = World::default()
        .file("pipes.yaml", "traces:\n  receivers: [\"${R}\"]\n")
        .file("token", "hunter2\n")
        .file("list", "- 1\n- 2\n")
        .set("R", "otlp")
        .file("https://host/x.yaml", "{a: 1}");
    let loaded = world.text(
        "
pipelines: ${file:pipes.yaml}
header: Bearer ${file:token}
token: ${file:token}
list: ${file:list}
page: ${https://host/x.yaml}
yaml: '${yaml:{x: 1}}'
",
    );
    assert_eq!(
        loaded.json("pipelines"),
        json!({"traces": {"receivers": ["otlp"]}})
    );
    assert_eq!(loaded.json("header"), "Bearer hunter2");
    assert_eq!(loaded.json("token"), "hunter2");
    assert_eq!(loaded.json("list"), json!([1, 2]));
    assert_eq!(loaded.json("page"), json!({"a": 1}));
    let span = loaded.at("pipelines::traces::receivers").span;
    assert_eq!(
        loaded.sources.locate(span).unwrap().to_string(),
        "pipes.yaml:2:14"
    );
}

#[test]
fn a_file_that_is_no_yaml_is_a_text_and_a_warning() {
    let world = World::default().file("pipes.yaml", "traces:\n  receivers: [${R}]\n");
    let loaded = world
        .set("R", "otlp")
        .text("pipelines: ${file:pipes.yaml}\n");
    assert_eq!(loaded.json("pipelines"), "traces:\n  receivers: [otlp]");
    insta::assert_snapshot!(loaded.rendered());
}

#[test]
fn faults_of_references_show_their_place() {
    let loaded = World::default().text(
        "
name: ${env:a.b}
number: $${1} and ${1}
scheme: x ${vault:secret/x} y
file: ${file:nowhere.yaml}
page: ${http://host/x}
dollar: ${env:a$b}
",
    );
    insta::assert_snapshot!(loaded.rendered());
}

#[test]
fn a_circle_is_found_and_shown() {
    let world = World::default()
        .set("A", "x ${B}")
        .set("B", "${A}")
        .file("loop.yaml", "a: ${file:loop.yaml}\n");
    let loaded = world.text("a: ${A}\nb: ${file:loop.yaml}\n");
    insta::assert_snapshot!(loaded.rendered());
}

#[test]
fn references_that_multiply_each_other_are_cut_short() {
    let mut world = World::default().set("V0", "xxxxxxxxxx");
    let mut maps = World::default().set("V0", "{a: 1}");
    for i in 1..40 {
        let below = i - 1;
        world = world.set(&format!("V{i}"), &format!("${{V{below}}}${{V{below}}}"));
        maps = maps.set(
            &format!("V{i}"),
            &format!("{{a: \"${{V{below}}}\", b: \"${{V{below}}}\"}}"),
        );
    }
    for world in [world, maps] {
        let loaded = world.text("a: ${V39}\n");
        assert!(
            loaded.rendered().contains("error[limit]"),
            "{:.300}",
            loaded.rendered()
        );
    }
}

#[test]
fn values_of_the_environment_are_not_shown() {
    let loaded = World::default()
        .set("ENV", "{token: \"hunter2 ${a.b}\"}")
        .text("a: ${ENV}\n");
    assert!(loaded.diagnostics.has_errors());
    assert!(
        !loaded.rendered().contains("hunter2"),
        "{}",
        loaded.rendered()
    );
}

proptest! {
    #[test]
    fn any_text_expands_or_fails_without_panic(
        text in r"(\$|\{|\}|\$\{|A|B|:-|env:|yaml:|[\[\]'a:, ]){0,20}",
        a in r"(\$|\{|\}|\$\{|A|B|:-|env:|yaml:|[\[\]'a:, ]){0,12}",
        b in r"(\$|\{|\}|\$\{|A|B|:-|env:|yaml:|[\[\]'a:, ]){0,12}",
    ) {
        let quoted = text.replace('\'', "''");
        let world = World::default().set("A", &a).set("B", &b);
        world.text(&format!("x: '{quoted}'\ny: [{text}]\n")).rendered();
    }
}
