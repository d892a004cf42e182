//! `ec2`, `ecs`, `eks`, `lambda` and `elastic_beanstalk`: the places to run in at Amazon.

use http::{Method, StatusCode};
use regex::Regex;
use serde::Deserialize;

use super::super::found::{Found, Known, Value};
use super::super::world::{Mute, World};
use super::kubernetes;

pub(super) const EC2: &[Known] = &[
    ("cloud.account.id", true),
    ("cloud.availability_zone", true),
    ("cloud.platform", true),
    ("cloud.provider", true),
    ("cloud.region", true),
    ("host.id", true),
    ("host.image.id", true),
    ("host.name", true),
    ("host.type", true),
];

pub(super) const EKS: &[Known] = &[
    ("cloud.account.id", true),
    ("cloud.availability_zone", true),
    ("cloud.platform", true),
    ("cloud.provider", true),
    ("cloud.region", true),
    ("host.id", true),
    ("host.image.id", true),
    ("host.name", true),
    ("host.type", true),
    ("k8s.cluster.name", false),
];

pub(super) const LAMBDA: &[Known] = &[
    ("aws.log.group.names", true),
    ("aws.log.stream.names", true),
    ("cloud.platform", true),
    ("cloud.provider", true),
    ("cloud.region", true),
    ("faas.instance", true),
    ("faas.max_memory", true),
    ("faas.name", true),
    ("faas.version", true),
];

pub(super) const ELASTIC_BEANSTALK: &[Known] = &[
    ("cloud.platform", true),
    ("cloud.provider", true),
    ("deployment.environment", true),
    ("service.instance.id", true),
    ("service.version", true),
];

/// The instance metadata service, with the token that its second version wants.
struct Imds<'a> {
    world: &'a World,
    base: String,
    token: Option<String>,
}

/// The instance identity document.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Identity {
    account_id: String,
    availability_zone: String,
    region: String,
    instance_id: String,
    image_id: String,
    instance_type: String,
}

impl<'a> Imds<'a> {
    /// The service, if there is one.
    async fn open(world: &'a World) -> Result<Self, Mute> {
        let off = world.variable("AWS_EC2_METADATA_DISABLED");
        if off.is_some_and(|off| off.eq_ignore_ascii_case("true")) {
            return Err(Mute::Absent("AWS_EC2_METADATA_DISABLED is set".to_owned()));
        }
        let base = world.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let base = base.unwrap_or_else(|| world.metadata.clone());
        let base = base.trim_end_matches('/').to_owned();
        let url = format!("{base}/latest/api/token");
        let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", "21600")];
        let token = match world.ask(Method::PUT, &url, &ttl).await {
            Ok(answer) => Some(String::from_utf8_lossy(&answer.body).into_owned()),
            // Its first version knows of no tokens.
            Err(Mute::Refuses(
                StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED,
            )) => None,
            Err(mute) => return Err(mute),
        };
        Ok(Self { world, base, token })
    }

    fn headers(&self) -> Vec<(&'static str, &str)> {
        let token = self.token.as_deref();
        let header = token.map(|token| ("x-aws-ec2-metadata-token", token));
        header.into_iter().collect()
    }

    async fn text(&self, path: &str) -> Result<String, Mute> {
        let url = format!("{}/latest/{path}", self.base);
        self.world.text(&url, &self.headers()).await
    }

    async fn identity(&self) -> Result<Identity, Mute> {
        let url = format!("{}/latest/dynamic/instance-identity/document", self.base);
        self.world.json(&url, &self.headers()).await
    }
}

/// What both EC2 and EKS say of a machine.
async fn machine(imds: &Imds<'_>, platform: &str, found: &mut Found<'_>) -> Result<(), String> {
    let identity = imds.identity().await;
    let identity = identity.map_err(|mute| format!("the identity document: {mute}"))?;
    let name = imds.text("meta-data/hostname").await;
    let name = name.map_err(|mute| format!("the host's name: {mute}"))?;
    found.set("cloud.provider", "aws");
    found.set("cloud.platform", platform);
    found.set("cloud.region", identity.region);
    found.set("cloud.account.id", identity.account_id);
    found.set("cloud.availability_zone", identity.availability_zone);
    found.set("host.id", identity.instance_id);
    found.set("host.image.id", identity.image_id);
    found.set("host.type", identity.instance_type);
    found.set("host.name", name);
    Ok(())
}

