//! One metric, and what it has counted of a resource.

use foldhash::quality::RandomState;
use hashbrown::HashMap;
use tidegate_ottl::{Condition, Context};
use tidegate_pdata::compose::{Fields, Kind, Request, Temporality, Value, number_point};
use tidegate_pdata::view::{AnyValue, Attributes};

/// An attribute by which is counted apart.
pub(super) struct Attribute {
    pub(super) key: Box<str>,
    /// The `AnyValue` message for records without it.
    pub(super) default: Option<Box<[u8]>>,
}

/// One metric, and what it has counted of a resource.
pub(super) struct Counter {
    pub(super) context: Context,
    name: Box<str>,
    description: Box<str>,
    /// Any of them is enough; where there is none everything is.
    pub(super) conditions: Vec<Condition>,
    pub(super) attributes: Vec<Attribute>,
    /// By attributes, as fields of number 1.
    counts: HashMap<Box<[u8]>, u64, RandomState>,
    key: Fields,
}

impl Counter {
    pub(super) fn new(context: Context, name: &str, description: &str) -> Self {
        Self {
            context,
            name: name.into(),
            description: description.into(),
            conditions: Vec::new(),
            attributes: Vec::new(),
            counts: HashMap::default(),
            key: Fields::new(),
        }
    }

    /// Reads the attributes by which a record is counted; says whether it has all of them.
    ///
    /// `look` shows the value of an attribute of the record, of its scope or of its resource.
    pub(super) fn read(
        &mut self,
        mut look: impl FnMut(&str, &mut dyn FnMut(AnyValue<'_>)) -> bool,
    ) -> bool {
        self.key.clear();
        let Self {
            attributes, key, ..
        } = self;
        attributes.iter().all(|attribute| {
            let found = look(&attribute.key, &mut |value| {
                write(key, &attribute.key, value)
            });
            if !found && let Some(default) = &attribute.default {
                key.attribute(1, &attribute.key, Value::Message(default));
            }
            found || attribute.default.is_some()
        })
    }

    /// Counts a record whose attributes were read.
    pub(super) fn count(&mut self) {
        let key = self.key.bytes();
        match self.counts.get_mut(key) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(key.into(), 1);
            }
        }
    }

    /// Writes the counts as a metric, and begins anew.
    pub(super) fn write(&mut self, (start, end): (u64, u64), request: &mut Request) {
        let kind = Kind::Sum {
            temporality: Temporality::Delta,
            monotonic: true,
        };
        request.metric(&self.name, &self.description, "", kind);
        for (attributes, count) in self.counts.drain() {
            request.point(|point| {
                point.fixed64(number_point::START_TIME, start);
                point.fixed64(number_point::TIME, end);
                point.int(
                    number_point::AS_INT,
                    i64::try_from(count).unwrap_or(i64::MAX),
                );
                for entry in Attributes::new(&attributes, 1).entries() {
                    point.some_bytes(number_point::ATTRIBUTES, entry.bytes());
                }
            });
        }
    }

    /// Whether anything was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// Writes an attribute: a number as it is, a text, and anything else as an empty text, as the original does.
fn write(key: &mut Fields, name: &str, value: AnyValue<'_>) {
    match value {
        AnyValue::Int(value) => key.attribute(1, name, value),
        AnyValue::Double(value) => key.attribute(1, name, value),
        AnyValue::String(text) => key.attribute_with(1, name, |any| {
            let mut message = Vec::new();
            tidegate_pdata::wire::put_bytes(&mut message, 1, text.as_bytes());
            any.raw(&message);
        }),
        _ => key.attribute(1, name, ""),
    }
}
