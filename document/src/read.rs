//! Typed settings off a tree.

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;

use crate::de::NodeDeserializer;
use crate::layers::split;
use crate::schema::{keys, of};
use crate::walk::walk;
use crate::{Diagnostic, Diagnostics, Kind, Node};

/// Reads a type off a node, giving everything that is wrong with it at once; warnings are let go.
///
/// A null reads as an empty mapping where the type is one.
///
/// # Errors
/// Gives the findings if one is an error.
pub fn read<T: DeserializeOwned + JsonSchema>(node: &Node) -> Result<T, Diagnostics> {
    let mut found = Diagnostics::default();
    match examine(node, &mut found) {
        Some(value) if !found.has_errors() => Ok(value),
        _ => Err(found),
    }
}

/// Reads a type off a node, adding what is wrong and what is worth a warning to `found`.
///
/// There is a value if nothing is wrong but unknown keys, so that the caller may let these pass
/// ([`Diagnostics::demote`]). Paths are relative to the node ([`Diagnostics::under`]).
pub fn examine<T: DeserializeOwned + JsonSchema>(
    node: &Node,
    found: &mut Diagnostics,
) -> Option<T> {
    examine_beside(node, &[], found)
}

/// Does as [`examine`] for a mapping of which the keys in `beside` were already taken off; they are suggested for
/// unknown keys.
pub fn examine_beside<T: DeserializeOwned + JsonSchema>(
    node: &Node,
    beside: &[Schema],
    found: &mut Diagnostics,
) -> Option<T> {
    let schema = of::<T>();
    let known: Vec<String> = beside.iter().flat_map(keys).collect();
    let mut own = Diagnostics::default();
    let clean = walk(schema.as_value(), schema.as_value(), node, &known, &mut own);
    let fatal = own
        .iter()
        .any(|d| d.is_error() && d.kind != Kind::UnknownKey);
    let value = match fatal {
        true => None,
        false => T::deserialize(NodeDeserializer::new(&clean))
            .map_err(|fault| own.push(fault.into_diagnostic()))
            .ok(),
    };
    found.extend(own);
    value
}

/// Reads the keys that `T` declares off a mapping and gives the rest of it, for whoever reads that.
pub fn part<T: DeserializeOwned + JsonSchema>(
    node: &Node,
    found: &mut Diagnostics,
) -> (Option<T>, Node) {
    let (own, rest) = split(node, &of::<T>());
    (examine(&own, found), rest)
}

/// Reads a type off a node by serde alone: for parts of a tree that was checked already.
///
/// # Errors
/// Gives the first fault.
pub fn read_plain<T: DeserializeOwned>(node: &Node) -> Result<T, Box<Diagnostic>> {
    T::deserialize(NodeDeserializer::new(node)).map_err(|fault| Box::new(fault.into_diagnostic()))
}

#[cfg(test)]
mod tests;
