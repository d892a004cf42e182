//! The keys by which receivers say which files they read, and how.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildError, pattern};
use tidegate_document::{ByteSize, Duration};

use super::encoding::Encoding;
use super::glob::Glob;
use super::order::Selection;
use super::split::Splitter;

/// The shortest fingerprint.
const LEAST_FINGERPRINT: u64 = 16;
/// The longest, which is read again whenever a file changes.
const MOST_FINGERPRINT: u64 = 1 << 20;
/// The largest entry.
const MOST_LOG_SIZE: u64 = 256 << 20;

/// Which files are read, and how.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilesKeys {
    /// Patterns of the paths of the files: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any number of directories.
    #[schemars(length(min = 1))]
    pub(crate) include: Vec<String>,
    /// Patterns of paths of those that are not read.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    /// The age since the last change from which on files are not read.
    #[serde(default)]
    pub(crate) exclude_older_than: Option<Duration>,
    /// Which of several files are read, by what their names say.
    #[serde(default)]
    pub(crate) ordering_criteria: Option<Ordering>,
    /// Where files are read from that are there at the first look: `beginning` or `end`. Files that come later,
    /// or are known from a `storage`, are read on from where they were.
    #[serde(default)]
    pub(crate) start_at: StartAt,
    /// How often is looked for what is new.
    #[serde(default = "poll_interval")]
    pub(crate) poll_interval: Duration,
    /// How many of its first bytes a file is known by, 16 or more.
    #[serde(default = "fingerprint_size")]
    pub(crate) fingerprint_size: ByteSize,
    /// Accepted for the Collector's sake.
    #[serde(default, rename = "initial_buffer_size")]
    #[schemars(extend("x-no-effect" = "buffers grow as they need; remove it"))]
    pub(crate) _initial_buffer_size: Option<ByteSize>,
    /// The size at which an entry ends; what is left of it is the next one.
    #[serde(default = "max_log_size")]
    pub(crate) max_log_size: ByteSize,
    /// How many files are kept open; half of them are read before others have their turn.
    #[serde(default = "max_concurrent_files")]
    #[schemars(range(min = 2))]
    pub(crate) max_concurrent_files: usize,
    /// How many times as many files are read at a look, where there are more; 0 is all.
    #[serde(default)]
    pub(crate) max_batches: usize,
    /// How long a file must not have grown until what has no end yet is an entry; 0 is for ever.
    #[serde(default = "force_flush_period")]
    pub(crate) force_flush_period: Duration,
    /// The encoding of the files: `utf-8`, `utf-8-raw` (not checked), `utf-16le`, `utf-16be`, `ascii`, `nop` (bytes),
    /// or any of the web's, as `windows-1252`, `big5`, `shift_jis`.
    #[serde(default = "encoding")]
    pub(crate) encoding: String,
    /// Tells entries apart that are several lines long.
    #[serde(default)]
    pub(crate) multiline: Option<Multiline>,
    /// Whether white space at the beginning of an entry stays.
    #[serde(default)]
    pub(crate) preserve_leading_whitespaces: bool,
    /// Whether white space at the end of an entry stays.
    #[serde(default)]
    pub(crate) preserve_trailing_whitespaces: bool,
    /// How files are compressed: `gzip`, or `auto` for those that are by gzip and those that are not.
    #[serde(default)]
    pub(crate) compression: Compression,
    /// Adds the name of the file as `log.file.name`.
    #[serde(default = "yes")]
    pub(crate) include_file_name: bool,
    /// Adds its path as `log.file.path`.
    #[serde(default)]
    pub(crate) include_file_path: bool,
    /// Adds its name, links followed, as `log.file.name_resolved`.
    #[serde(default)]
    pub(crate) include_file_name_resolved: bool,
    /// Adds its path, links followed, as `log.file.path_resolved`.
    #[serde(default)]
    pub(crate) include_file_path_resolved: bool,
    /// Adds the name of its owner as `log.file.owner.name`.
    #[serde(default)]
    pub(crate) include_file_owner_name: bool,
    /// Adds the name of its group as `log.file.owner.group.name`.
    #[serde(default)]
    pub(crate) include_file_owner_group_name: bool,
    /// Adds the number of the entry in its file as `log.file.record_number`.
    #[serde(default)]
    pub(crate) include_file_record_number: bool,
    /// Adds where the entry begins in its file as `log.file.record_offset`.
    #[serde(default)]
    pub(crate) include_file_record_offset: bool,
    /// Removes a file once it has been read and what was read is kept; needs `start_at: beginning`.
    #[serde(default)]
    pub(crate) delete_after_read: bool,
    /// Reads a file only while nobody else has it locked.
    #[serde(default)]
    pub(crate) acquire_fs_lock: bool,
    /// Accepted for the Collector's sake.
    #[serde(default, rename = "polls_to_archive")]
    #[schemars(extend("x-no-effect" = "the places in files that are gone are kept anyway; remove it"))]
    pub(crate) _polls_to_archive: usize,
}

/// Where files are read from at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StartAt {
    /// From their beginning.
    Beginning,
    /// From their end: only what is added.
    #[default]
    End,
}

/// How files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    /// They are not.
    #[default]
    #[serde(rename = "")]
    None,
    /// All of them by gzip.
    Gzip,
    /// Those by gzip that begin as its files do.
    Auto,
}

/// `multiline`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Multiline {
    /// The regular expression that the beginning of an entry matches.
    line_start_pattern: Option<String>,
    /// The regular expression that the end of an entry matches.
    line_end_pattern: Option<String>,
    /// Leaves what the expression matches out of the entry.
    omit_pattern: bool,
}

