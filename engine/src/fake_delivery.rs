use crate::sink::{Sink, SinkSettings};
use std::sync::Arc;
use tidegate_component::BuildError;
pub(crate) fn sink(_settings: SinkSettings) -> Result<Arc<dyn Sink>, BuildError> {
    Err(BuildError::at("", "no delivery"))
}
