//! `log_dedup`: passes on one log record for all that are the same within an interval.

mod config;
mod fields;
mod held;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use tidegate_component::metrics::Histogram;
use tidegate_component::{Outbox, Processor, Promise, Reason};
use tidegate_pdata::compose::Fields;
use tidegate_pdata::splice::{
    Edits, LogRecordEditor, ResourceEditor, ScopeEditor, Splicer, Verdict, Visit,
};
use tidegate_pdata::{Batch, Budget, Context, Outcome, Payload, Receipt, Signal};
use tokio::time::{Duration, Instant};

pub use config::Config;

use fields::Field;
use held::{Held, Kept, Style};

struct LogDedup {
    splicer: Splicer,
    edit: Edit,
    interval: Duration,
    zone: TimeZone,
    count_attribute: Box<str>,
    /// When what is held goes on.
    due: Option<Instant>,
    /// Whether receipts go along, because the pipeline promises more than memory.
    carries: bool,
    /// What is owed to those who sent what is held.
    receipt: Receipt,
    budget: Arc<Budget>,
    repeated: Reason,
    malformed: Reason,
    aggregated: Histogram,
}

/// The edits of a batch: what is held or counted is taken out.
struct Edit {
    excluded: Vec<Field>,
    held: Held,
    /// The time of this batch, in nanoseconds since 1970.
    now: u64,
    /// Records of this batch that are held or counted.
    took: usize,
    /// Those of them that are like one that was held.
    repeated: usize,
    /// Room for a record without excluded fields.
    record: Fields,
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64) // until 2554
}

impl Processor for LogDedup {
    fn promise(&self, behind: Promise) -> Promise {
        match self.carries {
            true => behind,
            false => Promise::Memory,
        }
    }

    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, context, mut receipt) = batch.into_parts();
        self.edit.now = now();
        let payload = self.splicer.edit(payload, &mut self.edit);
        out.dropped(&self.repeated, std::mem::take(&mut self.edit.repeated));
        self.edit.held.settle();
        if std::mem::take(&mut self.edit.took) > 0 {
            self.due
                .get_or_insert_with(|| Instant::now() + self.interval);
            if self.carries {
                self.receipt.append(receipt.fork());
            } else if payload.is_empty() {
                receipt.settle_in_place(&Outcome::TakenOver);
            }
        }
        out.push(Batch::new(payload, context, receipt));
    }

    fn deadline(&self) -> Option<Instant> {
        self.due
    }

    fn flush(&mut self, when: Instant, out: &mut Outbox) {
        if self.due.is_none_or(|due| when < due) {
            return;
        }
        self.due = None;
        let (items, request) = self.edit.held.take(&Style {
            now: now(),
            zone: &self.zone,
            count_attribute: &self.count_attribute,
            counts: &self.aggregated,
        });
        let receipt = std::mem::take(&mut self.receipt);
        let hold = self.budget.overdraw(request.len());
        match Payload::admit(Signal::Logs, request, Some(hold)) {
            Ok(admitted) => out.push(Batch::new(admitted.payload, Context::default(), receipt)),
            // Cannot be: what was written is what was read.
            Err(_) => {
                out.dropped(&self.malformed, items);
                receipt.settle(&Outcome::Rejected("held records cannot be written".into()));
            }
        }
    }

    fn held(&self) -> (usize, usize) {
        self.edit.held.size()
    }
}

impl Edits for Edit {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        let schema_url = resource.schema_url().as_bytes().to_vec();
        self.held.resource(resource.view(), &schema_url);
        Visit::Enter
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        let schema_url = scope.schema_url().as_bytes().to_vec();
        self.held.scope(scope.view(), &schema_url);
        Visit::Enter
    }

    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        let view = record.view();
        let kept = if self.excluded.is_empty() {
            self.held.record(view.bytes(), self.now)
        } else {
            self.record.clear();
            fields::without(view, &self.excluded, &mut self.record);
            self.held.record(self.record.bytes(), self.now)
        };
        match kept {
            Kept::New => {}
            Kept::Counted => self.repeated += 1,
            Kept::NoRoom => return Verdict::Keep,
        }
        self.took += 1;
        Verdict::Drop
    }
}
