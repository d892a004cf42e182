//! Bodies of log records.

use std::fmt::Write as _;

use tidegate_pdata::compose::{Fields, Value};
use tidegate_pdata::view::{AnyValue, Attributes, Repeated};

use super::rules::{Key, Rules, Verdict};
use super::summary::Done;

/// Writes bodies anew without what must not be seen.
#[derive(Default)]
pub(super) struct Bodies {
    out: Fields,
    /// Where in the body the value is that is looked at.
    path: String,
    text: Vec<u8>,
}

impl Bodies {
    /// Writes a body anew; the `AnyValue` message that it becomes, if anything of it changes.
    ///
    /// What was done is told, but for a body that is no list or map and may be seen.
    pub(super) fn redact(
        &mut self,
        body: AnyValue<'_>,
        rules: &Rules,
        done: &mut Done,
    ) -> Option<&[u8]> {
        self.out.clear();
        self.path.clear();
        let mut out = std::mem::take(&mut self.out);
        let changed = match body {
            AnyValue::KeyValues(entries) => self.map(entries, rules, done, &mut out),
            AnyValue::Array(values) => self.list(values, rules, done, &mut out),
            value => match rules.leaf(value, &mut self.text) {
                Verdict::Masked => {
                    done.masked.add("body");
                    text(&mut out, &self.text);
                    true
                }
                Verdict::Allowed | Verdict::Unchanged => false,
            },
        };
        self.out = out;
        changed.then(|| self.out.bytes())
    }

    fn map(
        &mut self,
        entries: Attributes<'_>,
        rules: &Rules,
        done: &mut Done,
        out: &mut Fields,
    ) -> bool {
        let mut changed = false;
        let length = self.path.len();
        out.any_map(|out| {
            for entry in entries.entries() {
                let (key, value) = (entry.key(), entry.value());
                if length > 0 {
                    self.path.push('.');
                }
                self.path.push_str(&key.to_str());
                let begun = out.begin(1, entry.bytes().len());
                out.some_bytes(1, key.as_bytes());
                match rules.key(key.as_bytes()) {
                    Key::Ignored => {
                        done.ignored.add(&self.path);
                        out.value(2, Value::Message(entry.value_bytes()));
                        out.end(begun);
                    }
                    Key::Redacted => {
                        done.redacted.add(&self.path);
                        changed = true;
                        out.drop_back(&begun);
                    }
                    Key::Allowed => {
                        out.message(2, |out| {
                            changed |= if rules.is_blocked(key.as_bytes()) {
                                rules.whole(value, &mut self.text);
                                done.masked.add(&self.path);
                                text(out, &self.text);
                                true
                            } else {
                                self.value(value, entry.value_bytes(), rules, done, out)
                            };
                        });
                        out.end(begun);
                    }
                }
                self.path.truncate(length);
            }
        });
        changed
    }

    fn list(
        &mut self,
        values: Repeated<'_, AnyValue<'_>>,
        rules: &Rules,
        done: &mut Done,
        out: &mut Fields,
    ) -> bool {
        let mut changed = false;
        let length = self.path.len();
        let wholes = Repeated::<&[u8]>::new(values.rest(), 1);
        out.any_array(|out| {
            for (at, (value, whole)) in values.zip(wholes).enumerate() {
                let dot = if length > 0 { "." } else { "" };
                // Writing to text cannot fail.
                let _ = write!(self.path, "{dot}[{at}]");
                out.element_with(|out| changed |= self.value(value, whole, rules, done, out));
                self.path.truncate(length);
            }
        });
        changed
    }

    /// Writes a value of a list or a map.
    fn value(
        &mut self,
        value: AnyValue<'_>,
        whole: &[u8],
        rules: &Rules,
        done: &mut Done,
        out: &mut Fields,
    ) -> bool {
        match value {
            AnyValue::KeyValues(entries) => return self.map(entries, rules, done, out),
            AnyValue::Array(values) => return self.list(values, rules, done, out),
            _ => {}
        }
        match rules.leaf(value, &mut self.text) {
            Verdict::Allowed => done.allowed.add(&self.path),
            Verdict::Unchanged => {}
            Verdict::Masked => {
                done.masked.add(&self.path);
                text(out, &self.text);
                return true;
            }
        }
        out.raw(whole);
        false
    }
}

/// Writes text as the content of an `AnyValue`.
fn text(out: &mut Fields, text: &[u8]) {
    out.any(Value::Str(&String::from_utf8_lossy(text)));
}
