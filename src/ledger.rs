//! `tidegate ledger`: what the running process says became of every item.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tidegate_component::status::{LedgerRow, Summary};

use crate::cli::LedgerFormat;
use crate::fetch::fetch;
use crate::report::print;

/// How often the ledger is read at most, until every row of it balances.
const READINGS: usize = 5;
/// The time between two readings.
const PAUSE: Duration = Duration::from_millis(200);

/// Prints the ledger; fails if a row at rest does not balance.
///
/// The counts of a row are read one after the other, so a row through which items pass just then
/// may not balance at that moment: one that is the same in two readings is at rest.
pub(crate) fn ledger(endpoint: &str, format: LedgerFormat) -> anyhow::Result<ExitCode> {
    let mut rows = ask(endpoint)?;
    let mut wrong = Vec::new();
    for _ in 1..READINGS {
        if rows.iter().all(|row| row.imbalance() == 0) {
            break;
        }
        std::thread::sleep(PAUSE);
        let later = ask(endpoint)?;
        wrong = at_rest(&rows, &later);
        rows = later;
        if !wrong.is_empty() {
            break;
        }
    }
    match format {
        LedgerFormat::Json => print(&format!("{}\n", serde_json::to_string_pretty(&rows)?)),
        LedgerFormat::Table => print(&table(&rows)?),
    }
    if wrong.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(anyhow!(
        "{} at rest do not balance:{}",
        rows_of(wrong.len()),
        list(&wrong)
    ))
}

fn ask(endpoint: &str) -> anyhow::Result<Vec<LedgerRow>> {
    let text = fetch(endpoint).map_err(|fault| {
        anyhow!(
            "no `admin` extension answers at {endpoint}: {fault}; add `admin` to `extensions` and to \
             `service.extensions` of the process, or say with --endpoint where it listens"
        )
    })?;
    serde_json::from_str(&text)
        .with_context(|| format!("{endpoint} answers, but not with a ledger; its path is /ledger"))
}

/// The rows that do not balance and were the same before.
fn at_rest(before: &[LedgerRow], now: &[LedgerRow]) -> Vec<LedgerRow> {
    let wrong = now.iter().filter(|row| row.imbalance() != 0);
    wrong.filter(|row| before.contains(row)).cloned().collect()
}

fn rows_of(count: usize) -> String {
    format!("{count} {}", if count == 1 { "row" } else { "rows" })
}

fn list(rows: &[LedgerRow]) -> String {
    let mut text = String::new();
    for row in rows {
        let (kind, component, signal) = (&row.kind, &row.component, &row.signal);
        let by = row.imbalance();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n  {kind} {component}, {signal}: {by} items are not accounted for"
        );
    }
    text
}

const HEAD: [&str; 10] = [
    "PIPELINE",
    "KIND",
    "COMPONENT",
    "SIGNAL",
    "IN",
    "CREATED",
    "OUT",
    "CONSUMED",
    "DROPPED",
    "HELD",
];
/// Columns of text; numbers follow, which end where their heads end.
const TEXTS: usize = 4;

fn table(rows: &[LedgerRow]) -> Result<String, std::fmt::Error> {
    let lines: Vec<[String; 10]> = rows.iter().map(cells).collect();
    let width = |at: usize| {
        let cells = lines.iter().map(|line| line[at].len());
        cells.chain([HEAD[at].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    let heads = HEAD.map(str::to_owned);
    let reasons = std::iter::once("REASONS".to_owned()).chain(rows.iter().map(reasons));
    for (cells, reasons) in std::iter::once(&heads).chain(&lines).zip(reasons) {
        let mut line = String::new();
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            if at < TEXTS {
                write!(line, "{cell:<width$}  ")?;
            } else {
                write!(line, "{cell:>width$}  ")?;
            }
        }
        line.push_str(&reasons);
        writeln!(text, "{}", line.trim_end())?;
    }
    writeln!(text, "\n{}", Summary::of(rows).in_words("held"))?;
    Ok(text)
}

fn cells(row: &LedgerRow) -> [String; 10] {
    [
        row.pipeline.clone(),
        row.kind.to_string(),
        row.component.clone(),
        row.signal.to_string(),
        row.r#in.to_string(),
        row.created.to_string(),
        row.out.to_string(),
        row.consumed.to_string(),
        row.dropped_items().to_string(),
        row.held.to_string(),
    ]
}

/// Why items of a row were dropped, in capitals those that were lost, and why others are dead letters.
fn reasons(row: &LedgerRow) -> String {
    let letters = row.dead_letters.iter();
    let mut parts: Vec<_> = letters
        .map(|(reason, items)| format!("dead letters: {reason} {items}"))
        .collect();
    for (reason, items) in &row.dropped {
        let lost = row.lost.get(reason).copied().unwrap_or_default();
        if *items > lost {
            parts.push(format!("{reason} {}", items - lost));
        }
        if lost > 0 {
            parts.push(format!("LOST: {reason} {lost}"));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(component: &str, came: u64, out: u64) -> LedgerRow {
        LedgerRow {
            pipeline: "traces".to_owned(),
            kind: "processor".into(),
            component: component.to_owned(),
            signal: "traces".into(),
            r#in: came,
            out,
            ..LedgerRow::default()
        }
    }

    #[test]
    fn only_a_row_that_stays_as_it_is_can_be_out_of_balance() {
        let (moving, still) = ([row("a", 3, 2)], [row("a", 4, 3)]);
        assert_eq!(at_rest(&moving, &still), []);
        assert_eq!(at_rest(&still, &still), still);
        let even = [row("a", 4, 4)];
        assert_eq!(at_rest(&even, &even), []);
    }

    #[test]
    fn table_tells_what_was_lost_from_what_was_decided() {
        let mut exporter = row("otlp_grpc/far", 1200, 0);
        exporter.kind = "exporter".into();
        exporter.pipeline = String::new();
        exporter.consumed = 1000;
        exporter.drop_items("permanent", 150, false);
        exporter.drop_items("permanent", 50, true);
        (exporter.r#in, exporter.out) = (1203, 3);
        exporter.dead_letters.insert("panic".to_owned(), 3);
        let text = table(&[row("batch", 1200, 1200), exporter]).unwrap();
        let expected = "\
PIPELINE  KIND       COMPONENT      SIGNAL    IN  CREATED   OUT  CONSUMED  DROPPED  HELD  REASONS
traces    processor  batch          traces  1200        0  1200         0        0     0
          exporter   otlp_grpc/far  traces  1203        0     3      1000      200     0  dead letters: panic 3, permanent 150, LOST: permanent 50

0 items came in, 1000 went out, 3 became dead letters, 150 were dropped by decision, 50 were lost (permanent 50), 0 are held
";
        assert_eq!(text, expected);
    }

    #[test]
    fn absence_of_the_extension_names_the_remedy() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let error = ask(&format!("http://{address}/ledger"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("add `admin` to `extensions`"), "{error}");
        assert!(error.contains("--endpoint"), "{error}");
    }
}
