//! Every component of this build, by kind.

use tidegate_engine::Registry;

/// The tables of the component crates together.
pub(crate) fn registry() -> Registry {
    Registry {
        receivers: tidegate_receivers::ALL,
        processors: tidegate_processors::ALL,
        exporters: tidegate_exporters::ALL,
        connectors: tidegate_connectors::ALL,
        extensions: tidegate_extensions::ALL,
    }
}
