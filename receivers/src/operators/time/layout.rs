//! Layouts of timestamps, in Go's way and in that of `strptime`, as one list of what is to be read.

use super::civil;

/// One thing that a timestamp consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Text that stands for itself; a run of spaces stands for any other run.
    Literal(String),
    Year,
    ShortYear,
    /// A number of the month: its width, if it is fixed.
    Month(Width),
    MonthName,
    Day(Width),
    DayOfYear,
    WeekdayName,
    Hour(Width),
    HalfDayHour(Width),
    /// AM and PM; in lower case or not.
    HalfDay,
    Minute(Width),
    Second(Width),
    /// A fraction of a second with the dot or comma before it, left out where it is.
    Fraction,
    /// Digits of a fraction that directly follow something else.
    Subsecond,
    ZoneName,
    /// An offset: whether `Z` stands for none, whether there are colons, its smallest unit.
    Offset {
        zulu: bool,
        colons: bool,
        parts: u8,
    },
}

/// How many digits a number has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Two,
    OneOrTwo,
    /// Filled up with a space.
    Padded,
}

/// What was read of a timestamp.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) year: Option<i64>,
    pub(super) month: Option<i64>,
    pub(super) day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    half_day: Option<bool>,
    minute: i64,
    second: i64,
    pub(super) nanos: i64,
    pub(super) offset: Option<i64>,
    pub(super) zone: Option<String>,
}

