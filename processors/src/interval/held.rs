//! Points that wait for later ones, each in the place that it will have.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::quality::RandomState;
use hashbrown::HashMap;
use tidegate_component::BuildContext;
use tidegate_pdata::compose::Fields;
use tidegate_pdata::series::{SeriesHash, SeriesId};
use tidegate_pdata::view::{Attributes, Metric, Resource, Scope};
use tidegate_pdata::wire::Cursor;
use tidegate_pdata::{Budget, Reservation};

use crate::message::copy_but;
use crate::series::Room;

/// Bytes that a point, a metric or a scope takes beside its own.
const OVERHEAD: usize = 64;
/// By how many bytes the budget may be wrong.
const SLACK: usize = 1 << 16;

/// What became of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is held.
    New,
    /// The later of it and the one that was held is.
    InPlace,
    /// It is not held.
    NoRoom,
}

/// Points that wait for later ones.
pub(super) struct Held {
    hash: SeriesHash,
    resources: Vec<Group>,
    /// The places of resources, scopes and metrics.
    places: HashMap<SeriesId, Place, RandomState>,
    points: HashMap<SeriesId, At, RandomState>,
    /// What is looked at.
    resource: Looked,
    scope: Looked,
    metric: Looked,
    /// How many there may be, together with those of other workers.
    room: Room,
    bytes: usize,
    hold: Reservation,
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
    metrics: Vec<HeldMetric>,
}

struct HeldMetric {
    /// Its fields but for its data.
    head: Vec<u8>,
    /// The field of its data, and that but for its points.
    kind: u32,
    data: Vec<u8>,
    points: Vec<(u64, Box<[u8]>)>,
}

/// Where a resource, a scope or a metric is.
#[derive(Clone, Copy, Default)]
struct Place {
    resource: usize,
    scope: usize,
    metric: usize,
}

/// Where a point is.
#[derive(Clone, Copy)]
struct At {
    metric: Place,
    point: usize,
}

impl Held {
    pub(super) fn new(cx: &BuildContext, most: usize) -> Self {
        Self {
            hash: SeriesHash::default(),
            resources: Vec::new(),
            places: HashMap::default(),
            points: HashMap::default(),
            resource: Looked::default(),
            scope: Looked::default(),
            metric: Looked::default(),
            room: Room::new(cx, most),
            bytes: 0,
            hold: Budget::overdraw(&Arc::clone(&cx.budget), 0),
        }
    }

