//! The gRPC client: its keys, and calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildError, Extensions, StartError, Workers};
use tidegate_pdata::{Context, ContextKeys};

use super::auth::{AuthKeys, MiddlewareKeys, Signer};
use super::call::{self, CallError, Failed};
use super::channel::{Balance, Channel};
use super::connection::{KeepAlive, Recipe};
use super::endpoint::{Endpoint, Place};
use super::headers::Headers;
use super::message::{Encoding, LONG_COMPRESSION, Message};
use crate::compression::{Codec, Level};
use crate::grpc::{CONTENT_TYPE, Code, Status, format_timeout};
use crate::tls::{ClientIdentity, ClientTls};

/// Names the program to peers.
pub(super) const USER_AGENT: &str = concat!("Tidegate/", env!("CARGO_PKG_VERSION"));

/// How often a call that no peer has seen is sent again at once, on another connection.
const RESENDS: usize = 3;

/// The keys of a gRPC client, as the Collector's `configgrpc` has them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcClient {
    /// Where to connect: `host:port`, `dns:///host:port` or `unix:///path`. With `https://` TLS is always spoken; with `http://` it is not, unless `tls` asks for it.
    pub endpoint: Option<String>,
    /// How requests are compressed: gzip (the default), zstd, snappy or none.
    pub compression: Option<GrpcCompression>,
    /// TLS, which is on unless `insecure` turns it off.
    pub tls: ClientTls,
    /// Pings that find out whether a silent connection lives; none without this key.
    pub keepalive: Option<KeepaliveKeys>,
    /// Accepted and without effect: buffers are sized by the protocol.
    pub read_buffer_size: Option<usize>,
    /// Accepted and without effect: requests are sent from where they lie.
    pub write_buffer_size: Option<usize>,
    /// Waits for a connection, as long as `timeout` lets it, instead of failing at once while there is none.
    pub wait_for_ready: bool,
    /// Headers to send with every request.
    pub headers: Headers,
    /// The `user-agent` to send.
    pub user_agent: Option<String>,
    /// How requests are dealt over the addresses behind the endpoint's name: `round_robin` (the default) or `pick_first`.
    pub balancer_name: Option<String>,
    /// The `:authority` to send in place of the endpoint's host.
    pub authority: Option<String>,
    /// An extension that authenticates requests.
    pub auth: Option<AuthKeys>,
    /// Extensions in the way of each request: not built.
    pub middlewares: Vec<MiddlewareKeys>,
}

/// How gRPC requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrpcCompression {
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// snappy's framing format.
    Snappy,
    /// Not at all.
    None,
    /// Not at all.
    #[serde(rename = "")]
    Empty,
}

/// `keepalive` of a gRPC client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeepaliveKeys {
    /// The time between two pings, at least 10 s.
    pub time: Option<tidegate_document::Duration>,
    /// How long the answer to a ping may take, 20 s unless told; then the connection is given up.
    pub timeout: Option<tidegate_document::Duration>,
    /// Pings also while no request is open.
    pub permit_without_stream: bool,
}

impl GrpcClient {
    /// Checks everything and opens nothing; `compression` holds where the key is absent. For
    /// clients that name no extensions.
    ///
    /// # Errors
    /// When a key cannot be used as it is.
    pub fn build(&self, compression: GrpcCompression) -> Result<GrpcSettings, BuildError> {
        self.build_beside(None, compression)
    }

    /// Checks everything and opens nothing, with what the extensions of the service have to do.
    ///
    /// # Errors
    /// When a key cannot be used as it is.
    pub fn build_with(
        &self,
        extensions: &Extensions,
        compression: GrpcCompression,
    ) -> Result<GrpcSettings, BuildError> {
        self.build_beside(Some(extensions), compression)
    }

