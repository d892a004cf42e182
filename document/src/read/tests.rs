use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::{ByteSize, Duration, Paint, Secret, Sources, Spanned, Value, layered, yaml};

#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Tls {
    insecure: bool,
    ca_file: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Compression {
    /// As small as fits the time.
    Gzip,
    /// Smaller.
    Zstd,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Client {
    endpoint: String,
    #[serde(default)]
    timeout: Option<Duration>,
    #[serde(default)]
    tls: Option<Tls>,
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    #[serde(default)]
    compression: Option<Compression>,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    ratio: f64,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    limit: Option<ByteSize>,
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["streams"]))]
    max_streams: u32,
    #[serde(default)]
    #[schemars(extend("x-no-effect" = "the runtime here has no garbage collector"))]
    gogc: Option<u32>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Own {
    #[serde(default)]
    verbose: bool,
}

layered! {
    /// A client that can be verbose.
    #[derive(Debug, PartialEq)]
    struct Config {
        own: Own,
        client: Client,
    }
}

fn examined<T: DeserializeOwned + JsonSchema>(text: &str) -> (Option<T>, String) {
    let mut sources = Sources::default();
    let id = sources.add("c.yaml", text);
    let mut found = Diagnostics::default();
    let node = yaml::parse(&sources, id, &mut found).unwrap();
    let value = examine(&node, &mut found);
    (value, found.render(&sources, Paint::Plain))
}

fn good<T: DeserializeOwned + JsonSchema>(text: &str) -> T {
    read(&yaml::parse_str(text).unwrap()).unwrap()
}

#[test]
fn every_fault_is_found_at_once_with_its_place() {
    let (value, found) = examined::<Config>(
        "timeout: 5
endpont: gateway:4317
tls: {insecure: 1, ca: x}
headers: [a]
compression: gzpi
port: 70000
ratio: high
verbose: \"yes\"
limit: 10Mb5
gogc: 100
keys: {a: b}
",
    );
    assert_eq!(value, None);
    insta::assert_snapshot!(found);
}

#[test]
fn layers_take_the_keys_that_are_theirs() {
    let config: Config = good("{verbose: true, endpoint: 'x:1', streams: 7, keys: [a, b]}");
    assert!(config.own.verbose);
    assert_eq!(config.client.endpoint, "x:1");
    assert_eq!(config.client.max_streams, 7);
}

#[test]
fn a_layered_struct_can_be_a_field() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        protocols: BTreeMap<String, Config>,
    }
    let outer: Outer = good("protocols: {grpc: {endpoint: 'x:1', verbose: true}}");
    assert!(outer.protocols["grpc"].own.verbose);
    let (_, found) = examined::<Outer>("protocols:\n  grpc: {endpoint: x, verbos: true}\n");
    assert!(
        found.contains("protocols::grpc: unknown key `verbos`"),
        "{found}"
    );
    assert!(found.contains("did you mean `verbose`"), "{found}");
}

#[test]
fn an_unknown_key_alone_still_gives_a_value() {
    let (value, found) = examined::<Config>("endpoint: x\ncolour: red\n");
    assert_eq!(value.unwrap().client.endpoint, "x");
    assert!(
        found.contains("error[unknown-key]: unknown key `colour`"),
        "{found}"
    );
}

#[test]
fn a_null_section_is_on_with_its_defaults_and_other_nulls_are_defaults() {
    let client: Client =
        good("{endpoint: x, tls: , timeout: , headers: , keys: ~, port: , compression: }");
    assert_eq!(client.tls, Some(Tls::default()));
    assert_eq!(
        (client.timeout, client.port, client.compression),
        (None, 0, None)
    );
    assert_eq!(good::<Client>("endpoint: x").tls, None);
    assert_eq!(good::<Tls>(""), Tls::default());
}

