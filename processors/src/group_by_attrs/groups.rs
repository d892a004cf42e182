//! Records dealt over the resources and scopes that they come to belong to.

use bytes::Bytes;
use hashbrown::HashMap;
use tidegate_pdata::compose::Fields;
use tidegate_pdata::wire::Cursor;
use tidegate_pdata::{Payload, Signal};

use super::keys::{Entry, Holder, write_without};

/// Fields that the containers of all signals have in common.
mod container {
    pub(super) const ITSELF: u32 = 1;
    pub(super) const CHILDREN: u32 = 2;
    pub(super) const SCHEMA_URL: u32 = 3;
    pub(super) const RESOURCE_ATTRIBUTES: u32 = 1;
}

/// The groups of a payload, in the order in which their first records came.
pub(super) struct Groups<'a> {
    signal: Signal,
    groups: Vec<Group<'a>>,
    /// The group of each set of attributes.
    known: HashMap<Identity<'a>, usize, foldhash::fast::RandomState>,
    /// Records of which something was moved, and others.
    pub(super) grouped: u64,
    pub(super) others: u64,
}

/// The attributes of a resource, by key.
type Identity<'a> = Vec<(&'a [u8], &'a [u8])>;

/// What comes to belong to one resource.
struct Group<'a> {
    /// The resource that it was made of.
    resource: &'a [u8],
    schema_url: &'a [u8],
    /// Attributes that were moved to it.
    moved: Vec<Entry<'a>>,
    scopes: Vec<Scope<'a>>,
}

/// What comes to belong to one scope.
struct Scope<'a> {
    scope: &'a [u8],
    schema_url: &'a [u8],
    name: (&'a [u8], &'a [u8]),
    children: Vec<Child<'a>>,
}

/// A span or a log record, or a metric with points.
enum Child<'a> {
    Record(Record<'a>),
    Metric(Metric<'a>),
}

/// A message of which attributes were moved.
struct Record<'a> {
    holder: Holder<'a>,
    moved: Box<[Option<Entry<'a>>]>,
}

struct Metric<'a> {
    /// The metric that it was made of, and the field of its data.
    metric: &'a [u8],
    data: u32,
    name: &'a [u8],
    points: Vec<Record<'a>>,
}

/// One level of containers: what it is of, its schema, and its children.
struct Level<'a> {
    itself: &'a [u8],
    schema_url: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Level<'a> {
    fn of(whole: &'a [u8]) -> Self {
        let mut level = Self {
            itself: &[],
            schema_url: &[],
            whole,
        };
        for field in Cursor::new(whole) {
            match field.number {
                container::ITSELF => level.itself = field.bytes,
                container::SCHEMA_URL => level.schema_url = field.bytes,
                _ => {}
            }
        }
        level
    }

    fn children(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let fields = Cursor::new(self.whole).filter(|field| field.number == container::CHILDREN);
        fields.map(|field| field.bytes)
    }
}

/// The first two fields of a scope: its name and its version.
fn name_of(scope: &[u8]) -> (&[u8], &[u8]) {
    let field = |number| {
        let found = Cursor::new(scope).find(|field| field.number == number);
        found.map_or(&[][..], |field| field.bytes)
    };
    (field(1), field(2))
}

/// The field of a point that holds its attributes, by the field of the metric's data.
const fn attributes_of(data: u32) -> Option<u32> {
    match data {
        // Gauge, sum and summary; histogram; exponential histogram.
        5 | 7 | 11 => Some(7),
        9 => Some(9),
        10 => Some(1),
        _ => None,
    }
}

impl<'a> Groups<'a> {
    pub(super) fn of(payload: &'a Payload, keys: &[Box<str>]) -> Self {
        let mut groups = Self {
            signal: payload.signal(),
            groups: Vec::new(),
            known: HashMap::default(),
            grouped: 0,
            others: 0,
        };
        for segment in payload.segments() {
            for field in Cursor::new(segment.bytes()).filter(|field| field.number == 1) {
                groups.add(&Level::of(field.bytes), keys);
            }
        }
        groups
    }

    pub(super) const fn len(&self) -> usize {
        self.groups.len()
    }

    pub(super) const fn items(&self) -> u64 {
        self.grouped + self.others
    }

    fn add(&mut self, resource: &Level<'a>, keys: &[Box<str>]) {
        let mut selected = Vec::new();
        // The groups that records of this resource went to, by what was moved.
        let mut gone: HashMap<Vec<Option<&'a [u8]>>, usize, foldhash::fast::RandomState> =
            HashMap::default();
        let mut place = |groups: &mut Self, holder: Holder<'a>| {
            holder.select(keys, &mut selected);
            let values: Vec<_> = selected
                .iter()
                .map(|entry| entry.as_ref().map(|entry: &Entry<'a>| entry.value))
                .collect();
            let at = *gone
                .entry(values)
                .or_insert_with(|| groups.group(resource, selected.iter().flatten()));
            match selected.iter().any(Option::is_some) {
                true => groups.grouped += 1,
                false => groups.others += 1,
            }
            (at, selected.clone().into_boxed_slice())
        };
        for scope in resource.children().map(Level::of) {
            for child in scope.children() {
                match self.signal {
                    Signal::Traces | Signal::Logs => {
                        let field = if self.signal == Signal::Traces { 9 } else { 6 };
                        let holder = Holder {
                            message: child,
                            field,
                        };
                        let (at, moved) = place(self, holder);
                        let record = Record { holder, moved };
                        let scope = self.groups[at].scope(&scope);
                        scope.children.push(Child::Record(record));
                    }
                    Signal::Metrics => self.add_metric(&scope, child, &mut place),
                }
            }
        }
    }

    fn add_metric(
        &mut self,
        scope: &Level<'a>,
        metric: &'a [u8],
        place: &mut impl FnMut(&mut Self, Holder<'a>) -> (usize, Box<[Option<Entry<'a>>]>),
    ) {
        let data = Cursor::new(metric)
            .filter_map(|field| Some((field, attributes_of(field.number)?)))
            .last();
        let Some((data, field)) = data else {
            return;
        };
        for point in Cursor::new(data.bytes).filter(|field| field.number == 1) {
            let holder = Holder {
                message: point.bytes,
                field,
            };
            let (at, moved) = place(self, holder);
            let found = self.groups[at].scope(scope).metric(metric, data.number);
            found.points.push(Record { holder, moved });
        }
    }

