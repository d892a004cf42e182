//! All series, and the way of a data point to its own.
//!
//! Batches come on several workers at once. What they meet is dealt out so finely that they seldom meet each other:
//! a point locks the shard of its alias, for a look, and its series, for the change of a few numbers. A scrape locks
//! a family's list of members, which points of known series never touch, and one series at a time. So neither a
//! scrape nor another worker holds up a point for longer than it takes to copy a label set, and what one point does
//! to its series (adding a delta, refusing what is older) is done whole. An owner for each series would need no
//! locks, but a hand-over of each batch to as many owners as there are workers, which costs more than the two locks.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use foldhash::quality::RandomState;
use tidegate_component::BuildContext;
use tidegate_pdata::view::{Attributes, Metric, Resource, Scope as ScopeView, Text};
use tidegate_pdata::{Budget, Reservation};
use tokio::time::Instant;

use super::aliases::Aliases;
use super::family::{Enrolled, Family, Kind};
use super::interner::Interner;
use super::labels::LabelText;
use super::lock;
use super::meters::Meters;
use super::naming::{Namer, Sort};
use super::origin::{Origin, ResourceLabels, Source, Target, text};
use super::rejection::Rejection;
use super::series::Series;
use super::stream::{Scope, Stream};
use super::value::{Meaning, Point, Sample, State, Taken, Value};

/// What a series takes beside the texts that it keeps, in bytes.
const SERIES_BYTES: usize = 320;
/// What a value takes that is put away for others to find, beside itself and its texts, in bytes.
const HELD_BYTES: usize = 96;
/// How long a resource is remembered whose series are shown for ever, in milliseconds.
const REMEMBERED: u64 = 300_000;
/// Members of a family that are looked at under one lock when old ones are looked for.
const STRIDE: usize = 256;

/// What the configuration says of the series.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) namer: Namer,
    pub(super) constant_labels: Vec<(String, String)>,
    pub(super) resource_labels: ResourceLabels,
    pub(super) scope_labels: bool,
    /// How long a series is shown after its last point, in milliseconds; none for ever.
    pub(super) expiration: Option<u64>,
    pub(super) max_series: usize,
}

/// All series.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) settings: Settings,
    budget: Arc<Budget>,
    epoch: Instant,
    random: RandomState,
    sources: Interner<Source>,
    next_source: AtomicU64,
    origins: Interner<Origin>,
    targets: Interner<Target>,
    scopes: Interner<Scope>,
    streams: Interner<Stream>,
    aliases: Aliases,
    families: RwLock<BTreeMap<Box<str>, Arc<Family>>>,
    /// Whether a series was ended since the aliases were last tidied.
    ended: AtomicBool,
    pub(super) meters: Meters,
}

impl Store {
    pub(super) fn new(settings: Settings, cx: &BuildContext) -> Self {
        Self {
            settings,
            budget: Arc::clone(&cx.budget),
            epoch: Instant::now(),
            random: RandomState::default(),
            sources: Interner::default(),
            next_source: AtomicU64::new(0),
            origins: Interner::default(),
            targets: Interner::default(),
            scopes: Interner::default(),
            streams: Interner::default(),
            aliases: Aliases::default(),
            families: RwLock::default(),
            ended: AtomicBool::new(false),
            meters: Meters::new(cx.id.as_str(), &cx.metrics),
        }
    }

    /// Milliseconds since the store was made.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The time before which a series was last changed that is shown no more.
    pub(super) fn horizon(&self, now: u64) -> u64 {
        let expiration = self.settings.expiration;
        expiration.map_or(0, |expiration| now.saturating_sub(expiration))
    }

    /// The families by name.
    pub(super) fn families(&self) -> Vec<Arc<Family>> {
        let families = self.families.read().unwrap_or_else(PoisonError::into_inner);
        families.values().cloned().collect()
    }

    /// What is known of a resource.
    pub(super) fn source(&self, resource: Resource<'_>, now: u64) -> Arc<Source> {
        let bytes = resource.bytes();
        let hash = self.random.hash_one(bytes);
        let source = self
            .sources
            .find(hash, |known| *known.bytes == *bytes)
            .unwrap_or_else(|| {
                let source = self.held(self.new_source(resource), bytes.len());
                self.sources
                    .put(hash, source, |known| *known.bytes == *bytes)
            });
        source.touch(now);
        source
    }

