//! Reading only some of the files that are found: those that come first by what their names say.

use std::cmp::Ordering as Order;
use std::collections::BTreeMap;

use regex::bytes::Regex;
use tidegate_component::{BuildError, pattern};

use super::config::{Ordering, SortBy, SortType};
use super::find::Found;
use crate::operators::TextTime;

/// How files are put in order, and how many of them are read.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    regex: Option<Regex>,
    group: Option<Regex>,
    most: usize,
    sorts: Vec<Sort>,
}

#[derive(Clone, Debug)]
struct Sort {
    by: By,
    key: String,
    ascending: bool,
}

#[derive(Clone, Debug)]
enum By {
    Number,
    Text,
    Time(TextTime),
    Modified,
}

/// What a file is compared by.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(f64),
    Text(Vec<u8>),
    Time(i128),
}

impl Value {
    fn compare(&self, other: &Self) -> Order {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            _ => Order::Equal,
        }
    }
}

impl Ordering {
    /// Checks the keys.
    pub(crate) fn selection(&self) -> Result<Selection, BuildError> {
        let at = |key: &str| format!("ordering_criteria::{key}");
        let compile = |text: &Option<String>, key: &str| {
            let compiled = text.as_deref().map(pattern::compile).transpose();
            compiled.map_err(|why| BuildError::at(at(key), why))
        };
        let regex = compile(&self.regex, "regex")?;
        let names: Vec<&str> = regex
            .iter()
            .flat_map(Regex::capture_names)
            .flatten()
            .collect();
        let mut sorts = Vec::new();
        for (index, keys) in self.sort_by.iter().enumerate() {
            sorts.push(keys.sort(&names, &at(&format!("sort_by::{index}")))?);
        }
        let group = compile(&self.group_by, "group_by")?;
        if group.as_ref().is_some_and(|group| group.captures_len() < 2) {
            let error = BuildError::at(at("group_by"), "the regular expression has no group");
            return Err(
                error.remedy("put what is the same for files that belong together in brackets")
            );
        }
        Ok(Selection {
            regex,
            group,
            most: self.top_n,
            sorts,
        })
    }
}

impl SortBy {
    fn sort(&self, names: &[&str], path: &str) -> Result<Sort, BuildError> {
        let key = self.regex_key.clone().unwrap_or_default();
        if self.sort_type != SortType::Mtime && !names.contains(&key.as_str()) {
            let message = format!("no group of `regex` has the name {key:?}");
            return Err(BuildError::at(format!("{path}::regex_key"), message)
                .remedy("name it there as in `(?P<date>\\d+)`"));
        }
        let by = match self.sort_type {
            SortType::Numeric => By::Number,
            SortType::Alphabetical => By::Text,
            SortType::Mtime => By::Modified,
            SortType::Timestamp => {
                let layout = self.layout.as_deref().unwrap_or_default();
                let location = self.location.as_deref().unwrap_or("UTC");
                By::Time(TextTime::build(layout, location, path)?)
            }
        };
        Ok(Sort {
            by,
            key,
            ascending: self.ascending,
        })
    }
}

impl Selection {
    /// The files that come first, of each set of them; those whose names say too little are left out.
    pub(crate) fn select(&self, found: Vec<Found>) -> Vec<Found> {
        let mut groups: BTreeMap<Vec<u8>, Vec<(Vec<Value>, Found)>> = BTreeMap::new();
        for file in found {
            let path = file.path.to_string_lossy().into_owned();
            let group = match &self.group {
                None => Some(Vec::new()),
                Some(group) => {
                    let captures = group.captures(path.as_bytes());
                    captures.and_then(|captures| Some(captures.get(1)?.as_bytes().to_vec()))
                }
            };
            let values = self.values(&path, &file);
            if let (Some(group), Some(values)) = (group, values) {
                groups.entry(group).or_default().push((values, file));
            }
        }
        let mut selected = Vec::new();
        for mut files in groups.into_values() {
            for (at, sort) in self.sorts.iter().enumerate() {
                files.sort_by(|(a, _), (b, _)| {
                    let order = a[at].compare(&b[at]);
                    if sort.ascending {
                        order
                    } else {
                        order.reverse()
                    }
                });
            }
            selected.extend(files.into_iter().take(self.most).map(|(_, file)| file));
        }
        selected
    }

