//! Formats of times, in the directives that the Collector takes from `strptime`.

use std::fmt::Write as _;

use super::{Date, DateTime, Offset, SignedDuration, Time, TimeZone, Zoned};

/// A format, compiled.
#[derive(Debug)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
    /// Where a time is that names no zone.
    pub(super) zone: TimeZone,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Literal(String),
    Year,
    ShortYear,
    /// Numbers: their least width, and what fills it.
    Month(Fill),
    Day(Fill),
    MonthName,
    MonthAbbreviation,
    DayName,
    DayAbbreviation,
    Hour,
    Hour12(Fill),
    Upper,
    Lower,
    Minute,
    Second,
    /// A point or comma and up to so many digits.
    Fraction(char, usize),
    Offset(OffsetForm),
    ZoneName,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fill {
    Zero,
    Space,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum OffsetForm {
    /// `Z` or `+0700`.
    Zulu,
    /// `+070000`.
    Seconds,
    /// `+07`.
    Hours,
    /// `+07:00`.
    Colon,
    /// `+07:00:00`.
    ColonSeconds,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

impl Format {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the format cannot be empty".to_owned());
        }
        let mut format = Self {
            pieces: Vec::new(),
            zone: TimeZone::UTC,
        };
        format.read(text)?;
        Ok(format)
    }

    fn read(&mut self, text: &str) -> Result<(), String> {
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            if char != '%' {
                self.literal(char);
                continue;
            }
            let Some(directive) = chars.next() else {
                return Err("the format ends with `%`".to_owned());
            };
            let piece = match directive {
                'Y' => Piece::Year,
                'y' => Piece::ShortYear,
                'm' => Piece::Month(Fill::Zero),
                'o' => Piece::Month(Fill::Space),
                'q' => Piece::Month(Fill::None),
                'b' | 'h' => Piece::MonthAbbreviation,
                'B' => Piece::MonthName,
                'd' => Piece::Day(Fill::Zero),
                'e' => Piece::Day(Fill::Space),
                'g' => Piece::Day(Fill::None),
                'a' => Piece::DayAbbreviation,
                'A' => Piece::DayName,
                'H' => Piece::Hour,
                'l' => Piece::Hour12(Fill::None),
                'I' => Piece::Hour12(Fill::Zero),
                'p' => Piece::Upper,
                'P' => Piece::Lower,
                'M' => Piece::Minute,
                'S' => Piece::Second,
                'L' | 'f' | 's' => {
                    self.fraction(match directive {
                        'L' => 3,
                        'f' => 6,
                        _ => 9,
                    })?;
                    continue;
                }
                'Z' => Piece::ZoneName,
                'z' => Piece::Offset(OffsetForm::Zulu),
                'w' => Piece::Offset(OffsetForm::Seconds),
                'i' => Piece::Offset(OffsetForm::Hours),
                'j' => Piece::Offset(OffsetForm::Colon),
                'k' => Piece::Offset(OffsetForm::ColonSeconds),
                'D' | 'x' => {
                    self.read("%m/%d/%Y")?;
                    continue;
                }
                'F' => {
                    self.read("%Y-%m-%d")?;
                    continue;
                }
                'T' | 'X' => {
                    self.read("%H:%M:%S")?;
                    continue;
                }
                'r' => {
                    self.read("%I:%M:%S %P")?;
                    continue;
                }
                'R' => {
                    self.read("%H:%M")?;
                    continue;
                }
                'c' => {
                    self.read("%a %b %d %H:%M:%S %Y")?;
                    continue;
                }
                'n' | 't' | '%' => {
                    self.literal(match directive {
                        'n' => '\n',
                        't' => '\t',
                        _ => '%',
                    });
                    continue;
                }
                other => return Err(format!("`%{other}` is no directive of a time")),
            };
            self.pieces.push(piece);
        }
        Ok(())
    }

    fn literal(&mut self, char: char) {
        match self.pieces.last_mut() {
            Some(Piece::Literal(text)) => text.push(char),
            _ => self.pieces.push(Piece::Literal(char.to_string())),
        }
    }

    /// Fractions of a second stand behind a point or a comma, which is left out with them.
    fn fraction(&mut self, digits: usize) -> Result<(), String> {
        let Some(Piece::Literal(text)) = self.pieces.last_mut() else {
            return Err("fractions of a second stand behind a point or comma".to_owned());
        };
        let Some(separator @ ('.' | ',')) = text.pop() else {
            return Err("fractions of a second stand behind a point or comma".to_owned());
        };
        if text.is_empty() {
            self.pieces.pop();
        }
        self.pieces.push(Piece::Fraction(separator, digits));
        Ok(())
    }

    pub(super) fn format(&self, time: &Zoned) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            // Writing to a text cannot fail.
            let _ = piece.write(&mut out, time);
        }
        out
    }

    pub(super) fn parse(&self, text: &str) -> Option<Zoned> {
        let mut found = Found {
            rest: text,
            ..Found::default()
        };
        for (index, piece) in self.pieces.iter().enumerate() {
            piece.read(&mut found)?;
            let next = self.pieces.get(index + 1);
            if *piece == Piece::Second && !matches!(next, Some(Piece::Fraction(..))) {
                // Go takes a fraction that the format does not have.
                found.fraction();
            }
        }
        if !found.rest.is_empty() {
            return None;
        }
        found.finish(&self.zone)
    }
}

