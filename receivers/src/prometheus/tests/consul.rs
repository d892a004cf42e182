//! Targets that a Consul agent knows of, before one that does as Consul's documentation says: each answer has an index,
//! and a query with one is answered when there is another, or when its time is over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tidegate_transport::query;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;

#[derive(Default)]
struct State {
    index: u64,
    /// Instances by their service.
    services: BTreeMap<String, Vec<Value>>,
    requests: Vec<String>,
    token: Option<&'static str>,
    failing: bool,
}

/// The agent.
struct Consul {
    address: SocketAddr,
    state: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Shared {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        result
    }
}

impl Drop for Consul {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Consul {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Shared {
            state: Mutex::default(),
            changed: watch::channel(()).0,
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { serve(stream, &shared).await });
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    /// Registers an instance of a service at the address of a peer.
    fn register(&self, service: &str, peer: &Peer, tags: &[&str], health: &str) {
        let address = peer.to_string();
        let (host, port) = address.split_once(':').unwrap();
        let port: u16 = port.parse().unwrap();
        let instance = json!({
            "Node": {"ID": "n", "Node": "node-1", "Address": host, "Datacenter": "dc1",
                "TaggedAddresses": {"wan-v4": "1.2.3.4"}, "Meta": {"rack.row": "7"}},
            "Service": {"ID": format!("{service}-1"), "Service": service, "Tags": tags, "Address": "",
                "Port": port, "Meta": {"team": "shop"}, "Namespace": "ns", "Partition": "p"},
            "Checks": [
                {"CheckID": "serfHealth", "Status": "passing"},
                {"CheckID": "own", "Status": health},
            ],
        });
        self.state.with(|state| {
            state.index += 1;
            state
                .services
                .entry(service.to_owned())
                .or_default()
                .push(instance);
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.with(|state| {
            state.index += 1;
            change(state);
        });
    }

    fn has(&self, parts: &[&str]) -> bool {
        let state = self
            .state
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all = |request: &String| parts.iter().all(|part| request.contains(part));
        state.requests.iter().any(all)
    }

    async fn wait_for(&self, parts: &[&str]) {
        let until = Instant::now() + PATIENCE;
        while !self.has(parts) {
            assert!(Instant::now() < until, "{parts:?} was not asked for");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Option<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?;
        let target = head.split(' ').nth(1)?.to_owned();
        shared.with(|state| state.requests.push(head.clone()));
        let (path, asked) = target.split_once('?').unwrap_or((&target, ""));
        let value = |key: &str| query::values(asked, key).next();
        let index: u64 = value("index")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let mut changed = shared.changed.subscribe();
        let (status, now, body) = loop {
            let (now, failing, token, body) = {
                let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
                (
                    state.index,
                    state.failing,
                    state.token,
                    answer(&state, path, asked),
                )
            };
            if token.is_some_and(|token| !head.contains(&format!("x-consul-token: {token}\r\n"))) {
                break ("403 Forbidden", now, Value::Null);
            }
            if failing {
                break ("500 Internal Server Error", now, Value::Null);
            }
            // One that has forgotten how far it was answers at once.
            if index == 0 || now != index {
                break ("200 OK", now, body);
            }
            changed.changed().await.ok()?;
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-consul-index: {now}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.ok()?;
    }
}

fn answer(state: &State, path: &str, asked: &str) -> Value {
    match path {
        "/v1/agent/self" => json!({"Config": {"Datacenter": "dc1"}, "Member": {}}),
        "/v1/catalog/services" => {
            let tags = |instances: &Vec<Value>| {
                let tags = instances
                    .iter()
                    .filter_map(|one| one["Service"]["Tags"].as_array());
                Value::Array(tags.flatten().cloned().collect())
            };
            let services = state.services.iter();
            let services = services.map(|(name, instances)| (name.clone(), tags(instances)));
            Value::Object(services.collect())
        }
        path => {
            let name = path.strip_prefix("/v1/health/service/").unwrap_or_default();
            let wanted: Vec<String> = query::values(asked, "tag").collect();
            let instances = state.services.get(name).into_iter().flatten();
            let has = |one: &&Value| {
                let tags = one["Service"]["Tags"].as_array().unwrap();
                wanted.iter().all(|tag| tags.contains(&json!(tag)))
            };
            Value::Array(instances.filter(has).cloned().collect())
        }
    }
}

fn config(consul: &Consul, keys: &str) -> String {
    format!(
        "config: {{scrape_configs: [{{job_name: shop, scrape_interval: 200ms, consul_sd_configs: [{{server: '{}', refresh_interval: 100ms{keys}}}], \
         relabel_configs: [{{action: labelmap, regex: '__meta_consul_(.+)', replacement: '$1'}}]}}]}}",
        consul.address
    )
}

#[tokio::test]
async fn services_come_and_go_with_their_instances() {
    let (one, two) = (
        Peer::serving(|_| Reply::page("one 1\n")).await,
        Peer::serving(|_| Reply::page("two 2\n")).await,
    );
    let consul = Consul::start().await;
    consul.register("web", &one, &["v1", "blue"], "warning");
    let mut rig = Rig::start(&config(&consul, "")).await;
    let point = rig.value("one", 1.0).await;
    let port = one.to_string().split_once(':').unwrap().1.to_owned();
    let expected = [
        ("address", "127.0.0.1"),
        ("dc", "dc1"),
        ("health", "warning"),
        ("metadata_rack_row", "7"),
        ("namespace", "ns"),
        ("node", "node-1"),
        ("partition", "p"),
        ("service", "web"),
        ("service_id", "web-1"),
        ("service_metadata_team", "shop"),
        ("service_port", &port),
        ("tagged_address_wan_v4", "1.2.3.4"),
        ("tags", ",v1,blue,"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(point.attributes, expected);
    assert!(consul.has(&["GET /v1/catalog/services?stale=&index=0&wait=120s HTTP/1.1"]));
    assert!(consul.has(&["GET /v1/health/service/web?stale=&index=0&wait=120s HTTP/1.1"]));
    // The next query waits for what comes after the index of the last answer.
    consul
        .wait_for(&["/v1/health/service/web", "index=1&"])
        .await;
    consul.register("db", &two, &[], "passing");
    let point = rig.value("two", 2.0).await;
    assert!(
        point
            .attributes
            .contains(&("tags".to_owned(), ",,".to_owned()))
    );
    consul.change(|state| drop(state.services.remove("web")));
    rig.ended("one").await;
    rig.value("two", 2.0).await;
    rig.stop().await;
}

#[tokio::test]
async fn services_tags_and_a_token_choose() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let other = Peer::serving(|_| Reply::page("b 1\n")).await;
    let consul = Consul::start().await;
    consul.register("web", &peer, &["v1", "blue"], "passing");
    consul.register("web", &other, &["v1"], "passing");
    consul.register("db", &other, &["v1", "blue"], "passing");
    consul.change(|state| state.token = Some("t0ken"));
    let keys = ", services: [web], tags: [v1, blue], token: t0ken, datacenter: dc2, namespace: n s, \
                node_meta: {rack: 7}, filter: 'Service == web', health_filter: 'a == b', allow_stale: false";
    let mut rig = Rig::start(&config(&consul, keys)).await;
    rig.value("a", 1.0).await;
    let scope = "dc=dc2&ns=n%20s&node-meta=rack%3A7";
    assert!(consul.has(&[&format!(
        "/v1/catalog/services?{scope}&filter=Service%20%3D%3D%20web&index=0&"
    )]));
    assert!(consul.has(&[&format!(
        "/v1/health/service/web?tag=v1&tag=blue&{scope}&filter=a%20%3D%3D%20b&index=0&"
    )]));
    assert!(!consul.has(&["/v1/health/service/db"]) && !consul.has(&["/v1/agent/self"]));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(other.count(), 0);
    rig.stop().await;
    // Named services are asked for at once, and the catalog is not.
    let consul = Consul::start().await;
    consul.register("web", &peer, &[], "passing");
    let mut rig = Rig::start(&config(&consul, ", services: [web]")).await;
    rig.value("a", 1.0).await;
    assert!(!consul.has(&["/v1/catalog"]));
    rig.stop().await;
}

#[tokio::test]
async fn an_agent_that_fails_keeps_its_targets() {
    let peer = Peer::serving(|count| Reply::page(&format!("n {count}\n"))).await;
    let consul = Consul::start().await;
    consul.register("web", &peer, &[], "passing");
    let mut rig = Rig::start(&config(&consul, ", services: [web]")).await;
    rig.value("n", 1.0).await;
    consul
        .wait_for(&["/v1/health/service/web", "index=1&"])
        .await;
    consul.change(|state| state.failing = true);
    for count in 2..10 {
        rig.value("n", f64::from(count)).await;
    }
    rig.stop().await;
}
