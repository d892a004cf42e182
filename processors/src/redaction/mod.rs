//! `redaction`: takes out and masks what must not be seen.
//!
//! Attributes change where they lie; only a body that is a list or a map is written anew.

mod body;
mod config;
mod hash;
mod rules;
mod summary;

#[cfg(test)]
mod tests;

use tidegate_component::metrics::Counter;
use tidegate_component::{BuildContext, Outbox, Processor};
use tidegate_pdata::Batch;
use tidegate_pdata::splice::{
    AttributeEditor, DataPointEditor, Edits, LogRecordEditor, NewValue, ResourceEditor,
    ScopeEditor, SpanEditor, Splicer, Verdict as Keep, Visit,
};
use tidegate_pdata::view::Text;

pub use config::Config;

use body::Bodies;
use rules::{Key, Rules, Verdict};
use summary::{ATTRIBUTES, BODY, Done, Summary};

struct Redaction {
    splicer: Splicer,
    edit: Edit,
    removed: Counter,
    masked: Counter,
}

struct Edit {
    rules: Rules,
    summary: Summary,
    done: Done,
    bodies: Bodies,
    text: Vec<u8>,
    removed: u64,
    masked: u64,
}

impl Redaction {
    fn new(cx: &BuildContext, rules: Rules, summary: Summary) -> Self {
        let counter = |action: &str| {
            cx.metrics.counter(
                "tidegate_redacted_values",
                "Attributes and parts of bodies that were taken out or masked.",
                &[("action", action)],
            )
        };
        Self {
            splicer: Splicer::default(),
            edit: Edit {
                rules,
                summary,
                done: Done::new(summary),
                bodies: Bodies::default(),
                text: Vec::new(),
                removed: 0,
                masked: 0,
            },
            removed: counter("removed"),
            masked: counter("masked"),
        }
    }
}

impl Processor for Redaction {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, context, receipt) = batch.into_parts();
        let payload = self.splicer.edit(payload, &mut self.edit);
        self.removed.add(std::mem::take(&mut self.edit.removed));
        self.masked.add(std::mem::take(&mut self.edit.masked));
        out.push(Batch::new(payload, context, receipt));
    }
}

impl Edit {
    fn attributes(&mut self, attributes: &mut AttributeEditor<'_>) {
        self.done.clear();
        for position in attributes.positions() {
            let Some((key, value)) = attributes.at(position) else {
                continue;
            };
            match self.rules.key(key.as_bytes()) {
                Key::Ignored => self.done.ignored.add(&key.to_str()),
                Key::Redacted => {
                    self.done.redacted.add(&key.to_str());
                    attributes.delete_at(position);
                }
                Key::Allowed => {
                    let verdict = self.rules.attribute(key.as_bytes(), value, &mut self.text);
                    match verdict {
                        Verdict::Unchanged => {}
                        Verdict::Allowed => self.done.allowed.add(&key.to_str()),
                        Verdict::Masked => {
                            self.done.masked.add(&key.to_str());
                            attributes.update_at(position, Text::new(&self.text));
                        }
                    }
                }
            }
        }
        self.count();
        self.done.tell(self.summary, &ATTRIBUTES, attributes);
    }

    fn body(&mut self, record: &mut LogRecordEditor<'_>) {
        let Some(body) = record.view().body() else {
            return;
        };
        self.done.clear();
        let changed = self.bodies.redact(body, &self.rules, &mut self.done);
        if let Some(changed) = changed {
            record.set_body(NewValue::Message(changed));
        }
        self.count();
        self.done
            .tell(self.summary, &BODY, &mut record.attributes());
    }

    fn count(&mut self) {
        self.removed += self.done.redacted.count as u64;
        self.masked += self.done.masked.count as u64;
    }
}

impl Edits for Edit {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        self.attributes(&mut resource.attributes());
        Visit::Enter
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        self.attributes(&mut scope.attributes());
        Visit::Enter
    }

    fn span(&mut self, span: &mut SpanEditor<'_>) -> Keep {
        self.attributes(&mut span.attributes());
        span.edit_events(|event| {
            self.attributes(&mut event.attributes());
            Keep::Keep
        });
        Keep::Keep
    }

    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Keep {
        self.attributes(&mut record.attributes());
        self.body(record);
        Keep::Keep
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Keep {
        self.attributes(&mut point.attributes());
        Keep::Keep
    }
}
