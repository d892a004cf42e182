//! The keys of `file_storage`.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Extension};
use tidegate_document::{ByteSize, Duration};
use tidegate_journal::{self as journal, MAX_SEGMENT, MIN_SEGMENT, Options};

use super::{FileStorage, Settings};

/// The longest that senders may be made to wait for others.
const LONGEST_GROUP: std::time::Duration = std::time::Duration::from_secs(1);

/// Keeps sending queues on disk: what is in them survives a restart, a crash and a loss of power.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The directory, for this process alone.
    directory: PathBuf,
    /// Makes the directory, and those above it, where it is missing.
    create_directory: bool,
    /// The mode of a directory that is made, in octal; its files always have 0600.
    directory_permissions: String,
    /// How long another process may keep the directory's lock after this one was started.
    timeout: Duration,
    /// When data is on stable storage. `group`: before senders are answered, requests that come together sharing
    /// one sync; `always`: with a sync for each; `interval`: at `fsync_interval`, so that a loss of power may take
    /// what was answered since. `true` is `group`, `false` is `interval`.
    fsync: Fsync,
    /// How often data is synced where `fsync` is `interval`.
    fsync_interval: Duration,
    /// The least time between two syncs, so that requests that come close together share one; a request that
    /// comes after a pause waits for nobody.
    group_commit: Duration,
    /// Bytes that all files may take, with the room that is set aside; unset is without a bound.
    max_size: Option<ByteSize>,
    /// How long data is kept that cannot be delivered; unset is for ever.
    max_age: Option<Duration>,
    /// The size of one file, 64KiB to 2GiB, and an eighth of `max_size` at most.
    segment_size: ByteSize,
    /// Accepted for the Collector's sake.
    #[schemars(extend("x-no-effect" = "files are compacted as they empty; remove it"))]
    compaction: Option<Compaction>,
    /// Accepted for the Collector's sake.
    #[schemars(extend("x-no-effect" = "damaged records are always put aside, and the rest is kept; remove it"))]
    recreate: bool,
}

/// `fsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Fsync {
    Switch(bool),
    Mode(Mode),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Group,
    Always,
    Interval,
}

/// `compaction`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(dead_code)] // read for its keys' sake alone
struct Compaction {
    /// Without effect.
    on_start: bool,
    /// Without effect.
    on_rebound: bool,
    /// Without effect.
    directory: Option<PathBuf>,
    /// Without effect.
    rebound_needed_threshold_mib: Option<u64>,
    /// Without effect.
    rebound_trigger_threshold_mib: Option<u64>,
    /// Without effect.
    max_transaction_size: Option<u64>,
    /// Without effect.
    check_interval: Option<Duration>,
    /// Without effect.
    cleanup_on_start: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: "/var/lib/otelcol/file_storage".into(),
            create_directory: false,
            directory_permissions: "0700".to_owned(),
            timeout: Duration::from_secs(1),
            fsync: Fsync::Mode(Mode::Group),
            fsync_interval: Duration::from_secs(1),
            group_commit: Duration::from_millis(1),
            max_size: None,
            max_age: None,
            segment_size: ByteSize::mib(64),
            compaction: None,
            recreate: false,
        }
    }
}

impl Config {
    fn settings(&self) -> Result<Settings, BuildError> {
        if self.directory.as_os_str().is_empty() {
            return Err(BuildError::at("directory", "the directory has no name"));
        }
        let mode = u32::from_str_radix(&self.directory_permissions, 8);
        let mode = mode.ok().filter(|mode| mode & !0o777 == 0);
        let mode = mode.ok_or_else(|| {
            let text = &self.directory_permissions;
            let message = format!("{text:?} is no mode of a directory");
            BuildError::at("directory_permissions", message).remedy("write for example \"0700\"")
        })?;
        if mode & 0o700 != 0o700 {
            let message = "the process itself could not use the directory";
            let error = BuildError::at("directory_permissions", message);
            return Err(error.remedy("write for example \"0700\""));
        }
        let options = self.options()?;
        Ok(Settings {
            directory: self.directory.clone(),
            create: self.create_directory.then_some(mode),
            patience: self.timeout.into(),
            max_age: self.max_age.map(Into::into),
            options,
        })
    }

    fn options(&self) -> Result<Options, BuildError> {
        let segment = self.segment_size.0;
        if !(MIN_SEGMENT..=MAX_SEGMENT).contains(&segment) {
            return Err(BuildError::at(
                "segment_size",
                "must lie between 64KiB and 2GiB",
            ));
        }
        let least = 8 * MIN_SEGMENT;
        if self.max_size.is_some_and(|size| size.0 < least) {
            let message = "is less than eight of the smallest files take";
            return Err(BuildError::at("max_size", message).remedy("write 512KiB or more"));
        }
        if self.max_age.is_some_and(|age| age.is_zero()) {
            let message = "everything would be too old at once";
            return Err(
                BuildError::at("max_age", message).remedy("take it out to keep data for ever")
            );
        }
        let group_commit: std::time::Duration = self.group_commit.into();
        if group_commit > LONGEST_GROUP {
            let error = BuildError::at("group_commit", "every sender would wait so long");
            return Err(error.remedy("write 1s at the most; 1ms is the default"));
        }
        let fsync = match self.fsync {
            Fsync::Switch(true) | Fsync::Mode(Mode::Group) => journal::Fsync::Group,
            Fsync::Mode(Mode::Always) => journal::Fsync::Always,
            Fsync::Switch(false) | Fsync::Mode(Mode::Interval) => {
                if self.fsync_interval.is_zero() {
                    let error = BuildError::at("fsync_interval", "must be more than zero");
                    return Err(error.remedy("write `fsync: always` for a sync at once"));
                }
                journal::Fsync::Interval(self.fsync_interval.into())
            }
        };
        Ok(Options {
            max_size: self.max_size.map(|size| size.0),
            // The queue looks at ages itself, since it has to account for what it drops.
            max_age: None,
            fsync,
            group_commit,
            segment_size: segment,
            ..Options::default()
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "file_storage";

    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        Ok(Arc::new(FileStorage::new(self.settings()?, cx)))
    }
}
