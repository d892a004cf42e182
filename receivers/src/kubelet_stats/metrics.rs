//! The metrics, and the sets of them that nodes, pods and containers have alike.

use tidegate_pdata::compose::Kind;

use crate::scrape::{AttributeTable, metrics};

metrics! {
    /// What the kubelet tells.
    pub(super) enum Metrics {
        ContainerCpuTime: on "container.cpu.time" ["s"] Kind::COUNTER, [];
            "Total cumulative CPU time (sum of all cores) spent by the container/pod/node since its creation"
        ContainerCpuUsage: on "container.cpu.usage" ["{cpu}"] Kind::Gauge, [];
            "Total CPU usage (sum of all cores per second) averaged over the sample window"
        ContainerFsAvailable: on "container.filesystem.available" ["By"] Kind::Gauge, [];
            "Container filesystem available"
        ContainerFsCapacity: on "container.filesystem.capacity" ["By"] Kind::Gauge, [];
            "Container filesystem capacity"
        ContainerFsUsage: on "container.filesystem.usage" ["By"] Kind::Gauge, [];
            "Container filesystem usage"
        ContainerMemoryAvailable: on "container.memory.available" ["By"] Kind::Gauge, [];
            "Container memory available"
        ContainerMajorPageFaults: on "container.memory.major_page_faults" ["1"] Kind::Gauge, [];
            "Container memory major_page_faults"
        ContainerPageFaults: on "container.memory.page_faults" ["1"] Kind::Gauge, [];
            "Container memory page_faults"
        ContainerMemoryRss: on "container.memory.rss" ["By"] Kind::Gauge, [];
            "Container memory rss"
        ContainerMemoryUsage: on "container.memory.usage" ["By"] Kind::Gauge, [];
            "Container memory usage"
        ContainerWorkingSet: on "container.memory.working_set" ["By"] Kind::Gauge, [];
            "Container memory working_set"
        ContainerUptime: off "container.uptime" ["s"] Kind::COUNTER, [];
            "The time since the container started"
        ContainerCpuOfNode: off "k8s.container.cpu.node.utilization" ["1"] Kind::Gauge, [];
            "Container cpu utilization as a ratio of the node's capacity"
        ContainerCpuOfLimit: off "k8s.container.cpu_limit_utilization" ["1"] Kind::Gauge, [];
            "Container cpu utilization as a ratio of the container's limits"
        ContainerCpuOfRequest: off "k8s.container.cpu_request_utilization" ["1"] Kind::Gauge, [];
            "Container cpu utilization as a ratio of the container's requests"
        ContainerEphemeralStorage: off "k8s.container.ephemeral_storage.usage" ["By"] Kind::UP_DOWN_COUNTER, ["fs.type"];
            "Ephemeral storage used by the container."
        ContainerMemoryOfNode: off "k8s.container.memory.node.utilization" ["1"] Kind::Gauge, [];
            "Container memory utilization as a ratio of the node's capacity"
        ContainerMemoryOfLimit: off "k8s.container.memory_limit_utilization" ["1"] Kind::Gauge, [];
            "Container memory utilization as a ratio of the container's limits"
        ContainerMemoryOfRequest: off "k8s.container.memory_request_utilization" ["1"] Kind::Gauge, [];
            "Container memory utilization as a ratio of the container's requests"
        NodeCpuTime: on "k8s.node.cpu.time" ["s"] Kind::COUNTER, [];
            "Total cumulative CPU time (sum of all cores) spent by the container/pod/node since its creation"
        NodeCpuUsage: on "k8s.node.cpu.usage" ["{cpu}"] Kind::Gauge, [];
            "Total CPU usage (sum of all cores per second) averaged over the sample window"
        NodeFsAvailable: on "k8s.node.filesystem.available" ["By"] Kind::Gauge, [];
            "Node filesystem available"
        NodeFsCapacity: on "k8s.node.filesystem.capacity" ["By"] Kind::Gauge, [];
            "Node filesystem capacity"
        NodeInodes: off "k8s.node.filesystem.inode.count" ["{inode}"] Kind::UP_DOWN_COUNTER, [];
            "Total number of inodes in the node's root filesystem."
        NodeInodesFree: off "k8s.node.filesystem.inode.free" ["{inode}"] Kind::UP_DOWN_COUNTER, [];
            "Number of free inodes in the node's root filesystem."
        NodeFsUsage: on "k8s.node.filesystem.usage" ["By"] Kind::Gauge, [];
            "Node filesystem usage"
        NodeMemoryAvailable: on "k8s.node.memory.available" ["By"] Kind::Gauge, [];
            "Node memory available"
        NodeMajorPageFaults: on "k8s.node.memory.major_page_faults" ["1"] Kind::Gauge, [];
            "Node memory major_page_faults"
        NodePageFaults: on "k8s.node.memory.page_faults" ["1"] Kind::Gauge, [];
            "Node memory page_faults"
        NodeMemoryRss: on "k8s.node.memory.rss" ["By"] Kind::Gauge, [];
            "Node memory rss"
        NodeMemoryUsage: on "k8s.node.memory.usage" ["By"] Kind::Gauge, [];
            "Node memory usage"
        NodeWorkingSet: on "k8s.node.memory.working_set" ["By"] Kind::Gauge, [];
            "Node memory working_set"
        NodeNetworkErrors: on "k8s.node.network.errors" ["1"] Kind::COUNTER, ["interface", "direction"];
            "Node network errors"
        NodeNetworkIo: on "k8s.node.network.io" ["By"] Kind::COUNTER, ["interface", "direction"];
            "Node network IO"
        NodePidLimit: off "k8s.node.pid.limit" ["{thread}"] Kind::UP_DOWN_COUNTER, [];
            "Total number of processes/threads allowed by the operating system on the node. Derived from the Kubelet Summary API (NodeStats.Rlimit.MaxPID), representing the system-wide task limit (the lower of kernel.pid_max and kernel.threads-max)."
        NodePidUsage: off "k8s.node.pid.usage" ["{thread}"] Kind::UP_DOWN_COUNTER, [];
            "Total number of existing processes and threads on the node. Derived from the Kubelet Summary API (NodeStats.Rlimit.NumOfRunningProcesses), which reads the total count of scheduling entities (threads/processes across all states) from /proc/loadavg. Unlike system.processes.count in hostmetricsreceiver, this is an aggregate count collected via Kubelet without requiring host-level privileges."
        SystemCpuTime: off "k8s.node.system_container.cpu.time" ["s"] Kind::COUNTER, [];
            "Total cumulative CPU time (sum of all cores) spent by the system container since its creation"
        SystemCpuUsage: off "k8s.node.system_container.cpu.usage" ["{cpu}"] Kind::Gauge, [];
            "Total CPU usage (sum of all cores per second) averaged over the sample window for the system container"
        SystemMemoryUsage: off "k8s.node.system_container.memory.usage" ["By"] Kind::Gauge, [];
            "System container memory usage"
        SystemWorkingSet: off "k8s.node.system_container.memory.working_set" ["By"] Kind::Gauge, [];
            "System container memory working_set"
        NodeUptime: off "k8s.node.uptime" ["s"] Kind::COUNTER, [];
            "The time since the node started"
        PodCpuOfNode: off "k8s.pod.cpu.node.utilization" ["1"] Kind::Gauge, [];
            "Pod cpu utilization as a ratio of the node's capacity"
        PodCpuTime: on "k8s.pod.cpu.time" ["s"] Kind::COUNTER, [];
            "Total cumulative CPU time (sum of all cores) spent by the container/pod/node since its creation"
        PodCpuUsage: on "k8s.pod.cpu.usage" ["{cpu}"] Kind::Gauge, [];
            "Total CPU usage (sum of all cores per second) averaged over the sample window"
        PodCpuOfLimit: off "k8s.pod.cpu_limit_utilization" ["1"] Kind::Gauge, [];
            "Pod cpu utilization as a ratio of the pod's total container limits. If any container is missing a limit the metric is not emitted."
        PodCpuOfRequest: off "k8s.pod.cpu_request_utilization" ["1"] Kind::Gauge, [];
            "Pod cpu utilization as a ratio of the pod's total container requests. If any container is missing a request the metric is not emitted."
        PodFsAvailable: on "k8s.pod.filesystem.available" ["By"] Kind::Gauge, [];
            "Pod filesystem available"
        PodFsCapacity: on "k8s.pod.filesystem.capacity" ["By"] Kind::Gauge, [];
            "Pod filesystem capacity"
        PodFsUsage: on "k8s.pod.filesystem.usage" ["By"] Kind::Gauge, [];
            "Pod filesystem usage"
        PodMemoryAvailable: on "k8s.pod.memory.available" ["By"] Kind::Gauge, [];
            "Pod memory available"
        PodMajorPageFaults: on "k8s.pod.memory.major_page_faults" ["1"] Kind::Gauge, [];
            "Pod memory major_page_faults"
        PodMemoryOfNode: off "k8s.pod.memory.node.utilization" ["1"] Kind::Gauge, [];
            "Pod memory utilization as a ratio of the node's capacity"
        PodPageFaults: on "k8s.pod.memory.page_faults" ["1"] Kind::Gauge, [];
            "Pod memory page_faults"
        PodMemoryRss: on "k8s.pod.memory.rss" ["By"] Kind::Gauge, [];
            "Pod memory rss"
        PodMemoryUsage: on "k8s.pod.memory.usage" ["By"] Kind::Gauge, [];
            "Pod memory usage"
        PodWorkingSet: on "k8s.pod.memory.working_set" ["By"] Kind::Gauge, [];
            "Pod memory working_set"
        PodMemoryOfLimit: off "k8s.pod.memory_limit_utilization" ["1"] Kind::Gauge, [];
            "Pod memory utilization as a ratio of the pod's total container limits. If any container is missing a limit the metric is not emitted."
        PodMemoryOfRequest: off "k8s.pod.memory_request_utilization" ["1"] Kind::Gauge, [];
            "Pod memory utilization as a ratio of the pod's total container requests. If any container is missing a request the metric is not emitted."
        PodNetworkErrors: on "k8s.pod.network.errors" ["1"] Kind::COUNTER, ["interface", "direction"];
            "Pod network errors"
        PodNetworkIo: on "k8s.pod.network.io" ["By"] Kind::COUNTER, ["interface", "direction"];
            "Pod network IO"
        PodUptime: off "k8s.pod.uptime" ["s"] Kind::COUNTER, [];
            "The time since the pod started"
        PodVolumeUsage: off "k8s.pod.volume.usage" ["By"] Kind::UP_DOWN_COUNTER, [];
            "The number of used bytes in the pod volume."
        VolumeAvailable: on "k8s.volume.available" ["By"] Kind::Gauge, [];
            "The number of available bytes in the volume."
        VolumeCapacity: on "k8s.volume.capacity" ["By"] Kind::Gauge, [];
            "The total capacity in bytes of the volume."
        VolumeInodes: on "k8s.volume.inodes" ["1"] Kind::Gauge, [];
            "The total inodes in the filesystem."
        VolumeInodesFree: on "k8s.volume.inodes.free" ["1"] Kind::Gauge, [];
            "The free inodes in the filesystem."
        VolumeInodesUsed: on "k8s.volume.inodes.used" ["1"] Kind::Gauge, [];
            "The inodes used by the filesystem. This may not equal inodes - free because filesystem may share inodes with other filesystems."
    }
}

