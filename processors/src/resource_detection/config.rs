//! The keys of `resource_detection`.

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor, Stability};
use tidegate_document::{Duration, did_you_mean};

use super::detection::{Detection, Named, Plan, Retry};
use super::detectors::{Detector, HostnameSource};
use super::found::{Chosen, Switches};

/// Finds out where the process runs, and adds that to the attributes of resources.
///
/// It is done before receivers take data, and the process does not start where a detector fails.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is asked, in this order; of an attribute that several know the first counts. One of `env`, `system`,
    /// `docker`, `ec2`, `ecs`, `eks`, `elastic_beanstalk`, `lambda`, `gcp`, `azure`, `aks`, `k8s_api` (`k8snode`) and
    /// `heroku`.
    detectors: Vec<String>,
    /// Whether what is found takes the place of attributes that are there.
    #[serde(rename = "override")]
    replaces: bool,
    /// The attributes that are added, as the Collector had it before `resource_attributes`; all unless told.
    attributes: Vec<String>,
    /// How long the detection may take, with all that is tried again.
    timeout: Duration,
    /// How often it is done again; once unless told.
    refresh_interval: Option<Duration>,
    /// Fails where a detector is not in the place that it knows.
    fail_on_missing_metadata: bool,
    /// How a detector that fails tries again.
    retry: RetryKeys,
    /// Keys of the detector `env`.
    env: EnvKeys,
    /// Keys of the detector `system`.
    system: SystemKeys,
    /// Keys of the detector `docker`.
    docker: PlainKeys,
    /// Keys of the detector `ec2`.
    ec2: Ec2Keys,
    /// Keys of the detector `ecs`.
    ecs: PlainKeys,
    /// Keys of the detector `eks`.
    eks: PlainKeys,
    /// Keys of the detector `elastic_beanstalk`.
    elastic_beanstalk: PlainKeys,
    /// Keys of the detector `lambda`.
    lambda: PlainKeys,
    /// Keys of the detector `gcp`.
    gcp: PlainKeys,
    /// Keys of the detector `azure`.
    azure: TaggedKeys,
    /// Keys of the detector `aks`.
    aks: PlainKeys,
    /// Keys of the detector `k8s_api`.
    k8s_api: KubernetesKeys,
    /// Keys of the detector `k8s_api` under its older name.
    k8snode: KubernetesKeys,
    /// Keys of the detector `heroku`.
    heroku: PlainKeys,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            detectors: vec!["env".to_owned()],
            replaces: true,
            attributes: Vec::new(),
            timeout: Duration::from_secs(5),
            refresh_interval: None,
            fail_on_missing_metadata: false,
            retry: RetryKeys::default(),
            env: EnvKeys::default(),
            system: SystemKeys::default(),
            docker: PlainKeys::default(),
            ec2: Ec2Keys::default(),
            ecs: PlainKeys::default(),
            eks: PlainKeys::default(),
            elastic_beanstalk: PlainKeys::default(),
            lambda: PlainKeys::default(),
            gcp: PlainKeys::default(),
            azure: TaggedKeys::default(),
            aks: PlainKeys::default(),
            k8s_api: KubernetesKeys::default(),
            k8snode: KubernetesKeys::default(),
            heroku: PlainKeys::default(),
        }
    }
}

/// `retry`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RetryKeys {
    /// Whether a detector that fails tries again.
    enabled: bool,
    /// The first wait.
    initial_interval: Duration,
    /// The part of a wait by which it may be longer or shorter.
    randomization_factor: f64,
    /// By how much each wait is longer than the one before.
    multiplier: f64,
    /// The longest wait.
    max_interval: Duration,
    /// How long it tries; `0s` leaves that to `timeout`, which else bounds each attempt alone.
    max_elapsed_time: Duration,
}

impl Default for RetryKeys {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_secs(1),
            randomization_factor: 0.5,
            multiplier: 2.0,
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(0),
        }
    }
}

/// Keys of a detector that has none of its own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct PlainKeys {
    /// Which attributes it sets.
    resource_attributes: Switches,
}