impl Parts {
    /// Seconds since midnight.
    pub(super) fn second_of_day(&self) -> i64 {
        let hour = match self.half_day {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        hour * 3600 + self.minute * 60 + self.second
    }

    /// Month and day in a year; none where that year does not have them.
    pub(super) fn date(&self, year: i64) -> Option<(i64, i64)> {
        if let Some(mut rest) = self.day_of_year {
            for month in 1..=12 {
                let days = civil::days_in(year, month);
                if rest <= days {
                    return Some((month, rest));
                }
                rest -= days;
            }
            return None;
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        (day <= civil::days_in(year, month)).then_some((month, day))
    }
}

/// Reads a layout of Go, `2006-01-02 15:04:05`.
pub(super) fn gotime(layout: &str) -> Vec<Item> {
    let mut items = Items::default();
    let mut rest = layout;
    while let Some(char) = rest.chars().next() {
        if let Some(length) = go_fraction(rest, items.0.last()) {
            items.0.push(Item::Fraction);
            rest = &rest[length..];
        } else if let Some((text, item)) = go_item(rest) {
            items.0.push(item);
            rest = &rest[text.len()..];
        } else {
            items.literal(char);
            rest = &rest[char.len_utf8()..];
        }
    }
    items.0
}

fn go_item(rest: &str) -> Option<(&'static str, Item)> {
    // The longer of two that begin alike comes first.
    let known: [(&str, Item); 35] = [
        ("January", Item::MonthName),
        ("Jan", Item::MonthName),
        ("Monday", Item::WeekdayName),
        ("Mon", Item::WeekdayName),
        ("MST", Item::ZoneName),
        ("2006", Item::Year),
        ("_2006", Item::Literal("_".to_owned())),
        ("__2", Item::DayOfYear),
        ("002", Item::DayOfYear),
        ("01", Item::Month(Width::Two)),
        ("02", Item::Day(Width::Two)),
        ("03", Item::HalfDayHour(Width::Two)),
        ("04", Item::Minute(Width::Two)),
        ("05", Item::Second(Width::Two)),
        ("06", Item::ShortYear),
        ("15", Item::Hour(Width::OneOrTwo)),
        ("_2", Item::Day(Width::Padded)),
        ("_1", Item::Month(Width::Padded)),
        ("PM", Item::HalfDay),
        ("pm", Item::HalfDay),
        ("-07:00:00", offset(false, true, 3)),
        ("-070000", offset(false, false, 3)),
        ("-07:00", offset(false, true, 2)),
        ("-0700", offset(false, false, 2)),
        ("-07", offset(false, false, 1)),
        ("Z07:00:00", offset(true, true, 3)),
        ("Z070000", offset(true, false, 3)),
        ("Z07:00", offset(true, true, 2)),
        ("Z0700", offset(true, false, 2)),
        ("Z07", offset(true, false, 1)),
        ("1", Item::Month(Width::OneOrTwo)),
        ("2", Item::Day(Width::OneOrTwo)),
        ("3", Item::HalfDayHour(Width::OneOrTwo)),
        ("4", Item::Minute(Width::OneOrTwo)),
        ("5", Item::Second(Width::OneOrTwo)),
    ];
    let found = known.into_iter().find(|(text, _)| rest.starts_with(text))?;
    match found {
        // Only the underscore is one; the year follows.
        ("_2006", item) => Some(("_", item)),
        // `Jan` begins many words; Go takes it only where no lower-case letter follows.
        ("Jan", _) if rest[3..].starts_with(|c: char| c.is_ascii_lowercase()) => None,
        found => Some(found),
    }
}

const fn offset(zulu: bool, colons: bool, parts: u8) -> Item {
    Item::Offset {
        zulu,
        colons,
        parts,
    }
}

/// The length of `.000`, `,999` and the like behind seconds.
fn go_fraction(rest: &str, last: Option<&Item>) -> Option<usize> {
    let digits = rest.strip_prefix(['.', ','])?;
    let digit = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let run = digits.len() - digits.trim_start_matches(digit).len();
    let ends = !digits[run..].starts_with(|c: char| c.is_ascii_digit());
    let behind_seconds = matches!(last, Some(Item::Second(_)));
    (ends && behind_seconds).then_some(1 + run)
}

/// Reads a layout of `strptime`, `%Y-%m-%d %H:%M:%S`; the error names the directive that is none.
pub(super) fn strptime(layout: &str) -> Result<Vec<Item>, String> {
    let mut items = Items::default();
    let mut chars = layout.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            items.literal(char);
            continue;
        }
        let Some(directive) = chars.next() else {
            return Err(format!("{layout:?} ends in a `%`"));
        };
        let expanded = match directive {
            'D' => "%m/%d/%Y",
            'F' => "%Y-%m-%d",
            'T' => "%H:%M:%S",
            'R' => "%H:%M",
            'r' => "%I:%M:%S %p",
            'c' => "%a %b %d %H:%M:%S %Y",
            _ => "",
        };
        if expanded.is_empty() {
            items.directive(directive).ok_or_else(|| {
                format!("`%{directive}` in {layout:?} is no directive that is known here")
            })?;
        } else {
            for item in strptime(expanded)? {
                match item {
                    Item::Literal(text) => text.chars().for_each(|char| items.literal(char)),
                    other => items.0.push(other),
                }
            }
        }
    }
    Ok(items.0)
}

#[derive(Default)]
struct Items(Vec<Item>);

impl Items {
    fn literal(&mut self, char: char) {
        match self.0.last_mut() {
            Some(Item::Literal(text)) => text.push(char),
            _ => self.0.push(Item::Literal(char.into())),
        }
    }

