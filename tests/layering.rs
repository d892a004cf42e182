//! Dependencies point down, never sideways.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Each crate of the workspace with those that it may depend on.
const MAY_SEE: &[(&str, &[&str])] = &[
    ("pdata", &[]),
    ("document", &[]),
    ("journal", &[]),
    ("component", &["pdata", "document", "journal"]),
    ("ottl", &["pdata", "component"]),
    ("config", &["pdata", "document"]),
    ("transport", &["pdata", "document", "component"]),
    (
        "engine",
        &[
            "pdata",
            "document",
            "journal",
            "component",
            "config",
            "transport",
        ],
    ),
    ("receivers", COMPONENTS),
    (
        "processors",
        &["pdata", "document", "component", "ottl", "transport"],
    ),
    ("exporters", COMPONENTS),
    (
        "connectors",
        &["pdata", "document", "component", "ottl", "transport"],
    ),
    (
        "extensions",
        &["pdata", "document", "journal", "component", "transport"],
    ),
    // Measures from outside, so it sees nothing of what it measures.
    ("benches", &[]),
];

const COMPONENTS: &[&str] = &["pdata", "document", "component", "transport"];

#[test]
fn crates_see_only_what_lies_below_them() {
    let allowed: BTreeMap<String, BTreeSet<String>> = MAY_SEE
        .iter()
        .map(|(name, below)| {
            let below = below
                .iter()
                .map(|name| format!("tidegate-{name}"))
                .collect();
            (format!("tidegate-{name}"), below)
        })
        .collect();
    let mut seen = 0;
    for (package, dependencies) in workspace() {
        if package == "tidegate" {
            continue;
        }
        let may = allowed
            .get(&package)
            .unwrap_or_else(|| panic!("{package} has no place in the layers: give it one here"));
        for dependency in dependencies {
            assert!(
                may.contains(&dependency),
                "{package} must not depend on {dependency}"
            );
        }
        seen += 1;
    }
    assert_eq!(seen, MAY_SEE.len());
}

/// Every package of the workspace with the packages of the workspace that it depends on,
/// development dependencies left out.
fn workspace() -> Vec<(String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata failed");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().expect("a name").to_owned();
            let dependencies = package["dependencies"]
                .as_array()
                .expect("a list of dependencies")
                .iter()
                .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
                .filter_map(|dependency| dependency["name"].as_str())
                .filter(|name| name.starts_with("tidegate-"))
                .map(ToOwned::to_owned)
                .collect();
            (name, dependencies)
        })
        .collect()
}
