//! Where targets come from.

mod consul;
mod dns;
mod kubernetes;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::http::{HttpKeys, unbuilt};
use super::types::{Span, Unbuilt, Word};
use crate::prometheus::discovery::{Source, file, http};
use crate::prometheus::labels::Group;

/// `static_configs`, and an element of what files and servers list.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct StaticKeys {
    /// Addresses, as `host:port`.
    targets: Vec<Word>,
    /// Labels of all these targets.
    labels: BTreeMap<String, Word>,
}

impl StaticKeys {
    /// The targets as a group.
    pub(in crate::prometheus) fn group(&self) -> Group {
        Group {
            targets: self
                .targets
                .iter()
                .map(|word| word.0.clone().into())
                .collect(),
            labels: self
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), value.0.clone()))
                .collect(),
        }
    }
}

/// `file_sd_configs`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct FileKeys {
    /// Files of JSON or YAML with lists of targets; the last part of a path may hold a `*`.
    files: Vec<String>,
    /// How often they are read anew; 5m unless told.
    refresh_interval: Option<Span>,
}

/// The keys of `http_sd_configs` beside those of the client.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct HttpListKeys {
    /// The URL that answers with a list of targets as JSON.
    url: String,
    /// How often it is asked; 1m unless told.
    refresh_interval: Option<Span>,
}

tidegate_document::layered! {
    /// `http_sd_configs`.
    #[derive(Clone, Debug)]
    pub(in crate::prometheus) struct HttpSdKeys {
        own: HttpListKeys,
        client: HttpKeys,
    }
}

macro_rules! unbuilt_discovery {
    ($($key:ident: $name:literal;)*) => {
        /// Where targets come from.
        #[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub(in crate::prometheus) struct DiscoveryKeys {
            /// Targets written here.
            static_configs: Vec<StaticKeys>,
            /// Targets listed in files.
            file_sd_configs: Vec<FileKeys>,
            /// Targets listed by HTTP servers.
            http_sd_configs: Vec<HttpSdKeys>,
            /// Targets found in DNS.
            dns_sd_configs: Vec<dns::DnsKeys>,
            /// Targets that a Consul agent knows of.
            consul_sd_configs: Vec<consul::ConsulSdKeys>,
            /// Targets that a cluster of Kubernetes has.
            kubernetes_sd_configs: Vec<kubernetes::KubernetesSdKeys>,
            $(
                #[doc = concat!("Targets found in ", $name, ": not built.")]
                $key: Option<Unbuilt>,
            )*
        }

        impl DiscoveryKeys {
            fn check_unbuilt(&self, path: &str) -> Result<(), BuildError> {
                $(
                    if self.$key.is_some() {
                        return Err(unbuilt(
                            format!("{path}::{}", stringify!($key)),
                            concat!("finding targets in ", $name, " is"),
                            "list the targets in `static_configs`, or have something list them for `file_sd_configs` or `http_sd_configs`",
                        ));
                    }
                )*
                Ok(())
            }
        }
    };
}

unbuilt_discovery! {
    azure_sd_configs: "Azure";
    digitalocean_sd_configs: "DigitalOcean";
    docker_sd_configs: "Docker";
    dockerswarm_sd_configs: "Docker Swarm";
    ec2_sd_configs: "EC2";
    eureka_sd_configs: "Eureka";
    gce_sd_configs: "Google Compute Engine";
    hetzner_sd_configs: "Hetzner";
    ionos_sd_configs: "IONOS";
    kuma_sd_configs: "Kuma";
    lightsail_sd_configs: "Lightsail";
    linode_sd_configs: "Linode";
    marathon_sd_configs: "Marathon";
    nerve_sd_configs: "Nerve";
    nomad_sd_configs: "Nomad";
    openstack_sd_configs: "OpenStack";
    ovhcloud_sd_configs: "OVHcloud";
    puppetdb_sd_configs: "PuppetDB";
    scaleway_sd_configs: "Scaleway";
    serverset_sd_configs: "Zookeeper's server sets";
    stackit_sd_configs: "STACKIT";
    triton_sd_configs: "Triton";
    uyuni_sd_configs: "Uyuni";
    vultr_sd_configs: "Vultr";
}

/// How often a place is looked at, which is never without a pause.
fn every(given: Option<Span>, default: u64, path: &str) -> Result<std::time::Duration, BuildError> {
    match given {
        None => Ok(std::time::Duration::from_secs(default)),
        Some(Span(pause)) if !pause.is_zero() => Ok(pause),
        Some(_) => Err(BuildError::at(
            format!("{path}::refresh_interval"),
            "without a pause this would never rest",
        )
        .remedy("write for example `30s`")),
    }
}

impl DiscoveryKeys {
    /// The sources, checked.
    pub(super) fn build(&self, path: &str) -> Result<Vec<Source>, BuildError> {
        self.check_unbuilt(path)?;
        let mut sources = Vec::new();
        for (at, keys) in self.static_configs.iter().enumerate() {
            let path = format!("{path}::static_configs::{at}");
            for (at, target) in keys.targets.iter().enumerate() {
                if target.0.contains('/') {
                    let path = format!("{path}::targets::{at}");
                    let message = format!("\"{}\" is no address: it has a slash", target.0);
                    return Err(BuildError::at(path, message).remedy(
                        "write `host:port` here, and the rest into `scheme` and `metrics_path`",
                    ));
                }
            }
        }
        if !self.static_configs.is_empty() {
            let groups = self.static_configs.iter().map(StaticKeys::group).collect();
            sources.push(Source::Static(groups));
        }
        for (at, keys) in self.file_sd_configs.iter().enumerate() {
            let path = format!("{path}::file_sd_configs::{at}");
            let pause = every(keys.refresh_interval, 300, &path)?;
            let files = file::Files::new(&keys.files, pause)
                .map_err(|(at, fault)| BuildError::at(format!("{path}::files{at}"), fault))?;
            sources.push(Source::Files(files));
        }
        for (at, keys) in self.http_sd_configs.iter().enumerate() {
            let path = format!("{path}::http_sd_configs::{at}");
            let pause = every(keys.own.refresh_interval, 60, &path)?;
            let (client, credentials) = keys.client.build(&path)?;
            let list =
                http::List::new(&keys.own.url, pause, client, credentials).map_err(|fault| {
                    BuildError::at(format!("{path}::url"), fault)
                        .remedy("write for example `http://inventory:8080/targets`")
                })?;
            sources.push(Source::Http(Box::new(list)));
        }
        for (at, keys) in self.dns_sd_configs.iter().enumerate() {
            let path = format!("{path}::dns_sd_configs::{at}");
            sources.push(Source::Dns(keys.build(&path)?));
        }
        for (at, keys) in self.consul_sd_configs.iter().enumerate() {
            let path = format!("{path}::consul_sd_configs::{at}");
            sources.push(Source::Consul(Box::new(keys.build(&path)?)));
        }
        for (at, keys) in self.kubernetes_sd_configs.iter().enumerate() {
            let path = format!("{path}::kubernetes_sd_configs::{at}");
            sources.push(Source::Kubernetes(Box::new(keys.build(&path)?)));
        }
        Ok(sources)
    }
}
