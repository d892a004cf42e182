//! Kubeconfig files, as `kubectl` has them.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tidegate_component::StartError;
use tidegate_document::{Secret, read_plain, yaml};

use super::access::{Access, Surroundings, Token, read};
use crate::tls::ClientTls;

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct File {
    current_context: Option<String>,
    contexts: Option<Vec<Context>>,
    clusters: Option<Vec<Cluster>>,
    users: Option<Vec<User>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    name: String,
    context: ContextKeys,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContextKeys {
    cluster: String,
    user: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cluster {
    name: String,
    cluster: ClusterKeys,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct ClusterKeys {
    server: String,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    name: String,
    user: UserKeys,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct UserKeys {
    token: Option<Secret>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    exec: Option<serde_json::Value>,
    auth_provider: Option<serde_json::Value>,
    #[serde(skip)]
    folder: PathBuf,
}

/// What the files together say: of several things with one name the first counts.
#[derive(Default)]
struct Whole {
    current: Option<String>,
    contexts: Vec<Context>,
    clusters: Vec<Cluster>,
    users: Vec<User>,
}

/// The access that a kubeconfig file gives.
pub(super) fn access(
    path: &str,
    context: &str,
    surroundings: &Surroundings,
) -> Result<Access, StartError> {
    let whole = Whole::read(&files(path, surroundings)?)?;
    let wanted = match context {
        "" => whole.current.as_deref().unwrap_or_default(),
        context => context,
    };
    let context = whole.contexts.iter().find(|one| one.name == wanted);
    let context = context.ok_or_else(|| fault(format!("has no context {wanted:?}")))?;
    let cluster = whole
        .clusters
        .iter()
        .find(|one| one.name == context.context.cluster);
    let cluster =
        cluster.ok_or_else(|| fault(format!("has no cluster {:?}", context.context.cluster)))?;
    let user = whole
        .users
        .iter()
        .find(|one| one.name == context.context.user);
    let nobody = UserKeys::default();
    let user = user.map_or(&nobody, |one| &one.user);
    let cluster = &cluster.cluster;
    if cluster.server.is_empty() {
        return Err(fault("names no server for its cluster".to_owned()));
    }
    Ok(Access {
        base: cluster.server.trim_end_matches('/').to_owned(),
        tls: tls(cluster, user)?,
        token: token(user)?,
        proxy: cluster.proxy_url.clone(),
    })
}

fn fault(what: String) -> StartError {
    StartError {
        message: format!("the kubeconfig file {what}"),
        source: None,
    }
}

/// The files to read.
fn files(path: &str, surroundings: &Surroundings) -> Result<Vec<PathBuf>, StartError> {
    let home = surroundings.variable("HOME");
    if let Some(below) = path.strip_prefix("~/") {
        return Ok(vec![PathBuf::from(home.unwrap_or_default()).join(below)]);
    }
    if !path.is_empty() {
        return Ok(vec![PathBuf::from(path)]);
    }
    if let Some(list) = surroundings.variable("KUBECONFIG") {
        let named: Vec<PathBuf> = std::env::split_paths(&list)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        // As for `kubectl`, those of a list that are not there are no fault, unless none is.
        let there: Vec<PathBuf> = named.iter().filter(|path| path.exists()).cloned().collect();
        return Ok(if there.is_empty() { named } else { there });
    }
    match home {
        Some(home) => Ok(vec![Path::new(&home).join(".kube/config")]),
        None => Err(fault(
            "is not named, and there is no HOME to look in".to_owned(),
        )),
    }
}

impl Whole {
    fn read(files: &[PathBuf]) -> Result<Self, StartError> {
        let mut whole = Self::default();
        for path in files {
            let text = read(path)?;
            let broken =
                |error: String| fault(format!("{} cannot be read: {error}", path.display()));
            let node = yaml::parse_str(&text).map_err(|found| broken(found.to_string()))?;
            let mut file: File =
                read_plain(&node).map_err(|found| broken(found.message.clone()))?;
            let folder = path.parent().unwrap_or_else(|| Path::new(""));
            for cluster in file.clusters.iter_mut().flatten() {
                folder.clone_into(&mut cluster.cluster.folder);
            }
            for user in file.users.iter_mut().flatten() {
                folder.clone_into(&mut user.user.folder);
            }
            let current = file.current_context.filter(|name| !name.is_empty());
            whole.current = whole.current.or(current);
            whole.contexts.extend(file.contexts.into_iter().flatten());
            whole.clusters.extend(file.clusters.into_iter().flatten());
            whole.users.extend(file.users.into_iter().flatten());
        }
        Ok(whole)
    }
}

fn tls(cluster: &ClusterKeys, user: &UserKeys) -> Result<ClientTls, StartError> {
    let file = |folder: &Path, path: &Option<String>, data: bool| {
        let path = path.as_ref().filter(|path| !data && !path.is_empty());
        path.map(|path| folder.join(path).display().to_string())
    };
    let key = user.client_key_data.as_ref().map(Secret::reveal);
    Ok(ClientTls {
        insecure_skip_verify: cluster.insecure_skip_tls_verify,
        server_name_override: cluster.tls_server_name.clone(),
        ca_pem: pem(
            cluster.certificate_authority_data.as_deref(),
            "certificate-authority-data",
        )?,
        // Data comes before a file where both are given, as for `kubectl`.
        ca_file: file(
            &cluster.folder,
            &cluster.certificate_authority,
            cluster.certificate_authority_data.is_some(),
        ),
        cert_pem: pem(
            user.client_certificate_data.as_deref(),
            "client-certificate-data",
        )?,
        cert_file: file(
            &user.folder,
            &user.client_certificate,
            user.client_certificate_data.is_some(),
        ),
        key_pem: pem(key, "client-key-data")?,
        key_file: file(
            &user.folder,
            &user.client_key,
            user.client_key_data.is_some(),
        ),
        ..ClientTls::default()
    })
}

fn pem(data: Option<&str>, key: &str) -> Result<Option<Secret>, StartError> {
    let Some(data) = data.filter(|data| !data.is_empty()) else {
        return Ok(None);
    };
    let decoded = STANDARD.decode(data.trim()).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| fault(format!("has a `{key}` that is not PEM in base64")))?;
    Ok(Some(Secret::new(text)))
}

fn token(user: &UserKeys) -> Result<Token, StartError> {
    if user.exec.is_some() || user.auth_provider.is_some() {
        return Err(fault(
            "has a user whose token another program makes, which is not run here; give it a \
             `token`, a `tokenFile` or a client's certificate"
                .to_owned(),
        ));
    }
    if let Some(path) = user.token_file.as_ref().filter(|path| !path.is_empty()) {
        return Ok(Token::File(user.folder.join(path)));
    }
    if let Some(token) = user
        .token
        .as_ref()
        .filter(|token| !token.reveal().is_empty())
    {
        return Ok(Token::Header(Secret::new(format!(
            "Bearer {}",
            token.reveal()
        ))));
    }
    let Some(name) = user.username.as_ref().filter(|name| !name.is_empty()) else {
        return Ok(Token::None);
    };
    let password = user.password.as_ref().map_or("", Secret::reveal);
    let both = STANDARD.encode(format!("{name}:{password}"));
    Ok(Token::Header(Secret::new(format!("Basic {both}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
apiVersion: v1
kind: Config
current-context: here
contexts:
- {name: here, context: {cluster: home, user: me, namespace: default}}
- {name: there, context: {cluster: away, user: certified}}
- {name: plugged, context: {cluster: home, user: plugin}}
- {name: nowhere, context: {cluster: none, user: me}}
clusters:
- {name: home, cluster: {server: 'https://10.0.0.1:6443/', certificate-authority: ca.crt}}
- {name: away, cluster: {server: 'https://away/k8s', insecure-skip-tls-verify: true, tls-server-name: api, proxy-url: 'http://proxy:3128'}}
users:
- {name: me, user: {token: abc}}
- {name: certified, user: {client-certificate-data: UEVN, client-key: /keys/key.pem}}
- {name: plugin, user: {exec: {command: aws}}}
";

    fn open(context: &str) -> Result<Access, StartError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, FILE).unwrap();
        let variables = [("KUBECONFIG", path.to_str().unwrap())];
        access(
            "",
            context,
            &Surroundings::made_up(&variables, folder.path()),
        )
    }

    #[test]
    fn the_current_context_counts_where_none_is_named() {
        let here = open("").unwrap();
        assert_eq!(here.base, "https://10.0.0.1:6443");
        assert!(here.tls.ca_file.unwrap().ends_with("/ca.crt"));
        assert!(matches!(here.token, Token::Header(secret) if secret.reveal() == "Bearer abc"));
    }

    #[test]
    fn a_context_is_found_by_its_name() {
        let there = open("there").unwrap();
        assert_eq!(there.base, "https://away/k8s");
        assert_eq!(there.proxy.as_deref(), Some("http://proxy:3128"));
        assert_eq!(there.tls.server_name_override.as_deref(), Some("api"));
        assert!(there.tls.insecure_skip_verify);
        assert_eq!(there.tls.cert_pem.unwrap().reveal(), "PEM");
        assert_eq!(there.tls.key_file.as_deref(), Some("/keys/key.pem"));
        assert!(matches!(there.token, Token::None));
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for (context, what) in [
            ("plugged", "another program"),
            ("nowhere", "no cluster \"none\""),
            ("other", "no context \"other\""),
        ] {
            let fault = open(context).unwrap_err();
            assert!(fault.message.contains(what), "{fault}");
        }
        let nowhere = Surroundings::made_up(&[("KUBECONFIG", "/no/file")], Path::new("/"));
        let fault = access("", "", &nowhere).unwrap_err();
        assert!(fault.message.contains("/no/file"), "{fault}");
    }
}
