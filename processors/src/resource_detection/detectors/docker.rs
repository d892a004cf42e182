//! `docker`: what the daemon says of the machine and of this container.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::super::found::{Found, Known, Value};
use super::super::world::World;
use super::system;

pub(super) const ATTRIBUTES: &[Known] = &[
    ("container.image.id", false),
    ("container.image.name", false),
    ("container.image.tags", false),
    ("container.name", false),
    ("host.name", true),
    ("os.type", true),
];

/// The largest answer that is read.
const MOST: u64 = 4 << 20;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    name: String,
    #[serde(rename = "OSType")]
    os_type: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Container {
    name: String,
    /// The ID of the image.
    image: String,
    config: Config,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    /// The image as it was asked for.
    image: String,
}

pub(super) async fn detect(world: &World, found: &mut Found<'_>) -> Result<(), String> {
    let info: Info = ask(world, "/info").await?;
    found.set("host.name", info.name);
    found.set("os.type", info.os_type.to_ascii_lowercase());
    let of_container = ATTRIBUTES
        .iter()
        .filter(|(name, _)| name.starts_with("container."));
    if !of_container.clone().any(|(name, _)| found.wants(name)) {
        return Ok(());
    }
    let own = system::hostname(world).ok_or("the container's own name is not known")?;
    let container: Container = ask(world, &format!("/containers/{own}/json")).await?;
    found.set("container.name", container.name.trim_start_matches('/'));
    found.set("container.image.id", container.image);
    let (name, tag) = image(&container.config.image);
    found.set("container.image.name", name);
    found.set_some(
        "container.image.tags",
        tag.map(|tag| Value::Texts(vec![tag.to_owned()])),
    );
    Ok(())
}

/// The name and the tag of an image, as it is asked for: `registry:5000/name:tag@digest`.
fn image(asked: &str) -> (&str, Option<&str>) {
    let asked = asked.split_once('@').map_or(asked, |(name, _)| name);
    match asked.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (asked, None),
    }
}

/// Asks the daemon, at `DOCKER_HOST` or its usual socket.
async fn ask<T: DeserializeOwned>(world: &World, path: &str) -> Result<T, String> {
    let host = world.variable("DOCKER_HOST");
    let host = host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    let fault = |error: std::io::Error| format!("the Docker daemon at {host}: {error}");
    let answer = match host.split_once("://") {
        Some(("unix", socket)) => {
            let stream = UnixStream::connect(world.path(socket))
                .await
                .map_err(fault)?;
            exchange(stream, path).await
        }
        Some(("tcp" | "http", address)) => {
            let stream = TcpStream::connect(address).await.map_err(fault)?;
            exchange(stream, path).await
        }
        _ => {
            return Err(format!(
                "DOCKER_HOST: \"{host}\" is neither unix:// nor tcp://"
            ));
        }
    };
    let body = answer.map_err(fault)?;
    serde_json::from_slice(&body).map_err(|error| format!("the Docker daemon at {host}: {error}"))
}

/// One request of HTTP/1.0, to which the answer is all that comes.
async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
) -> std::io::Result<Vec<u8>> {
    let head = format!("GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let head = head.ok_or_else(|| std::io::Error::other("it does not answer HTTP"))?;
    let body = answer.split_off(head + 4);
    let line = String::from_utf8_lossy(&answer);
    let line = line.lines().next().unwrap_or_default();
    match line.split(' ').nth(1) {
        Some("200") => Ok(body),
        _ => Err(std::io::Error::other(format!("it answers {line}"))),
    }
}
