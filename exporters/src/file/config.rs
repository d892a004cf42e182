//! The keys of `file`.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use tidegate_component::BuildError;
use tidegate_document::Duration;

use super::message::Format;
use super::rotation::Rotation;

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// They are not.
    #[default]
    #[serde(rename = "")]
    None,
    /// Each message is a frame of its own.
    Zstd,
}

/// When a file is set aside for a new one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RotationKeys {
    /// The size, in MiB, that no file passes unless a single message does; 0 means 100.
    pub max_megabytes: u32,
    /// Days after which a file that was set aside is removed; 0 keeps it.
    pub max_days: u32,
    /// Files set aside that are kept; 0 keeps all.
    pub max_backups: u32,
    /// Names files that are set aside by local time instead of UTC.
    pub localtime: bool,
}

impl Default for RotationKeys {
    fn default() -> Self {
        Self {
            max_megabytes: 100,
            max_days: 0,
            max_backups: 100,
            localtime: false,
        }
    }
}

/// Files apart by an attribute of the resource.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupBy {
    /// Whether the `*` in `path` stands for an attribute of the resource.
    pub enabled: bool,
    /// The attribute; what has none, or one that is no text, is rejected and counted.
    pub resource_attribute: String,
    /// Files open at a time; the one that was not written to for longest is closed.
    #[schemars(range(min = 1))]
    pub max_open_files: usize,
}

impl Default for GroupBy {
    fn default() -> Self {
        Self {
            enabled: false,
            resource_attribute: "fileexporter.path_segment".to_owned(),
            max_open_files: 100,
        }
    }
}

/// Writes telemetry to a file: OTLP/JSON, a request a line, or OTLP protobuf, each request
/// after its length in four bytes, the highest first. A request is in the file before it counts
/// as delivered; one that the disk did not take in full leaves nothing behind and is tried again.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The file; with `group_by`, one `*` in it stands for the attribute.
    pub path: String,
    /// Adds to a file that is there, instead of emptying it at the start.
    pub append: bool,
    /// Sets the file aside when it is full; written without keys, at 100 MiB. Adds to a file
    /// that is there.
    #[serde(deserialize_with = "present")]
    pub rotation: Option<RotationKeys>,
    /// How requests are written: json or proto.
    pub format: Format,
    /// Not built: an encoding extension instead of `format`.
    pub encoding: Option<String>,
    /// Compresses each request by itself: zstd. It then stands after its length, JSON too.
    pub compression: Compression,
    /// Accepted and without effect: every request is written at once.
    pub flush_interval: Duration,
    /// Writes to a file for each value of a resource attribute.
    pub group_by: GroupBy,
    /// Makes the folder of `path` at the start; with `group_by`, folders are always made.
    pub create_directory: bool,
    /// The permissions of folders that are made, in octal digits, less the process's umask;
    /// "0755" unless told.
    pub directory_permissions: Option<String>,
}

/// A section that is written, if with no key, is there.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<RotationKeys>, D::Error> {
    let keys = Option::<RotationKeys>::deserialize(from)?;
    Ok(Some(keys.unwrap_or_default()))
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To one file.
    One(PathBuf),
    /// To a file for each value of an attribute.
    Grouped {
        before: String,
        after: String,
        attribute: String,
        most_open: usize,
    },
}

/// The keys, checked.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) place: Place,
    pub(super) format: Format,
    pub(super) zstd: bool,
    pub(super) append: bool,
    pub(super) rotation: Option<Rotation>,
    /// The permissions of folders, where they are to be made.
    pub(super) directories: Option<u32>,
}

impl Config {
    /// Checks the keys.
    pub(super) fn settings(&self) -> Result<Settings, BuildError> {
        if self.path.is_empty() {
            return Err(BuildError::at("path", "there is no path")
                .remedy("write the file to write to, as `./telemetry.json`"));
        }
        if self.encoding.is_some() {
            return Err(
                BuildError::at("encoding", "encoding extensions are not built")
                    .remedy("take the key out and write `format: json` or `format: proto`"),
            );
        }
        let beside = |key: &str| {
            BuildError::at("append", format!("does not go with `{key}`"))
                .remedy("take one of the two out")
        };
        if self.append && self.compression == Compression::Zstd {
            return Err(beside("compression"));
        }
        if self.append && self.rotation.is_some() {
            return Err(beside("rotation").remedy(
                "take `append` out: a file with `rotation` is added to, unless it is full",
            ));
        }
        let place = self.place()?;
        let grouped = matches!(place, Place::Grouped { .. });
        if grouped && self.rotation.is_some() {
            tracing::warn!("rotation does nothing beside group_by");
        }
        let rotation = self.rotation.as_ref().filter(|_| !grouped);
        Ok(Settings {
            place,
            format: self.format,
            zstd: self.compression == Compression::Zstd,
            append: self.append,
            rotation: rotation.map(Rotation::new),
            directories: self.directories(grouped)?,
        })
    }

