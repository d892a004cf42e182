//! Lists of statements or conditions, alone or in groups with settings of their own.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

/// A list of texts, or of groups with settings of their own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum TextOrGroup<G> {
    /// One text.
    Text(String),
    /// A group of them.
    Group(G),
}

/// What a list holds: texts alone, which are one group, or groups.
pub(crate) fn groups<G: Clone>(
    list: &[TextOrGroup<G>],
    path: &str,
    group: impl FnOnce(Vec<String>) -> G,
) -> Result<Vec<G>, BuildError> {
    let texts: Vec<String> = list
        .iter()
        .filter_map(|entry| match entry {
            TextOrGroup::Text(text) => Some(text.clone()),
            TextOrGroup::Group(_) => None,
        })
        .collect();
    if texts.is_empty() {
        let groups = list.iter().filter_map(|entry| match entry {
            TextOrGroup::Group(group) => Some(group.clone()),
            TextOrGroup::Text(_) => None,
        });
        return Ok(groups.collect());
    }
    if texts.len() < list.len() {
        let message = "texts and groups stand side by side";
        return Err(BuildError::at(path, message)
            .remedy("put the texts into a group of their own, or leave the groups out"));
    }
    Ok(vec![group(texts)])
}
