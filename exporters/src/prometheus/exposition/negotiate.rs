//! What a scraper asks for: `Accept` and `Accept-Encoding` (RFC 9110, sections 12.5.1 and 12.5.3).

use http::header::{ACCEPT, ACCEPT_ENCODING, AsHeaderName};
use http::{HeaderMap, HeaderValue};

use crate::prometheus::naming::Escaping;

/// The kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Format {
    /// Prometheus's text format 0.0.4.
    Text,
    /// OpenMetrics text of this version.
    OpenMetrics(&'static str),
    /// Length-prefixed `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

/// The kind of text, and how names are written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Exposition {
    pub(in super::super) format: Format,
    pub(in super::super) escaping: Escaping,
}

impl Exposition {
    /// The first of what a scraper takes that can be had; the text format where there is none.
    pub(in super::super) fn negotiate(headers: &HeaderMap, open_metrics: bool) -> Self {
        let mut escaping = Escaping::Underscores;
        for choice in choices(headers, ACCEPT) {
            if let Some(asked) = choice.parameter("escaping").and_then(Escaping::named) {
                escaping = asked;
            }
            if let Some(format) = format(&choice, open_metrics) {
                return Self { format, escaping };
            }
        }
        Self {
            format: Format::Text,
            escaping,
        }
    }

    pub(in super::super) fn content_type(self) -> HeaderValue {
        let of = match self.format {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics("1.0.0") => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
            Format::OpenMetrics(_) => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        };
        let text = format!("{of}; escaping={}", self.escaping.name());
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("text/plain"))
    }
}

fn format(choice: &Choice<'_>, open_metrics: bool) -> Option<Format> {
    let version = choice.parameter("version").unwrap_or_default();
    match choice.name.to_ascii_lowercase().as_str() {
        "application/vnd.google.protobuf" => {
            let delimited = choice.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                && choice.parameter("encoding") == Some("delimited");
            delimited.then_some(Format::Protobuf)
        }
        "text/plain" => ["", "0.0.4"].contains(&version).then_some(Format::Text),
        "application/openmetrics-text" if open_metrics => match version {
            "1.0.0" => Some(Format::OpenMetrics("1.0.0")),
            "" | "0.0.1" => Some(Format::OpenMetrics("0.0.1")),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a scraper would rather have gzip than the plain text.
pub(in super::super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let weight = |names: &[&str]| {
        let wanted = |choice: &Choice<'_>| {
            names
                .iter()
                .any(|name| choice.name.eq_ignore_ascii_case(name))
        };
        choices(headers, ACCEPT_ENCODING)
            .into_iter()
            .find(wanted)
            .map(|choice| choice.weight)
    };
    let gzip = weight(&["gzip", "x-gzip"])
        .or_else(|| weight(&["*"]))
        .unwrap_or(0);
    gzip > 0 && weight(&["identity"]).is_none_or(|plain| gzip >= plain)
}

/// One element of a header that lists what is taken.
struct Choice<'a> {
    name: &'a str,
    parameters: &'a str,
    /// In thousandths.
    weight: u16,
}

impl<'a> Choice<'a> {
    fn read(element: &'a str) -> Self {
        let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
        let mut choice = Self {
            name: name.trim(),
            parameters,
            weight: 1000,
        };
        if let Some(weight) = choice.parameter("q") {
            let weight: f32 = weight.parse().unwrap_or(1.0);
            choice.weight = (weight.clamp(0.0, 1.0) * 1000.0) as u16;
        }
        choice
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            let same = key.trim().eq_ignore_ascii_case(name);
            same.then(|| value.trim().trim_matches('"'))
        })
    }
}

/// What a header lists, the best first.
fn choices(headers: &HeaderMap, name: impl AsHeaderName) -> Vec<Choice<'_>> {
    let values = headers.get_all(name).into_iter();
    let elements = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|element| !element.trim().is_empty());
    let mut choices: Vec<Choice<'_>> = elements.map(Choice::read).collect();
    // Stable: of equal weights the first comes first.
    choices.sort_by_key(|choice| std::cmp::Reverse(choice.weight));
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            HeaderValue::try_from(value).unwrap(),
        )])
    }

    #[test]
    fn the_best_of_what_is_taken_is_served() {
        const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
            encoding=delimited;q=0.8,text/plain;q=0.3";
        for (accept, open, format, escaping) in [
            ("", true, Format::Text, Escaping::Underscores),
            ("*/*", true, Format::Text, Escaping::Underscores),
            ("text/plain", true, Format::Text, Escaping::Underscores),
            (
                PROMETHEUS_3,
                true,
                Format::OpenMetrics("1.0.0"),
                Escaping::AllowUtf8,
            ),
            (PROMETHEUS_3, false, Format::Text, Escaping::AllowUtf8),
            (PROTOBUF, false, Format::Protobuf, Escaping::Underscores),
            (
                "application/openmetrics-text",
                true,
                Format::OpenMetrics("0.0.1"),
                Escaping::Underscores,
            ),
            (
                "text/plain;q=0.1, application/openmetrics-text; version=\"1.0.0\"; q=0.2",
                true,
                Format::OpenMetrics("1.0.0"),
                Escaping::Underscores,
            ),
            (
                "text/plain;escaping=dots",
                true,
                Format::Text,
                Escaping::Dots,
            ),
            (
                "text/plain;escaping=none",
                true,
                Format::Text,
                Escaping::Underscores,
            ),
            ("text/html,;;,=", true, Format::Text, Escaping::Underscores),
        ] {
            let got = Exposition::negotiate(&headers("accept", accept), open);
            assert_eq!(got, Exposition { format, escaping }, "{accept}");
        }
    }

    #[test]
    fn content_types_name_format_and_escaping() {
        for format in [
            Format::Text,
            Format::OpenMetrics("1.0.0"),
            Format::OpenMetrics("0.0.1"),
            Format::Protobuf,
        ] {
            let exposition = Exposition {
                format,
                escaping: Escaping::Values,
            };
            let value = exposition.content_type();
            let value = value.to_str().unwrap();
            assert!(value.ends_with("; escaping=values"), "{value}");
            if let Format::OpenMetrics(version) = format {
                assert!(value.contains(&format!("version={version};")), "{value}");
            }
        }
    }

    #[test]
    fn gzip_is_served_to_those_who_want_it() {
        for (accept, expected) in [
            ("", false),
            ("gzip", true),
            ("gzip, deflate", true),
            ("deflate", false),
            ("gzip;q=0", false),
            ("*", true),
            ("gzip;q=0.5, identity", false),
            ("identity;q=0.5, GZIP", true),
        ] {
            assert_eq!(
                accepts_gzip(&headers("accept-encoding", accept)),
                expected,
                "{accept}"
            );
        }
    }
}