/// A machine of EC2; whether there is one is for the caller to judge.
pub(super) async fn ec2(
    world: &World,
    tags: &[Regex],
    found: &mut Found<'_>,
) -> Result<bool, String> {
    let Ok(imds) = Imds::open(world).await else {
        return Ok(false);
    };
    machine(&imds, "aws_ec2", found).await?;
    if tags.is_empty() {
        return Ok(true);
    }
    let names = imds.text("meta-data/tags/instance").await;
    let names = names.map_err(|mute| {
        format!("the instance's tags: {mute}; does it have `InstanceMetadataTags=enabled`?")
    })?;
    for name in names.lines().map(str::trim) {
        if tags.iter().any(|tag| tag.is_match(name)) {
            let value = imds.text(&format!("meta-data/tags/instance/{name}")).await;
            let value = value.map_err(|mute| format!("the tag {name}: {mute}"))?;
            found.add(format!("ec2.tag.{name}"), value);
        }
    }
    Ok(true)
}

/// A node of EKS.
pub(super) async fn eks(world: &World, found: &mut Found<'_>) -> Result<bool, String> {
    if world.variable("KUBERNETES_SERVICE_HOST").is_none() {
        return Ok(false);
    }
    // Its API server says by its version that it is Amazon's.
    let version = kubernetes::version(world).await;
    let version = version.map_err(|mute| format!("the version of Kubernetes: {mute}"))?;
    if !version.contains("-eks-") {
        return Ok(false);
    }
    let imds = Imds::open(world).await;
    let imds = imds.map_err(|mute| format!("the instance metadata service: {mute}"))?;
    machine(&imds, "aws_eks", found).await?;
    if found.wants("k8s.cluster.name") {
        let name = imds.text("meta-data/tags/instance/eks:cluster-name").await;
        match name {
            Ok(name) => found.set("k8s.cluster.name", name),
            Err(mute) => tracing::warn!(
                error = %mute,
                "the name of the EKS cluster is not told: give the instances `InstanceMetadataTags=enabled`"
            ),
        }
    }
    Ok(true)
}

/// A function of Lambda.
pub(super) fn lambda(world: &World, found: &mut Found<'_>) -> bool {
    let Some(name) = world.variable("AWS_LAMBDA_FUNCTION_NAME") else {
        return false;
    };
    let one = |name: &str| world.variable(name).map(|value| Value::Texts(vec![value]));
    found.set("cloud.provider", "aws");
    found.set("cloud.platform", "aws_lambda");
    found.set_some("cloud.region", world.variable("AWS_REGION"));
    found.set("faas.name", name);
    found.set_some(
        "faas.version",
        world.variable("AWS_LAMBDA_FUNCTION_VERSION"),
    );
    found.set_some(
        "faas.instance",
        world.variable("AWS_LAMBDA_LOG_STREAM_NAME"),
    );
    found.set_some(
        "faas.max_memory",
        world.variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
    );
    found.set_some("aws.log.group.names", one("AWS_LAMBDA_LOG_GROUP_NAME"));
    found.set_some("aws.log.stream.names", one("AWS_LAMBDA_LOG_STREAM_NAME"));
    true
}

/// What X-Ray's configuration on the instances of Beanstalk says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Beanstalk {
    deployment_id: i64,
    version_label: String,
    environment_name: String,
}

/// An instance of Elastic Beanstalk.
pub(super) fn elastic_beanstalk(world: &World, found: &mut Found<'_>) -> Result<bool, String> {
    const PATH: &str = "/var/elasticbeanstalk/xray/environment.conf";
    let Some(text) = world.file(PATH) else {
        return Ok(false);
    };
    let read: Beanstalk =
        serde_json::from_str(&text).map_err(|error| format!("{PATH}: {error}"))?;
    found.set("cloud.provider", "aws");
    found.set("cloud.platform", "aws_elastic_beanstalk");
    found.set("service.instance.id", read.deployment_id.to_string());
    found.set("deployment.environment", read.environment_name);
    found.set("service.version", read.version_label);
    Ok(true)
}
