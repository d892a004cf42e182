//! Where the API is and how to speak to it: the service account of a pod, or a kubeconfig file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildError, StartError, async_trait};
use tidegate_document::Secret;

use super::kubeconfig;
use crate::tls::ClientTls;

/// Where a pod finds what its service account has.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How to authenticate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum AuthType {
    /// Not at all.
    #[serde(rename = "none")]
    None,
    /// As the service account of the pod, whose token is read again for each request.
    #[default]
    #[serde(rename = "serviceAccount")]
    ServiceAccount,
    /// As a kubeconfig file says.
    #[serde(rename = "kubeConfig")]
    KubeConfig,
    /// By a client's certificate: for kubelets alone.
    #[serde(rename = "tls")]
    Tls,
}

/// The keys of a client of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessKeys {
    /// How to authenticate: `serviceAccount`, `kubeConfig` or `none`.
    pub auth_type: AuthType,
    /// The context of the kubeconfig file; its current one unless told.
    pub context: String,
    /// The kubeconfig file; the files in `KUBECONFIG`, or else `~/.kube/config`, unless told.
    pub kube_config_path: String,
}

impl AccessKeys {
    /// Says what is wrong with them, which stand at `path`.
    ///
    /// # Errors
    /// When a key cannot be used as it is.
    pub fn check(&self, path: &str) -> Result<(), BuildError> {
        let at = |key: &str| match path {
            "" => key.to_owned(),
            path => format!("{path}::{key}"),
        };
        if self.auth_type == AuthType::Tls {
            return Err(BuildError::at(
                at("auth_type"),
                "the API server is not spoken to by keys of TLS that are written here",
            )
            .remedy("write \"auth_type: kubeConfig\", with the certificate in a kubeconfig file"));
        }
        let of_file = [
            ("context", &self.context),
            ("kube_config_path", &self.kube_config_path),
        ];
        for (key, value) in of_file {
            if self.auth_type != AuthType::KubeConfig && !value.is_empty() {
                return Err(BuildError::at(
                    at(key),
                    "a kubeconfig file is read with \"auth_type: kubeConfig\" alone",
                )
                .remedy("write \"auth_type: kubeConfig\", or take the key out"));
            }
        }
        Ok(())
    }

    /// Finds out where the API is. Reads what the keys name, and connects to nothing.
    ///
    /// # Errors
    /// When this is no pod, or a file cannot be read or used.
    pub fn access(&self, surroundings: &Surroundings) -> Result<Access, StartError> {
        match self.auth_type {
            AuthType::KubeConfig => {
                kubeconfig::access(&self.kube_config_path, &self.context, surroundings)
            }
            AuthType::ServiceAccount => {
                let ca = surroundings.account("ca.crt");
                let token = surroundings.account("token");
                read(&token)?;
                Ok(Access {
                    base: surroundings.api()?,
                    tls: ClientTls {
                        ca_file: ca.exists().then(|| ca.display().to_string()),
                        ..ClientTls::default()
                    },
                    token: Token::File(token),
                    proxy: None,
                })
            }
            AuthType::None | AuthType::Tls => Ok(Access {
                base: surroundings.api()?,
                // As the original: who does not say who he is does not ask who answers.
                tls: ClientTls {
                    insecure_skip_verify: true,
                    ..ClientTls::default()
                },
                token: Token::None,
                proxy: None,
            }),
        }
    }
}

/// Says who is speaking, in the headers of a request.
#[async_trait]
pub trait Authorize: fmt::Debug + Send + Sync {
    /// Adds what says so.
    ///
    /// # Errors
    /// When that cannot be had now.
    async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), String>;
}

/// What a client says of itself.
#[derive(Clone, Debug)]
pub enum Token {
    /// Nothing.
    None,
    /// This, as the whole value of the header `authorization`.
    Header(Secret),
    /// What is in a file, which is read for each request as it is renewed from time to time.
    File(PathBuf),
    /// What somebody else knows.
    By(Arc<dyn Authorize>),
}

/// Where the API is and how to speak to it.
#[derive(Clone, Debug)]
pub struct Access {
    /// What every URL begins with, without a slash at its end.
    pub base: String,
    /// Whom to trust, and what to present.
    pub tls: ClientTls,
    /// Who is speaking.
    pub token: Token,
    /// A proxy to go through.
    pub proxy: Option<String>,
}

