//! Protobuf: `io.prometheus.client.MetricFamily`, each behind its length.
//!
//! A metric of it is read into the samples that the text formats would have for it, one entry after
//! the other: so whatever looks at samples (relabelling above all) need not know of the format.

use std::collections::VecDeque;

use tidegate_pdata::wire::{Cursor, Field, WireType};

use super::fault::{Fault, ParseError, Place};
use super::{Bounds, Buckets, Entry, Exemplar, Native, Sample, Scratch, Text, Type, number};

/// Reads a page of protobuf.
pub(super) struct Reader<'p> {
    page: Cursor<'p>,
    bounds: Bounds,
    native: bool,
    classic: bool,
    /// The family that is being read, and its metrics that are left.
    family: Option<Family<'p>>,
    /// What was read already and not given yet: the labels stay those of its metric.
    ready: VecDeque<Ready<'p>>,
    /// Where the entry given last begins.
    start: usize,
}

struct Family<'p> {
    name: Text<'p>,
    kind: Type,
    fields: Cursor<'p>,
}

/// An entry and the exemplars that belong to it, which take the place of the earlier entry's.
type Ready<'p> = (Entry<'p>, Vec<Exemplar>);

impl<'p> Reader<'p> {
    pub(super) fn new(page: &'p [u8], bounds: Bounds, native: bool, classic: bool) -> Self {
        Self {
            page: Cursor::new(page),
            bounds,
            native,
            classic,
            family: None,
            ready: VecDeque::new(),
            start: 0,
        }
    }

    pub(super) const fn position(&self) -> usize {
        match &self.family {
            Some(family) => family.fields.offset(),
            None => self.page.offset(),
        }
    }

    pub(super) const fn entry_error(&self, fault: Fault) -> ParseError {
        ParseError {
            fault,
            place: Place::Byte(self.start),
        }
    }

