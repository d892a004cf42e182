//! `ecs`: the task metadata endpoint of Amazon's container service.

use serde::Deserialize;

use super::super::found::{Found, Known, Value};
use super::super::world::World;

pub(super) const ATTRIBUTES: &[Known] = &[
    ("aws.ecs.cluster.arn", true),
    ("aws.ecs.launchtype", true),
    ("aws.ecs.task.arn", true),
    ("aws.ecs.task.family", true),
    ("aws.ecs.task.id", true),
    ("aws.ecs.task.revision", true),
    ("aws.log.group.arns", true),
    ("aws.log.group.names", true),
    ("aws.log.stream.arns", true),
    ("aws.log.stream.names", true),
    ("cloud.account.id", true),
    ("cloud.availability_zone", true),
    ("cloud.platform", true),
    ("cloud.provider", true),
    ("cloud.region", true),
];

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Task {
    cluster: String,
    #[serde(rename = "TaskARN")]
    arn: String,
    family: String,
    revision: String,
    launch_type: String,
    availability_zone: String,
    containers: Vec<Container>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Container {
    docker_id: String,
    #[serde(rename = "Type")]
    kind: String,
    known_status: String,
    log_driver: String,
    log_options: LogOptions,
}

#[derive(Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct LogOptions {
    #[serde(rename = "awslogs-group")]
    group: String,
    #[serde(rename = "awslogs-region")]
    region: String,
    #[serde(rename = "awslogs-stream")]
    stream: String,
}

pub(super) async fn detect(world: &World, found: &mut Found<'_>) -> Result<bool, String> {
    let endpoint = world
        .variable("ECS_CONTAINER_METADATA_URI_V4")
        .or_else(|| world.variable("ECS_CONTAINER_METADATA_URI"));
    let Some(endpoint) = endpoint else {
        return Ok(false);
    };
    let task: Task = world
        .json(&format!("{endpoint}/task"), &[])
        .await
        .map_err(|mute| format!("the task: {mute}"))?;
    let mut parts = task.arn.split(':').skip(3);
    let (region, account) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    found.set("cloud.provider", "aws");
    found.set("cloud.platform", "aws_ecs");
    found.set("aws.ecs.task.arn", task.arn.as_str());
    found.set("aws.ecs.task.family", task.family);
    found.set_some(
        "aws.ecs.task.id",
        task.arn.rsplit_once('/').map(|(_, id)| id),
    );
    found.set("aws.ecs.task.revision", task.revision);
    found.set_some("cloud.account.id", some(account));
    found.set_some("cloud.region", some(region));
    found.set(
        "aws.ecs.cluster.arn",
        match task.cluster.contains(':') {
            true => task.cluster,
            false => format!("arn:aws:ecs:{region}:{account}:cluster/{}", task.cluster),
        },
    );
    found.set_some("cloud.availability_zone", some(&task.availability_zone));
    let kind = task.launch_type.to_ascii_lowercase();
    if matches!(&*kind, "ec2" | "fargate") {
        found.set("aws.ecs.launchtype", kind);
    }
    let own: Container = world
        .json(&endpoint, &[])
        .await
        .map_err(|mute| format!("the container: {mute}"))?;
    logs(&task.containers, &own, account, found);
    Ok(true)
}

/// Where the other containers of the task log to.
fn logs(containers: &[Container], own: &Container, account: &str, found: &mut Found<'_>) {
    let logging = containers.iter().filter(|container| {
        container.kind == "NORMAL"
            && container.known_status == "RUNNING"
            && container.log_driver == "awslogs"
            && container.docker_id != own.docker_id
            && container.log_options != LogOptions::default()
    });
    let options: Vec<_> = logging.map(|container| &container.log_options).collect();
    let group = |log: &LogOptions| {
        format!(
            "arn:aws:logs:{}:{account}:log-group:{}",
            log.region, log.group
        )
    };
    let stream = |log: &LogOptions| format!("{}:log-stream:{}", group(log), log.stream);
    let mut set = |name, text: &dyn Fn(&LogOptions) -> String| {
        if !options.is_empty() {
            found.set(
                name,
                Value::Texts(options.iter().map(|log| text(log)).collect()),
            );
        }
    };
    set("aws.log.group.names", &|log| log.group.clone());
    set("aws.log.group.arns", &group);
    set("aws.log.stream.names", &|log| log.stream.clone());
    set("aws.log.stream.arns", &stream);
}
