//! Several documents made one: mappings merge deeply, everything else replaces.

use tidegate_document::yaml::MAX_DEPTH;
use tidegate_document::{Entry, Map, Node, Value};

/// Lays `over` on `under`: mappings merge key by key, lists and scalars replace, and a null section wipes the
/// earlier one. Keys keep the order of their first document.
pub(crate) fn merge(under: Node, over: Node) -> Node {
    let (Value::Map(mut map), Value::Map(_)) = (under.value, &over.value) else {
        return over;
    };
    let (span, text) = (over.span, over.text);
    if let Value::Map(over) = over.value {
        for (key, entry) in over {
            match map.get_mut(&key) {
                None => {
                    map.insert(key, entry);
                }
                Some(slot) => {
                    let earlier = std::mem::replace(&mut slot.node, Node::null(span));
                    slot.key = entry.key;
                    slot.node = merge(earlier, entry.node);
                }
            }
        }
    }
    Node {
        value: Value::Map(map),
        span,
        text,
    }
}

/// Turns keys such as `processors::batch::timeout` into nested mappings, as the Collector does everywhere.
///
/// A key that would nest deeper than YAML may is left as it is.
pub(crate) fn unfold(node: Node) -> Node {
    unfold_at(node, 0)
}

fn unfold_at(node: Node, depth: usize) -> Node {
    let Value::Map(map) = node.value else {
        return node;
    };
    let mut whole = Node::empty_map(node.span);
    for (key, entry) in map {
        let span = entry.key_span();
        let mut steps: Vec<&str> = key.split("::").filter(|step| !step.is_empty()).collect();
        if steps.is_empty() || depth + steps.len() > MAX_DEPTH {
            steps = vec![&key];
        }
        let value = unfold_at(entry.node, depth + steps.len());
        let nested = steps.into_iter().rev().fold(value, |value, step| {
            let map = Map::from([(step.to_owned(), Entry::new(span, value))]);
            Node::new(Value::Map(map), node.span)
        });
        whole = merge(whole, nested);
    }
    whole.text = node.text;
    whole
}

#[cfg(test)]
mod tests {
    use tidegate_document::yaml::parse_str;

    use super::*;

    fn merged(texts: &[&str]) -> serde_json::Value {
        let nodes = texts.iter().map(|text| unfold(parse_str(text).unwrap()));
        serde_json::Value::from(&nodes.reduce(merge).unwrap())
    }

    #[test]
    fn mappings_merge_and_lists_replace() {
        assert_eq!(
            merged(&[
                "{a: {x: 1, y: [1, 2]}, b: 1}",
                "{a: {y: [3], z: 2}}",
                "{b: {c: 1}}"
            ]),
            serde_json::json!({"a": {"x": 1, "y": [3], "z": 2}, "b": {"c": 1}})
        );
    }

    #[test]
    fn a_null_section_wipes_the_earlier_one() {
        assert_eq!(
            merged(&["{processors: {batch: {timeout: 1s}}}", "processors:"]),
            serde_json::json!({"processors": null})
        );
    }

    #[test]
    fn keys_with_double_colons_nest() {
        assert_eq!(
            merged(&[
                "{processors::batch: {timeout: 1s}, processors: {x: 1}, 'a::b::c': 2, '::': 3}"
            ]),
            serde_json::json!({
                "processors": {"batch": {"timeout": "1s"}, "x": 1},
                "a": {"b": {"c": 2}},
                "::": 3,
            })
        );
    }

    #[test]
    fn a_key_never_nests_deeper_than_yaml_may() {
        let node = unfold(parse_str(&format!("{}: 1", "a::".repeat(150))).unwrap());
        assert!(node.get("a").is_none());
    }

    #[test]
    fn keys_keep_the_order_of_the_first_document() {
        let nodes = ["{c: 1, a: 1}", "{b: 1, a: 2}"].map(|text| parse_str(text).unwrap());
        let node = nodes.into_iter().reduce(merge).unwrap();
        let keys: Vec<&String> = node.as_map().unwrap().keys().collect();
        assert_eq!(keys, ["c", "a", "b"]);
    }
}
