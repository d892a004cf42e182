//! `dns_sd_configs`: targets found in DNS.

use std::collections::BTreeMap;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::sleep;

use crate::prometheus::labels::{Group, Spot, host_port};
use crate::prometheus::scrape::Updates;

/// A kind of record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(in crate::prometheus) enum Kind {
    /// Hosts with their ports.
    #[default]
    Srv,
    /// Addresses of IPv4.
    A,
    /// Addresses of IPv6.
    Aaaa,
    /// Hosts that take mail.
    Mx,
    /// Name servers.
    Ns,
}

impl Kind {
    const fn record(self) -> RecordType {
        match self {
            Self::Srv => RecordType::SRV,
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Mx => RecordType::MX,
            Self::Ns => RecordType::NS,
        }
    }
}

/// Names to look up.
#[derive(Clone, Debug)]
pub(in crate::prometheus) struct Names {
    pub(in crate::prometheus) names: Vec<String>,
    pub(in crate::prometheus) kind: Kind,
    /// The port of records without one.
    pub(in crate::prometheus) port: u16,
    pub(in crate::prometheus) pause: Duration,
}

/// Whom to ask, and what may stand behind a name.
struct Servers {
    resolver: TokioResolver,
    search: Vec<String>,
    /// A name with so many dots is asked for as it is before anything is put behind it.
    dots: usize,
}

impl Servers {
    /// Those of the system, as its file says now.
    fn of_system() -> Result<Self, String> {
        let (config, options) = read_system_conf().map_err(|fault| fault.to_string())?;
        Self::new(config, options)
    }

    fn new(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, String> {
        // Each look is a new one: what is gone would stay for as long as a server lets its answer live.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let (dots, search) = (options.ndots, config.search().iter());
        let search = search.map(ToString::to_string).collect();
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        Ok(Self {
            resolver: builder.build().map_err(|fault| fault.to_string())?,
            search,
            dots,
        })
    }

    /// The names that a name may stand for, in the order in which they are asked for.
    fn meant(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let longer = self.search.iter().map(|end| format!("{name}.{end}"));
        let mut names: Vec<String> = longer
            .map(|name| format!("{}.", name.trim_end_matches('.')))
            .collect();
        let at = match name.matches('.').count() >= self.dots {
            true => 0,
            false => names.len(),
        };
        names.insert(at, format!("{name}."));
        names
    }

    /// The records of a name: of the first that exists of those it may stand for. None where all servers say that there
    /// is none.
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, String> {
        let mut fault = None;
        for meant in self.meant(name) {
            match self.resolver.lookup(meant.as_str(), kind).await {
                Ok(found) => {
                    let records = found.answers().iter();
                    return Ok(records.map(|record| record.data.clone()).collect());
                }
                Err(none) if none.is_nx_domain() => {}
                Err(none) if none.is_no_records_found() => return Ok(Vec::new()),
                Err(other) => fault = Some(other.to_string()),
            }
        }
        match fault {
            None => Ok(Vec::new()),
            Some(fault) => Err(fault),
        }
    }
}

impl Names {
    /// Brings the targets of all names, again whenever they change.
    pub(super) async fn watch(self, updates: Updates) {
        self.watch_with(Servers::of_system, updates).await;
    }

    async fn watch_with(self, servers: impl Fn() -> Result<Servers, String>, updates: Updates) {
        let mut known: BTreeMap<&str, Group> = BTreeMap::new();
        let mut failing: BTreeMap<&str, String> = BTreeMap::new();
        let mut told = None;
        loop {
            let servers = servers();
            for name in &self.names {
                let found = match &servers {
                    Ok(servers) => self.look_up(servers, name).await,
                    Err(fault) => Err(fault.clone()),
                };
                match found {
                    Ok(group) => {
                        failing.remove(name.as_str());
                        known.insert(name, group);
                    }
                    Err(fault) if failing.get(name.as_str()) != Some(&fault) => {
                        tracing::warn!(job = %updates.job, name, %fault, "cannot look a name up: its targets stay");
                        failing.insert(name, fault);
                    }
                    Err(_) => {}
                }
            }
            let groups: Vec<Group> = known.values().cloned().collect();
            if told.as_ref() != Some(&groups) {
                told = Some(groups.clone());
                updates.set(groups).await;
            }
            sleep(self.pause).await;
        }
    }

