//! Files: row groups of sorted rows, written one after the other into memory.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::origin::Origin;
use super::rows::{Place, Rows, Source};
use super::table::{Table, TableColumns};
use super::{SCHEMA_VERSION, Settings};

/// Rows that become cells in one go at most.
const CHUNK_ROWS: usize = 4096;

/// Bytes of records that become cells in one go, unless one record has more: cells of one column
/// are counted in 31 bits, and text may grow sixfold on the way there.
const CHUNK_BYTES: usize = 8 << 20;

/// The largest record that is taken, for the same reason.
pub(super) const MAX_RECORD: usize = 128 << 20;

/// Columns that queries look for: they have statistics for each page.
const SOUGHT: [&str; 14] = [
    "trace_id",
    "span_id",
    "service_name",
    "service_namespace",
    "name",
    "kind",
    "status_code",
    "start_time",
    "end_time",
    "time",
    "observed_time",
    "duration",
    "severity_number",
    "metric_name",
];

/// Columns whose values hardly ever come again: a dictionary would only be in the way.
const IDS: [&str; 3] = ["trace_id", "span_id", "parent_span_id"];

/// Columns of numbers that are close to the one before.
const TIMES: [&str; 5] = [
    "start_time",
    "end_time",
    "time",
    "observed_time",
    "duration",
];

/// What files of all tables are written with.
pub(in super::super) struct Encoders {
    settings: Settings,
    tables: [Option<Encoder>; Table::ALL.len()],
}

/// What files of one table are written with.
struct Encoder {
    columns: TableColumns,
    schema: SchemaRef,
    properties: WriterProperties,
}

impl Encoders {
    pub(in super::super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            tables: Default::default(),
        }
    }

    /// Rows of a row group.
    pub(in super::super) const fn row_group_rows(&self) -> usize {
        self.settings.row_group_rows
    }

    fn of(&mut self, table: Table) -> Result<&mut Encoder, ParquetError> {
        let slot = &mut self.tables[table as usize];
        if slot.is_none() {
            *slot = Some(Encoder::new(table, &self.settings)?);
        }
        slot.as_mut()
            .ok_or_else(|| ParquetError::General("there is no encoder".to_owned()))
    }
}

impl Encoder {
    fn new(table: Table, settings: &Settings) -> Result<Self, ParquetError> {
        let mut columns = TableColumns::new(table, settings);
        let schema = columns.finish()?.schema();
        let properties = properties(table, &schema, settings)?;
        Ok(Self {
            columns,
            schema,
            properties,
        })
    }
}

fn properties(
    table: Table,
    schema: &SchemaRef,
    settings: &Settings,
) -> Result<WriterProperties, ParquetError> {
    let compression = match settings.zstd {
        Some(level) => Compression::ZSTD(ZstdLevel::try_new(level)?),
        None => Compression::UNCOMPRESSED,
    };
    let leaves = ArrowSchemaConverter::new().convert(schema)?;
    let leaf = |name: &str| {
        let found = leaves
            .columns()
            .iter()
            .position(|column| column.path().string() == name);
        found.and_then(|at| i32::try_from(at).ok())
    };
    let sorting = ["service_name", table.time_column()]
        .into_iter()
        .filter_map(leaf)
        .map(|column_idx| SortingColumn {
            column_idx,
            descending: false,
            nulls_first: true,
        });
    let entry = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("tidegate version {}", env!("CARGO_PKG_VERSION")))
        .set_compression(compression)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_sorting_columns(Some(sorting.collect()))
        .set_key_value_metadata(Some(vec![
            entry("tidegate.schema", SCHEMA_VERSION),
            entry("tidegate.table", table.name()),
        ]));
    for name in SOUGHT.into_iter().filter(|name| leaf(name).is_some()) {
        properties = properties.set_column_statistics_enabled(path(name), EnabledStatistics::Page);
    }
    for name in IDS.into_iter().filter(|name| leaf(name).is_some()) {
        properties = properties
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    for name in TIMES.into_iter().filter(|name| leaf(name).is_some()) {
        properties = properties
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED);
    }
    if leaf("trace_id").is_some() {
        properties = properties
            .set_column_bloom_filter_enabled(path("trace_id"), true)
            .set_column_bloom_filter_fpp(path("trace_id"), 0.01)
            .set_column_bloom_filter_max_ndv(path("trace_id"), settings.row_group_rows as u64);
    }
    Ok(properties.build())
}

