//! The configurations under `docs/examples/`, of which every component of this build has one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tidegate_config::Kind;
use tidegate_document::{Diagnostics, Paint};

use crate::cli::{Sources, UnknownKeys};
use crate::configuration::Configuration;
use crate::registry::registry;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples")
}

/// The examples by name, `batch` for `docs/examples/batch.yaml`.
fn examples() -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder()).expect("the examples can be listed");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}

fn read(name: &str) -> Configuration {
    let path = folder().join(format!("{name}.yaml"));
    let sources = Sources {
        config: vec![path.display().to_string()],
        set: Vec::new(),
        unknown_keys: UnknownKeys::Error,
        feature_gates: Vec::new(),
    };
    Configuration::read(&sources).expect("a configuration is named")
}

#[test]
fn every_component_has_an_example_that_uses_it() {
    let examples = examples();
    let mut missing = Vec::new();
    for kind in Kind::ALL {
        for name in registry().types(kind) {
            let shown = examples.contains(name) && {
                let configuration = read(name);
                let mut components = configuration.settings.components();
                components.any(|(found, its, _, _)| (found, its) == (kind, name))
            };
            if !shown {
                missing.push(format!("docs/examples/{name}.yaml with the {kind} {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "there is no {missing:#?}");
}

#[test]
fn every_example_is_valid_without_a_warning() {
    for name in examples() {
        let configuration = read(&name);
        // What the surroundings bring in, as `GOGC`, has no place in the text.
        let found = configuration.found.into_iter();
        let found = found.filter(|one| one.span.source().is_some());
        let found: Diagnostics = found.collect();
        let text = found.render(&configuration.loaded.sources, Paint::Plain);
        assert!(configuration.plan.is_some() && text.is_empty(), "{text}");
    }
}

#[test]
fn every_example_is_about_a_component() {
    let known: BTreeSet<&str> = Kind::ALL
        .into_iter()
        .flat_map(|kind| registry().types(kind))
        .collect();
    for name in examples() {
        assert!(known.contains(name.as_str()), "{name}.yaml is about none");
    }
}