#[test]
fn a_required_key_without_value_says_so() {
    let (_, found) = examined::<Client>("port: 1\nendpoint:\n");
    insta::assert_snapshot!(found, @r"
    error[missing]: `endpoint` has no value
     --> c.yaml:2:1
      |
    2 | endpoint:
      | ^^^^^^^^
      |
      = help: add `endpoint: …`
    ");
}

#[test]
fn text_of_an_expansion_fills_strings_and_values_fill_the_rest() {
    let mut node = yaml::parse_str("{endpoint: 0123, port: 0123, headers: {a: 0123}}").unwrap();
    let Value::Map(map) = &mut node.value else {
        panic!("a mapping")
    };
    for key in ["endpoint", "port"] {
        map[key].node.text = Some("0123".into());
    }
    assert!(
        read::<Client>(&node)
            .unwrap_err()
            .to_string()
            .contains("expected a string")
    );
    let Value::Map(headers) = &mut node.as_map().unwrap()["headers"].node.value.clone() else {
        panic!("a mapping")
    };
    headers["a"].node.text = Some("0123".into());
    let Value::Map(map) = &mut node.value else {
        panic!("a mapping")
    };
    map["headers"].node.value = Value::Map(headers.clone());
    let client: Client = read(&node).unwrap();
    assert_eq!((client.endpoint.as_str(), client.port), ("0123", 83));
    assert_eq!(client.headers["a"].reveal(), "0123");
}

#[test]
fn numbers_keep_their_kind() {
    assert_eq!(good::<Client>("{endpoint: x, ratio: 1, port: 5.0}").port, 5);
    assert!(
        examined::<Client>("{endpoint: x, port: 5.5}")
            .1
            .contains("expected an integer")
    );
    assert!(
        examined::<Client>("{endpoint: x, port: -1}")
            .1
            .contains("write 0 to 65535")
    );
    assert!(
        examined::<Client>("{endpoint: 5}")
            .1
            .contains("put the value in quotes")
    );
}

#[test]
fn commas_split_a_string_where_a_list_of_strings_is_wanted() {
    assert_eq!(
        good::<Client>("{endpoint: x, keys: 'a,b'}").keys,
        ["a", "b"]
    );
    assert!(good::<Client>("{endpoint: x, keys: ''}").keys.is_empty());
}

#[test]
fn two_spellings_of_one_key_are_a_fault() {
    let (_, found) = examined::<Client>("endpoint: x\nstreams: 1\nmax_streams: 2\n");
    assert!(found.contains("two spellings of one setting"), "{found}");
}

#[test]
fn the_line_of_a_secret_is_not_shown() {
    let (_, found) = examined::<Client>("endpoint: x\nheaders: {api: [hunter2]}\n");
    assert!(
        found.contains("headers::api: expected a string, found a list"),
        "{found}"
    );
    assert!(
        found.contains("c.yaml:2:16") && !found.contains("hunter2"),
        "{found}"
    );
}

#[test]
fn a_spanned_value_knows_its_place() {
    #[derive(Deserialize, JsonSchema)]
    struct Rules {
        statements: Vec<Spanned<String>>,
        rest: Node,
    }
    let text = "statements: [one, 'two']\nrest: {deep: [1, x]}\n";
    let mut sources = Sources::default();
    let id = sources.add("c.yaml", text);
    let node = yaml::parse(&sources, id, &mut Diagnostics::default()).unwrap();
    let rules: Rules = read(&node).unwrap();
    assert_eq!(&text[rules.statements[1].span.range()], "'two'");
    assert_eq!(rules.statements[1].value, "two");
    assert_eq!(&text[rules.rest.at("deep::1").unwrap().span.range()], "x");
    let key = rules.rest.as_map().unwrap()["deep"].key_span();
    assert_eq!(&text[key.range()], "deep");
    let plain: Spanned<u8> = serde_json::from_str("5").unwrap();
    assert_eq!(*plain, 5);
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reader {
    Pull(Tls),
    Periodic(Own),
}

#[test]
fn a_variant_written_as_a_key_reports_what_is_inside_it() {
    #[derive(Debug, Deserialize, JsonSchema)]
    struct Readers {
        readers: Vec<Reader>,
    }
    let readers: Readers = good("readers: [{pull: {insecure: true}}, {periodic: {}}]");
    assert_eq!(readers.readers[1], Reader::Periodic(Own { verbose: false }));
    let (_, found) = examined::<Readers>("readers: [{pull: {insecur: true}}, {pul: {}}]");
    assert!(
        found.contains("readers::0::pull: unknown key `insecur`"),
        "{found}"
    );
    assert!(found.contains("readers::1: unknown key `pul`"), "{found}");
    assert!(found.contains("did you mean `pull`"), "{found}");
}

#[test]
fn a_tagged_variant_reports_only_its_own_faults() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
    enum Operator {
        Move { from: String, to: String },
        JsonParser { parse_to: Option<String> },
    }
    let (_, found) =
        examined::<Vec<Operator>>("[{type: move, from: a, too: b}, {type: json_parser}]");
    assert!(found.contains("0: unknown key `too`"), "{found}");
    assert!(found.contains("0: `to` is missing"), "{found}");
    assert!(!found.contains("parse_to"), "{found}");
    let (_, found) = examined::<Vec<Operator>>("[{type: mov, from: a}]");
    assert!(found.contains("type"), "{found}");
    let Operator::Move { from, to } = good("{type: move, from: a, to: b}") else {
        panic!("a move")
    };
    assert_eq!((from.as_str(), to.as_str()), ("a", "b"));
    assert!(matches!(
        good("{type: json_parser}"),
        Operator::JsonParser { parse_to: None }
    ));
}

#[test]
fn what_serde_finds_has_its_place_and_remedy() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(try_from = "String")]
    #[schemars(with = "String")]
    struct Even;
    impl TryFrom<String> for Even {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            match text.len() % 2 {
                0 => Ok(Self),
                _ => Err("the text has an odd length; add a character".to_owned()),
            }
        }
    }
    let (_, found) = examined::<BTreeMap<String, Vec<Even>>>("a:\n- ab\n- abc\n");
    insta::assert_snapshot!(found, @r"
    error[invalid-value]: a::1: the text has an odd length
     --> c.yaml:3:3
      |
    3 | - abc
      |   ^^^
      |
      = help: add a character
    ");
}

