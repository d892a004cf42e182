//! A scrape that is being read.

use std::borrow::Cow;

use tidegate_pdata::compose::{
    Fields, Kind, exemplar, exponential_point, histogram_point, number_point, summary_point,
};

use super::family::{Belongs, Metadata, Role, points};
use super::native::limited;
use super::origin::Scope;
use super::streams::NONE;
use super::{KeyRef, MAX_SERIES, Series};
use crate::prometheus::exposition::{
    Entry, Fault, Native, Page, ParseError, Sample, Text, Type, open_metrics,
};
use crate::prometheus::job::Job;
use crate::prometheus::labels::{LabelSet, is_legacy_label, is_legacy_metric};
use crate::prometheus::relabel;

/// What a scrape found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::prometheus) struct Counts {
    /// Samples on the page.
    pub(in crate::prometheus) scraped: u64,
    /// Those of them that relabelling left.
    pub(in crate::prometheus) kept: u64,
    /// Those of them whose stream is new.
    pub(in crate::prometheus) added: u64,
    /// Those that became no point.
    pub(in crate::prometheus) rejected: Rejected,
}

/// Samples that became no point, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::prometheus) struct Rejected {
    /// The series had a value already.
    pub(in crate::prometheus) duplicate: u64,
    /// The parts of a point have different times.
    pub(in crate::prometheus) times: u64,
    /// A bucket or quantile does not say which it is.
    pub(in crate::prometheus) unbounded: u64,
    /// Points whose buckets fall, or hold what is no count.
    pub(in crate::prometheus) falling: u64,
}

/// A sample about the scrape itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::prometheus) struct Own {
    pub(in crate::prometheus) name: &'static str,
    pub(in crate::prometheus) help: &'static str,
    pub(in crate::prometheus) unit: &'static str,
    pub(in crate::prometheus) kind: Type,
    pub(in crate::prometheus) value: f64,
}

/// A data point, as far as it is known.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) stream: u32,
    /// The next point of the metric.
    pub(super) next: u32,
    /// In milliseconds since 1970.
    pub(super) time: i64,
    /// In nanoseconds since 1970; 0 where it is not known.
    pub(super) start: u64,
    /// The value of a number.
    pub(super) value: Option<f64>,
    pub(super) sum: Option<f64>,
    pub(super) count: Option<f64>,
    /// The first of its buckets or quantiles.
    pub(super) bounds: u32,
    /// The first of its exemplars.
    pub(super) exemplars: u32,
    pub(super) native: u32,
    /// Whether it says that the stream has ended.
    pub(super) stale: bool,
}

/// A bucket or a quantile.
pub(super) struct Bound {
    pub(super) bound: f64,
    pub(super) value: f64,
    pub(super) next: u32,
}

/// An encoded exemplar.
pub(super) struct Example {
    pub(super) bytes: std::ops::Range<usize>,
    pub(super) next: u32,
}

/// Where samples of a name went last.
struct Memo {
    name: String,
    origin: u32,
    scope: u32,
    family: u32,
    role: Role,
    kind: Type,
}

/// A scrape that is being read.
pub(in crate::prometheus) struct Build<'t, 'p> {
    pub(super) series: &'t mut Series,
    pub(super) job: &'p Job,
    /// The target's labels.
    public: &'p [(String, String)],
    /// When it was scraped, in milliseconds since 1970.
    pub(super) time: i64,
    metadata: Metadata<'p>,
    set: LabelSet<'p>,
    memo: Option<Memo>,
    attributes: Fields,
    pub(super) points: Vec<Point>,
    pub(super) bounds: Vec<Bound>,
    pub(super) examples: Vec<Example>,
    pub(super) example_bytes: Fields,
    pub(super) natives: Vec<Native>,
    /// Metrics that have points, in the order in which they came.
    pub(super) touched: Vec<u32>,
    /// Streams that end with this scrape.
    pub(super) gone: Vec<u32>,
    pub(super) counts: Counts,
}

