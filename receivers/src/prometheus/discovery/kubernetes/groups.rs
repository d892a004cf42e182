//! From objects to targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Attach;
use super::objects::{Backends, Container, ContainerPort, Labels, Object, Pod, Port, object_key};
use crate::kubernetes::{Kept, Shelf as ShelfOf};
use crate::prometheus::labels::{Group, Owned, Spot, host_port};

/// The objects of a collection.
pub(super) type Shelf = ShelfOf<Object>;

/// The collections that targets of one namespace, or of all of them, are made of; of what is not asked for there is
/// none.
#[derive(Debug)]
pub(super) struct Shelves {
    pub(super) own: Arc<Shelf>,
    pub(super) services: Option<Arc<Shelf>>,
    pub(super) pods: Option<Arc<Shelf>>,
    pub(super) nodes: Option<Arc<Shelf>>,
    pub(super) namespaces: Option<Arc<Shelf>>,
    pub(super) replica_sets: Option<Arc<Shelf>>,
    pub(super) jobs: Option<Arc<Shelf>>,
    pub(super) attach: Attach,
}

fn get(shelf: &Option<Arc<Shelf>>, key: &str) -> Option<Kept<Object>> {
    shelf.as_ref()?.get(key)
}

/// What tells whether targets are made of the same objects as before.
struct Print(u64);

