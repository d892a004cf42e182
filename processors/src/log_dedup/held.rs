//! Records that wait for others like them, each in the place that it will have.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::quality::RandomState;
use hashbrown::HashMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tidegate_component::BuildContext;
use tidegate_component::metrics::Histogram;
use tidegate_pdata::compose::{Fields, log_record};
use tidegate_pdata::series::{SeriesHash, SeriesId};
use tidegate_pdata::view::{AnyValue, Attributes, LogRecord, Resource, Scope, View};
use tidegate_pdata::{Budget, Reservation};

use super::fields::Field;
use crate::message::copy_but;
use crate::series::Room;

/// Bytes that a record, a scope or a resource takes beside its own.
const OVERHEAD: usize = 96;
/// By how many bytes the budget may be wrong.
const SLACK: usize = 1 << 16;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is held.
    New,
    /// One like it is held, and counts it.
    Counted,
    /// It is not held.
    NoRoom,
}

/// Records that wait for others like them.
pub(super) struct Held {
    hash: SeriesHash,
    include: Vec<Field>,
    resources: Vec<Group>,
    /// The places of resources and scopes, and those of records.
    places: HashMap<SeriesId, [usize; 2], RandomState>,
    records: HashMap<SeriesId, [usize; 3], RandomState>,
    resource: Looked,
    scope: Looked,
    /// How many there may be, together with those of other workers.
    room: Room,
    bytes: usize,
    hold: Reservation,
    text: String,
}

/// Something that is looked at: its ID, its fields, its schema.
#[derive(Default)]
struct Looked {
    id: SeriesId,
    message: Vec<u8>,
    schema_url: Vec<u8>,
}

/// A resource or a scope, and what belongs to it.
struct Group {
    message: Vec<u8>,
    schema_url: Vec<u8>,
    scopes: Vec<Self>,
    records: Vec<HeldRecord>,
}

struct HeldRecord {
    record: Box<[u8]>,
    count: i64,
    /// When the first and the last came, in nanoseconds since 1970.
    first: u64,
    last: u64,
}

/// How records are written that stand for others.
pub(super) struct Style<'s> {
    pub(super) now: u64,
    pub(super) zone: &'s TimeZone,
    pub(super) count_attribute: &'s str,
    pub(super) counts: &'s Histogram,
}

impl Held {
    pub(super) fn new(cx: &BuildContext, include: Vec<Field>, most: usize) -> Self {
        Self {
            hash: SeriesHash::default(),
            include,
            resources: Vec::new(),
            places: HashMap::default(),
            records: HashMap::default(),
            resource: Looked::default(),
            scope: Looked::default(),
            room: Room::new(cx, most),
            bytes: 0,
            hold: Budget::overdraw(&Arc::clone(&cx.budget), 0),
            text: String::new(),
        }
    }

