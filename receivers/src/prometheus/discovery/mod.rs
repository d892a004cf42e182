//! Where targets come from.

pub(super) mod consul;
pub(super) mod dns;
pub(super) mod file;
pub(super) mod http;
pub(super) mod kubernetes;

use tidegate_component::StartError;

use super::labels::Group;
use super::scrape::Pool;

pub(super) use kubernetes::Clusters;

/// A place that knows of targets.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The configuration itself.
    Static(Vec<Group>),
    /// Files.
    Files(file::Files),
    /// A server.
    Http(Box<http::List>),
    /// The DNS.
    Dns(dns::Names),
    /// A catalog of services.
    Consul(Box<consul::Catalog>),
    /// A cluster.
    Kubernetes(Box<kubernetes::Kubernetes>),
}

/// Sets all sources of a job to work.
///
/// # Errors
/// When a file that a source's client needs cannot be used.
pub(super) fn start(
    sources: &[Source],
    pool: &Pool,
    clusters: &Clusters,
) -> Result<(), StartError> {
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
            Source::Dns(names) => pool.spawn(number, |updates| names.watch(updates)),
            Source::Consul(catalog) => {
                let channel = catalog.channel(pool.workers())?;
                pool.spawn(number, |updates| catalog.watch(channel, updates));
            }
            Source::Kubernetes(cluster) => clusters.start(*cluster, number, pool)?,
        }
    }
    Ok(())
}