    #[cold]
    fn new_source(&self, resource: Resource<'_>) -> Source {
        let origin = Origin::of(resource, self.settings.resource_labels);
        let target = origin.target().map(|(job, instance)| {
            let target = Target {
                job: job.to_owned(),
                instance: instance.to_owned(),
                shown: Mutex::default(),
            };
            let hash = self.random.hash_one((job, instance));
            let target = self.held(target, job.len() + instance.len());
            self.targets.put(hash, target, |known| {
                known.job == job && known.instance == instance
            })
        });
        let key = origin.key.clone();
        let hash = self.random.hash_one(&key);
        let origin = self.held(origin, 3 * key.len());
        Source {
            bytes: resource.bytes().into(),
            origin: self.origins.put(hash, origin, |known| known.key == key),
            target,
            used: AtomicU64::new(0),
            id: self.next_source.fetch_add(1, Relaxed),
        }
    }

    /// A scope of a resource.
    pub(super) fn scope(
        &self,
        origin: &Arc<Origin>,
        scope: ScopeView<'_>,
        schema_url: Text<'_>,
    ) -> Arc<Scope> {
        let address = Arc::as_ptr(origin) as usize;
        if !self.settings.scope_labels {
            let hash = self.random.hash_one(address);
            let is = |known: &Scope| known.is(origin, &[], &[]);
            return self.scopes.find(hash, is).unwrap_or_else(|| {
                let scope = Scope::without_labels(Arc::clone(origin));
                self.scopes.put(hash, self.held(scope, 0), is)
            });
        }
        let (bytes, schema) = (scope.bytes(), schema_url.as_bytes());
        let hash = self.random.hash_one((address, bytes, schema));
        let is = |known: &Scope| known.is(origin, bytes, schema);
        self.scopes.find(hash, is).unwrap_or_else(|| {
            let scope = Scope::new(Arc::clone(origin), scope, schema_url, &self.settings.namer);
            let room = 2 * (bytes.len() + schema.len());
            self.scopes.put(hash, self.held(scope, room), is)
        })
    }

    /// What is put away for others to find, with its share of the byte budget.
    fn held<T>(&self, value: T, texts: usize) -> (T, Reservation) {
        let bytes = size_of::<T>() + HELD_BYTES + texts;
        (value, self.budget.overdraw(bytes))
    }

    /// The stream of a metric.
    ///
    /// # Errors
    /// When the metric has no name to show, or one that is taken by another type.
    pub(super) fn stream(
        &self,
        scope: &Arc<Scope>,
        metric: Metric<'_>,
        (name, unit): (Text<'_>, Text<'_>),
        sort: (Kind, Sort),
    ) -> Result<Arc<Stream>, Rejection> {
        let address = Arc::as_ptr(scope) as usize;
        let hash = self.random.hash_one((address, name, unit, sort.0));
        let is = |known: &Stream| known.is(scope, name, unit, sort);
        if let Some(known) = self.streams.find(hash, is) {
            if !known.family.is_closed() {
                return Ok(known);
            }
            self.streams.forget(hash, &known);
        }
        let shown = self
            .settings
            .namer
            .metric(&name.to_str(), &unit.to_str(), sort.1);
        let shown = shown.ok_or(Rejection::MetricName)?;
        let help = metric.description();
        let room = 2 * name.len() + unit.len() + help.len();
        let stream = Stream {
            scope: Arc::clone(scope),
            name: name.as_bytes().into(),
            unit: unit.as_bytes().into(),
            sort,
            hash,
            family: self.family(&shown, sort.0, &help.to_str())?,
        };
        Ok(self.streams.put(hash, self.held(stream, room), is))
    }

