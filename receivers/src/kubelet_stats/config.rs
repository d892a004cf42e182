//! The keys of `kubelet_stats`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Receiver, Stability, StartError,
};
use tidegate_document::{Duration, Secret};
use tidegate_pdata::Signals;
use tidegate_transport::kubernetes::{AccessKeys, AuthType, Surroundings, Token};
use tidegate_transport::tls::{ClientTls, Version};

use super::KubeletStats;
use super::metrics::{Attributes, Metrics};
use super::scraper::{Groups, Settings};
use crate::scrape::{AttributeChoices, Choices, Chosen, ChosenAttributes, Schedule};

tidegate_document::layered! {
    /// Asks a node's kubelet what the node, its pods, containers and volumes use.
    #[derive(Clone, Debug)]
    pub struct Config {
        own: Own,
        tls: Tls,
    }
}

/// Groups of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Group {
    /// Of containers.
    Container,
    /// Of pods.
    Pod,
    /// Of the node.
    Node,
    /// Of volumes.
    Volume,
}

/// What more is told of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
enum Label {
    /// The IDs of containers.
    #[serde(rename = "container.id")]
    ContainerId,
    /// The types of volumes, and what else is known of them.
    #[serde(rename = "k8s.volume.type")]
    VolumeType,
}

/// The keys beside those of TLS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// How often the kubelet is asked.
    collection_interval: Duration,
    /// How long after its start it asks for the first time.
    initial_delay: Duration,
    /// How long it may take; the interval, but no more than 10s, where it is `0`.
    timeout: Duration,
    /// How to authenticate: `tls` by a client's certificate, `serviceAccount` as the pod's service account, `none` at
    /// the kubelet's port for reading, or `kubeConfig` by way of the API server that a kubeconfig file names.
    auth_type: AuthType,
    /// The context of the kubeconfig file; its current one unless told.
    context: String,
    /// The kubeconfig file; the files in `KUBECONFIG`, or else `~/.kube/config`, unless told.
    kube_config_path: String,
    /// Where the kubelet is: `https://NODE:10250`, or `http://NODE:10255` with `auth_type: none`; this host unless told.
    /// With `auth_type: kubeConfig` the name of the node.
    endpoint: String,
    /// What is told of resources beside what the summary has, from the kubelet's list of pods.
    extra_metadata_labels: Vec<Label>,
    /// The metrics that are made.
    metric_groups: Vec<Group>,
    /// How to speak to the API server, for what stands behind persistent volume claims and for a node's capacity.
    k8s_api_config: Option<AccessKeys>,
    /// The name of the node, for metrics that compare with its capacity.
    node: String,
    /// Tells of all network interfaces, where else it is the default one.
    collect_all_network_interfaces: Interfaces,
    /// The metrics that it makes.
    metrics: Choices<Metrics>,
    /// What is told of a resource itself.
    resource_attributes: AttributeChoices<Attributes>,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            collection_interval: Duration::from_secs(10),
            initial_delay: Duration::from_secs(1),
            timeout: Duration::default(),
            auth_type: AuthType::Tls,
            context: String::new(),
            kube_config_path: String::new(),
            endpoint: String::new(),
            extra_metadata_labels: Vec::new(),
            metric_groups: vec![Group::Container, Group::Pod, Group::Node],
            k8s_api_config: None,
            node: String::new(),
            collect_all_network_interfaces: Interfaces::default(),
            metrics: Choices::default(),
            resource_attributes: AttributeChoices::default(),
        }
    }
}

/// `collect_all_network_interfaces`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Interfaces {
    /// Those of pods.
    pod: bool,
    /// Those of the node.
    node: bool,
}

