//! Lakes with an object for each batch, as the Collector's exporters to object storage keep them.

use std::sync::Arc;

use tidegate_component::{AnyExporter, BuildContext};

use super::lake::{Format, Lake, Plan, Roll};
use super::layout::{Element, Layout, Naming, PartitionTime};
use super::lines::{Compression, LineFormat};
use super::store::Target;

/// What such lakes differ in.
pub(crate) struct EachBatch {
    pub(crate) elements: Vec<Element>,
    pub(crate) group_by: Option<String>,
    pub(crate) naming: Naming,
    pub(crate) extension: String,
    pub(crate) format: LineFormat,
    pub(crate) compression: Compression,
}

/// The exporter that keeps such a lake.
pub(crate) fn lake(each: EachBatch, target: Target, cx: &BuildContext) -> AnyExporter {
    let plan = Plan {
        layout: Layout {
            elements: each.elements,
            clock: PartitionTime::Arrival,
            group_by: each.group_by,
            naming: each.naming,
            extension: each.extension,
        },
        format: Format::Lines {
            format: each.format,
            compression: each.compression,
            level: match each.compression {
                Compression::Gzip => 6,
                _ => 3,
            },
        },
        roll: Roll {
            size: usize::MAX,
            items: usize::MAX,
            age: None,
        },
        max_buffer: 256 << 20,
        max_open: usize::MAX,
    };
    AnyExporter::Bulk(Arc::new(Lake::new(plan, target, &cx.budget, &cx.metrics)))
}