/// `ordering_criteria`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ordering {
    /// A regular expression whose named groups `sort_by` names.
    #[serde(default)]
    pub(crate) regex: Option<String>,
    /// A regular expression; of the files for which its first group is the same, each set is looked at alone.
    #[serde(default)]
    pub(crate) group_by: Option<String>,
    /// How many of them are read.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub(crate) top_n: usize,
    /// By what they are put in order, one after the other; among equals the order before holds.
    #[schemars(length(min = 1))]
    pub(crate) sort_by: Vec<SortBy>,
}

const fn one() -> usize {
    1
}

/// One of `sort_by`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SortBy {
    /// What is compared.
    pub(crate) sort_type: SortType,
    /// The named group of `regex` that has it; not for `mtime`.
    #[serde(default)]
    pub(crate) regex_key: Option<String>,
    /// Whether the least comes first.
    #[serde(default)]
    pub(crate) ascending: bool,
    /// For `timestamp`, how it is written, as `%Y%m%d`.
    #[serde(default)]
    pub(crate) layout: Option<String>,
    /// For `timestamp`, its time zone; UTC unless told.
    #[serde(default)]
    pub(crate) location: Option<String>,
}

/// What files are put in order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SortType {
    /// A number in their names.
    Numeric,
    /// A text in their names.
    Alphabetical,
    /// A time in their names.
    Timestamp,
    /// The time of their last change.
    Mtime,
}

const fn poll_interval() -> Duration {
    Duration::from_millis(200)
}

const fn fingerprint_size() -> ByteSize {
    ByteSize(1000)
}

const fn max_log_size() -> ByteSize {
    ByteSize::mib(1)
}

const fn max_concurrent_files() -> usize {
    1024
}

const fn force_flush_period() -> Duration {
    Duration::from_millis(500)
}

fn encoding() -> String {
    "utf-8".to_owned()
}

const fn yes() -> bool {
    true
}

/// The keys, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) include: Vec<Glob>,
    pub(crate) exclude: Vec<Glob>,
    pub(crate) selection: Option<Selection>,
    pub(crate) encoding: Encoding,
    pub(crate) splitter: Splitter,
    pub(crate) keys: FilesKeys,
}

fn globs(patterns: &[String], key: &str) -> Result<Vec<Glob>, BuildError> {
    let patterns = patterns.iter().enumerate();
    patterns
        .map(|(at, text)| {
            Glob::parse(text).map_err(|why| BuildError::at(format!("{key}::{at}"), why))
        })
        .collect()
}

impl FilesKeys {
    /// Checks the keys.
    pub(crate) fn settings(&self) -> Result<Settings, BuildError> {
        let fingerprint = self.fingerprint_size.0;
        if !(LEAST_FINGERPRINT..=MOST_FINGERPRINT).contains(&fingerprint) {
            return Err(BuildError::at(
                "fingerprint_size",
                "must lie between 16 bytes and 1MiB",
            ));
        }
        if !(1..=MOST_LOG_SIZE).contains(&self.max_log_size.0) {
            return Err(BuildError::at(
                "max_log_size",
                "must lie between 1 byte and 256MiB",
            ));
        }
        if self.poll_interval.is_zero() {
            let error = BuildError::at("poll_interval", "must be more than zero");
            return Err(error.remedy("write for example `200ms`"));
        }
        if self.delete_after_read && self.start_at == StartAt::End {
            let message = "files whose end alone is read would be removed unread";
            return Err(
                BuildError::at("delete_after_read", message).remedy("write `start_at: beginning`")
            );
        }
        let encoding = Encoding::named(&self.encoding, "encoding")?;
        Ok(Settings {
            include: globs(&self.include, "include")?,
            exclude: globs(&self.exclude, "exclude")?,
            selection: self
                .ordering_criteria
                .as_ref()
                .map(Ordering::selection)
                .transpose()?,
            splitter: self.splitter(encoding)?,
            encoding,
            keys: self.clone(),
        })
    }

    fn splitter(&self, encoding: Encoding) -> Result<Splitter, BuildError> {
        match &self.multiline {
            Some(multiline) => multiline.splitter(encoding, "multiline"),
            None => Ok(Splitter::plain(encoding)),
        }
    }
}

impl Multiline {
    /// How entries are told apart; `path` is the key that says it.
    pub(crate) fn splitter(&self, encoding: Encoding, path: &str) -> Result<Splitter, BuildError> {
        if matches!(encoding, Encoding::Utf16 { .. }) {
            let error = BuildError::at(path, "`multiline` for UTF-16 is not built");
            return Err(error.remedy("join lines by the operator `recombine`"));
        }
        let compile = |text: &str, key: &str| {
            let pattern = pattern::compile(&format!("(?m){text}"));
            pattern.map_err(|why| BuildError::at(format!("{path}::{key}"), why))
        };
        let omit = self.omit_pattern;
        match (&self.line_start_pattern, &self.line_end_pattern) {
            (Some(text), None) => {
                let pattern = compile(text, "line_start_pattern")?;
                Ok(Splitter::Starts { pattern, omit })
            }
            (None, Some(text)) => {
                let pattern = compile(text, "line_end_pattern")?;
                Ok(Splitter::Ends { pattern, omit })
            }
            _ => {
                let message = "needs either `line_start_pattern` or `line_end_pattern`";
                Err(BuildError::at(path, message))
            }
        }
    }
}
