//! The ledger: the rows in which every item is accounted for, and their sum in plain words.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One edge of the graph in the ledger: `in + created = out + consumed + dropped + held`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The pipeline, or empty for an exporter's queue that several share.
    pub pipeline: String,
    /// The kind of component: receiver, processor, exporter or connector.
    pub kind: Cow<'static, str>,
    /// The component.
    pub component: String,
    /// The signal.
    pub signal: Cow<'static, str>,
    /// Items that came in.
    pub r#in: u64,
    /// Items that were made here.
    pub created: u64,
    /// Items that went on.
    pub out: u64,
    /// Items that were delivered or used up here.
    pub consumed: u64,
    /// Items that ended here, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Those of the dropped that nobody wanted dropped and whose senders were not told, by reason.
    #[serde(default)]
    pub lost: BTreeMap<String, u64>,
    /// Items that are here now.
    pub held: u64,
    /// Those of the items that went on whom an exporter gave up and another one keeps
    /// (`on_permanent_error`), by the reason for which they were given up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dead_letters: BTreeMap<String, u64>,
}

impl LedgerRow {
    /// What the two sides of the row differ by; zero in a balanced row at rest.
    #[must_use]
    pub fn imbalance(&self) -> i128 {
        i128::from(self.r#in) + i128::from(self.created)
            - i128::from(self.out)
            - i128::from(self.consumed)
            - i128::from(self.dropped_items())
            - i128::from(self.held)
    }

    /// Items that ended here, for any reason.
    #[must_use]
    pub fn dropped_items(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Adds what was counted for a reason; nothing is listed where nothing was counted.
    pub fn drop_items(&mut self, reason: &str, items: u64, loss: bool) {
        if items == 0 {
            return;
        }
        *self.dropped.entry(reason.to_owned()).or_default() += items;
        if loss {
            *self.lost.entry(reason.to_owned()).or_default() += items;
        }
    }
}

/// What became of all items, over the whole graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Items that receivers brought in, each once, however many pipelines they went into.
    pub received: u64,
    /// Items that processors and connectors made.
    pub created: u64,
    /// Items that exporters found on disk, left by an earlier process, or took from there again.
    pub recovered: u64,
    /// Items that exporters delivered; what two exporters delivered counts twice.
    pub delivered: u64,
    /// Items that exporters gave up and others took in their place.
    pub dead_letters: u64,
    /// Items that were dropped by a decision, or given back to senders that were told so.
    pub dropped: u64,
    /// Items that were lost, by reason.
    pub lost: BTreeMap<String, u64>,
    /// Items that exporters hold: once the process has stopped, those that lie on disk.
    pub held: u64,
}

impl Summary {
    /// The sum of a ledger.
    #[must_use]
    pub fn of(rows: &[LedgerRow]) -> Self {
        let mut sum = Self::default();
        let mut doors = BTreeMap::<_, u64>::new();
        for row in rows {
            match &*row.kind {
                "receiver" => {
                    // Every pipeline behind a door sees the same items.
                    let door = doors.entry((&row.component, &row.signal)).or_default();
                    *door = (*door).max(row.r#in);
                }
                "exporter" => {
                    sum.recovered += row.created;
                    sum.delivered += row.consumed;
                    sum.held += row.held;
                    sum.dead_letters += row.dead_letters.values().sum::<u64>();
                }
                _ => sum.created += row.created,
            }
            for (reason, items) in &row.lost {
                *sum.lost.entry(reason.clone()).or_default() += items;
            }
            let lost: u64 = row.lost.values().sum();
            sum.dropped += row.dropped_items().saturating_sub(lost);
        }
        sum.received = doors.values().sum();
        sum
    }

    /// Items that were lost, for any reason.
    #[must_use]
    pub fn lost_items(&self) -> u64 {
        self.lost.values().sum()
    }
}

impl Summary {
    /// All of it in one line; `place` says where items are that are held, as `left on disk`.
    #[must_use]
    pub fn in_words(&self, place: &str) -> String {
        let mut words = format!("{} came in", items(self.received));
        if self.created > 0 {
            words.push_str(&format!(", {} made here", were(self.created)));
        }
        if self.recovered > 0 {
            words.push_str(&format!(", {} taken from disk", were(self.recovered)));
        }
        let lost = self.lost_items();
        words.push_str(&format!(", {} went out", self.delivered));
        if self.dead_letters > 0 {
            words.push_str(&format!(", {} became dead letters", self.dead_letters));
        }
        words.push_str(&format!(
            ", {} dropped by decision, {} lost",
            were(self.dropped),
            were(lost)
        ));
        let reasons = self.lost.iter();
        let reasons: Vec<_> = reasons
            .map(|(name, items)| format!("{name} {items}"))
            .collect();
        if lost > 0 {
            words.push_str(&format!(" ({})", reasons.join(", ")));
        }
        let is = if self.held == 1 { "is" } else { "are" };
        words.push_str(&format!(", {} {is} {place}", self.held));
        words
    }
}

fn items(count: u64) -> String {
    format!("{count} {}", if count == 1 { "item" } else { "items" })
}

fn were(count: u64) -> String {
    format!("{count} {}", if count == 1 { "was" } else { "were" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &'static str, component: &str, came: u64) -> LedgerRow {
        LedgerRow {
            kind: kind.into(),
            component: component.to_owned(),
            r#in: came,
            ..LedgerRow::default()
        }
    }

    #[test]
    fn summary_counts_what_came_in_once_and_what_went_out_per_exporter() {
        let mut sampler = row("processor", "sampler", 8);
        sampler.out = 7;
        sampler.drop_items("sampled_out", 1, false);
        let mut first = row("exporter", "first", 8);
        first.consumed = 5;
        first.drop_items("queue_full", 2, true);
        first.held = 1;
        let second = LedgerRow {
            consumed: 7,
            ..row("exporter", "second", 7)
        };
        let rows = [
            row("receiver", "otlp", 8),
            row("receiver", "otlp", 8),
            sampler,
            first,
            second,
        ];
        assert_eq!(
            Summary::of(&rows).in_words("left on disk"),
            "8 items came in, 12 went out, 1 was dropped by decision, \
             2 were lost (queue_full 2), 1 is left on disk"
        );
    }

    #[test]
    fn dead_letters_are_neither_dropped_nor_lost() {
        let mut picky = row("exporter", "picky", 8);
        (picky.consumed, picky.out) = (5, 3);
        picky.dead_letters.insert("permanent".to_owned(), 3);
        let letters = LedgerRow {
            consumed: 3,
            ..row("exporter", "letters", 3)
        };
        assert_eq!(picky.imbalance(), 0);
        let rows = [row("receiver", "otlp", 8), picky, letters];
        assert_eq!(
            Summary::of(&rows).in_words("left on disk"),
            "8 items came in, 8 went out, 3 became dead letters, 0 were dropped by decision, \
             0 were lost, 0 are left on disk"
        );
    }

    #[test]
    fn row_is_read_as_it_is_written() {
        let mut written = row("exporter", "otlp", 9);
        written.consumed = 4;
        written.drop_items("permanent", 3, true);
        written.out = 2;
        written.dead_letters.insert("permanent".to_owned(), 2);
        let text = serde_json::to_string(&written).unwrap();
        let read: LedgerRow = serde_json::from_str(&text).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.imbalance(), 0);
    }
}
