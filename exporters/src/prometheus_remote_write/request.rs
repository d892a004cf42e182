//! Series as requests of remote write 1.0 and 2.0, none larger than is wanted.

use bytes::Bytes;
use tidegate_pdata::compose::Fields;

use super::ProtobufMessage;
use super::series::{Exemplar, Gathered, STALE, Sample, Series, Value};
use super::symbols::Symbol;
use crate::prometheus::exposition::protobuf::{ZERO_THRESHOLD, write_buckets};
use crate::prometheus::value::Native;

/// One request, not compressed.
#[derive(Debug)]
pub(super) struct Request {
    /// One after the other.
    pub(super) body: Vec<Bytes>,
}

/// Writes everything that was gathered, in its order.
pub(super) fn write(
    gathered: &Gathered,
    version: ProtobufMessage,
    metadata: bool,
    largest: usize,
) -> Vec<Request> {
    let mut requests = Requests {
        gathered,
        largest,
        done: Vec::new(),
        body: Fields::new(),
        symbols: (version == ProtobufMessage::V2).then(|| Table::new(gathered.symbols.len())),
    };
    if metadata {
        requests.metadata();
    }
    let (mut samples, mut exemplars) = (&*gathered.samples, &*gathered.exemplars);
    for (at, series) in gathered.series.iter().enumerate() {
        let its = samples.partition_point(|sample| sample.series as usize <= at);
        let (own, rest) = samples.split_at(its);
        samples = rest;
        let its = exemplars.partition_point(|exemplar| exemplar.series as usize <= at);
        let (shown, rest) = exemplars.split_at(its);
        exemplars = rest;
        requests.series(series, own, shown);
    }
    requests.finish();
    requests.done
}

/// Requests that are being written.
struct Requests<'g> {
    gathered: &'g Gathered,
    largest: usize,
    done: Vec<Request>,
    body: Fields,
    /// The texts of the request at hand, for the version that has each once.
    symbols: Option<Table>,
}

/// The texts of one request by their numbers in the batch.
struct Table {
    numbers: Vec<u32>,
    /// What is in the table, by number.
    symbols: Vec<Symbol>,
    /// Bytes that the texts take.
    bytes: usize,
}

impl Table {
    fn new(symbols: usize) -> Self {
        let mut table = Self {
            numbers: vec![u32::MAX; symbols],
            symbols: Vec::new(),
            bytes: 0,
        };
        table.clear();
        table
    }

    /// Begins anew, with the empty text.
    fn clear(&mut self) {
        for symbol in self.symbols.drain(..) {
            self.numbers[symbol as usize] = u32::MAX;
        }
        self.symbols.push(0);
        self.numbers[0] = 0;
        self.bytes = 2;
    }

    fn number(&mut self, symbol: Symbol, gathered: &Gathered) -> u32 {
        let number = &mut self.numbers[symbol as usize];
        if *number == u32::MAX {
            *number = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX);
            self.symbols.push(symbol);
            self.bytes += gathered.symbols.get(symbol).len() + 4;
        }
        *number
    }
}

/// Fields of `prometheus.WriteRequest`.
mod one {
    pub(super) const SERIES: u32 = 1;
    pub(super) const METADATA: u32 = 3;
}

/// Fields of `io.prometheus.write.v2.Request`.
mod two {
    pub(super) const SYMBOLS: u32 = 4;
    pub(super) const SERIES: u32 = 5;
}

impl Requests<'_> {
    fn size(&self) -> usize {
        self.body.len() + self.symbols.as_ref().map_or(0, |table| table.bytes)
    }

    /// Writes something; where it makes the request too large, it is the first of another.
    fn add(&mut self, write: impl Fn(&mut Fields, Option<&mut Table>, &Gathered)) {
        let (before, known) = (
            self.body.len(),
            self.symbols.as_ref().map_or(0, |table| table.symbols.len()),
        );
        write(&mut self.body, self.symbols.as_mut(), self.gathered);
        if self.size() > self.largest && before > 0 {
            // Written once more: the other request has other numbers.
            self.cut(before, known);
            write(&mut self.body, self.symbols.as_mut(), self.gathered);
        }
    }

    /// Ends the request at hand at a length, and so many symbols.
    fn cut(&mut self, body: usize, symbols: usize) {
        let written = std::mem::take(&mut self.body).into_bytes();
        self.push(written.slice(..body), symbols);
        if let Some(table) = &mut self.symbols {
            table.clear();
        }
    }

    fn push(&mut self, body: Bytes, symbols: usize) {
        let mut pieces = Vec::with_capacity(2);
        if let Some(table) = &self.symbols {
            let mut texts = Fields::new();
            for symbol in &table.symbols[..symbols] {
                let text = self.gathered.symbols.get(*symbol);
                texts.any_string(two::SYMBOLS, text);
            }
            pieces.push(texts.into_bytes());
        }
        pieces.push(body);
        self.done.push(Request { body: pieces });
    }

    fn finish(&mut self) {
        if !self.body.is_empty() {
            let known = self.symbols.as_ref().map_or(0, |table| table.symbols.len());
            self.cut(self.body.len(), known);
        }
    }

    /// Type, help and unit of each metric, for remote write 1.0.
    fn metadata(&mut self) {
        for family in &self.gathered.families {
            self.add(|body, _, gathered| {
                body.message(one::METADATA, |metadata| {
                    metadata.uint(1, family.kind as u64);
                    metadata.string(2, gathered.symbols.get(family.name));
                    metadata.string(4, gathered.symbols.get(family.help));
                    metadata.string(5, gathered.symbols.get(family.unit));
                });
            });
        }
    }

    fn series(&mut self, series: &Series, samples: &[Sample], exemplars: &[Exemplar]) {
        self.add(|body, table, gathered| match table {
            None => body.message(one::SERIES, |out| {
                first(out, gathered, series, samples, exemplars);
            }),
            Some(table) => body.message(two::SERIES, |out| {
                second(out, (gathered, table), series, samples, exemplars);
            }),
        });
    }
}

