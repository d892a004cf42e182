//! The keys of `object_storage`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::{ByteSize, Duration, layered};

use super::lake::{Format, Plan, Roll};
use super::layout::{Element, Layout, Naming, PartitionTime};
use super::lines::{Compression as LineCompression, LineFormat};
use super::parquet::{ColumnType, IdFormat, Settings, column_names};
use super::store::Stores;

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Parquet: typed columns, a row for each record.
    #[default]
    Parquet,
    /// OTLP/JSON, a request each line.
    OtlpJson,
    /// OTLP protobuf: one request.
    OtlpProto,
}

/// How objects are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of whole objects; not for Parquet.
    Gzip,
    /// zstd, of whole objects or of Parquet's pages.
    Zstd,
}

/// What a partition is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartitionBy {
    /// The day, as `date=2026-11-21`.
    Date,
    /// The hour, as `hour=20`.
    Hour,
    /// The minute, as `minute=07`.
    Minute,
    /// The service, as `service=checkout`.
    Service,
}

/// When an object is closed and put into the store, whichever comes first.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollKeys {
    /// The size that an object reaches, about.
    pub max_size: ByteSize,
    /// The rows that an object reaches; 0 sets no limit.
    pub max_rows: usize,
    /// How long the first record of an object waits.
    pub max_age: Duration,
}

impl Default for RollKeys {
    fn default() -> Self {
        Self {
            max_size: ByteSize::mib(128),
            max_rows: 0,
            max_age: Duration::from_secs(300),
        }
    }
}

/// The keys beside those of the stores.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Where objects go: a directory, `s3://bucket/prefix`, `gs://bucket/prefix` or
    /// `az://container/prefix`.
    pub url: String,
    /// How records are written: parquet, otlp_json or otlp_proto.
    pub format: FileFormat,
    /// How objects are compressed: zstd for Parquet, else not at all, unless told.
    pub compression: Option<Compression>,
    /// The level of the compression; 1 for Parquet's zstd, else the usual, unless told.
    pub compression_level: Option<i32>,
    /// What partitions are made of, in this order, behind the signal.
    pub partition_by: Vec<PartitionBy>,
    /// Which clock partitions go by: record or arrival.
    pub partition_time: PartitionTime,
    /// When an object is closed.
    pub roll: RollKeys,
    /// Rows of a row group of Parquet; they are sorted by service and time.
    #[schemars(range(min = 1))]
    pub row_group_rows: usize,
    /// How Parquet holds IDs: hex or binary.
    pub ids: IdFormat,
    /// Attributes of records, or else of their resources, that have a typed column of their own
    /// in Parquet: string, int64, double or bool.
    pub columns: BTreeMap<String, ColumnType>,
    /// Bytes that are held before objects are closed early.
    pub max_buffer: ByteSize,
    /// Objects that are filled at a time before the oldest are closed early.
    #[schemars(range(min = 1))]
    pub max_open: usize,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            url: String::new(),
            format: FileFormat::default(),
            compression: None,
            compression_level: None,
            partition_by: vec![PartitionBy::Date, PartitionBy::Hour],
            partition_time: PartitionTime::default(),
            roll: RollKeys::default(),
            row_group_rows: 1 << 17,
            ids: IdFormat::default(),
            columns: BTreeMap::new(),
            max_buffer: ByteSize::mib(256),
            max_open: 100,
        }
    }
}

layered! {
    /// Keeps telemetry in object storage or in a directory, as typed Parquet that DuckDB, Spark,
    /// Trino and others read at once, or as OTLP. An object's records are answered for until it is
    /// in the store, and a repetition never doubles it.
    #[derive(Clone, Debug)]
    pub struct Config {
        pub keys: Keys,
        pub stores: Stores,
    }
}