/// Looks up a variable of the environment.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What is around the process: variables, and the files of its pod.
#[derive(Clone)]
pub struct Surroundings {
    variables: Arc<Lookup>,
    account: PathBuf,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            variables: Arc::new(|name| std::env::var(name).ok()),
            account: PathBuf::from(ACCOUNT),
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Others than those of the process: these variables, and a pod's files in this folder.
    #[must_use]
    pub fn made_up(variables: &[(&str, &str)], account: &Path) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<(String, String)> = variables.iter().map(own).collect();
        Self {
            variables: Arc::new(move |name| {
                let found = variables.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone())
            }),
            account: account.to_owned(),
        }
    }

    /// The value of a variable that is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    /// A file of the pod's service account.
    #[must_use]
    pub fn account(&self, file: &str) -> PathBuf {
        self.account.join(file)
    }

    fn api(&self) -> Result<String, StartError> {
        let (host, port) = (
            self.variable("KUBERNETES_SERVICE_HOST"),
            self.variable("KUBERNETES_SERVICE_PORT"),
        );
        match (host, port) {
            (Some(host), Some(port)) if host.contains(':') => {
                Ok(format!("https://[{host}]:{port}"))
            }
            (Some(host), Some(port)) => Ok(format!("https://{host}:{port}")),
            _ => Err(StartError {
                message: "this is no pod of Kubernetes: KUBERNETES_SERVICE_HOST and \
                          KUBERNETES_SERVICE_PORT are not set; elsewhere write \"auth_type: \
                          kubeConfig\""
                    .to_owned(),
                source: None,
            }),
        }
    }
}

/// Reads a file whose content is needed.
pub(super) fn read(path: &Path) -> Result<String, StartError> {
    std::fs::read_to_string(path)
        .map_err(|error| StartError::new(format!("cannot read {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(auth_type: AuthType) -> AccessKeys {
        AccessKeys {
            auth_type,
            ..AccessKeys::default()
        }
    }

    #[test]
    fn a_pod_speaks_as_its_service_account() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("KUBERNETES_SERVICE_PORT", "443"),
        ];
        let pod = Surroundings::made_up(&variables, folder.path());
        let fault = keys(AuthType::ServiceAccount).access(&pod).unwrap_err();
        assert!(fault.message.contains("token"), "{fault}");
        std::fs::write(folder.path().join("token"), "abc\n").unwrap();
        std::fs::write(folder.path().join("ca.crt"), "").unwrap();
        let access = keys(AuthType::ServiceAccount).access(&pod).unwrap();
        assert_eq!(access.base, "https://10.0.0.1:443");
        assert!(access.tls.ca_file.unwrap().ends_with("ca.crt"));
        assert!(matches!(access.token, Token::File(path) if path.ends_with("token")));
    }

    #[test]
    fn an_address_of_ipv6_stands_in_brackets() {
        let variables = [
            ("KUBERNETES_SERVICE_HOST", "fd00::1"),
            ("KUBERNETES_SERVICE_PORT", "6443"),
        ];
        let pod = Surroundings::made_up(&variables, Path::new("/nowhere"));
        let access = keys(AuthType::None).access(&pod).unwrap();
        assert_eq!(access.base, "https://[fd00::1]:6443");
        assert!(access.tls.insecure_skip_verify);
    }

    #[test]
    fn what_is_no_pod_is_told_so() {
        let nowhere = Surroundings::made_up(&[], Path::new("/nowhere"));
        let fault = keys(AuthType::None).access(&nowhere).unwrap_err();
        assert!(fault.message.contains("kubeConfig"), "{fault}");
    }

    #[test]
    fn keys_that_could_not_act_are_refused() {
        let fault = keys(AuthType::Tls).check("k8s_api_config").unwrap_err();
        assert_eq!(fault.path, "k8s_api_config::auth_type");
        let context = AccessKeys {
            context: "a".to_owned(),
            ..AccessKeys::default()
        };
        assert_eq!(context.check("").unwrap_err().path, "context");
        assert!(AccessKeys::default().check("").is_ok());
    }
}
