//! The names of the Collector's databases, and whose they are: `exporter_otlp_edge_traces` is of `otlp/edge`.

use tidegate_config::{Kind, Settings, canonical, spellings};
use tidegate_document::ComponentId;
use tidegate_pdata::Signal;

use crate::registry::registry;

/// What keeps something in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) kind: Kind,
    /// Its name in the configuration.
    pub(super) id: ComponentId,
    /// The signal, of a queue.
    pub(super) signal: Option<Signal>,
}

impl Owner {
    /// The type in its newest spelling.
    pub(super) fn canonical(&self) -> &str {
        canonical(self.kind, self.id.kind())
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.id)?;
        match self.signal {
            Some(signal) => write!(f, ", {}", signal.name()),
            None => Ok(()),
        }
    }
}

/// Whether a file has the name of a database of the Collector.
pub(super) fn is_database(file: &str) -> bool {
    let kinds = [
        "receiver_",
        "processor_",
        "exporter_",
        "connector_",
        "extension_",
        "other_",
    ];
    kinds.iter().any(|kind| file.starts_with(kind))
}

/// Whose a database is: by the configuration where there is one, else by the types of this build.
pub(super) fn owner(file: &str, settings: Option<&Settings>) -> Option<Owner> {
    match settings {
        Some(settings) => [Kind::Receiver, Kind::Exporter]
            .into_iter()
            .flat_map(|kind| {
                settings
                    .of(kind)
                    .keys()
                    .flat_map(move |id| owners(kind, id))
            })
            .find(|owner| files(owner).any(|name| name == file)),
        None => parsed(&plain(file)?),
    }
}

/// Everything of a component that may have a database.
fn owners(kind: Kind, id: &ComponentId) -> impl Iterator<Item = Owner> {
    let signals: &[Option<Signal>] = match kind {
        Kind::Exporter => &[
            Some(Signal::Traces),
            Some(Signal::Metrics),
            Some(Signal::Logs),
        ],
        _ => &[None],
    };
    let id = id.clone();
    signals.iter().map(move |signal| Owner {
        kind,
        id: id.clone(),
        signal: *signal,
    })
}

/// The files that the Collector may have for it, by every spelling of its type.
fn files(owner: &Owner) -> impl Iterator<Item = String> {
    let signal = owner.signal.map(|signal| format!("_{}", signal.name()));
    let signal = signal.unwrap_or_default();
    spellings(owner.kind, owner.canonical()).map(move |kind| {
        escaped(&format!(
            "{}_{kind}_{}{signal}",
            owner.kind,
            owner.id.name()
        ))
    })
}

/// A name as the Collector makes a file of it.
fn escaped(name: &str) -> String {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let mut file = String::new();
    for letter in name.chars() {
        match letter {
            letter if safe(letter) => file.push(letter),
            letter => file.push_str(&format!("~{:04X}", u32::from(letter))),
        }
    }
    file
}

/// The name that a file was made of.
fn plain(file: &str) -> Option<String> {
    let mut parts = file.split('~');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(4)?;
        name.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        name.push_str(rest);
    }
    Some(name)
}

/// The owner by the name of its file alone; of types that fit the longest.
fn parsed(name: &str) -> Option<Owner> {
    let (kind, rest) = [Kind::Receiver, Kind::Exporter]
        .into_iter()
        .find_map(|kind| {
            let rest = name.strip_prefix(kind.name())?.strip_prefix('_')?;
            Some((kind, rest))
        })?;
    let (rest, signal) = match kind {
        Kind::Exporter => [Signal::Traces, Signal::Metrics, Signal::Logs]
            .into_iter()
            .find_map(|signal| {
                let rest = rest.strip_suffix(signal.name())?.strip_suffix('_')?;
                Some((rest, Some(signal)))
            })?,
        _ => (rest, None),
    };
    let registry = registry();
    let types = registry.types(kind);
    let types = types.into_iter().flat_map(|name| spellings(kind, name));
    let fitting = types.filter(|name| {
        let after = rest.strip_prefix(name);
        after.is_some_and(|after| after.starts_with('_'))
    });
    let found = fitting.max_by_key(|name| name.len())?;
    let id = match &rest[found.len() + 1..] {
        "" => found.to_owned(),
        name => format!("{found}/{name}"),
    };
    Some(Owner {
        kind,
        id: id.parse().ok()?,
        signal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(file: &str) -> Option<String> {
        owner(file, None).map(|owner| owner.to_string())
    }

    #[test]
    fn a_file_is_of_the_component_that_its_name_tells() {
        let of = |file: &str| named(file).unwrap_or_else(|| panic!("{file}"));
        assert_eq!(of("receiver_filelog_"), "receiver filelog");
        assert_eq!(of("receiver_file_log_kube_a"), "receiver file_log/kube_a");
        assert_eq!(of("exporter_otlp__traces"), "exporter otlp, traces");
        assert_eq!(of("exporter_otlp_http__logs"), "exporter otlp_http, logs");
        assert_eq!(
            of("exporter_otlphttp_caf~00E9_metrics"),
            "exporter otlphttp/café, metrics"
        );
        for strange in [
            "receiver_snmp_",
            "exporter_otlp_",
            "exporter_otlp__profiles",
            "receiver_filelog",
            "receiver_filelog_~00",
            "processor_batch_",
            "é",
        ] {
            assert_eq!(named(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_name_comes_back_from_its_file() {
        for name in ["a", "a/b", "ä~1", "x y.z-_"] {
            assert_eq!(plain(&escaped(name)).as_deref(), Some(name));
        }
    }
}
