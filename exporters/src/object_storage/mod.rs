//! Telemetry in object storage: typed Parquet, or OTLP as it is.
//!
//! ```text
//! batch ─▶ fill: which object does each record go to? ─▶ Open (Parquet or lines)
//!                                                          │ full, old, or too much is held
//!                                       Target::put ◀── Ready: bytes under a name
//! ```
//!
//! The engine calls `add` and `seal` on blocking threads and `commit` beside them; it keeps the
//! positions of records open until their object is committed. `awss3` and `googlecloudstorage`
//! are the same lake with other keys, other paths and an object for each batch.

mod config;
pub(crate) mod each_batch;
mod fill;
mod lake;
mod layout;
mod lines;
mod meters;
mod open;
mod parquet;
mod recipe;
mod store;

#[cfg(test)]
mod again;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::{AnyExporter, BuildContext, BuildError, ComponentConfig, Stability};

pub use config::{Compression, Config, FileFormat, Keys, PartitionBy, RollKeys};
pub use layout::PartitionTime;
pub use parquet::{ColumnType, IdFormat};
pub use store::{Azure, Gcs, S3};

use lake::Lake;
pub(crate) use layout::{Element, Naming, Unique};
pub(crate) use lines::{Compression as LineCompression, LineFormat};
pub(crate) use store::Bucket;

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "object_storage";
    const STABILITY: Stability = Stability::Alpha;
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults {
        timeout_ms: 60_000,
        queue: true,
        retry: true,
        ..DeliveryDefaults::UNTIMED
    });

    fn build(&self, cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        let plan = self.keys.plan()?;
        let target = self.stores.target(&self.keys.url)?;
        let lake = Lake::new(plan, target, &cx.budget, &cx.metrics);
        Ok(AnyExporter::Bulk(Arc::new(lake)))
    }
}
