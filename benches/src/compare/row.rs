//! A row of the comparison, as a file under `rows/` describes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::figure::Figure;
use crate::corpus::Shape;
use crate::load::Way;
use crate::sink::Faults;

/// What is sent through the programs and what is measured of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// The file's name without `.toml`.
    #[serde(skip)]
    pub(crate) name: String,
    /// Place in the table.
    pub(crate) order: u32,
    /// `{gb}` in it stands for the size of the long queue.
    pub(crate) title: String,
    pub(crate) kind: Kind,
    /// The configuration that the programs with the Collector's language run, a file beside the row's.
    pub(crate) config: PathBuf,
    /// What the configuration reads as `${env:…}`, beside the addresses that each run sets.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Rotel's flags to the same end; without them Rotel is left out.
    pub(crate) rotel: Option<Vec<String>>,
    /// Why the Go collector cannot run the row; with it, the Go collector is left out.
    pub(crate) no_otelcol: Option<String>,
    /// The row of our own whose CPU this one's is set against where there is no peer.
    pub(crate) baseline: Option<String>,
    /// What figures may come to, times those of the baseline.
    ///
    /// With them the baseline's configuration runs through this row's load, in turn with it.
    #[serde(default)]
    pub(crate) cost: BTreeMap<Figure, Bound>,
    /// What figures without a ratio are held to, in words.
    #[serde(default)]
    pub(crate) held: BTreeMap<Figure, String>,
    /// This row with the configuration of its baseline, where there are costs to hold.
    #[serde(skip)]
    pub(crate) beside: Option<Box<Row>>,
    /// Whether both sides of the program speak TLS.
    #[serde(default)]
    pub(crate) tls: bool,
    /// Items to send.
    #[serde(default)]
    pub(crate) items: u64,
    #[serde(default)]
    pub(crate) shape: Shape,
    #[serde(default)]
    pub(crate) way: Way,
    #[serde(default)]
    pub(crate) expect: Expect,
    /// How the sink behaves while a fixed count of items goes through.
    #[serde(default)]
    pub(crate) sink: Faults,
    #[serde(default)]
    pub(crate) scrape: Scrape,
    #[serde(default)]
    pub(crate) overload: Overload,
    #[serde(default)]
    pub(crate) backlog: Backlog,
    #[serde(default)]
    pub(crate) latency: Latency,
    /// The ratios to reach, peer over ours.
    #[serde(default)]
    pub(crate) ratio: BTreeMap<Figure, Target>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A fixed count of items from the generator to the sink.
    Throughput,
    /// Series sent in once, then scraped.
    Scrape,
    /// Started and left alone.
    Idle,
    /// Pressed for a time with a sink that is too slow, then let go.
    Overload,
    /// Half of what it can take, for the time to an answer.
    Latency,
    /// A queue on disk that was filled by an earlier process.
    Replay,
    /// A long queue on disk, for the memory that it takes.
    Backlog,
}

impl Kind {
    /// What the item count of the row is for; none for rows without one.
    const fn needs_items(self) -> bool {
        !matches!(self, Kind::Idle | Kind::Overload | Kind::Backlog)
    }
}

/// The ratios that a figure must and should reach.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) floor: f64,
    pub(crate) goal: f64,
}

/// How many times the baseline's a figure may and should be.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bound {
    pub(crate) most: f64,
    pub(crate) goal: f64,
}

/// Which share of the accepted items must reach the sink.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) share: f64,
    /// How far from it the share may lie, where chance has a part in it.
    #[serde(default)]
    pub(crate) tolerance: f64,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            share: 1.0,
            tolerance: 0.0,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Scrape {
    /// Times that the endpoint is read.
    pub(crate) scrapes: u32,
}

impl Default for Scrape {
    fn default() -> Self {
        Self { scrapes: 5 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Overload {
    /// Seconds of pressure.
    pub(crate) seconds: f64,
    /// The sink's behaviour during it.
    pub(crate) faults: Faults,
    /// Seconds that the program then has to deliver what it accepted.
    pub(crate) drain_seconds: f64,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            seconds: 60.0,
            faults: Faults::default(),
            drain_seconds: 60.0,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Backlog {
    /// Items of the short queue that the long one is set against.
    pub(crate) short: u64,
    /// What the long queue takes on disk, in thousands of millions of bytes.
    pub(crate) gigabytes: u32,
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            short: 500_000,
            gigabytes: 4,
        }
    }
}

/// What answers may take at half load.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Latency {
    /// Milliseconds for which the configuration lets requests wait to share a sync.
    pub(crate) window_ms: f64,
    /// The configuration of a queue in memory that is given the same load, a file beside the row's.
    pub(crate) beside: Option<PathBuf>,
}

impl Row {
    fn read(path: &Path) -> anyhow::Result<Row> {
        let text = std::fs::read_to_string(path)?;
        let mut row: Row = toml::from_str(&text)?;
        let name = path.file_stem().context("a row without a name")?;
        row.name = name.to_string_lossy().into_owned();
        let folder = path.parent().unwrap_or(Path::new("."));
        // The programs run in a folder of their own.
        row.config = std::path::absolute(folder.join(&row.config))?;
        ensure!(row.config.is_file(), "{} is missing", row.config.display());
        if let Some(beside) = &mut row.latency.beside {
            *beside = std::path::absolute(folder.join(&beside))?;
            ensure!(beside.is_file(), "{} is missing", beside.display());
        }
        let needs_items = row.kind.needs_items();
        ensure!(!needs_items || row.items > 0, "`items` is missing");
        Ok(row)
    }