fn path(name: &str) -> ColumnPath {
    ColumnPath::new(vec![name.to_owned()])
}

/// A file that is being written.
pub(in super::super) struct ParquetFile {
    table: Table,
    rows: Rows,
    writer: Option<ArrowWriter<Vec<u8>>>,
    /// Rows that no cell could hold exactly.
    inexact: u64,
}

impl ParquetFile {
    pub(in super::super) fn new(table: Table) -> Self {
        Self {
            table,
            rows: Rows::default(),
            writer: None,
            inexact: 0,
        }
    }

    /// Adds a row; false, and nothing added, where the record is too large.
    pub(in super::super) fn add(
        &mut self,
        source: &Arc<Source>,
        place: &Place<'_>,
        time: u64,
    ) -> bool {
        place.record.len() + place.around.bytes <= MAX_RECORD && self.rows.add(source, place, time)
    }

    /// Rows that wait for their row group.
    pub(in super::super) fn pending_rows(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of the records that wait for their row group.
    pub(in super::super) fn pending_bytes(&self) -> usize {
        self.rows.bytes()
    }

    /// Bytes that are written.
    pub(in super::super) fn written_bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, ArrowWriter::bytes_written)
    }

    /// Writes the rows that wait as a row group.
    pub(in super::super) fn write_group(
        &mut self,
        encoders: &mut Encoders,
    ) -> Result<(), ParquetError> {
        let encoder = encoders.of(self.table)?;
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => ArrowWriter::try_new(
                Vec::new(),
                Arc::clone(&encoder.schema),
                Some(encoder.properties.clone()),
            )?,
        };
        self.rows.sort();
        let mut chunk = Chunk::default();
        let mut origins = Origins::default();
        for (container, place) in self.rows.iter(self.table) {
            let origin = origins.of(container, &place);
            if chunk.is_full(&place) {
                writer.write(&encoder.columns.finish()?)?;
                chunk = Chunk::default();
            }
            self.inexact += u64::from(!encoder.columns.put(&place, origin));
            chunk.add(&place);
        }
        let last: RecordBatch = encoder.columns.finish()?;
        writer.write(&last)?;
        writer.flush()?;
        self.rows.clear();
        self.writer = Some(writer);
        Ok(())
    }

    /// Ends the file: its bytes, and how many of its rows have the record beside their cells.
    pub(in super::super) fn finish(
        mut self,
        encoders: &mut Encoders,
    ) -> Result<(Vec<u8>, u64), ParquetError> {
        if self.rows.len() > 0 || self.writer.is_none() {
            self.write_group(encoders)?;
        }
        let bytes = match self.writer {
            Some(writer) => writer.into_inner()?,
            None => Vec::new(),
        };
        Ok((bytes, self.inexact))
    }
}

/// Origins that were read before: sorted rows go back and forth between their containers, and most
/// of them would read a resource and a scope anew.
#[derive(Default)]
struct Origins<'a>(Vec<Option<(u32, Origin<'a>)>>);

impl<'a> Origins<'a> {
    /// Containers that are remembered at a time.
    const REMEMBERED: usize = 4096;

    fn of(&mut self, container: u32, place: &Place<'a>) -> &Origin<'a> {
        let at = container as usize % Self::REMEMBERED;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        let slot = &mut self.0[at];
        if slot.as_ref().is_none_or(|(known, _)| *known != container) {
            *slot = None;
        }
        let read = || (container, Origin::of(&place.around));
        &slot.get_or_insert_with(read).1
    }
}

/// How much of the cells to come there is.
#[derive(Default)]
struct Chunk {
    rows: usize,
    bytes: usize,
}

impl Chunk {
    fn weight(place: &Place<'_>) -> usize {
        place.record.len() + place.around.bytes + 1024
    }

    fn is_full(&self, place: &Place<'_>) -> bool {
        self.rows > 0 && (self.rows == CHUNK_ROWS || self.bytes + Self::weight(place) > CHUNK_BYTES)
    }

    fn add(&mut self, place: &Place<'_>) {
        self.rows += 1;
        self.bytes += Self::weight(place);
    }
}
