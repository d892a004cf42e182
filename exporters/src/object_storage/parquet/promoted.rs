//! Attributes that have a typed column of their own, because somebody asked for it.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_pdata::view::{AnyValue, Attributes, Text};

use super::columns::Columns;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Text, whatever the attribute's type.
    String,
    /// A whole number.
    Int64,
    /// A floating-point number.
    Double,
    /// True or false.
    Bool,
}

/// The columns of attributes.
///
/// A cell has the value of the record's attribute of this name, or else of the resource's; it is
/// null where neither has one of its type.
pub(super) struct Promoted {
    columns: Vec<Column>,
}

struct Column {
    key: Box<str>,
    cells: Cells,
    /// Whether the row has its cell.
    is_set: bool,
}

enum Cells {
    String(StringBuilder),
    Int64(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
}

impl Promoted {
    pub(super) fn new(columns: &[(String, ColumnType)]) -> Self {
        let column = |(key, kind): &(String, ColumnType)| Column {
            key: key.as_str().into(),
            cells: match kind {
                ColumnType::String => Cells::String(StringBuilder::new()),
                ColumnType::Int64 => Cells::Int64(Int64Builder::new()),
                ColumnType::Double => Cells::Double(Float64Builder::new()),
                ColumnType::Bool => Cells::Bool(BooleanBuilder::new()),
            },
            is_set: false,
        };
        Self {
            columns: columns.iter().map(column).collect(),
        }
    }

    /// Offers an attribute; the first of the right name and type is taken.
    pub(super) fn offer(&mut self, key: Text<'_>, value: AnyValue<'_>) {
        for column in &mut self.columns {
            if !column.is_set && column.key.as_bytes() == key.as_bytes() {
                column.is_set = column.cells.put(value);
            }
        }
    }

    /// Ends a row: what the record did not have is looked for in its resource.
    pub(super) fn end(&mut self, resource: Attributes<'_>) {
        for column in &mut self.columns {
            if !std::mem::take(&mut column.is_set) {
                let value = resource.get(&*column.key).unwrap_or_default();
                if !column.cells.put(value) {
                    column.cells.put_null();
                }
            }
        }
    }

    pub(super) fn finish(&mut self, columns: &mut Columns) {
        for column in &mut self.columns {
            columns.push(&column.key, true, column.cells.finish());
        }
    }
}

impl Cells {
    /// Adds a value of this type; false, and nothing added, where it is of another.
    fn put(&mut self, value: AnyValue<'_>) -> bool {
        match (self, value) {
            (_, AnyValue::Empty) => return false,
            (Self::String(out), AnyValue::String(text)) => out.append_value(text.to_str()),
            (Self::String(out), value) => {
                // Writing into a builder cannot fail.
                let _ = value.write_text(out);
                out.append_value("");
            }
            (Self::Int64(out), AnyValue::Int(value)) => out.append_value(value),
            (Self::Double(out), AnyValue::Double(value)) => out.append_value(value),
            (Self::Double(out), AnyValue::Int(value)) => out.append_value(value as f64),
            (Self::Bool(out), AnyValue::Bool(value)) => out.append_value(value),
            _ => return false,
        }
        true
    }

    fn put_null(&mut self) {
        match self {
            Self::String(out) => out.append_null(),
            Self::Int64(out) => out.append_null(),
            Self::Double(out) => out.append_null(),
            Self::Bool(out) => out.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::String(out) => Arc::new(out.finish()),
            Self::Int64(out) => Arc::new(out.finish()),
            Self::Double(out) => Arc::new(out.finish()),
            Self::Bool(out) => Arc::new(out.finish()),
        }
    }
}
