//! What is kept of a cluster's objects.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use tokio::sync::watch;

use super::Role;
use super::wants::Wants;
use crate::kubernetes::{ObjectKey, Read};
use crate::prometheus::labels::sanitized;

/// What every label of discovery in Kubernetes begins with.
const PREFIX: &str = "__meta_kubernetes_";

/// The kinds of addresses of a node, best first.
const ADDRESSES: [&str; 6] = [
    "InternalIP",
    "InternalDNS",
    "ExternalIP",
    "ExternalDNS",
    "LegacyHostIP",
    "Hostname",
];

/// Labels of discovery with their values, none of them empty.
pub(super) type Labels = Box<[(Arc<str>, Box<str>)]>;

/// What an object is called: its namespace, where it has one, and its name.
pub(super) fn object_key(namespace: &str, name: &str) -> ObjectKey {
    match namespace {
        "" => name.into(),
        namespace => format!("{namespace}/{name}").into(),
    }
}

/// What is kept of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Object {
    Pod(Pod),
    Backends(Backends),
    /// Its labels, and those of each of its ports.
    Service(Labels, Box<[(Box<str>, Labels)]>),
    Node(Node),
    Ingress(Labels, Box<[(Box<str>, Labels)]>),
    /// Its labels alone.
    Described(Labels),
    /// What controls it: kind and name.
    Owned(Option<(Box<str>, Box<str>)>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) namespace: Box<str>,
    pub(super) ip: Box<str>,
    pub(super) node: Box<str>,
    pub(super) owner: Option<(Box<str>, Box<str>)>,
    pub(super) labels: Labels,
    pub(super) containers: Box<[Container]>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) name: Box<str>,
    pub(super) image: Box<str>,
    pub(super) id: Box<str>,
    pub(super) is_init: bool,
    pub(super) ports: Box<[ContainerPort]>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContainerPort {
    pub(super) name: Box<str>,
    pub(super) number: u32,
    pub(super) protocol: Box<str>,
}

/// `Endpoints` or an `EndpointSlice`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Backends {
    pub(super) namespace: Box<str>,
    pub(super) service: Option<ObjectKey>,
    pub(super) labels: Labels,
    pub(super) subsets: Box<[Subset]>,
    pub(super) is_slice: bool,
}

/// Addresses, each of which has all of the ports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subset {
    pub(super) addresses: Box<[Address]>,
    pub(super) ports: Box<[Port]>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) ip: Box<str>,
    pub(super) labels: Labels,
    pub(super) node: Option<Box<str>>,
    pub(super) pod: Option<ObjectKey>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) number: Option<u32>,
    pub(super) protocol: Box<str>,
    pub(super) labels: Labels,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: Box<str>,
    /// The address of its kubelet; none where it has no address.
    pub(super) kubelet: Option<(Box<str>, u32)>,
    pub(super) labels: Labels,
}

/// A list or a map that may be null.
fn or_none<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

macro_rules! raw {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct $name {
            $(#[serde(deserialize_with = "or_none")] $field: $type,)*
        }
    )*};
}

type Texts = BTreeMap<String, String>;

