//! Reading a component's YAML as the engine does.

use schemars::Schema;
use tidegate_document::{Diagnostics, Kind, Node, examine_beside, part, schema, yaml};

use crate::ComponentConfig;
use crate::delivery::Delivery;

/// Reads a configuration from YAML.
///
/// # Panics
/// When anything is found, be it a warning; but for keys that are accepted and have no effect.
#[must_use]
pub fn read<C: ComponentConfig>(text: &str) -> C {
    let (config, found) = examine::<C>(text);
    let found: Vec<_> = found
        .iter()
        .filter(|one| one.kind != Kind::NoEffect)
        .collect();
    assert!(found.is_empty(), "in `{text}`: {found:#?}");
    config.expect("without a finding there is a configuration")
}

/// Reads a configuration from YAML and gives what is found, a line each.
///
/// # Panics
/// When the text is no YAML.
#[must_use]
pub fn findings<C: ComponentConfig>(text: &str) -> (Option<C>, Vec<String>) {
    let (config, found) = examine::<C>(text);
    (config, found.iter().map(ToString::to_string).collect())
}

fn examine<C: ComponentConfig>(text: &str) -> (Option<C>, Diagnostics) {
    let node = match yaml::parse_str(text) {
        Ok(node) => node,
        Err(found) => panic!("`{text}` is not YAML: {found}"),
    };
    let mut found = Diagnostics::default();
    let (node, beside) = without_delivery::<C>(node, &mut found);
    let config = examine_beside::<C>(&node, &beside, &mut found);
    (config, found)
}

/// The keys that a configuration takes at its top.
pub(super) fn keys<C: ComponentConfig>() -> Vec<String> {
    schema::keys(&schema::of::<C>())
}

/// Takes off what the engine reads where it wraps the component with a queue.
fn without_delivery<C: ComponentConfig>(
    node: Node,
    found: &mut Diagnostics,
) -> (Node, Vec<Schema>) {
    if C::DELIVERY.is_none() {
        return (node, Vec::new());
    }
    let (_, rest) = part::<Delivery>(&node, found);
    (rest, vec![schema::of::<Delivery>()])
}
