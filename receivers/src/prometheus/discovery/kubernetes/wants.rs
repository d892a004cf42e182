//! Which labels of a cluster's objects anything reads.
//!
//! An object has far more labels and annotations than rules look at, and all labels of discovery go once a target has
//! been relabelled. So of each object only what a rule reads, or may copy, is kept.

use std::collections::HashSet;

use regex::bytes::Regex;

use crate::prometheus::relabel::{Do, Rule};

/// What the resources of series are told of, whatever the rules read.
const ALWAYS: [&str; 9] = [
    "__meta_kubernetes_endpoint_node_name",
    "__meta_kubernetes_namespace",
    "__meta_kubernetes_node_name",
    "__meta_kubernetes_pod_container_name",
    "__meta_kubernetes_pod_controller_kind",
    "__meta_kubernetes_pod_controller_name",
    "__meta_kubernetes_pod_name",
    "__meta_kubernetes_pod_node_name",
    "__meta_kubernetes_pod_uid",
];

/// The labels that are read.
#[derive(Debug, Default)]
pub(super) struct Wants {
    names: HashSet<String>,
    /// Those that may be copied under other names.
    copied: Vec<Regex>,
    all: bool,
}

impl Wants {
    /// What these rules read.
    pub(super) fn new<'r>(rules: impl Iterator<Item = &'r Rule>) -> Self {
        let mut wants = Self::default();
        wants.names.extend(ALWAYS.map(ToOwned::to_owned));
        for rule in rules {
            wants.names.extend(rule.sources.iter().cloned());
            match &rule.action {
                Do::KeepEqual(other) | Do::DropEqual(other) => {
                    wants.names.insert(other.clone());
                }
                Do::LabelMap(_) if rule.any => wants.all = true,
                Do::LabelMap(_) => wants.copied.push(rule.regex.clone()),
                _ => {}
            }
        }
        wants
    }

    /// Whether this label is read.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all
            || self.names.contains(name)
            || self.copied.iter().any(|one| one.is_match(name.as_bytes()))
    }
}
