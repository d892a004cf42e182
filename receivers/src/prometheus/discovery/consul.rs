//! `consul_sd_configs`: targets that a Consul agent knows of.
//!
//! Each service is watched by queries that Consul answers when something changes; which services there are is watched
//! the same way, unless the configuration names them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Uri};
use serde::Deserialize;
use tidegate_component::{StartError, Workers};
use tidegate_document::Secret;
use tidegate_transport::client::{Answer, HttpChannel, HttpSettings};
use tidegate_transport::query::escape;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::prometheus::labels::{Group, Owned, Spot, host_port, sanitized};
use crate::prometheus::scrape::credentials::Credentials;
use crate::prometheus::scrape::{Updates, answer_of};

/// Bytes of an answer that are taken at most.
const MOST: usize = 64 << 20;

/// How long Consul may hold an answer back while nothing changes, in seconds; it takes up to a sixteenth more.
const HOLD: u64 = 120;

/// How long after that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(HOLD + 30);

/// The pause after a fault.
const PAUSE: Duration = Duration::from_secs(15);

/// A Consul agent, and what is asked of it.
#[derive(Clone, Debug)]
pub(in crate::prometheus) struct Catalog {
    /// What every URL begins with, without a slash at its end.
    pub(in crate::prometheus) base: String,
    pub(in crate::prometheus) token: Option<Secret>,
    /// The datacenter; the agent's own unless told.
    pub(in crate::prometheus) datacenter: String,
    /// What every query ends with, each part begun with `&`.
    pub(in crate::prometheus) scope: String,
    /// What queries of the catalog and of a service's health end with beside that.
    pub(in crate::prometheus) filter: String,
    pub(in crate::prometheus) health_filter: String,
    /// The services to find; all of them unless told.
    pub(in crate::prometheus) services: Vec<String>,
    /// Tags that an instance must have.
    pub(in crate::prometheus) tags: Vec<String>,
    pub(in crate::prometheus) separator: String,
    /// The least time from one query to the next.
    pub(in crate::prometheus) pause: Duration,
    pub(in crate::prometheus) client: HttpSettings,
    pub(in crate::prometheus) credentials: Credentials,
}

/// A part of a query: nothing where there is no value.
pub(in crate::prometheus) fn part(key: &str, value: &str) -> String {
    match value {
        "" => String::new(),
        value => format!("&{key}={}", escape(value)),
    }
}

/// What tasks of one catalog share.
struct Shared {
    catalog: Catalog,
    channel: HttpChannel,
    updates: Updates,
}

/// Where a watched query was when it was answered last.
#[derive(Default)]
struct Watched {
    index: u64,
    failing: Option<String>,
}

impl Catalog {
    pub(super) fn channel(&self, workers: &Workers) -> Result<HttpChannel, StartError> {
        self.client.start(Some(workers.clone()))
    }

    /// Whether the catalog must be watched to know which services there are.
    fn is_open(&self) -> bool {
        self.services.is_empty() || !self.tags.is_empty() || !self.filter.is_empty()
    }

    fn takes(&self, service: &str, tags: &[String]) -> bool {
        let named = self.services.is_empty() || self.services.iter().any(|name| name == service);
        named && self.tags.iter().all(|tag| tags.contains(tag))
    }

    /// Brings the targets, again whenever they change.
    pub(super) async fn watch(mut self: Box<Self>, channel: HttpChannel, updates: Updates) {
        let mut watched = Watched::default();
        while self.datacenter.is_empty() {
            let found = self.own_datacenter(&channel).await;
            match found {
                Ok(name) => self.datacenter = name,
                Err(fault) => {
                    watched.tell(&updates, &self.base, fault);
                    sleep(PAUSE).await;
                }
            }
        }
        let shared = Arc::new(Shared {
            catalog: *self,
            channel,
            updates,
        });
        // What is watched ends with this future.
        let mut tasks = JoinSet::new();
        if shared.catalog.is_open() {
            shared.watch_catalog(&mut tasks).await;
        } else {
            for service in &shared.catalog.services {
                tasks.spawn(Arc::clone(&shared).watch_service(service.clone()));
            }
            while tasks.join_next().await.is_some() {}
        }
    }

