//! Extensions, started alone.

use std::sync::Arc;

use super::{HereWorkers, IdleStatus, read};
use crate::{BuildContext, ComponentConfig, Extension, ExtensionContext, Extensions, StartError};

/// An extension that was built from YAML and started, on the runtime that this is called in.
///
/// # Panics
/// When the YAML is faulty, or the extension cannot be started.
pub async fn extension<C>(yaml: &str) -> Arc<dyn Extension>
where
    C: ComponentConfig<Builds = Arc<dyn Extension>>,
{
    let extension = built::<C>(yaml);
    let started = start(&extension).await;
    started.unwrap_or_else(|error| panic!("`{yaml}` cannot be started: {error}"));
    extension
}

/// Why an extension that was built from YAML cannot be started.
///
/// # Panics
/// When the YAML is faulty, or the extension can be started.
pub async fn extension_fault<C>(yaml: &str) -> String
where
    C: ComponentConfig<Builds = Arc<dyn Extension>>,
{
    let started = start(&built::<C>(yaml)).await;
    let error = started.err().unwrap_or_else(|| panic!("`{yaml}` starts"));
    error.to_string()
}

fn built<C>(yaml: &str) -> Arc<dyn Extension>
where
    C: ComponentConfig<Builds = Arc<dyn Extension>>,
{
    let id = C::TYPE.parse().expect("a type is a name");
    let built = read::<C>(yaml).build(&BuildContext::detached("extension", id));
    let extension = built.unwrap_or_else(|error| panic!("`{yaml}` cannot be built: {error}"));
    let joined = extension.join(&Extensions::default());
    joined.unwrap_or_else(|error| panic!("`{yaml}` stands on others: {error}"));
    extension
}

async fn start(extension: &Arc<dyn Extension>) -> Result<(), StartError> {
    let id = "extension".parse().expect("this is a name");
    let context = ExtensionContext {
        id,
        workers: HereWorkers::workers(),
        status: Arc::new(IdleStatus),
    };
    extension.start(context).await
}
