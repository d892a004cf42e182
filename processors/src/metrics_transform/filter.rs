//! To which metrics and points a transform applies.

use std::collections::BTreeMap;

use regex::bytes::Regex;
use tidegate_component::{BuildError, pattern};
use tidegate_pdata::view::Attributes;

use crate::matching::MatchType;
use crate::message::{Arena, text_of};
use crate::metric::Metric;

/// A text or a pattern.
enum Wanted {
    Text(Box<str>),
    Pattern(Regex),
}

impl Wanted {
    fn new(text: &str, kind: MatchType, path: &str) -> Result<Self, BuildError> {
        Ok(match kind {
            MatchType::Strict => Self::Text(text.into()),
            MatchType::Regexp => Self::Pattern(pattern::compile(text).map_err(|fault| {
                BuildError::at(path, fault).remedy("write a regular expression")
            })?),
        })
    }

    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Text(wanted) => wanted.as_bytes() == text,
            Self::Pattern(wanted) => wanted.is_match(text),
        }
    }
}

pub(super) struct Filter {
    name: Wanted,
    labels: Vec<(Box<str>, Wanted)>,
}

/// How many points of a metric match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matched {
    None,
    Some,
    All,
}

impl Filter {
    pub(super) fn new(
        name: &str,
        labels: &BTreeMap<String, String>,
        kind: MatchType,
        path: &str,
    ) -> Result<Self, BuildError> {
        let labels = labels.iter().map(|(label, value)| {
            let path = format!("{path}::experimental_match_labels::{label}");
            Ok((label.as_str().into(), Wanted::new(value, kind, &path)?))
        });
        Ok(Self {
            labels: labels.collect::<Result<_, _>>()?,
            name: Wanted::new(name, kind, &format!("{path}::include"))?,
        })
    }

    /// Whether a point matches, by its labels.
    pub(super) fn matches_point(&self, attributes: Attributes<'_>) -> bool {
        self.labels
            .iter()
            .all(|(label, wanted)| wanted.matches(text_of(attributes, label).unwrap_or_default()))
    }

    /// How many points of a metric match; all of one that has none.
    pub(super) fn matches(&self, metric: &mut Metric<'_>, arena: &Arena) -> Matched {
        if !self.name.matches(&metric.name) {
            return Matched::None;
        }
        if self.labels.is_empty() {
            return Matched::All;
        }
        let field = metric.attributes_field();
        let points = metric.points().iter();
        let matching = points
            .filter(|point| self.matches_point(Attributes::new(arena.get(point), field)))
            .count();
        match metric.points().len() {
            all if all == matching => Matched::All,
            _ if matching == 0 => Matched::None,
            _ => Matched::Some,
        }
    }

    /// A name with what the groups of the pattern matched in another.
    pub(super) fn expand(&self, template: &str, name: &[u8]) -> Option<Vec<u8>> {
        let Wanted::Pattern(pattern) = &self.name else {
            return None;
        };
        let captures = pattern.captures(name)?;
        let mut expanded = Vec::new();
        captures.expand(template.as_bytes(), &mut expanded);
        (!expanded.is_empty()).then_some(expanded)
    }

    /// What the groups of the pattern match in a name, each with its own name, or as `$1` without one.
    pub(super) fn groups<'n>(&self, name: &'n [u8]) -> Vec<(String, &'n [u8])> {
        let Wanted::Pattern(pattern) = &self.name else {
            return Vec::new();
        };
        let Some(captures) = pattern.captures(name) else {
            return Vec::new();
        };
        let named = pattern.capture_names().enumerate().skip(1);
        let groups = named.filter_map(|(at, group)| {
            let matched = captures.get(at)?.as_bytes();
            let name = group.map_or_else(|| format!("${at}"), str::to_owned);
            (!matched.is_empty()).then_some((name, matched))
        });
        groups.collect()
    }
}