#[test]
fn a_fault_inside_a_layer_keeps_its_place() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Auth {
        #[serde(default)]
        ids: Vec<crate::ComponentId>,
    }
    layered! {
        #[derive(Debug)]
        struct Outer {
            own: Own,
            auth: Auth,
        }
    }
    #[derive(Debug, Deserialize, JsonSchema)]
    struct Document {
        exporters: BTreeMap<String, Outer>,
    }
    let document: Document = good("exporters: {a: {ids: [x], verbose: true}}");
    let outer = &document.exporters["a"];
    assert!(outer.own.verbose && outer.auth.ids[0].kind() == "x");
    let (_, found) =
        examined::<Document>("exporters:\n  a:\n    verbose: true\n    ids: [x, 5x]\n");
    insta::assert_snapshot!(found, @r"
    error[invalid-value]: exporters::a::ids::1: `5x` is not a component's name: a type is a letter, then letters, digits and `_`
     --> c.yaml:4:14
      |
    4 |     ids: [x, 5x]
      |              ^^
    ");
}

#[test]
fn an_engines_part_is_taken_off_and_the_rest_read_after() {
    let node = yaml::parse_str("{verbose: true, endpoint: x, verbse: 1}").unwrap();
    let mut found = Diagnostics::default();
    let (own, rest) = part::<Own>(&node, &mut found);
    assert!(own.unwrap().verbose && found.is_empty());
    let client: Option<Client> = examine_beside(&rest, &[of::<Own>()], &mut found);
    assert_eq!(client.unwrap().endpoint, "x");
    assert_eq!(
        found.to_string(),
        "unknown key `verbse`; did you mean `verbose`?"
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Shape {
    Circle { radius: u32 },
    Square { side: u32 },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Shapes {
    shapes: Vec<Shape>,
}

#[test]
fn a_tag_that_names_no_variant_is_told_with_those_that_there_are() {
    let read = |text: &str| read::<Shapes>(&crate::yaml::parse_str(text).unwrap());
    let shapes = read("shapes: [{type: circle, radius: 1}, {type: square, side: 2}]").unwrap();
    assert!(matches!(
        shapes.shapes[..],
        [Shape::Circle { radius: 1 }, Shape::Square { side: 2 }]
    ));
    for (given, help) in [
        ("sqare", "did you mean `square`?"),
        ("line", "known here: circle, square"),
    ] {
        let found = read(&format!("shapes: [{{type: {given}, side: 2}}]")).unwrap_err();
        let found: Vec<_> = found.iter().collect();
        let [only] = found[..] else {
            panic!("{found:#?}");
        };
        assert_eq!(only.path, "shapes::0::type");
        assert_eq!(only.message, format!("there is no type `{given}`"));
        assert!(only.help.iter().any(|text| text == help), "{only:#?}");
    }
}
