//! Building blocks of columns: what turns fields of OTLP into cells.
//!
//! A cell that cannot hold its field exactly (text that is no UTF-8, a time past 2262) gets what
//! comes nearest and clears `exact`; the row then carries the record as OTLP beside it.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, Int64Builder, StringBuilder, TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_array::{Array, ArrayRef, BinaryArray, ListArray, RecordBatch, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, Field, Fields, Schema};
use serde::Deserialize;
use tidegate_pdata::view::Text;

/// Columns with their names, in order.
#[derive(Default)]
pub(super) struct Columns {
    fields: Vec<Arc<Field>>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    /// Adds a column that always has a value.
    pub(super) fn always(&mut self, name: &str, array: impl Array + 'static) {
        self.push(name, false, Arc::new(array));
    }

    /// Adds a column that may be null.
    pub(super) fn maybe(&mut self, name: &str, array: impl Array + 'static) {
        self.push(name, true, Arc::new(array));
    }

    pub(super) fn push(&mut self, name: &str, nullable: bool, array: ArrayRef) {
        let field = Field::new(name, array.data_type().clone(), nullable);
        self.fields.push(Arc::new(field));
        self.arrays.push(array);
    }

    /// The columns as the fields of one column.
    fn into_struct(self) -> StructArray {
        StructArray::new(Fields::from(self.fields), self.arrays, None)
    }

    /// The columns as rows of a table.
    pub(super) fn into_batch(self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(Arc::new(Schema::new(self.fields)), self.arrays)
    }
}

/// Where the lists of a column end among their elements.
pub(super) struct Lists {
    ends: Vec<i32>,
    /// Which lists are there; as long as `ends` has ends, where one is not.
    present: Vec<bool>,
    absent: usize,
}

impl Default for Lists {
    fn default() -> Self {
        Self {
            ends: vec![0],
            present: Vec::new(),
            absent: 0,
        }
    }
}

impl Lists {
    /// Ends a list; `elements` is how many there are in all lists by now.
    pub(super) fn end(&mut self, elements: usize) {
        let end = i32::try_from(elements).expect("a chunk of rows is cut long before");
        self.ends.push(end);
        self.present.push(true);
    }

    /// A list that is not there.
    pub(super) fn absent(&mut self) {
        let end = self.ends.last().copied().unwrap_or_default();
        self.ends.push(end);
        self.present.push(false);
        self.absent += 1;
    }

    /// The offsets, from zero, for an array whose elements are as many as the last `end` said.
    pub(super) fn take(&mut self) -> OffsetBuffer<i32> {
        self.take_nullable().0
    }

    fn take_nullable(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let present = std::mem::take(&mut self.present);
        let nulls = (std::mem::take(&mut self.absent) > 0).then(|| NullBuffer::from(present));
        (OffsetBuffer::new(ScalarBuffer::from(ends)), nulls)
    }

    /// The lists of elements that always have a value.
    pub(super) fn of(&mut self, elements: impl Array + 'static) -> ListArray {
        let (offsets, nulls) = self.take_nullable();
        let element = Field::new("element", elements.data_type().clone(), false);
        ListArray::new(Arc::new(element), offsets, Arc::new(elements), nulls)
    }

    /// The lists of structs.
    pub(super) fn of_structs(&mut self, columns: Columns) -> ListArray {
        self.of(columns.into_struct())
    }
}

/// Text, always there.
pub(super) fn put_text(out: &mut StringBuilder, text: Text<'_>, exact: &mut bool) {
    if let Some(text) = text.as_str() {
        out.append_value(text);
    } else {
        *exact = false;
        out.append_value(text.to_str());
    }
}

/// Text, null where it is empty: protobuf does not tell the two apart.
pub(super) fn put_text_or_null(out: &mut StringBuilder, text: Text<'_>, exact: &mut bool) {
    if text.is_empty() {
        out.append_null();
    } else {
        put_text(out, text, exact);
    }
}

/// The name of an enumeration's value; its number where it has none.
pub(super) fn put_name(out: &mut StringBuilder, names: &[&str], number: i32) {
    let name = usize::try_from(number).ok().and_then(|at| names.get(at));
    if let Some(name) = name {
        out.append_value(name);
    } else {
        // Writing into a builder cannot fail.
        let _ = write!(out, "{number}");
        out.append_value("");
    }
}

