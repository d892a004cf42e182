//! The keys of an HTTP client, as the Collector's `confighttp` has them.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::Duration;

use crate::client::auth::{AuthKeys, MiddlewareKeys};
use crate::client::headers::Headers;
use crate::compression::{Codec, Level};
use crate::tls::ClientTls;

/// The keys of an HTTP client.
///
/// `timeout` is not among them: it bounds an attempt, and whoever makes attempts keeps it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpClient {
    /// The URL to send to.
    pub endpoint: Option<String>,
    /// A proxy to go through, as `http://proxy:3128`; `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` count where it is absent.
    pub proxy_url: Option<String>,
    /// TLS, for URLs that begin with `https`.
    pub tls: ClientTls,
    /// Accepted and without effect: buffers grow as needed.
    pub read_buffer_size: Option<usize>,
    /// Accepted and without effect: requests are sent from where they lie.
    pub write_buffer_size: Option<usize>,
    /// Headers to send with every request; `host` replaces the endpoint's.
    pub headers: Headers,
    /// An extension that authenticates requests.
    pub auth: Option<AuthKeys>,
    /// How requests are compressed: gzip (the default), zstd, snappy, x-snappy-framed, zlib, deflate, lz4 or none.
    pub compression: Option<HttpCompression>,
    /// How hard the compression tries.
    pub compression_params: CompressionParams,
    /// Idle connections to keep; 100 unless told, 0 sets no limit.
    pub max_idle_conns: Option<usize>,
    /// Idle connections to keep to one host; as many as `max_idle_conns` unless told.
    pub max_idle_conns_per_host: Option<usize>,
    /// Requests at a time, each of which may take a connection; 0 sets no limit.
    pub max_conns_per_host: Option<usize>,
    /// How long an idle connection is kept; 90 s unless told, `0s` for ever.
    pub idle_conn_timeout: Option<Duration>,
    /// Uses each connection for one request alone.
    pub disable_keep_alives: bool,
    /// The time without anything read after which an HTTP/2 connection is asked whether it lives; `0s` never asks.
    pub http2_read_idle_timeout: Option<Duration>,
    /// How long the answer to that may take; 15 s unless told.
    pub http2_ping_timeout: Option<Duration>,
    /// Keeps the cookies that the server sets and sends them back.
    pub cookies: Option<CookieKeys>,
    /// Offers HTTP/2 on TLS connections; true unless told.
    pub force_attempt_http2: Option<bool>,
    /// Extensions in the way of each request: not built.
    pub middlewares: Vec<MiddlewareKeys>,
}

/// `cookies`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CookieKeys {
    /// Whether cookies are kept; true where the key stands alone.
    pub enabled: Option<bool>,
}

/// `compression_params`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionParams {
    /// gzip, zlib, deflate: 1 (fastest) to 9 (smallest), -1 or 0 for the default, -2 for the fastest. zstd: 1 to 22. The others have no levels.
    pub level: i32,
}

/// How HTTP requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HttpCompression {
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// A snappy block.
    Snappy,
    /// snappy's framing format.
    #[serde(rename = "x-snappy-framed")]
    SnappyFramed,
    /// zlib.
    Zlib,
    /// zlib, by the name that HTTP gives it.
    Deflate,
    /// LZ4 frames.
    Lz4,
    /// Not at all.
    None,
    /// Not at all.
    #[serde(rename = "")]
    Empty,
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// As `content-encoding` names it.
    pub(super) name: &'static str,
    pub(super) codec: Codec,
    pub(super) level: Level,
}

impl HttpCompression {
    /// The encoding at this level; none where bodies go out as they are.
    pub(super) fn encoding(
        self,
        params: CompressionParams,
    ) -> Result<Option<Encoding>, BuildError> {
        let (name, codec) = match self {
            Self::Gzip => ("gzip", Codec::Gzip),
            Self::Zstd => ("zstd", Codec::Zstd),
            Self::Snappy => ("snappy", Codec::Snappy),
            Self::SnappyFramed => ("x-snappy-framed", Codec::SnappyFramed),
            Self::Zlib => ("zlib", Codec::Zlib),
            Self::Deflate => ("deflate", Codec::Zlib),
            Self::Lz4 => ("lz4", Codec::Lz4),
            Self::None | Self::Empty => return Ok(None),
        };
        let level = match (codec, params.level) {
            (_, 0) | (Codec::Gzip | Codec::Zlib, -1) => Level::Default,
            // What Go calls -2 codes letters alone; the nearest there is.
            (Codec::Gzip | Codec::Zlib, -2) => Level::Exact(1),
            (Codec::Gzip | Codec::Zlib, level @ 1..=9) | (Codec::Zstd, level) => {
                Level::Exact(level)
            }
            (_, level) => {
                let message = format!("{name} has no level {level}");
                let remedy = match codec {
                    Codec::Gzip | Codec::Zlib => "write a level from 1 to 9, or -1",
                    _ => "take the key away",
                };
                return Err(BuildError::at("compression_params::level", message).remedy(remedy));
            }
        };
        Ok(Some(Encoding { name, codec, level }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_taken_as_the_original_takes_them() {
        let level = |compression: HttpCompression, level| {
            compression
                .encoding(CompressionParams { level })
                .map(|encoding| encoding.unwrap().level)
        };
        for compression in [
            HttpCompression::Gzip,
            HttpCompression::Zlib,
            HttpCompression::Deflate,
        ] {
            assert_eq!(level(compression, 0).unwrap(), Level::Default);
            assert_eq!(level(compression, -1).unwrap(), Level::Default);
            assert_eq!(level(compression, 9).unwrap(), Level::Exact(9));
            assert!(level(compression, 10).is_err());
        }
        assert_eq!(level(HttpCompression::Zstd, 11).unwrap(), Level::Exact(11));
        assert_eq!(level(HttpCompression::Snappy, 0).unwrap(), Level::Default);
        let error = level(HttpCompression::Lz4, 1).unwrap_err();
        assert_eq!(error.path, "compression_params::level");
    }
}
