//! Times and durations.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::Kind::{ConstStr, Duration, Int, Str, Time as TimeKind};
use super::{Args, Function, Misuse, State, o, p};
use crate::fault::Fault;
use crate::paths::read_time;
use crate::plan::Outcome;
use crate::subject::Subject;
use crate::value::Value;

mod layout;

pub(crate) use layout::Format;

const ONE_TIME: &[super::Param] = &[p("time", TimeKind)];
const ONE_DURATION: &[super::Param] = &[p("duration", Duration)];

macro_rules! of_time {
    ($name:literal, $time:ident => $value:expr) => {
        Function::converter($name, ONE_TIME, |args, subject| {
            let $time = args.time(0, subject)?;
            Ok(Value::Int(i64::from($value)))
        })
    };
}

macro_rules! of_duration {
    ($name:literal, $nanos:ident => $value:expr) => {
        Function::converter($name, ONE_DURATION, |args, subject| {
            let $nanos = args.duration(0, subject)?;
            Ok($value)
        })
    };
}

const SECOND: i64 = 1_000_000_000;

pub(super) const ALL: &[Function] = &[
    Function::converter("Now", &[], |_, _| Ok(Value::Time(Zoned::now()))).impure(),
    Function::converter(
        "Time",
        &[
            p("time", Str),
            p("format", ConstStr),
            o("location", ConstStr),
            o("locale", ConstStr),
        ],
        parse,
    )
    .prepared(prepare_parse)
    .impure(),
    Function::converter(
        "FormatTime",
        &[p("time", TimeKind), p("format", ConstStr)],
        format,
    )
    .prepared(prepare_format),
    Function::converter(
        "TruncateTime",
        &[p("time", TimeKind), p("duration", Duration)],
        truncate,
    ),
    Function::converter("Unix", &[p("seconds", Int), o("nanoseconds", Int)], unix),
    Function::converter("Duration", &[p("duration", Str)], |args, subject| {
        let text = args.string(0, subject)?;
        parse_duration(&text)
            .map(Value::Duration)
            .ok_or_else(|| Fault::with(format!("{text:?} is no duration, as \"1m30s\"")))
    })
    .prepared(check_duration),
    of_time!("UnixNano", time => time.timestamp().as_nanosecond() as i64),
    of_time!("UnixMicro", time => time.timestamp().as_microsecond()),
    of_time!("UnixMilli", time => time.timestamp().as_millisecond()),
    of_time!("UnixSeconds", time => time.timestamp().as_nanosecond().div_euclid(SECOND.into()) as i64),
    of_time!("Year", time => time.year()),
    of_time!("Month", time => time.month()),
    of_time!("Day", time => time.day()),
    of_time!("Hour", time => time.hour()),
    of_time!("Minute", time => time.minute()),
    of_time!("Second", time => time.second()),
    of_time!("Nanosecond", time => time.subsec_nanosecond()),
    of_time!("Weekday", time => time.weekday().to_sunday_zero_offset()),
    of_duration!("Hours", nanos => Value::Double(nanos as f64 / SECOND as f64 / 3600.0)),
    of_duration!("Minutes", nanos => Value::Double(nanos as f64 / SECOND as f64 / 60.0)),
    of_duration!("Seconds", nanos => Value::Double(nanos as f64 / SECOND as f64)),
    of_duration!("Milliseconds", nanos => Value::Int(nanos / 1_000_000)),
    of_duration!("Microseconds", nanos => Value::Int(nanos / 1_000)),
    of_duration!("Nanoseconds", nanos => Value::Int(nanos)),
];

fn prepare_parse(args: &mut Args) -> Result<(), Misuse> {
    let text = args.constant_str(1).unwrap_or_default().to_owned();
    let mut format = Format::new(&text).map_err(|fault| (1, fault))?;
    format.zone = match args.constant_str(2) {
        Some(name) if !name.is_empty() => {
            TimeZone::get(name).map_err(|_| (2, format!("there is no time zone {name:?}")))?
        }
        _ if text.ends_with('Z') => TimeZone::UTC,
        _ => TimeZone::system(),
    };
    if args
        .constant_str(3)
        .is_some_and(|locale| !locale.starts_with("en"))
    {
        return Err((
            3,
            "names of days and months are read in English alone".to_owned(),
        ));
    }
    args.state = State::TimeFormat(format);
    Ok(())
}

