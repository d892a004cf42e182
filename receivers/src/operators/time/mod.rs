//! Timestamps of entries: `time_parser` and the `timestamp` of parsers.

pub(crate) mod civil;
mod layout;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::entry::Entry;
use super::field::Field;
use super::value::Value;
use layout::{Item, Parts};

/// How far ahead a timestamp without a year may lie before it is taken for one of last year.
const AHEAD: i64 = 7 * 86_400;

/// Where a time is read from, and how.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TimeKeys {
    /// The field that has the time.
    pub(crate) parse_from: Option<String>,
    /// `strptime`, `gotime` or `epoch`.
    layout_type: LayoutType,
    /// How the time is written: `%Y-%m-%d %H:%M:%S`, `2006-01-02 15:04:05`, or for `epoch` one of
    /// `s`, `ms`, `us`, `ns`, `s.ms`, `s.us`, `s.ns`.
    layout: String,
    /// The time zone of times that name none, `America/New_York`; the machine's unless told.
    location: String,
    /// Time zones by the abbreviations that stand for them, `PDT: America/Los_Angeles`.
    time_zone_locations: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum LayoutType {
    #[default]
    Strptime,
    Gotime,
    Epoch,
}

/// Reads times off entries.
#[derive(Clone, Debug)]
pub(crate) struct TimeParser {
    from: Field,
    layout: Layout,
}

#[derive(Clone, Debug)]
enum Layout {
    /// What `%Y-%m-%dT%H:%M:%S.%L%z` and its like come to.
    Items {
        items: Vec<Item>,
        zone: TimeZone,
        zones: BTreeMap<String, TimeZone>,
    },
    /// Units of a second in a count, and those behind its dot.
    Epoch { unit: i64, fraction: Option<i64> },
}

impl TimeKeys {
    /// Checks the keys; `path` is the one that leads to them.
    pub(crate) fn build(&self, path: &str) -> Result<TimeParser, BuildError> {
        let at = |key: &str| format!("{path}::{key}");
        let Some(from) = &self.parse_from else {
            let error = BuildError::at(path, "`parse_from` is missing");
            return Err(error.remedy("name the field that has the time"));
        };
        let from = Field::parse(from).map_err(|why| BuildError::at(at("parse_from"), why))?;
        if self.layout.is_empty() {
            let error = BuildError::at(path, "`layout` is missing");
            return Err(error.remedy("write for example `layout: '%Y-%m-%dT%H:%M:%S.%L%z'`"));
        }
        let layout = match self.layout_type {
            LayoutType::Epoch => epoch(&self.layout).ok_or_else(|| {
                let message = format!("{:?} is no layout of `epoch`", self.layout);
                BuildError::at(at("layout"), message)
                    .remedy("write s, ms, us, ns, s.ms, s.us or s.ns")
            })?,
            LayoutType::Gotime => self.layout_of(layout::gotime(&self.layout), path)?,
            LayoutType::Strptime => {
                let items = layout::strptime(&self.layout);
                let items = items.map_err(|why| BuildError::at(at("layout"), why))?;
                self.layout_of(items, path)?
            }
        };
        Ok(TimeParser { from, layout })
    }

    fn layout_of(&self, items: Vec<Item>, path: &str) -> Result<Layout, BuildError> {
        let own = match self.location.as_str() {
            // What ends in a Z was meant to be of Greenwich.
            "" | "Local" if self.layout.ends_with('Z') => TimeZone::UTC,
            location => {
                zone(location).map_err(|why| BuildError::at(format!("{path}::location"), why))?
            }
        };
        let mut zones = BTreeMap::new();
        for (name, location) in &self.time_zone_locations {
            let path = format!("{path}::time_zone_locations::{name}");
            let zone = zone(location).map_err(|why| BuildError::at(path, why))?;
            zones.insert(name.clone(), zone);
        }
        Ok(Layout::Items {
            items,
            zone: own,
            zones,
        })
    }
}

/// Reads times off texts that are no entries, by a layout of `strptime`.
#[derive(Clone, Debug)]
pub(crate) struct TextTime(TimeParser);