    pub(super) fn next(
        &mut self,
        scratch: &mut Scratch<'p>,
    ) -> Result<Option<Entry<'p>>, ParseError> {
        loop {
            if let Some((entry, exemplars)) = self.ready.pop_front() {
                scratch.exemplars = exemplars;
                return Ok(Some(entry));
            }
            let metric = match &mut self.family {
                Some(family) => next_metric(&mut family.fields)?,
                None => {
                    if self.page.is_done() {
                        return Ok(None);
                    }
                    self.begin_family()?;
                    continue;
                }
            };
            match metric {
                Some(metric) => {
                    self.start = metric.start;
                    scratch.clear();
                    self.metric(metric.message(), scratch)?;
                }
                None => self.family = None,
            }
        }
    }

    fn begin_family(&mut self) -> Result<(), ParseError> {
        self.start = self.page.offset();
        let bytes = self.page.bytes().map_err(wire)?;
        let fields = Cursor::at(bytes, self.page.offset() - bytes.len());
        let (mut name, mut help, mut unit, mut kind) = ("", "", "", Type::Counter);
        let mut rest = fields;
        while let Some(field) = rest.field().map_err(wire)? {
            match field.number {
                1 => name = text(&field)?,
                2 => help = text(&field)?,
                3 => kind = type_of(&field)?,
                5 => unit = text(&field)?,
                _ => {}
            }
        }
        if name.is_empty() {
            return Err(self.entry_error(Fault::NoName));
        }
        let name = Text::plain(name);
        let mut tell = |entry| self.ready.push_back((entry, Vec::new()));
        tell(Entry::Type(name, kind));
        if !help.is_empty() {
            tell(Entry::Help(name, Text::plain(help)));
        }
        if !unit.is_empty() {
            tell(Entry::Unit(name, Text::plain(unit)));
        }
        self.family = Some(Family { name, kind, fields });
        Ok(())
    }

    fn metric(&mut self, fields: Cursor<'p>, scratch: &mut Scratch<'p>) -> Result<(), ParseError> {
        let Some((name, kind)) = self
            .family
            .as_ref()
            .map(|family| (family.name, family.kind))
        else {
            return Ok(());
        };
        if fields.rest().len() > self.bounds.line {
            return Err(self.entry_error(Fault::LongFamily(self.bounds.line)));
        }
        let (mut value, mut timestamp) = (None, None);
        let mut rest = fields;
        while let Some(field) = rest.field().map_err(wire)? {
            match field.number {
                1 => {
                    if scratch.labels.len() >= self.bounds.labels {
                        return Err(self.entry_error(Fault::ManyLabels(self.bounds.labels)));
                    }
                    scratch.labels.push(label(&field)?);
                }
                2..=5 | 7 => value = Some(message(&field)?),
                6 => timestamp = Some(field.scalar as i64).filter(|time| *time != 0),
                _ => {}
            }
        }
        let value = value.unwrap_or(Cursor::new(&[]));
        let sample = Sample {
            name,
            suffix: "",
            bound: None,
            value: 0.0,
            timestamp,
            created: None,
            exemplars: 0,
        };
        match kind {
            Type::Histogram | Type::GaugeHistogram => {
                self.histogram(sample, kind == Type::GaugeHistogram, value, scratch)
            }
            Type::Summary => self.summary(sample, value),
            _ => self.number(sample, value, scratch),
        }
    }

    /// A counter, a gauge or what has no type: all have their value as the first field.
    fn number(
        &mut self,
        mut sample: Sample<'p>,
        mut fields: Cursor<'p>,
        scratch: &mut Scratch<'p>,
    ) -> Result<(), ParseError> {
        let mut exemplars = Vec::new();
        while let Some(field) = fields.field().map_err(wire)? {
            match field.number {
                1 => sample.value = double(&field)?,
                2 => exemplars.push(exemplar(&field, scratch)?),
                3 => sample.created = time(&field)?,
                _ => {}
            }
        }
        self.give(sample, exemplars);
        Ok(())
    }

    fn give(&mut self, mut sample: Sample<'p>, exemplars: Vec<Exemplar>) {
        sample.exemplars = exemplars.len();
        self.ready.push_back((Entry::Sample(sample), exemplars));
    }

    fn summary(&mut self, sample: Sample<'p>, fields: Cursor<'p>) -> Result<(), ParseError> {
        let (mut count, mut sum, mut created) = (0, 0.0, None);
        let mut rest = fields;
        while let Some(field) = rest.field().map_err(wire)? {
            match field.number {
                1 => count = field.scalar,
                2 => sum = double(&field)?,
                4 => created = time(&field)?,
                _ => {}
            }
        }
        let part = |suffix, bound, value| Sample {
            suffix,
            bound,
            value,
            created,
            ..sample.clone()
        };
        self.give(part("_count", None, count as f64), Vec::new());
        self.give(part("_sum", None, sum), Vec::new());
        let mut rest = fields;
        while let Some(field) = rest.field().map_err(wire)? {
            if field.number == 3 {
                let (quantile, value) = pair(&field)?;
                self.give(part("", Some(("quantile", quantile)), value), Vec::new());
            }
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        sample: Sample<'p>,
        gauge: bool,
        fields: Cursor<'p>,
        scratch: &mut Scratch<'p>,
    ) -> Result<(), ParseError> {
        let read = Histogram::read(fields, scratch)?;
        if self.native && read.is_native() {
            let native = read
                .native(gauge, self.bounds.buckets)
                .map_err(|fault| self.entry_error(fault))?;
            let sample = Sample {
                created: read.created,
                exemplars: read.exemplars.len(),
                ..sample.clone()
            };
            let entry = Entry::Native(sample, Box::new(native));
            self.ready.push_back((entry, read.exemplars.clone()));
            if !self.classic {
                return Ok(());
            }
        }
        let created = read.created;
        let part = |suffix, bound, value| Sample {
            suffix,
            bound,
            value,
            created,
            ..sample.clone()
        };
        let count = read.count();
        self.give(part("_count", None, count), Vec::new());
        self.give(part("_sum", None, read.sum), Vec::new());
        let mut infinite = false;
        for bucket in &read.buckets {
            infinite |= bucket.bound == f64::INFINITY;
            let bound = Some(("le", bucket.bound));
            let exemplars = bucket.exemplar.iter().cloned().collect();
            self.give(part("_bucket", bound, bucket.count), exemplars);
        }
        if !infinite {
            let bound = Some(("le", f64::INFINITY));
            self.give(part("_bucket", bound, count), Vec::new());
        }
        Ok(())
    }
}

fn next_metric<'p>(fields: &mut Cursor<'p>) -> Result<Option<Field<'p>>, ParseError> {
    while let Some(field) = fields.field().map_err(wire)? {
        if field.number == 4 {
            message(&field)?;
            return Ok(Some(field));
        }
    }
    Ok(None)
}

/// A histogram as it stands in the message.
#[derive(Default)]
struct Histogram {
    count: u64,
    count_float: f64,
    sum: f64,
    buckets: Vec<Bucket>,
    created: Option<u64>,
    schema: i32,
    zero_threshold: f64,
    zero_count: u64,
    zero_count_float: f64,
    positive: Side,
    negative: Side,
    exemplars: Vec<Exemplar>,
}

struct Bucket {
    bound: f64,
    count: f64,
    exemplar: Option<Exemplar>,
}