    fn build_beside(
        &self,
        extensions: Option<&Extensions>,
        compression: GrpcCompression,
    ) -> Result<GrpcSettings, BuildError> {
        let endpoint = Endpoint::parse(self.endpoint.as_deref().unwrap_or_default())
            .map_err(|error| BuildError::at("endpoint", error.fault).remedy(error.remedy))?;
        self.tls.check().map_err(|error| error.at("tls"))?;
        let signer = Signer::new(self.auth.as_ref(), &self.middlewares, extensions)?;
        let balance = match self.balancer_name.as_deref() {
            None | Some("" | "round_robin") => Balance::RoundRobin,
            Some("pick_first") => Balance::PickFirst,
            Some(other) => {
                let message = format!("the balancer \"{other}\" is not built");
                return Err(BuildError::at("balancer_name", message)
                    .remedy("write `round_robin` or `pick_first`"));
            }
        };
        let secure = match endpoint.tls {
            Some(true) => true,
            // Who names a CA or a certificate wants TLS, whatever the scheme.
            Some(false) => self.tls != ClientTls::default() && !self.tls.is_plaintext(),
            None => !self.tls.is_plaintext(),
        };
        if signer.needs_tls() && !secure {
            let message = "credentials are not sent in the clear over gRPC";
            return Err(BuildError::at("auth", message).remedy("speak TLS to the endpoint"));
        }
        let authority = self.authority(&endpoint.place)?;
        let headers = self.call_headers()?;
        Ok(GrpcSettings {
            name: endpoint.place.to_string().into(),
            place: endpoint.place,
            secure,
            authority,
            headers,
            balance,
            patient: self.wait_for_ready,
            encoding: self.compression.unwrap_or(compression).encoding(),
            keepalive: self.keepalive.map(KeepaliveKeys::settings),
            tls: self.tls.clone(),
            signer,
        })
    }

    /// The headers of every call.
    fn call_headers(&self) -> Result<HeaderMap, BuildError> {
        let mut headers = self.headers.build()?;
        let agent = self.user_agent.as_deref().filter(|agent| !agent.is_empty());
        let agent = HeaderValue::try_from(agent.unwrap_or(USER_AGENT))
            .map_err(|_| BuildError::at("user_agent", "the value cannot be sent in a header"))?;
        headers.insert(header::USER_AGENT, agent);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(
            "grpc-accept-encoding",
            HeaderValue::from_static("gzip,zstd,snappy"),
        );
        Ok(headers)
    }

    /// What goes into `:authority`: the key, the name for TLS, or the endpoint.
    fn authority(&self, place: &Place) -> Result<Authority, BuildError> {
        let given = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
        let (key, text) = match (
            given(&self.authority),
            given(&self.tls.server_name_override),
        ) {
            (Some(text), _) => ("authority", text),
            (None, Some(text)) => ("tls::server_name_override", text),
            (None, None) => match place {
                Place::Unix(_) => ("endpoint", "localhost".to_owned()),
                Place::Tcp { .. } => ("endpoint", place.to_string()),
            },
        };
        Authority::try_from(text).map_err(|error| BuildError::at(key, error.to_string()))
    }
}

impl GrpcCompression {
    const fn encoding(self) -> Option<Encoding> {
        let (name, codec) = match self {
            Self::Gzip => ("gzip", Codec::Gzip),
            Self::Zstd => ("zstd", Codec::Zstd),
            // What gRPC's peers call snappy is the framing format.
            Self::Snappy => ("snappy", Codec::SnappyFramed),
            Self::None | Self::Empty => return None,
        };
        Some(Encoding {
            name,
            codec,
            level: Level::Default,
        })
    }
}

impl KeepaliveKeys {
    fn settings(self) -> KeepAlive {
        let given = |key: Option<tidegate_document::Duration>| {
            key.map(|key| key.0).filter(|key| !key.is_zero())
        };
        KeepAlive {
            every: self
                .time
                .map_or(Duration::ZERO, |time| time.0)
                .max(Duration::from_secs(10)),
            timeout: given(self.timeout).unwrap_or(Duration::from_secs(20)),
            idle: self.permit_without_stream,
        }
    }
}

/// A gRPC client's keys, checked.
#[derive(Clone, Debug)]
pub struct GrpcSettings {
    name: Arc<str>,
    place: Place,
    secure: bool,
    authority: Authority,
    headers: HeaderMap,
    balance: Balance,
    patient: bool,
    encoding: Option<Encoding>,
    keepalive: Option<KeepAlive>,
    tls: ClientTls,
    signer: Signer,
}

impl GrpcSettings {
    /// The endpoint, as messages name it.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is read of contexts.
    #[must_use]
    pub fn reads(&self) -> ContextKeys {
        self.signer.reads()
    }

