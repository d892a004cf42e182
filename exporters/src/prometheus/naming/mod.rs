//! Names: what Prometheus calls a metric and a label.
//!
//! The rules are those of the OpenTelemetry specification's "OTLP to Prometheus" and of the Collector's
//! `translation_strategy`, whose four values are the two flags of a [`Namer`].

mod escaping;
mod units;

#[cfg(test)]
mod tests;

pub(super) use escaping::{Escaping, is_legal};

use units::Suffixes;

/// What a name tells of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    /// A gauge: `_ratio` where its unit is 1.
    Gauge,
    /// A sum that never falls: `_total`.
    Counter,
    /// Anything else.
    Other,
}

/// Translates names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namer {
    /// Whether names end in their unit and their type.
    pub(crate) suffixes: bool,
    /// Whether names stay as they are, legal in the old sense or not.
    pub(crate) utf8: bool,
    /// What stands before every name; empty for nothing.
    pub(crate) namespace: String,
}

impl Namer {
    /// The name of a metric; none where nothing is left of it.
    pub(crate) fn metric(&self, name: &str, unit: &str, sort: Sort) -> Option<String> {
        if self.utf8 {
            return Some(self.kept(name, unit, sort)).filter(|name| !name.is_empty());
        }
        let translated = if self.suffixes {
            self.tokenised(name, unit, sort)
        } else {
            self.cleaned(name)
        };
        let says_something = translated == name || translated.contains(|c| c != '_');
        Some(translated).filter(|name| !name.is_empty() && says_something)
    }

    /// The name of a label; none where nothing is left of it.
    pub(crate) fn label(&self, key: &str) -> Option<String> {
        let translated = if self.utf8 {
            key.to_owned()
        } else {
            let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            let prefix = if key.starts_with(|c: char| c.is_ascii_digit()) {
                "key_"
            } else {
                ""
            };
            prefix.chars().chain(key.chars().map(legal)).collect()
        };
        Some(translated).filter(|name| name.contains(|c| c != '_'))
    }

    /// The name of the family that tells what is known of each resource.
    pub(crate) fn target_info(&self) -> String {
        match self.label(&self.namespace) {
            Some(namespace) => format!("{namespace}_target_info"),
            None => "target_info".to_owned(),
        }
    }

    /// Words of legal characters, the unit and the type among them.
    fn tokenised(&self, name: &str, unit: &str, sort: Sort) -> String {
        let mut words: Vec<&str> = name
            .split(|c| !is_word(c))
            .filter(|word| !word.is_empty())
            .collect();
        let Suffixes { main, per } = Suffixes::of(unit).cleaned();
        let known = |word: &str| word.is_empty() || words.contains(&word);
        let units = [main.as_str(), per.as_str()].map(|word| (!known(word)).then_some(word));
        words.extend(units.into_iter().flatten());
        let last = match sort {
            Sort::Counter => Some("total"),
            Sort::Gauge if unit == "1" => Some("ratio"),
            _ => None,
        };
        if let Some(last) = last {
            words.retain(|word| *word != last);
            words.push(last);
        }
        if !self.namespace.is_empty() {
            words.insert(0, &self.namespace);
        }
        not_a_number(words.join("_"))
    }

    /// Words of legal characters and underscores, and nothing added.
    fn cleaned(&self, name: &str) -> String {
        let clean = |text: &str| {
            let words = text.split(|c| !is_word(c) && c != '_');
            let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
            words.join("_")
        };
        if self.namespace.is_empty() {
            not_a_number(clean(name))
        } else {
            format!("{}_{}", clean(&self.namespace), clean(name))
        }
    }

    /// The name as it is, the unit and the type behind it.
    fn kept(&self, name: &str, unit: &str, sort: Sort) -> String {
        let mut name = if self.namespace.is_empty() {
            name.to_owned()
        } else {
            format!("{}_{name}", self.namespace)
        };
        if !self.suffixes {
            return name;
        }
        let last = match sort {
            Sort::Counter => "total",
            Sort::Gauge if unit == "1" => "ratio",
            _ => "",
        };
        let Suffixes { main, per } = Suffixes::of(unit);
        for suffix in [last, per.as_str()] {
            cut(&mut name, suffix);
        }
        if !name.ends_with(&main) {
            append(&mut name, &main);
        }
        append(&mut name, &per);
        append(&mut name, last);
        name
    }
}

/// The words of a unit, as metadata tells it.
pub(crate) fn unit_words(unit: &str) -> String {
    let Suffixes { mut main, per } = Suffixes::of(unit);
    append(&mut main, &per);
    main
}

/// Takes a suffix off, with the character that parts it from the rest.
fn cut(name: &mut String, suffix: &str) {
    let Some(rest) = name.strip_suffix(suffix) else {
        return;
    };
    let Some((at, _)) = rest.char_indices().next_back() else {
        return;
    };
    if !suffix.is_empty() && at > 0 {
        name.truncate(at);
    }
}

fn append(name: &mut String, suffix: &str) {
    if !suffix.is_empty() {
        name.push('_');
        name.push_str(suffix);
    }
}

/// Whether a character may stand in a word of a metric's name.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// A name that does not begin with a digit.
fn not_a_number(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}
