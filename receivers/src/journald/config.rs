//! The keys of `journald`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, ComponentId, Receiver};
use tidegate_pdata::Signals;

use super::command::Program;
use super::{Journald, Parts};
use crate::offering::RetryKeys;
use crate::operators::{Chain, OperatorConfig, Stamps, Value};

/// Reads the journal of systemd as `journalctl` shows it, from where the last process stopped. The place moves on when
/// the pipelines answer for what was read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The directory with the files of the journal; the system's unless told.
    directory: Option<String>,
    /// Files of the journal, as patterns, where no `directory` is given.
    files: Vec<String>,
    /// Whether entries from before the first start are read too.
    start_at: StartAt,
    /// Units whose entries are read; all unless told.
    units: Vec<String>,
    /// Identifiers (`SYSLOG_IDENTIFIER`) whose entries are read; all unless told.
    identifiers: Vec<String>,
    /// Fields that entries have, as `_SYSTEMD_UNIT: ssh`: all of one element, of any of the elements.
    matches: Vec<BTreeMap<String, String>>,
    /// The least important priority that is read, as `info` or `6`, or a range, as `warning..err`.
    priority: String,
    /// A regular expression that the message matches.
    grep: String,
    /// Whether the kernel's entries of this boot alone are read.
    dmesg: bool,
    /// Whether long fields, and those that cannot be shown, are read in full.
    all: bool,
    /// Whether the journals of other machines in the directory are read too.
    merge: bool,
    /// The namespace of the journal; the default one unless told.
    namespace: String,
    /// Whether messages that are no UTF-8, which are lists of numbers, are made text.
    convert_message_bytes: bool,
    /// A directory in which `journalctl` runs as if it were the root; `chroot` takes it there, which needs its rights.
    root_path: String,
    /// The program; found on `PATH` where it has no slash.
    journalctl_path: String,
    /// What is done with entries, one after the other; the original's operators. docs/operators.md has them all.
    operators: Vec<OperatorConfig>,
    /// Attributes that all records have; `EXPR(…)` in a text is what an expression comes to.
    attributes: BTreeMap<String, Value>,
    /// Attributes that all their resources have.
    resource: BTreeMap<String, Value>,
    /// The extension that keeps the place in the journal for the next process; without one it is kept in memory.
    storage: Option<ComponentId>,
    /// How what the pipelines refuse is tried again.
    retry_on_failure: RetryKeys,
}

/// Where the journal is read from, where no place in it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StartAt {
    /// From what there is.
    Beginning,
    /// From what is written from now on.
    #[default]
    End,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: None,
            files: Vec::new(),
            start_at: StartAt::default(),
            units: Vec::new(),
            identifiers: Vec::new(),
            matches: Vec::new(),
            priority: "info".to_owned(),
            grep: String::new(),
            dmesg: false,
            all: false,
            merge: false,
            namespace: String::new(),
            convert_message_bytes: false,
            root_path: String::new(),
            journalctl_path: "journalctl".to_owned(),
            operators: Vec::new(),
            attributes: BTreeMap::new(),
            resource: BTreeMap::new(),
            storage: None,
            retry_on_failure: RetryKeys::default(),
        }
    }
}

impl Config {
    pub(super) fn receiver(&self, cx: &BuildContext) -> Result<Journald, BuildError> {
        let storage = self.storage.as_ref();
        Ok(Journald::new(Parts {
            program: self.program()?,
            chain: Chain::build(&self.operators, "operators", cx)?,
            stamps: Stamps::build(&self.attributes, &self.resource)?,
            storage: storage
                .map(|id| cx.storages.named(id, "storage"))
                .transpose()?,
            retry: self.retry_on_failure.retry(cx),
            bytes_as_text: self.convert_message_bytes,
            unread: cx.metrics.counter(
                "tidegate_journald_unread_entries",
                "Entries that could not be read: no JSON, without a time or a cursor, or too long.",
                &[],
            ),
            restarts: cx.metrics.counter(
                "tidegate_journald_restarts",
                "Times that journalctl ended and was started again.",
                &[],
            ),
        }))
    }

    fn program(&self) -> Result<Program, BuildError> {
        let path = self.journalctl_path.trim();
        if path.is_empty() {
            return Err(BuildError::at("journalctl_path", "the program has no name")
                .remedy("leave the key out, or name the program"));
        }
        if !self.root_path.is_empty() {
            for (key, path) in [("root_path", &*self.root_path), ("journalctl_path", path)] {
                if !Path::new(path).is_absolute() {
                    let message = "with `root_path` paths begin at a root";
                    return Err(
                        BuildError::at(key, message).remedy("write a path that begins with /")
                    );
                }
            }
        }
        Ok(Program {
            path: PathBuf::from(path),
            root: (!self.root_path.is_empty()).then(|| PathBuf::from(&self.root_path)),
            arguments: self.arguments()?,
            from_the_end: self.start_at == StartAt::End,
        })
    }

    /// What selects entries, as the original has it.
    fn arguments(&self) -> Result<Vec<String>, BuildError> {
        let mut arguments: Vec<String> = Vec::new();
        let mut add =
            |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
        for unit in &self.units {
            add(&["--unit", unit]);
        }
        for identifier in &self.identifiers {
            add(&["--identifier", identifier]);
        }
        if !self.priority.is_empty() {
            add(&["--priority", &self.priority]);
        }
        if !self.grep.is_empty() {
            add(&["--grep", &self.grep]);
        }
        if self.dmesg {
            add(&["--dmesg"]);
        }
        if !self.namespace.is_empty() {
            add(&["--namespace", &self.namespace]);
        }
        match &self.directory {
            Some(directory) => add(&["--directory", directory]),
            None => self.files.iter().for_each(|file| add(&["--file", file])),
        }
        if self.all {
            add(&["--all"]);
        }
        if self.merge {
            add(&["--merge"]);
        }
        for (at, matches) in self.matches.iter().enumerate() {
            if at > 0 {
                arguments.push("+".to_owned());
            }
            for (field, value) in matches {
                let is_field = |byte: u8| byte == b'_' || byte.is_ascii_uppercase();
                if field.is_empty() || !field.bytes().all(is_field) {
                    let message = format!("{field:?} is no name of a field");
                    return Err(BuildError::at(format!("matches::{at}::{field}"), message)
                        .remedy("write it in capitals, as `_SYSTEMD_UNIT`"));
                }
                arguments.push(format!("{field}={value}"));
            }
        }
        Ok(arguments)
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "journald";
    const SIGNALS: Signals = Signals::LOGS;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(self.receiver(cx)?))
    }
}
