//! The API server and the kubelet of a cluster with one pod.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

pub const NODE: &str = "node-1";
pub const POD: &str = "web-0";
pub const POD_UID: &str = "0c5e9a2e-7a9d-4d8c-9a51-0c1f7f0a3d11";

/// Answers for as long as the process lives.
pub struct Cluster {
    address: String,
    /// Watches stay open until the end of the test.
    _over: Arc<(Mutex<bool>, Condvar)>,
}

impl Cluster {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("a bound address").to_string();
        let over = Arc::<(Mutex<bool>, Condvar)>::default();
        let shared = Arc::clone(&over);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let over = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let _ = serve(&stream, &over);
                });
            }
        });
        Self {
            address,
            _over: over,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig file that leads here.
    pub fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let path = folder.join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
             clusters: [{{name: here, cluster: {{server: '{}'}}}}]\n\
             users: [{{name: agent, user: {{token: none}}}}]\n\
             contexts: [{{name: here, context: {{cluster: here, user: agent}}}}]\n",
            self.url()
        );
        std::fs::write(&path, text).expect("a kubeconfig file");
        path
    }
}

fn pod() -> Value {
    json!({
        "metadata": {
            "name": POD, "namespace": "shop", "uid": POD_UID, "resourceVersion": "7",
            "creationTimestamp": "2026-11-30T09:00:00Z",
            "labels": {"app.kubernetes.io/part-of": "shop"},
        },
        "spec": {"nodeName": NODE, "containers": [{"name": "web", "image": "example.com/web:1.2"}]},
        "status": {
            "phase": "Running", "podIP": "10.1.2.3", "startTime": "2026-11-30T09:00:01Z",
            "containerStatuses": [{
                "name": "web", "restartCount": 0, "containerID": "containerd://0123456789abcdef",
                "image": "example.com/web:1.2", "imageID": "example.com/web@sha256:00",
            }],
        },
    })
}

fn summary() -> Value {
    json!({
        "node": {
            "nodeName": NODE, "startTime": "2026-11-30T08:00:00Z",
            "cpu": {"time": "2026-11-30T10:00:00Z", "usageNanoCores": 1_000_000, "usageCoreNanoSeconds": 5_000_000_000u64},
            "memory": {"time": "2026-11-30T10:00:00Z", "usageBytes": 1_000, "workingSetBytes": 900},
        },
        "pods": [],
    })
}

fn answer(path: &str) -> Value {
    let list = |kind: &str, items: Vec<Value>| json!({"kind": format!("{kind}List"), "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": items});
    match path {
        "/stats/summary" => summary(),
        path if path.ends_with("/pods") => list("Pod", vec![pod()]),
        _ => list("Object", Vec::new()),
    }
}

fn serve(stream: &TcpStream, over: &(Mutex<bool>, Condvar)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut out = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line != "\r\n" {
            line.clear();
        }
        let target = first.split_whitespace().nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if query.contains("watch=") && !query.contains("watch=false") && !query.contains("watch=0")
        {
            write!(
                out,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            )?;
            let (ended, bell) = over;
            let guard = ended
                .lock()
                .map_err(|_| std::io::Error::other("poisoned"))?;
            // Nothing ever changes here; the process ends before the watch does.
            let _ = bell.wait_timeout_while(guard, Duration::from_secs(3600), |ended| !*ended);
            return Ok(());
        }
        let body = answer(path).to_string();
        write!(
            out,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
}
