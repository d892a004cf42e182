//! `gcp`: the places to run in at Google, each told by the variables that it sets.

use super::super::found::{Found, Known};
use super::super::world::{Mute, World};

pub(super) const ATTRIBUTES: &[Known] = &[
    ("cloud.account.id", true),
    ("cloud.availability_zone", true),
    ("cloud.platform", true),
    ("cloud.provider", true),
    ("cloud.region", true),
    ("faas.instance", true),
    ("faas.name", true),
    ("faas.version", true),
    ("gcp.cloud_run.job.execution", true),
    ("gcp.cloud_run.job.task_index", true),
    ("gcp.gce.instance.hostname", false),
    ("gcp.gce.instance.name", false),
    ("host.id", true),
    ("host.name", true),
    ("host.type", true),
    ("k8s.cluster.name", true),
];

/// The metadata server.
struct Metadata<'a> {
    world: &'a World,
    base: String,
}

impl Metadata<'_> {
    async fn get(&self, path: &str) -> Result<String, Mute> {
        let url = format!("{}/computeMetadata/v1/{path}", self.base);
        self.world
            .text(&url, &[("metadata-flavor", "Google")])
            .await
    }

    /// What must be there.
    async fn must(&self, path: &str) -> Result<String, String> {
        let told = self.get(path).await;
        told.map_err(|mute| format!("{path}: {mute}"))
    }

    /// The last part of a path, as `us-central1-c` of `projects/7/zones/us-central1-c`.
    async fn last(&self, path: &str) -> Result<String, String> {
        let told = self.must(path).await?;
        Ok(told.rsplit('/').next().unwrap_or_default().to_owned())
    }
}

pub(super) async fn detect(world: &World, found: &mut Found<'_>) -> Result<bool, String> {
    let host = world.variable("GCE_METADATA_HOST");
    let metadata = Metadata {
        world,
        base: host.map_or_else(|| world.metadata.clone(), |host| format!("http://{host}")),
    };
    // Other clouds have a server at the same address, which does not know this.
    let Ok(project) = metadata.get("project/project-id").await else {
        return Ok(false);
    };
    found.set("cloud.provider", "gcp");
    found.set("cloud.account.id", project);
    let is_set = |name: &str| world.variable(name).is_some();
    let location = match is_set("KUBERNETES_SERVICE_HOST") {
        true => metadata
            .get("instance/attributes/cluster-location")
            .await
            .ok(),
        false => None,
    };
    if let Some(location) = location {
        kubernetes(&metadata, &location, found).await?;
    } else if is_set("FUNCTION_TARGET") {
        service(&metadata, "gcp_cloud_functions", found).await?;
    } else if is_set("K_CONFIGURATION") {
        service(&metadata, "gcp_cloud_run", found).await?;
    } else if is_set("CLOUD_RUN_JOB") {
        job(&metadata, found).await?;
    } else if is_set("GAE_SERVICE") {
        app_engine(&metadata, found).await?;
    } else if let Ok(kind) = metadata.get("instance/machine-type").await {
        machine(&metadata, kind, found).await?;
    }
    Ok(true)
}

/// The region of a zone: `us-central1` of `us-central1-c`.
fn region_of(zone: &str) -> &str {
    zone.rsplit_once('-').map_or(zone, |(region, _)| region)
}

async fn kubernetes(
    metadata: &Metadata<'_>,
    location: &str,
    found: &mut Found<'_>,
) -> Result<(), String> {
    found.set("cloud.platform", "gcp_kubernetes_engine");
    // A zone has two dashes, a region one.
    if location.matches('-').count() == 2 {
        found.set("cloud.availability_zone", location);
        found.set("cloud.region", region_of(location));
    } else {
        found.set("cloud.region", location);
    }
    let name = metadata.must("instance/attributes/cluster-name").await?;
    found.set("k8s.cluster.name", name);
    found.set("host.id", metadata.must("instance/id").await?);
    // Not told under workload identity.
    found.set_some("host.name", metadata.get("instance/name").await.ok());
    Ok(())
}

/// A service of Cloud Run or a function.
async fn service(
    metadata: &Metadata<'_>,
    platform: &str,
    found: &mut Found<'_>,
) -> Result<(), String> {
    let world = metadata.world;
    found.set("cloud.platform", platform);
    found.set_some("faas.name", world.variable("K_SERVICE"));
    found.set_some("faas.version", world.variable("K_REVISION"));
    found.set("faas.instance", metadata.must("instance/id").await?);
    found.set("cloud.region", metadata.last("instance/region").await?);
    Ok(())
}

/// A job of Cloud Run.
async fn job(metadata: &Metadata<'_>, found: &mut Found<'_>) -> Result<(), String> {
    let world = metadata.world;
    found.set("cloud.platform", "gcp_cloud_run");
    found.set_some("faas.name", world.variable("CLOUD_RUN_JOB"));
    found.set("faas.instance", metadata.must("instance/id").await?);
    found.set("cloud.region", metadata.last("instance/region").await?);
    let execution = world.variable("CLOUD_RUN_EXECUTION");
    found.set_some("gcp.cloud_run.job.execution", execution);
    let index = world.variable("CLOUD_RUN_TASK_INDEX");
    found.set_some("gcp.cloud_run.job.task_index", index);
    Ok(())
}

async fn app_engine(metadata: &Metadata<'_>, found: &mut Found<'_>) -> Result<(), String> {
    let world = metadata.world;
    found.set("cloud.platform", "gcp_app_engine");
    found.set_some("faas.name", world.variable("GAE_SERVICE"));
    found.set_some("faas.version", world.variable("GAE_VERSION"));
    found.set_some("faas.instance", world.variable("GAE_INSTANCE"));
    let zone = metadata.last("instance/zone").await?;
    let region = match world.variable("GAE_ENV").as_deref() {
        Some("standard") => metadata.last("instance/region").await?,
        _ => region_of(&zone).to_owned(),
    };
    found.set("cloud.region", region);
    found.set("cloud.availability_zone", zone);
    Ok(())
}

async fn machine(
    metadata: &Metadata<'_>,
    kind: String,
    found: &mut Found<'_>,
) -> Result<(), String> {
    found.set("cloud.platform", "gcp_compute_engine");
    let zone = metadata.last("instance/zone").await?;
    found.set("cloud.region", region_of(&zone));
    found.set("cloud.availability_zone", zone);
    found.set("host.type", kind);
    found.set("host.id", metadata.must("instance/id").await?);
    let name = metadata.must("instance/name").await?;
    found.set("host.name", name.as_str());
    found.set("gcp.gce.instance.name", name);
    if found.wants("gcp.gce.instance.hostname") {
        let host = metadata.must("instance/hostname").await?;
        found.set("gcp.gce.instance.hostname", host);
    }
    Ok(())
}
