//! The names that tags have which become more than attributes of a span.

/// Where a span says what its trace has to say to vendors.
pub(super) const TRACE_STATE: &str = "w3c.tracestate";
pub(super) const SPAN_KIND: &str = "span.kind";
pub(super) const ERROR: &str = "error";
pub(super) const STATUS_CODE: &str = "otel.status_code";
pub(super) const STATUS_MESSAGE: &str = "otel.status_description";
pub(super) const SCOPE_NAME: &str = "otel.scope.name";
pub(super) const SCOPE_VERSION: &str = "otel.scope.version";
/// The older names of the same.
pub(super) const LIBRARY_NAME: &str = "otel.library.name";
pub(super) const LIBRARY_VERSION: &str = "otel.library.version";
/// Which attribute of the resource the service's name was taken from.
pub(super) const NAME_SOURCE: &str = "otlp.service.name.source";
/// Begins the name of a tag that is a link; its number follows.
pub(super) const LINK: &str = "otlp.link.";

pub(super) const SERVICE_NAME: &str = "service.name";
pub(super) const LOCAL_ADDRESS: &str = "network.local.address";
pub(super) const LOCAL_PORT: &str = "net.host.port";
pub(super) const PEER_SERVICE: &str = "service.peer.name";
pub(super) const PEER_ADDRESS: &str = "network.peer.address";
pub(super) const PEER_PORT: &str = "net.peer.port";
/// Says that a span had no time of its own.
pub(super) const START_ABSENT: &str = "otel.zipkin.absentField.startTime";

/// The service's name of a span whose resource had none.
pub(super) const NO_SERVICE: &str = "OTLPResourceNoServiceName";

/// Whether a tag is about the resource.
pub(super) fn is_of_resource(key: &str) -> bool {
    RESOURCE.binary_search(&key).is_ok()
}

/// The attributes of resources that the original knows, in order.
const RESOURCE: [&str; 87] = [
    "aws.ecs.cluster.arn",
    "aws.ecs.container.arn",
    "aws.ecs.launchtype",
    "aws.ecs.task.arn",
    "aws.ecs.task.family",
    "aws.ecs.task.revision",
    "aws.eks.cluster.arn",
    "aws.log.group.arns",
    "aws.log.group.names",
    "aws.log.stream.arns",
    "aws.log.stream.names",
    "cloud.account.id",
    "cloud.availability_zone",
    "cloud.platform",
    "cloud.provider",
    "cloud.region",
    "cloud.resource_id",
    "container.id",
    "container.image.name",
    "container.image.tag",
    "container.name",
    "container.runtime",
    "deployment.environment",
    "device.id",
    "device.manufacturer",
    "device.model.identifier",
    "device.model.name",
    "faas.id",
    "faas.instance",
    "faas.max_memory",
    "faas.name",
    "faas.version",
    "host.arch",
    "host.id",
    "host.image.id",
    "host.image.name",
    "host.image.version",
    "host.name",
    "host.type",
    "k8s.cluster.name",
    "k8s.container.name",
    "k8s.container.restart_count",
    "k8s.cronjob.name",
    "k8s.cronjob.uid",
    "k8s.daemonset.name",
    "k8s.daemonset.uid",
    "k8s.deployment.name",
    "k8s.deployment.uid",
    "k8s.job.name",
    "k8s.job.uid",
    "k8s.namespace.name",
    "k8s.node.name",
    "k8s.node.uid",
    "k8s.pod.name",
    "k8s.pod.uid",
    "k8s.replicaset.name",
    "k8s.replicaset.uid",
    "k8s.statefulset.name",
    "k8s.statefulset.uid",
    "opencensus.exporterversion",
    "opencensus.resourcetype",
    "opencensus.starttime",
    "os.description",
    "os.name",
    "os.type",
    "os.version",
    "process.command",
    "process.command_args",
    "process.command_line",
    "process.executable.name",
    "process.executable.path",
    "process.owner",
    "process.pid",
    "process.runtime.description",
    "process.runtime.name",
    "process.runtime.version",
    "service.instance.id",
    "service.name",
    "service.namespace",
    "service.version",
    "telemetry.auto.version",
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
    "webengine.description",
    "webengine.name",
    "webengine.version",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_resources_are_in_order() {
        assert!(RESOURCE.is_sorted());
        assert!(is_of_resource("service.name") && is_of_resource("aws.ecs.cluster.arn"));
        assert!(!is_of_resource("service") && !is_of_resource("http.path"));
    }
}
