//! The keys of `k8s_objects`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, ComponentId, Receiver, Stability,
};
use tidegate_document::Duration;
use tidegate_pdata::Signals;
use tidegate_transport::kubernetes::{AccessKeys, Surroundings};

use super::{K8sObjects, Missing, Mode, Objects};
use crate::kubernetes::no_elector;

tidegate_document::layered! {
    /// Tells of objects of a cluster as log records: all of them now and then, or each as it changes. One process of a
    /// cluster is enough.
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
    /// The kinds of objects, at least one.
    objects: Vec<ObjectKeys>,
    /// What becomes of a kind that the cluster does not have.
    error_mode: ErrorMode,
    /// Tells, before it watches, of all objects that are there.
    include_initial_state: bool,
    /// A `file_storage` that keeps the place of watches, so that the next process goes on where this one was.
    storage: Option<ComponentId>,
    /// An extension that elects one of several processes: not built.
    k8s_leader_elector: Option<String>,
}

/// `error_mode`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ErrorMode {
    /// The process does not start.
    #[default]
    Propagate,
    /// It is told in the log, and left out.
    Ignore,
    /// It is left out.
    Silent,
}

/// A member of `objects`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ObjectKeys {
    /// Their name in URLs, as `pods`.
    name: String,
    /// The group of the API, where there are several that know this name, as `events.k8s.io`; the first unless told.
    group: Option<String>,
    /// How they are looked at.
    mode: ModeKey,
    /// Those with such labels alone, as the API has it.
    label_selector: String,
    /// Those with such fields alone, as the API has it.
    field_selector: String,
    /// How often all of them are told of, with `pull`.
    interval: Option<Duration>,
    /// The version from which on changes are told of, with `watch`; the present unless told.
    resource_version: String,
    /// The namespaces that are looked at; all unless told.
    namespaces: Vec<String>,
    /// Ways of changing that are not told of, with `watch`.
    exclude_watch_type: Vec<WatchType>,
}

/// `mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ModeKey {
    /// All of them now and then.
    #[default]
    Pull,
    /// Each as it changes.
    Watch,
}

/// A member of `exclude_watch_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum WatchType {
    /// It is new.
    Added,
    /// It was changed.
    Modified,
    /// It is gone.
    Deleted,
    /// The version moves on: never told of.
    Bookmark,
    /// The watch failed: never told of.
    Error,
}

impl WatchType {
    const fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
            Self::Bookmark => "BOOKMARK",
            Self::Error => "ERROR",
        }
    }
}

impl ObjectKeys {
    fn objects(&self, path: &str) -> Result<Objects, BuildError> {
        let at = |key: &str| format!("{path}::{key}");
        if self.name.is_empty() || self.name.contains(['/', '?', '#', '%']) {
            return Err(BuildError::at(at("name"), "no name of a kind of objects")
                .remedy("write for example \"name: pods\""));
        }
        let mode = match self.mode {
            ModeKey::Pull => self.pull(&at)?,
            ModeKey::Watch => {
                if self.interval.is_some_and(|interval| !interval.is_zero()) {
                    return Err(
                        BuildError::at(at("interval"), "what is watched has no interval")
                            .remedy("write \"mode: pull\", or take the key out"),
                    );
                }
                let version = self.resource_version.as_str();
                let excluded = self.exclude_watch_type.iter().map(|kind| kind.name());
                Mode::Watch {
                    since: Some(version.to_owned())
                        .filter(|version| !matches!(&**version, "" | "0")),
                    excluded: excluded.collect(),
                }
            }
        };
        Ok(Objects {
            name: self.name.clone(),
            group: self.group.clone(),
            mode,
            fields: self.field_selector.clone(),
            labels: self.label_selector.clone(),
            namespaces: self.namespaces.clone(),
        })
    }

    fn pull(&self, at: &dyn Fn(&str) -> String) -> Result<Mode, BuildError> {
        if !self.exclude_watch_type.is_empty() {
            return Err(
                BuildError::at(at("exclude_watch_type"), "what is pulled does not change")
                    .remedy("write \"mode: watch\", or take the key out"),
            );
        }
        if !self.resource_version.is_empty() {
            return Err(BuildError::at(
                at("resource_version"),
                "all objects of one version, time and again, would be the same objects",
            )
            .remedy("write \"mode: watch\", or take the key out"));
        }
        let interval = self.interval.map(|interval| interval.0);
        let interval = interval.filter(|interval| !interval.is_zero());
        Ok(Mode::Pull(
            interval.unwrap_or(std::time::Duration::from_secs(3600)),
        ))
    }
}

impl Config {
    /// Checks the keys and makes the receiver.
    pub(super) fn receiver(
        &self,
        cx: &BuildContext,
        surroundings: Surroundings,
    ) -> Result<K8sObjects, BuildError> {
        self.access.check("")?;
        no_elector(self.own.k8s_leader_elector.as_deref())?;
        if self.own.objects.is_empty() {
            return Err(BuildError::at("objects", "no kind of objects is named")
                .remedy("write for example \"objects: [{name: events, mode: watch}]\""));
        }
        let objects = self.own.objects.iter().enumerate();
        let objects = objects.map(|(at, keys)| keys.objects(&format!("objects::{at}")));
        let storage = self.own.storage.as_ref();
        Ok(K8sObjects {
            keys: self.access.clone(),
            surroundings,
            objects: objects.collect::<Result<_, _>>()?,
            missing: match self.own.error_mode {
                ErrorMode::Propagate => Missing::Fails,
                ErrorMode::Ignore => Missing::Told,
                ErrorMode::Silent => Missing::Silent,
            },
            initial: self.own.include_initial_state,
            storage: storage
                .map(|id| cx.storages.named(id, "storage"))
                .transpose()?,
            running: Vec::new(),
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "k8s_objects";
    const SIGNALS: Signals = Signals::LOGS;
    const STABILITY: Stability = Stability::Alpha;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(self.receiver(cx, Surroundings::default())?))
    }
}
