//! What receivers that listen share: protocols that are served where they are named, and servers started.

use serde::{Deserialize, Deserializer};
use tidegate_component::{ReceiverContext, StartError};
use tidegate_transport::server::config::Prepared;
use tidegate_transport::server::{ListenError, Server, Service};

/// A key without a value is there all the same.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(|keys| Some(keys.unwrap_or_default()))
}

/// Starts a server.
pub(crate) async fn listen<S: Service>(
    prepared: &Prepared,
    service: S,
    cx: &ReceiverContext,
    protocol: &str,
) -> Result<Server, StartError> {
    let settings = prepared.load()?;
    let server = Server::start(settings, service, &cx.workers)
        .await
        .map_err(|ListenError { address, source }| {
            StartError::new(format!("cannot listen on {address}"), source)
        })?;
    tracing::info!(receiver = %cx.id, protocol, endpoint = %server, "listening");
    Ok(server)
}