fn prepare_format(args: &mut Args) -> Result<(), Misuse> {
    let format = Format::new(args.constant_str(1).unwrap_or_default());
    args.state = State::TimeFormat(format.map_err(|fault| (1, fault))?);
    Ok(())
}

fn check_duration(args: &mut Args) -> Result<(), Misuse> {
    match args.constant_str(0) {
        Some(text) if parse_duration(text).is_none() => {
            Err((0, format!("{text:?} is no duration, as \"1m30s\"")))
        }
        _ => Ok(()),
    }
}

fn parse<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.string(0, subject)?;
    let State::TimeFormat(format) = &args.state else {
        return Err(Fault::new("the time has no format"));
    };
    if text.is_empty() {
        return Err(Fault::new("time cannot be empty"));
    }
    format
        .parse(&text)
        .map(Value::Time)
        .ok_or_else(|| Fault::with(format!("{text:?} is no time of the format")))
}

fn format<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let time = args.time(0, subject)?;
    match &args.state {
        State::TimeFormat(format) => Ok(Value::text(format.format(&time))),
        _ => Err(Fault::new("the time has no format")),
    }
}

/// From the year 1 to 1970.
const SECONDS_BEFORE: i128 = 62_135_596_800;

fn truncate<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let time = args.time(0, subject)?;
    let step = i128::from(args.duration(1, subject)?);
    if step <= 0 {
        return Ok(Value::Time(time));
    }
    let nanos = time.timestamp().as_nanosecond();
    let since = nanos + SECONDS_BEFORE * i128::from(SECOND);
    Timestamp::from_nanosecond(nanos - since.rem_euclid(step))
        .map(|timestamp| Value::Time(timestamp.to_zoned(time.time_zone().clone())))
        .map_err(|_| Fault::new("the time is out of range"))
}

fn unix<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let seconds = args.int(0, subject)?;
    let nanos = if args.has(1) {
        args.int(1, subject)?
    } else {
        0
    };
    read_time(i128::from(seconds) * i128::from(SECOND) + i128::from(nanos))
        .map(|time| Value::Time(time.with_time_zone(TimeZone::system())))
        .ok_or_else(|| Fault::new("the time is out of range"))
}

/// Reads a duration as Go does: numbers with units, one after the other.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|char: char| !char.is_ascii_digit() && char != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let unit_end = after
            .find(|char: char| char.is_ascii_digit() || char == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        let digits = fraction.get(..fraction.len().min(18))?;
        if !digits.is_empty() {
            let scale = 10_i128.pow(digits.len() as u32);
            total += digits.parse::<i128>().ok()? * unit / scale;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// A duration as Go writes it.
pub(super) fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let text = format!(
            "{}.{:0width$}",
            value / unit,
            value % unit,
            width = unit.ilog10() as usize
        );
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let text = match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{magnitude}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(magnitude, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(magnitude, 1_000_000)),
        _ => {
            let (minutes, rest) = (magnitude / 60_000_000_000, magnitude % 60_000_000_000);
            let seconds = fraction(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

/// The digits after the point, without zeros at the end; nothing where there are none.
fn subseconds(time: &Zoned) -> String {
    match time.subsec_nanosecond() {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    }
}

/// A time as RFC 3339 has it.
pub(super) fn rfc3339(time: &Zoned) -> String {
    let zone = if time.offset().is_zero() {
        "Z".to_owned()
    } else {
        time.strftime("%:z").to_string()
    };
    format!(
        "{}{}{zone}",
        time.strftime("%Y-%m-%dT%H:%M:%S"),
        subseconds(time)
    )
}

/// A time as Go writes it.
pub(super) fn go_text(time: &Zoned) -> String {
    format!(
        "{}{}{}",
        time.strftime("%Y-%m-%d %H:%M:%S"),
        subseconds(time),
        time.strftime(" %z %Z")
    )
}
