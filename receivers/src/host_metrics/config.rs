//! The keys of `host_metrics`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Receiver, Stability};
use tidegate_document::Duration;
use tidegate_pdata::Signals;

use super::entity::Entity;
use super::host::Host;
use super::matching::{Devices, Filter, FsTypes, Interfaces, MountPoints, Names, Processes};
use super::process::{self, Attributes, AttributesKeys, Mutes};
use super::scrapers::{
    cpu, disk, filesystem, load, memory, network, nfs, paging, processes, system,
};
use super::{HostMetrics, Make, variable};
use crate::scrape::{Blocking, Choices, Chosen, Reader, Schedule};

tidegate_document::layered! {
    /// Reads what the host uses: CPUs, disks, file systems, load, memory, network, paging, processes.
    #[derive(Clone, Debug)]
    pub struct Config {
        schedule: Schedule,
        own: Own,
    }
}

/// The keys beside those of the schedule.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// Where the host's root is mounted, for a process in a container; `/` unless told.
    root_path: String,
    /// How often the host is told of in pipelines of logs, which take it as an entity; once where it is `0`.
    metadata_collection_interval: Duration,
    /// What is read, at least one; one that is named is read, even without keys.
    scrapers: Scrapers,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            root_path: String::new(),
            metadata_collection_interval: Duration::from_secs(300),
            scrapers: Scrapers::default(),
        }
    }
}

/// `scrapers`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Scrapers {
    /// The time that each CPU spent in each mode.
    #[serde(deserialize_with = "present")]
    cpu: Option<Plain<cpu::Metrics>>,
    /// What block devices read and wrote.
    #[serde(deserialize_with = "present")]
    disk: Option<Disk>,
    /// How full the mounted file systems are.
    #[serde(deserialize_with = "present")]
    filesystem: Option<Filesystem>,
    /// How many threads wanted to run, on average.
    #[serde(deserialize_with = "present")]
    load: Option<Load>,
    /// What memory is used for.
    #[serde(deserialize_with = "present")]
    memory: Option<Plain<memory::Metrics>>,
    /// What network interfaces sent and received, and TCP connections.
    #[serde(deserialize_with = "present")]
    network: Option<Network>,
    /// What the kernel's NFS client and server did.
    #[serde(deserialize_with = "present")]
    nfs: Option<Plain<nfs::Metrics>>,
    /// Swap space and page faults.
    #[serde(deserialize_with = "present")]
    paging: Option<Plain<paging::Metrics>>,
    /// What each process uses: a resource for every process.
    #[serde(deserialize_with = "present")]
    process: Option<Process>,
    /// How many processes there are in each state.
    #[serde(deserialize_with = "present")]
    processes: Option<Plain<processes::Metrics>>,
    /// How long the host has been up.
    #[serde(deserialize_with = "present")]
    system: Option<Plain<system::Metrics>>,
}

/// A key without a value is there all the same.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(|keys| Some(keys.unwrap_or_default()))
}

/// A scraper of which only the metrics are chosen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, bound = "T: crate::scrape::Table")]
#[schemars(bound = "T: crate::scrape::Table", inline)]
struct Plain<T> {
    /// The metrics that it makes.
    metrics: Choices<T>,
}

impl<T> Default for Plain<T> {
    fn default() -> Self {
        Self {
            metrics: Choices::default(),
        }
    }
}

/// `disk`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Disk {
    /// The metrics that it makes.
    metrics: Choices<disk::Metrics>,
    /// The devices that are looked at; all of them unless told.
    include: Devices,
    /// Of these the devices that are not.
    exclude: Devices,
}

/// `filesystem`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Filesystem {
    /// The metrics that it makes.
    metrics: Choices<filesystem::Metrics>,
    /// Looks at file systems too that no device is behind, such as `tmpfs`.
    include_virtual_filesystems: bool,
    /// The devices that are looked at; all of them unless told.
    include_devices: Devices,
    /// Of these the devices that are not.
    exclude_devices: Devices,
    /// The types that are looked at; all of them unless told.
    include_fs_types: FsTypes,
    /// Of these the types that are not.
    exclude_fs_types: FsTypes,
    /// The mount points that are looked at; all of them unless told.
    include_mount_points: MountPoints,
    /// Of these the mount points that are not.
    exclude_mount_points: MountPoints,
}