impl Metrics {
    /// Those that need what containers ask for and may use.
    pub(super) const OF_RESOURCES: &[Self] = &[
        Self::ContainerCpuOfLimit,
        Self::ContainerCpuOfRequest,
        Self::ContainerMemoryOfLimit,
        Self::ContainerMemoryOfRequest,
        Self::PodCpuOfLimit,
        Self::PodCpuOfRequest,
        Self::PodMemoryOfLimit,
        Self::PodMemoryOfRequest,
    ];

    /// Those that need what the node has.
    pub(super) const OF_NODE: &[Self] = &[
        Self::ContainerCpuOfNode,
        Self::ContainerMemoryOfNode,
        Self::PodCpuOfNode,
        Self::PodMemoryOfNode,
    ];
}

/// What is told of the use of CPUs.
pub(super) struct CpuMetrics {
    pub(super) time: Metrics,
    pub(super) usage: Metrics,
    pub(super) ratios: Option<Ratios>,
}

/// What is told of the use of memory.
pub(super) struct MemoryMetrics {
    pub(super) available: Metrics,
    pub(super) major_page_faults: Metrics,
    pub(super) page_faults: Metrics,
    pub(super) rss: Metrics,
    pub(super) usage: Metrics,
    pub(super) working_set: Metrics,
    pub(super) ratios: Option<Ratios>,
}