    fn place(&self) -> Result<Place, BuildError> {
        let group = &self.group_by;
        if !group.enabled {
            return Ok(Place::One(Path::new(&self.path).to_owned()));
        }
        let fault = |what: &str| {
            Err(BuildError::at("path", what).remedy("write it as `./telemetry/*.json`"))
        };
        let Some((before, after)) = self.path.split_once('*') else {
            return fault("has no `*` that stands for the attribute of `group_by`");
        };
        if after.contains('*') {
            return fault("has more than one `*`");
        }
        if before.is_empty() {
            return fault("begins with `*`, so that values could name any file");
        }
        if group.resource_attribute.is_empty() {
            let key = "group_by::resource_attribute";
            return Err(BuildError::at(key, "names no attribute"));
        }
        Ok(Place::Grouped {
            before: before.to_owned(),
            after: after.to_owned(),
            attribute: group.resource_attribute.clone(),
            most_open: group.max_open_files,
        })
    }

    fn directories(&self, grouped: bool) -> Result<Option<u32>, BuildError> {
        let key = "directory_permissions";
        let written = self.directory_permissions.as_deref();
        let written = written.filter(|text| !text.is_empty());
        if written.is_some() && !self.create_directory {
            return Err(BuildError::at(key, "does nothing alone")
                .remedy("write `create_directory: true` beside it"));
        }
        let text = written.unwrap_or("0755");
        let mode = u32::from_str_radix(text, 8).ok();
        let Some(mode) = mode.filter(|mode| mode & !0o777 == 0) else {
            let message = format!("\"{text}\" are no permissions in octal digits");
            return Err(BuildError::at(key, message).remedy("write them as \"0755\""));
        };
        Ok((self.create_directory || grouped).then_some(mode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::testing::config;

    fn fault(yaml: &str) -> String {
        let error = config::<Config>(yaml).settings().unwrap_err();
        format!("{}: {error}", error.path)
    }

    #[test]
    fn defaults_are_the_collectors() {
        let settings = config::<Config>("path: a.json").settings().unwrap();
        assert_eq!(settings.place, Place::One("a.json".into()));
        assert_eq!((settings.format, settings.zstd), (Format::Json, false));
        assert!(!settings.append && settings.rotation.is_none());
        assert_eq!(settings.directories, None);
    }

    #[test]
    fn section_without_keys_rotates() {
        let settings = config::<Config>("{path: a, rotation: }").settings();
        let expected = Rotation::new(&RotationKeys::default());
        assert_eq!(settings.unwrap().rotation, Some(expected));
    }

    #[test]
    fn empty_compression_is_none() {
        let settings = config::<Config>("{path: a, compression: ''}").settings();
        assert!(!settings.unwrap().zstd);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        for (yaml, told) in [
            ("{}", "path: there is no path"),
            ("{path: a, encoding: x}", "encoding: encoding extensions"),
            (
                "{path: a, append: true, compression: zstd}",
                "append: does not go with `compression`",
            ),
            (
                "{path: a, append: true, rotation: {}}",
                "append: does not go with `rotation`",
            ),
            ("{path: a, group_by: {enabled: true}}", "path: has no `*`"),
            (
                "{path: a/*/*, group_by: {enabled: true}}",
                "path: has more than one `*`",
            ),
            (
                "{path: '*', group_by: {enabled: true}}",
                "path: begins with `*`",
            ),
            (
                "{path: a/*, group_by: {enabled: true, resource_attribute: ''}}",
                "group_by::resource_attribute: names no attribute",
            ),
            (
                "{path: a, directory_permissions: '0755'}",
                "directory_permissions: does nothing alone",
            ),
            (
                "{path: a, create_directory: true, directory_permissions: '0799'}",
                "directory_permissions: \"0799\" are no permissions",
            ),
            (
                "{path: a, create_directory: true, directory_permissions: '7777'}",
                "directory_permissions: \"7777\" are no permissions",
            ),
        ] {
            let found = fault(yaml);
            assert!(found.starts_with(told), "{yaml}: {found}");
        }
    }
}
