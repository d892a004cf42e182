//! `recombine`: several entries in a row become one.

use std::sync::Arc;

use tidegate_component::BuildError;

use super::config::{RecombineKeys, Side};
use super::entry::Entry;
use super::expr::{Expression, Fault};
use super::field::Field;
use super::gather::{Bounds, Gather, Whole};
use super::value::{Text, Value};

/// The operator.
pub(crate) struct Recombine {
    field: Field,
    source: Field,
    expression: Expression,
    /// Whether the expression holds for the first of several, rather than for the last.
    first: bool,
    gather: Gather,
    whole: Vec<Whole>,
}

impl RecombineKeys {
    pub(crate) fn build(&self, path: &str) -> Result<Recombine, BuildError> {
        let at = |key: &str| format!("{path}::{key}");
        let field =
            |text: &str, key: &str| Field::parse(text).map_err(|why| BuildError::at(at(key), why));
        let (key, text, first) = match (&self.is_first_entry, &self.is_last_entry) {
            (Some(text), None) => ("is_first_entry", text, true),
            (None, Some(text)) => ("is_last_entry", text, false),
            _ => {
                let message = "needs either `is_first_entry` or `is_last_entry`";
                let remedy = "write for example `is_first_entry: body matches \"^[^\\\\s]\"`";
                return Err(BuildError::at(path, message).remedy(remedy));
            }
        };
        let fault = |fault: Fault| BuildError::at(at(key), fault.to_string());
        let bounds = Bounds {
            entries: self.max_batch_size,
            unmatched: self.max_unmatched_batch_size,
            bytes: self.max_log_size.as_usize(),
            sources: self.max_sources.max(1),
            wait: u64::try_from(self.force_flush_period.as_nanos()).unwrap_or(u64::MAX),
        };
        let newest = self.overwrite_with == Side::Newest;
        Ok(Recombine {
            field: field(&self.combine_field, "combine_field")?,
            source: field(&self.source_identifier, "source_identifier")?,
            expression: Expression::parse(text).map_err(fault)?,
            first,
            gather: Gather::new(bounds, self.combine_with.clone(), newest),
            whole: Vec::new(),
        })
    }
}

impl Recombine {
    /// Takes an entry; gives it back, with why, where it cannot be told what becomes of it.
    pub(super) fn push(&mut self, entry: Entry, out: &mut Vec<Entry>) -> Option<(Entry, String)> {
        let matched = match self.expression.holds(&entry) {
            Ok(matched) => matched,
            Err(why) => return Some((entry, why)),
        };
        let text = match self.field.get(&entry) {
            Some(Value::Str(text)) => text.clone(),
            other => {
                let kind = other.map_or("nothing", Value::kind);
                let why = format!("{} is {kind}, not a text to combine", self.field);
                return Some((entry, why));
            }
        };
        let source = match self.source.get(&entry) {
            Some(Value::Str(source)) => source.clone(),
            // Without the path as an attribute, files are still told apart.
            _ => match &entry.origin.path {
                Some(path) => Arc::clone(path).into(),
                None => Text::Static(""),
            },
        };
        if matched && self.first {
            self.whole.extend(self.gather.take(&source));
        }
        self.gather
            .add(&source, entry, &text, matched, &mut self.whole);
        if matched && !self.first {
            self.whole.extend(self.gather.take(&source));
        }
        self.emit(out);
        None
    }

    fn emit(&mut self, out: &mut Vec<Entry>) {
        for (mut entry, text) in self.whole.drain(..) {
            // The field had a text, so it can take one.
            let set = self.field.set(&mut entry, text.into());
            debug_assert!(set.is_ok(), "{set:?}");
            out.push(entry);
        }
    }

    pub(super) fn flush(&mut self, now: Option<u64>, out: &mut Vec<Entry>) {
        match now {
            Some(now) => self.gather.take_due(now, &mut self.whole),
            None => self.gather.take_all(&mut self.whole),
        }
        self.emit(out);
    }

    pub(super) const fn gather(&self) -> &Gather {
        &self.gather
    }
}
