//! Where targets come from.

pub(super) mod file;
pub(super) mod http;

use tidegate_component::StartError;

use super::labels::Group;
use super::scrape::Pool;

/// A place that knows of targets.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The configuration itself.
    Static(Vec<Group>),
    /// Files.
    Files(file::Files),
    /// A server.
    Http(Box<http::List>),
}

/// Sets all sources of a job to work.
///
/// # Errors
/// When a file that a source's client needs cannot be used.
pub(super) fn start(sources: &[Source], pool: &Pool) -> Result<(), StartError> {
    for (number, source) in sources.iter().enumerate() {
        match source.clone() {
            Source::Static(groups) => pool.spawn(number, |updates| async move {
                updates.set(groups).await;
            }),
            Source::Files(files) => pool.spawn(number, |updates| files.watch(updates)),
            Source::Http(list) => {
                let channel = list.channel(pool.workers())?;
                pool.spawn(number, |updates| list.watch(channel, updates));
            }
        }
    }
    Ok(())
}