impl<'t, 'p> Build<'t, 'p> {
    pub(in crate::prometheus) fn new(
        series: &'t mut Series,
        job: &'p Job,
        public: &'p [(String, String)],
        time: i64,
    ) -> Self {
        series.scrape = series.scrape.wrapping_add(1).max(1);
        Self {
            series,
            job,
            public,
            time,
            metadata: Metadata::default(),
            set: LabelSet::default(),
            memo: None,
            attributes: Fields::new(),
            points: Vec::new(),
            bounds: Vec::new(),
            examples: Vec::new(),
            example_bytes: Fields::new(),
            natives: Vec::new(),
            touched: Vec::new(),
            gone: Vec::new(),
            counts: Counts::default(),
        }
    }

    pub(in crate::prometheus) const fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes an entry of the page.
    ///
    /// # Errors
    /// When it breaks a rule, or a limit.
    pub(in crate::prometheus) fn entry(
        &mut self,
        page: &Page<'p>,
        entry: Entry<'p>,
    ) -> Result<(), ParseError> {
        match entry {
            Entry::Type(name, kind) => {
                self.memo = None;
                self.metadata.about(name).kind = kind;
            }
            Entry::Help(name, help) => self.metadata.about(name).help = Some(help),
            Entry::Unit(name, unit) => self.metadata.about(name).unit = Some(unit),
            Entry::Sample(sample) => self.sample(page, &sample, None)?,
            Entry::Native(sample, native) => self.sample(page, &sample, Some(*native))?,
        }
        Ok(())
    }

    fn sample(
        &mut self,
        page: &Page<'p>,
        sample: &Sample<'p>,
        native: Option<Native>,
    ) -> Result<(), ParseError> {
        self.counts.scraped += 1;
        self.fill(page, sample);
        if !relabel::run(&self.job.metric_relabel, &mut self.set) {
            return Ok(());
        }
        self.counts.kept += 1;
        self.add_external();
        self.check(page)?;
        let time = sample.timestamp.filter(|_| self.job.honor_timestamps);
        let taken = Taken {
            value: sample.value,
            bound: sample.bound.map(|(_, bound)| bound),
            time: time.unwrap_or(self.time),
            tracked: time.is_none() || self.job.track_timestamps,
            created: sample.created,
            own: false,
        };
        if let Some(point) = self.place(taken, native) {
            self.attach(page, point);
        }
        if self.series.len() > MAX_SERIES {
            return Err(page.here(Fault::ManySeries(MAX_SERIES)));
        }
        Ok(())
    }

    /// Puts the labels of a sample and of the target together.
    fn fill(&mut self, page: &Page<'p>, sample: &Sample<'p>) {
        self.set.clear();
        let name = sample.name.to_cow();
        self.set.name = match sample.suffix {
            "" => name,
            suffix => Cow::Owned(format!("{name}{suffix}")),
        };
        let relabels = !self.job.metric_relabel.is_empty();
        for (name, value) in page.labels() {
            let (name, mut value) = (name.to_cow(), value.to_cow());
            if relabels && matches!(&*name, "le" | "quantile") {
                value = self.normal(&name, value);
            }
            self.set.pairs.push((name, value));
        }
        if let Some((label, bound)) = sample.bound
            && relabels
        {
            let value = Cow::Owned(open_metrics(bound));
            self.set.pairs.push((Cow::Borrowed(label), value));
        }
        let own = self.set.pairs.len();
        for (name, value) in self.public {
            let given = self.set.pairs[..own]
                .iter()
                .position(|(known, _)| known == name);
            match given {
                Some(at) if !self.job.honor_labels => self.rename(at, value),
                Some(_) => {}
                None => {
                    let pair = (Cow::Borrowed(&**name), Cow::Borrowed(&**value));
                    self.set.pairs.push(pair);
                }
            }
        }
    }

