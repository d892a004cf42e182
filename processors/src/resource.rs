//! `resource`: edits the attributes of resources.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Outbox, Processor, Stability};
use tidegate_pdata::Batch;
use tidegate_pdata::splice::{Edits, ResourceEditor, Splicer, Visit};

use crate::actions::{self, ActionConfig, Actions};

/// Inserts, updates, deletes, hashes, extracts and converts attributes of resources.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is done, in this order.
    #[serde(default)]
    attributes: Vec<ActionConfig>,
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "resource";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        Ok(Box::new(Resource {
            splicer: Splicer::default(),
            edit: Edit(actions::compile(&self.attributes, "attributes")?),
        }))
    }
}

struct Resource {
    splicer: Splicer,
    edit: Edit,
}

struct Edit(Actions);

impl Processor for Resource {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, context, receipt) = batch.into_parts();
        self.edit.0.begin(&context);
        let payload = self.splicer.edit(payload, &mut self.edit);
        out.push(Batch::new(payload, context, receipt));
    }
}

impl Edits for Edit {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        self.0.apply(&mut resource.attributes());
        Visit::Skip
    }
}
