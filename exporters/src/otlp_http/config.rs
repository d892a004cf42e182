//! The keys of `otlp_http`.

use http::{HeaderValue, Uri};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::layered;
use tidegate_pdata::{Signal, Signals};
use tidegate_transport::client::HttpClient;

/// How requests are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Protobuf.
    #[default]
    Proto,
    /// JSON.
    Json,
}

impl Encoding {
    pub(super) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Proto => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}

/// The keys beside those of the client.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Where spans go, as it is; `endpoint` completed by `/v1/traces` where this is absent.
    pub traces_endpoint: Option<String>,
    /// Where metrics go, as it is; `endpoint` completed by `/v1/metrics` where this is absent.
    pub metrics_endpoint: Option<String>,
    /// Where log records go, as it is; `endpoint` completed by `/v1/logs` where this is absent.
    pub logs_endpoint: Option<String>,
    /// Accepted and without effect: profiles are not built.
    pub profiles_endpoint: Option<String>,
    /// How requests are written: proto or json.
    pub encoding: Encoding,
}

layered! {
    /// Sends telemetry over OTLP/HTTP to anything that takes it: another collector, or a backend.
    #[derive(Clone, Debug)]
    pub struct Config {
        pub keys: Keys,
        pub client: HttpClient,
    }
}

impl Config {
    /// Where each signal goes; none where no key says so and no pipeline brings it.
    pub(super) fn urls(&self, wanted: Signals) -> Result<[Option<Uri>; 3], BuildError> {
        let given = |key: &Option<String>| key.clone().filter(|url| !url.is_empty());
        let own = [
            given(&self.keys.traces_endpoint),
            given(&self.keys.metrics_endpoint),
            given(&self.keys.logs_endpoint),
        ];
        let base = given(&self.client.endpoint);
        if base.is_none() && own.iter().all(Option::is_none) {
            return Err(BuildError::at("endpoint", "there is no endpoint")
                .remedy("write the collector's URL, as `http://gateway:4318`"));
        }
        if let Some(base) = &base {
            url("endpoint", base)?;
        }
        let mut urls = [None, None, None];
        for (signal, own) in Signal::ALL.into_iter().zip(own) {
            urls[signal.index()] = match (own, &base) {
                (Some(own), _) => Some(url(&format!("{signal}_endpoint"), &own)?),
                (None, Some(base)) => {
                    let base = base.strip_suffix('/').unwrap_or(base);
                    Some(url("endpoint", &format!("{base}/v1/{signal}"))?)
                }
                (None, None) if wanted.has(signal) => {
                    let key = format!("{signal}_endpoint");
                    let message = format!("nothing says where {signal} go");
                    return Err(BuildError::at(key, message)
                        .remedy("write this key, or an `endpoint` for all signals"));
                }
                (None, None) => None,
            };
        }
        Ok(urls)
    }
}

pub(crate) fn url(key: &str, text: &str) -> Result<Uri, BuildError> {
    let wrong = |fault: String| {
        let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
        BuildError::at(key, fault).remedy(format!("write `http://{bare}` or `https://{bare}`"))
    };
    let uri: Uri = text
        .parse()
        .map_err(|error| wrong(format!("\"{text}\" is no URL: {error}")))?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        Some(other) => Err(wrong(format!("the scheme \"{other}\" is not HTTP"))),
        None => Err(wrong(format!("\"{text}\" has no scheme"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Config {
        let node = tidegate_document::yaml::parse_str(yaml).unwrap();
        tidegate_document::read(&node).unwrap()
    }

    fn urls(yaml: &str) -> [String; 3] {
        let urls = read(yaml).urls(Signals::NONE).unwrap();
        urls.map(|url| url.map_or_else(String::new, |url| url.to_string()))
    }

    #[test]
    fn the_endpoint_is_completed_by_signal_whatever_its_path() {
        for (endpoint, traces) in [
            ("http://a:4318", "http://a:4318/v1/traces"),
            ("http://a:4318/", "http://a:4318/v1/traces"),
            ("https://a/otlp", "https://a/otlp/v1/traces"),
            ("https://a/otlp/", "https://a/otlp/v1/traces"),
        ] {
            assert_eq!(urls(&format!("{{endpoint: '{endpoint}'}}"))[0], traces);
        }
    }

    #[test]
    fn an_endpoint_of_a_signals_own_is_taken_as_it_is() {
        let yaml = "{endpoint: 'http://a', logs_endpoint: 'https://b/in?x=1'}";
        assert_eq!(
            urls(yaml),
            [
                "http://a/v1/traces",
                "http://a/v1/metrics",
                "https://b/in?x=1"
            ]
        );
        assert_eq!(
            urls("{metrics_endpoint: 'http://b/'}"),
            ["", "http://b/", ""]
        );
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_named_with_what_to_write() {
        for (yaml, key, remedy) in [
            ("{}", "endpoint", "`http://gateway:4318`"),
            ("{endpoint: 'a:4318'}", "endpoint", "`http://a:4318`"),
            ("{endpoint: 'ftp://a'}", "endpoint", "`http://a`"),
            ("{traces_endpoint: 'a'}", "traces_endpoint", "`http://a`"),
            (
                "{traces_endpoint: 'http://a'}",
                "metrics_endpoint",
                "`endpoint`",
            ),
        ] {
            let error = read(yaml).urls(Signals::ALL).unwrap_err();
            assert_eq!(error.path, key, "{error}");
            assert!(error.remedy.unwrap().contains(remedy), "{yaml}");
        }
    }

    #[test]
    fn keys_of_both_layers_are_read_and_no_others() {
        let config = read(
            "{endpoint: 'http://a', encoding: json, compression: zstd, compression_params: {level: 3}}",
        );
        assert_eq!(config.keys.encoding, Encoding::Json);
        assert_eq!(config.client.compression_params.level, 3);
        let node = tidegate_document::yaml::parse_str("{endpoints: 'http://a'}").unwrap();
        assert!(tidegate_document::read::<Config>(&node).is_err());
    }
}