fn number(out: &mut String, value: i8, fill: Fill) -> std::fmt::Result {
    match fill {
        Fill::Zero => write!(out, "{value:02}"),
        Fill::Space => write!(out, "{value:2}"),
        Fill::None => write!(out, "{value}"),
    }
}

impl Piece {
    fn write(&self, out: &mut String, time: &Zoned) -> std::fmt::Result {
        let month = MONTHS[usize::from(time.month().unsigned_abs().saturating_sub(1)) % 12];
        let day = DAYS[time.weekday().to_sunday_zero_offset().unsigned_abs() as usize % 7];
        match self {
            Self::Literal(text) => out.write_str(text),
            Self::Year => write!(out, "{:04}", time.year()),
            Self::ShortYear => write!(out, "{:02}", time.year().rem_euclid(100)),
            Self::Month(fill) => number(out, time.month(), *fill),
            Self::Day(fill) => number(out, time.day(), *fill),
            Self::MonthName => out.write_str(month),
            Self::MonthAbbreviation => out.write_str(&month[..3]),
            Self::DayName => out.write_str(day),
            Self::DayAbbreviation => out.write_str(&day[..3]),
            Self::Hour => write!(out, "{:02}", time.hour()),
            Self::Hour12(fill) => number(out, (time.hour() + 11) % 12 + 1, *fill),
            Self::Upper => out.write_str(if time.hour() < 12 { "AM" } else { "PM" }),
            Self::Lower => out.write_str(if time.hour() < 12 { "am" } else { "pm" }),
            Self::Minute => write!(out, "{:02}", time.minute()),
            Self::Second => write!(out, "{:02}", time.second()),
            Self::Fraction(separator, digits) => {
                let all = format!("{:09}", time.subsec_nanosecond());
                let some = all[..*digits].trim_end_matches('0');
                if some.is_empty() {
                    return Ok(());
                }
                write!(out, "{separator}{some}")
            }
            Self::Offset(form) => write_offset(out, time.offset().seconds(), *form),
            Self::ZoneName => write!(out, "{}", time.strftime("%Z")),
        }
    }