    /// Gives the place of a label to the target's, and puts what was there under another name.
    fn rename(&mut self, at: usize, value: &'p str) {
        let given = std::mem::replace(&mut self.set.pairs[at].1, Cow::Borrowed(value));
        if given.is_empty() {
            return;
        }
        let mut name = format!("exported_{}", self.set.pairs[at].0);
        let taken = |set: &LabelSet<'_>, public: &[(String, String)], name: &str| {
            !set.get(name).is_empty() || public.iter().any(|(known, _)| known == name)
        };
        while taken(&self.set, self.public, &name) {
            name.insert_str(0, "exported_");
        }
        self.set.set(&name, given);
    }

    /// The value of `le` or `quantile` as relabelling expects it.
    fn normal(&self, label: &str, value: Cow<'p, str>) -> Cow<'p, str> {
        let kind = self.metadata.resolve(&self.set.name).kind;
        let is_bound = matches!(
            (kind, label),
            (Type::Histogram, "le") | (Type::Summary, "quantile")
        );
        match value.parse() {
            Ok(bound) if is_bound => Cow::Owned(open_metrics(bound)),
            _ => value,
        }
    }

    fn add_external(&mut self) {
        for (name, value) in &self.job.external {
            self.set.set(name, Cow::Borrowed(value));
        }
    }

    /// Checks what relabelling may have made, and the limits.
    fn check(&mut self, page: &Page<'p>) -> Result<(), ParseError> {
        if let Some(twice) = self.set.settle() {
            return Err(page.here(Fault::DuplicateLabel(twice.to_owned())));
        }
        if self.set.name.is_empty() {
            return Err(page.here(Fault::NoName));
        }
        let limits = &self.job.limits;
        let limit = |text: String| Err(page.here(Fault::Limit(text)));
        if self.counts.kept > limits.samples as u64 {
            return limit(format!(
                "there are more than {} samples (`sample_limit`)",
                limits.samples
            ));
        }
        if self.set.pairs.len() + 1 > limits.labels {
            return limit(format!(
                "the series has more than {} labels (`label_limit`)",
                limits.labels
            ));
        }
        if self.job.legacy {
            self.check_names(page)?;
        }
        if limits.label_name == usize::MAX && limits.label_value == usize::MAX {
            return Ok(());
        }
        for (name, value) in self.set.iter() {
            if name.len() > limits.label_name {
                return limit(format!(
                    "the label name `{name}` is longer than {} bytes (`label_name_length_limit`)",
                    limits.label_name
                ));
            }
            if value.len() > limits.label_value {
                return limit(format!(
                    "the value of the label `{name}` is longer than {} bytes (`label_value_length_limit`)",
                    limits.label_value
                ));
            }
        }
        Ok(())
    }

    fn check_names(&self, page: &Page<'p>) -> Result<(), ParseError> {
        let name = match is_legacy_metric(&self.set.name) {
            false => Some(&*self.set.name),
            true => {
                let names = self.set.pairs.iter().map(|(name, _)| &**name);
                names.into_iter().find(|name| !is_legacy_label(name))
            }
        };
        match name {
            None => Ok(()),
            Some(name) => Err(page.here(Fault::Limit(format!(
                "the name `{name}` is not made of letters, digits and underscores (`metric_name_validation_scheme`)"
            )))),
        }
    }

    /// Finds the point of the labels in the set and puts a value into it; none where there is no place
    /// for it.
    fn place(&mut self, taken: Taken, native: Option<Native>) -> Option<u32> {
        let scope_labels = self.set.pairs.iter().any(|(name, _)| Scope::owns(name));
        let origin = self.origin();
        match &*self.set.name {
            "target_info" => {
                self.series.origins[origin as usize].tell(&self.set);
                return None;
            }
            "otel_scope_info" => {
                let told = Scope::told(&self.set);
                let at = self.series.scope(told.clone());
                self.series.scopes[at as usize].learn(told);
                return None;
            }
            _ => {}
        }
        let scope = match scope_labels.then(|| Scope::named(&self.set)).flatten() {
            Some(scope) => self.series.scope(scope),
            None => self.series.scope_of_none(),
        };
        let (family, role, kind) = self.family(origin, scope, native.is_some());
        let bound = match role {
            Role::Bound if native.is_none() => match self.bound(&taken, kind) {
                Some(bound) => bound,
                None => {
                    self.counts.rejected.unbounded += 1;
                    return None;
                }
            },
            _ => 0.0,
        };
        self.encode(kind, native.is_some(), scope_labels);
        let point = self.point(family, &taken)?;
        if let Some(created) = taken.created {
            self.points[point as usize].start = created;
        }
        let fits = match native {
            Some(native) => self.put_native(point, native),
            None => self.put(point, role, bound, &taken),
        };
        self.counts.rejected.duplicate += u64::from(!fits);
        fits.then_some(point)
    }

    /// The resource of the labels in the set.
    fn origin(&mut self) -> u32 {
        let public = |name: &str| {
            let label = self.public.iter().find(|(known, _)| known == name);
            label.map_or("", |(_, value)| value.as_str())
        };
        let own = |name| Some(self.set.get(name)).filter(|value| !value.is_empty());
        let job = own("job").unwrap_or_else(|| public("job"));
        let instance = own("instance").unwrap_or_else(|| public("instance"));
        self.series.origin(job, instance)
    }

    /// The metric of the name in the set.
    fn family(&mut self, origin: u32, scope: u32, native: bool) -> (u32, Role, Type) {
        if let Some(memo) = &self.memo
            && !native
            && (memo.origin, memo.scope) == (origin, scope)
            && *memo.name == *self.set.name
        {
            return (memo.family, memo.role, memo.kind);
        }
        let Belongs {
            metric,
            about,
            mut kind,
            mut role,
        } = self.metadata.resolve(&self.set.name);
        if native {
            (kind, role) = (Type::Histogram, Role::Value);
        }
        let family = self.series.families.find_or_add(KeyRef {
            origin,
            scope,
            kind,
            native,
            name: &metric,
        });
        let known = &mut self.series.families.all[family as usize];
        if known.touched != self.series.scrape {
            known.touched = self.series.scrape;
            (known.first, known.last) = (NONE, NONE);
            known.tell(self.metadata.get(about));
            self.touched.push(family);
        }
        if !native {
            self.memo = Some(Memo {
                name: self.set.name.to_string(),
                origin,
                scope,
                family,
                role,
                kind,
            });
        }
        (family, role, kind)
    }

    /// The bound of a bucket, or the quantile.
    fn bound(&self, taken: &Taken, kind: Type) -> Option<f64> {
        if let Some(bound) = taken.bound.filter(|_| self.job.metric_relabel.is_empty()) {
            return Some(bound);
        }
        let label = bound_label(kind)?;
        self.set.get(label).parse().ok()
    }

    /// Encodes the labels that are attributes.
    fn encode(&mut self, kind: Type, native: bool, scope_labels: bool) {
        let number = match points(kind, native) {
            Kind::Gauge | Kind::Sum { .. } => number_point::ATTRIBUTES,
            Kind::Histogram(_) => histogram_point::ATTRIBUTES,
            Kind::ExponentialHistogram(_) => exponential_point::ATTRIBUTES,
            Kind::Summary => summary_point::ATTRIBUTES,
        };
        let bound = bound_label(kind);
        self.attributes.clear();
        for (name, value) in &self.set.pairs {
            let elsewhere = matches!(
                &**name,
                "job" | "instance" | "__scheme__" | "__metrics_path__"
            );
            if elsewhere || bound == Some(&**name) || scope_labels && Scope::owns(name) {
                continue;
            }
            self.attributes.attribute(number, name, &**value);
        }
    }

    /// The point of the stream with the encoded attributes; none where its time is another.
    fn point(&mut self, family: u32, taken: &Taken) -> Option<u32> {
        let scrape = self.series.scrape;
        let streams = &mut self.series.streams;
        let at = streams.find_or_add(family, self.attributes.bytes(), scrape);
        let stream = streams.get_mut(at);
        self.counts.added += u64::from(stream.born == scrape && !taken.own);
        if stream.seen == scrape {
            let same = self.points[stream.slot as usize].time == taken.time;
            self.counts.rejected.times += u64::from(!same);
            return same.then_some(stream.slot);
        }
        stream.seen = scrape;
        stream.tracked = taken.tracked;
        stream.own = taken.own;
        stream.slot = u32::try_from(self.points.len()).unwrap_or(NONE);
        let slot = stream.slot;
        self.push(at, family, taken.time, false);
        Some(slot)
    }

    /// Adds a point to a metric.
    pub(super) fn push(&mut self, stream: u32, family: u32, time: i64, stale: bool) {
        let at = u32::try_from(self.points.len()).unwrap_or(NONE);
        let scrape = self.series.scrape;
        let family_at = family;
        let family = &mut self.series.families.all[family as usize];
        if family.touched != scrape {
            family.touched = scrape;
            (family.first, family.last) = (NONE, NONE);
            self.touched.push(family_at);
        }
        match family.last {
            NONE => family.first = at,
            last => self.points[last as usize].next = at,
        }
        family.last = at;
        self.points.push(Point {
            stream,
            next: NONE,
            time,
            start: 0,
            value: None,
            sum: None,
            count: None,
            bounds: NONE,
            exemplars: NONE,
            native: NONE,
            stale,
        });
    }

    /// Puts a value into a point; false where there is one already.
    fn put(&mut self, point: u32, role: Role, bound: f64, taken: &Taken) -> bool {
        let value = taken.value;
        let point = &mut self.points[point as usize];
        let slot = match role {
            Role::Value if taken.own => {
                point.value = Some(value);
                return true;
            }
            Role::Value => &mut point.value,
            Role::Sum => &mut point.sum,
            Role::Count => &mut point.count,
            Role::Created => {
                point.start = nanoseconds(value);
                return true;
            }
            Role::Bound => {
                self.bounds.push(Bound {
                    bound,
                    value,
                    next: point.bounds,
                });
                point.bounds = u32::try_from(self.bounds.len() - 1).unwrap_or(NONE);
                return true;
            }
        };
        let free = slot.is_none();
        slot.get_or_insert(value);
        free
    }

    fn put_native(&mut self, point: u32, mut native: Native) -> bool {
        let point = &mut self.points[point as usize];
        if point.native != NONE {
            return false;
        }
        limited(&mut native, &self.job.limits);
        (point.count, point.sum) = (Some(native.count), Some(native.sum));
        point.native = u32::try_from(self.natives.len()).unwrap_or(NONE);
        self.natives.push(native);
        true
    }

    /// Gives the exemplars of the entry to a point.
    fn attach(&mut self, page: &Page<'p>, point: u32) {
        for example in page.exemplars() {
            let start = self.example_bytes.len();
            let time = example.timestamp.and_then(|time| u64::try_from(time).ok());
            let nanos = time.unwrap_or(0).saturating_mul(1_000_000);
            self.example_bytes.fixed64(exemplar::TIME, nanos);
            self.example_bytes
                .double(exemplar::AS_DOUBLE, example.value);
            for (name, value) in page.labels_of(example) {
                example_label(&mut self.example_bytes, &name.to_cow(), &value.to_cow());
            }
            let point = &mut self.points[point as usize];
            self.examples.push(Example {
                bytes: start..self.example_bytes.len(),
                next: point.exemplars,
            });
            point.exemplars = u32::try_from(self.examples.len() - 1).unwrap_or(NONE);
        }
    }

    /// Ends the reading of a page: streams that it did not have end here.
    pub(in crate::prometheus) fn end_page(&mut self) {
        for at in self.series.streams.missed(self.series.scrape) {
            self.end_stream(at);
        }
    }

    /// Lets go of what was read: every stream that was there before ends here.
    pub(in crate::prometheus) fn abandon(&mut self) {
        self.points.clear();
        self.bounds.clear();
        self.examples.clear();
        self.example_bytes.clear();
        self.natives.clear();
        self.touched.clear();
        self.memo = None;
        // Points that metrics knew of are gone: they are met anew.
        for family in &mut self.series.families.all {
            family.touched = 0;
        }
        for at in self.series.streams.places() {
            self.end_stream(at);
        }
    }

    fn end_stream(&mut self, at: u32) {
        let stream = self.series.streams.get(at);
        if stream.own {
            return;
        }
        let family = stream.family;
        if stream.tracked && stream.born != self.series.scrape {
            self.push(at, family, self.time, true);
        }
        self.gone.push(at);
    }

    /// Ends every stream, those about the scrapes too: the target has gone.
    pub(in crate::prometheus) fn end_target(&mut self) {
        for at in self.series.streams.places() {
            self.series.streams.get_mut(at).own = false;
            self.end_stream(at);
        }
    }

    /// Adds samples about the scrape itself.
    pub(in crate::prometheus) fn own(&mut self, samples: &[Own]) {
        self.memo = None;
        for sample in samples {
            self.set.clear();
            self.set.name = Cow::Borrowed(sample.name);
            let labels = self.public.iter();
            let labels =
                labels.map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value)));
            self.set.pairs.extend(labels);
            self.add_external();
            self.set.settle();
            let about = self.metadata.about(Text::plain(sample.name));
            about.kind = sample.kind;
            about.help = Some(Text::plain(sample.help));
            about.unit = Some(Text::plain(sample.unit));
            let taken = Taken {
                value: sample.value,
                bound: None,
                time: self.time,
                tracked: true,
                created: None,
                own: true,
            };
            self.place(taken, None);
        }
    }
}