/// The buckets on one side of zero: spans, and either counts or their differences.
#[derive(Default)]
struct Side {
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl Histogram {
    fn read<'p>(mut fields: Cursor<'p>, scratch: &mut Scratch<'p>) -> Result<Self, ParseError> {
        let mut read = Self::default();
        while let Some(field) = fields.field().map_err(wire)? {
            match field.number {
                1 => read.count = field.scalar,
                2 => read.sum = double(&field)?,
                3 => read.buckets.push(bucket(&field, scratch)?),
                4 => read.count_float = double(&field)?,
                5 => read.schema = zigzag(field.scalar) as i32,
                6 => read.zero_threshold = double(&field)?,
                7 => read.zero_count = field.scalar,
                8 => read.zero_count_float = double(&field)?,
                9 => read.negative.spans.push(span(&field)?),
                10 => varints(&field, &mut read.negative.deltas)?,
                11 => doubles(&field, &mut read.negative.counts)?,
                12 => read.positive.spans.push(span(&field)?),
                13 => varints(&field, &mut read.positive.deltas)?,
                14 => doubles(&field, &mut read.positive.counts)?,
                15 => read.created = time(&field)?,
                16 => read.exemplars.push(exemplar(&field, scratch)?),
                _ => {}
            }
        }
        Ok(read)
    }

    fn count(&self) -> f64 {
        match self.count_float == 0.0 {
            true => self.count as f64,
            false => self.count_float,
        }
    }

    /// One without spans has a zero bucket at least, or is none.
    fn is_native(&self) -> bool {
        !self.positive.spans.is_empty()
            || !self.negative.spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0
            || self.zero_count_float > 0.0
    }

    fn native(&self, gauge: bool, most: usize) -> Result<Native, Fault> {
        if !(-4..=8).contains(&self.schema) {
            return Err(Fault::Native("schema is none from -4 to 8"));
        }
        let zero_count = match self.zero_count_float == 0.0 {
            true => self.zero_count as f64,
            false => self.zero_count_float,
        };
        Ok(Native {
            count: self.count(),
            sum: self.sum,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count,
            positive: self.positive.buckets(most)?,
            negative: self.negative.buckets(most)?,
            gauge,
        })
    }
}

impl Side {
    /// The buckets one beside the other.
    fn buckets(&self, most: usize) -> Result<Buckets, Fault> {
        let mut made = Buckets {
            first: self.spans.first().map_or(0, |(offset, _)| *offset),
            counts: Vec::new(),
        };
        let floats = !self.counts.is_empty();
        let given = if floats {
            self.counts.len()
        } else {
            self.deltas.len()
        };
        let (mut next, mut running) = (0, 0_i64);
        for (at, (offset, length)) in self.spans.iter().enumerate() {
            let gap = match at {
                0 => 0,
                _ => usize::try_from(*offset)
                    .map_err(|_| Fault::Native("spans overlap: an offset is negative"))?,
            };
            let length = *length as usize;
            let whole = made.counts.len().saturating_add(gap).saturating_add(length);
            if whole > most {
                return Err(Fault::Native("buckets are more than are taken"));
            }
            if given - next < length {
                return Err(Fault::Native("spans want more buckets than there are"));
            }
            made.counts.resize(made.counts.len() + gap, 0);
            for _ in 0..length {
                let count = match floats {
                    true => self.counts[next] as u64,
                    false => {
                        running = running.saturating_add(self.deltas[next]);
                        u64::try_from(running)
                            .map_err(|_| Fault::Native("bucket has a negative count"))?
                    }
                };
                made.counts.push(count);
                next += 1;
            }
        }
        match next == given {
            true => Ok(made),
            false => Err(Fault::Native("spans want fewer buckets than there are")),
        }
    }
}

#[cold]
fn wire(fault: tidegate_pdata::wire::Malformed) -> ParseError {
    ParseError {
        place: Place::Byte(fault.offset),
        fault: Fault::Wire(fault),
    }
}

fn expect(field: &Field<'_>, expected: WireType) -> Result<(), ParseError> {
    if field.wire == expected {
        return Ok(());
    }
    Err(wire(tidegate_pdata::wire::Malformed {
        fault: tidegate_pdata::wire::Fault::WrongWireType {
            found: field.wire,
            expected,
        },
        offset: field.start,
    }))
}

fn message<'p>(field: &Field<'p>) -> Result<Cursor<'p>, ParseError> {
    expect(field, WireType::Len)?;
    Ok(field.message())
}

fn text<'p>(field: &Field<'p>) -> Result<&'p str, ParseError> {
    expect(field, WireType::Len)?;
    std::str::from_utf8(field.bytes).map_err(|error| ParseError {
        fault: Fault::Utf8,
        place: Place::Byte(field.body() + error.valid_up_to()),
    })
}

