//! `relabel_configs` and `metric_relabel_configs`.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildError, pattern};

use super::types::Word;
use crate::prometheus::labels::{is_legacy_label, is_legacy_template};
use crate::prometheus::relabel::{Do, Rule};

/// A step of relabelling.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct RelabelKeys {
    /// The labels whose values are joined and looked at.
    source_labels: Option<Vec<String>>,
    /// What stands between them; `;` unless told.
    separator: Option<Word>,
    /// The label that is written to.
    target_label: Option<String>,
    /// A regular expression that the whole of them must match; `(.*)` unless told.
    regex: Option<Word>,
    /// For `hashmod`: what the hash is taken modulo of.
    modulus: u64,
    /// What is written, with `$1` for what a group matched; `$1` unless told. A dollar is written `$$` in a configuration of the Collector.
    replacement: Option<Word>,
    /// What is done: replace (the default), keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase or uppercase.
    #[schemars(extend("x-ignore-case" = true))]
    action: Option<Action>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::prometheus) enum Action {
    /// Writes the replacement where the regular expression matches.
    Replace,
    /// Keeps what matches.
    Keep,
    /// Drops what matches.
    Drop,
    /// Keeps where the target label has the same value.
    KeepEqual,
    /// Drops where the target label has the same value.
    DropEqual,
    /// Writes a hash of the values.
    HashMod,
    /// Copies labels whose names match under other names.
    LabelMap,
    /// Takes labels away whose names match.
    LabelDrop,
    /// Keeps labels whose names match.
    LabelKeep,
    /// Writes the values in lower case.
    Lowercase,
    /// Writes the values in upper case.
    Uppercase,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }
}

impl RelabelKeys {
    /// The step, checked; `path` leads to it, and `legacy` allows label names of ASCII alone.
    pub(super) fn build(&self, path: &str, legacy: bool) -> Result<Rule, BuildError> {
        let action = self.action.unwrap_or(Action::Replace);
        self.check(action, path, legacy)?;
        let regex = self.regex.as_ref().map_or("(.*)", |word| &word.0);
        let matches = pattern::compile(&format!("^(?s:{regex})$")).map_err(|_| {
            let fault = fault(regex);
            BuildError::at(format!("{path}::regex"), fault)
                .remedy("write an expression of RE2's syntax; a backslash in double quotes is written twice")
        })?;
        let target = self.target_label.clone().unwrap_or_default();
        let replacement = self.replacement.as_ref().map_or("$1", |word| &word.0);
        Ok(Rule {
            sources: self.sources().to_vec(),
            separator: self
                .separator
                .as_ref()
                .map_or(";", |word| &word.0)
                .to_owned(),
            regex: matches,
            any: regex == "(.*)",
            legacy,
            action: match action {
                Action::Replace => Do::Replace {
                    target,
                    replacement: replacement.to_owned(),
                },
                Action::Keep => Do::Keep,
                Action::Drop => Do::Drop,
                Action::KeepEqual => Do::KeepEqual(target),
                Action::DropEqual => Do::DropEqual(target),
                Action::HashMod => Do::HashMod(target, self.modulus),
                Action::LabelMap => Do::LabelMap(replacement.to_owned()),
                Action::LabelDrop => Do::LabelDrop,
                Action::LabelKeep => Do::LabelKeep,
                Action::Lowercase => Do::Lowercase(target),
                Action::Uppercase => Do::Uppercase(target),
            },
        })
    }

    fn sources(&self) -> &[String] {
        self.source_labels.as_deref().unwrap_or_default()
    }

    fn check(&self, action: Action, path: &str, legacy: bool) -> Result<(), BuildError> {
        let at = |key: &str| format!("{path}::{key}");
        let name = action.name();
        let target = self.target_label.as_deref().unwrap_or_default();
        let writes = !matches!(
            action,
            Action::Keep | Action::Drop | Action::LabelMap | Action::LabelDrop | Action::LabelKeep
        );
        if action == Action::HashMod && self.modulus == 0 {
            return Err(BuildError::at(path, "`hashmod` needs a modulus")
                .remedy("write `modulus: 4` or another number of shards"));
        }
        if writes && target.is_empty() {
            return Err(
                BuildError::at(path, format!("`{name}` needs a target label"))
                    .remedy("name the label to write to in `target_label`"),
            );
        }
        let valid = |label: &str| match (legacy, action) {
            (false, _) => !label.is_empty(),
            (true, Action::Replace | Action::LabelMap) => is_legacy_template(label),
            (true, _) => is_legacy_label(label),
        };
        if writes && !valid(target) {
            return Err(BuildError::at(at("target_label"), "this is no label name")
                .remedy("use letters, digits and underscores, no digit first"));
        }
        let replacement = self.replacement.as_ref().map_or("$1", |word| &word.0);
        if action == Action::LabelMap && !valid(replacement) {
            return Err(
                BuildError::at(at("replacement"), "this makes no label name")
                    .remedy("use letters, digits, underscores and groups such as `$$1`"),
            );
        }
        self.check_unused(action, path)
    }

    /// Keys that the action would pass over, as Prometheus refuses them.
    fn check_unused(&self, action: Action, path: &str) -> Result<(), BuildError> {
        let word =
            |word: &Option<Word>, default| word.as_ref().is_some_and(|word| word.0 != default);
        let (separator, regex) = (word(&self.separator, ";"), word(&self.regex, "(.*)"));
        let (replacement, modulus) = (word(&self.replacement, "$1"), self.modulus != 0);
        let unused: &[(&str, bool)] = match action {
            Action::KeepEqual | Action::DropEqual => &[
                ("regex", regex),
                ("modulus", modulus),
                ("separator", separator),
                ("replacement", replacement),
            ],
            Action::LabelDrop | Action::LabelKeep => &[
                ("source_labels", self.source_labels.is_some()),
                (
                    "target_label",
                    self.target_label.as_deref().is_some_and(|t| !t.is_empty()),
                ),
                ("modulus", modulus),
                ("separator", separator),
                ("replacement", replacement),
            ],
            Action::Lowercase | Action::Uppercase => &[("replacement", replacement)],
            _ => &[],
        };
        match unused.iter().find(|(_, given)| *given) {
            Some((key, _)) => {
                let message = format!("`{}` makes no use of `{key}`", action.name());
                Err(BuildError::at(format!("{path}::{key}"), message).remedy("take the key away"))
            }
            None => Ok(()),
        }
    }
}

/// What is wrong with a regular expression, and at which of its characters.
fn fault(regex: &str) -> String {
    let error = match regex::Regex::from_str(regex) {
        Err(error) => error.to_string(),
        Ok(_) => return format!("{regex:?} is no regular expression in a group of its own"),
    };
    let why = error.lines().last().unwrap_or_default().trim();
    let why = why.strip_prefix("error: ").unwrap_or(why);
    let caret = error
        .lines()
        .find(|line| line.trim_start().starts_with('^'))
        .and_then(|line| line.find('^'))
        .and_then(|at| at.checked_sub(4));
    match caret {
        Some(at) => format!(
            "the regular expression is wrong at character {}: {why}",
            at + 1
        ),
        None => format!("the regular expression is wrong: {why}"),
    }
}
