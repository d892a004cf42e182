//! Targets: the labels of one, and where it is scraped.

use std::borrow::Cow;
use std::time::Duration;

use http::Uri;

use crate::prometheus::config::Span;
use crate::prometheus::job::Job;
use crate::prometheus::labels::{Group, LabelSet, Owned, Public, Spot};
use crate::prometheus::relabel;

/// A target.
#[derive(Debug)]
pub(in crate::prometheus) struct Target {
    /// Labels that its series get.
    pub(in crate::prometheus) public: Public,
    /// Attributes of its resource that were known when it was found.
    pub(in crate::prometheus) discovered: Owned,
    /// How it was said to be spoken to when it was found.
    pub(in crate::prometheus) scheme: String,
    pub(in crate::prometheus) uri: Uri,
    pub(in crate::prometheus) interval: Duration,
    pub(in crate::prometheus) timeout: Duration,
    /// What tells it from others, and spreads scrapes over the interval.
    pub(in crate::prometheus) hash: u64,
}

/// FNV-1a of 64 bits.
pub(in crate::prometheus) fn fnv(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().copied().flatten();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Target {
    /// The target at an address of a group; none where relabelling drops it.
    ///
    /// # Errors
    /// When what relabelling leaves is no target.
    pub(in crate::prometheus) fn new(
        job: &Job,
        group: &Group,
        spot: &Spot,
    ) -> Result<Option<Self>, String> {
        let mut set = discovered(job, group, spot);
        let scheme = set.get("__scheme__").to_owned();
        let known = resource(&set);
        if !relabel::run(&job.relabel, &mut set) {
            return Ok(None);
        }
        let address = set.get("__address__").to_owned();
        if address.is_empty() {
            return Err("relabelling leaves no address".to_owned());
        }
        if address.contains('/') {
            return Err(format!("\"{address}\" is no address: it has a slash"));
        }
        let interval = time(&set, "__scrape_interval__")?;
        let timeout = time(&set, "__scrape_timeout__")?;
        if timeout > interval {
            return Err(format!(
                "the timeout {} is longer than the interval {}",
                Span(timeout),
                Span(interval)
            ));
        }
        if set.get("instance").is_empty() {
            set.set("instance", Cow::Owned(address));
        }
        let uri = url(job, &set)?;
        let all = set.into_owned();
        let mut hashed: Vec<&[u8]> = Vec::with_capacity(all.len() * 4 + 1);
        let kept = all.iter().filter(|(name, _)| !name.starts_with("__meta_"));
        for (name, value) in kept {
            hashed.extend([name.as_bytes(), b"\xff", value.as_bytes(), b"\xff"]);
        }
        let text = uri.to_string();
        hashed.push(text.as_bytes());
        // Another pod at the address of one that went is another target.
        for (name, value) in &known {
            hashed.extend([name.as_bytes(), b"\xff", value.as_bytes(), b"\xff"]);
        }
        let hash = fnv(&hashed);
        let public = all.into_iter().filter(|(name, _)| !name.starts_with("__"));
        Ok(Some(Self {
            public: public.collect(),
            discovered: known,
            scheme,
            uri,
            interval,
            timeout,
            hash,
        }))
    }

    /// When it is scraped first from now on, `now` being since 1970: at a point of the interval that is
    /// its own, the same after a restart.
    pub(in crate::prometheus) fn offset(&self, now: Duration, seed: u64) -> Duration {
        let interval = self.interval.as_nanos().max(1);
        let into = now.as_nanos() % interval;
        let own = u128::from(self.hash ^ seed) % interval;
        let next = match own.checked_sub(into) {
            Some(left) => left,
            None => interval - into + own,
        };
        Duration::from_nanos(u64::try_from(next).unwrap_or(0))
    }
}

/// The labels of a target before relabelling.
fn discovered<'a>(job: &'a Job, group: &'a Group, spot: &'a Spot) -> LabelSet<'a> {
    let mut set = LabelSet::default();
    for (name, value) in &group.labels {
        set.set(name, Cow::Borrowed(value));
    }
    for (name, value) in &spot.labels {
        set.set(name, Cow::Borrowed(value));
    }
    set.set("__address__", Cow::Borrowed(&spot.address));
    let defaults = [
        ("job", job.name.clone()),
        ("__scrape_interval__", Span(job.interval).to_string()),
        ("__scrape_timeout__", Span(job.timeout).to_string()),
        ("__metrics_path__", job.metrics_path.clone()),
        ("__scheme__", job.scheme.to_owned()),
    ];
    let params = job.params.iter().filter_map(|(name, values)| {
        let first = values.first()?;
        Some((format!("__param_{name}"), first.clone()))
    });
    let defaults = defaults.map(|(name, value)| (name.to_owned(), value));
    for (name, value) in defaults.into_iter().chain(params) {
        if set.get(&name).is_empty() {
            set.set(&name, Cow::Owned(value));
        }
    }
    set
}