fn double(field: &Field<'_>) -> Result<f64, ParseError> {
    expect(field, WireType::Fixed64)?;
    Ok(number::canonical(field.double()))
}

fn type_of(field: &Field<'_>) -> Result<Type, ParseError> {
    Ok(match field.scalar {
        0 => Type::Counter,
        1 => Type::Gauge,
        2 => Type::Summary,
        3 => Type::Unknown,
        4 => Type::Histogram,
        5 => Type::GaugeHistogram,
        other => {
            return Err(ParseError {
                fault: Fault::TypeNumber(other),
                place: Place::Byte(field.start),
            });
        }
    })
}

const fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn label<'p>(field: &Field<'p>) -> Result<(Text<'p>, Text<'p>), ParseError> {
    let (mut name, mut value) = ("", "");
    let mut rest = message(field)?;
    while let Some(field) = rest.field().map_err(wire)? {
        match field.number {
            1 => name = text(&field)?,
            2 => value = text(&field)?,
            _ => {}
        }
    }
    Ok((Text::plain(name), Text::plain(value)))
}

/// A quantile: two doubles.
fn pair(field: &Field<'_>) -> Result<(f64, f64), ParseError> {
    let (mut first, mut second) = (0.0, 0.0);
    let mut rest = message(field)?;
    while let Some(field) = rest.field().map_err(wire)? {
        match field.number {
            1 => first = double(&field)?,
            2 => second = double(&field)?,
            _ => {}
        }
    }
    Ok((first, second))
}

fn bucket<'p>(field: &Field<'p>, scratch: &mut Scratch<'p>) -> Result<Bucket, ParseError> {
    let (mut count, mut count_float, mut bound, mut example) = (0, 0.0, 0.0, None);
    let mut rest = message(field)?;
    while let Some(field) = rest.field().map_err(wire)? {
        match field.number {
            1 => count = field.scalar,
            2 => bound = double(&field)?,
            3 => example = Some(exemplar(&field, scratch)?),
            4 => count_float = double(&field)?,
            _ => {}
        }
    }
    Ok(Bucket {
        bound,
        count: if count_float == 0.0 {
            count as f64
        } else {
            count_float
        },
        exemplar: example,
    })
}

fn span(field: &Field<'_>) -> Result<(i32, u32), ParseError> {
    let (mut offset, mut length) = (0, 0);
    let mut rest = message(field)?;
    while let Some(field) = rest.field().map_err(wire)? {
        match field.number {
            1 => offset = zigzag(field.scalar) as i32,
            2 => length = field.scalar as u32,
            _ => {}
        }
    }
    Ok((offset, length))
}

fn varints(field: &Field<'_>, into: &mut Vec<i64>) -> Result<(), ParseError> {
    if field.wire == WireType::Varint {
        into.push(zigzag(field.scalar));
        return Ok(());
    }
    let mut packed = message(field)?;
    while !packed.is_done() {
        into.push(zigzag(packed.varint().map_err(wire)?));
    }
    Ok(())
}

fn doubles(field: &Field<'_>, into: &mut Vec<f64>) -> Result<(), ParseError> {
    if field.wire == WireType::Fixed64 {
        into.push(field.double());
        return Ok(());
    }
    let mut packed = message(field)?;
    while !packed.is_done() {
        into.push(f64::from_bits(packed.fixed64().map_err(wire)?));
    }
    Ok(())
}

/// A time in nanoseconds since 1970; none where it is before that, or not set.
fn time(field: &Field<'_>) -> Result<Option<u64>, ParseError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut rest = message(field)?;
    while let Some(field) = rest.field().map_err(wire)? {
        match field.number {
            1 => seconds = field.scalar as i64,
            2 => nanos = field.scalar as i64,
            _ => {}
        }
    }
    let whole = seconds
        .checked_mul(1_000_000_000)
        .and_then(|whole| whole.checked_add(nanos));
    Ok(whole
        .and_then(|whole| u64::try_from(whole).ok())
        .filter(|whole| *whole > 0))
}

fn exemplar<'p>(field: &Field<'p>, scratch: &mut Scratch<'p>) -> Result<Exemplar, ParseError> {
    let first = scratch.exemplar_labels.len();
    let (mut value, mut timestamp) = (0.0, None);
    let mut rest = message(field)?;
    while let Some(field) = rest.field().map_err(wire)? {
        match field.number {
            1 => scratch.exemplar_labels.push(label(&field)?),
            2 => value = double(&field)?,
            3 => timestamp = time(&field)?.and_then(|nanos| i64::try_from(nanos / 1_000_000).ok()),
            _ => {}
        }
    }
    Ok(Exemplar {
        labels: first..scratch.exemplar_labels.len(),
        value,
        timestamp,
    })
}
