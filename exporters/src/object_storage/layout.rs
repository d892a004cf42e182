//! Where objects lie: partitions, which come of records, and names, which never come twice.

use std::fmt::{self, Write};

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use object_store::path::{Path, PathPart};
use tidegate_component::Position;
use tidegate_pdata::Signal;
use tidegate_pdata::view::{ByResource, Span, View};
use uuid::Uuid;

use super::parquet::Table;

/// What Hive calls the partition of rows without a value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Characters of a value in a path, escapes included; a longer one is cut and told apart by its
/// hash. File systems take 255 for an element.
const LONGEST_VALUE: usize = 200;

/// What the records of one object have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) signal: Signal,
    /// The kind of metric, where each has objects of its own.
    pub(super) table: Option<Table>,
    /// The time in steps of the layout, since 1970.
    pub(super) slot: u64,
    /// The value of the attribute that objects are kept apart by.
    pub(super) group: Option<Box<[u8]>>,
}

/// An element of the path, or several.
#[derive(Clone, Debug)]
pub(crate) enum Element {
    /// As it is.
    Fixed(String),
    /// `signal=traces`, and for metrics in Parquet `kind=sum`.
    Signal,
    /// `date=2026-11-21`, in UTC.
    Date,
    /// `hour=20`, in UTC.
    Hour,
    /// `minute=07`, in UTC.
    Minute,
    /// The value of the attribute behind this name, as `service=checkout`.
    Group(&'static str),
    /// The value of the attribute itself, or this where it has none.
    GroupPath(String),
    /// The time in a format of strftime, in a time zone.
    Time(String, TimeZone),
}

/// Which clock partitions go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartitionTime {
    /// The record's own time; where it has none, that of its arrival.
    #[default]
    Record,
    /// The time of arrival.
    Arrival,
}

/// How objects are named within their partition.
#[derive(Clone, Debug)]
pub(crate) enum Naming {
    /// What tells objects apart.
    Lake,
    /// A prefix, the signal and `_` where asked for, and what tells objects apart.
    Prefixed {
        prefix: String,
        signal: bool,
        unique: Unique,
    },
}

/// What tells objects apart whose names begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unique {
    /// The UUID of the queue or the process, the first position and the ordinal.
    Process,
    /// A UUID of version 7, made when the object is sealed.
    Uuid7,
}

/// The layout of a lake.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) elements: Vec<Element>,
    pub(super) clock: PartitionTime,
    /// The attribute of resources that objects are kept apart by.
    pub(super) group_by: Option<String>,
    pub(super) naming: Naming,
    /// What names end with, after a dot.
    pub(super) extension: String,
}

/// What tells an object apart from all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// What names the queue on disk, or else the process.
    pub(super) origin: Uuid,
    /// The position of its first batch.
    pub(super) first: Position,
    pub(super) ordinal: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}-{}",
            self.origin.simple(),
            self.first.0,
            self.ordinal
        )
    }
}

impl Element {
    /// The time in a format of strftime, which is tried.
    pub(crate) fn time(format: &str, zone: TimeZone) -> Result<Self, String> {
        match strtime::format(format, &Timestamp::UNIX_EPOCH.to_zoned(zone.clone())) {
            Ok(_) => Ok(Self::Time(format.to_owned(), zone)),
            Err(error) => Err(format!("\"{format}\" is no format of strftime: {error}")),
        }
    }
}

impl Layout {
    /// Nanoseconds of a slot; 0 where the time does not matter.
    pub(super) fn step(&self) -> u64 {
        const SECOND: u64 = 1_000_000_000;
        let steps = self.elements.iter().map(|element| match element {
            Element::Date => 86_400 * SECOND,
            Element::Hour => 3_600 * SECOND,
            Element::Minute => 60 * SECOND,
            Element::Time(..) => SECOND,
            _ => 0,
        });
        steps.filter(|step| *step > 0).min().unwrap_or(0)
    }

    /// The value that a resource's objects are kept apart by.
    pub(super) fn group(&self, resource: &[u8]) -> Option<Box<[u8]>> {
        let key = self.group_by.as_deref()?;
        let by_resource: ByResource<'_, Span<'_>> = View::of(resource);
        let value = by_resource.resource().attributes().get(key)?;
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = value.write_text(&mut text);
        (!text.is_empty()).then(|| text.into_bytes().into())
    }

    /// The path of an object, below `root`.
    pub(super) fn path(&self, root: &Path, key: &Key, identity: Identity) -> Path {
        let mut path = root.clone();
        let time = self.time(key);
        for element in &self.elements {
            match element {
                Element::Fixed(text) => extend(&mut path, text),
                Element::Signal => {
                    push(&mut path, &format!("signal={}", key.signal));
                    if let Some(kind) = key.table.and_then(Table::kind) {
                        push(&mut path, &format!("kind={kind}"));
                    }
                }
                Element::Date => push(&mut path, &format!("date={}", time.strftime("%Y-%m-%d"))),
                Element::Hour => push(&mut path, &format!("hour={}", time.strftime("%H"))),
                Element::Minute => push(&mut path, &format!("minute={}", time.strftime("%M"))),
                Element::Group(name) => {
                    let value = key
                        .group
                        .as_deref()
                        .map_or_else(|| NO_VALUE.into(), bounded);
                    push(&mut path, &format!("{name}={value}"));
                }
                Element::GroupPath(otherwise) => match key.group.as_deref() {
                    Some(value) => extend(&mut path, &bounded(value)),
                    None => extend(&mut path, otherwise),
                },
                Element::Time(format, zone) => {
                    let local = strtime::format(format, &time.to_zoned(zone.clone()));
                    // The format was tried when the exporter was built.
                    extend(&mut path, &local.unwrap_or_default());
                }
            }
        }
        extend(&mut path, &self.name(key, identity));
        path
    }