/// How IDs are written.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum IdFormat {
    /// Lower-case hexadecimal text.
    #[default]
    Hex,
    /// The bytes.
    Binary,
}

/// A column of IDs; an ID of no bytes is null.
pub(super) enum Ids {
    Hex(StringBuilder),
    Binary(BinaryBuilder),
}

impl Ids {
    pub(super) fn new(format: IdFormat) -> Self {
        match format {
            IdFormat::Hex => Self::Hex(StringBuilder::new()),
            IdFormat::Binary => Self::Binary(BinaryBuilder::new()),
        }
    }

    pub(super) fn put(&mut self, id: &[u8]) {
        match self {
            Self::Hex(out) if id.is_empty() => out.append_null(),
            Self::Binary(out) if id.is_empty() => out.append_null(),
            Self::Hex(out) => {
                put_hex(out, id);
                out.append_value("");
            }
            Self::Binary(out) => out.append_value(id),
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Hex(out) => Arc::new(out.finish()),
            Self::Binary(out) => Arc::new(out.finish()),
        }
    }
}

/// Writes bytes in lower-case hexadecimal, as the beginning of a cell.
fn put_hex(out: &mut StringBuilder, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for chunk in bytes.chunks(16) {
        let mut text = [0; 32];
        for (byte, pair) in chunk.iter().zip(text.chunks_exact_mut(2)) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        let text = std::str::from_utf8(&text[..chunk.len() * 2]).unwrap_or_default();
        let _ = out.write_str(text);
    }
}

/// A column of times; the time 0, which nobody knows, is null.
#[derive(Default)]
pub(super) struct Times(TimestampNanosecondBuilder);

impl Times {
    /// Adds nanoseconds since 1970; a time past 2262 is null, and not exact.
    pub(super) fn put(&mut self, nanos: u64, exact: &mut bool) {
        match i64::try_from(nanos) {
            Ok(0) => self.0.append_null(),
            Ok(nanos) => self.0.append_value(nanos),
            Err(_) => {
                *exact = false;
                self.0.append_null();
            }
        }
    }

    pub(super) fn finish(&mut self) -> impl Array + 'static {
        self.0.finish().with_timezone("UTC")
    }
}

/// Nanoseconds between two times; null where one is not known.
pub(super) fn put_duration(out: &mut Int64Builder, start: u64, end: u64) {
    let known = |nanos: u64| i64::try_from(nanos).ok().filter(|nanos| *nanos != 0);
    out.append_option(
        known(start)
            .zip(known(end))
            .map(|(start, end)| end.wrapping_sub(start)),
    );
}

/// A column of lists of counts.
#[derive(Default)]
pub(super) struct CountLists {
    lists: Lists,
    counts: UInt64Builder,
}

impl CountLists {
    pub(super) fn put(&mut self, counts: impl Iterator<Item = u64>) {
        counts.for_each(|count| self.counts.append_value(count));
        self.lists.end(self.counts.len());
    }

    pub(super) fn absent(&mut self) {
        self.lists.absent();
    }

    pub(super) fn finish(&mut self) -> ListArray {
        self.lists.of(self.counts.finish())
    }
}

/// A column of lists of texts.
#[derive(Default)]
pub(super) struct TextLists {
    lists: Lists,
    texts: StringBuilder,
}

impl TextLists {
    pub(super) fn put<'a>(&mut self, texts: impl Iterator<Item = Text<'a>>, exact: &mut bool) {
        texts.for_each(|text| put_text(&mut self.texts, text, exact));
        self.lists.end(self.texts.len());
    }

    pub(super) fn finish(&mut self) -> ListArray {
        self.lists.of(self.texts.finish())
    }
}

use arrow_array::builder::ArrayBuilder;

/// The records that their cells cannot hold exactly.
#[derive(Default)]
pub(super) struct Leftovers(BinaryBuilder);

impl Leftovers {
    pub(super) fn none(&mut self) {
        self.0.append_null();
    }

    pub(super) fn put(&mut self, request: &[u8]) {
        self.0.append_value(request);
    }

    pub(super) fn finish(&mut self) -> BinaryArray {
        self.0.finish()
    }
}
