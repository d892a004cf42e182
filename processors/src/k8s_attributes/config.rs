//! The keys of `k8s_attributes`.

use std::sync::Arc;

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Processor, Stability, pattern,
};
use tidegate_document::{Duration, did_you_mean};
use tidegate_transport::kubernetes::{AccessKeys, Surroundings};

use super::associate::{Associations, Source};
use super::cluster::{Cluster, Node, Plan};
use super::rules::{DEFAULT, From, KNOWN, Pick, Rule, Rules, Wants};
use super::{Counts, K8sAttributes};

/// The most sources of a rule.
const SOURCES: usize = 4;
/// What is known of a pod's surroundings alone, so that no pod can be found by it.
const AROUND: [&str; 6] = [
    "k8s.deployment.uid",
    "k8s.cronjob.uid",
    "k8s.node.uid",
    "k8s.cluster.uid",
    "container.image.name",
    "k8s.container.name",
];

tidegate_document::layered! {
    /// Says of telemetry which pod of Kubernetes it comes from, and what is known of that pod.
    #[derive(Clone, Debug)]
    pub struct Config {
        access: AccessKeys,
        own: Own,
    }
}

/// The keys beside those of the API server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// Adds the sender's address as `k8s.pod.ip` and nothing else; the API server is not spoken to.
    passthrough: bool,
    /// What is added.
    extract: Extract,
    /// Which pods are looked at.
    filter: Filter,
    /// How a resource's pod is found: the first rule counts of which every source is there. By the address that the
    /// resource names as `k8s.pod.ip` or `ip`, or else by the sender's, where there is no rule.
    pod_association: Vec<Association>,
    /// Which pods are left alone.
    exclude: Exclude,
    /// Takes no data before all pods are known.
    wait_for_metadata: bool,
    /// How long it waits for that; then the process does not start.
    wait_for_metadata_timeout: Duration,
    /// How long a pod that is gone is found yet, for what is still on its way.
    pod_delete_grace_period: Duration,
    /// How often the original goes through all that it knows again.
    #[schemars(extend("x-no-effect" = "nothing has to be gone through again here; remove it"))]
    #[serde(rename = "watch_sync_period")]
    _watch_sync_period: Option<Duration>,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            passthrough: false,
            extract: Extract::default(),
            filter: Filter::default(),
            pod_association: Vec::new(),
            exclude: Exclude::default(),
            wait_for_metadata: false,
            wait_for_metadata_timeout: Duration::from_secs(10),
            pod_delete_grace_period: Duration::from_secs(120),
            _watch_sync_period: None,
        }
    }
}

/// `extract`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Extract {
    /// Attributes of pods, their workloads and containers.
    metadata: Option<Vec<String>>,
    /// Annotations that become attributes.
    annotations: Vec<Field>,
    /// Labels that become attributes.
    labels: Vec<Field>,
    /// Takes a pod's annotation `resource.opentelemetry.io/NAME` as the attribute NAME.
    otel_annotations: bool,
    /// The original watches replica sets unless told; here the name of a pod's deployment is always taken from that of
    /// its replica set.
    #[schemars(extend("x-no-effect" = "replica sets are never watched here; remove it"))]
    #[serde(rename = "deployment_name_from_replicaset")]
    _deployment_name_from_replicaset: bool,
}

impl Default for Extract {
    fn default() -> Self {
        Self {
            metadata: Some(DEFAULT.map(ToOwned::to_owned).into()),
            annotations: Vec::new(),
            labels: Vec::new(),
            otel_annotations: false,
            _deployment_name_from_replicaset: false,
        }
    }
}

/// A member of `labels` and `annotations`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Field {
    /// The attribute; with `key_regex` it may have `$$1` for a group of the pattern. Unless told it is made of the key.
    tag_name: String,
    /// The label or annotation.
    key: String,
    /// In place of `key` a pattern for whole keys.
    key_regex: String,
    /// What is looked at.
    from: From,
}

/// `filter`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Filter {
    /// Pods of this node alone.
    node: String,
    /// Pods of the node alone whose name this variable of the environment has.
    node_from_env_var: String,
    /// Pods of this namespace alone.
    namespace: String,
    /// Pods with such fields alone.
    fields: Vec<Requirement>,
    /// Pods with such labels alone.
    labels: Vec<Requirement>,
}

/// A member of `fields` and `labels`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Requirement {
    /// The field or label.
    key: String,
    /// Its value.
    value: String,
    /// How it is compared; labels alone can be asked whether they exist.
    op: Op,
}

/// `op`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Op {
    /// It is the value.
    #[default]
    #[serde(alias = "")]
    Equals,
    /// It is not.
    NotEquals,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

