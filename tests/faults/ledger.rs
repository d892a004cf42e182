//! The ledger as the collector states it: on its admin page, and in its log at the end.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One edge, as `/ledger` has it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Row {
    pub pipeline: String,
    pub kind: String,
    pub component: String,
    pub signal: String,
    pub r#in: u64,
    #[serde(default)]
    pub created: u64,
    #[serde(default)]
    pub out: u64,
    #[serde(default)]
    pub consumed: u64,
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
    #[serde(default)]
    pub held: u64,
}

impl Row {
    fn key(&self) -> (&str, &str, &str, &str) {
        (&self.pipeline, &self.kind, &self.component, &self.signal)
    }

    fn balanced(&self) -> bool {
        let dropped: u64 = self.dropped.values().sum();
        self.r#in + self.created == self.out + self.consumed + dropped + self.held
    }
}

#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub rows: Vec<Row>,
}

/// A line of the log: items that ended, one reason.
#[derive(Deserialize)]
struct EndedHere {
    pipeline: String,
    kind: String,
    component: String,
    signal: String,
    reason: String,
    items: u64,
}

impl Ledger {
    pub fn of_page(page: &str) -> Option<Self> {
        let rows = serde_json::from_str(page).ok()?;
        Some(Self { rows })
    }

    /// Reads the lines that the log ends with.
    pub fn of_log(log: &str) -> Self {
        let fields = |text: &str| -> Vec<String> {
            let lines = log
                .lines()
                .filter(|line| line.split('\t').nth(2) == Some(text));
            lines
                .filter_map(|line| line.split('\t').nth(3))
                .map(str::to_owned)
                .collect()
        };
        let rows = fields("ledger").into_iter();
        let mut rows: Vec<Row> = rows
            .map(|line| serde_json::from_str(&line).expect("a row of the ledger"))
            .collect();
        for line in fields("items ended here") {
            let ended: EndedHere = serde_json::from_str(&line).expect("an end of items");
            let key = (
                &*ended.pipeline,
                &*ended.kind,
                &*ended.component,
                &*ended.signal,
            );
            let row = rows.iter_mut().find(|row| row.key() == key);
            let row = row.expect("its edge has a row");
            *row.dropped.entry(ended.reason).or_default() += ended.items;
        }
        Self { rows }
    }

    /// Whether every edge's sides are equal.
    pub fn balanced(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(Row::balanced)
    }

    fn sum(&self, of: impl Fn(&Row) -> u64) -> u64 {
        self.rows.iter().map(of).sum()
    }

    pub fn held(&self) -> u64 {
        self.sum(|row| row.held)
    }

    /// Items that receivers took.
    pub fn taken(&self) -> u64 {
        self.sum(|row| if row.kind == "receiver" { row.r#in } else { 0 })
    }

    /// The row of a component and signal.
    pub fn row(&self, component: &str, signal: &str) -> &Row {
        let mut rows = self.rows.iter();
        rows.find(|row| row.component == component && row.signal == signal)
            .unwrap_or_else(|| panic!("{component} has no row of {signal}: {:?}", self.rows))
    }

    /// Items that exporters delivered.
    pub fn delivered(&self) -> u64 {
        self.sum(|row| match &*row.kind {
            "exporter" => row.consumed,
            _ => 0,
        })
    }

    /// Items that ended for another reason than delivery, by reason.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for (reason, items) in self.rows.iter().flat_map(|row| &row.dropped) {
            *all.entry(reason.clone()).or_default() += items;
        }
        all.retain(|_, items| *items > 0);
        all
    }

    pub fn dropped_items(&self) -> u64 {
        self.dropped().values().sum()
    }
}

#[test]
fn the_log_of_an_end_makes_a_balanced_ledger() {
    let line = |text: &str, fields: &str| format!("2026-01-02T03:04:05Z\tinfo\t{text}\t{fields}\n");
    let edge = r#""component":"otlp_grpc","kind":"exporter","pipeline":"","signal":"traces""#;
    let log = [
        line("listening", r#"{"port":1}"#),
        line(
            "items ended here",
            &format!(r#"{{{edge},"reason":"shutdown","items":3}}"#),
        ),
        line(
            "ledger",
            &format!(r#"{{{edge},"in":10,"created":0,"out":0,"consumed":7,"held":0}}"#),
        ),
    ]
    .concat();
    // The ends of items come before the row of their edge.
    let ledger = Ledger::of_log(&log);
    assert!(ledger.balanced());
    assert_eq!((ledger.delivered(), ledger.dropped_items()), (7, 3));
    let short = log.replace("\"items\":3", "\"items\":2");
    assert!(!Ledger::of_log(&short).balanced());
}