raw! {
    /// Fields of all kinds of objects: what a kind does not have is empty.
    RawObject {
        metadata: RawMeta,
        spec: RawSpec,
        status: RawStatus,
        subsets: Vec<RawSubset>,
        address_type: String,
        endpoints: Vec<RawEndpoint>,
        ports: Vec<RawPort>,
    }
    RawMeta {
        name: String,
        namespace: String,
        uid: String,
        labels: Texts,
        annotations: Texts,
        owner_references: Vec<RawOwner>,
    }
    RawOwner { kind: String, name: String, controller: bool }
    RawSpec {
        node_name: String,
        containers: Vec<RawContainer>,
        init_containers: Vec<RawContainer>,
        r#type: String,
        ports: Vec<RawPort>,
        external_name: String,
        load_balancer_i_p: String,
        cluster_i_p: String,
        provider_i_d: String,
        rules: Vec<RawRule>,
        tls: Vec<RawTls>,
        ingress_class_name: String,
    }
    RawContainer { name: String, image: String, ports: Vec<RawPort> }
    RawPort {
        name: Option<String>,
        port: Option<u32>,
        container_port: u32,
        protocol: Option<String>,
        app_protocol: Option<String>,
    }
    RawStatus {
        phase: String,
        pod_i_p: String,
        host_i_p: String,
        conditions: Vec<RawCondition>,
        container_statuses: Vec<RawContainerStatus>,
        init_container_statuses: Vec<RawContainerStatus>,
        addresses: Vec<RawNodeAddress>,
        daemon_endpoints: RawDaemons,
        load_balancer: RawBalancer,
    }
    RawCondition { r#type: String, status: String }
    RawContainerStatus { name: String, container_i_d: String }
    RawNodeAddress { r#type: String, address: String }
    RawDaemons { kubelet_endpoint: RawKubelet }
    RawBalancer { ingress: Vec<RawBalancerAddress> }
    RawBalancerAddress { ip: String }
    RawSubset {
        addresses: Vec<RawAddress>,
        not_ready_addresses: Vec<RawAddress>,
        ports: Vec<RawPort>,
    }
    RawAddress {
        ip: String,
        hostname: String,
        node_name: Option<String>,
        target_ref: Option<RawRef>,
    }
    RawRef { kind: String, namespace: String, name: String }
    RawEndpoint {
        addresses: Vec<String>,
        conditions: RawConditions,
        hostname: String,
        node_name: Option<String>,
        zone: String,
        target_ref: Option<RawRef>,
        deprecated_topology: Texts,
    }
    RawConditions { ready: Option<bool>, serving: Option<bool>, terminating: Option<bool> }
    RawRule { host: String, http: Option<RawPaths> }
    RawPaths { paths: Vec<RawPath> }
    RawPath { path: String }
    RawTls { hosts: Vec<String> }
}

#[derive(Default, Deserialize)]
struct RawKubelet {
    /// Capital, as the API has it.
    #[serde(rename = "Port", default)]
    port: u32,
}

/// Reads objects of one kind.
pub(super) struct Reader {
    kind: Kind,
    wants: Arc<Wants>,
    /// Told whenever the objects are others.
    changed: Arc<watch::Sender<()>>,
    /// Names of labels, each of them once.
    names: HashSet<Arc<str>>,
    /// How many names there were when those that nobody has any more were thrown away.
    swept: usize,
}

/// What is read of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// What targets of the role are made of.
    Of(Role),
    /// Labels and annotations of namespaces.
    Namespaces,
    /// What controls objects, of which pods know the name.
    ReplicaSets,
    /// The same.
    Jobs,
}

/// Labels that are being gathered.
struct Gather<'r> {
    reader: &'r mut Reader,
    labels: Vec<(Arc<str>, Box<str>)>,
}

impl Read for Reader {
    type Object = Object;

    fn read(&mut self, json: &str) -> Result<(ObjectKey, Object), serde_json::Error> {
        let raw: RawObject = serde_json::from_str(json)?;
        let key = object_key(&raw.metadata.namespace, &raw.metadata.name);
        let object = match self.kind {
            Kind::Of(Role::Pod) => Object::Pod(self.pod(raw)),
            Kind::Of(Role::Service) => self.service(&raw),
            Kind::Of(Role::Endpoints) => Object::Backends(self.endpoints(&raw)),
            Kind::Of(Role::EndpointSlice) => Object::Backends(self.slice(&raw)),
            Kind::Of(Role::Node) => Object::Node(self.node(&raw)),
            Kind::Of(Role::Ingress) => self.ingress(&raw),
            Kind::Namespaces => {
                let mut labels = self.gather();
                labels.described(&raw.metadata, "namespace");
                Object::Described(labels.finish())
            }
            Kind::ReplicaSets | Kind::Jobs => Object::Owned(owner(&raw.metadata)),
        };
        self.sweep();
        Ok((key, object))
    }

    fn key(&self, json: &str) -> Result<ObjectKey, serde_json::Error> {
        let raw: RawObject = serde_json::from_str(json)?;
        Ok(object_key(&raw.metadata.namespace, &raw.metadata.name))
    }

    fn changed(&mut self) {
        self.changed.send_replace(());
    }
}

impl Reader {
    pub(super) fn new(kind: Kind, wants: Arc<Wants>, changed: Arc<watch::Sender<()>>) -> Self {
        Self {
            kind,
            wants,
            changed,
            names: HashSet::new(),
            swept: 512,
        }
    }

    /// How many names of labels it knows.
    #[cfg(test)]
    pub(super) fn names(&self) -> usize {
        self.names.len()
    }

