//! What entries are told of the file that they come from.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use tidegate_pdata::compose::{Fields, log_record};

use super::config::FilesKeys;
use crate::operators::{Map, Text, Value, attributes};

/// The attributes that all entries of a file have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    pub(crate) map: Map,
    /// The same, encoded as attributes of a record.
    pub(crate) encoded: Vec<u8>,
    /// The path of the file.
    pub(crate) path: Option<Arc<str>>,
}

impl Labels {
    /// What the keys want told of a file, after what is told of all.
    pub(crate) fn of(
        keys: &FilesKeys,
        own: &Map,
        path: &Path,
        metadata: Option<&Metadata>,
    ) -> Self {
        let mut map = own.clone();
        let mut add = |key: &'static str, value: Arc<str>| {
            map.insert(Text::Static(key), Value::Str(Text::Shared(value)));
        };
        let name = |path: &Path| -> Arc<str> {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into()
        };
        let whole: Arc<str> = path.to_string_lossy().into();
        if keys.include_file_name {
            add("log.file.name", name(path));
        }
        if keys.include_file_path {
            add("log.file.path", Arc::clone(&whole));
        }
        if keys.include_file_name_resolved || keys.include_file_path_resolved {
            let resolved = path.canonicalize();
            let resolved = resolved.as_deref().unwrap_or(path);
            if keys.include_file_name_resolved {
                add("log.file.name_resolved", name(resolved));
            }
            if keys.include_file_path_resolved {
                add("log.file.path_resolved", resolved.to_string_lossy().into());
            }
        }
        if let Some(metadata) = metadata {
            if keys.include_file_owner_name {
                let owner = named("/etc/passwd", metadata.uid());
                add("log.file.owner.name", owner.into());
            }
            if keys.include_file_owner_group_name {
                let group = named("/etc/group", metadata.gid());
                add("log.file.owner.group.name", group.into());
            }
        }
        Self::with(map, whole)
    }

    /// The same with more attributes, as those of a header.
    pub(crate) fn and(&self, more: Map) -> Self {
        let mut map = self.map.clone();
        map.merge(more);
        Self::with(map, self.path.clone().unwrap_or_default())
    }

    fn with(map: Map, path: Arc<str>) -> Self {
        let mut fields = Fields::new();
        attributes(&mut fields, log_record::ATTRIBUTES, &map);
        Self {
            map,
            encoded: fields.bytes().to_vec(),
            path: Some(path),
        }
    }
}

/// The name of a user or a group, by a table as `/etc/passwd`; the number where it has none.
fn named(table: &str, number: u32) -> String {
    let table = std::fs::read_to_string(table).unwrap_or_default();
    let number = number.to_string();
    let found = table.lines().find_map(|line| {
        let mut cells = line.split(':');
        let name = cells.next()?;
        (cells.nth(1)? == number).then(|| name.to_owned())
    });
    found.unwrap_or(number)
}
