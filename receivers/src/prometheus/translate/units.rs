//! Units and suffixes: Prometheus' words and OpenTelemetry's.

/// The UCUM unit that a word of Prometheus stands for; the word itself where it stands for none.
pub(super) fn ucum(unit: &str) -> String {
    let (first, per) = match unit.split_once("_per_") {
        Some((first, per)) if !per.is_empty() => (first, Some(per)),
        Some((first, _)) => (first, None),
        None => (unit, None),
    };
    let mut out = word(first).to_owned();
    if let Some(per) = per {
        out.push('/');
        out.push_str(per_word(per));
    }
    out
}

fn word(word: &str) -> &str {
    match word {
        "days" => "d",
        "hours" => "h",
        "minutes" => "min",
        "seconds" => "s",
        "milliseconds" => "ms",
        "microseconds" => "us",
        "nanoseconds" => "ns",
        "bytes" => "By",
        "kibibytes" => "KiBy",
        "mebibytes" => "MiBy",
        "gibibytes" => "GiBy",
        "tibibytes" => "TiBy",
        "kilobytes" => "KBy",
        "megabytes" => "MBy",
        "gigabytes" => "GBy",
        "terabytes" => "TBy",
        "meters" => "m",
        "volts" => "V",
        "amperes" => "A",
        "joules" => "J",
        "watts" => "W",
        "grams" => "g",
        "celsius" => "Cel",
        "hertz" => "Hz",
        "ratio" => "1",
        "percent" => "%",
        other => other,
    }
}

fn per_word(word: &str) -> &str {
    match word {
        "second" => "s",
        "minute" => "m",
        "hour" => "h",
        "day" => "d",
        "week" => "w",
        "month" => "mo",
        "year" => "y",
        other => other,
    }
}

/// A name without `_total`, for sums, and without its unit.
pub(super) fn trimmed<'n>(name: &'n str, is_sum: bool, unit: &str) -> &'n str {
    let trimmed = match is_sum {
        true => name.strip_suffix("_total").unwrap_or(name),
        false => name,
    };
    let without = trimmed
        .strip_suffix(unit)
        .and_then(|stem| stem.strip_suffix('_'));
    match without {
        Some(stem) if !unit.is_empty() && !stem.is_empty() => stem,
        _ => trimmed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_ucum() {
        for (unit, expected) in [
            ("seconds", "s"),
            ("bytes_per_second", "By/s"),
            ("apples", "apples"),
            ("apples_per_fortnight", "apples/fortnight"),
            ("", ""),
        ] {
            assert_eq!(ucum(unit), expected);
        }
    }

    #[test]
    fn suffixes_are_trimmed() {
        for (name, is_sum, unit, expected) in [
            (
                "singing_duration_seconds_total",
                true,
                "seconds",
                "singing_duration",
            ),
            (
                "singing_duration_seconds",
                false,
                "seconds",
                "singing_duration",
            ),
            ("requests_total", true, "", "requests"),
            ("requests_total", false, "", "requests_total"),
            ("seconds", false, "seconds", "seconds"),
            ("total", true, "", "total"),
        ] {
            assert_eq!(trimmed(name, is_sum, unit), expected);
        }
    }
}
