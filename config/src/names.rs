//! The kinds of components, and the renamed types of the Collector: both spellings load.

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Brings telemetry in.
    Receiver,
    /// Changes it on its way.
    Processor,
    /// Delivers it.
    Exporter,
    /// Joins two pipelines.
    Connector,
    /// Stands beside the pipelines.
    Extension,
}

impl Kind {
    /// Every kind, in the order of a configuration.
    pub const ALL: [Self; 5] = [
        Self::Receiver,
        Self::Processor,
        Self::Exporter,
        Self::Connector,
        Self::Extension,
    ];

    /// The key of the section: `receivers`.
    pub const fn section(self) -> &'static str {
        match self {
            Self::Receiver => "receivers",
            Self::Processor => "processors",
            Self::Exporter => "exporters",
            Self::Connector => "connectors",
            Self::Extension => "extensions",
        }
    }

    /// The word for one: `receiver`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
            Self::Exporter => "exporter",
            Self::Connector => "connector",
            Self::Extension => "extension",
        }
    }

    /// The word with its article: `an exporter`.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Receiver => "a receiver",
            Self::Processor => "a processor",
            Self::Exporter => "an exporter",
            Self::Connector => "a connector",
            Self::Extension => "an extension",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The older spellings of types: kind, what users may write, what it is called.
pub const RENAMED: &[(Kind, &str, &str)] = &[
    (Kind::Exporter, "loadbalancing", "load_balancing"),
    (Kind::Exporter, "logging", "debug"),
    (Kind::Exporter, "otlp", "otlp_grpc"),
    (Kind::Exporter, "otlphttp", "otlp_http"),
    (
        Kind::Exporter,
        "prometheusremotewrite",
        "prometheus_remote_write",
    ),
    (Kind::Receiver, "filelog", "file_log"),
    (Kind::Receiver, "fluentforward", "fluent_forward"),
    (Kind::Receiver, "hostmetrics", "host_metrics"),
    (Kind::Receiver, "httpcheck", "http_check"),
    (Kind::Receiver, "k8sobjects", "k8s_objects"),
    (Kind::Receiver, "kubeletstats", "kubelet_stats"),
    (Kind::Receiver, "otlpjsonfile", "otlp_json_file"),
    (Kind::Receiver, "tcplog", "tcp_log"),
    (Kind::Receiver, "udplog", "udp_log"),
    (Kind::Processor, "cumulativetodelta", "cumulative_to_delta"),
    (Kind::Processor, "deltatocumulative", "delta_to_cumulative"),
    (Kind::Processor, "groupbyattrs", "group_by_attrs"),
    (Kind::Processor, "k8sattributes", "k8s_attributes"),
    (Kind::Processor, "logdedup", "log_dedup"),
    (Kind::Processor, "metricstransform", "metrics_transform"),
    (Kind::Processor, "ratelimit", "rate_limiter"),
    (Kind::Processor, "ratelimiter", "rate_limiter"),
    (Kind::Processor, "resourcedetection", "resource_detection"),
    (Kind::Processor, "tailsampling", "tail_sampling"),
    (Kind::Connector, "servicegraph", "service_graph"),
    (Kind::Connector, "spanmetrics", "span_metrics"),
    (Kind::Extension, "cgroupruntime", "cgroup_runtime"),
];

/// Gives the name of a type in its newest spelling.
pub fn canonical(kind: Kind, name: &str) -> &str {
    RENAMED
        .iter()
        .find(|(of, older, _)| *of == kind && *older == name)
        .map_or(name, |(_, _, newer)| newer)
}

/// Gives every spelling of a type, the newest first.
pub fn spellings(kind: Kind, name: &str) -> impl Iterator<Item = &str> {
    let older = RENAMED
        .iter()
        .filter(move |(of, _, newer)| *of == kind && *newer == name)
        .map(|(_, older, _)| *older);
    std::iter::once(name).chain(older)
}

/// The extensions that only make sense in Go: accepted, and left out with a warning.
pub(crate) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "cgroup_runtime",
        "the cgroup's limits are followed without it; remove it",
    ),
    (
        "memory_ballast",
        "there is no garbage collector to calm; remove it",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_one_type() {
        assert_eq!(canonical(Kind::Exporter, "otlp"), "otlp_grpc");
        assert_eq!(canonical(Kind::Receiver, "otlp"), "otlp");
        assert_eq!(canonical(Kind::Exporter, "otlp_grpc"), "otlp_grpc");
        let all: Vec<&str> = spellings(Kind::Exporter, "debug").collect();
        assert_eq!(all, ["debug", "logging"]);
    }

    #[test]
    fn no_older_spelling_is_a_newer_one_too() {
        for (kind, older, newer) in RENAMED {
            assert_eq!(canonical(*kind, newer), *newer, "{older}");
        }
    }
}
