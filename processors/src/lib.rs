//! Processors: what changes batches on their way.

pub mod attributes;
pub mod batch;
pub mod cardinality_limiter;
pub mod cumulative_to_delta;
pub mod delta_to_cumulative;
pub mod filter;
pub mod group_by_attrs;
pub mod interval;
pub mod k8s_attributes;
pub mod log_dedup;
pub mod memory_limiter;
pub mod metrics_transform;
pub mod metricsgeneration;
pub mod probabilistic_sampler;
pub mod rate_limiter;
pub mod redaction;
pub mod resource;
pub mod resource_detection;
pub mod span;
pub mod tail_sampling;
pub mod transform;

mod actions;
mod groups;
mod literal;
mod matching;
mod merge;
mod message;
mod metric;
mod number;
mod series;

use tidegate_component::{Entry, Processor};

/// Every processor.
pub static ALL: &[Entry<Box<dyn Processor>>] = &[
    Entry::of::<attributes::Config>(),
    Entry::of::<batch::Config>(),
    Entry::of::<cardinality_limiter::Config>(),
    Entry::of::<cumulative_to_delta::Config>(),
    Entry::of::<delta_to_cumulative::Config>(),
    Entry::of::<filter::Config>(),
    Entry::of::<group_by_attrs::Config>(),
    Entry::of::<interval::Config>(),
    Entry::of::<log_dedup::Config>(),
    Entry::of::<k8s_attributes::Config>(),
    Entry::of::<memory_limiter::Config>(),
    Entry::of::<metrics_transform::Config>(),
    Entry::of::<metricsgeneration::Config>(),
    Entry::of::<probabilistic_sampler::Config>(),
    Entry::of::<rate_limiter::Config>(),
    Entry::of::<redaction::Config>(),
    Entry::of::<resource::Config>(),
    Entry::of::<resource_detection::Config>(),
    Entry::of::<span::Config>(),
    Entry::of::<tail_sampling::Config>(),
    Entry::of::<transform::Config>(),
];