    fn read(&self, found: &mut Found<'_>) -> Option<()> {
        match self {
            Self::Literal(text) => found.literal(text)?,
            Self::Year => found.year = found.digits(4, 4)? as i16,
            Self::ShortYear => {
                let year = found.digits(2, 2)? as i16;
                found.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Self::Month(fill) => found.month = found.filled(*fill)?,
            Self::Day(fill) => found.day = found.filled(*fill)?,
            Self::MonthName => found.month = found.name(&MONTHS, usize::MAX)? + 1,
            Self::MonthAbbreviation => found.month = found.name(&MONTHS, 3)? + 1,
            Self::DayName => drop(found.name(&DAYS, usize::MAX)?),
            Self::DayAbbreviation => drop(found.name(&DAYS, 3)?),
            Self::Hour => found.hour = found.digits(2, 2)? as i8,
            Self::Hour12(fill) => {
                found.hour = found.filled(*fill)?;
                if !(0..=12).contains(&found.hour) {
                    return None;
                }
            }
            Self::Upper | Self::Lower => {
                let (half, rest) = found.rest.split_at_checked(2)?;
                let upper = matches!(self, Self::Upper);
                found.afternoon = Some(match half {
                    "AM" if upper => false,
                    "am" if !upper => false,
                    "PM" if upper => true,
                    "pm" if !upper => true,
                    _ => return None,
                });
                found.rest = rest;
            }
            Self::Minute => found.minute = found.digits(2, 2)? as i8,
            Self::Second => found.second = found.digits(2, 2)? as i8,
            Self::Fraction(..) => found.fraction(),
            Self::Offset(form) => found.offset(*form)?,
            Self::ZoneName => found.zone_name()?,
        }
        Some(())
    }
}

fn write_offset(out: &mut String, seconds: i32, form: OffsetForm) -> std::fmt::Result {
    if seconds == 0 && form == OffsetForm::Zulu {
        return out.write_char('Z');
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let all = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match form {
        OffsetForm::Zulu => write!(out, "{sign}{hours:02}{minutes:02}"),
        OffsetForm::Seconds => write!(out, "{sign}{hours:02}{minutes:02}{seconds:02}"),
        OffsetForm::Hours => write!(out, "{sign}{hours:02}"),
        OffsetForm::Colon => write!(out, "{sign}{hours:02}:{minutes:02}"),
        OffsetForm::ColonSeconds => write!(out, "{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// What was read of a time so far.
#[derive(Debug)]
struct Found<'t> {
    rest: &'t str,
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
}

impl Default for Found<'_> {
    fn default() -> Self {
        Self {
            rest: "",
            year: 0,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
            afternoon: None,
            offset: None,
        }
    }
}

impl Found<'_> {
    fn literal(&mut self, text: &str) -> Option<()> {
        // As in Go, a space stands for any number of them.
        for char in text.chars() {
            if char == ' ' {
                let trimmed = self.rest.trim_start_matches(' ');
                if trimmed.len() == self.rest.len() && !self.rest.is_empty() {
                    return None;
                }
                self.rest = trimmed;
            } else {
                self.rest = self.rest.strip_prefix(char)?;
            }
        }
        Some(())
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self
            .rest
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        digits.parse().ok()
    }

    fn filled(&mut self, fill: Fill) -> Option<i8> {
        match fill {
            Fill::Zero => self.digits(2, 2),
            Fill::Space => {
                self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
                self.digits(1, 2)
            }
            Fill::None => self.digits(1, 2),
        }
        .map(|value| value as i8)
    }

    fn name(&mut self, names: &[&str], length: usize) -> Option<i8> {
        let found = names.iter().position(|name| {
            let name = &name[..length.min(name.len())];
            self.rest
                .get(..name.len())
                .is_some_and(|text| text.eq_ignore_ascii_case(name))
        })?;
        self.rest = &self.rest[length.min(names[found].len())..];
        Some(found as i8)
    }

    fn fraction(&mut self) {
        let Some(digits) = self.rest.strip_prefix(['.', ',']) else {
            return;
        };
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return;
        }
        let some = &digits[..count.min(9)];
        self.nanos = format!("{some:0<9}").parse().unwrap_or(0);
        self.rest = &digits[count..];
    }

    fn offset(&mut self, form: OffsetForm) -> Option<()> {
        if form == OffsetForm::Zulu
            && let Some(rest) = self.rest.strip_prefix('Z')
        {
            self.rest = rest;
            self.offset = Some(0);
            return Some(());
        }
        let sign = match self.rest.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        let hours = self.digits(2, 2)?;
        let colon = matches!(form, OffsetForm::Colon | OffsetForm::ColonSeconds);
        let part = |found: &mut Self| {
            if colon {
                found.rest = found.rest.strip_prefix(':')?;
            }
            found.digits(2, 2)
        };
        let minutes = match form {
            OffsetForm::Hours => 0,
            _ => part(self)?,
        };
        let seconds = match form {
            OffsetForm::Seconds | OffsetForm::ColonSeconds => part(self)?,
            _ => 0,
        };
        if hours > 24 || minutes >= 60 || seconds >= 60 {
            return None;
        }
        self.offset = Some(sign * (hours * 3600 + minutes * 60 + seconds) as i32);
        Some(())
    }

    /// A zone by its letters; one that is not UTC is taken for it, as in Go where it is not the zone's own.
    fn zone_name(&mut self) -> Option<()> {
        let count = self.rest.bytes().take_while(u8::is_ascii_uppercase).count();
        if !(3..=5).contains(&count) {
            return None;
        }
        self.rest = &self.rest[count..];
        self.offset = Some(0);
        Some(())
    }

    fn finish(mut self, zone: &TimeZone) -> Option<Zoned> {
        match self.afternoon {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        let zone = match self.offset {
            Some(0) => TimeZone::UTC,
            Some(seconds) => TimeZone::fixed(Offset::from_seconds(seconds).ok()?),
            None => zone.clone(),
        };
        let time = Time::new(self.hour, self.minute, self.second, self.nanos).ok()?;
        if self.year != 0 {
            let date = Date::new(self.year, self.month, self.day).ok()?;
            return DateTime::from_parts(date, time).to_zoned(zone).ok();
        }
        // A time without a year is of this one, or of the last where it would be more than a week ahead.
        let now = Zoned::now().with_time_zone(zone.clone());
        let of = |year| {
            let date = Date::new(year, self.month, self.day).ok()?;
            DateTime::from_parts(date, time).to_zoned(zone.clone()).ok()
        };
        let time = of(now.year())?;
        let week = SignedDuration::from_hours(7 * 24);
        if time.duration_since(&now) > week {
            return of(now.year() - 1);
        }
        Some(time)
    }
}
