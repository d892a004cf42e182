//! Metrics whose name and points may change.

use std::borrow::Cow;

use tidegate_pdata::compose::Fields;
use tidegate_pdata::view::{Attributes, Metric as View, View as _};
use tidegate_pdata::wire::Cursor;

use crate::message::{Arena, Place, attributes_of, copy_but};

/// Fields of `Metric`.
const NAME: u32 = 1;
const METADATA: u32 = 12;
/// The field of its data that holds points.
const POINTS: u32 = 1;
/// The field of a scope's metrics that holds metrics.
const METRICS: u32 = 2;

/// A metric; until its points are asked for it stays as it came.
#[derive(Clone)]
pub(crate) struct Metric<'a> {
    original: &'a [u8],
    pub(crate) name: Cow<'a, [u8]>,
    /// The field that its data is, and its content; 0 where there is none.
    kind: u32,
    data: &'a [u8],
    points: Vec<Place<'a>>,
    is_open: bool,
    /// Whether it is told on what else is known of it.
    has_metadata: bool,
}

impl<'a> Metric<'a> {
    pub(crate) fn of(original: &'a [u8]) -> Self {
        let (mut name, mut kind, mut data): (&[u8], _, &[u8]) = (&[], 0, &[]);
        for field in Cursor::new(original) {
            match field.number {
                NAME => name = field.bytes,
                5 | 7 | 9 | 10 | 11 => (kind, data) = (field.number, field.bytes),
                _ => {}
            }
        }
        Self {
            original,
            name: Cow::Borrowed(name),
            kind,
            data,
            points: Vec::new(),
            is_open: false,
            has_metadata: true,
        }
    }

    /// One of the same kind and unit with other points.
    pub(crate) fn with_points(&self, points: Vec<Place<'a>>) -> Self {
        Self {
            original: self.original,
            name: self.name.clone(),
            kind: self.kind,
            data: self.data,
            points,
            is_open: true,
            has_metadata: false,
        }
    }

    /// The field of a metric that its data is: 5 of a gauge, 7 of a sum, 9 and 10 of histograms, 11 of a summary.
    pub(crate) const fn kind(&self) -> u32 {
        self.kind
    }

    pub(crate) const fn attributes_field(&self) -> u32 {
        attributes_of(self.kind)
    }

    pub(crate) fn points(&mut self) -> &mut Vec<Place<'a>> {
        if !self.is_open {
            self.is_open = true;
            let points = Cursor::new(self.data).filter(|field| field.number == POINTS);
            self.points = points.map(|field| Place::Source(field.bytes)).collect();
        }
        &mut self.points
    }

    pub(crate) fn unit(&self) -> &'a [u8] {
        View::of(self.original).unit().as_bytes()
    }

    /// What its values are relative to, 0 where they are not; and whether they only rise.
    pub(crate) fn nature(&self) -> (u64, bool) {
        let mut nature = (0, false);
        if matches!(self.kind, 7 | 9 | 10) {
            for field in Cursor::new(self.data) {
                match field.number {
                    2 => nature.0 = field.scalar,
                    3 if self.kind == 7 => nature.1 = field.scalar != 0,
                    _ => {}
                }
            }
        }
        nature
    }

    /// The keys that its points have.
    pub(crate) fn keys(&mut self, arena: &Arena) -> Vec<Box<[u8]>> {
        let field = self.attributes_field();
        let points = self.points().iter();
        let attributes = points.flat_map(|point| Attributes::new(arena.get(point), field));
        let mut keys: Vec<Box<[u8]>> = attributes.map(|(key, _)| key.as_bytes().into()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Writes it as a metric of a scope.
    pub(crate) fn write(&self, arena: &Arena, out: &mut Fields) {
        let is_renamed = matches!(self.name, Cow::Owned(_));
        if !is_renamed && !self.is_open {
            out.message(METRICS, |out| out.raw(self.original));
            return;
        }
        out.message(METRICS, |out| {
            out.some_bytes(NAME, &self.name);
            let left_out = |number, _: &[u8]| {
                number == NAME
                    || (number == METADATA && !self.has_metadata)
                    || (number == self.kind && self.is_open)
            };
            copy_but(self.original, out, left_out);
            if self.is_open && self.kind != 0 {
                out.message(self.kind, |out| {
                    copy_but(self.data, out, |number, _| number == POINTS);
                    for point in &self.points {
                        out.message(POINTS, |out| out.raw(arena.get(point)));
                    }
                });
            }
        });
    }
}
