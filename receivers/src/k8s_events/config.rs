//! The keys of `k8s_events`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, ComponentId, Receiver, Stability,
};
use tidegate_pdata::Signals;
use tidegate_transport::kubernetes::{AccessKeys, Surroundings};

use super::{Changes, K8sEvents};
use crate::kubernetes::no_elector;

tidegate_document::layered! {
    /// Tells of a cluster's events, new and changed ones, as log records. One process of a cluster is enough.
    #[derive(Clone, Debug)]
    pub struct Config {
        access: AccessKeys,
        own: Own,
    }
}

/// The keys beside those of the API server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// The namespaces whose events are told; all unless told.
    namespaces: Vec<String>,
    /// A `file_storage` that keeps the place, so that the next process goes on where this one was.
    storage: Option<ComponentId>,
    /// How often an event that is changed again and again is told of at most, as `30s`; each time at `0`, never where it
    /// is negative, as `-1s`.
    dedup_interval: Option<String>,
    /// An extension that elects one of several processes: not built.
    k8s_leader_elector: Option<String>,
}

impl Own {
    fn changes(&self) -> Result<Changes, BuildError> {
        let text = self.dedup_interval.as_deref().unwrap_or("0s").trim();
        let (negative, bare) = match text.strip_prefix('-') {
            Some(bare) => (true, bare),
            None => (false, text),
        };
        let node = tidegate_document::yaml::parse_str(bare).ok();
        let parsed = node.and_then(|node| {
            tidegate_document::read_plain::<tidegate_document::Duration>(&node).ok()
        });
        let interval = parsed.ok_or_else(|| {
            BuildError::at("dedup_interval", format!("{text:?} is no duration"))
                .remedy("write for example \"30s\"")
        })?;
        Ok(match (interval.is_zero(), negative) {
            (true, _) => Changes::Each,
            (false, true) => Changes::None,
            (false, false) => Changes::Every(interval.0),
        })
    }
}

impl Config {
    /// Checks the keys and makes the receiver.
    pub(super) fn receiver(
        &self,
        cx: &BuildContext,
        surroundings: Surroundings,
    ) -> Result<K8sEvents, BuildError> {
        self.access.check("")?;
        no_elector(self.own.k8s_leader_elector.as_deref())?;
        let storage = self.own.storage.as_ref();
        Ok(K8sEvents {
            keys: self.access.clone(),
            surroundings,
            namespaces: self.own.namespaces.clone(),
            changes: self.own.changes()?,
            storage: storage
                .map(|id| cx.storages.named(id, "storage"))
                .transpose()?,
            running: Vec::new(),
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "k8s_events";
    const SIGNALS: Signals = Signals::LOGS;
    const STABILITY: Stability = Stability::Alpha;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(self.receiver(cx, Surroundings::default())?))
    }
}
