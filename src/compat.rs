//! `tidegate compat`: how each component of a Collector configuration fares here.
//!
//! The differences are read off `docs/differences.md`, whose rows carry IDs that begin with the
//! kind and the type of the component that they are about, as `processor-batch-…`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

use tidegate_config::{Kind, is_collectors};
use tidegate_document::nearest;

use crate::cli::Sources;
use crate::configuration::Configuration;
use crate::registry::registry;
use crate::report::print;

const DIFFERENCES: &str = include_str!("../docs/differences.md");

/// Says for each component of the file: same, differs, or not built.
pub(crate) fn compat(file: &str, sources: &Sources) -> anyhow::Result<ExitCode> {
    let mut sources = sources.clone();
    sources.config = vec![file.to_owned()];
    let configuration = Configuration::read(&sources)?;
    let mut text = String::new();
    let mut missing = BTreeSet::new();
    for (kind, name, id, component) in configuration.settings.components() {
        let place = configuration.loaded.sources.locate(component.span);
        let line = place.map_or(0, |place| place.line);
        let types = registry().types(kind);
        write!(text, "{file}:{line}: {} {id}: ", kind.name())?;
        if !types.contains(&name) {
            missing.insert((kind.name(), name.to_owned()));
            match nearest(name, types).filter(|_| !is_collectors(kind, name)) {
                Some(known) => writeln!(text, "not known; did you mean {known}?")?,
                None => writeln!(
                    text,
                    "not built; take it out, or keep this part on the Collector"
                )?,
            }
            continue;
        }
        let differences = differences(kind, name);
        if differences.is_empty() {
            writeln!(text, "same")?;
        } else {
            writeln!(text, "differs")?;
            for (id, here) in differences {
                writeln!(text, "    {id}: {here}")?;
            }
        }
    }
    if missing.is_empty() {
        writeln!(
            text,
            "every component is built; run `tidegate validate --config {file}` for its keys"
        )?;
    } else {
        writeln!(text, "{} types of components are not built", missing.len())?;
    }
    print(&text);
    Ok(if missing.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The ID of each difference of a type, with what Tidegate does.
pub(crate) fn differences(kind: Kind, name: &str) -> Vec<(&'static str, &'static str)> {
    let prefix = format!("{}-{name}-", kind.name());
    DIFFERENCES
        .lines()
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let id = cells.next()?.trim_matches('`');
            let here = cells.nth(1)?;
            id.starts_with(&prefix).then_some((id, here))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_rows_of_a_type_and_no_others() {
        let rows = differences(Kind::Processor, "batch");
        assert!(
            rows.iter().any(|(id, _)| *id == "processor-batch-receipts"),
            "{rows:?}"
        );
        assert!(
            rows.iter()
                .all(|(id, _)| id.starts_with("processor-batch-"))
        );
        assert!(differences(Kind::Processor, "bat").is_empty());
    }
}