impl TextTime {
    /// Checks a layout and a time zone; `path` is the key of the section that has both.
    pub(crate) fn build(layout: &str, location: &str, path: &str) -> Result<Self, BuildError> {
        let keys = TimeKeys {
            parse_from: Some("body".to_owned()),
            layout: layout.to_owned(),
            location: location.to_owned(),
            ..TimeKeys::default()
        };
        keys.build(path).map(Self)
    }

    /// Nanoseconds since 1970; none where the text has another layout.
    pub(crate) fn read(&self, text: &str) -> Option<u64> {
        self.0.read(&text.into(), 0).ok()
    }
}

/// The time zone of a name.
pub(crate) fn zone(location: &str) -> Result<TimeZone, String> {
    match location {
        "" | "Local" => Ok(TimeZone::system()),
        "UTC" => Ok(TimeZone::UTC),
        location => TimeZone::get(location).map_err(|_| {
            format!("there is no time zone {location:?} on this machine; write for example \"Europe/Berlin\"")
        }),
    }
}

/// Reads `Jan _2 15:04:05` as the last such time before now, or one of the next days.
pub(crate) fn without_year(text: &str, zone: &TimeZone, now: u64) -> Result<u64, String> {
    let parts = layout::read(&SYSLOG, text);
    let parts = parts.ok_or_else(|| format!("{text:?} is no time as `Jan  2 15:04:05`"))?;
    instant(parts, zone, &BTreeMap::new(), now)
}

static SYSLOG: LazyLock<Vec<Item>> = LazyLock::new(|| layout::gotime("Jan _2 15:04:05"));

fn epoch(layout: &str) -> Option<Layout> {
    let (unit, fraction) = match layout {
        "s" => (1_000_000_000, None),
        "ms" => (1_000_000, None),
        "us" => (1000, None),
        "ns" => (1, None),
        "s.ms" => (1_000_000_000, Some(1_000_000)),
        "s.us" => (1_000_000_000, Some(1000)),
        "s.ns" => (1_000_000_000, Some(1)),
        _ => return None,
    };
    Some(Layout::Epoch { unit, fraction })
}

impl TimeParser {
    /// Sets the entry's timestamp.
    pub(crate) fn parse(&self, entry: &mut Entry) -> Result<(), String> {
        let Some(value) = self.from.get(entry) else {
            return Err(format!("there is no {} to read a time from", self.from));
        };
        entry.timestamp = Some(self.read(value, entry.observed)?);
        Ok(())
    }

    fn read(&self, value: &Value, now: u64) -> Result<u64, String> {
        let text = match value {
            Value::Str(text) => &**text,
            Value::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| "no UTF-8".to_owned())?,
            _ => "",
        };
        match (&self.layout, value) {
            (Layout::Epoch { unit, .. }, Value::Int(count)) => {
                let nanos = count.checked_mul(*unit).and_then(|n| u64::try_from(n).ok());
                nanos.ok_or_else(|| format!("{count} is no time that can be told"))
            }
            (Layout::Epoch { unit, fraction }, Value::Double(count)) => {
                float(*count, *unit, *fraction)
            }
            (Layout::Epoch { unit, fraction }, Value::Str(_) | Value::Bytes(_)) => {
                counted(text, *unit, *fraction)
                    .ok_or_else(|| format!("{text:?} is no count since 1970"))
            }
            (Layout::Items { items, zone, zones }, Value::Str(_) | Value::Bytes(_)) => {
                let parts = layout::read(items, text);
                let parts = parts.ok_or_else(|| format!("{text:?} has another layout"))?;
                instant(parts, zone, zones, now)
            }
            (_, other) => Err(format!("{} is no time", other.kind())),
        }
    }
}

fn float(count: f64, unit: i64, fraction: Option<i64>) -> Result<u64, String> {
    let fault = || format!("{count} is no time that can be told");
    let whole = count.trunc();
    if !(0.0..1e19).contains(&whole) {
        return Err(fault());
    }
    let digit = fraction.unwrap_or(1).unsigned_abs();
    let part = match fraction {
        None => 0,
        Some(_) => ((count - whole) * 1e9 / digit as f64).round() as u64 * digit,
    };
    let whole = (whole as u64).checked_mul(unit.unsigned_abs());
    whole
        .and_then(|whole| whole.checked_add(part))
        .ok_or_else(fault)
}