    fn directive(&mut self, directive: char) -> Option<()> {
        self.0.push(match directive {
            'Y' => Item::Year,
            'y' => Item::ShortYear,
            'm' => Item::Month(Width::Two),
            'o' => Item::Month(Width::Padded),
            'q' => Item::Month(Width::OneOrTwo),
            'b' | 'h' | 'B' => Item::MonthName,
            'd' => Item::Day(Width::Two),
            'e' => Item::Day(Width::Padded),
            'g' => Item::Day(Width::OneOrTwo),
            'a' | 'A' => Item::WeekdayName,
            'H' => Item::Hour(Width::OneOrTwo),
            'I' => Item::HalfDayHour(Width::OneOrTwo),
            'l' => Item::HalfDayHour(Width::Two),
            'p' | 'P' => Item::HalfDay,
            'M' => Item::Minute(Width::Two),
            'S' => Item::Second(Width::Two),
            'L' | 'f' | 's' => {
                self.fraction();
                return Some(());
            }
            'Z' => Item::ZoneName,
            'z' => offset(true, false, 2),
            'i' => offset(false, false, 1),
            'j' => offset(false, true, 2),
            'k' => offset(false, true, 3),
            'n' => {
                self.literal('\n');
                return Some(());
            }
            't' => {
                self.literal('\t');
                return Some(());
            }
            '%' => {
                self.literal('%');
                return Some(());
            }
            _ => return None,
        });
        Some(())
    }

    /// Digits of a fraction, which take the dot or comma before them with them.
    fn fraction(&mut self) {
        if let Some(Item::Literal(text)) = self.0.last_mut()
            && text.ends_with(['.', ','])
        {
            text.pop();
            if text.is_empty() {
                self.0.pop();
            }
            self.0.push(Item::Fraction);
        } else {
            self.0.push(Item::Subsecond);
        }
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Reads a timestamp; none where it has another layout.
pub(super) fn read(items: &[Item], text: &str) -> Option<Parts> {
    let mut parts = Parts::default();
    let mut rest = text;
    for (at, item) in items.iter().enumerate() {
        rest = parts.item(item, rest)?;
        // As in Go, a fraction may follow the seconds whether the layout has one or not.
        if matches!(item, Item::Second(_))
            && !matches!(items.get(at + 1), Some(Item::Fraction | Item::Subsecond))
            && has_fraction(rest)
            && !follows_literally(items.get(at + 1), rest)
        {
            rest = parts.fraction(&rest[1..])?;
        }
    }
    rest.is_empty().then_some(parts)
}

fn has_fraction(text: &str) -> bool {
    let digits = text.strip_prefix(['.', ',']);
    digits.is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether the layout wants the very dot or comma that is here.
fn follows_literally(next: Option<&Item>, text: &str) -> bool {
    matches!(next, Some(Item::Literal(literal)) if literal.starts_with(['.', ',']) && text.starts_with(&literal[..1]))
}

impl Parts {
    fn item<'t>(&mut self, item: &Item, text: &'t str) -> Option<&'t str> {
        Some(match item {
            Item::Literal(literal) => skip(literal, text)?,
            Item::Year => {
                let (year, rest) = digits(text, 4, 4)?;
                self.year = Some(year);
                rest
            }
            Item::ShortYear => {
                let (year, rest) = digits(text, 2, 2)?;
                self.year = Some(if year >= 69 { 1900 + year } else { 2000 + year });
                rest
            }
            Item::Month(width) => {
                let (month, rest) = number(text, *width, 1, 12)?;
                self.month = Some(month);
                rest
            }
            Item::MonthName => {
                let (month, rest) = name(&MONTHS, text)?;
                self.month = Some(month);
                rest
            }
            Item::Day(width) => {
                let (day, rest) = number(text, *width, 1, 31)?;
                self.day = Some(day);
                rest
            }
            Item::DayOfYear => {
                let (day, rest) = digits(text.trim_start_matches(' '), 1, 3)?;
                self.day_of_year = Some(day).filter(|day| *day >= 1);
                rest
            }
            Item::WeekdayName => name(&WEEKDAYS, text)?.1,
            Item::Hour(width) => {
                let (hour, rest) = number(text, *width, 0, 23)?;
                self.hour = hour;
                rest
            }
            Item::HalfDayHour(width) => {
                let (hour, rest) = number(text, *width, 0, 12)?;
                self.hour = hour;
                rest
            }
            Item::HalfDay => {
                let (half, rest) = text.split_at_checked(2)?;
                self.half_day = Some(match half.to_ascii_lowercase().as_str() {
                    "pm" => true,
                    "am" => false,
                    _ => return None,
                });
                rest
            }
            Item::Minute(width) => {
                let (minute, rest) = number(text, *width, 0, 59)?;
                self.minute = minute;
                rest
            }
            Item::Second(width) => {
                let (second, rest) = number(text, *width, 0, 60)?;
                self.second = second;
                rest
            }
            Item::Fraction if has_fraction(text) => self.fraction(&text[1..])?,
            Item::Fraction => text,
            Item::Subsecond => self.fraction(text)?,
            Item::ZoneName => {
                let end = zone_end(text)?;
                self.zone = Some(text[..end].to_owned());
                &text[end..]
            }
            Item::Offset {
                zulu,
                colons,
                parts,
            } => {
                let (seconds, rest) = read_offset(text, *zulu, *colons, *parts)?;
                self.offset = Some(seconds);
                rest
            }
        })
    }

    fn fraction<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        if end == 0 {
            return None;
        }
        let mut digits = text[..end].bytes();
        self.nanos = (0..9).fold(0, |nanos, _| {
            nanos * 10 + i64::from(digits.next().map_or(0, |digit| digit - b'0'))
        });
        Some(&text[end..])
    }
}

