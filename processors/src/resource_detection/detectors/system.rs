//! `system`: the machine as its kernel and its files tell.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::found::{Found, Known};
use super::super::world::World;

pub(super) const ATTRIBUTES: &[Known] = &[
    ("host.arch", false),
    ("host.cpu.cache.l2.size", false),
    ("host.cpu.family", false),
    ("host.cpu.model.id", false),
    ("host.cpu.model.name", false),
    ("host.cpu.stepping", false),
    ("host.cpu.vendor.id", false),
    ("host.id", false),
    ("host.name", true),
    ("os.description", false),
    ("os.name", false),
    ("os.type", true),
    ("os.version", false),
];

/// Where the host's name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HostnameSource {
    /// The name with its domain: of the hosts file, of the DNS, or of a reverse lookup.
    Dns,
    /// The kernel's.
    Os,
    /// The name that the DNS has for the kernel's.
    Cname,
    /// A reverse lookup of the host's addresses.
    Lookup,
}

/// The kernel's name of the host.
pub(super) fn hostname(world: &World) -> Option<String> {
    let name = world.file("/proc/sys/kernel/hostname")?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

pub(super) async fn detect(
    world: &World,
    sources: &[HostnameSource],
    found: &mut Found<'_>,
) -> Result<(), String> {
    let kernels = hostname(world).ok_or("the kernel tells no name of the host")?;
    let mut name = None;
    for source in sources {
        name = match source {
            HostnameSource::Os => Some(kernels.clone()),
            HostnameSource::Dns => with_domain(world, &kernels).await,
            HostnameSource::Cname => canonical(&kernels).await.map(|(name, _)| name),
            HostnameSource::Lookup => reverse(&kernels).await,
        };
        if name.is_some() {
            break;
        }
    }
    let name = name.ok_or("none of `hostname_sources` knows the host's name")?;
    found.set("host.name", name);
    found.set("os.type", std::env::consts::OS);
    found.set("host.arch", architecture());
    found.set_some("host.id", id(world));
    release(world, &kernels, found);
    processor(world, found);
    Ok(())
}

/// The name of the hosts file, or else the DNS.
async fn with_domain(world: &World, host: &str) -> Option<String> {
    if let Some(name) = in_hosts(&world.file("/etc/hosts").unwrap_or_default(), host) {
        return Some(name);
    }
    match canonical(host).await {
        Some((name, _)) => Some(name),
        None => reverse(host).await,
    }
}

/// The first name on the line of the hosts file that has this one.
fn in_hosts(text: &str, host: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut names = line.split_whitespace().skip(1).peekable();
        let first = *names.peek()?;
        names.any(|name| name == host).then(|| first.to_owned())
    })
}

fn resolver() -> Option<TokioResolver> {
    TokioResolver::builder_tokio().ok()?.build().ok()
}

/// The name that the addresses of a host belong to, with the addresses.
async fn canonical(host: &str) -> Option<(String, Vec<IpAddr>)> {
    let answer = resolver()?.lookup_ip(host).await.ok()?;
    let name = answer.as_lookup().answers().last()?.name.to_utf8();
    let name = name.trim_end_matches('.').to_owned();
    (!name.is_empty()).then(|| (name, answer.iter().collect()))
}

/// The name that the DNS has for one of the host's addresses.
async fn reverse(host: &str) -> Option<String> {
    let resolver = resolver()?;
    for address in resolver.lookup_ip(host).await.ok()?.iter() {
        let Ok(answer) = resolver.reverse_lookup(address).await else {
            continue;
        };
        if let Some(record) = answer.answers().first() {
            let name = record.data.to_string();
            return Some(name.trim_end_matches('.').to_owned());
        }
    }
    None
}

/// The architecture, in the words of the semantic conventions.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "x86",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// The machine's ID, as systemd and D-Bus keep it.
fn id(world: &World) -> Option<String> {
    let text = world
        .file("/etc/machine-id")
        .or_else(|| world.file("/var/lib/dbus/machine-id"))?;
    let id = text.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// What the distribution and the kernel call themselves.
fn release(world: &World, host: &str, found: &mut Found<'_>) {
    let text = world
        .file("/etc/os-release")
        .or_else(|| world.file("/usr/lib/os-release"))
        .unwrap_or_default();
    let value = |key: &str| {
        let found = text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        });
        found.filter(|value| !value.is_empty())
    };
    let kernel = |name: &str| {
        let text = world.file(&format!("/proc/sys/kernel/{name}"));
        text.map(|text| text.trim().to_owned()).unwrap_or_default()
    };
    let name = value("NAME");
    let version = value("VERSION").or_else(|| value("VERSION_ID"));
    found.set_some("os.name", name.clone());
    found.set_some("os.version", value("VERSION_ID"));
    let system = format!(
        "{} {host} {} {} {}",
        kernel("ostype"),
        kernel("osrelease"),
        kernel("version"),
        std::env::consts::ARCH
    );
    let description = match (name, version) {
        (Some(name), Some(version)) => format!("{name} {version} ({system})"),
        (Some(name), None) => format!("{name} ({system})"),
        (None, _) => system,
    };
    found.set("os.description", description);
}

/// What the kernel says of the first processor.
fn processor(world: &World, found: &mut Found<'_>) {
    let text = world.file("/proc/cpuinfo").unwrap_or_default();
    let first = text.split("\n\n").next().unwrap_or_default();
    let value = |key: &str| {
        first.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        })
    };
    found.set_some("host.cpu.vendor.id", value("vendor_id"));
    found.set_some("host.cpu.family", value("cpu family"));
    found.set_some("host.cpu.model.id", value("model"));
    found.set_some("host.cpu.model.name", value("model name"));
    found.set_some("host.cpu.stepping", value("stepping"));
    let cache = value("cache size").and_then(|text| text.split(' ').next()?.parse().ok());
    found.set_some(
        "host.cpu.cache.l2.size",
        cache.map(super::super::found::Value::Int),
    );
}

#[cfg(test)]
mod tests {
    use super::in_hosts;

    #[test]
    fn the_hosts_file_tells_the_domain() {
        let text = "127.0.0.1 localhost\n# 10.0.0.1 no.example web\n10.0.0.7\tweb.example.com web # ours\n";
        assert_eq!(in_hosts(text, "web").as_deref(), Some("web.example.com"));
        assert_eq!(in_hosts(text, "no"), None);
        assert_eq!(in_hosts(text, "10.0.0.7"), None);
    }
}