    async fn own_datacenter(&self, channel: &HttpChannel) -> Result<String, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Own {
            config: Config,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            datacenter: String,
        }
        let answer = self.ask(channel, "/v1/agent/self").await?;
        let own: Own = read(&answer)?;
        match own.config.datacenter {
            name if name.is_empty() => Err("the agent does not name its datacenter".to_owned()),
            name => Ok(name),
        }
    }

    async fn ask(&self, channel: &HttpChannel, path: &str) -> Result<Answer, String> {
        let url = format!("{}{path}", self.base);
        let uri: Uri = url.parse().map_err(|_| format!("\"{url}\" is no URL"))?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let value = HeaderValue::try_from(token.reveal());
            let mut value = value.map_err(|_| "the token cannot be sent in a header".to_owned())?;
            value.set_sensitive(true);
            headers.insert("x-consul-token", value);
        }
        let answer = answer_of(channel, &self.credentials, &uri, headers, MOST);
        let answer = timeout(PATIENCE, answer).await;
        answer.map_err(|_| format!("there is no answer after {PATIENCE:?}"))?
    }
}

fn read<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, String> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| format!("the answer makes no sense: {error}"))
}

impl Watched {
    /// Tells of a fault that is another than the one before.
    fn tell(&mut self, updates: &Updates, what: &str, fault: String) {
        if self.failing.as_ref() != Some(&fault) {
            tracing::warn!(job = %updates.job, what, %fault, "Consul does not answer as it should: targets stay");
            self.failing = Some(fault);
        }
    }

    /// Asks until there is an answer that is another than the one before.
    async fn next(&mut self, shared: &Shared, what: &str, path: &str) -> Answer {
        loop {
            let began = Instant::now();
            let index = self.index;
            let query = format!("{path}&index={index}&wait={HOLD}s");
            match shared.catalog.ask(&shared.channel, &query).await {
                Err(fault) => {
                    self.tell(&shared.updates, what, fault);
                    sleep(PAUSE).await;
                }
                Ok(answer) => {
                    self.failing = None;
                    let header = answer.headers.get("x-consul-index");
                    let header = header.and_then(|value| value.to_str().ok());
                    let now = header.and_then(|text| text.parse().ok()).unwrap_or(0);
                    // A server that was restored begins to count again.
                    self.index = if now < index { 0 } else { now };
                    if now != index || index == 0 {
                        return answer;
                    }
                }
            }
            sleep_until(began + shared.catalog.pause).await;
        }
    }
}

impl Shared {
    async fn watch_catalog(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        let mut known: HashMap<String, AbortHandle> = HashMap::new();
        let mut watched = Watched::default();
        let path = format!(
            "/v1/catalog/services?{}{}",
            self.catalog.scope.trim_start_matches('&'),
            self.catalog.filter
        );
        loop {
            let began = Instant::now();
            let answer = watched.next(self, "services", &path).await;
            match read::<HashMap<String, Option<Vec<String>>>>(&answer) {
                Err(fault) => watched.tell(&self.updates, "services", fault),
                Ok(services) => {
                    let mut gone = Vec::new();
                    known.retain(|name, task| {
                        let tags = services
                            .get(name)
                            .map(|tags| tags.clone().unwrap_or_default());
                        let stays = tags.is_some_and(|tags| self.catalog.takes(name, &tags));
                        if !stays {
                            task.abort();
                            gone.push((name.as_str().into(), Vec::new()));
                        }
                        stays
                    });
                    self.updates.change(gone).await;
                    for (name, tags) in services {
                        let takes = self.catalog.takes(&name, &tags.unwrap_or_default());
                        if takes && !known.contains_key(&name) {
                            let task = Arc::clone(self).watch_service(name.clone());
                            known.insert(name, tasks.spawn(task));
                        }
                    }
                }
            }
            while tasks.try_join_next().is_some() {}
            sleep_until(began + self.catalog.pause).await;
        }
    }