    fn time(&self, key: &Key) -> Timestamp {
        let nanos = i128::from(key.slot) * i128::from(self.step());
        Timestamp::from_nanosecond(nanos).unwrap_or_default()
    }

    fn name(&self, key: &Key, identity: Identity) -> String {
        let mut name = String::new();
        // Writing into a string cannot fail.
        let _ = match &self.naming {
            Naming::Lake => write!(name, "{identity}"),
            Naming::Prefixed {
                prefix,
                signal,
                unique,
            } => {
                name.push_str(prefix);
                if *signal {
                    name.push_str(key.signal.name());
                    name.push('_');
                }
                match unique {
                    Unique::Process => write!(name, "{identity}"),
                    Unique::Uuid7 => write!(name, "{}", Uuid::now_v7()),
                }
            }
        };
        if !self.extension.is_empty() {
            name.push('.');
            name.push_str(&self.extension);
        }
        name
    }
}

/// Adds one element, whatever it has in it.
fn push(path: &mut Path, element: &str) {
    *path = std::mem::take(path).join(PathPart::from(element));
}

/// Adds the elements of a relative path.
fn extend(path: &mut Path, relative: &str) {
    let elements = relative.split('/').filter(|element| !element.is_empty());
    elements.for_each(|element| push(path, element));
}

/// A value for a path: cut, with its hash behind it, where it is long.
fn bounded(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut length = 0;
    let cut = text.char_indices().find(|(_, char)| {
        // What is escaped takes three characters a byte.
        let plain = char.is_ascii_alphanumeric() || "-_. =:".contains(*char);
        length += if plain { 1 } else { 3 * char.len_utf8() };
        length > LONGEST_VALUE
    });
    let Some((cut, _)) = cut else {
        return text.into_owned();
    };
    let hash = value.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{}-{hash:016x}", &text[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(elements: Vec<Element>) -> Layout {
        Layout {
            elements,
            clock: PartitionTime::Record,
            group_by: None,
            naming: Naming::Lake,
            extension: "parquet".to_owned(),
        }
    }

    fn key(layout: &Layout, seconds: u64, group: Option<&str>) -> Key {
        Key {
            signal: Signal::Metrics,
            table: Some(Table::Sum),
            slot: (seconds * 1_000_000_000)
                .checked_div(layout.step())
                .unwrap_or(0),
            group: group.map(|group| group.as_bytes().into()),
        }
    }

    fn path(layout: &Layout, key: &Key) -> String {
        let root = Path::from("lake");
        let identity = Identity {
            origin: Uuid::nil(),
            first: Position(5),
            ordinal: 3,
        };
        layout.path(&root, key, identity).to_string()
    }

    #[test]
    fn partitions_are_hives_and_names_tell_origin_first_position_and_ordinal() {
        let hive = layout(vec![Element::Signal, Element::Date, Element::Hour]);
        let expected = "lake/signal=metrics/kind=sum/date=2026-11-21/hour=20/\
                        00000000000000000000000000000000-5-3.parquet";
        assert_eq!(path(&hive, &key(&hive, 1_795_291_200, None)), expected);
    }

    #[test]
    fn value_from_data_stays_in_its_element() {
        let by_service = layout(vec![Element::Group("service")]);
        for (service, element) in [
            (Some("../../etc"), "service=..%2F..%2Fetc"),
            (Some("a b=c"), "service=a b=c"),
            (None, "service=__HIVE_DEFAULT_PARTITION__"),
        ] {
            let path = path(&by_service, &key(&by_service, 0, service));
            assert_eq!(path.split('/').nth(1), Some(element));
            assert_eq!(path.split('/').count(), 3);
        }
        let prefixes = layout(vec![Element::GroupPath("none".to_owned())]);
        let path = path(&prefixes, &key(&prefixes, 0, Some("a/../b")));
        assert!(path.starts_with("lake/a/%2E%2E/b/"), "{path}");
    }

    #[test]
    fn long_values_are_cut_and_told_apart() {
        let by_service = layout(vec![Element::Group("service")]);
        let paths = ["x", "y"].map(|end| {
            let service = format!("{}{end}", "é".repeat(500));
            path(&by_service, &key(&by_service, 0, Some(&service)))
        });
        assert_ne!(paths[0], paths[1]);
        let mut elements = paths.iter().flat_map(|path| path.split('/'));
        assert!(elements.all(|element| element.len() < 255), "{paths:?}");
    }

    #[test]
    fn year_2500_has_its_partition() {
        let daily = layout(vec![Element::Date]);
        let path = path(&daily, &key(&daily, 16_725_225_600, None));
        assert!(path.contains("date=2500-01-01"), "{path}");
    }
}
