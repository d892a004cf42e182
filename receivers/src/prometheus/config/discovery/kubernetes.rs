//! `kubernetes_sd_configs`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use crate::prometheus::config::http::HttpKeys;
use crate::prometheus::discovery::kubernetes::{Attach, Kubernetes, Role, Selector, Server, Way};

/// The keys of `kubernetes_sd_configs` beside those of the client.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::prometheus) struct KubernetesKeys {
    /// The URL of the API server; that of the pod's cluster unless told.
    #[serde(default)]
    api_server: Option<String>,
    /// What targets are made of: pod, service, endpoints, endpointslice, node or ingress.
    role: Role,
    /// A kubeconfig file that says where the API server is and how to speak to it.
    #[serde(default)]
    kubeconfig_file: Option<String>,
    /// The namespaces to look into; all of them unless told.
    #[serde(default)]
    namespaces: NamespaceKeys,
    /// Which objects count, as the API server knows it.
    #[serde(default)]
    selectors: Vec<SelectorKeys>,
    /// What else is told of targets.
    #[serde(default)]
    attach_metadata: Attach,
}

/// `namespaces`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct NamespaceKeys {
    /// Looks into the namespace of the pod that this runs in.
    own_namespace: bool,
    /// Namespaces by their names.
    names: Vec<String>,
}

/// An element of `selectors`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::prometheus) struct SelectorKeys {
    /// The kind of object: the role itself; pods and services for endpoints; nodes for pods.
    role: Role,
    /// The labels that it must have, as `app=web,tier!=test`.
    #[serde(default)]
    label: String,
    /// The fields that it must have, as `spec.nodeName=a`.
    #[serde(default)]
    field: String,
}

tidegate_document::layered! {
    /// `kubernetes_sd_configs`.
    #[derive(Clone, Debug)]
    pub(in crate::prometheus) struct KubernetesSdKeys {
        own: KubernetesKeys,
        client: HttpKeys,
    }
}

impl KubernetesSdKeys {
    pub(super) fn build(&self, path: &str) -> Result<Kubernetes, BuildError> {
        let own = &self.own;
        Ok(Kubernetes {
            way: self.way(path)?,
            role: own.role,
            namespaces: own.namespaces.names.clone(),
            own_namespace: own.namespaces.own_namespace,
            selectors: self.selectors(path)?,
            attach: own.attach_metadata,
        })
    }

    fn way(&self, path: &str) -> Result<Way, BuildError> {
        let own = &self.own;
        let fault = |key: &str, message: &str, remedy: &str| {
            BuildError::at(format!("{path}::{key}"), message).remedy(remedy)
        };
        let server = own.api_server.as_deref().filter(|url| !url.is_empty());
        let file = own.kubeconfig_file.as_deref();
        let file = file.filter(|file| !file.is_empty());
        if (server.is_some() || file.is_some()) && own.namespaces.own_namespace {
            return Err(fault(
                "namespaces::own_namespace",
                "the own namespace is that of a pod that speaks as its service account",
                "name it in `namespaces.names`, or take `api_server` and `kubeconfig_file` away",
            ));
        }
        let custom = self.client != HttpKeys::default();
        match (server, file) {
            (Some(_), Some(_)) => Err(fault(
                "kubeconfig_file",
                "`api_server` is given too, and one of them says where the API server is",
                "keep one of the two",
            )),
            (None, Some(_)) if custom => Err(fault(
                "kubeconfig_file",
                "the file says how to speak to the API server, and so do keys of an HTTP client",
                "take these keys away, or name the server in `api_server`",
            )),
            (None, None) if custom => Err(fault(
                "api_server",
                "keys of an HTTP client are for a server that is named",
                "name the API server, for example `https://kubernetes.default.svc`",
            )),
            (None, Some(file)) => Ok(Way::File(file.to_owned())),
            (None, None) => Ok(Way::Pod),
            (Some(url), None) => {
                let uri: Option<http::Uri> = url.parse().ok();
                let scheme = uri.as_ref().and_then(|uri| uri.scheme_str());
                if !matches!(scheme, Some("http" | "https")) {
                    let remedy = "write for example `https://kubernetes.default.svc`";
                    return Err(fault("api_server", "this is no URL of a server", remedy));
                }
                let (client, credentials) = self.client.build(path)?;
                Ok(Way::Server(Box::new(Server {
                    url: url.trim_end_matches('/').to_owned(),
                    keys: self.client.clone(),
                    client,
                    credentials,
                })))
            }
        }
    }

    fn selectors(&self, path: &str) -> Result<Vec<Selector>, BuildError> {
        let role = self.own.role;
        let mut selectors: Vec<Selector> = Vec::new();
        for (at, keys) in self.own.selectors.iter().enumerate() {
            let path = format!("{path}::selectors::{at}");
            if selectors.iter().any(|known| known.role == keys.role) {
                let message = format!("there is a selector of {} already", keys.role.plural());
                return Err(BuildError::at(path, message)
                    .remedy("join them: a comma stands between what must hold together"));
            }
            if !role.selects(keys.role) {
                let message = format!(
                    "targets that are made of {} do not depend on {}",
                    role.plural(),
                    keys.role.plural()
                );
                return Err(
                    BuildError::at(format!("{path}::role"), message).remedy(format!(
                        "take the selector away, or write `role: {}`",
                        role.name()
                    )),
                );
            }
            selectors.push(Selector {
                role: keys.role,
                labels: keys.label.clone(),
                fields: keys.field.clone(),
            });
        }
        Ok(selectors)
    }
}