/// A value to be placed.
struct Taken {
    value: f64,
    bound: Option<f64>,
    time: i64,
    tracked: bool,
    created: Option<u64>,
    own: bool,
}

impl Series {
    /// The scope of series that name none.
    fn scope_of_none(&mut self) -> u32 {
        match self.scopes.first() {
            Some(first) if first.is(&Scope::default()) => 0,
            _ => self.scope(Scope::default()),
        }
    }
}

/// The label that says which bucket or quantile a sample is.
const fn bound_label(kind: Type) -> Option<&'static str> {
    match kind {
        Type::Histogram => Some("le"),
        Type::Summary => Some("quantile"),
        _ => None,
    }
}

/// Nanoseconds from seconds since 1970.
fn nanoseconds(seconds: f64) -> u64 {
    let whole = seconds.trunc();
    (whole as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(((seconds - whole) * 1e9) as u64)
}

/// Writes a label of an exemplar: an ID where it is one.
fn example_label(out: &mut Fields, name: &str, value: &str) {
    let id = |out: &mut [u8]| hex(value.as_bytes(), out);
    let (mut trace, mut span) = ([0; 16], [0; 8]);
    if name.eq_ignore_ascii_case("trace_id") && id(&mut trace) {
        out.some_bytes(exemplar::TRACE_ID, &trace);
    } else if name.eq_ignore_ascii_case("span_id") && id(&mut span) {
        out.some_bytes(exemplar::SPAN_ID, &span);
    } else {
        out.attribute(exemplar::FILTERED_ATTRIBUTES, name, value);
    }
}

/// Reads hexadecimal digits into the last bytes; of digits that are too many, the first are read.
fn hex(text: &[u8], out: &mut [u8]) -> bool {
    let text = &text[..text.len().min(out.len() * 2)];
    if !text.len().is_multiple_of(2) {
        return false;
    }
    let start = out.len() - text.len() / 2;
    for (at, pair) in text.chunks_exact(2).enumerate() {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return false;
        };
        out[start + at] = (high << 4 | low) as u8;
    }
    true
}