/// The keys of TLS, which stand beside the others.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Tls {
    /// Encrypts without checking who the kubelet is.
    insecure_skip_verify: bool,
    /// A PEM file with the certificates of the CAs that may vouch for the kubelet, beside the system's; that of the
    /// service account unless told.
    ca_file: Option<String>,
    /// The certificates of `ca_file`, written here.
    ca_pem: Option<Secret>,
    /// Trusts the system's CAs beside those given: it does so anyway.
    include_system_ca_certs_pool: bool,
    /// A PEM file with the certificate to present to the kubelet, its chain after it.
    cert_file: Option<String>,
    /// The certificate of `cert_file`, written here.
    cert_pem: Option<Secret>,
    /// A PEM file with the private key of the certificate.
    key_file: Option<String>,
    /// The key of `key_file`, written here.
    key_pem: Option<Secret>,
    /// The lowest version of TLS to speak: 1.2 or 1.3. Lower ones are read as 1.2.
    min_version: Option<Version>,
    /// The highest version of TLS to speak: 1.2 or 1.3.
    max_version: Option<Version>,
    /// The cipher suites of TLS 1.2 to offer, by their Go names; those of TLS 1.3 are always offered.
    cipher_suites: Vec<String>,
    /// The groups for the key exchange, best first: X25519MLKEM768, X25519, P256, P384.
    curve_preferences: Vec<String>,
    /// How often the files are looked at for a change; without it they are read once.
    reload_interval: Option<Duration>,
}

impl Tls {
    fn client(&self) -> ClientTls {
        ClientTls {
            insecure_skip_verify: self.insecure_skip_verify,
            ca_file: self.ca_file.clone(),
            ca_pem: self.ca_pem.clone(),
            include_system_ca_certs_pool: true,
            cert_file: self.cert_file.clone(),
            cert_pem: self.cert_pem.clone(),
            key_file: self.key_file.clone(),
            key_pem: self.key_pem.clone(),
            min_version: self.min_version,
            max_version: self.max_version,
            cipher_suites: self.cipher_suites.clone(),
            curve_preferences: self.curve_preferences.clone(),
            reload_interval: self.reload_interval,
            ..ClientTls::default()
        }
    }
}

/// How the kubelet is spoken to.
#[derive(Clone, Debug)]
pub(super) struct Access {
    auth_type: AuthType,
    endpoint: String,
    tls: ClientTls,
    file: AccessKeys,
    pub(super) server: Option<AccessKeys>,
}

type Way = tidegate_transport::kubernetes::Access;

impl Access {
    /// Where the kubelet is. Reads what the keys name, and connects to nothing.
    pub(super) fn kubelet(&self, surroundings: &Surroundings) -> Result<Way, StartError> {
        let mut way = Way {
            base: String::new(),
            tls: self.tls.clone(),
            token: Token::None,
            proxy: None,
        };
        match self.auth_type {
            AuthType::KubeConfig => {
                way = self.file.access(surroundings)?;
                way.base = format!("{}/api/v1/nodes/{}/proxy", way.base, self.endpoint);
                if self.tls.insecure_skip_verify {
                    way.tls.insecure_skip_verify = true;
                }
                return Ok(way);
            }
            AuthType::ServiceAccount => {
                let token = surroundings.account("token");
                std::fs::metadata(&token).map_err(|error| {
                    let path = token.display();
                    StartError::new(
                        format!("there is no token of a service account at {path}"),
                        error,
                    )
                })?;
                way.token = Token::File(token);
                let ca = surroundings.account("ca.crt");
                if way.tls.ca_file.is_none() && way.tls.ca_pem.is_none() && ca.exists() {
                    way.tls.ca_file = Some(ca.display().to_string());
                }
            }
            AuthType::None | AuthType::Tls => {}
        }
        way.base = self.base(surroundings)?;
        Ok(way)
    }

    fn base(&self, surroundings: &Surroundings) -> Result<String, StartError> {
        let secure = self.auth_type != AuthType::None;
        let endpoint = self.endpoint.trim_end_matches('/');
        if endpoint.starts_with("http://") || endpoint.starts_with("https://") {
            return Ok(endpoint.to_owned());
        }
        let scheme = if secure { "https" } else { "http" };
        if !endpoint.is_empty() {
            return Ok(format!("{scheme}://{endpoint}"));
        }
        let name = surroundings.variable("HOSTNAME");
        let name = name.or_else(|| {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
            name.map(|name| name.trim().to_owned())
        });
        let name = name.ok_or_else(|| StartError {
            message: "no `endpoint` is written, and this host has no name".to_owned(),
            source: None,
        })?;
        let port = if secure { 10250 } else { 10255 };
        let endpoint = format!("{scheme}://{name}:{port}");
        tracing::warn!(
            endpoint,
            "no `endpoint` of the kubelet is written, this host's is taken"
        );
        Ok(endpoint)
    }
}

