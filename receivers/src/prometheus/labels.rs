//! Label sets: of targets, and of series while they are made.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The label that is a metric's name.
pub(super) const NAME: &str = "__name__";

/// Whether a label's name is made of letters, digits and underscores, no digit first.
pub(super) fn is_legacy_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a metric's name is so, colons allowed.
pub(super) fn is_legacy_metric(name: &str) -> bool {
    is_legacy_label(&name.replace(':', "_"))
}

/// A name as that of a label: whatever is no letter, no digit and no underscore becomes one.
pub(super) fn sanitized(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect()
}

/// An address with its port; that of IPv6 stands in brackets.
pub(super) fn host_port(host: &str, port: impl std::fmt::Display) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// Whether a template makes such a name, whatever its groups match.
pub(super) fn is_legacy_template(template: &str) -> bool {
    let mut plain = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((head, tail)) = rest.split_once('$') {
        plain.push_str(head);
        let group = match tail.strip_prefix('{') {
            Some(tail) => tail.split_once('}'),
            None => {
                let end = tail
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(tail.len());
                Some(tail.split_at(end))
            }
        };
        match group {
            Some((name, after)) if !name.is_empty() => {
                plain.push('a');
                rest = after;
            }
            _ => return false,
        }
    }
    plain.push_str(rest);
    is_legacy_label(&plain)
}

/// Targets with labels in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) targets: Vec<Spot>,
    pub(super) labels: BTreeMap<String, String>,
}

/// Where a target is, with labels that are its own; these count more than those of its group.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) address: String,
    pub(super) labels: Owned,
}

impl From<String> for Spot {
    fn from(address: String) -> Self {
        Self {
            address,
            labels: Vec::new(),
        }
    }
}

/// Labels of a target.
pub(super) type Owned = Vec<(String, String)>;

/// A label set that is being made: of a series or of a target.
///
/// A label without a value is none, but for the question who gave it first.
#[derive(Debug, Default)]
pub(super) struct LabelSet<'a> {
    /// The metric's name; empty for a target.
    pub(super) name: Cow<'a, str>,
    pub(super) pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> LabelSet<'a> {
    pub(super) fn clear(&mut self) {
        self.name = Cow::Borrowed("");
        self.pairs.clear();
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.pairs.iter().position(|(known, _)| known == name)
    }

    /// The value of a label; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        if name == NAME {
            return &self.name;
        }
        self.position(name).map_or("", |at| &self.pairs[at].1)
    }

    /// Sets a label; an empty value takes it away.
    pub(super) fn set(&mut self, name: &str, value: Cow<'a, str>) {
        if name == NAME {
            self.name = value;
            return;
        }
        match (self.position(name), value.is_empty()) {
            (Some(at), true) => drop(self.pairs.remove(at)),
            (Some(at), false) => self.pairs[at].1 = value,
            (None, true) => {}
            (None, false) => self.pairs.push((Cow::Owned(name.to_owned()), value)),
        }
    }

    /// Keeps labels whose names pass; the metric's name is one of them.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        if !self.name.is_empty() && !keep(NAME) {
            self.name = Cow::Borrowed("");
        }
        self.pairs.retain(|(name, _)| keep(name));
    }

    /// Every label with its value, the metric's name too.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let name = (!self.name.is_empty()).then_some((NAME, &*self.name));
        let pairs = self.pairs.iter().map(|(name, value)| (&**name, &**value));
        name.into_iter().chain(pairs)
    }

    /// Takes empty labels away, orders the rest, and gives a name that comes twice.
    pub(super) fn settle(&mut self) -> Option<&str> {
        self.pairs.retain(|(_, value)| !value.is_empty());
        self.pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        let twice = self.pairs.windows(2).find(|pair| pair[0].0 == pair[1].0);
        twice.map(|pair| &*pair[0].0)
    }

    /// The labels, ordered.
    pub(super) fn into_owned(mut self) -> Owned {
        self.settle();
        self.pairs
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }
}

/// Labels that every series of a target gets.
pub(super) type Public = Arc<[(String, String)]>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for (name, label, metric) in [
            ("a_1", true, true),
            ("a:b", false, true),
            ("1a", false, false),
            ("", false, false),
            ("a.b", false, false),
        ] {
            assert_eq!(is_legacy_label(name), label, "{name}");
            assert_eq!(is_legacy_metric(name), metric, "{name}");
        }
        for (template, fits) in [
            ("$1", true),
            ("a_${1}_b", true),
            ("${1", false),
            ("$", false),
            ("a-$1", false),
        ] {
            assert_eq!(is_legacy_template(template), fits, "{template}");
        }
    }

    #[test]
    fn a_label_that_comes_twice_is_found_and_empty_ones_go() {
        let pairs = [("b", "1"), ("a", ""), ("c", "2")];
        let mut set = LabelSet {
            name: "".into(),
            pairs: pairs.map(|(n, v)| (n.into(), v.into())).to_vec(),
        };
        assert_eq!(set.settle(), None);
        let names: Vec<_> = set.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "c"]);
        set.pairs.push(("b".into(), "3".into()));
        assert_eq!(set.settle(), Some("b"));
    }
}