impl Print {
    fn add(&mut self, kept: Option<&Kept<Object>>) {
        let stamp = kept.map_or(0, |kept| kept.stamp);
        self.0 = (self.0 ^ stamp).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

impl Shelves {
    /// All of them.
    pub(super) fn each(&self) -> impl Iterator<Item = &Arc<Shelf>> {
        let others = [
            &self.services,
            &self.pods,
            &self.nodes,
            &self.namespaces,
            &self.replica_sets,
            &self.jobs,
        ];
        let others = others.into_iter().flatten();
        std::iter::once(&self.own).chain(others)
    }

    /// What changes whenever one of the objects does that the targets of this one are made of.
    pub(super) fn print(&self, kept: &Kept<Object>) -> u64 {
        let mut print = Print(0xcbf2_9ce4_8422_2325);
        print.add(Some(kept));
        match &*kept.object {
            Object::Pod(pod) => {
                print.add(get(&self.nodes, &pod.node).as_ref());
                print.add(get(&self.namespaces, &pod.namespace).as_ref());
                self.print_owner(pod, &mut print);
            }
            Object::Backends(backends) => {
                let service = backends.service.as_deref();
                print.add(service.and_then(|key| get(&self.services, key)).as_ref());
                print.add(get(&self.namespaces, &backends.namespace).as_ref());
                let addresses = backends.subsets.iter().flat_map(|one| &one.addresses);
                for address in addresses {
                    let node = address.node.as_deref();
                    print.add(node.and_then(|key| get(&self.nodes, key)).as_ref());
                    let pod = address.pod.as_deref().and_then(|key| get(&self.pods, key));
                    print.add(pod.as_ref());
                    if let Some(Object::Pod(pod)) = pod.as_ref().map(|kept| &*kept.object) {
                        self.print_owner(pod, &mut print);
                    }
                }
            }
            Object::Service(labels, _) | Object::Ingress(labels, _) => {
                print.add(get(&self.namespaces, namespace(labels)).as_ref());
            }
            Object::Node(_) | Object::Described(_) | Object::Owned(_) => {}
        }
        print.0
    }

    fn print_owner(&self, pod: &Pod, print: &mut Print) {
        if let Some((kind, name)) = &pod.owner {
            let key = object_key(&pod.namespace, name);
            match &**kind {
                "ReplicaSet" => print.add(get(&self.replica_sets, &key).as_ref()),
                "Job" => print.add(get(&self.jobs, &key).as_ref()),
                _ => {}
            }
        }
    }

    /// The targets that are made of an object.
    pub(super) fn groups(&self, object: &Object) -> Vec<Group> {
        let group = match object {
            Object::Pod(pod) => self.of_pod(pod),
            Object::Backends(backends) => Some(self.of_backends(backends)),
            Object::Service(labels, ports) | Object::Ingress(labels, ports) => {
                let mut all = owned(labels);
                self.add_namespace(&mut all, namespace(labels));
                let spots = ports.iter().map(|(address, labels)| Spot {
                    address: address.to_string(),
                    labels: pairs(labels),
                });
                Some(Group {
                    targets: spots.collect(),
                    labels: all,
                })
            }
            Object::Node(node) => node.kubelet.as_ref().map(|(host, port)| Group {
                targets: vec![Spot {
                    address: host_port(host, port),
                    labels: vec![("instance".to_owned(), node.name.to_string())],
                }],
                labels: owned(&node.labels),
            }),
            Object::Described(_) | Object::Owned(_) => None,
        };
        group
            .filter(|group| !group.targets.is_empty())
            .into_iter()
            .collect()
    }

    fn of_pod(&self, pod: &Pod) -> Option<Group> {
        // It has no address yet, or none any more.
        if pod.ip.is_empty() {
            return None;
        }
        let mut labels = owned(&pod.labels);
        if self.nodes.is_some() {
            // What runs on a node that is not selected is not selected either.
            let node = get(&self.nodes, &pod.node)?;
            add_node(&mut labels, &node.object);
        }
        labels.extend(self.owners(pod));
        self.add_namespace(&mut labels, &pod.namespace);
        let mut targets = Vec::new();
        for container in &pod.containers {
            let mut own = described(container);
            own.push((
                "__meta_kubernetes_pod_container_id".to_owned(),
                container.id.to_string(),
            ));
            if container.ports.is_empty() {
                targets.push(Spot {
                    address: pod.ip.to_string(),
                    labels: own.clone(),
                });
            }
            for port in &container.ports {
                let mut labels = own.clone();
                labels.extend(numbered(port, &port.protocol));
                targets.push(Spot {
                    address: host_port(&pod.ip, port.number),
                    labels,
                });
            }
        }
        Some(Group { targets, labels })
    }

    fn of_backends(&self, backends: &Backends) -> Group {
        let mut labels = owned(&backends.labels);
        let service = backends.service.as_deref();
        let service = service.and_then(|key| get(&self.services, key));
        if let Some(Object::Service(of_service, _)) = service.as_ref().map(|one| &*one.object) {
            labels.extend(owned(of_service));
        }
        self.add_namespace(&mut labels, &backends.namespace);
        let mut targets = Vec::new();
        // The pods that were met, each with the ports that it was met at.
        let mut met: Vec<(&str, Kept<Object>, Vec<u32>)> = Vec::new();
        for subset in &backends.subsets {
            for port in &subset.ports {
                for address in &subset.addresses {
                    let mut own = pairs(&address.labels);
                    own.extend(pairs(&port.labels));
                    if self.attach.node
                        && let Some(node) = address.node.as_deref()
                        && let Some(node) = get(&self.nodes, node)
                    {
                        let mut of_node = BTreeMap::new();
                        add_node(&mut of_node, &node.object);
                        own.extend(of_node);
                    }
                    let key = address.pod.as_deref().unwrap_or_default();
                    if let Some(kept) = get(&self.pods, key)
                        && let Object::Pod(pod) = &*kept.object
                    {
                        own.extend(pairs(&pod.labels));
                        own.extend(self.owners(pod));
                        own.extend(at_port(pod, port, backends.is_slice));
                        let at = met.iter().position(|(known, ..)| *known == key);
                        let at = at.unwrap_or_else(|| {
                            met.push((key, kept.clone(), Vec::new()));
                            met.len() - 1
                        });
                        met[at].2.extend(port.number);
                    }
                    targets.push(Spot {
                        address: match port.number {
                            Some(number) => host_port(&address.ip, number),
                            None => address.ip.to_string(),
                        },
                        labels: own,
                    });
                }
            }
        }
        for (_, kept, ports) in &met {
            if let Object::Pod(pod) = &*kept.object {
                targets.extend(self.beside(pod, ports));
            }
        }
        Group { targets, labels }
    }

    /// The ports of a pod that belong to no endpoint.
    fn beside(&self, pod: &Pod, endpoints: &[u32]) -> Vec<Spot> {
        let mut spots = Vec::new();
        if pod.ip.is_empty() {
            return spots;
        }
        for container in &pod.containers {
            for port in &container.ports {
                if endpoints.contains(&port.number) {
                    continue;
                }
                let mut labels = described(container);
                labels.extend(numbered(port, &port.protocol));
                labels.extend(pairs(&pod.labels));
                labels.extend(self.owners(pod));
                spots.push(Spot {
                    address: host_port(&pod.ip, port.number),
                    labels,
                });
            }
        }
        spots
    }

    /// What is told of what controls a pod, and of what controls that.
    fn owners(&self, pod: &Pod) -> Owned {
        let mut labels = Vec::new();
        let Some((kind, name)) = &pod.owner else {
            return labels;
        };
        let mut put = |label: &str, value: &str| {
            let label = format!("__meta_kubernetes_pod_{label}_name");
            labels.push((label, value.to_owned()));
        };
        let key = object_key(&pod.namespace, name);
        let above = |shelf: &Option<Arc<Shelf>>, wanted: &str| match &*get(shelf, &key)?.object {
            Object::Owned(Some((kind, name))) if **kind == *wanted => Some(name.to_string()),
            _ => None,
        };
        match &**kind {
            "ReplicaSet" if self.attach.deployment => {
                if let Some(name) = above(&self.replica_sets, "Deployment") {
                    put("deployment", &name);
                }
            }
            "Job" => {
                if self.attach.job {
                    put("job", name);
                }
                if self.attach.cronjob
                    && let Some(name) = above(&self.jobs, "CronJob")
                {
                    put("cronjob", &name);
                }
            }
            _ => {}
        }
        labels
    }

    fn add_namespace(&self, labels: &mut BTreeMap<String, String>, name: &str) {
        let kept = get(&self.namespaces, name);
        if let Some(Object::Described(described)) = kept.as_ref().map(|kept| &*kept.object) {
            labels.extend(pairs(described));
        }
    }
}

/// The labels of a node that targets on it may have, which are those of its metadata.
fn add_node(labels: &mut BTreeMap<String, String>, node: &Object) {
    const OF_STATUS: [&str; 3] = ["provider_id", "condition_", "address_"];
    if let Object::Node(node) = node {
        let own = pairs(&node.labels).into_iter().filter(|(name, _)| {
            let name = name.strip_prefix("__meta_kubernetes_node_");
            name.is_some_and(|name| !OF_STATUS.iter().any(|start| name.starts_with(start)))
        });
        labels.extend(own);
    }
}

/// What an endpoint's pod says of the port.
fn at_port(pod: &Pod, port: &Port, is_slice: bool) -> Owned {
    let mut labels = Vec::new();
    for container in &pod.containers {
        let of = |one: &&ContainerPort| Some(one.number) == port.number;
        if let Some(found) = container.ports.iter().find(of) {
            let protocol = if is_slice {
                &found.protocol
            } else {
                &port.protocol
            };
            labels = described(container);
            labels.extend(numbered(found, protocol));
        }
    }
    labels
}

fn described(container: &Container) -> Owned {
    let of = [
        ("name", container.name.to_string()),
        ("image", container.image.to_string()),
        ("init", container.is_init.to_string()),
    ];
    let of = of.map(|(name, value)| (format!("__meta_kubernetes_pod_container_{name}"), value));
    of.into()
}

fn numbered(port: &ContainerPort, protocol: &str) -> Owned {
    let of = [
        ("name", port.name.to_string()),
        ("number", port.number.to_string()),
        ("protocol", protocol.to_owned()),
    ];
    let name = |name| format!("__meta_kubernetes_pod_container_port_{name}");
    of.map(|(of, value)| (name(of), value)).into()
}

fn pairs(labels: &Labels) -> Owned {
    let labels = labels.iter();
    labels
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn owned(labels: &Labels) -> BTreeMap<String, String> {
    pairs(labels).into_iter().collect()
}

/// The namespace that labels tell of.
fn namespace(labels: &Labels) -> &str {
    let found = labels
        .iter()
        .find(|(name, _)| &**name == "__meta_kubernetes_namespace");
    found.map_or("", |(_, value)| value)
}