    /// Reads the files that `tls` names. Connects to nothing yet.
    ///
    /// # Errors
    /// When a file cannot be read or does not hold what it should.
    pub fn start(&self, workers: Option<Workers>) -> Result<GrpcChannel, StartError> {
        let identity = match self.secure {
            true => Some(ClientIdentity::load(&self.tls, &["h2"])?),
            false => None,
        };
        let host = match &self.place {
            Place::Tcp { host, .. } => host.clone(),
            Place::Unix(_) => "localhost".to_owned(),
        };
        let recipe = Recipe {
            identity,
            host,
            keepalive: self.keepalive,
        };
        Ok(GrpcChannel {
            channel: Channel::new(
                self.place.clone(),
                self.balance,
                self.patient,
                recipe,
                workers,
            ),
            scheme: match self.secure {
                true => Scheme::HTTPS,
                false => Scheme::HTTP,
            },
            authority: self.authority.clone(),
            headers: self.headers.clone(),
            encoding: self.encoding,
            signer: self.signer.clone(),
        })
    }
}

/// A client for unary calls to one endpoint; it connects when first used.
#[derive(Debug)]
pub struct GrpcChannel {
    channel: Channel,
    scheme: Scheme,
    authority: Authority,
    headers: HeaderMap,
    encoding: Option<Encoding>,
    signer: Signer,
}

impl GrpcChannel {
    /// Makes the message of these segments, compressed where the settings say so.
    ///
    /// # Errors
    /// When they are too large for gRPC, or the codec fails.
    pub async fn message<'a>(
        &self,
        segments: impl Iterator<Item = &'a Bytes> + Clone,
    ) -> Result<Message, String> {
        let Some(encoding) = self.encoding else {
            return Message::plain(segments);
        };
        let size: usize = segments.clone().map(Bytes::len).sum();
        if size < LONG_COMPRESSION {
            return Message::compressed(encoding, segments);
        }
        let segments: Vec<Bytes> = segments.cloned().collect();
        tokio::task::spawn_blocking(move || Message::compressed(encoding, segments.iter()))
            .await
            .map_err(|error| format!("compression did not end: {error}"))?
    }

    /// Calls a method and gives the message of its answer.
    ///
    /// A request that surely no peer has seen, as when the peer says farewell, is sent again
    /// at once on another connection; everything else is left to the caller.
    ///
    /// # Errors
    /// When there is no connection, it breaks, or the peer answers with a status.
    pub async fn unary(
        &self,
        path: &'static str,
        message: &Message,
        timeout: Option<Duration>,
    ) -> Result<Bytes, CallError> {
        self.unary_for(&Context::default(), path, message, timeout)
            .await
    }

    /// The same for a message of which this is the context.
    ///
    /// # Errors
    /// The same, and when the request cannot be authenticated.
    pub async fn unary_for(
        &self,
        context: &Context,
        path: &'static str,
        message: &Message,
        timeout: Option<Duration>,
    ) -> Result<Bytes, CallError> {
        let mut left = RESENDS;
        loop {
            let connection = self
                .channel
                .connection()
                .await
                .map_err(CallError::Unreachable)?;
            let mut request = self.request(path, message, timeout);
            let signed = self.signer.sign(context, request.headers_mut());
            signed.map_err(|fault| CallError::Status(Status::new(Code::Unauthenticated, fault)))?;
            match call::unary(connection, request, message).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Unseen(_)) if left > 0 => left -= 1,
                Err(Failed::Unseen(error) | Failed::For(error)) => return Err(error),
            }
        }
    }

    /// Lets go of every connection.
    pub fn close(&self) {
        self.channel.close();
    }

    fn request(
        &self,
        path: &'static str,
        message: &Message,
        timeout: Option<Duration>,
    ) -> Request<()> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        let uri = Uri::from_parts(parts).expect("scheme, authority and path make a URI");
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        if let Some(encoding) = message.encoding {
            headers.insert("grpc-encoding", HeaderValue::from_static(encoding));
        }
        if let Some(timeout) = timeout {
            let value = HeaderValue::try_from(format_timeout(timeout))
                .expect("digits and a letter make a header");
            headers.insert("grpc-timeout", value);
        }
        request
    }
}