    async fn watch_service(self: Arc<Self>, service: String) {
        let mut watched = Watched::default();
        let catalog = &self.catalog;
        let mut path = format!("/v1/health/service/{}?", escape(&service));
        for tag in &catalog.tags {
            // Writing to a text cannot fail.
            let _ = write!(path, "tag={}&", escape(tag));
        }
        path += catalog.scope.trim_start_matches('&');
        path += &catalog.health_filter;
        loop {
            let began = Instant::now();
            let answer = watched.next(&self, &service, &path).await;
            match read::<Vec<Instance>>(&answer) {
                Err(fault) => watched.tell(&self.updates, &service, fault),
                Ok(instances) => {
                    let group = self.group(&service, &instances);
                    let parts = vec![(service.as_str().into(), vec![group])];
                    self.updates.change(parts).await;
                }
            }
            sleep_until(began + catalog.pause).await;
        }
    }

    fn group(&self, service: &str, instances: &[Instance]) -> Group {
        let separator = &self.catalog.separator;
        let labels = [
            ("__meta_consul_service", service),
            ("__meta_consul_dc", &self.catalog.datacenter),
        ];
        Group {
            targets: instances.iter().map(|one| one.spot(separator)).collect(),
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }
}

/// An instance of a service, as Consul tells of it; what is not there is empty.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Instance {
    node: Node,
    service: Service,
    checks: Option<Vec<Check>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Node {
    node: String,
    address: String,
    meta: Option<BTreeMap<String, String>>,
    tagged_addresses: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    address: String,
    port: i64,
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
    namespace: String,
    partition: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Check {
    #[serde(rename = "CheckID")]
    id: String,
    status: String,
}

impl Instance {
    fn spot(&self, separator: &str) -> Spot {
        let (node, service) = (&self.node, &self.service);
        let host = match service.address.as_str() {
            "" => &node.address,
            own => own,
        };
        // Separators stand around the tags too, so that rules need not care which tag is the first.
        let tags = service.tags.as_deref().unwrap_or_default().join(separator);
        let own = [
            ("address", node.address.clone()),
            ("node", node.node.clone()),
            ("namespace", service.namespace.clone()),
            ("partition", service.partition.clone()),
            ("tags", format!("{separator}{tags}{separator}")),
            ("service_address", service.address.clone()),
            ("service_port", service.port.to_string()),
            ("service_id", service.id.clone()),
            ("health", self.health().to_owned()),
        ];
        let own = own.map(|(name, value)| (format!("__meta_consul_{name}"), value));
        let mut labels: Owned = own.into();
        for (prefix, of) in [
            ("metadata", &node.meta),
            ("service_metadata", &service.meta),
            ("tagged_address", &node.tagged_addresses),
        ] {
            for (name, value) in of.iter().flatten() {
                let name = format!("__meta_consul_{prefix}_{}", sanitized(name));
                labels.push((name, value.clone()));
            }
        }
        Spot {
            address: host_port(host, service.port),
            labels,
        }
    }

    /// The worst that a check says.
    fn health(&self) -> &'static str {
        let checks = self.checks.as_deref().unwrap_or_default();
        let severity = |check: &Check| {
            let maintained =
                check.id == "_node_maintenance" || check.id.starts_with("_service_maintenance:");
            match check.status.as_str() {
                _ if maintained => Some(3),
                "critical" => Some(2),
                "warning" => Some(1),
                "passing" => Some(0),
                _ => None,
            }
        };
        let mut worst = 0;
        for check in checks {
            match severity(check) {
                Some(found) => worst = worst.max(found),
                None => return "",
            }
        }
        ["passing", "warning", "critical", "maintenance"][worst]
    }
}
