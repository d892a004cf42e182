//! What the kubelet answers at `/stats/summary`, as far as it is told on.

use serde::{Deserialize, Deserializer};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    pub(super) node: Node,
    #[serde(deserialize_with = "or_default")]
    pub(super) pods: Vec<Pod>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Node {
    pub(super) node_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) system_containers: Vec<Container>,
    pub(super) start_time: Time,
    pub(super) cpu: Option<Cpu>,
    pub(super) memory: Option<Memory>,
    pub(super) network: Option<Network>,
    pub(super) fs: Option<Fs>,
    pub(super) rlimit: Option<Rlimit>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Pod {
    pub(super) pod_ref: PodRef,
    pub(super) start_time: Time,
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<Container>,
    pub(super) cpu: Option<Cpu>,
    pub(super) memory: Option<Memory>,
    pub(super) network: Option<Network>,
    #[serde(deserialize_with = "or_default")]
    pub(super) volume: Vec<Volume>,
    #[serde(rename = "ephemeral-storage")]
    pub(super) ephemeral_storage: Option<Fs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodRef {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) start_time: Time,
    pub(super) cpu: Option<Cpu>,
    pub(super) memory: Option<Memory>,
    pub(super) rootfs: Option<Fs>,
    pub(super) logs: Option<Fs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Cpu {
    pub(super) time: Time,
    pub(super) usage_core_nano_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Memory {
    pub(super) available_bytes: Option<u64>,
    pub(super) usage_bytes: Option<u64>,
    pub(super) working_set_bytes: Option<u64>,
    pub(super) rss_bytes: Option<u64>,
    pub(super) page_faults: Option<u64>,
    pub(super) major_page_faults: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Fs {
    pub(super) available_bytes: Option<u64>,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) used_bytes: Option<u64>,
    pub(super) inodes_free: Option<u64>,
    pub(super) inodes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Volume {
    pub(super) name: String,
    pub(super) available_bytes: Option<u64>,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) used_bytes: Option<u64>,
    pub(super) inodes_free: Option<u64>,
    pub(super) inodes: Option<u64>,
    pub(super) inodes_used: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Network {
    /// The default interface.
    pub(super) name: String,
    pub(super) rx_bytes: Option<u64>,
    pub(super) rx_errors: Option<u64>,
    pub(super) tx_bytes: Option<u64>,
    pub(super) tx_errors: Option<u64>,
    #[serde(deserialize_with = "or_default")]
    pub(super) interfaces: Vec<Interface>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) rx_bytes: Option<u64>,
    pub(super) rx_errors: Option<u64>,
    pub(super) tx_bytes: Option<u64>,
    pub(super) tx_errors: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rlimit {
    pub(super) maxpid: Option<u64>,
    pub(super) curproc: Option<u64>,
}

/// Go writes a list of nothing as `null`.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A time in nanoseconds, 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time(pub(super) u64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        let time = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        // The zero of Go's time is long before that of Unix.
        let time = time.map_or(0, |time| time.as_nanosecond().max(0));
        Ok(Self(u64::try_from(time).unwrap_or(u64::MAX)))
    }
}