    /// What a file is compared by; none where its name does not say all of it.
    fn values(&self, path: &str, file: &Found) -> Option<Vec<Value>> {
        let captures = match &self.regex {
            Some(regex) => Some(regex.captures(path.as_bytes())?),
            None => None,
        };
        let value = |sort: &Sort| {
            let text = captures
                .as_ref()
                .and_then(|captures| captures.name(&sort.key));
            let text = text.map(|text| text.as_bytes());
            match &sort.by {
                By::Modified => Some(Value::Time(file.about.modified)),
                By::Text => Some(Value::Text(text?.to_vec())),
                By::Number => {
                    let number = std::str::from_utf8(text?).ok()?.parse();
                    number.ok().map(Value::Number)
                }
                By::Time(time) => {
                    let time = time.read(std::str::from_utf8(text?).ok()?)?;
                    Some(Value::Time(i128::from(time)))
                }
            }
        };
        self.sorts.iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::find::About;
    use super::*;

    fn select(yaml: &str, names: &[&str]) -> Vec<String> {
        let node = tidegate_document::yaml::parse_str(yaml).unwrap();
        let keys: Ordering = tidegate_document::read(&node).unwrap();
        let files = names.iter().zip(0..).map(|(name, modified)| Found {
            path: name.into(),
            about: About {
                device: 1,
                inode: 1,
                size: 1,
                modified,
            },
        });
        let selection = keys
            .selection()
            .unwrap_or_else(|error| panic!("{yaml}: {error}"));
        let selected = selection.select(files.collect());
        selected
            .iter()
            .map(|file| file.path.display().to_string())
            .collect()
    }

    #[test]
    fn the_first_by_number_text_time_or_change_are_read() {
        let names = [
            "a.20240102.9.log",
            "a.20240103.10.log",
            "b.20231231.1.log",
            "other",
        ];
        let regex = r"regex: '^(?P<app>\w)\.(?P<date>\d+)\.(?P<n>\d+)\.log$'";
        let one = |sort: &str| select(&format!("{{{regex}, sort_by: [{{{sort}}}]}}"), &names);
        assert_eq!(one("sort_type: numeric, regex_key: n"), [names[1]]);
        assert_eq!(
            one("sort_type: numeric, regex_key: n, ascending: true"),
            [names[2]]
        );
        assert_eq!(
            one("sort_type: alphabetical, regex_key: app, ascending: true"),
            [names[0]]
        );
        assert_eq!(
            one("sort_type: timestamp, regex_key: date, layout: '%Y%m%d'"),
            [names[1]]
        );
        assert_eq!(select("{sort_by: [{sort_type: mtime}]}", &names), ["other"]);
        let grouped = format!(
            "{{{regex}, group_by: '^(\\w)', top_n: 1, sort_by: [{{sort_type: numeric, regex_key: n}}]}}"
        );
        assert_eq!(select(&grouped, &names), [names[1], names[2]]);
        let two = format!(
            "{{{regex}, top_n: 2, sort_by: [{{sort_type: numeric, regex_key: n}}, {{sort_type: alphabetical, regex_key: app, ascending: true}}]}}"
        );
        assert_eq!(select(&two, &names), [names[1], names[0]]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let fault = |yaml: &str| {
            let node = tidegate_document::yaml::parse_str(yaml).unwrap();
            let keys: Ordering = tidegate_document::read(&node).unwrap();
            keys.selection().unwrap_err().path
        };
        assert_eq!(
            fault("{regex: '(', sort_by: [{sort_type: mtime}]}"),
            "ordering_criteria::regex"
        );
        assert_eq!(
            fault("{sort_by: [{sort_type: numeric, regex_key: n}]}"),
            "ordering_criteria::sort_by::0::regex_key"
        );
        assert_eq!(
            fault("{group_by: a, sort_by: [{sort_type: mtime}]}"),
            "ordering_criteria::group_by"
        );
        let time =
            "{regex: '(?P<d>.)', sort_by: [{sort_type: timestamp, regex_key: d, layout: '%Q'}]}";
        assert_eq!(fault(time), "ordering_criteria::sort_by::0::layout");
    }
}