/// Skips a literal; any run of spaces in it matches any other.
fn skip<'t>(literal: &str, mut text: &'t str) -> Option<&'t str> {
    let mut literal = literal;
    while let Some(char) = literal.chars().next() {
        if char == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            literal = literal.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
        } else {
            literal = &literal[char.len_utf8()..];
            text = text.strip_prefix(char)?;
        }
    }
    Some(text)
}

fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let run = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    if run < least {
        return None;
    }
    Some((text[..run].parse().ok()?, &text[run..]))
}

fn number(text: &str, width: Width, least: i64, most: i64) -> Option<(i64, &str)> {
    let (value, rest) = match width {
        Width::Two => digits(text, 2, 2)?,
        Width::OneOrTwo => digits(text, 1, 2)?,
        Width::Padded => digits(text.strip_prefix(' ').unwrap_or(text), 1, 2)?,
    };
    (least..=most).contains(&value).then_some((value, rest))
}

/// The number, from 1 on, of the name that a text begins with, whole or its first three letters.
fn name<'t>(names: &[&str], text: &'t str) -> Option<(i64, &'t str)> {
    let starts = |name: &str| {
        let head = text.get(..name.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(name))
    };
    for (at, name) in (1..).zip(names) {
        if starts(name) {
            return Some((at, &text[name.len()..]));
        }
    }
    for (at, name) in (1..).zip(names) {
        if starts(&name[..3]) {
            return Some((at, &text[3..]));
        }
    }
    None
}

/// Where the name of a zone ends: `UTC`, `CEST`, `GMT+3`, `+03`.
fn zone_end(text: &str) -> Option<usize> {
    if text.starts_with(['+', '-']) {
        let (_, rest) = digits(&text[1..], 2, 4)?;
        return Some(text.len() - rest.len());
    }
    let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
    if text.starts_with("GMT") && text[3..].starts_with(['+', '-']) {
        let (_, rest) = digits(&text[4..], 1, 2)?;
        return Some(text.len() - rest.len());
    }
    (3..=5).contains(&letters).then_some(letters)
}

fn read_offset(text: &str, zulu: bool, colons: bool, parts: u8) -> Option<(i64, &str)> {
    if zulu && let Some(rest) = text.strip_prefix('Z') {
        return Some((0, rest));
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut rest = &text[1..];
    let mut seconds = 0;
    for (part, unit) in (0..parts).zip([3600, 60, 1]) {
        if part > 0 && colons {
            rest = rest.strip_prefix(':')?;
        }
        let (value, after) = digits(rest, 2, 2)?;
        seconds += value * unit;
        rest = after;
    }
    Some((sign * seconds, rest))
}
