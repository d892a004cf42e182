//! The keys of `zipkin`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Receiver, Stability};
use tidegate_pdata::Signals;
use tidegate_transport::server::config::HttpServer;

use super::Zipkin;
use crate::web::Web;

const ENDPOINT: &str = "localhost:9411";

/// The keys beside those of the server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Keys {
    /// Makes numbers and truth values of tags whose text is one: `12`, `1.5`, `true`.
    parse_string_tags: bool,
}

tidegate_document::layered! {
    /// Receives spans of Zipkin's clients, in both of its formats, on `localhost:9411` unless told.
    #[derive(Clone, Debug, Default)]
    pub struct Config {
        server: HttpServer,
        keys: Keys,
    }
}

impl Config {
    /// Checks the keys and makes the receiver.
    pub(super) fn receiver(&self, cx: &BuildContext) -> Result<Zipkin, BuildError> {
        Ok(Zipkin::new(
            self.server.prepare_with(&cx.extensions, "", ENDPOINT)?,
            Web::new(&self.server, "")?,
            self.keys.parse_string_tags,
            cx.metrics.clone(),
        ))
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "zipkin";
    const SIGNALS: Signals = Signals::TRACES;
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(self.receiver(cx)?))
    }

    fn listens(&self) -> Vec<(String, String)> {
        let address = self.server.address("", ENDPOINT).ok();
        address
            .map(|address| ("endpoint".to_owned(), address.to_string()))
            .into_iter()
            .collect()
    }
}
