//! The comparison as Markdown and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::figure::{Figure, Spread};
use super::measure::{Finding, Measurement};
use super::program::{Make, Program};
use super::row::Row;

/// Two tables: costs with ratios, and speed beside them.
pub(crate) fn markdown(programs: &[Program], measurements: &[Measurement]) -> String {
    let mut text = String::new();
    costs(&mut text, programs, measurements);
    text.push('\n');
    speed(&mut text, programs, measurements);
    for failure in failures(measurements) {
        let _ = writeln!(text, "\n**FAILED** {failure}");
    }
    text
}

fn costs(text: &mut String, programs: &[Program], measurements: &[Measurement]) {
    let titles = programs.iter().map(|program| program.make.title());
    let columns: Vec<&str> = ["Case", "Figure"]
        .into_iter()
        .chain(titles)
        .chain(["Ratio (rounds)", "Floor · goal"])
        .collect();
    heading(text, &columns);
    for measurement in measurements {
        for figure in figures(measurement, true) {
            line(text, programs, measurement, figure);
            let ratio = measurement.ratio(Make::Otelcol, figure);
            let _ = match (ratio, &measurement.row.no_otelcol) {
                _ if measurement.row.cost.contains_key(&figure) => {
                    write!(text, " {} |", cost(measurement, figure))
                }
                (Some((ratio, rounds)), _) => write!(
                    text,
                    " **{ratio:.1}x** ({:.1}–{:.1}) |",
                    rounds.least, rounds.most
                ),
                (None, Some(_)) => {
                    write!(
                        text,
                        " {} |",
                        against_own(measurement, measurements, figure)
                    )
                }
                (None, None) => write!(text, " – |"),
            };
            let _ = writeln!(text, " {}|", targets(&measurement.row, figure));
        }
    }
}

/// What is to be reached, or not to be exceeded.
fn targets(row: &Row, figure: Figure) -> String {
    if let Some(target) = row.ratio.get(&figure) {
        return format!("{}x · {}x ", target.floor, target.goal);
    }
    if let Some(bound) = row.cost.get(&figure) {
        return format!("at most {}x · {}x ", bound.most, bound.goal);
    }
    row.held
        .get(&figure)
        .map_or(String::new(), |text| format!("{text} "))
}

/// How many times the baseline's a figure is.
fn cost(measurement: &Measurement, figure: Figure) -> String {
    let baseline = measurement.row.baseline.as_deref().unwrap_or_default();
    match measurement.cost(figure) {
        Some((base, ratio, rounds)) => format!(
            "**{ratio:.2}x** ({:.2}–{:.2}) of {}, `{baseline}` in turn",
            rounds.least,
            rounds.most,
            shown(&base)
        ),
        None => "–".to_owned(),
    }
}

/// What is not compared, in a line a row: the rates and latencies, or the fate of items.
fn speed(text: &mut String, programs: &[Program], measurements: &[Measurement]) {
    let titles = programs.iter().map(|program| program.make.title());
    let columns: Vec<&str> = ["Case", "Figures"].into_iter().chain(titles).collect();
    heading(text, &columns);
    for measurement in measurements {
        let row = &measurement.row;
        let figures = figures(measurement, false);
        if figures.is_empty() {
            continue;
        }
        let names: Vec<_> = figures.iter().map(|f| f.title(row.item())).collect();
        let _ = write!(text, "| {} | {} |", row.title, names.join(" · "));
        for program in programs {
            let medians: Vec<_> = figures
                .iter()
                .filter_map(|&figure| measurement.spread(program.make, figure))
                .map(|spread| number(spread.median))
                .collect();
            let shown = if medians.is_empty() {
                "–".to_owned()
            } else {
                medians.join(" · ")
            };
            let _ = write!(text, " {shown} |");
        }
        text.push('\n');
    }
}

fn heading(text: &mut String, columns: &[&str]) {
    let _ = writeln!(text, "| {} |", columns.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(columns.len()));
}

fn line(text: &mut String, programs: &[Program], measurement: &Measurement, figure: Figure) {
    let row = &measurement.row;
    let _ = write!(text, "| {} | {} |", row.title, figure.title(row.item()));
    for program in programs {
        let _ = write!(text, " {} |", cell(measurement, program.make, figure));
    }
}