impl Config {
    /// Checks the keys and makes the receiver.
    pub(super) fn receiver(
        &self,
        cx: &BuildContext,
        surroundings: Surroundings,
    ) -> Result<KubeletStats, BuildError> {
        let own = &self.own;
        let schedule = Schedule::new(own.collection_interval, own.initial_delay, own.timeout);
        schedule.check()?;
        let access = self.access()?;
        let chosen = Chosen::new(&own.metrics);
        self.check_node(&chosen)?;
        let has = |group| own.metric_groups.contains(&group);
        let with = |label| own.extra_metadata_labels.contains(&label);
        let settings = Settings {
            groups: Groups {
                container: has(Group::Container),
                pod: has(Group::Pod),
                node: has(Group::Node),
                volume: has(Group::Volume),
            },
            container_ids: with(Label::ContainerId),
            volume_types: with(Label::VolumeType),
            pod_interfaces: own.collect_all_network_interfaces.pod,
            node_interfaces: own.collect_all_network_interfaces.node,
            node: own.node.clone(),
            attributes: ChosenAttributes::new(&own.resource_attributes, "resource_attributes")?,
            chosen,
        };
        Ok(KubeletStats {
            access,
            surroundings,
            schedule,
            settings,
            metrics: cx.metrics.clone(),
            running: None,
        })
    }

    fn access(&self) -> Result<Access, BuildError> {
        let own = &self.own;
        let tls = self.tls.client();
        tls.check().map_err(|error| {
            let told = BuildError::at(error.key, error.message);
            match error.remedy {
                Some(remedy) => told.remedy(remedy),
                None => told,
            }
        })?;
        let file = AccessKeys {
            auth_type: own.auth_type,
            context: own.context.clone(),
            kube_config_path: own.kube_config_path.clone(),
        };
        match own.auth_type {
            AuthType::Tls if tls.cert_file.is_none() && tls.cert_pem.is_none() => {
                return Err(BuildError::at(
                    "auth_type",
                    "`tls`, which holds where nothing is written, needs a certificate to present",
                )
                .remedy(
                    "write \"auth_type: serviceAccount\", or give `ca_file`, `cert_file` and `key_file`",
                ));
            }
            AuthType::KubeConfig if own.endpoint.is_empty() || own.endpoint.contains('/') => {
                return Err(BuildError::at(
                    "endpoint",
                    "with `auth_type: kubeConfig` this is the name of the node",
                )
                .remedy("write for example \"endpoint: ${env:K8S_NODE_NAME}\""));
            }
            AuthType::Tls => {}
            _ => file.check("")?,
        }
        if let Some(keys) = &own.k8s_api_config {
            keys.check("k8s_api_config")?;
        }
        Ok(Access {
            auth_type: own.auth_type,
            endpoint: own.endpoint.clone(),
            tls,
            file,
            server: own.k8s_api_config.clone(),
        })
    }

    fn check_node(&self, chosen: &Chosen<Metrics>) -> Result<(), BuildError> {
        if !chosen.any(Metrics::OF_NODE) {
            return Ok(());
        }
        let needed = [
            ("node", self.own.node.is_empty(), "${env:K8S_NODE_NAME}"),
            (
                "k8s_api_config",
                self.own.k8s_api_config.is_none(),
                "{auth_type: serviceAccount}",
            ),
        ];
        match needed.into_iter().find(|(_, missing, _)| *missing) {
            Some((key, _, remedy)) => Err(BuildError::at(
                key,
                format!("a metric that compares with what the node has needs `{key}`"),
            )
            .remedy(format!("write for example \"{key}: {remedy}\""))),
            None => Ok(()),
        }
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "kubelet_stats";
    const SIGNALS: Signals = Signals::METRICS;
    const STABILITY: Stability = Stability::Alpha;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(self.receiver(cx, Surroundings::default())?))
    }
}