    /// Points held, and their bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.points.len(), self.bytes)
    }

    /// Tells the budget what is held.
    pub(super) fn settle(&mut self) {
        if self.bytes.abs_diff(self.hold.bytes()) > SLACK {
            self.hold.resize(self.bytes);
        }
    }

    pub(super) fn resource(&mut self, resource: Resource<'_>, schema_url: &[u8]) {
        let id = self.hash.attributes(resource.attributes());
        self.resource.look(id, resource.bytes(), schema_url);
    }

    pub(super) fn scope(&mut self, scope: Scope<'_>, schema_url: &[u8]) {
        let fields = scope.fields();
        let id = self.hash.join([
            self.resource.id,
            self.hash.bytes(fields.name.as_bytes()),
            self.hash.bytes(fields.version.as_bytes()),
            self.hash.attributes(fields.attributes),
        ]);
        self.scope.look(id, scope.bytes(), schema_url);
    }

    pub(super) fn metric(&mut self, metric: Metric<'_>) {
        let data = Cursor::new(metric.bytes()).filter(|field| is_data(field.number));
        // Of sums and histograms those that are held are of one nature.
        let kind = data.last().map_or(0, |field| field.number);
        self.metric.id = self.hash.join([
            self.scope.id,
            self.hash.bytes(metric.name().as_bytes()),
            self.hash.bytes(metric.unit().as_bytes()),
            self.hash.number(kind.into()),
        ]);
        if self.places.contains_key(&self.metric.id) {
            return;
        }
        self.metric.message.clear();
        self.metric.message.extend_from_slice(metric.bytes());
    }

    /// Holds a point, unless a later one of its series is held.
    pub(super) fn point(&mut self, point: &[u8], time: u64, attributes: Attributes<'_>) -> Kept {
        let series = self
            .hash
            .join([self.metric.id, self.hash.attributes(attributes)]);
        if let Some(at) = self.points.get(&series) {
            let metric = at.metric;
            let metrics = &mut self.resources[metric.resource].scopes[metric.scope].metrics;
            let (held, bytes) = &mut metrics[metric.metric].points[at.point];
            if time > *held {
                self.bytes = (self.bytes + point.len()).saturating_sub(bytes.len());
                (*held, *bytes) = (time, point.into());
            }
            return Kept::InPlace;
        }
        if !self.room.take() {
            return Kept::NoRoom;
        }
        let place = self.place();
        let scope = &mut self.resources[place.resource].scopes[place.scope];
        let points = &mut scope.metrics[place.metric].points;
        let at = At {
            metric: place,
            point: points.len(),
        };
        points.push((time, point.into()));
        self.points.insert(series, at);
        self.bytes += point.len() + OVERHEAD;
        Kept::New
    }

    /// The place of the metric that is looked at, which is made if need be.
    fn place(&mut self) -> Place {
        if let Some(place) = self.places.get(&self.metric.id) {
            return *place;
        }
        let mut place = self.places.get(&self.scope.id).copied().unwrap_or_else(|| {
            let resource = self.places.get(&self.resource.id).copied();
            let resource = resource.map_or(self.resources.len(), |place| place.resource);
            if resource == self.resources.len() {
                self.bytes += self.resource.message.len() + OVERHEAD;
                self.resources.push(self.resource.group());
            }
            let scopes = &mut self.resources[resource].scopes;
            let place = Place {
                resource,
                scope: scopes.len(),
                metric: 0,
            };
            self.bytes += self.scope.message.len() + OVERHEAD;
            scopes.push(self.scope.group());
            self.places.insert(self.resource.id, place);
            self.places.insert(self.scope.id, place);
            place
        });
        let metrics = &mut self.resources[place.resource].scopes[place.scope].metrics;
        place.metric = metrics.len();
        let metric = HeldMetric::of(&self.metric.message);
        self.bytes += metric.head.len() + metric.data.len() + OVERHEAD;
        metrics.push(metric);
        self.places.insert(self.metric.id, place);
        place
    }

    /// Takes everything out, as a request; says how many points it has.
    pub(super) fn take(&mut self) -> (usize, Bytes) {
        let mut request = Fields::new();
        for resource in self.resources.drain(..) {
            request.message(1, |out| {
                resource.write(out, |out| {
                    for scope in &resource.scopes {
                        out.message(2, |out| {
                            scope.write(out, |out| {
                                scope.metrics.iter().for_each(|metric| metric.write(out));
                            });
                        });
                    }
                });
            });
        }
        let points = self.points.len();
        self.room.give_back(points);
        // Whatever is to come decides how much room is needed.
        self.points = HashMap::default();
        self.places = HashMap::default();
        self.bytes = 0;
        self.hold.resize(0);
        (points, request.into_bytes())
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
            metrics: Vec::new(),
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

const fn is_data(number: u32) -> bool {
    matches!(number, 5 | 7 | 9 | 10 | 11)
}

impl HeldMetric {
    fn of(metric: &[u8]) -> Self {
        let data = Cursor::new(metric).filter(|field| is_data(field.number));
        let (kind, data) = data
            .last()
            .map_or((5, &[][..]), |field| (field.number, field.bytes));
        let mut head = Fields::new();
        copy_but(metric, &mut head, |number, _| is_data(number));
        let mut rest = Fields::new();
        copy_but(data, &mut rest, |number, _| number == 1);
        Self {
            head: head.bytes().to_vec(),
            kind,
            data: rest.bytes().to_vec(),
            points: Vec::new(),
        }
    }

    fn write(&self, out: &mut Fields) {
        out.message(2, |out| {
            out.raw(&self.head);
            out.message(self.kind, |out| {
                for (_, point) in &self.points {
                    out.message(1, |out| out.raw(point));
                }
                out.raw(&self.data);
            });
        });
    }
}
