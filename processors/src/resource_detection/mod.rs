//! `resource_detection`: finds out where the process runs, and adds that to resources.
//!
//! The surroundings are asked once, before receivers take data, for all pipelines and workers that
//! share the configuration; as the original does, the process does not start where a detector
//! fails. So there is no batch that comes too early, and the edit of a batch waits for nothing.

mod config;
mod detection;
mod detectors;
mod found;
mod world;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tidegate_component::{Outbox, Processor};
use tidegate_pdata::Batch;
use tidegate_pdata::splice::{Edits, NewValue, ResourceEditor, Splicer, Visit};

pub use config::Config;

use detection::{Detection, Snapshot};

struct ResourceDetection {
    splicer: Splicer,
    detection: Arc<Detection>,
    replaces: bool,
}

impl ResourceDetection {
    fn new(detection: Arc<Detection>, replaces: bool) -> Self {
        Self {
            splicer: Splicer::default(),
            detection,
            replaces,
        }
    }
}

impl Processor for ResourceDetection {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let found = self.detection.found();
        if found.is_empty() {
            out.push(batch);
            return;
        }
        let (payload, context, receipt) = batch.into_parts();
        let mut edit = Edit {
            found: &found,
            replaces: self.replaces,
        };
        let payload = self.splicer.edit(payload, &mut edit);
        out.push(Batch::new(payload, context, receipt));
    }
}

struct Edit<'a> {
    found: &'a Snapshot,
    replaces: bool,
}

impl Edits for Edit<'_> {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        let mut attributes = resource.attributes();
        for (name, value) in self.found.iter() {
            let value = NewValue::Message(value.message());
            if self.replaces {
                attributes.upsert(&**name, value);
            } else {
                attributes.insert(&**name, value);
            }
        }
        Visit::Skip
    }
}