/// A member of `pod_association`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Association {
    /// What must be there, all of it; four at most.
    sources: Vec<SourceKeys>,
}

/// A member of `sources`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct SourceKeys {
    /// Where it comes from.
    from: Option<Place>,
    /// The attribute, where it comes from the resource.
    name: String,
}

/// `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// The sender's address.
    Connection,
    /// An attribute of the resource.
    ResourceAttribute,
}

/// `exclude`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Exclude {
    /// Pods by their names; `jaeger-agent` and `jaeger-collector` unless told.
    pods: Vec<ExcludedPod>,
}

/// A member of `pods`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ExcludedPod {
    /// A pattern that is found anywhere in the name.
    name: String,
}

fn compiled(text: &str, path: String) -> Result<Regex, BuildError> {
    pattern::compile(text).map_err(|fault| BuildError::at(path, fault))
}

impl Extract {
    fn rules(&self, excluded: Vec<Regex>) -> Result<Rules, BuildError> {
        let mut wants = Wants::default();
        for (at, name) in self.metadata.iter().flatten().enumerate() {
            if !wants.add(name) {
                let path = format!("extract::metadata::{at}");
                let hint = did_you_mean(name, KNOWN.iter().copied());
                let hint = hint.unwrap_or_else(|| format!("known are {}", KNOWN.join(", ")));
                let message = format!("no attribute `{name}` is known of pods");
                return Err(BuildError::at(path, message).remedy(hint));
            }
        }
        let mut rules = Vec::new();
        let lists = [(true, &self.labels), (false, &self.annotations)];
        for (labels, list) in lists {
            for (at, field) in list.iter().enumerate() {
                let list = if labels { "labels" } else { "annotations" };
                rules.push(field.rule(labels, &format!("extract::{list}::{at}"))?);
            }
        }
        if self.otel_annotations {
            rules.push(Rule {
                from: From::Pod,
                labels: false,
                pick: Pick::Matching {
                    keys: compiled(
                        r"^resource\.opentelemetry\.io/(.+)$",
                        "extract::otel_annotations".to_owned(),
                    )?,
                    name: Some("$1".to_owned()),
                },
            });
        }
        Ok(Rules {
            wants,
            rules,
            excluded,
        })
    }
}

impl Field {
    fn rule(&self, labels: bool, path: &str) -> Result<Rule, BuildError> {
        let pick = match (self.key.as_str(), self.key_regex.as_str()) {
            ("", "") => {
                return Err(BuildError::at(path, "neither `key` nor `key_regex`")
                    .remedy("write one of them"));
            }
            (key, "") => Pick::Key {
                key: key.to_owned(),
                name: match self.tag_name.as_str() {
                    "" => format!("{}{key}", self.from.prefix(labels)),
                    name => name.to_owned(),
                },
            },
            ("", keys) => {
                let keys = compiled(&format!("^(?:{keys})$"), format!("{path}::key_regex"))?;
                // As the original does: without a group the key is what the attribute is called after.
                let grouped = keys.captures_len() > 1;
                Pick::Matching {
                    name: grouped.then(|| self.tag_name.clone()),
                    keys,
                }
            }
            _ => {
                return Err(BuildError::at(
                    format!("{path}::key_regex"),
                    "there is a `key` already",
                )
                .remedy("keep one of `key` and `key_regex`"));
            }
        };
        Ok(Rule {
            from: self.from,
            labels,
            pick,
        })
    }
}

impl Requirement {
    /// As the API has it.
    fn selector(&self, labels: bool, path: &str) -> Result<String, BuildError> {
        let Self { key, value, op } = self;
        let plain = |text: &str| !text.contains([',', '=', '!', '(', ')', ' ']);
        if key.is_empty() || !plain(key) || !plain(value) {
            let message = format!("{key:?} and {value:?} are no key and value of a selector");
            return Err(BuildError::at(path, message));
        }
        match op {
            Op::Equals => Ok(format!("{key}={value}")),
            Op::NotEquals => Ok(format!("{key}!={value}")),
            Op::Exists if labels => Ok(key.clone()),
            Op::DoesNotExist if labels => Ok(format!("!{key}")),
            Op::Exists | Op::DoesNotExist => Err(BuildError::at(
                format!("{path}::op"),
                "of a field it cannot be asked whether it exists",
            )
            .remedy("write `equals` or `not-equals`")),
        }
    }
}

impl Filter {
    fn selectors(list: &[Requirement], labels: bool) -> Result<Vec<String>, BuildError> {
        let name = if labels { "labels" } else { "fields" };
        let one = |(at, requirement): (usize, &Requirement)| {
            requirement.selector(labels, &format!("filter::{name}::{at}"))
        };
        list.iter().enumerate().map(one).collect()
    }