/// `load`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Load {
    /// The metrics that it makes.
    metrics: Choices<load::Metrics>,
    /// Divides the averages by the number of CPUs.
    cpu_average: bool,
}

/// `network`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Network {
    /// The metrics that it makes.
    metrics: Choices<network::Metrics>,
    /// The interfaces that are looked at; all of them unless told.
    include: Interfaces,
    /// Of these the interfaces that are not.
    exclude: Interfaces,
}

/// `process`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Process {
    /// The metrics that it makes.
    metrics: Choices<process::Metrics>,
    /// What is told of a process itself.
    resource_attributes: AttributesKeys,
    /// The processes that are looked at; all of them unless told.
    include: Processes,
    /// Of these the processes that are not.
    exclude: Processes,
    /// Neither counts nor tells of anything that cannot be read of a process.
    mute_process_all_errors: bool,
    /// So for its name.
    mute_process_name_error: bool,
    /// So for the path of its executable.
    mute_process_exe_error: bool,
    /// So for what it reads and writes.
    mute_process_io_error: bool,
    /// So for a user that has no name.
    mute_process_user_error: bool,
    /// So for its control group.
    mute_process_cgroup_error: bool,
    /// The age below which a process is left out.
    scrape_process_delay: Duration,
}

impl Scrapers {
    /// What makes each scraper that is named.
    fn build(&self, host: &Host) -> Result<Vec<Make>, BuildError> {
        let mut makes = Vec::new();
        if let Some(keys) = &self.cpu {
            let (host, chosen) = (host.clone(), Chosen::new(&keys.metrics));
            let make = move || cpu::Cpu::new(host.clone(), chosen.clone());
            makes.push(scraper(cpu::Cpu::NAME, make));
        }
        if let Some(keys) = &self.disk {
            let (host, chosen) = (host.clone(), Chosen::new(&keys.metrics));
            let filter = filter(
                keys.include.names("scrapers::disk::include")?,
                keys.exclude.names("scrapers::disk::exclude")?,
            );
            let make = move || disk::Disk::new(host.clone(), chosen.clone(), filter.clone());
            makes.push(scraper(disk::Disk::NAME, make));
        }
        if let Some(keys) = &self.filesystem {
            makes.push(keys.build(host)?);
        }
        if let Some(keys) = &self.load {
            let (host, chosen) = (host.clone(), Chosen::new(&keys.metrics));
            let per_cpu = keys.cpu_average;
            let make = move || load::Load::new(host.clone(), chosen.clone(), per_cpu);
            makes.push(scraper(load::Load::NAME, make));
        }
        if let Some(keys) = &self.memory {
            let (host, chosen) = (host.clone(), Chosen::new(&keys.metrics));
            let make = move || memory::MemoryReader::new(host.clone(), chosen.clone());
            makes.push(scraper(memory::MemoryReader::NAME, make));
        }
        if let Some(keys) = &self.network {
            let (host, chosen) = (host.clone(), Chosen::new(&keys.metrics));
            let filter = filter(
                keys.include.names("scrapers::network::include")?,
                keys.exclude.names("scrapers::network::exclude")?,
            );
            let make = move || network::Network::new(host.clone(), chosen.clone(), filter.clone());
            makes.push(scraper(network::Network::NAME, make));
        }
        if let Some(keys) = &self.nfs {
            let (host, chosen) = (host.clone(), Chosen::new(&keys.metrics));
            let make = move || nfs::Nfs::new(host.clone(), chosen.clone());
            makes.push(scraper(nfs::Nfs::NAME, make));
        }
        if let Some(keys) = &self.paging {
            let (host, chosen) = (host.clone(), Chosen::new(&keys.metrics));
            let make = move || paging::Paging::new(host.clone(), chosen.clone());
            makes.push(scraper(paging::Paging::NAME, make));
        }
        if let Some(keys) = &self.process {
            makes.push(keys.build(host)?);
        }
        if let Some(keys) = &self.processes {
            let (host, chosen) = (host.clone(), Chosen::new(&keys.metrics));
            let make = move || processes::Processes::new(host.clone(), chosen.clone());
            makes.push(scraper(processes::Processes::NAME, make));
        }
        if let Some(keys) = &self.system {
            let (host, chosen) = (host.clone(), Chosen::new(&keys.metrics));
            let make = move || system::System::new(host.clone(), chosen.clone());
            makes.push(scraper(system::System::NAME, make));
        }
        Ok(makes)
    }
}

