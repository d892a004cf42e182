//! Asking: the kubelet, and where more is to be known of nodes and volumes the API server.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidegate_transport::kubernetes::{Api, ApiError};
use tokio::time::Instant;

use super::pods::{Known, PodList, Told, Volume, known, quantity};
use super::summary::Summary;

/// The most that is read of one answer.
const MOST: usize = 64 << 20;
/// How long what a node has is taken to be as it was.
const FRESH: Duration = Duration::from_secs(300);
/// How many volumes are remembered.
const VOLUMES: usize = 10_000;

/// What a node has; 0 where that is not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Capacity {
    pub(super) cpu: f64,
    pub(super) memory: f64,
}

/// The kubelet, and the API server beside it.
pub(super) struct Kubelet {
    kubelet: Api,
    server: Option<Api>,
    capacity: Option<(Capacity, Instant)>,
    volumes: HashMap<(String, String), Told>,
}

impl Kubelet {
    pub(super) fn new(kubelet: Api, server: Option<Api>) -> Self {
        Self {
            kubelet,
            server,
            capacity: None,
            volumes: HashMap::new(),
        }
    }

    /// What the kubelet knows of the use of its node.
    pub(super) async fn summary(&self) -> Result<Summary, ApiError> {
        parsed(&self.kubelet.get("/stats/summary", MOST).await?)
    }

    /// The pods of the node.
    pub(super) async fn pods(&self) -> Result<HashMap<String, Known>, ApiError> {
        let list: PodList = parsed(&self.kubelet.get("/pods", MOST).await?)?;
        Ok(known(list))
    }

    /// What a node has, asked for now and then.
    pub(super) async fn capacity(&mut self, node: &str) -> Result<Capacity, ApiError> {
        if let Some((capacity, at)) = self.capacity
            && at.elapsed() < FRESH
        {
            return Ok(capacity);
        }
        let Some(server) = &self.server else {
            return Ok(Capacity::default());
        };
        let node: NodeObject = parsed(&server.get(&format!("/api/v1/nodes/{node}"), MOST).await?)?;
        let amount = |text: &str| quantity(text).unwrap_or(0.0);
        let capacity = Capacity {
            cpu: amount(&node.status.capacity.cpu),
            memory: amount(&node.status.capacity.memory),
        };
        self.capacity = Some((capacity, Instant::now()));
        Ok(capacity)
    }

    /// What the volume behind a claim is, where somebody can be asked; asked once.
    pub(super) async fn behind(&mut self, namespace: &str, claim: &str) -> Result<Told, ApiError> {
        let Some(server) = &self.server else {
            return Ok(Told::new());
        };
        let key = (namespace.to_owned(), claim.to_owned());
        if let Some(told) = self.volumes.get(&key) {
            return Ok(told.clone());
        }
        let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}");
        let claim: ClaimObject = parsed(&server.get(&path, MOST).await?)?;
        let name = claim.spec.volume_name;
        if name.is_empty() {
            let what = "the claim has no volume yet".to_owned();
            return Err(ApiError::Senseless(what));
        }
        let path = format!("/api/v1/persistentvolumes/{name}");
        let volume: VolumeObject = parsed(&server.get(&path, MOST).await?)?;
        let told = volume.spec.told();
        if self.volumes.len() >= VOLUMES {
            self.volumes.clear();
        }
        self.volumes.insert(key, told.clone());
        Ok(told)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodeObject {
    status: NodeStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    capacity: Amounts,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Amounts {
    cpu: String,
    memory: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ClaimObject {
    spec: ClaimSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimSpec {
    volume_name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VolumeObject {
    spec: Volume,
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::Senseless(error.to_string()))
}