/// What discovery in Kubernetes says of the resource.
fn resource(set: &LabelSet<'_>) -> Owned {
    const KNOWN: [(&str, &str); 7] = [
        ("__meta_kubernetes_pod_name", "k8s.pod.name"),
        ("__meta_kubernetes_pod_uid", "k8s.pod.uid"),
        ("__meta_kubernetes_pod_container_name", "k8s.container.name"),
        ("__meta_kubernetes_namespace", "k8s.namespace.name"),
        ("__meta_kubernetes_pod_node_name", "k8s.node.name"),
        ("__meta_kubernetes_node_name", "k8s.node.name"),
        ("__meta_kubernetes_endpoint_node_name", "k8s.node.name"),
    ];
    let known = KNOWN.into_iter().filter_map(|(label, attribute)| {
        let value = Some(set.get(label)).filter(|value| !value.is_empty())?;
        Some((attribute.to_owned(), value.to_owned()))
    });
    let mut known: Owned = known.collect();
    let controller = match set.get("__meta_kubernetes_pod_controller_kind") {
        "ReplicaSet" => Some("k8s.replicaset.name"),
        "DaemonSet" => Some("k8s.daemonset.name"),
        "StatefulSet" => Some("k8s.statefulset.name"),
        "Job" => Some("k8s.job.name"),
        "CronJob" => Some("k8s.cronjob.name"),
        _ => None,
    };
    let name = set.get("__meta_kubernetes_pod_controller_name");
    if let Some(attribute) = controller
        && !name.is_empty()
    {
        known.push((attribute.to_owned(), name.to_owned()));
    }
    known
}

fn time(set: &LabelSet<'_>, label: &str) -> Result<Duration, String> {
    let text = set.get(label);
    match text.parse::<Span>() {
        Ok(Span(time)) if !time.is_zero() => Ok(time),
        Ok(_) => Err(format!("the label `{label}` is 0")),
        Err(fault) => Err(format!("the label `{label}` is \"{text}\": {fault}")),
    }
}

/// Where a target is scraped.
fn url(job: &Job, set: &LabelSet<'_>) -> Result<Uri, String> {
    let scheme = set.get("__scheme__");
    if !matches!(scheme, "http" | "https") {
        return Err(format!("the scheme \"{scheme}\" is neither http nor https"));
    }
    let mut params: Vec<(&str, Vec<&str>)> = job
        .params
        .iter()
        .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()))
        .collect();
    for (label, value) in set.iter() {
        let Some(name) = label.strip_prefix("__param_") else {
            continue;
        };
        match params.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) if !values.is_empty() => values[0] = value,
            Some((_, values)) => values.push(value),
            None => params.push((name, vec![value])),
        }
    }
    params.sort_by_key(|(name, _)| *name);
    let mut url = format!("{scheme}://{}", set.get("__address__"));
    let path = set.get("__metrics_path__");
    if !path.starts_with('/') {
        url.push('/');
    }
    encode(path, b"/-_.~!$&'()*+,;=:@%", &mut url);
    let mut mark = '?';
    for (name, values) in &params {
        for value in values {
            url.push(mark);
            encode(name, b"-_.~", &mut url);
            url.push('=');
            encode(value, b"-_.~", &mut url);
            mark = '&';
        }
    }
    url.parse().map_err(|_| format!("\"{url}\" is no URL"))
}

/// Writes text as part of a URL; letters, digits and `plain` stay as they are.
fn encode(text: &str, plain: &[u8], out: &mut String) {
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