    fn node(&self) -> Node {
        match (self.node_from_env_var.as_str(), self.node.as_str()) {
            ("", "") => Node::Any,
            ("", name) => Node::Named(name.to_owned()),
            (variable, _) => Node::Variable(variable.to_owned()),
        }
    }
}

impl Association {
    fn rule(&self, path: &str) -> Result<Vec<Source>, BuildError> {
        let path = format!("{path}::sources");
        if self.sources.is_empty() {
            return Err(BuildError::at(path, "a rule without a source")
                .remedy("write for example \"sources: [{from: connection}]\""));
        }
        if self.sources.len() > SOURCES {
            let message = format!("a rule has at most {SOURCES} sources");
            return Err(BuildError::at(path, message));
        }
        let one = |(at, keys): (usize, &SourceKeys)| {
            let path = format!("{path}::{at}");
            match (keys.from, keys.name.as_str()) {
                (Some(Place::Connection), _) => Ok(Source::Connection),
                (Some(Place::ResourceAttribute), "") => Err(BuildError::at(
                    format!("{path}::name"),
                    "the name of the attribute is needed",
                )),
                (Some(Place::ResourceAttribute), name) if AROUND.contains(&name) => {
                    let message = format!("no pod can be found by `{name}`");
                    Err(BuildError::at(format!("{path}::name"), message).remedy(
                        "name an attribute of the pod itself, such as `k8s.pod.uid`, or `container.id`",
                    ))
                }
                (Some(Place::ResourceAttribute), name) => Ok(Source::Attribute(name.into())),
                (None, _) => Err(BuildError::at(format!("{path}::from"), "`from` is needed")
                    .remedy("write `connection` or `resource_attribute`")),
            }
        };
        self.sources.iter().enumerate().map(one).collect()
    }
}

impl Config {
    fn plan(&self, surroundings: Surroundings) -> Result<Plan, BuildError> {
        let own = &self.own;
        self.access.check("")?;
        let names = match own.exclude.pods.as_slice() {
            [] => vec!["jaeger-agent", "jaeger-collector"],
            pods => pods.iter().map(|pod| pod.name.as_str()).collect(),
        };
        let names = names.into_iter().enumerate();
        let excluded = names.map(|(at, name)| compiled(name, format!("exclude::pods::{at}::name")));
        let rules = own.extract.rules(excluded.collect::<Result<_, _>>()?)?;
        let associations = own.pod_association.iter().enumerate();
        let associations =
            associations.map(|(at, one)| one.rule(&format!("pod_association::{at}")));
        let associations: Vec<Vec<Source>> = associations.collect::<Result<_, _>>()?;
        Ok(Plan {
            keys: self.access.clone(),
            surroundings,
            node: own.filter.node(),
            namespace: own.filter.namespace.clone(),
            fields: Filter::selectors(&own.filter.fields, false)?,
            labels: Filter::selectors(&own.filter.labels, true)?,
            wait: own
                .wait_for_metadata
                .then_some(own.wait_for_metadata_timeout.0),
            grace: own.pod_delete_grace_period.0,
            rules: Arc::new(rules),
            associations: Arc::new(Associations::new(associations)),
        })
    }

    /// Makes an instance that finds these surroundings.
    pub(super) fn processor(
        &self,
        cx: &BuildContext,
        surroundings: Surroundings,
    ) -> Result<K8sAttributes, BuildError> {
        let plan = self.plan(surroundings)?;
        let signal = cx.signal.map_or("", |signal| signal.name());
        let count = |name: &str, help: &str, labels: &[(&'static str, &str)]| {
            cx.metrics.counter(name, help, labels)
        };
        let labels = [("k8s_telemetry_type", signal)];
        Ok(K8sAttributes {
            splicer: tidegate_pdata::splice::Splicer::default(),
            associations: Arc::clone(&plan.associations),
            wants: plan.rules.wants.clone(),
            counts: Counts {
                associated: count(
                    "otelcol_processor_k8sattributes_pod_association_success",
                    "Number of successful pod associations",
                    &labels,
                ),
                unknown: count(
                    "otelcol_processor_k8sattributes_pod_association_error",
                    "Number of failed pod associations",
                    &labels,
                ),
                missed: count(
                    "otelcol_otelsvc_k8s_ip_lookup_miss",
                    "Number of times pod by IP lookup failed.",
                    &[],
                ),
            },
            cluster: (!self.own.passthrough).then(|| Cluster::of(plan, cx)),
            key: Vec::new(),
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "k8s_attributes";
    const STABILITY: Stability = Stability::Alpha;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        Ok(Box::new(self.processor(cx, Surroundings::default())?))
    }
}