    /// Gives the long queue another size, where one is given, and its place in the title.
    pub(crate) fn size(&mut self, gigabytes: Option<u32>) {
        self.backlog.gigabytes = gigabytes.unwrap_or(self.backlog.gigabytes);
        let size = self.backlog.gigabytes.to_string();
        self.title = self.title.replace("{gb}", &size);
    }

    /// What this row calls one item.
    pub(crate) fn item(&self) -> &'static str {
        self.shape.signal.item()
    }
}

/// Reads every row in `folder`, in their order.
pub(crate) fn read_all(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the rows in {}", folder.display()))?;
    let mut rows = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let row = Row::read(&path).with_context(|| path.display().to_string())?;
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| row.order);
    for at in 0..rows.len() {
        rows[at].beside = beside(&rows[at], &rows)?;
    }
    Ok(rows)
}

/// A row with its baseline's configuration, where it has costs to hold against it.
fn beside(row: &Row, rows: &[Row]) -> anyhow::Result<Option<Box<Row>>> {
    if row.cost.is_empty() {
        return Ok(None);
    }
    let name = row.baseline.as_ref();
    let baseline = name.and_then(|name| rows.iter().find(|other| other.name == *name));
    let baseline =
        baseline.with_context(|| format!("{} has costs and no baseline to them", row.name))?;
    Ok(Some(Box::new(Row {
        name: format!("{}-beside", row.name),
        config: baseline.config.clone(),
        env: baseline.env.clone(),
        cost: BTreeMap::new(),
        ..row.clone()
    })))
}

/// Keeps the rows that a pattern names; `*` stands for any text. No pattern keeps all.
pub(crate) fn select(rows: Vec<Row>, patterns: &[String]) -> anyhow::Result<Vec<Row>> {
    if let Some(unknown) = patterns
        .iter()
        .find(|pattern| !rows.iter().any(|row| matches(pattern, &row.name)))
    {
        let known: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        anyhow::bail!(
            "no row is called `{unknown}`; there are {}",
            known.join(", ")
        );
    }
    let wanted = |row: &Row| patterns.is_empty() || patterns.iter().any(|p| matches(p, &row.name));
    Ok(rows.into_iter().filter(wanted).collect())
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => match name.strip_prefix(start) {
            None => false,
            Some(tail) => (0..=tail.len())
                .filter_map(|at| tail.get(at..))
                .any(|tail| matches(rest, tail)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_that_is_kept_here_reads() {
        let rows = read_all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/rows"))).unwrap();
        assert!(rows.iter().any(|row| row.name == "spans-100"));
        for row in &rows {
            let baseline = row.baseline.as_ref();
            assert!(baseline.is_none_or(|name| rows.iter().any(|row| row.name == *name)));
        }
    }

    #[test]
    fn a_row_with_costs_has_its_baselines_configuration_beside_it_and_its_own_load() {
        let rows = read_all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/rows"))).unwrap();
        let row = |name: &str| rows.iter().find(|row| row.name == name).unwrap();
        assert!(row("spans-100").beside.is_none());
        let beside = row("disk-10").beside.as_ref().unwrap();
        assert_eq!(beside.config, row("spans-10").config);
        assert_eq!(beside.items, row("disk-10").items);
        let mut orphan = row("disk-10").clone();
        orphan.baseline = None;
        assert!(super::beside(&orphan, &rows).is_err());
    }

    #[test]
    fn the_size_of_a_long_queue_stands_in_its_title() {
        let rows = read_all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/rows"))).unwrap();
        let row = || rows.iter().find(|row| row.kind == Kind::Backlog).unwrap();
        let sized = |gigabytes| {
            let mut row = row().clone();
            row.size(gigabytes);
            (row.backlog.gigabytes, row.title)
        };
        assert!(sized(None).1.contains(" of 4 GB "));
        assert_eq!(sized(Some(10)).0, 10);
        assert!(sized(Some(10)).1.contains(" of 10 GB "));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("spans-*", "spans-100"));
        assert!(matches("*gzip*", "spans-gzip-high"));
        assert!(!matches("spans-*", "logs-100"));
        assert!(!matches("spans", "spans-100"));
    }
}