impl Keys {
    /// The plan that the keys make.
    pub(super) fn plan(&self) -> Result<Plan, BuildError> {
        let format = self.format()?;
        let extension = match (self.format, &format) {
            (FileFormat::OtlpJson, Format::Lines { compression, .. }) => {
                format!("jsonl{}", compression.suffix())
            }
            (FileFormat::OtlpProto, Format::Lines { compression, .. }) => {
                format!("binpb{}", compression.suffix())
            }
            _ => "parquet".to_owned(),
        };
        let unlimited = |limit: usize| if limit == 0 { usize::MAX } else { limit };
        Ok(Plan {
            layout: self.layout(extension)?,
            format,
            roll: Roll {
                size: unlimited(self.roll.max_size.as_usize()),
                items: unlimited(self.roll.max_rows),
                age: Some(self.roll.max_age.into()),
            },
            max_buffer: self.max_buffer.as_usize(),
            max_open: self.max_open,
        })
    }

    fn layout(&self, extension: String) -> Result<Layout, BuildError> {
        let mut elements = vec![Element::Signal];
        for (at, by) in self.partition_by.iter().enumerate() {
            if self.partition_by[..at].contains(by) {
                let message = "a partition is made of each at most once";
                return Err(BuildError::at(format!("partition_by::{at}"), message));
            }
            elements.push(match by {
                PartitionBy::Date => Element::Date,
                PartitionBy::Hour => Element::Hour,
                PartitionBy::Minute => Element::Minute,
                PartitionBy::Service => Element::Group("service"),
            });
        }
        let by_service = self.partition_by.contains(&PartitionBy::Service);
        Ok(Layout {
            elements,
            clock: self.partition_time,
            group_by: by_service.then(|| "service.name".to_owned()),
            naming: Naming::Lake,
            extension,
        })
    }

    fn format(&self) -> Result<Format, BuildError> {
        let format = match self.format {
            FileFormat::Parquet => return self.parquet().map(Format::Parquet),
            FileFormat::OtlpJson => LineFormat::Json { ended: true },
            FileFormat::OtlpProto => LineFormat::Proto,
        };
        let (compression, usual) = match self.compression {
            None | Some(Compression::None) => (LineCompression::None, 0),
            Some(Compression::Gzip) => (LineCompression::Gzip, 6),
            Some(Compression::Zstd) => (LineCompression::Zstd, 3),
        };
        let level = self.compression_level.unwrap_or(usual);
        let highest = if compression == LineCompression::Gzip {
            9
        } else {
            22
        };
        in_range(level, highest)?;
        if !self.columns.is_empty() {
            return Err(BuildError::at("columns", "only Parquet has columns")
                .remedy("write `format: parquet`, or take `columns` away"));
        }
        Ok(Format::Lines {
            format,
            compression,
            level,
        })
    }

    fn parquet(&self) -> Result<Settings, BuildError> {
        let level = self.compression_level.unwrap_or(1);
        in_range(level.saturating_sub(1), 21)?;
        let zstd = match self.compression {
            None | Some(Compression::Zstd) => Some(level),
            Some(Compression::None) => None,
            Some(Compression::Gzip) => {
                return Err(
                    BuildError::at("compression", "Parquet is not compressed with gzip")
                        .remedy("write `zstd` or `none`"),
                );
            }
        };
        let settings = Settings {
            ids: self.ids,
            columns: Vec::new(),
            zstd,
            row_group_rows: self.row_group_rows,
        };
        let taken = column_names(&settings);
        if let Some(name) = self.columns.keys().find(|name| taken.contains(*name)) {
            let path = format!("columns::{name}");
            return Err(BuildError::at(
                path,
                "every table has a column of this name",
            ));
        }
        let columns = self.columns.iter();
        Ok(Settings {
            columns: columns.map(|(name, kind)| (name.clone(), *kind)).collect(),
            ..settings
        })
    }
}

fn in_range(level: i32, highest: i32) -> Result<(), BuildError> {
    if (0..=highest).contains(&level) {
        return Ok(());
    }
    let message = format!("{level} is no level of this compression");
    Err(BuildError::at("compression_level", message)
        .remedy("write 1 (fast) to 22 (small) for zstd, 1 to 9 for gzip"))
}
