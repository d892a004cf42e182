//! Two listeners on one address, found before anything is opened.

use tidegate_component::{ComponentId, Factory};
use tidegate_config::{Kind, Settings};
use tidegate_document::{Diagnostic, Diagnostics, Kind as Found, Span};

use super::{path, place};
use crate::telemetry::address;
use crate::wiring::Parts;

/// A listener that will be opened.
struct Listener {
    /// Whose it is, as `the receiver `otlp``.
    owner: String,
    /// The setting that names the address.
    path: String,
    address: String,
    span: Span,
    remedy: &'static str,
}

/// Reports listeners that would get in each other's way.
pub(super) fn check(settings: &Settings, parts: &Parts, found: &mut Diagnostics) {
    let all = every(settings, parts);
    for (at, later) in all.iter().enumerate() {
        let mut before = all[..at].iter();
        if let Some(first) = before.find(|first| clash(&first.address, &later.address)) {
            found.push(report(first, later));
        }
    }
}

/// Every address that will be listened on, as `host:port`, `udp:host:port` or `unix:path`.
pub(super) fn addresses(settings: &Settings, parts: &Parts) -> Vec<String> {
    let all = every(settings, parts).into_iter();
    all.map(|listener| listener.address).collect()
}

fn every(settings: &Settings, parts: &Parts) -> Vec<Listener> {
    let mut all = own_metrics(settings);
    for (id, factory) in &parts.receivers {
        collect(settings, Kind::Receiver, id, &**factory, &mut all);
    }
    for (id, part) in &parts.exporters {
        collect(settings, Kind::Exporter, id, &*part.factory, &mut all);
    }
    for (id, factory) in &parts.extensions {
        collect(settings, Kind::Extension, id, &**factory, &mut all);
    }
    all
}

/// The endpoints of `service.telemetry.metrics`, which nobody thinks of.
fn own_metrics(settings: &Settings) -> Vec<Listener> {
    let readers = settings.service.telemetry.metrics.readers();
    let readers = readers.unwrap_or_default().into_iter();
    let pulled = readers.filter_map(|reader| reader.pull?.exporter.prometheus);
    pulled
        .map(|prometheus| Listener {
            owner: "the process, with its own metrics,".to_owned(),
            path: "service::telemetry::metrics::readers".to_owned(),
            address: address(&prometheus),
            span: Span::NONE,
            remedy: "give it another port, or the process's own metrics one in \
                     `service::telemetry::metrics::readers`",
        })
        .collect()
}

fn collect<T>(
    settings: &Settings,
    kind: Kind,
    id: &ComponentId,
    factory: &dyn Factory<T>,
    all: &mut Vec<Listener>,
) {
    let component = settings.of(kind).get(id);
    for (key, address) in factory.listens() {
        all.push(Listener {
            owner: format!("the {kind} `{id}`"),
            span: component.map_or(Span::NONE, |component| place(component, &key)),
            path: path(kind, id, &key),
            address,
            remedy: "give one of them another port",
        });
    }
}

fn report(first: &Listener, later: &Listener) -> Diagnostic {
    let message = format!("{} listens on {} already", first.owner, first.address);
    Diagnostic::error(Found::Conflict, message)
        .path(&later.path)
        .at(later.span)
        .related(first.span, &first.owner)
        .help(first.remedy)
}

/// Whether two addresses cannot both be listened on.
fn clash(one: &str, other: &str) -> bool {
    // Datagrams and connections have ports of their own.
    let datagrams = |address: &str| address.starts_with("udp:");
    if datagrams(one) != datagrams(other) {
        return false;
    }
    let bare = |address| str::strip_prefix(address, "udp:").unwrap_or(address);
    let (one, other) = (bare(one), bare(other));
    let (Some((host, port)), Some((other_host, other_port))) = (split(one), split(other)) else {
        // Paths of sockets.
        return one == other;
    };
    port == other_port && port != "0" && (wild(host) || wild(other_host) || same(host, other_host))
}

fn split(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    let number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    number.then_some((host.trim_matches(['[', ']']), port))
}

fn wild(host: &str) -> bool {
    matches!(host, "" | "0.0.0.0" | "::")
}

fn same(host: &str, other: &str) -> bool {
    let own = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "::1");
    host.eq_ignore_ascii_case(other)
        || (own(host) && own(other) && (host == "localhost" || other == "localhost"))
}

#[cfg(test)]
mod tests {
    use super::clash;

    #[test]
    fn one_port_is_shared_by_different_hosts_only() {
        assert!(clash("localhost:4317", "127.0.0.1:4317"));
        assert!(clash("0.0.0.0:4317", "10.0.0.1:4317"));
        assert!(clash("[::]:4317", "localhost:4317"));
        assert!(clash(":4317", "localhost:4317"));
        assert!(!clash("127.0.0.1:4317", "10.0.0.1:4317"));
        assert!(!clash("127.0.0.1:4317", "[::1]:4317"));
        assert!(!clash("localhost:4317", "localhost:4318"));
        assert!(!clash("localhost:0", "localhost:0"));
        assert!(clash("udp:localhost:6831", "udp:0.0.0.0:6831"));
        assert!(!clash("udp:localhost:6831", "localhost:6831"));
        assert!(clash("unix:/run/otlp.sock", "unix:/run/otlp.sock"));
        assert!(!clash("unix:/run/otlp.sock", "unix:/run/other.sock"));
    }
}