    /// The group whose resource has the attributes of this one with those that were moved.
    fn group<'e>(
        &mut self,
        resource: &Level<'a>,
        moved: impl Iterator<Item = &'e Entry<'a>> + Clone,
    ) -> usize
    where
        'a: 'e,
    {
        let own = Holder {
            message: resource.itself,
            field: container::RESOURCE_ATTRIBUTES,
        };
        let mut identity: Identity<'a> = Vec::new();
        for entry in moved.clone().copied().chain(own.entries()) {
            if !identity.iter().any(|(key, _)| *key == entry.key) {
                identity.push((entry.key, entry.value));
            }
        }
        identity.sort_unstable();
        let next = self.groups.len();
        let at = *self.known.entry(identity).or_insert(next);
        if at == next {
            self.groups.push(Group {
                resource: resource.itself,
                schema_url: resource.schema_url,
                moved: moved.copied().collect(),
                scopes: Vec::new(),
            });
        }
        at
    }

    /// The groups as a request.
    pub(super) fn write(&self) -> Bytes {
        let mut request = Fields::new();
        for group in &self.groups {
            request.message(1, |fields| group.write(fields));
        }
        request.into_bytes()
    }
}

impl<'a> Group<'a> {
    fn scope(&mut self, scope: &Level<'a>) -> &mut Scope<'a> {
        let name = name_of(scope.itself);
        let known = self.scopes.iter().position(|known| known.name == name);
        let at = known.unwrap_or(self.scopes.len());
        if known.is_none() {
            self.scopes.push(Scope {
                scope: scope.itself,
                schema_url: scope.schema_url,
                name,
                children: Vec::new(),
            });
        }
        &mut self.scopes[at]
    }

    fn write(&self, fields: &mut Fields) {
        fields.message(container::ITSELF, |resource| {
            let mut copied = 0;
            for field in Cursor::new(self.resource) {
                if field.number == container::RESOURCE_ATTRIBUTES && self.moves(field.bytes) {
                    resource.raw(&self.resource[copied..field.start]);
                    copied = field.end;
                }
            }
            resource.raw(&self.resource[copied..]);
            for entry in &self.moved {
                resource.message(container::RESOURCE_ATTRIBUTES, |write| {
                    write.raw(entry.whole)
                });
            }
        });
        fields.some_bytes(container::SCHEMA_URL, self.schema_url);
        for scope in &self.scopes {
            fields.message(container::CHILDREN, |fields| scope.write(fields));
        }
    }

    /// Whether an attribute of the resource gives way to one that was moved.
    fn moves(&self, entry: &[u8]) -> bool {
        let key = Cursor::new(entry).find(|field| field.number == 1);
        let key = key.map_or(&[][..], |field| field.bytes);
        self.moved.iter().any(|moved| moved.key == key)
    }
}

impl<'a> Scope<'a> {
    /// The metric of the name and kind of this one.
    fn metric(&mut self, metric: &'a [u8], data: u32) -> &mut Metric<'a> {
        let (name, _) = name_of(metric);
        let known = self.children.iter().position(|child| match child {
            Child::Metric(known) => known.name == name && known.data == data,
            Child::Record(_) => false,
        });
        let at = known.unwrap_or(self.children.len());
        if known.is_none() {
            self.children.push(Child::Metric(Metric {
                metric,
                data,
                name,
                points: Vec::new(),
            }));
        }
        match &mut self.children[at] {
            Child::Metric(metric) => metric,
            Child::Record(_) => unreachable!("the position is that of a metric"),
        }
    }

    fn write(&self, fields: &mut Fields) {
        fields.message(container::ITSELF, |scope| scope.raw(self.scope));
        fields.some_bytes(container::SCHEMA_URL, self.schema_url);
        for child in &self.children {
            fields.message(container::CHILDREN, |fields| match child {
                Child::Record(record) => record.write(fields),
                Child::Metric(metric) => metric.write(fields),
            });
        }
    }
}

impl Record<'_> {
    fn write(&self, fields: &mut Fields) {
        write_without(self.holder, &self.moved, fields);
    }
}

impl Metric<'_> {
    /// The metric as it was, with these points in place of its own.
    fn write(&self, fields: &mut Fields) {
        for field in Cursor::new(self.metric) {
            if field.number != self.data {
                fields.raw(&self.metric[field.start..field.end]);
                continue;
            }
            fields.message(self.data, |data| {
                for rest in Cursor::new(field.bytes).filter(|rest| rest.number != 1) {
                    data.raw(&field.bytes[rest.start..rest.end]);
                }
                for point in &self.points {
                    data.message(1, |fields| point.write(fields));
                }
            });
        }
    }
}
