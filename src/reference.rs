//! `tidegate explain`: the keys of the components, from the schemas that the configuration is checked by.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use tidegate_config::{Kind, spellings};
use tidegate_document::{did_you_mean, key_rows};

use crate::compat::differences;
use crate::report::{Row, print, rows};

/// Prints the reference of a component, or of all.
pub(crate) fn explain(component: Option<&str>) -> anyhow::Result<ExitCode> {
    let rows = rows();
    let Some(wanted) = component else {
        print(&page(&rows)?);
        return Ok(ExitCode::SUCCESS);
    };
    let (section, name) = match wanted.split_once('.') {
        Some((section, name)) => (Some(section), name),
        None => (None, wanted),
    };
    let found = rows.iter().filter(|row| {
        let in_section = section.is_none_or(|it| it == row.kind.section() || it == row.kind.name());
        in_section && spellings(row.kind, row.name).any(|spelling| spelling == name)
    });
    let mut text = String::new();
    for row in found {
        write_component(&mut text, row)?;
    }
    if text.is_empty() {
        let known = rows.iter().map(|row| row.name);
        let hint = did_you_mean(name, known).map_or_else(String::new, |hint| format!("; {hint}"));
        bail!("there is no component `{wanted}`{hint}; `tidegate components` lists them");
    }
    print(text.trim_start());
    Ok(ExitCode::SUCCESS)
}

/// The page with all components.
fn page(rows: &[Row]) -> anyhow::Result<String> {
    let mut text = String::from(
        "# Components\n\nEvery key of every component, as `tidegate explain` prints them. `a.b` is the key `b` in the \
         section `a`, `a[].b` one in\neach element of a list, `a.*.b` one below any key. Durations are written as \
         `1m30s`, sizes as `64MiB`.\n",
    );
    for kind in Kind::ALL {
        for row in rows.iter().filter(|row| row.kind == kind) {
            write_component(&mut text, row)?;
        }
    }
    Ok(text)
}

fn write_component(text: &mut String, row: &Row) -> anyhow::Result<()> {
    writeln!(text, "\n## {} `{}`\n", row.kind.name(), row.name)?;
    let about = row.schema.get("description").and_then(|text| text.as_str());
    writeln!(text, "{}", about.unwrap_or_default())?;
    let mut facts = Vec::new();
    if row.kind != Kind::Extension {
        let signals: Vec<_> = row.signals.iter().map(|signal| signal.name()).collect();
        facts.push(format!("Signals: {}.", signals.join(", ")));
    }
    facts.push(format!("Stability: {}.", row.stability.name()));
    let older: Vec<_> = spellings(row.kind, row.name)
        .skip(1)
        .map(|older| format!("`{older}`"))
        .collect();
    if !older.is_empty() {
        facts.push(format!("Also written {}.", older.join(", ")));
    }
    writeln!(text, "\n{}", facts.join(" "))?;
    let keys = key_rows(&row.schema);
    if !keys.is_empty() {
        text.push_str("\n| Key | Takes | Default | |\n|---|---|---|---|\n");
    }
    for key in keys {
        let default = match key.default {
            Some(default) if default == "required" => default,
            Some(default) => format!("`{default}`"),
            None => String::new(),
        };
        let about = key.about.replace('|', "\\|");
        writeln!(
            text,
            "| `{}` | {} | {default} | {about} |",
            key.path, key.takes
        )?;
    }
    let differing = differences(row.kind, row.name);
    if !differing.is_empty() {
        text.push_str("\nUnlike the Collector's, it\n\n");
    }
    for (id, here) in differing {
        writeln!(text, "- {here} (`{id}`)")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_documentation_is_what_explain_prints() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/components.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == page(&rows()).unwrap(),
            "make it anew: cargo run -- explain > docs/components.md"
        );
    }

    #[test]
    fn every_key_says_what_it_is_for() {
        let mut mute = Vec::new();
        for row in rows() {
            let keys = key_rows(&row.schema).into_iter();
            let silent = keys.filter(|key| key.about.is_empty());
            mute.extend(silent.map(|key| format!("{} {}: {}", row.kind, row.name, key.path)));
        }
        assert!(mute.is_empty(), "without a word: {mute:#?}");
    }
}
