//! The metrics, and the attributes of resources.

use tidegate_pdata::compose::Kind;

use crate::scrape::{AttributeTable, metrics};

metrics! {
    /// What the API server tells of a cluster.
    #[derive(PartialEq, Eq)]
    pub(super) enum Metrics {
        CpuLimit: on "k8s.container.cpu_limit" ["{cpu}"] Kind::Gauge, [];
            "Maximum resource limit set for the container. See https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.23/#resourcerequirements-v1-core for details"
        CpuRequest: on "k8s.container.cpu_request" ["{cpu}"] Kind::Gauge, [];
            "Resource requested for the container. See https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.23/#resourcerequirements-v1-core for details"
        EphemeralLimit: on "k8s.container.ephemeralstorage_limit" ["By"] Kind::Gauge, [];
            "Maximum resource limit set for the container. See https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.23/#resourcerequirements-v1-core for details"
        EphemeralRequest: on "k8s.container.ephemeralstorage_request" ["By"] Kind::Gauge, [];
            "Resource requested for the container. See https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.23/#resourcerequirements-v1-core for details"
        MemoryLimit: on "k8s.container.memory_limit" ["By"] Kind::Gauge, [];
            "Maximum resource limit set for the container. See https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.23/#resourcerequirements-v1-core for details"
        MemoryRequest: on "k8s.container.memory_request" ["By"] Kind::Gauge, [];
            "Resource requested for the container. See https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.23/#resourcerequirements-v1-core for details"
        Ready: on "k8s.container.ready" [""] Kind::Gauge, [];
            "Whether a container has passed its readiness probe (0 for no, 1 for yes)"
        Restarts: on "k8s.container.restarts" ["{restart}"] Kind::Gauge, [];
            "How many times the container has restarted in the recent past. This value is pulled directly from the K8s API and the value can go indefinitely high and be reset to 0 at any time depending on how your kubelet is configured to prune dead containers. It is best to not depend too much on the exact value but rather look at it as either == 0, in which case you can conclude there were no restarts in the recent past, or > 0, in which case you can conclude there were restarts in the recent past, and not try and analyze the value beyond that."
        StatusReason: off "k8s.container.status.reason" ["{container}"] Kind::UP_DOWN_COUNTER, ["k8s.container.status.reason"];
            "Experimental metric, may experience breaking changes. Describes the number of K8s containers that are currently in a state for a given reason. All possible container state reasons will be reported at each time interval to avoid missing metrics. Only the value corresponding to the current state reason will be non-zero."
        StatusState: off "k8s.container.status.state" ["{container}"] Kind::UP_DOWN_COUNTER, ["k8s.container.status.state"];
            "Experimental metric, may experience breaking changes. Describes the number of K8s containers that are currently in a given state. All possible container states will be reported at each time interval to avoid missing metrics. Only the value corresponding to the current state will be non-zero."
        StorageLimit: on "k8s.container.storage_limit" ["By"] Kind::Gauge, [];
            "Maximum resource limit set for the container. See https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.23/#resourcerequirements-v1-core for details"
        StorageRequest: on "k8s.container.storage_request" ["By"] Kind::Gauge, [];
            "Resource requested for the container. See https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.23/#resourcerequirements-v1-core for details"
        ActiveJobs: on "k8s.cronjob.active_jobs" ["{job}"] Kind::Gauge, [];
            "The number of actively running jobs for a cronjob"
        CurrentNodes: on "k8s.daemonset.current_scheduled_nodes" ["{node}"] Kind::Gauge, [];
            "Number of nodes that are running at least 1 daemon pod and are supposed to run the daemon pod"
        DesiredNodes: on "k8s.daemonset.desired_scheduled_nodes" ["{node}"] Kind::Gauge, [];
            "Number of nodes that should be running the daemon pod (including nodes currently running the daemon pod)"
        MisscheduledNodes: on "k8s.daemonset.misscheduled_nodes" ["{node}"] Kind::Gauge, [];
            "Number of nodes that are running the daemon pod, but are not supposed to run the daemon pod"
        ReadyNodes: on "k8s.daemonset.ready_nodes" ["{node}"] Kind::Gauge, [];
            "Number of nodes that should be running the daemon pod and have one or more of the daemon pod running and ready"
        DeploymentAvailable: on "k8s.deployment.available" ["{pod}"] Kind::Gauge, [];
            "Total number of available pods (ready for at least minReadySeconds) targeted by this deployment"
        DeploymentDesired: on "k8s.deployment.desired" ["{pod}"] Kind::Gauge, [];
            "Number of desired pods in this deployment"
        HpaCurrent: on "k8s.hpa.current_replicas" ["{pod}"] Kind::Gauge, [];
            "Current number of pod replicas managed by this autoscaler."
        HpaDesired: on "k8s.hpa.desired_replicas" ["{pod}"] Kind::Gauge, [];
            "Desired number of pod replicas managed by this autoscaler."
        HpaMax: on "k8s.hpa.max_replicas" ["{pod}"] Kind::Gauge, [];
            "Maximum number of replicas to which the autoscaler can scale up."
        HpaMin: on "k8s.hpa.min_replicas" ["{pod}"] Kind::Gauge, [];
            "Minimum number of replicas to which the autoscaler can scale up."
        JobActive: on "k8s.job.active_pods" ["{pod}"] Kind::Gauge, [];
            "The number of actively running pods for a job"
        JobDesired: on "k8s.job.desired_successful_pods" ["{pod}"] Kind::Gauge, [];
            "The desired number of successfully finished pods the job should be run with"
        JobFailed: on "k8s.job.failed_pods" ["{pod}"] Kind::Gauge, [];
            "The number of pods which reached phase Failed for a job"
        JobParallel: on "k8s.job.max_parallel_pods" ["{pod}"] Kind::Gauge, [];
            "The max desired number of pods the job should run at any given time"
        JobSuccessful: on "k8s.job.successful_pods" ["{pod}"] Kind::Gauge, [];
            "The number of pods which reached phase Succeeded for a job"
        NamespacePhase: on "k8s.namespace.phase" [""] Kind::Gauge, [];
            "The current phase of namespaces (1 for active and 0 for terminating)"
        NodeCondition: off "k8s.node.condition" ["{condition}"] Kind::Gauge, ["condition"];
            "The condition of a particular Node."
        VolumePhase: off "k8s.persistentvolume.status.phase" ["{persistentvolume}"] Kind::UP_DOWN_COUNTER, [], without_effect: "persistent volumes are not looked at";
            "Not made."
        VolumeCapacity: off "k8s.persistentvolume.storage.capacity" ["By"] Kind::UP_DOWN_COUNTER, [], without_effect: "persistent volumes are not looked at";
            "Not made."
        ClaimPhase: off "k8s.persistentvolumeclaim.status.phase" ["{persistentvolumeclaim}"] Kind::UP_DOWN_COUNTER, [], without_effect: "persistent volume claims are not looked at";
            "Not made."
        ClaimCapacity: off "k8s.persistentvolumeclaim.storage.capacity" ["By"] Kind::UP_DOWN_COUNTER, [], without_effect: "persistent volume claims are not looked at";
            "Not made."
        ClaimRequest: off "k8s.persistentvolumeclaim.storage.request" ["By"] Kind::UP_DOWN_COUNTER, [], without_effect: "persistent volume claims are not looked at";
            "Not made."
        PodPhase: on "k8s.pod.phase" [""] Kind::Gauge, [];
            "Current phase of the pod (1 - Pending, 2 - Running, 3 - Succeeded, 4 - Failed, 5 - Unknown)"
        PodStatusReason: off "k8s.pod.status_reason" [""] Kind::Gauge, [];
            "Current status reason of the pod (1 - Evicted, 2 - NodeAffinity, 3 - NodeLost, 4 - Shutdown, 5 - UnexpectedAdmissionError, 6 - Unknown)"
        ReplicaSetAvailable: on "k8s.replicaset.available" ["{pod}"] Kind::Gauge, [];
            "Total number of available pods (ready for at least minReadySeconds) targeted by this replicaset"
        ReplicaSetDesired: on "k8s.replicaset.desired" ["{pod}"] Kind::Gauge, [];
            "Number of desired pods in this replicaset"
        ControllerAvailable: on "k8s.replication_controller.available" ["{pod}"] Kind::Gauge, [];
            "Total number of available pods (ready for at least minReadySeconds) targeted by this replication_controller"
        ControllerDesired: on "k8s.replication_controller.desired" ["{pod}"] Kind::Gauge, [];
            "Number of desired pods in this replication_controller"
        QuotaLimit: on "k8s.resource_quota.hard_limit" ["{resource}"] Kind::Gauge, ["resource"];
            "The upper limit for a particular resource in a specific namespace. Will only be sent if a quota is specified. CPU requests/limits will be sent as millicores"
        QuotaUsed: on "k8s.resource_quota.used" ["{resource}"] Kind::Gauge, ["resource"];
            "The usage for a particular resource in a specific namespace. Will only be sent if a quota is specified. CPU requests/limits will be sent as millicores"
        ServiceEndpoints: off "k8s.service.endpoint.count" ["{endpoint}"] Kind::Gauge, [], without_effect: "services are not looked at";
            "Not made."
        ServiceIngresses: off "k8s.service.load_balancer.ingress.count" ["{ingress}"] Kind::Gauge, [], without_effect: "services are not looked at";
            "Not made."
        StatefulSetCurrent: on "k8s.statefulset.current_pods" ["{pod}"] Kind::Gauge, [];
            "The number of pods created by the StatefulSet controller from the StatefulSet version"
        StatefulSetDesired: on "k8s.statefulset.desired_pods" ["{pod}"] Kind::Gauge, [];
            "Number of desired pods in the stateful set (the `spec.replicas` field)"
        StatefulSetReady: on "k8s.statefulset.ready_pods" ["{pod}"] Kind::Gauge, [];
            "Number of pods created by the stateful set that have the `Ready` condition"
        StatefulSetUpdated: on "k8s.statefulset.updated_pods" ["{pod}"] Kind::Gauge, [];
            "Number of pods created by the StatefulSet controller from the StatefulSet version"
        AppliedLimit: on "openshift.appliedclusterquota.limit" ["{resource}"] Kind::Gauge, ["k8s.namespace.name", "resource"];
            "The upper limit for a particular resource in a specific namespace."
        AppliedUsed: on "openshift.appliedclusterquota.used" ["{resource}"] Kind::Gauge, ["k8s.namespace.name", "resource"];
            "The usage for a particular resource in a specific namespace."
        ClusterLimit: on "openshift.clusterquota.limit" ["{resource}"] Kind::Gauge, ["resource"];
            "The configured upper limit for a particular resource."
        ClusterUsed: on "openshift.clusterquota.used" ["{resource}"] Kind::Gauge, ["resource"];
            "The usage for a particular resource with a configured limit."
    }
}

