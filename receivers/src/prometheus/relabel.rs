//! Relabelling: steps that change, keep or drop a label set.

use std::borrow::Cow;

use md5::{Digest, Md5};
use regex::bytes::Regex;

use super::labels::{LabelSet, is_legacy_label};

/// A step.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) sources: Vec<String>,
    pub(super) separator: String,
    /// Matches from the first to the last character.
    pub(super) regex: Regex,
    /// Whether it is the one that matches anything.
    pub(super) any: bool,
    /// Whether labels have names of ASCII alone.
    pub(super) legacy: bool,
    pub(super) action: Do,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Do {
    Replace { target: String, replacement: String },
    Keep,
    Drop,
    KeepEqual(String),
    DropEqual(String),
    HashMod(String, u64),
    LabelMap(String),
    LabelDrop,
    LabelKeep,
    Lowercase(String),
    Uppercase(String),
}

/// Runs the steps; false where one drops the set.
pub(super) fn run(rules: &[Rule], set: &mut LabelSet<'_>) -> bool {
    rules.iter().all(|rule| rule.apply(set))
}

impl Rule {
    fn apply(&self, set: &mut LabelSet<'_>) -> bool {
        match &self.action {
            Do::LabelDrop => set.retain(|name| !self.matches(name)),
            Do::LabelKeep => set.retain(|name| self.matches(name)),
            Do::LabelMap(replacement) => self.map(set, replacement),
            Do::Keep => return self.matches(&self.value(set)),
            Do::Drop => return !self.matches(&self.value(set)),
            Do::KeepEqual(target) => return set.get(target) == self.value(set),
            Do::DropEqual(target) => return set.get(target) != self.value(set),
            Do::Replace {
                target,
                replacement,
            } => self.replace(set, target, replacement),
            Do::HashMod(target, modulus) => {
                let hash = Md5::digest(self.value(set).as_bytes());
                // The last eight bytes, as Prometheus has always had it.
                let last = hash[8..].try_into().map_or(0, u64::from_be_bytes);
                set.set(target, (last % modulus).to_string().into());
            }
            Do::Lowercase(target) => {
                let value = self.value(set).to_lowercase();
                set.set(target, value.into());
            }
            Do::Uppercase(target) => {
                let value = self.value(set).to_uppercase();
                set.set(target, value.into());
            }
        }
        true
    }

    fn matches(&self, text: &str) -> bool {
        self.any || self.regex.is_match(text.as_bytes())
    }

    /// The values of the labels that are looked at, joined.
    fn value<'s>(&self, set: &'s LabelSet<'_>) -> Cow<'s, str> {
        match self.sources.as_slice() {
            [] => Cow::Borrowed(""),
            [only] => Cow::Borrowed(set.get(only)),
            several => {
                let values: Vec<&str> = several.iter().map(|name| set.get(name)).collect();
                Cow::Owned(values.join(&self.separator))
            }
        }
    }

    fn replace(&self, set: &mut LabelSet<'_>, target: &str, replacement: &str) {
        let value = self.value(set);
        let Some(groups) = self.regex.captures(value.as_bytes()) else {
            return;
        };
        let expand = |template: &str| {
            if !template.contains('$') {
                return template.to_owned();
            }
            let mut out = Vec::new();
            groups.expand(template.as_bytes(), &mut out);
            // Groups end where characters do, so that this copies.
            String::from_utf8(out)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        };
        let (target, replacement) = (expand(target), expand(replacement));
        let valid = match self.legacy {
            true => is_legacy_label(&target),
            false => !target.is_empty(),
        };
        if valid {
            set.set(&target, replacement.into());
        }
    }

    fn map(&self, set: &mut LabelSet<'_>, replacement: &str) {
        let mapped: Vec<(String, String)> = set
            .iter()
            .filter_map(|(name, value)| {
                let groups = self.regex.captures(name.as_bytes())?;
                let mut out = Vec::new();
                groups.expand(replacement.as_bytes(), &mut out);
                Some((String::from_utf8(out).ok()?, value.to_owned()))
            })
            .collect();
        for (name, value) in mapped {
            set.set(&name, value.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(sources: &[&str], regex: &str, action: Do) -> Rule {
        Rule {
            sources: sources.iter().map(|&name| name.to_owned()).collect(),
            separator: ";".to_owned(),
            regex: Regex::new(&format!("^(?s:{regex})$")).unwrap(),
            any: regex == "(.*)",
            legacy: false,
            action,
        }
    }

    fn replace(target: &str, replacement: &str) -> Do {
        Do::Replace {
            target: target.to_owned(),
            replacement: replacement.to_owned(),
        }
    }

    /// The labels after a step; none where it drops them.
    fn after(rule: Rule, labels: &[(&'static str, &'static str)]) -> Option<Vec<(String, String)>> {
        let mut set = LabelSet::default();
        for (name, value) in labels {
            set.set(name, Cow::Borrowed(*value));
        }
        run(&[rule], &mut set).then(|| {
            let mut all: Vec<_> = set
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            all.sort();
            all
        })
    }

    fn pairs(labels: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        let owned = labels
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Some(owned.collect())
    }

    #[test]
    fn every_action_does_what_prometheus_does() {
        let labels = &[("a", "foo"), ("b", "bar"), ("c", "baz")];
        for (rule, expected) in [
            (
                rule(&["a"], "f(.*)", replace("d", "ch${1}-ch${1}")),
                pairs(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "choo-choo")]),
            ),
            (
                rule(&["a", "b"], "foo;b(.)r", replace("$1", "x")),
                pairs(&[("a", "x"), ("b", "bar"), ("c", "baz")]),
            ),
            (
                rule(&["a"], "oo", replace("d", "x")),
                pairs(&[("a", "foo"), ("b", "bar"), ("c", "baz")]),
            ),
            (
                rule(&["a"], "f|(.*)", replace("b", "$1$2")),
                pairs(&[("a", "foo"), ("b", "foo"), ("c", "baz")]),
            ),
            (
                rule(&["none"], "(.*)", replace("b", "$1")),
                pairs(&[("a", "foo"), ("c", "baz")]),
            ),
            (rule(&["a"], ".*oo", Do::Drop), None),
            (rule(&["a"], "oo", Do::Keep), None),
            (
                rule(&["a"], "f.*", Do::Keep),
                pairs(&[("a", "foo"), ("b", "bar"), ("c", "baz")]),
            ),
            (rule(&["a"], "(.*)", Do::KeepEqual("b".to_owned())), None),
            (rule(&["a"], "(.*)", Do::DropEqual("a".to_owned())), None),
            (
                rule(&["c"], "(.*)", Do::HashMod("d".to_owned(), 1000)),
                pairs(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "976")]),
            ),
            (
                rule(&[], "(b)", Do::LabelMap("x_$1".to_owned())),
                pairs(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("x_b", "bar")]),
            ),
            (rule(&[], "a|b", Do::LabelDrop), pairs(&[("c", "baz")])),
            (rule(&[], "a", Do::LabelKeep), pairs(&[("a", "foo")])),
            (
                rule(&["a"], "(.*)", Do::Uppercase("a".to_owned())),
                pairs(&[("a", "FOO"), ("b", "bar"), ("c", "baz")]),
            ),
        ] {
            let shown = format!("{rule:?}");
            assert_eq!(after(rule, labels), expected, "{shown}");
        }
    }
}