    /// The family of a name, made where there is none.
    fn family(&self, name: &str, kind: Kind, help: &str) -> Result<Arc<Family>, Rejection> {
        let known = |families: &BTreeMap<Box<str>, Arc<Family>>| {
            let family = families.get(name).filter(|family| !family.is_closed())?;
            Some(if family.kind == kind {
                Ok(Arc::clone(family))
            } else {
                Err(Rejection::TypeConflict)
            })
        };
        let families = self.families.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known(&families) {
            return known;
        }
        drop(families);
        let mut families = self
            .families
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        known(&families).unwrap_or_else(|| {
            let family = Arc::new(Family::new(name, kind, help));
            families.insert(name.into(), Arc::clone(&family));
            Ok(family)
        })
    }

    /// Takes a point of a stream.
    pub(super) fn take<'a, P: Point<'a>>(
        &self,
        stream: &Arc<Stream>,
        point: &P,
        delta: bool,
        now: u64,
    ) -> Result<Taken, Rejection> {
        let attributes = point.attributes();
        let meaning = Meaning {
            family: &stream.family,
            delta,
            exemplars: stream.sort.0 == Kind::Counter,
        };
        let hash = self.aliases.hash(stream, attributes);
        let known = self.aliases.with(hash, stream, attributes, |series| {
            series.with(|state| state.take(point, meaning, now))
        });
        match known.flatten() {
            Some(taken) => taken,
            None => self.begin(stream, point, meaning, hash, now),
        }
    }

    /// Takes a point whose attributes are not known: makes their labels and finds or makes the series of these.
    #[cold]
    fn begin<'a, P: Point<'a>>(
        &self,
        stream: &Arc<Stream>,
        point: &P,
        meaning: Meaning<'_>,
        hash: u64,
        now: u64,
    ) -> Result<Taken, Rejection> {
        let attributes = point.attributes();
        let origin = self.origin_hash(stream, attributes);
        loop {
            let family = self.open_family(&stream.family)?;
            let meaning = Meaning {
                family: &family,
                ..meaning
            };
            let labels = self.labels(stream, attributes)?;
            let state = || State::first(point, meaning, now);
            let room = attributes.entries().map(|entry| entry.bytes().len()).sum();
            let (series, taken) = match self.enroll(&family, labels, origin, room, state)? {
                Enrolled::New(series) => (series, Taken::Shown),
                Enrolled::Known(series) => {
                    if series.collides_with(origin) {
                        self.meters.collided.add(1);
                    }
                    match series.with(|state| state.take(point, meaning, now)) {
                        Some(taken) => (series, taken?),
                        // It was ended just now.
                        None => continue,
                    }
                }
                // The family was given up just now.
                Enrolled::Closed => continue,
            };
            self.aliases.put(hash, stream, attributes, &series);
            return Ok(taken);
        }
    }

    fn labels(&self, stream: &Stream, attributes: Attributes<'_>) -> Result<LabelText, Rejection> {
        let Settings {
            namer,
            constant_labels,
            ..
        } = &self.settings;
        let labels = stream.labels(attributes, constant_labels, namer)?;
        labels.text(stream.family.kind.own_label())
    }

    /// The family itself, or the one that took its place when it had no series.
    fn open_family(&self, family: &Arc<Family>) -> Result<Arc<Family>, Rejection> {
        if family.is_closed() {
            self.family(&family.name, family.kind, &family.help)
        } else {
            Ok(Arc::clone(family))
        }
    }

    fn enroll(
        &self,
        family: &Family,
        labels: LabelText,
        origin: u64,
        room: usize,
        state: impl FnOnce() -> Result<State, Rejection>,
    ) -> Result<Enrolled, Rejection> {
        let room = SERIES_BYTES + labels.text.len() + room;
        let enrolled = family.enroll(labels, || {
            let limit = i64::try_from(self.settings.max_series).unwrap_or(i64::MAX);
            if self.meters.series.value() >= limit {
                return Err(Rejection::SeriesLimit);
            }
            let state = state()?;
            let room = room + state.value.bytes();
            Ok((state, Series::new(origin, self.budget.overdraw(room))))
        })?;
        if let Enrolled::New(_) = enrolled {
            self.meters.series.add(1);
        }
        Ok(enrolled)
    }