/// Keys of the detector `env`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct EnvKeys {
    /// The keys that are taken; all unless told.
    allowlist: Option<Vec<String>>,
}

/// Keys of the detector `system`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct SystemKeys {
    /// Which attributes it sets.
    resource_attributes: Switches,
    /// Where the host's name comes from, the first that knows it; `[dns, os]` unless told.
    hostname_sources: Vec<HostnameSource>,
}

/// Keys of the detector `ec2`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Ec2Keys {
    /// Which attributes it sets.
    resource_attributes: Switches,
    /// Patterns of the instance's tags that are added as `ec2.tag.…`; they need `tags_from_imds`.
    tags: Vec<String>,
    /// Takes tags from the instance metadata service, which must be told to have them.
    tags_from_imds: bool,
    /// Fails where there is no instance metadata service, as the key of all detectors does.
    fail_on_missing_metadata: bool,
}

/// Keys of the detector `azure`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct TaggedKeys {
    /// Which attributes it sets.
    resource_attributes: Switches,
    /// Patterns of the machine's tags that are added as `azure.tags.…`.
    tags: Vec<String>,
}

/// Keys of the detector `k8s_api`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct KubernetesKeys {
    /// Which attributes it sets.
    resource_attributes: Switches,
    /// Who it is to the API server.
    auth_type: AuthType,
    /// The variable that holds the name of the node.
    node_from_env_var: String,
}

impl Default for KubernetesKeys {
    fn default() -> Self {
        Self {
            resource_attributes: Switches::default(),
            auth_type: AuthType::default(),
            node_from_env_var: "K8S_NODE_NAME".to_owned(),
        }
    }
}

/// `auth_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum AuthType {
    /// The pod's service account.
    #[default]
    ServiceAccount,
    /// Nobody.
    None,
}

/// Every name of a detector.
const NAMES: [&str; 14] = [
    "env",
    "system",
    "docker",
    "ec2",
    "ecs",
    "eks",
    "elastic_beanstalk",
    "lambda",
    "gcp",
    "azure",
    "aks",
    "k8s_api",
    "k8snode",
    "heroku",
];
/// Detectors of the original that are not built.
const UNBUILT: [&str; 19] = [
    "akamai",
    "alibaba_ecs",
    "azurecontainerapps",
    "consul",
    "digitalocean",
    "dynatrace",
    "hetzner",
    "ibmcloud_classic",
    "ibmcloud_vpc",
    "kubeadm",
    "linode",
    "nova",
    "openshift",
    "oraclecloud",
    "scaleway",
    "tencent_cvm",
    "upcloud",
    "vultr",
    "openstack",
];

impl Config {
    /// The detector of a name, with the attributes that it is to set, and whether it must find some.
    fn detector(&self, name: &str, at: usize) -> Result<Named, BuildError> {
        let no_switches = Switches::new();
        let must = self.fail_on_missing_metadata;
        let kubernetes = |keys: &KubernetesKeys| Detector::KubernetesApi {
            variable: keys.node_from_env_var.clone(),
            account: keys.auth_type == AuthType::ServiceAccount,
        };
        let (detector, switches, must) = match name {
            "env" => (
                Detector::Env(self.env.allowlist.clone()),
                &no_switches,
                must,
            ),
            "system" => {
                let sources = match &self.system.hostname_sources[..] {
                    [] => vec![HostnameSource::Dns, HostnameSource::Os],
                    sources => sources.to_vec(),
                };
                (
                    Detector::System(sources),
                    &self.system.resource_attributes,
                    must,
                )
            }
            "docker" => (Detector::Docker, &self.docker.resource_attributes, must),
            "ec2" => {
                let must = must || self.ec2.fail_on_missing_metadata;
                let tags = patterns("ec2", &self.ec2.tags)?;
                if !tags.is_empty() && !self.ec2.tags_from_imds {
                    let message = "tags are not asked of EC2's API";
                    return Err(BuildError::at("ec2::tags", message).remedy(
                        "write `tags_from_imds: true`, and give the instances `InstanceMetadataTags=enabled`",
                    ));
                }
                (Detector::Ec2(tags), &self.ec2.resource_attributes, must)
            }
            "ecs" => (Detector::Ecs, &self.ecs.resource_attributes, must),
            "eks" => (Detector::Eks, &self.eks.resource_attributes, must),
            "elastic_beanstalk" => (
                Detector::ElasticBeanstalk,
                &self.elastic_beanstalk.resource_attributes,
                must,
            ),
            "lambda" => (Detector::Lambda, &self.lambda.resource_attributes, must),
            "gcp" => (Detector::Gcp, &self.gcp.resource_attributes, must),
            "azure" => {
                let tags = patterns("azure", &self.azure.tags)?;
                (Detector::Azure(tags), &self.azure.resource_attributes, must)
            }
            "aks" => (Detector::Aks, &self.aks.resource_attributes, must),
            "k8s_api" => (
                kubernetes(&self.k8s_api),
                &self.k8s_api.resource_attributes,
                must,
            ),
            "k8snode" => (
                kubernetes(&self.k8snode),
                &self.k8snode.resource_attributes,
                must,
            ),
            "heroku" => (Detector::Heroku, &self.heroku.resource_attributes, must),
            other => return Err(unknown(other, at)),
        };
        let chosen = Chosen::new(name, detector.known(), switches)?;
        Ok(Named {
            name: name.to_owned(),
            detector,
            chosen,
            must,
        })
    }

