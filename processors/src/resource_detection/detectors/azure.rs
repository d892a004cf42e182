//! `azure` and `aks`: the instance metadata service of Azure.

use regex::Regex;
use serde::Deserialize;

use super::super::found::{Found, Known};
use super::super::world::{Mute, World};

pub(super) const AZURE: &[Known] = &[
    ("azure.resourcegroup.name", true),
    ("azure.vm.name", true),
    ("azure.vm.scaleset.name", true),
    ("azure.vm.size", true),
    ("cloud.account.id", true),
    ("cloud.platform", true),
    ("cloud.provider", true),
    ("cloud.region", true),
    ("host.id", true),
    ("host.name", true),
];

pub(super) const AKS: &[Known] = &[
    ("cloud.platform", true),
    ("cloud.provider", true),
    ("k8s.cluster.name", false),
];

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Compute {
    location: String,
    name: String,
    vm_id: String,
    vm_size: String,
    subscription_id: String,
    resource_group_name: String,
    vm_scale_set_name: String,
    os_profile: OsProfile,
    tags_list: Vec<Tag>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OsProfile {
    computer_name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tag {
    name: String,
    value: String,
}

async fn compute(world: &World) -> Result<Compute, Mute> {
    const PATH: &str = "metadata/instance/compute?api-version=2020-09-01&format=json";
    let url = format!("{}/{PATH}", world.metadata);
    world.json(&url, &[("metadata", "True")]).await
}

/// A virtual machine.
pub(super) async fn azure(world: &World, tags: &[Regex], found: &mut Found<'_>) -> bool {
    let Ok(compute) = compute(world).await else {
        return false;
    };
    found.set("cloud.provider", "azure");
    found.set("cloud.platform", "azure_vm");
    found.set("host.name", compute.os_profile.computer_name);
    found.set("cloud.region", compute.location);
    found.set("host.id", compute.vm_id);
    found.set("cloud.account.id", compute.subscription_id);
    found.set("azure.vm.name", compute.name);
    found.set("azure.vm.size", compute.vm_size);
    found.set("azure.vm.scaleset.name", compute.vm_scale_set_name);
    found.set("azure.resourcegroup.name", compute.resource_group_name);
    for Tag { name, value } in compute.tags_list {
        if tags.iter().any(|tag| tag.is_match(&name)) {
            found.add(format!("azure.tags.{name}"), value);
        }
    }
    true
}

/// A node of AKS.
pub(super) async fn aks(world: &World, found: &mut Found<'_>) -> bool {
    if world.variable("KUBERNETES_SERVICE_HOST").is_none() {
        return false;
    }
    let Ok(compute) = compute(world).await else {
        return false;
    };
    found.set("cloud.provider", "azure");
    found.set("cloud.platform", "azure_aks");
    found.set("k8s.cluster.name", cluster(&compute.resource_group_name));
    true
}

/// The cluster that a group's name has, as `MC_group_cluster_place`; all of it where it has none.
fn cluster(group: &str) -> &str {
    let parts: Vec<_> = group.split('_').collect();
    match parts[..] {
        [kind, _, cluster, _] if kind.eq_ignore_ascii_case("MC") => cluster,
        _ => group,
    }
}