/// The use as a part of what there is.
pub(super) struct Ratios {
    pub(super) of_node: Metrics,
    pub(super) of_limit: Metrics,
    pub(super) of_request: Metrics,
}

/// What is told of a file system: free, whole, used.
pub(super) struct FsMetrics(pub(super) Metrics, pub(super) Metrics, pub(super) Metrics);

/// What is told of the network: errors, bytes.
pub(super) struct NetworkMetrics(pub(super) Metrics, pub(super) Metrics);

pub(super) const NODE_CPU: CpuMetrics = CpuMetrics {
    time: Metrics::NodeCpuTime,
    usage: Metrics::NodeCpuUsage,
    ratios: None,
};
pub(super) const NODE_MEMORY: MemoryMetrics = MemoryMetrics {
    available: Metrics::NodeMemoryAvailable,
    major_page_faults: Metrics::NodeMajorPageFaults,
    page_faults: Metrics::NodePageFaults,
    rss: Metrics::NodeMemoryRss,
    usage: Metrics::NodeMemoryUsage,
    working_set: Metrics::NodeWorkingSet,
    ratios: None,
};
pub(super) const NODE_FS: FsMetrics = FsMetrics(
    Metrics::NodeFsAvailable,
    Metrics::NodeFsCapacity,
    Metrics::NodeFsUsage,
);
pub(super) const NODE_NETWORK: NetworkMetrics =
    NetworkMetrics(Metrics::NodeNetworkErrors, Metrics::NodeNetworkIo);
