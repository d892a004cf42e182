use crate::sink::{Sink, SinkSettings};
use std::sync::Arc;
use tidegate_component::BuildError;
pub(crate) fn sink(_settings: SinkSettings) -> Result<Arc<dyn Sink>, Vec<BuildError>> {
    Err(vec![BuildError::at("", "no delivery")])
}
