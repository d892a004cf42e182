//! From the command line to a plan: loading, describing, planning, and saying what is wrong.

use std::io::{IsTerminal, Write};

use anyhow::bail;
use tidegate_config::{
    Loaded, Options, Process, Request, Settings, UnknownKeys, describe, go_variables, load,
};
use tidegate_document::{Diagnostic, Diagnostics, Kind, Paint};
use tidegate_engine::{Plan, default_workers};
use tidegate_pdata::Signal;

use crate::cli;
use crate::fetch::fetch;
use crate::registry::registry;

/// What runs where the command line names nothing.
const DEFAULT: &str = "pipeline.yaml";

/// A configuration that was read as far as it goes.
pub(crate) struct Configuration {
    pub(crate) loaded: Loaded,
    pub(crate) settings: Settings,
    /// None where something is wrong.
    pub(crate) plan: Option<Plan>,
    /// Everything found, errors and warnings.
    pub(crate) found: Diagnostics,
}

impl Configuration {
    /// Reads, describes and plans; whatever is wrong is in `found`.
    pub(crate) fn read(sources: &cli::Sources) -> anyhow::Result<Self> {
        let loaded = loaded(sources)?;
        let mut found = loaded.diagnostics.clone();
        if found.iter().any(hides_the_rest) {
            return Ok(Self {
                loaded,
                settings: Settings::default(),
                plan: None,
                found,
            });
        }
        found.extend(go_variables(&Process(fetch)));
        let unknown_keys = match sources.unknown_keys {
            cli::UnknownKeys::Error => UnknownKeys::Refuse,
            cli::UnknownKeys::Warn => UnknownKeys::Warn,
        };
        let options = Options {
            unknown_keys,
            joins,
        };
        let settings = describe(&loaded.document, &options, &mut found);
        let plan = Plan::new(&settings, &registry(), default_workers(), &mut found);
        if unknown_keys == UnknownKeys::Warn {
            found.demote(Kind::UnknownKey);
        }
        found.sort();
        let plan = plan.filter(|_| !found.has_errors());
        Ok(Self {
            loaded,
            settings,
            plan,
            found,
        })
    }

    /// Writes everything that was found to the standard error stream, counted at the end.
    pub(crate) fn report(&self) {
        if self.found.is_empty() {
            return;
        }
        let stderr = std::io::stderr();
        let paint = if stderr.is_terminal() {
            Paint::Coloured
        } else {
            Paint::Plain
        };
        let text = self.found.render(&self.loaded.sources, paint);
        let _ = writeln!(stderr.lock(), "{text}\n\n{}", self.count());
    }

    /// How many errors and warnings were found, in words.
    fn count(&self) -> String {
        let errors = self.found.iter().filter(|one| one.is_error()).count();
        let warnings = self.found.len() - errors;
        let words = |count: usize, word: &str| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            _ => Some(format!("{count} {word}s")),
        };
        let parts = [words(errors, "error"), words(warnings, "warning")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Whether a text could not be read at all: what else would be said of the configuration is then
/// an echo of that.
fn hides_the_rest(found: &Diagnostic) -> bool {
    found.is_error()
        && (found.kind == Kind::Syntax
            || found.kind == Kind::Unreadable && found.span.source().is_none())
}

/// The document that the command line names, merged and expanded.
pub(crate) fn loaded(sources: &cli::Sources) -> anyhow::Result<Loaded> {
    let mut configs = sources.config.clone();
    if configs.is_empty() {
        if !std::path::Path::new(DEFAULT).exists() {
            bail!("there is no {DEFAULT} here; name a configuration with --config PATH");
        }
        configs.push(DEFAULT.to_owned());
    }
    let request = Request {
        configs,
        sets: sources.set.clone(),
    };
    Ok(load(&request, &Process(fetch)))
}

fn joins(connector: &str, from: Signal, to: Signal) -> bool {
    registry().joins(connector, from, to)
}