    fn gather(&mut self) -> Gather<'_> {
        Gather {
            reader: self,
            labels: Vec::new(),
        }
    }

    /// Throws names away that no object has any more, once there are twice as many as last time.
    fn sweep(&mut self) {
        if self.names.len() > self.swept * 2 {
            self.names.retain(|name| Arc::strong_count(name) > 1);
            self.swept = self.names.len().max(512);
        }
    }

    fn pod(&mut self, raw: RawObject) -> Pod {
        let (meta, spec, status) = (raw.metadata, raw.spec, raw.status);
        let ready = status.conditions.iter().find(|one| one.r#type == "Ready");
        let ready = ready.map_or("unknown", |one| &one.status).to_lowercase();
        let owner = owner(&meta);
        let mut labels = self.gather();
        for (name, value) in [
            ("namespace", &meta.namespace),
            ("pod_ip", &status.pod_i_p),
            ("pod_ready", &ready),
            ("pod_phase", &status.phase),
            ("pod_node_name", &spec.node_name),
            ("pod_host_ip", &status.host_i_p),
            ("pod_uid", &meta.uid),
        ] {
            labels.put(name, value);
        }
        labels.named(&meta, "pod");
        if let Some((kind, name)) = &owner {
            labels.put("pod_controller_kind", kind);
            labels.put("pod_controller_name", name);
        }
        let labels = labels.finish();
        let mut containers = Vec::new();
        for (raw, statuses, is_init) in [
            (spec.containers, &status.container_statuses, false),
            (spec.init_containers, &status.init_container_statuses, true),
        ] {
            containers.extend(raw.into_iter().map(|raw| {
                let status = statuses.iter().find(|status| status.name == raw.name);
                let mut one = container(raw, status, is_init);
                // These are long, and few rules read them.
                for (label, text) in [
                    ("pod_container_id", &mut one.id),
                    ("pod_container_image", &mut one.image),
                ] {
                    if !self.wants.has(&format!("{PREFIX}{label}")) {
                        *text = "".into();
                    }
                }
                one
            }));
        }
        Pod {
            namespace: meta.namespace.into(),
            ip: status.pod_i_p.into(),
            node: spec.node_name.into(),
            owner,
            labels,
            containers: containers.into(),
        }
    }

    fn service(&mut self, raw: &RawObject) -> Object {
        let (meta, spec) = (&raw.metadata, &raw.spec);
        let mut labels = self.gather();
        labels.put("namespace", &meta.namespace);
        labels.named(meta, "service");
        let labels = labels.finish();
        let balancers = raw.status.load_balancer.ingress.iter();
        let balancers: Vec<&str> = balancers
            .map(|one| one.ip.as_str())
            .filter(|ip| !ip.is_empty())
            .collect();
        let balancer = match balancers.is_empty() {
            true => spec.load_balancer_i_p.clone(),
            false => balancers.join(","),
        };
        let host = format!("{}.{}.svc", meta.name, meta.namespace);
        let ports = spec.ports.iter().map(|port| {
            let number = port.port.unwrap_or(0).to_string();
            let mut labels = self.gather();
            labels.put("service_port_name", text(&port.name));
            labels.put("service_port_number", &number);
            labels.put("service_port_protocol", text(&port.protocol));
            labels.put("service_type", &spec.r#type);
            match spec.r#type.as_str() {
                "ExternalName" => labels.put("service_external_name", &spec.external_name),
                _ => labels.put("service_cluster_ip", &spec.cluster_i_p),
            }
            if spec.r#type == "LoadBalancer" {
                labels.put("service_loadbalancer_ip", &balancer);
            }
            (format!("{host}:{number}").into(), labels.finish())
        });
        let ports = ports.collect();
        Object::Service(labels, ports)
    }

    fn endpoints(&mut self, raw: &RawObject) -> Backends {
        let meta = &raw.metadata;
        let mut labels = self.gather();
        labels.put("namespace", &meta.namespace);
        labels.named(meta, "endpoints");
        let labels = labels.finish();
        let subsets = raw.subsets.iter().map(|subset| {
            let ready = subset.addresses.iter().map(|one| (one, "true"));
            let others = subset.not_ready_addresses.iter();
            let all = ready.chain(others.map(|one| (one, "false")));
            let addresses = all.map(|(one, ready)| self.address(one, ready)).collect();
            let ports = subset.ports.iter().map(|port| {
                let mut labels = self.gather();
                labels.put("endpoint_port_name", text(&port.name));
                labels.put("endpoint_port_protocol", text(&port.protocol));
                Port {
                    number: Some(port.port.unwrap_or(0)),
                    protocol: text(&port.protocol).into(),
                    labels: labels.finish(),
                }
            });
            let ports = ports.collect();
            Subset { addresses, ports }
        });
        let subsets = subsets.collect();
        Backends {
            namespace: meta.namespace.as_str().into(),
            service: Some(object_key(&meta.namespace, &meta.name)),
            labels,
            subsets,
            is_slice: false,
        }
    }

    fn address(&mut self, raw: &RawAddress, ready: &str) -> Address {
        let mut labels = self.gather();
        labels.put("endpoint_ready", ready);
        labels.put("endpoint_node_name", text(&raw.node_name));
        labels.put("endpoint_hostname", &raw.hostname);
        if let Some(target) = &raw.target_ref {
            labels.put("endpoint_address_target_kind", &target.kind);
            labels.put("endpoint_address_target_name", &target.name);
        }
        let own = raw.node_name.as_deref();
        let node = own.or(named(&raw.target_ref, "Node"));
        Address {
            ip: raw.ip.as_str().into(),
            labels: labels.finish(),
            node: node.map(Into::into),
            pod: pod_key(&raw.target_ref),
        }
    }

    fn slice(&mut self, raw: &RawObject) -> Backends {
        let meta = &raw.metadata;
        let mut labels = self.gather();
        labels.put("namespace", &meta.namespace);
        labels.put("endpointslice_address_type", &raw.address_type);
        labels.named(meta, "endpointslice");
        let labels = labels.finish();
        let mut addresses = Vec::new();
        for endpoint in &raw.endpoints {
            for ip in &endpoint.addresses {
                addresses.push(self.endpoint(endpoint, ip));
            }
        }
        let ports = raw.ports.iter().map(|port| {
            let number = port.port.map(|number| number.to_string());
            let mut labels = self.gather();
            labels.put("endpointslice_port_name", text(&port.name));
            labels.put("endpointslice_port_protocol", text(&port.protocol));
            labels.put("endpointslice_port", text(&number));
            labels.put("endpointslice_port_app_protocol", text(&port.app_protocol));
            Port {
                number: port.port,
                protocol: text(&port.protocol).into(),
                labels: labels.finish(),
            }
        });
        let ports = ports.collect();
        let service = meta.labels.get("kubernetes.io/service-name");
        Backends {
            namespace: meta.namespace.as_str().into(),
            service: service.map(|name| object_key(&meta.namespace, name)),
            labels,
            subsets: [Subset {
                addresses: addresses.into(),
                ports,
            }]
            .into(),
            is_slice: true,
        }
    }

    fn endpoint(&mut self, raw: &RawEndpoint, ip: &str) -> Address {
        let mut labels = self.gather();
        for (name, condition) in [
            ("ready", raw.conditions.ready),
            ("serving", raw.conditions.serving),
            ("terminating", raw.conditions.terminating),
        ] {
            if let Some(condition) = condition {
                let name = format!("endpointslice_endpoint_conditions_{name}");
                labels.put(&name, &condition.to_string());
            }
        }
        labels.put("endpointslice_endpoint_hostname", &raw.hostname);
        labels.put("endpointslice_endpoint_node_name", text(&raw.node_name));
        labels.put("endpointslice_endpoint_zone", &raw.zone);
        if let Some(target) = &raw.target_ref {
            labels.put("endpointslice_address_target_kind", &target.kind);
            labels.put("endpointslice_address_target_name", &target.name);
        }
        for (key, value) in &raw.deprecated_topology {
            let key = sanitized(key);
            labels.put(&format!("endpointslice_endpoint_topology_{key}"), value);
            labels.put(
                &format!("endpointslice_endpoint_topology_present_{key}"),
                "true",
            );
        }
        let node = named(&raw.target_ref, "Node");
        Address {
            ip: ip.into(),
            labels: labels.finish(),
            node: node.or(raw.node_name.as_deref()).map(Into::into),
            pod: pod_key(&raw.target_ref),
        }
    }

    fn node(&mut self, raw: &RawObject) -> Node {
        let status = &raw.status;
        let mut labels = self.gather();
        labels.put("node_provider_id", &raw.spec.provider_i_d);
        for condition in &status.conditions {
            let name = sanitized(&condition.r#type.to_lowercase());
            let value = condition.status.to_lowercase();
            labels.put(&format!("node_condition_{name}"), &value);
        }
        labels.named(&raw.metadata, "node");
        let mut seen = HashSet::new();
        for one in &status.addresses {
            // Of several of a kind the first counts.
            if seen.insert(&one.r#type) {
                let name = format!("node_address_{}", sanitized(&one.r#type));
                labels.put(&name, &one.address);
            }
        }
        let of = |kind: &&str| status.addresses.iter().find(|one| one.r#type == *kind);
        let address = ADDRESSES.iter().find_map(of);
        let port = status.daemon_endpoints.kubelet_endpoint.port;
        Node {
            name: raw.metadata.name.as_str().into(),
            kubelet: address.map(|one| (one.address.as_str().into(), port)),
            labels: labels.finish(),
        }
    }

    fn ingress(&mut self, raw: &RawObject) -> Object {
        let spec = &raw.spec;
        let mut labels = self.gather();
        labels.put("namespace", &raw.metadata.namespace);
        labels.put("ingress_class_name", &spec.ingress_class_name);
        labels.named(&raw.metadata, "ingress");
        let labels = labels.finish();
        let mut targets = Vec::new();
        for rule in &spec.rules {
            let mut secured = spec.tls.iter().flat_map(|tls| &tls.hosts);
            let secured = secured.any(|pattern| covers(pattern, &rule.host));
            let paths: Vec<&str> = match &rule.http {
                None => vec!["/"],
                Some(http) => http.paths.iter().map(|one| one.path.as_str()).collect(),
            };
            for path in paths {
                let mut labels = self.gather();
                labels.put("ingress_scheme", if secured { "https" } else { "http" });
                labels.put("ingress_host", &rule.host);
                labels.put("ingress_path", if path.is_empty() { "/" } else { path });
                targets.push((rule.host.as_str().into(), labels.finish()));
            }
        }
        Object::Ingress(labels, targets.into())
    }
}

impl Gather<'_> {
    fn put(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let name = format!("{PREFIX}{name}");
        if !self.reader.wants.has(&name) {
            return;
        }
        let known = self.reader.names.get(name.as_str()).cloned();
        let name = known.unwrap_or_else(|| {
            let name: Arc<str> = name.into();
            self.reader.names.insert(Arc::clone(&name));
            name
        });
        self.labels.push((name, value.into()));
    }

    fn named(&mut self, meta: &RawMeta, kind: &str) {
        self.put(&format!("{kind}_name"), &meta.name);
        self.described(meta, kind);
    }

    fn described(&mut self, meta: &RawMeta, kind: &str) {
        for (what, of) in [("label", &meta.labels), ("annotation", &meta.annotations)] {
            for (key, value) in of {
                let key = sanitized(key);
                self.put(&format!("{kind}_{what}_{key}"), value);
                self.put(&format!("{kind}_{what}present_{key}"), "true");
            }
        }
    }

    fn finish(self) -> Labels {
        self.labels.into()
    }
}

fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

fn owner(meta: &RawMeta) -> Option<(Box<str>, Box<str>)> {
    let owner = meta.owner_references.iter().find(|one| one.controller)?;
    Some((owner.kind.as_str().into(), owner.name.as_str().into()))
}

fn container(raw: RawContainer, status: Option<&RawContainerStatus>, is_init: bool) -> Container {
    let ports = raw.ports.into_iter().map(|port| ContainerPort {
        name: port.name.unwrap_or_default().into(),
        number: port.container_port,
        protocol: port.protocol.unwrap_or_default().into(),
    });
    Container {
        name: raw.name.into(),
        image: raw.image.into(),
        id: status.map_or("", |status| &status.container_i_d).into(),
        is_init,
        ports: ports.collect(),
    }
}

fn named<'r>(target: &'r Option<RawRef>, kind: &str) -> Option<&'r str> {
    let target = target.as_ref().filter(|target| target.kind == kind)?;
    Some(&target.name)
}

fn pod_key(target: &Option<RawRef>) -> Option<ObjectKey> {
    let target = target.as_ref().filter(|target| target.kind == "Pod")?;
    Some(object_key(&target.namespace, &target.name))
}

/// Whether a host is meant by a pattern, whose first part may be `*`.
fn covers(pattern: &str, host: &str) -> bool {
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        _ if pattern == host => true,
        (Some(end), Some((_, rest))) => end == rest,
        _ => false,
    }
}
