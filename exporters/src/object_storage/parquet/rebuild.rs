//! The way back, for tests: OTLP of what parquet's own reader finds in a file.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, StructArray};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use prost::Message;

/// The rows of a file, in order.
pub(super) fn rows(file: Vec<u8>) -> Vec<Row> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    let mut rows = Vec::new();
    for batch in reader.build().unwrap() {
        let table = StructArray::from(batch.unwrap());
        rows.extend((0..table.len()).map(|row| Row {
            table: table.clone(),
            row,
        }));
    }
    rows
}

/// One row, or one struct in it.
#[derive(Clone)]
pub(super) struct Row {
    table: StructArray,
    row: usize,
}

impl Row {
    fn column(&self, name: &str) -> &ArrayRef {
        let column = self.table.column_by_name(name);
        column.unwrap_or_else(|| panic!("there is no column {name}"))
    }

    fn cell(&self, name: &str) -> Option<&ArrayRef> {
        Some(self.column(name)).filter(|column| column.is_valid(self.row))
    }

    pub(super) fn maybe_text(&self, name: &str) -> Option<String> {
        let cell = self.cell(name)?;
        Some(cell.as_string::<i32>().value(self.row).to_owned())
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.maybe_text(name).unwrap_or_default()
    }

    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let cell = self.cell(name)?;
        Some(cell.as_binary::<i32>().value(self.row).to_vec())
    }

    pub(super) fn id(&self, name: &str) -> Vec<u8> {
        if self.column(name).as_binary_opt::<i32>().is_some() {
            return self.bytes(name).unwrap_or_default();
        }
        let hex = self.text(name);
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    pub(super) fn uint32(&self, name: &str) -> u32 {
        self.column(name)
            .as_primitive::<UInt32Type>()
            .value(self.row)
    }

    pub(super) fn int32(&self, name: &str) -> i32 {
        self.column(name)
            .as_primitive::<Int32Type>()
            .value(self.row)
    }

    pub(super) fn maybe_int32(&self, name: &str) -> Option<i32> {
        self.cell(name).map(|_| self.int32(name))
    }

    pub(super) fn uint64(&self, name: &str) -> u64 {
        self.column(name)
            .as_primitive::<UInt64Type>()
            .value(self.row)
    }

    pub(super) fn int64(&self, name: &str) -> Option<i64> {
        let cell = self.cell(name)?;
        Some(cell.as_primitive::<Int64Type>().value(self.row))
    }

    pub(super) fn double(&self, name: &str) -> Option<f64> {
        let cell = self.cell(name)?;
        Some(cell.as_primitive::<Float64Type>().value(self.row))
    }

    pub(super) fn bool(&self, name: &str) -> bool {
        self.column(name).as_boolean().value(self.row)
    }

    pub(super) fn time(&self, name: &str) -> u64 {
        let cell = self.cell(name);
        cell.map_or(0, |cell| {
            let times = cell.as_primitive::<TimestampNanosecondType>();
            u64::try_from(times.value(self.row)).unwrap()
        })
    }

    /// The number of an enumeration's value.
    pub(super) fn number(&self, name: &str, names: &[&str]) -> i32 {
        let text = self.text(name);
        let known = names.iter().position(|known| *known == text);
        known.map_or_else(|| text.parse().unwrap(), |at| i32::try_from(at).unwrap())
    }

    /// The structs of a list.
    pub(super) fn structs(&self, name: &str) -> Vec<Self> {
        let list = self.column(name).as_list::<i32>().value(self.row);
        let table = list.as_struct().clone();
        let at = |row| Self {
            table: table.clone(),
            row,
        };
        (0..list.len()).map(at).collect()
    }

    fn list(&self, name: &str) -> Option<ArrayRef> {
        let cell = self.cell(name)?;
        Some(cell.as_list::<i32>().value(self.row))
    }

    pub(super) fn doubles(&self, name: &str) -> Vec<f64> {
        let list = self.list(name).unwrap();
        list.as_primitive::<Float64Type>().values().to_vec()
    }

    pub(super) fn counts(&self, name: &str) -> Option<Vec<u64>> {
        let list = self.list(name)?;
        Some(list.as_primitive::<UInt64Type>().values().to_vec())
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let list = self.list(name).unwrap();
        let texts = list.as_string::<i32>().iter();
        texts.map(|text| text.unwrap().to_owned()).collect()
    }

    fn map(&self, name: &str) -> Vec<(String, Option<String>)> {
        let entries = self.column(name).as_map().value(self.row);
        let (keys, values) = (entries.column(0), entries.column(1));
        let keys = keys.as_string::<i32>().iter();
        keys.zip(values.as_string::<i32>().iter())
            .map(|(key, value)| (key.unwrap().to_owned(), value.map(str::to_owned)))
            .collect()
    }

    /// The attributes of the columns `{name}s` and `{name}_types`.
    pub(super) fn attributes(&self, name: &str) -> Vec<KeyValue> {
        let types = self.map(&format!("{name}_types"));
        let kind_of = |key: &str| {
            let found = types.iter().find(|(known, _)| known == key);
            found.and_then(|(_, kind)| kind.clone())
        };
        self.map(&format!("{name}s"))
            .into_iter()
            .map(|(key, text)| {
                let value = value_of(text, kind_of(&key).as_deref());
                KeyValue {
                    key,
                    value,
                    key_strindex: 0,
                }
            })
            .collect()
    }

    /// The body of a log record.
    pub(super) fn body(&self) -> Option<AnyValue> {
        let (text, kind) = (self.maybe_text("body"), self.maybe_text("body_type"));
        match kind.as_deref() {
            Some("empty") => Some(AnyValue::default()),
            None if text.is_none() => None,
            kind => value_of(text, kind),
        }
    }

    pub(super) fn resource(&self) -> Resource {
        Resource {
            attributes: self.attributes("resource_attribute"),
            dropped_attributes_count: self.uint32("resource_dropped_attributes_count"),
            entity_refs: self
                .structs("resource_entities")
                .into_iter()
                .map(|entity| EntityRef {
                    schema_url: entity.text("schema_url"),
                    r#type: entity.text("type"),
                    id_keys: entity.texts("id_keys"),
                    description_keys: entity.texts("description_keys"),
                })
                .collect(),
        }
    }

    pub(super) fn scope(&self) -> InstrumentationScope {
        InstrumentationScope {
            name: self.text("scope_name"),
            version: self.text("scope_version"),
            attributes: self.attributes("scope_attribute"),
            dropped_attributes_count: self.uint32("scope_dropped_attributes_count"),
        }
    }
}

/// The value that a text and its type stand for.
fn value_of(text: Option<String>, kind: Option<&str>) -> Option<AnyValue> {
    let text = text?;
    let decoded = |base64: &str| STANDARD.decode(base64).unwrap();
    let value = match kind {
        None => Value::StringValue(text),
        Some("bool") => Value::BoolValue(text.parse().unwrap()),
        Some("int") => Value::IntValue(text.parse().unwrap()),
        Some("double") => Value::DoubleValue(text.parse().unwrap()),
        Some("bytes") => Value::BytesValue(decoded(&text)),
        Some(other) => match other.split_once(':').unwrap() {
            ("array", message) => {
                Value::ArrayValue(ArrayValue::decode(&*decoded(message)).unwrap())
            }
            ("map", message) => {
                Value::KvlistValue(KeyValueList::decode(&*decoded(message)).unwrap())
            }
            (kind, _) => panic!("there is no type {kind}"),
        },
    };
    Some(AnyValue { value: Some(value) })
}