/// Writes a `prometheus.TimeSeries`.
fn first(
    out: &mut Fields,
    gathered: &Gathered,
    series: &Series,
    samples: &[Sample],
    exemplars: &[Exemplar],
) {
    let label = |out: &mut Fields, label: &(Symbol, Symbol)| {
        out.message(1, |out| {
            out.string(1, gathered.symbols.get(label.0));
            out.string(2, gathered.symbols.get(label.1));
        });
    };
    for one in gathered.labels(series) {
        label(out, one);
    }
    for sample in samples {
        if let Value::Number(value) = sample.value {
            out.message(2, |out| number(out, value, sample));
        }
    }
    for exemplar in exemplars {
        out.message(3, |out| {
            for one in gathered.labels_of(exemplar) {
                label(out, one);
            }
            out.double(2, exemplar.value);
            out.uint(3, exemplar.time.cast_unsigned());
        });
    }
    natives(out, 4, gathered, samples, 0);
}

/// Writes an `io.prometheus.write.v2.TimeSeries`.
fn second(
    out: &mut Fields,
    (gathered, table): (&Gathered, &mut Table),
    series: &Series,
    samples: &[Sample],
    exemplars: &[Exemplar],
) {
    let mut numbers = |out: &mut Fields, labels: &[(Symbol, Symbol)]| {
        let symbols = labels.iter().flat_map(|(name, value)| [*name, *value]);
        let numbers = symbols.map(|symbol| u64::from(table.number(symbol, gathered)));
        out.packed_varints(1, numbers);
    };
    numbers(out, gathered.labels(series));
    for sample in samples {
        if let Value::Number(value) = sample.value {
            out.message(2, |out| {
                number(out, value, sample);
                out.uint(3, sample.start.cast_unsigned());
            });
        }
    }
    natives(out, 3, gathered, samples, 17);
    for exemplar in exemplars {
        out.message(4, |out| {
            numbers(out, gathered.labels_of(exemplar));
            out.double(2, exemplar.value);
            out.uint(3, exemplar.time.cast_unsigned());
        });
    }
    if let Some(family) = gathered.families.get(series.family as usize) {
        let [help, unit] =
            [family.help, family.unit].map(|symbol| u64::from(table.number(symbol, gathered)));
        out.message(5, |out| {
            out.uint(1, family.kind as u64);
            out.uint(3, help);
            out.uint(4, unit);
        });
    }
    // Where earlier drafts of the specification have it, which receivers read too.
    let start = samples.last().map_or(0, |sample| sample.start);
    out.uint(6, start.cast_unsigned());
}

fn number(out: &mut Fields, bits: u64, sample: &Sample) {
    out.double(1, f64::from_bits(bits));
    out.uint(2, sample.time.cast_unsigned());
}

/// Writes the native histograms among samples; `start` is the field that tells since when one counts, if it is not 0.
fn natives(out: &mut Fields, field: u32, gathered: &Gathered, samples: &[Sample], start: u32) {
    for sample in samples {
        let histogram = match sample.value {
            Value::Number(_) => continue,
            Value::Native(at) => gathered.natives.get(at as usize),
            Value::NoNative => None,
        };
        out.message(field, |out| {
            match histogram {
                Some(histogram) => native(out, histogram),
                None => out.double(3, f64::from_bits(STALE)),
            }
            out.uint(15, sample.time.cast_unsigned());
            if start > 0 {
                out.uint(start, sample.start.cast_unsigned());
            }
        });
    }
}

/// Writes the fields of a `Histogram`, which are the same in both versions.
fn native(out: &mut Fields, native: &Native) {
    out.any_uint(1, native.count);
    out.double(3, native.sum);
    out.zigzag(4, native.scale);
    let threshold = if native.zero_threshold > 0.0 {
        native.zero_threshold
    } else {
        ZERO_THRESHOLD
    };
    out.double(5, threshold);
    out.any_uint(6, native.zero_count);
    let mut buckets = Vec::new();
    write_buckets(&mut buckets, &native.negative, 8, 9);
    write_buckets(&mut buckets, &native.positive, 11, 12);
    out.raw(&buckets);
}
