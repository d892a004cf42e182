//! `k8s_api` (once `k8snode`): what Kubernetes's API says of the node.

use http::Method;
use serde::Deserialize;
use tidegate_transport::client::{HttpChannel, HttpClient, HttpCompression};
use tidegate_transport::tls::ClientTls;

use super::super::found::{Found, Known};
use super::super::world::{Mute, World, parsed};

pub(super) const ATTRIBUTES: &[Known] = &[
    ("k8s.cluster.uid", true),
    ("k8s.node.name", true),
    ("k8s.node.uid", true),
];

/// Where a pod finds what its service account has.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The API server, as a pod sees it.
struct Api<'a> {
    world: &'a World,
    channel: HttpChannel,
    base: String,
    token: Option<String>,
}

impl<'a> Api<'a> {
    /// `account` tells whether to speak as the pod's service account.
    fn open(world: &'a World, account: bool) -> Result<Self, Mute> {
        let absent = |what: String| Mute::Absent(what);
        let host = world.variable("KUBERNETES_SERVICE_HOST");
        let host = host.ok_or_else(|| {
            absent("KUBERNETES_SERVICE_HOST is not set: this is no pod".to_owned())
        })?;
        let port = world.variable("KUBERNETES_SERVICE_PORT");
        let port = port.unwrap_or_else(|| "443".to_owned());
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host,
        };
        let ca = world.path(&format!("{ACCOUNT}/ca.crt"));
        let tls = ClientTls {
            ca_file: ca.exists().then(|| ca.display().to_string()),
            ..ClientTls::default()
        };
        let client = HttpClient {
            tls,
            ..HttpClient::default()
        };
        let settings = client.build(HttpCompression::None);
        let settings = settings.map_err(|error| absent(error.to_string()))?;
        let channel = settings
            .start(None)
            .map_err(|error| absent(error.to_string()))?;
        let token = world.file(&format!("{ACCOUNT}/token"));
        Ok(Self {
            world,
            channel,
            base: format!("{}://{host}:{port}", world.kubernetes),
            token: token.filter(|_| account),
        })
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, Mute> {
        let url = format!("{}{path}", self.base);
        let token = self.token.as_ref();
        let token = token.map(|token| format!("Bearer {}", token.trim()));
        let mut headers = vec![("accept", "application/json")];
        headers.extend(token.as_deref().map(|token| ("authorization", token)));
        let answer = self
            .world
            .request(&self.channel, Method::GET, &url, &headers);
        parsed(&url, &answer.await?.body)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Thing {
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    uid: String,
}

/// The version of Kubernetes, as `v1.31.2-eks-7f9249a`.
pub(super) async fn version(world: &World) -> Result<String, Mute> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Version {
        git_version: String,
    }
    let version: Version = Api::open(world, true)?.get("/version").await?;
    Ok(version.git_version)
}

/// The node that the pod is on, whose name is in a variable.
pub(super) async fn detect(
    world: &World,
    variable: &str,
    account: bool,
    found: &mut Found<'_>,
) -> Result<Result<(), Mute>, String> {
    let node = world.variable(variable).ok_or_else(|| {
        format!(
            "{variable} is not set: let the pod have it from its field `spec.nodeName`, or name another variable as `node_from_env_var`"
        )
    })?;
    Ok(ask(world, &node, account, found).await)
}

async fn ask(world: &World, node: &str, account: bool, found: &mut Found<'_>) -> Result<(), Mute> {
    let api = Api::open(world, account)?;
    let node: Thing = api.get(&format!("/api/v1/nodes/{node}")).await?;
    found.set("k8s.node.name", node.metadata.name);
    found.set("k8s.node.uid", node.metadata.uid);
    if found.wants("k8s.cluster.uid") {
        match api.get::<Thing>("/api/v1/namespaces/kube-system").await {
            Ok(namespace) => found.set("k8s.cluster.uid", namespace.metadata.uid),
            Err(mute) => tracing::warn!(
                error = %mute,
                "the cluster's ID is not told: may the service account get the namespace kube-system?"
            ),
        }
    }
    Ok(())
}
