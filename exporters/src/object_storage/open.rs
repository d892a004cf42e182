//! Objects that are being filled.

use std::ops::Range;

use tidegate_component::{Items, Part, Position};
use tokio::time::Instant;

use super::layout::Key;
use super::lines::Lines;
use super::parquet::{Encoders, ParquetFile};

/// What an object is filled with.
pub(super) enum Content {
    Parquet(Box<ParquetFile>),
    Lines(Box<Lines>),
    /// What became of it before it was sealed.
    Failed(String),
}

/// An object that is being filled.
pub(super) struct Open {
    pub(super) key: Key,
    pub(super) content: Content,
    /// What it holds of each batch.
    pub(super) parts: Vec<Part>,
    /// The position of its first record.
    pub(super) first: Position,
    pub(super) items: usize,
    /// When its first record came.
    pub(super) since: Instant,
    /// Whether it is to be sealed as it is.
    pub(super) is_full: bool,
}

impl Open {
    pub(super) fn new(key: Key, content: Content, first: Position, since: Instant) -> Self {
        Self {
            key,
            content,
            parts: Vec::new(),
            first,
            items: 0,
            since,
            is_full: false,
        }
    }

    /// Notes items of a batch in it; `items` rises from call to call for each batch.
    pub(super) fn note(&mut self, position: Position, items: Range<usize>) {
        self.items += items.len();
        match self.parts.last_mut() {
            Some(part) if part.position == position => part.items.push(items),
            _ => {
                let mut own = Items::default();
                own.push(items);
                let items = own;
                self.parts.push(Part { position, items });
            }
        }
    }

    /// Bytes that the object would have about, were it sealed now.
    pub(super) fn size(&self) -> usize {
        /// What a byte of OTLP comes to in Parquet, at most, as a rule.
        const SHRINKS: usize = 4;
        match &self.content {
            Content::Parquet(file) => file.written_bytes() + file.pending_bytes() / SHRINKS,
            Content::Lines(lines) => lines.bytes(),
            Content::Failed(_) => 0,
        }
    }

    /// Bytes that are encoded and held here.
    pub(super) fn encoded(&self) -> usize {
        match &self.content {
            Content::Parquet(file) => file.written_bytes(),
            Content::Lines(lines) => lines.bytes(),
            Content::Failed(_) => 0,
        }
    }

    /// Bytes that sealing it lets go, about.
    pub(super) fn weight(&self) -> usize {
        match &self.content {
            Content::Parquet(file) => file.written_bytes() + file.pending_bytes(),
            _ => self.encoded(),
        }
    }

    /// Writes a row group where there is enough for one.
    pub(super) fn settle(&mut self, encoders: &mut Encoders) {
        /// Bytes from which rows become a row group even if they are few.
        const ENOUGH: usize = 64 << 20;
        let Content::Parquet(file) = &mut self.content else {
            return;
        };
        let is_due =
            file.pending_rows() >= encoders.row_group_rows() || file.pending_bytes() >= ENOUGH;
        if is_due && let Err(error) = file.write_group(encoders) {
            self.fail(&error);
        }
    }

    /// Gives the object up; its items are counted when it is to be committed.
    pub(super) fn fail(&mut self, error: &dyn std::error::Error) {
        self.content = Content::Failed(format!("the object cannot be written: {error}"));
        self.is_full = true;
    }
}