    pub(super) fn plan(&self) -> Result<Plan, BuildError> {
        if self.detectors.is_empty() {
            return Err(BuildError::at("detectors", "no detector is named")
                .remedy("write `detectors: [env, system]`"));
        }
        let keys = self.retry;
        if keys.enabled && self.timeout.is_zero() && keys.max_elapsed_time.is_zero() {
            let message = "a detector that hangs would keep the process from starting for ever";
            return Err(BuildError::at("timeout", message)
                .remedy("write `timeout: 5s`, or `retry: {max_elapsed_time: 2m}`"));
        }
        if keys.multiplier < 1.0 {
            return Err(
                BuildError::at("retry::multiplier", "waits would become shorter")
                    .remedy("write a number from 1 on"),
            );
        }
        if !(0.0..=1.0).contains(&keys.randomization_factor) {
            return Err(
                BuildError::at("retry::randomization_factor", "it is no part of one")
                    .remedy("write a number from 0 to 1"),
            );
        }
        let detectors = self.detectors.iter().enumerate();
        let detectors = detectors.map(|(at, name)| self.detector(name, at));
        Ok(Plan {
            detectors: detectors.collect::<Result<_, _>>()?,
            only: self.attributes.clone(),
            timeout: Some(*self.timeout).filter(|time| !time.is_zero()),
            refresh: self
                .refresh_interval
                .map(|time| *time)
                .filter(|time| !time.is_zero()),
            retry: keys.enabled.then(|| Retry {
                first: *keys.initial_interval,
                spread: keys.randomization_factor,
                multiplier: keys.multiplier,
                longest: *keys.max_interval,
                total: Some(*keys.max_elapsed_time).filter(|time| !time.is_zero()),
            }),
        })
    }
}

fn unknown(name: &str, at: usize) -> BuildError {
    let path = format!("detectors::{at}");
    let names = NAMES.join(", ");
    if UNBUILT.contains(&name) {
        return BuildError::at(path, format!("the detector `{name}` is not built"))
            .remedy(format!("take it out, or one of {names}"));
    }
    let hint = did_you_mean(name, NAMES);
    BuildError::at(path, format!("there is no detector `{name}`"))
        .remedy(hint.unwrap_or_else(|| format!("take one of {names}")))
}

fn patterns(detector: &str, texts: &[String]) -> Result<Vec<Regex>, BuildError> {
    let compile = |(at, text): (usize, &String)| {
        Regex::new(text).map_err(|error| {
            let path = format!("{detector}::tags::{at}");
            BuildError::at(path, error.to_string()).remedy("write a regular expression")
        })
    };
    texts.iter().enumerate().map(compile).collect()
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "resource_detection";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let detection = Detection::of(self.plan()?, cx)?;
        Ok(Box::new(super::ResourceDetection::new(
            detection,
            self.replaces,
        )))
    }
}