/// The attributes of resources.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attributes {}

impl AttributeTable for Attributes {
    const ALL: &'static [(&'static str, bool, &'static str)] = &[
        ("container.id", true, "The container's ID."),
        (
            "container.image.name",
            true,
            "The name of the container's image.",
        ),
        (
            "container.image.tag",
            true,
            "The tag of the container's image.",
        ),
        (
            "container.runtime",
            false,
            "What runs the node's containers.",
        ),
        (
            "container.runtime.version",
            false,
            "The version of what runs the node's containers.",
        ),
        ("k8s.container.name", true, "The container's name."),
        (
            "k8s.container.status.last_terminated_reason",
            false,
            "Why the container ended last.",
        ),
        ("k8s.cronjob.name", true, "The cron job's name."),
        ("k8s.cronjob.uid", true, "The cron job's UID."),
        ("k8s.daemonset.name", true, "The daemon set's name."),
        ("k8s.daemonset.uid", true, "The daemon set's UID."),
        ("k8s.deployment.name", true, "The deployment's name."),
        ("k8s.deployment.uid", true, "The deployment's UID."),
        ("k8s.hpa.name", true, "The autoscaler's name."),
        (
            "k8s.hpa.scaletargetref.apiversion",
            false,
            "The version of the API of what is scaled.",
        ),
        (
            "k8s.hpa.scaletargetref.kind",
            false,
            "The kind of what is scaled.",
        ),
        (
            "k8s.hpa.scaletargetref.name",
            false,
            "The name of what is scaled.",
        ),
        ("k8s.hpa.uid", true, "The autoscaler's UID."),
        ("k8s.job.name", true, "The job's name."),
        ("k8s.job.uid", true, "The job's UID."),
        (
            "k8s.kubelet.version",
            false,
            "The version of the node's kubelet.",
        ),
        ("k8s.namespace.name", true, "The namespace's name."),
        ("k8s.namespace.uid", true, "The namespace's UID."),
        ("k8s.node.name", true, "The node's name."),
        ("k8s.node.uid", true, "The node's UID."),
        ("k8s.pod.name", true, "The pod's name."),
        (
            "k8s.pod.qos_class",
            false,
            "The pod's class of service: Guaranteed, Burstable or BestEffort.",
        ),
        ("k8s.pod.uid", true, "The pod's UID."),
        ("k8s.replicaset.name", true, "The replica set's name."),
        ("k8s.replicaset.uid", true, "The replica set's UID."),
        (
            "k8s.replicationcontroller.name",
            true,
            "The replication controller's name.",
        ),
        (
            "k8s.replicationcontroller.uid",
            true,
            "The replication controller's UID.",
        ),
        ("k8s.resourcequota.name", true, "The quota's name."),
        ("k8s.resourcequota.uid", true, "The quota's UID."),
        ("k8s.statefulset.name", true, "The stateful set's name."),
        ("k8s.statefulset.uid", true, "The stateful set's UID."),
        (
            "openshift.clusterquota.name",
            true,
            "The name of the cluster's quota.",
        ),
        (
            "openshift.clusterquota.uid",
            true,
            "The UID of the cluster's quota.",
        ),
        (
            "os.description",
            false,
            "The node's operating system, in its own words.",
        ),
        ("os.type", false, "The type of the node's operating system."),
    ];
}
