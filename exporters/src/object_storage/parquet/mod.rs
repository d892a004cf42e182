//! Parquet: one wide row for each span, log record or data point.
//!
//! ```text
//! payload ─▶ Rows: where each record lies, its service, its time
//!                └─ a row group is full ─▶ sorted ─▶ Columns ─▶ zstd pages of the file
//! ```
//!
//! Rows point into the bytes as they came; cells are filled from views when a row group is
//! written, so nothing is decoded into records and sorting moves no data. `docs/lake.md` describes
//! the schema. Its version is in the metadata of every file; a later version only adds columns.

mod attributes;
mod columns;
mod file;
mod leftover;
mod logs;
mod metrics;
mod origin;
mod points;
mod promoted;
mod rows;
mod spans;
mod table;

#[cfg(test)]
mod rebuild;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use columns::IdFormat;
pub(super) use file::{Encoders, ParquetFile};
pub(super) use origin::service_name;
pub use promoted::ColumnType;
pub(super) use rows::{Place, Source, walk};
pub(super) use table::Table;

/// The version of the schema, in every file under `tidegate.schema`.
pub(super) const SCHEMA_VERSION: &str = "1";

/// The names of the columns of all tables.
pub(super) fn column_names(settings: &Settings) -> BTreeSet<String> {
    let schemas = Table::ALL.into_iter().filter_map(|table| {
        let batch = table::TableColumns::new(table, settings).finish();
        batch.ok().map(|batch| batch.schema())
    });
    schemas
        .flat_map(|schema| {
            let fields = schema.fields().iter();
            fields.map(|field| field.name().clone()).collect::<Vec<_>>()
        })
        .collect()
}

/// What users may say about the files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Settings {
    /// How IDs are written.
    pub(super) ids: IdFormat,
    /// Attributes with a column of their own.
    pub(super) columns: Vec<(String, ColumnType)>,
    /// zstd's level; none leaves pages uncompressed.
    pub(super) zstd: Option<i32>,
    /// Rows of a row group.
    pub(super) row_group_rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ids: IdFormat::Hex,
            columns: Vec::new(),
            zstd: Some(1),
            row_group_rows: 1 << 17,
        }
    }
}