/// Where there is no peer: our own passthrough instead.
fn against_own(measurement: &Measurement, all: &[Measurement], figure: Figure) -> String {
    let ratio = || {
        let baseline = measurement.row.baseline.as_ref()?;
        let baseline = all.iter().find(|other| other.row.name == *baseline)?;
        let own = measurement.spread(Make::Tidegate, figure)?;
        let base = baseline.spread(Make::Tidegate, figure)?;
        Some(own.median / base.median)
    };
    match ratio() {
        Some(ratio) => format!("no peer; {ratio:.2} of our own passthrough"),
        None => "no peer".to_owned(),
    }
}

fn cell(measurement: &Measurement, make: Make, figure: Figure) -> String {
    match measurement.findings.get(&make) {
        Some(Finding::LeftOut(_)) | None => "–".to_owned(),
        Some(Finding::NotBuilt(_)) => "not built".to_owned(),
        Some(Finding::Failed(_)) => "FAILED".to_owned(),
        Some(Finding::Rounds(_)) => measurement
            .spread(make, figure)
            .map_or("–".to_owned(), |spread| shown(&spread)),
    }
}

fn shown(spread: &Spread) -> String {
    if spread.least == spread.most {
        return number(spread.median);
    }
    format!(
        "{} ({}–{})",
        number(spread.median),
        number(spread.least),
        number(spread.most)
    )
}

/// Three significant digits or so; whole numbers with their thousands apart.
pub(super) fn number(value: f64) -> String {
    if value.abs() < 10.0 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut parted = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            parted.push(',');
        }
        parted.push(digit);
    }
    parted
}

/// The figures that any program showed in a row, those that are compared or the others.
fn figures(measurement: &Measurement, compared: bool) -> Vec<Figure> {
    let mut figures: Vec<Figure> = measurement
        .findings
        .values()
        .filter_map(|finding| match finding {
            Finding::Rounds(rounds) => rounds.first(),
            _ => None,
        })
        .flat_map(|run| run.keys().copied())
        .filter(|figure| figure.is_compared() == compared)
        .collect();
    if figures.is_empty() && compared {
        figures.push(Figure::Cpu);
    }
    figures.sort_unstable();
    figures.dedup();
    figures
}

/// The rows that failed and why.
pub(crate) fn failures(measurements: &[Measurement]) -> Vec<String> {
    let mut failures = Vec::new();
    for measurement in measurements {
        for (make, finding) in &measurement.findings {
            if let Finding::Failed(why) = finding {
                failures.push(format!(
                    "{} · {}: {why}",
                    measurement.row.name,
                    make.title()
                ));
            }
        }
    }
    failures
}

/// Everything that was measured.
pub(crate) fn json(programs: &[Program], measurements: &[Measurement]) -> Value {
    let rows: Vec<Value> = measurements.iter().map(row_json).collect();
    json!({
        "machine": machine(),
        "programs": programs.iter().map(|program| json!({
            "make": program.make,
            "pinned": program.pinned,
        })).collect::<Vec<_>>(),
        "rows": rows,
    })
}

fn row_json(measurement: &Measurement) -> Value {
    let row = &measurement.row;
    let ratios: serde_json::Map<String, Value> = figures(measurement, true)
        .into_iter()
        .filter_map(|figure| {
            let (ratio, rounds) = measurement.ratio(Make::Otelcol, figure)?;
            let name = serde_json::to_value(figure).ok()?.as_str()?.to_owned();
            Some((name, json!({ "of_medians": ratio, "rounds": rounds })))
        })
        .collect();
    json!({
        "name": row.name,
        "title": row.title,
        "items": row.items,
        "shape": row.shape,
        "way": row.way,
        "env": row.env,
        "targets": row.ratio,
        "bounds": row.cost,
        "beside": measurement.beside,
        "findings": measurement.findings,
        "ratios": ratios,
    })
}

/// What the figures were taken on.
fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned());
    json!({
        "cpu": model,
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_are_telling() {
        assert_eq!(number(0.8234), "0.82");
        assert_eq!(number(12.34), "12.3");
        assert_eq!(number(8890.4), "8,890");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(0.0), "0");
    }
}
