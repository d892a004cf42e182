//! Units: from UCUM to the words that Prometheus uses.

/// The words that a unit puts behind a name; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suffixes {
    /// The unit, as `bytes`.
    pub(super) main: String,
    /// What it is divided by, as `per_second`.
    pub(super) per: String,
}

impl Suffixes {
    /// The words of a unit such as `By/s`; what stands in braces is a remark and no unit.
    pub(super) fn of(unit: &str) -> Self {
        let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
        let [main, per] = [main, per].map(|part| Some(part.trim()).filter(|part| is_unit(part)));
        Self {
            main: main.map(word).unwrap_or_default().to_owned(),
            per: match per.map(word_after_per) {
                Some(word) => format!("per_{word}"),
                None => String::new(),
            },
        }
    }

    /// The same in legal characters.
    pub(super) fn cleaned(self) -> Self {
        let per = clean(&self.per);
        let per = match per.as_str() {
            "per_" => "",
            per => per.strip_suffix('_').unwrap_or(per),
        };
        let main = clean(&self.main);
        let main = if per.is_empty() {
            main.as_str()
        } else {
            main.strip_suffix('_').unwrap_or(&main)
        };
        Self {
            main: main.to_owned(),
            per: per.to_owned(),
        }
    }
}

fn is_unit(part: &str) -> bool {
    !part.is_empty() && !part.contains(['{', '}'])
}

/// Underscores for what is not legal, never two of them, none at the beginning.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if super::is_word(c) {
            clean.push(c);
        } else if !clean.ends_with('_') {
            clean.push('_');
        }
    }
    clean.strip_prefix('_').unwrap_or(&clean).to_owned()
}

fn word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        other => other,
    }
}

fn word_after_per(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}