    /// A hash of what a series is made of, as the source named it.
    fn origin_hash(&self, stream: &Stream, attributes: Attributes<'_>) -> u64 {
        let sum = attributes.fold(0_u64, |sum, (key, value)| {
            sum.wrapping_add(self.random.hash_one((key, text(value))))
        });
        let Scope {
            bytes,
            schema_url,
            origin,
            ..
        } = &*stream.scope;
        let of = (&stream.name, stream.sort, bytes, schema_url, &origin.key);
        self.random.hash_one((of, sum))
    }

    /// Ends the series of a stream's attributes: its source has nothing to say of it any more.
    pub(super) fn forget(&self, stream: &Arc<Stream>, attributes: Attributes<'_>) {
        let hash = self.aliases.hash(stream, attributes);
        let known = self.aliases.with(hash, stream, attributes, Arc::clone);
        let series = known.filter(|series| !series.is_ended()).or_else(|| {
            let labels = self.labels(stream, attributes).ok()?;
            stream.family.find(&labels.text)
        });
        if let Some(series) = series {
            self.end(&stream.family, &series);
        }
    }

    fn end(&self, family: &Family, series: &Series) {
        if family.remove(series) {
            self.meters.series.add(-1);
            self.ended.store(true, Relaxed);
        }
    }

    /// Shows what is known of a resource, as its points are shown.
    pub(super) fn show_target(&self, source: &Source, resource: Resource<'_>, now: u64) {
        let Some(target) = &source.target else {
            return;
        };
        let mut shown = lock(&target.shown);
        let touch = |series: &Series| series.with(|state| state.updated = now).is_some();
        if let Some((id, series)) = &*shown
            && *id == source.id
            && touch(series)
        {
            return;
        }
        let namer = &self.settings.namer;
        let Ok(labels) = target.labels(resource.attributes(), namer).text(None) else {
            return;
        };
        let name = namer.target_info();
        let Ok(family) = self.family(&name, Kind::Gauge, "Target metadata") else {
            return;
        };
        if let Some((_, series)) = shown.take() {
            if series.labels == labels && touch(&series) {
                *shown = Some((source.id, series));
                return;
            }
            self.end(&family, &series);
        }
        let state = State {
            updated: now,
            time: 0,
            start: 0,
            value: Value::Number(Sample::ONE, None),
        };
        let enrolled = self.enroll(&family, labels, 0, 0, || Ok(state));
        if let Ok(Enrolled::New(series) | Enrolled::Known(series)) = enrolled {
            touch(&series);
            *shown = Some((source.id, series));
        }
    }

    /// Ends the series to which no points came for long, and lets go of what led to them.
    pub(super) fn tidy(&self) {
        let now = self.now();
        let horizon = self.horizon(now);
        for family in self.families() {
            let mut from = 0;
            while let Some(expired) = family.expire(from, STRIDE, horizon) {
                from += STRIDE;
                if expired > 0 {
                    self.meters.expired.add(expired as u64);
                    self.meters.series.add(-i64::try_from(expired).unwrap_or(0));
                    self.ended.store(true, Relaxed);
                }
            }
        }
        if self.ended.swap(false, Relaxed) {
            self.aliases.tidy();
        }
        {
            let families = self.families.write();
            let mut families = families.unwrap_or_else(PoisonError::into_inner);
            families.retain(|_, family| !family.close_if_empty());
        }
        let never = |_: &_| false;
        self.streams
            .tidy(|_| false, |stream| stream.family.is_closed());
        self.scopes.tidy(|_| false, never);
        let since = now.saturating_sub(self.settings.expiration.unwrap_or(REMEMBERED));
        self.sources
            .tidy(|source| source.is_used_since(since), |_| false);
        self.origins.tidy(|_| false, |_| false);
        self.targets.tidy(|_| false, |_| false);
    }

    /// Whether it is tidied in no time.
    pub(super) fn is_small(&self) -> bool {
        self.meters.series.value() < 10_000
    }

    /// Counts points that were older than what is shown.
    pub(super) fn outdated(&self, points: u64) {
        self.meters.outdated.add(points);
    }

    /// Series, aliases, streams and sources that are held.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 4] {
        [
            usize::try_from(self.meters.series.value()).unwrap_or(usize::MAX),
            self.aliases.len(),
            self.streams.len(),
            self.sources.len(),
        ]
    }
}