pub(super) const SYSTEM_CPU: CpuMetrics = CpuMetrics {
    time: Metrics::SystemCpuTime,
    usage: Metrics::SystemCpuUsage,
    ratios: None,
};
pub(super) const POD_CPU: CpuMetrics = CpuMetrics {
    time: Metrics::PodCpuTime,
    usage: Metrics::PodCpuUsage,
    ratios: Some(Ratios {
        of_node: Metrics::PodCpuOfNode,
        of_limit: Metrics::PodCpuOfLimit,
        of_request: Metrics::PodCpuOfRequest,
    }),
};
pub(super) const POD_MEMORY: MemoryMetrics = MemoryMetrics {
    available: Metrics::PodMemoryAvailable,
    major_page_faults: Metrics::PodMajorPageFaults,
    page_faults: Metrics::PodPageFaults,
    rss: Metrics::PodMemoryRss,
    usage: Metrics::PodMemoryUsage,
    working_set: Metrics::PodWorkingSet,
    ratios: Some(Ratios {
        of_node: Metrics::PodMemoryOfNode,
        of_limit: Metrics::PodMemoryOfLimit,
        of_request: Metrics::PodMemoryOfRequest,
    }),
};
pub(super) const POD_FS: FsMetrics = FsMetrics(
    Metrics::PodFsAvailable,
    Metrics::PodFsCapacity,
    Metrics::PodFsUsage,
);
pub(super) const POD_NETWORK: NetworkMetrics =
    NetworkMetrics(Metrics::PodNetworkErrors, Metrics::PodNetworkIo);
pub(super) const CONTAINER_CPU: CpuMetrics = CpuMetrics {
    time: Metrics::ContainerCpuTime,
    usage: Metrics::ContainerCpuUsage,
    ratios: Some(Ratios {
        of_node: Metrics::ContainerCpuOfNode,
        of_limit: Metrics::ContainerCpuOfLimit,
        of_request: Metrics::ContainerCpuOfRequest,
    }),
};
pub(super) const CONTAINER_MEMORY: MemoryMetrics = MemoryMetrics {
    available: Metrics::ContainerMemoryAvailable,
    major_page_faults: Metrics::ContainerMajorPageFaults,
    page_faults: Metrics::ContainerPageFaults,
    rss: Metrics::ContainerMemoryRss,
    usage: Metrics::ContainerMemoryUsage,
    working_set: Metrics::ContainerWorkingSet,
    ratios: Some(Ratios {
        of_node: Metrics::ContainerMemoryOfNode,
        of_limit: Metrics::ContainerMemoryOfLimit,
        of_request: Metrics::ContainerMemoryOfRequest,
    }),
};
pub(super) const CONTAINER_FS: FsMetrics = FsMetrics(
    Metrics::ContainerFsAvailable,
    Metrics::ContainerFsCapacity,
    Metrics::ContainerFsUsage,
);

/// The attributes of resources.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes;

impl AttributeTable for Attributes {
    const ALL: &'static [(&'static str, bool, &'static str)] = &[
        ("aws.volume.id", false, "The id of the AWS Volume"),
        (
            "container.id",
            true,
            "Container id used to identify container",
        ),
        ("fs.type", false, "The filesystem type of the Volume"),
        (
            "gce.pd.name",
            false,
            "The name of the persistent disk in GCE",
        ),
        (
            "glusterfs.endpoints.name",
            false,
            "The endpoint name that details Glusterfs topology",
        ),
        ("glusterfs.path", false, "Glusterfs volume path"),
        (
            "k8s.container.name",
            true,
            "Container name used by container runtime",
        ),
        (
            "k8s.namespace.name",
            true,
            "The name of the namespace that the pod is running in",
        ),
        ("k8s.node.name", true, "The name of the Node"),
        (
            "k8s.node.system_container.name",
            true,
            "The name of the system container",
        ),
        (
            "k8s.persistentvolumeclaim.name",
            true,
            "The name of the Persistent Volume Claim",
        ),
        ("k8s.pod.name", true, "The name of the Pod"),
        ("k8s.pod.uid", true, "The UID of the Pod"),
        ("k8s.volume.name", true, "The name of the Volume"),
        ("k8s.volume.type", true, "The type of the Volume"),
        ("partition", false, "The partition in the Volume"),
    ];
}