impl Filesystem {
    fn build(&self, host: &Host) -> Result<Make, BuildError> {
        let at = |key: &str| format!("scrapers::filesystem::{key}");
        let filters = filesystem::Filters {
            devices: filter(
                self.include_devices.names(&at("include_devices"))?,
                self.exclude_devices.names(&at("exclude_devices"))?,
            ),
            fs_types: filter(
                self.include_fs_types.names(&at("include_fs_types"))?,
                self.exclude_fs_types.names(&at("exclude_fs_types"))?,
            ),
            mount_points: filter(
                self.include_mount_points
                    .names(&at("include_mount_points"))?,
                self.exclude_mount_points
                    .names(&at("exclude_mount_points"))?,
            ),
            with_virtual: self.include_virtual_filesystems,
        };
        let (host, chosen) = (host.clone(), Chosen::new(&self.metrics));
        Ok(scraper(filesystem::Filesystem::NAME, move || {
            filesystem::Filesystem::new(host.clone(), chosen.clone(), filters.clone())
        }))
    }
}

impl Process {
    fn build(&self, host: &Host) -> Result<Make, BuildError> {
        let settings = process::Settings {
            chosen: Chosen::new(&self.metrics),
            attributes: Attributes::new(
                &self.resource_attributes,
                "scrapers::process::resource_attributes",
            )?,
            filter: filter(
                self.include.names("scrapers::process::include")?,
                self.exclude.names("scrapers::process::exclude")?,
            ),
            mutes: Mutes {
                all: self.mute_process_all_errors,
                name: self.mute_process_name_error,
                exe: self.mute_process_exe_error,
                io: self.mute_process_io_error,
                user: self.mute_process_user_error,
                cgroup: self.mute_process_cgroup_error,
            },
            delay: u64::try_from(self.scrape_process_delay.as_millis()).unwrap_or(u64::MAX),
        };
        let host = host.clone();
        Ok(scraper(process::Process::NAME, move || {
            process::Process::new(host.clone(), settings.clone())
        }))
    }
}

const fn filter(include: Option<Names>, exclude: Option<Names>) -> Filter {
    Filter { include, exclude }
}

/// Makes scrapers of a reader: it begins anew whenever the receiver starts.
fn scraper<R: Reader>(
    name: &'static str,
    make: impl Fn() -> R + Clone + Send + Sync + 'static,
) -> Make {
    Box::new(move || Box::new(Blocking::new(name, make.clone())))
}

impl Config {
    /// Checks the keys and makes the receiver.
    pub(super) fn receiver(&self, cx: &BuildContext) -> Result<HostMetrics, BuildError> {
        let Own {
            root_path,
            metadata_collection_interval,
            scrapers,
        } = &self.own;
        self.schedule.check()?;
        let host = Host::new(root_path, variable);
        let scrapers = scrapers.build(&host)?;
        if scrapers.is_empty() {
            return Err(BuildError::at("scrapers", "no scraper is named")
                .remedy("write \"scrapers: {cpu: , memory: }\", or those that are needed"));
        }
        Ok(HostMetrics {
            host,
            schedule: self.schedule.clone(),
            scrapers,
            entity: Entity {
                interval: Some(metadata_collection_interval.0).filter(|every| !every.is_zero()),
            },
            metrics: cx.metrics.clone(),
            running: Vec::new(),
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "host_metrics";
    const SIGNALS: Signals = Signals::METRICS.and(Signals::LOGS);
    const STABILITY: Stability = Stability::Alpha;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(self.receiver(cx)?))
    }
}
