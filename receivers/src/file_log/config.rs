//! The keys of `file_log`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, ComponentId, Receiver, pattern,
};
use tidegate_pdata::Signals;

use super::header::Header;
use super::{FileLog, Parts};
use crate::files::{FilesKeys, StartAt};
use crate::offering::RetryKeys;
use crate::operators::{Chain, OperatorConfig, Stamps, Value};

/// The keys beside those of the files.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Keys {
    /// What is done with entries, one after the other; the original's operators. docs/operators.md has them all.
    operators: Vec<OperatorConfig>,
    /// Attributes that all records have; `EXPR(…)` in a text is what an expression comes to.
    attributes: BTreeMap<String, Value>,
    /// Attributes that all their resources have.
    resource: BTreeMap<String, Value>,
    /// The extension that keeps the places in the files for the next process; without one they are kept in memory.
    storage: Option<ComponentId>,
    /// How what the pipelines refuse is tried again.
    retry_on_failure: RetryKeys,
    /// Reads attributes off the beginning of each file; needs `start_at: beginning`.
    header: Option<HeaderKeys>,
}

/// `header`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HeaderKeys {
    /// The regular expression that each line of a header matches.
    pattern: String,
    /// The operators that make attributes of each.
    #[schemars(length(min = 1))]
    metadata_operators: Vec<OperatorConfig>,
}

tidegate_document::layered! {
    /// Reads log files as they grow, through rotations, and parses their lines. A file is its own log: its place moves
    /// on when the pipelines answer for what was read.
    #[derive(Clone, Debug)]
    pub struct Config {
        pub(crate) own: Keys,
        pub(crate) files: FilesKeys,
    }
}

impl Config {
    pub(super) fn receiver(&self, cx: &BuildContext) -> Result<FileLog, BuildError> {
        let settings = self.files.settings()?;
        let own = &self.own;
        let header = own.header.as_ref().map(|keys| self.header(keys, cx));
        // Built here once to see that they can be, and again when the receiver starts.
        let chain = Chain::build(&own.operators, "operators", cx)?;
        let storage = own.storage.as_ref();
        Ok(FileLog::new(Parts {
            settings,
            chain,
            stamps: Stamps::build(&own.attributes, &own.resource)?,
            header: header.transpose()?,
            storage: storage
                .map(|id| cx.storages.named(id, "storage"))
                .transpose()?,
            retry: own.retry_on_failure.retry(cx),
            metrics: cx.metrics.clone(),
        }))
    }

    fn header(&self, keys: &HeaderKeys, cx: &BuildContext) -> Result<Header, BuildError> {
        if self.files.start_at == StartAt::End {
            let message = "files whose end alone is read have no header";
            return Err(BuildError::at("header", message).remedy("write `start_at: beginning`"));
        }
        let pattern = pattern::compile(&keys.pattern);
        let pattern = pattern.map_err(|why| BuildError::at("header::pattern", why))?;
        let path = "header::metadata_operators";
        Ok(Header::new(
            pattern,
            Chain::build(&keys.metadata_operators, path, cx)?,
        ))
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "file_log";
    const SIGNALS: Signals = Signals::LOGS;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(self.receiver(cx)?))
    }
}
