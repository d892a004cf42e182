//! Which devices, interfaces, processes and file systems are looked at.

use regex::RegexSet;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

/// How names are compared.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum MatchType {
    /// Whole and exact.
    Strict,
    /// By a pattern that is found anywhere in the name.
    Regexp,
}

/// `regexp`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cache {
    /// Accepted and without effect.
    #[serde(rename = "cacheenabled")]
    _enabled: bool,
    /// Accepted and without effect.
    #[serde(rename = "cachemaxnumentries")]
    _max_entries: u64,
}

/// Declares the keys of a list of names, under the name that the list has.
macro_rules! names {
    ($(#[$meta:meta])* $name:ident, $list:ident, $about:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name {
            #[doc = $about]
            $list: Vec<String>,
            /// How they are compared: must be told where there are any.
            match_type: Option<MatchType>,
            /// A cache of the results of patterns.
            #[serde(rename = "regexp")]
            #[schemars(extend("x-no-effect" = "patterns are matched in one pass without a cache; remove it"))]
            _cache: Option<Cache>,
        }

        impl $name {
            /// What it matches; none where it names nothing. `path` is its key.
            pub(super) fn names(&self, path: &str) -> Result<Option<Names>, BuildError> {
                Names::new(&self.$list, self.match_type, path, stringify!($list))
            }
        }
    };
}

names!(
    /// Devices by their names.
    Devices, devices, "The names of devices."
);
names!(
    /// Network interfaces by their names.
    Interfaces, interfaces, "The names of network interfaces."
);
names!(
    /// Processes by the names of their executables.
    Processes, names, "The names of executables."
);
names!(
    /// File systems by their types.
    FsTypes, fs_types, "Types of file systems."
);
names!(
    /// File systems by where they are mounted.
    MountPoints, mount_points, "Mount points."
);

/// A set of names.
#[derive(Clone, Debug)]
pub(crate) enum Names {
    Strict(Vec<String>),
    Regexp(RegexSet),
}

impl Names {
    fn new(
        list: &[String],
        how: Option<MatchType>,
        path: &str,
        key: &str,
    ) -> Result<Option<Self>, BuildError> {
        if list.is_empty() {
            return Ok(None);
        }
        match how {
            Some(MatchType::Strict) => Ok(Some(Self::Strict(list.to_vec()))),
            Some(MatchType::Regexp) => match RegexSet::new(list) {
                Ok(set) => Ok(Some(Self::Regexp(set))),
                Err(error) => {
                    let text = error.to_string();
                    let why = text.lines().last().unwrap_or_default().trim();
                    let why = why.strip_prefix("error: ").unwrap_or(why);
                    let message = format!("no regular expression: {why}");
                    Err(BuildError::at(format!("{path}::{key}"), message))
                }
            },
            None => Err(
                BuildError::at(path, format!("`{key}` without a `match_type`"))
                    .remedy("write \"match_type: strict\" or \"match_type: regexp\" beside it"),
            ),
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::Strict(list) => list.iter().any(|one| one == name),
            Self::Regexp(set) => set.is_match(name),
        }
    }
}

/// What is included, unless it is excluded.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) include: Option<Names>,
    pub(super) exclude: Option<Names>,
}

impl Filter {
    /// Whether it takes a name.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|names| names.has(name))
            && !self.exclude.as_ref().is_some_and(|names| names.has(name))
    }
}

/// A filter on a resource's attribute: `strict` or `regexp`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ValueKeys {
    /// The exact value.
    strict: Option<String>,
    /// A pattern that is found anywhere in the value.
    regexp: Option<String>,
}

/// What a list of filters on a value matches; none where it is empty.
pub(crate) fn values(list: &[ValueKeys], path: &str) -> Result<Option<Vec<Names>>, BuildError> {
    if list.is_empty() {
        return Ok(None);
    }
    let one = |(at, keys): (usize, &ValueKeys)| {
        let path = format!("{path}::{at}");
        let (value, how, key) = match (&keys.strict, &keys.regexp) {
            (Some(value), None) => (value, MatchType::Strict, "strict"),
            (None, Some(pattern)) => (pattern, MatchType::Regexp, "regexp"),
            _ => {
                return Err(
                    BuildError::at(path, "one of `strict` and `regexp` is needed")
                        .remedy("write one of them, with a value"),
                );
            }
        };
        let names = Names::new(std::slice::from_ref(value), Some(how), &path, key)?;
        names.ok_or_else(|| BuildError::at(path, "nothing to compare with"))
    };
    let all = list.iter().enumerate().map(one);
    Ok(Some(all.collect::<Result<_, _>>()?))
}

/// Whether one of several filters matches.
pub(crate) fn any(names: &[Names], value: &str) -> bool {
    names.iter().any(|names| names.has(value))
}