fn counted(text: &str, unit: i64, fraction: Option<i64>) -> Option<u64> {
    let (whole, part) = match (text.split_once('.'), fraction) {
        (None, None) => (text, 0),
        (Some((whole, part)), Some(digit)) => {
            let part: i64 = part.parse().ok()?;
            (whole, part.checked_mul(digit)?)
        }
        _ => return None,
    };
    let whole: i64 = whole.parse().ok()?;
    u64::try_from(whole.checked_mul(unit)?.checked_add(part)?).ok()
}

/// The instant that was read, in the zone that it names or the one that is set.
fn instant(
    parts: Parts,
    zone: &TimeZone,
    zones: &BTreeMap<String, TimeZone>,
    now: u64,
) -> Result<u64, String> {
    if let Some(year) = parts.year {
        return in_year(&parts, year, zone, zones);
    }
    let now = i64::try_from(now / 1_000_000_000).unwrap_or(0);
    let today = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let year = i64::from(today.to_zoned(zone.clone()).year());
    let time = in_year(&parts, year, zone, zones)?;
    if time / 1_000_000_000 > now.saturating_add(AHEAD).unsigned_abs() {
        return in_year(&parts, year - 1, zone, zones);
    }
    Ok(time)
}

fn in_year(
    parts: &Parts,
    year: i64,
    zone: &TimeZone,
    zones: &BTreeMap<String, TimeZone>,
) -> Result<u64, String> {
    let nowhere = || "there is no such time".to_owned();
    let (month, day) = parts.date(year).ok_or_else(nowhere)?;
    let local = civil::days(year, month, day) * 86_400 + parts.second_of_day();
    let offset = match (parts.offset, &parts.zone) {
        (Some(offset), _) => offset,
        (None, None) => offset_at(local, zone).ok_or_else(nowhere)?,
        (None, Some(name)) => named_offset(name, local, zone, zones)?,
    };
    civil::nanoseconds(local - offset, parts.nanos).ok_or_else(nowhere)
}

fn named_offset(
    name: &str,
    local: i64,
    zone: &TimeZone,
    zones: &BTreeMap<String, TimeZone>,
) -> Result<i64, String> {
    let unknown = || format!("the time zone {name:?} is not known");
    if matches!(name, "UTC" | "GMT") {
        return Ok(0);
    }
    if let Some(zone) = zones.get(name) {
        return offset_at(local, zone).ok_or_else(unknown);
    }
    if let Some(hours) = name
        .strip_prefix("GMT")
        .or(name.starts_with(['+', '-']).then_some(name))
    {
        let number: i64 = hours.parse().map_err(|_| unknown())?;
        // `+0330` has minutes.
        let (hours, minutes) = match number.abs() {
            short @ ..100 => (short, 0),
            long => (long / 100, long % 100),
        };
        return Ok(number.signum() * (hours * 3600 + minutes * 60));
    }
    if let Some(offset) = abbreviated(name, local, zone) {
        return Ok(offset);
    }
    let zone = TimeZone::get(name).map_err(|_| unknown())?;
    offset_at(local, &zone).ok_or_else(unknown)
}

/// The offset of a zone at a time of its clocks; the first of two where they were set back.
fn offset_at(local: i64, zone: &TimeZone) -> Option<i64> {
    if *zone == TimeZone::UTC {
        return Some(0);
    }
    let time = zone.to_timestamp(clock(local)?).ok()?;
    Some(i64::from(zone.to_offset(time).seconds()))
}

/// The offset for which a zone has an abbreviation, at a time of its clocks.
fn abbreviated(name: &str, local: i64, zone: &TimeZone) -> Option<i64> {
    // An hour back and ahead: the clocks may just be set.
    [0, -3600, 3600].into_iter().find_map(|near| {
        let offset = offset_at(local + near, zone)?;
        let time = Timestamp::from_second(local + near - offset).ok()?;
        let about = zone.to_offset_info(time);
        (about.abbreviation() == name).then_some(i64::from(about.offset().seconds()))
    })
}

fn clock(local: i64) -> Option<DateTime> {
    let time = Timestamp::from_second(local).ok()?;
    Some(Offset::UTC.to_datetime(time))
}