    /// Records held, and their bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.records.len(), self.bytes)
    }

    /// Tells the budget what is held.
    pub(super) fn settle(&mut self) {
        if self.bytes.abs_diff(self.hold.bytes()) > SLACK {
            self.hold.resize(self.bytes);
        }
    }

    pub(super) fn resource(&mut self, resource: Resource<'_>, schema_url: &[u8]) {
        let id = self.attributes(resource.attributes());
        self.resource.look(id, resource.bytes(), schema_url);
    }

    pub(super) fn scope(&mut self, scope: Scope<'_>, schema_url: &[u8]) {
        let fields = scope.fields();
        let id = self.hash.join([
            self.resource.id,
            self.hash.bytes(fields.name.as_bytes()),
            self.hash.bytes(fields.version.as_bytes()),
            self.attributes(fields.attributes),
        ]);
        self.scope.look(id, scope.bytes(), schema_url);
    }

    /// Holds a record, or counts it where one like it is held.
    pub(super) fn record(&mut self, record: &[u8], now: u64) -> Kept {
        let id = self.id(LogRecord::of(record));
        if let Some([resource, scope, at]) = self.records.get(&id).copied() {
            let held = &mut self.resources[resource].scopes[scope].records[at];
            held.count += 1;
            held.last = now;
            return Kept::Counted;
        }
        if !self.room.take() {
            return Kept::NoRoom;
        }
        let [resource, scope] = self.place();
        let records = &mut self.resources[resource].scopes[scope].records;
        self.records.insert(id, [resource, scope, records.len()]);
        records.push(HeldRecord {
            record: record.into(),
            count: 1,
            first: now,
            last: now,
        });
        self.bytes += record.len() + OVERHEAD;
        Kept::New
    }

    /// What records that are alike have in common.
    fn id(&mut self, record: LogRecord<'_>) -> SeriesId {
        let mut included = None;
        for (at, field) in self.include.iter().enumerate() {
            let Some(value) = field.of(record) else {
                continue;
            };
            self.text.clear();
            // Writing to text cannot fail.
            let _ = value.write_text(&mut self.text);
            let value = self.hash.bytes(self.text.as_bytes());
            let before = included.unwrap_or_default();
            included = Some(self.hash.join([before, self.hash.number(at as u64), value]));
        }
        let content = included.unwrap_or_else(|| {
            let fields = record.fields();
            self.hash.join([
                self.attributes(fields.attributes),
                self.value(fields.body.unwrap_or_default()),
                self.hash.number(fields.severity_number as u64),
                self.hash.bytes(fields.severity_text.as_bytes()),
            ])
        });
        self.hash.join([self.scope.id, content])
    }

    /// The ID of attributes, in whatever order they and those within them are.
    fn attributes(&self, attributes: Attributes<'_>) -> SeriesId {
        attributes.fold(SeriesId::default(), |sum, (key, value)| {
            let key = self.hash.bytes(key.as_bytes());
            sum.plus(self.hash.join([key, self.value(value)]))
        })
    }

    fn value(&self, value: AnyValue<'_>) -> SeriesId {
        let (tag, id) = match value {
            AnyValue::Empty => (0, SeriesId::default()),
            AnyValue::String(text) => (1, self.hash.bytes(text.as_bytes())),
            AnyValue::Bool(value) => (2, self.hash.number(value.into())),
            AnyValue::Int(value) => (3, self.hash.number(value as u64)),
            AnyValue::Double(value) => (4, self.hash.number(value.to_bits())),
            AnyValue::Bytes(bytes) => (5, self.hash.bytes(bytes)),
            AnyValue::Array(values) => {
                let join = |id, value| self.hash.join([id, self.value(value)]);
                (6, values.fold(SeriesId::default(), join))
            }
            AnyValue::KeyValues(entries) => (7, self.attributes(entries)),
        };
        self.hash.join([self.hash.number(tag), id])
    }

    /// The place of the scope that is looked at, which is made if need be.
    fn place(&mut self) -> [usize; 2] {
        if let Some(place) = self.places.get(&self.scope.id) {
            return *place;
        }
        let resource = self.places.get(&self.resource.id);
        let resource = resource.map_or(self.resources.len(), |[resource, _]| *resource);
        if resource == self.resources.len() {
            self.bytes += self.resource.message.len() + OVERHEAD;
            self.resources.push(self.resource.group());
        }
        let scopes = &mut self.resources[resource].scopes;
        let place = [resource, scopes.len()];
        self.bytes += self.scope.message.len() + OVERHEAD;
        scopes.push(self.scope.group());
        self.places.insert(self.resource.id, place);
        self.places.insert(self.scope.id, place);
        place
    }

    /// Takes everything out, as a request; says how many records it has.
    pub(super) fn take(&mut self, style: &Style<'_>) -> (usize, Bytes) {
        let mut request = Fields::new();
        for resource in self.resources.drain(..) {
            request.message(1, |out| {
                resource.write(out, |out| {
                    for scope in &resource.scopes {
                        out.message(2, |out| {
                            scope.write(out, |out| {
                                let records = scope.records.iter();
                                records.for_each(|record| record.write(style, out));
                            });
                        });
                    }
                });
            });
        }
        let records = self.records.len();
        self.room.give_back(records);
        // Whatever is to come decides how much room is needed.
        self.records = HashMap::default();
        self.places = HashMap::default();
        self.bytes = 0;
        self.hold.resize(0);
        (records, request.into_bytes())
    }
}

impl Looked {
    fn look(&mut self, id: SeriesId, message: &[u8], schema_url: &[u8]) {
        self.id = id;
        self.message.clear();
        self.message.extend_from_slice(message);
        self.schema_url.clear();
        self.schema_url.extend_from_slice(schema_url);
    }

    fn group(&self) -> Group {
        Group {
            message: self.message.clone(),
            schema_url: self.schema_url.clone(),
            scopes: Vec::new(),
            records: Vec::new(),
        }
    }
}

impl Group {
    fn write(&self, out: &mut Fields, write: impl FnOnce(&mut Fields)) {
        out.message(1, |out| out.raw(&self.message));
        write(out);
        out.some_bytes(3, &self.schema_url);
    }
}

impl HeldRecord {
    fn write(&self, style: &Style<'_>, out: &mut Fields) {
        use log_record::{ATTRIBUTES, OBSERVED_TIME, TIME};
        style.counts.observe(self.count as f64);
        let own: [&str; 3] = [
            style.count_attribute,
            "first_observed_timestamp",
            "last_observed_timestamp",
        ];
        out.message(2, |out| {
            copy_but(&self.record, out, |number, bytes| {
                let key = tidegate_pdata::view::KeyValue::of(bytes).key();
                matches!(number, TIME | OBSERVED_TIME)
                    || (number == ATTRIBUTES && own.iter().any(|name| key == *name))
            });
            out.fixed64(TIME, style.now);
            out.fixed64(OBSERVED_TIME, self.first);
            out.attribute(ATTRIBUTES, own[0], self.count);
            out.attribute(ATTRIBUTES, own[1], shown(self.first, style.zone).as_str());
            out.attribute(ATTRIBUTES, own[2], shown(self.last, style.zone).as_str());
        });
    }
}

/// A time in a zone, to the second, as RFC 3339 has it.
fn shown(nanos: u64, zone: &TimeZone) -> String {
    let time = Timestamp::from_nanosecond(nanos.into()).unwrap_or_default();
    let time = time.to_zoned(zone.clone());
    let offset = if time.offset().is_zero() { "Z" } else { "%:z" };
    time.strftime(&format!("%Y-%m-%dT%H:%M:%S{offset}"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_their_zone() {
        let at = 1_700_000_000_999_999_999;
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(shown(at, &TimeZone::UTC), "2023-11-14T22:13:20Z");
        assert_eq!(shown(at, &berlin), "2023-11-14T23:13:20+01:00");
    }
}
