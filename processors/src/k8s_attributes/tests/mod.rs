//! The processor beside an API server that is scripted from the documentation of the API.

mod config;
mod following;
mod pods;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::{Value, json};
use tidegate_component::StartError;
use tidegate_component::testing::{HereWorkers, ProcessorBench};
use tidegate_pdata::{Context, Payload, Signal};
use tidegate_transport::kubernetes::scripted::Server;
use tokio::time::{Instant, sleep};

use super::Config;

const PATIENCE: Duration = Duration::from_secs(60);
const PODS: &str = "/api/v1/pods";

/// Attributes by name, as text.
type Told = BTreeMap<String, String>;

/// A processor that follows the scripted server.
struct Rig {
    bench: ProcessorBench,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// One with these keys, once its preparations are done.
    async fn start(server: &Server, keys: &str) -> Self {
        Self::try_start(server, keys).await.unwrap()
    }

    async fn try_start(server: &Server, keys: &str) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().unwrap();
        let file = server.kubeconfig(folder.path());
        let text = format!(
            "{{auth_type: kubeConfig, kube_config_path: '{}', wait_for_metadata: true, {keys}}}",
            file.display()
        );
        let bench = ProcessorBench::new::<Config>(&text, Signal::Logs);
        for preparation in bench.context().preparations.take() {
            preparation.run(HereWorkers::workers()).await?;
        }
        Ok(Self {
            bench,
            _folder: folder,
        })
    }

    /// What becomes of the attributes of a resource that came from an address.
    fn tell(&mut self, attributes: &[(&str, &str)], peer: Option<&str>) -> Told {
        let mut context = Context::builder();
        if let Some(peer) = peer {
            context = context.peer(format!("{peer}:5000").parse().unwrap());
        }
        let payload = payload(attributes);
        let _ = self.bench.send_from(payload, context.build());
        let mut emitted = self.bench.take_emitted();
        assert_eq!(emitted.len(), 1);
        told(&emitted.pop().unwrap().0)
    }

    /// Waits until a resource is told something like this.
    async fn until(&mut self, attributes: &[(&str, &str)], is: impl Fn(&Told) -> bool) -> Told {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.tell(attributes, None);
            if is(&told) {
                return told;
            }
            assert!(Instant::now() < end, "it did not come to be: {told:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn counter(&self, name: &str) -> u64 {
        self.bench.context().metrics.counter(name, "", &[]).value()
    }
}

fn payload(attributes: &[(&str, &str)]) -> Payload {
    let one = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue {
            value: Some(Any::StringValue((*value).to_owned())),
        }),
        ..KeyValue::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: attributes.iter().map(one).collect(),
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                log_records: vec![LogRecord::default()],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let bytes = request.encode_to_vec().into();
    Payload::admit(Signal::Logs, bytes, None).unwrap().payload
}

fn told(payload: &Payload) -> Told {
    let bytes = payload.segments()[0].bytes().clone();
    let request = ExportLogsServiceRequest::decode(bytes).unwrap();
    let resource = request.resource_logs[0].resource.as_ref().unwrap();
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|any| any.value.clone()) {
        Some(Any::StringValue(text)) => text,
        Some(Any::ArrayValue(list)) => format!("{:?}", list.values.len()),
        other => format!("{other:?}"),
    };
    let attributes = resource.attributes.iter();
    attributes
        .map(|one| (one.key.clone(), text(&one.value)))
        .collect()
}

fn of(pairs: &[(&str, &str)]) -> Told {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

/// A pod of a deployment.
fn pod(name: &str, uid: &str, ip: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"pod-template-hash": "6c45f8d6f6", "app.kubernetes.io/component": "web", "tier": "front"},
            "annotations": {"note": "hello"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-6c45f8d6f6", "uid": "rs1", "controller": true},
            ],
        },
        "spec": {
            "nodeName": "n1", "hostname": "cart-host",
            "containers": [{"name": "app", "image": "ghcr.io/shop/cart:1.2"}],
        },
        "status": {
            "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": "2026-01-01T00:00:01Z",
            "containerStatuses": [{
                "name": "app", "containerID": "containerd://c1", "restartCount": 2,
                "imageID": "ghcr.io/shop/cart@sha256:12",
            }],
        },
    })
}