    /// The targets of a name, none where it has no record.
    async fn look_up(&self, servers: &Servers, name: &str) -> Result<Group, String> {
        let records = servers.ask(name, self.kind.record()).await?;
        let spots = records.iter().filter_map(|data| self.spot(data));
        let mut targets: Vec<Spot> = spots.collect();
        // Servers turn the order to spread load, which changes nothing here.
        targets.sort();
        targets.dedup();
        let label = ("__meta_dns_name".to_owned(), name.to_owned());
        Ok(Group {
            targets,
            labels: BTreeMap::from([label]),
        })
    }

    fn spot(&self, data: &RData) -> Option<Spot> {
        let bare = |host: &str| host.trim_end_matches('.').to_owned();
        let (host, port, labels) = match data {
            RData::SRV(srv) => {
                let target = srv.target.to_string();
                let labels = vec![
                    ("__meta_dns_srv_record_target", target.clone()),
                    ("__meta_dns_srv_record_port", srv.port.to_string()),
                ];
                (bare(&target), srv.port, labels)
            }
            RData::MX(mx) => {
                let target = mx.exchange.to_string();
                let label = ("__meta_dns_mx_record_target", target.clone());
                (bare(&target), self.port, vec![label])
            }
            RData::NS(ns) => {
                let target = ns.0.to_string();
                let label = ("__meta_dns_ns_record_target", target.clone());
                (bare(&target), self.port, vec![label])
            }
            RData::A(address) => (address.0.to_string(), self.port, Vec::new()),
            RData::AAAA(address) => (address.0.to_string(), self.port, Vec::new()),
            _ => return None,
        };
        let labels = labels.into_iter();
        Some(Spot {
            address: host_port(&host, port),
            labels: labels
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::str::FromStr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
    use hickory_resolver::proto::rr::Name;
    use tokio::net::UdpSocket;

    use super::*;

    /// What a server answers to a question.
    enum Say {
        /// These records: kind and data.
        Records(Vec<(u16, Vec<u8>)>),
        /// There is no such name.
        NoName,
        /// It cannot say.
        Fault,
        /// Nothing at all.
        Silence,
    }

    /// A server that answers as told; it is asked with the name, the kind and the number of the question.
    async fn server(
        say: impl Fn(&str, u16, usize) -> Say + Send + 'static,
    ) -> impl Fn() -> Result<Servers, String> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            let mut count = 0;
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                count += 1;
                if let Some(answer) = answer(&buffer[..length], |name, kind| say(name, kind, count))
                {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        move || {
            let mut connection = ConnectionConfig::udp();
            connection.port = port;
            let local = IpAddr::from(Ipv4Addr::LOCALHOST);
            let server = NameServerConfig::new(local, true, vec![connection]);
            let search = vec![
                Name::from_str("first.").unwrap(),
                Name::from_str("here.").unwrap(),
            ];
            let config = ResolverConfig::from_parts(None, search, vec![server]);
            let mut options = ResolverOpts::default();
            options.timeout = Duration::from_secs(1);
            options.attempts = 0;
            Servers::new(config, options)
        }
    }

    /// The answer to a query of one question.
    fn answer(query: &[u8], say: impl Fn(&str, u16) -> Say) -> Option<Vec<u8>> {
        let (mut at, mut name) = (12, String::new());
        while query[at] > 0 {
            let end = at + 1 + usize::from(query[at]);
            name += std::str::from_utf8(&query[at + 1..end]).unwrap();
            name.push('.');
            at = end;
        }
        let question = &query[12..at + 5];
        let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
        let (code, records) = match say(&name.to_ascii_lowercase(), kind) {
            Say::Records(records) => (0, records),
            Say::NoName => (3, Vec::new()),
            Say::Fault => (2, Vec::new()),
            Say::Silence => return None,
        };
        let mut out = query[..2].to_vec();
        out.extend([0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
        out.extend(question);
        for (kind, data) in records {
            out.extend([0xc0, 12]);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 14, 16]);
            out.extend((data.len() as u16).to_be_bytes());
            out.extend(data);
        }
        Some(out)
    }

    const HOST: &[u8] = b"\x03web\x04here\x00";

    fn names(kind: Kind) -> Names {
        Names {
            names: vec!["x.here.".to_owned()],
            kind,
            port: 9,
            pause: Duration::from_millis(20),
        }
    }

    #[tokio::test]
    async fn each_kind_of_record_makes_targets() {
        let servers = server(|name, kind, _| {
            let data = match kind {
                1 => vec![10, 0, 0, 7],
                28 => [&[0; 15][..], &[1]].concat(),
                33 => [&[0, 1, 0, 2, 0x1f, 0x90][..], HOST].concat(),
                15 => [&[0, 5][..], HOST].concat(),
                _ => HOST.to_vec(),
            };
            match name {
                "x.here." => Say::Records(vec![(kind, data)]),
                "empty.here." => Say::Records(Vec::new()),
                _ => Say::NoName,
            }
        })
        .await;
        let target = |name: &'static str| vec![(name.to_owned(), "web.here.".to_owned())];
        let mut srv = target("__meta_dns_srv_record_target");
        srv.push(("__meta_dns_srv_record_port".to_owned(), "8080".to_owned()));
        for (kind, address, labels) in [
            (Kind::Srv, "web.here:8080", srv),
            (Kind::A, "10.0.0.7:9", Vec::new()),
            (Kind::Aaaa, "[::1]:9", Vec::new()),
            (
                Kind::Mx,
                "web.here:9",
                target("__meta_dns_mx_record_target"),
            ),
            (
                Kind::Ns,
                "web.here:9",
                target("__meta_dns_ns_record_target"),
            ),
        ] {
            let (names, servers) = (names(kind), servers().unwrap());
            let found = names.look_up(&servers, "x.here.").await.unwrap();
            let address = address.to_owned();
            assert_eq!(found.targets, [Spot { address, labels }], "{kind:?}");
            assert_eq!(found.labels["__meta_dns_name"], "x.here.");
            for none in ["empty.here.", "y.elsewhere."] {
                let found = names.look_up(&servers, none).await.unwrap();
                assert_eq!(found.targets, []);
            }
        }
    }

    #[tokio::test]
    async fn a_short_name_is_looked_for_where_the_system_says() {
        let servers = server(|name, kind, _| match name {
            "x.here." => Say::Records(vec![(kind, vec![10, 0, 0, 7])]),
            "broken.first." => Say::Fault,
            _ => Say::NoName,
        })
        .await;
        let servers = servers().unwrap();
        assert_eq!(servers.meant("a.b"), ["a.b.", "a.b.first.", "a.b.here."]);
        assert_eq!(servers.meant("a"), ["a.first.", "a.here.", "a."]);
        let names = names(Kind::A);
        let found = names.look_up(&servers, "x").await.unwrap();
        assert_eq!(found.targets[0].address, "10.0.0.7:9");
        assert_eq!(found.labels["__meta_dns_name"], "x");
        assert_eq!(names.look_up(&servers, "y").await.unwrap().targets, []);
        // One answer is missing: whether there is such a name is not known.
        assert!(names.look_up(&servers, "broken").await.is_err());
    }

    #[tokio::test]
    async fn what_cannot_be_looked_up_keeps_its_targets() {
        let step = Arc::new(AtomicUsize::new(0));
        let at = Arc::clone(&step);
        let servers = server(move |_, kind, count| {
            let one = |last| (kind, vec![10, 0, 0, last]);
            match (at.load(SeqCst), count % 2) {
                (0, 0) => Say::Records(vec![one(1), one(2)]),
                (0, _) => Say::Records(vec![one(2), one(1)]),
                (1, 0) => Say::Fault,
                (1, _) => Say::Silence,
                (2, _) => Say::Records(vec![one(2)]),
                _ => Say::NoName,
            }
        })
        .await;
        let (updates, mut told) = Updates::heard("shop");
        let watching = tokio::spawn(names(Kind::A).watch_with(servers, updates));
        let mut addresses = Vec::new();
        let expected: [&[&str]; 3] = [&["10.0.0.1:9", "10.0.0.2:9"], &["10.0.0.2:9"], &[]];
        for (at, expected) in expected.into_iter().enumerate() {
            let groups = told.next().await;
            addresses.clear();
            addresses.extend(groups[0].targets.iter().map(|spot| spot.address.clone()));
            assert_eq!(addresses, expected);
            // Other orders and faults bring nothing.
            if at == 0 {
                told.is_quiet(Duration::from_millis(300)).await;
                step.store(1, SeqCst);
                told.is_quiet(Duration::from_secs(3)).await;
            }
            step.fetch_add(1, SeqCst);
        }
        watching.abort();
    }
}
