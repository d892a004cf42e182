//! Processors: what changes batches on their way.

pub mod attributes;
pub mod batch;
pub mod group_by_attrs;
pub mod k8s_attributes;
pub mod memory_limiter;
pub mod probabilistic_sampler;
pub mod rate_limiter;
pub mod resource;
pub mod resource_detection;

mod actions;
mod literal;
mod matching;
mod number;

use tidegate_component::{Entry, Processor};

/// Every processor.
pub static ALL: &[Entry<Box<dyn Processor>>] = &[
    Entry::of::<attributes::Config>(),
    Entry::of::<batch::Config>(),
    Entry::of::<group_by_attrs::Config>(),
    Entry::of::<k8s_attributes::Config>(),
    Entry::of::<memory_limiter::Config>(),
    Entry::of::<probabilistic_sampler::Config>(),
    Entry::of::<rate_limiter::Config>(),
    Entry::of::<resource::Config>(),
    Entry::of::<resource_detection::Config>(),
];
