//! The HTTP client: HTTP/1.1, and HTTP/2 where TLS agrees on it.
//!
//! Each worker has a client with a pool of its own, so that a connection never leaves the
//! runtime that polls it.

mod body;
mod config;
mod connector;
mod cookies;
mod date;
mod flow;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tidegate_component::{BuildError, Extensions, StartError, Workers};
use tidegate_pdata::{Context, ContextKeys};
use tokio::sync::Semaphore;

use super::auth::Signer;
use super::grpc::USER_AGENT;
use super::proxy::{Proxies, Way};
use crate::compression::compress;
use crate::tls::ClientTls;
use config::Encoding;
use connector::{Connector, Identity};
use cookies::Jar;

pub use body::Pieces;
pub(in crate::client) use body::Read;
pub use config::{CompressionParams, CookieKeys, HttpClient, HttpCompression};
pub use date::retry_after;
pub use flow::Flow;

/// Redirections that are followed before giving up, as browsers and Go do.
const MAX_REDIRECTIONS: usize = 10;

/// A body that is larger is compressed on a blocking thread.
const LONG_COMPRESSION: u64 = 256 << 10;

impl HttpClient {
    /// Checks everything and opens nothing; `compression` holds where the key is absent.
    ///
    /// The endpoint is left to the caller, who knows which paths belong to it.
    ///
    /// # Errors
    /// When a key cannot be used as it is, or names an extension.
    pub fn build(&self, compression: HttpCompression) -> Result<HttpSettings, BuildError> {
        self.build_beside(None, compression)
    }

    /// The same, with what the extensions of the service have to do.
    ///
    /// # Errors
    /// When a key cannot be used as it is.
    pub fn build_with(
        &self,
        extensions: &Extensions,
        compression: HttpCompression,
    ) -> Result<HttpSettings, BuildError> {
        self.build_beside(Some(extensions), compression)
    }

    fn build_beside(
        &self,
        extensions: Option<&Extensions>,
        compression: HttpCompression,
    ) -> Result<HttpSettings, BuildError> {
        self.tls.check().map_err(|error| error.at("tls"))?;
        let signer = Signer::new(self.auth.as_ref(), &self.middlewares, extensions)?;
        let proxy = self.proxy_url.clone().filter(|url| !url.is_empty());
        if let Some(url) = &proxy {
            Proxies::one(url).map_err(|fault| {
                BuildError::at("proxy_url", fault).remedy("write it as `http://proxy:3128`")
            })?;
        }
        let mut headers = self.headers.build()?;
        headers
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(USER_AGENT));
        let idle = match self.max_idle_conns {
            None => 100,
            Some(0) => usize::MAX,
            Some(most) => most,
        };
        let per_host = self.max_idle_conns_per_host.filter(|most| *most > 0);
        let compression = self.compression.unwrap_or(compression);
        let given = |key: Option<tidegate_document::Duration>| {
            key.map(|key| key.0).filter(|key| !key.is_zero())
        };
        Ok(HttpSettings {
            encoding: compression.encoding(self.compression_params)?,
            headers,
            proxy,
            tls: self.tls.clone(),
            idle: per_host.unwrap_or(usize::MAX).min(idle),
            idle_timeout: match self.idle_conn_timeout {
                None => Some(Duration::from_secs(90)),
                key => given(key),
            },
            at_a_time: self.max_conns_per_host.filter(|most| *most > 0),
            once: self.disable_keep_alives,
            http2: self.force_attempt_http2.unwrap_or(true) && !self.disable_keep_alives,
            ping_after: given(self.http2_read_idle_timeout),
            ping_timeout: given(self.http2_ping_timeout).unwrap_or(Duration::from_secs(15)),
            cookies: self
                .cookies
                .is_some_and(|keys| keys.enabled.unwrap_or(true)),
            redirections: true,
            environment: true,
            signer,
        })
    }
}

/// An HTTP client's keys, checked.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    encoding: Option<Encoding>,
    headers: HeaderMap,
    proxy: Option<String>,
    tls: ClientTls,
    idle: usize,
    idle_timeout: Option<Duration>,
    at_a_time: Option<usize>,
    once: bool,
    http2: bool,
    ping_after: Option<Duration>,
    ping_timeout: Duration,
    cookies: bool,
    redirections: bool,
    environment: bool,
    signer: Signer,
}

impl HttpSettings {
    /// Whether redirections are followed; they are unless told.
    #[must_use]
    pub const fn follow_redirections(mut self, follow: bool) -> Self {
        self.redirections = follow;
        self
    }

    /// Whether proxies of the environment count where the keys name none; they do unless told.
    #[must_use]
    pub const fn environment_proxies(mut self, count: bool) -> Self {
        self.environment = count;
        self
    }

    /// What is read of contexts.
    #[must_use]
    pub fn reads(&self) -> ContextKeys {
        self.signer.reads()
    }

    /// Reads the files that `tls` names. Connects to nothing yet.
    ///
    /// `tls.insecure` has no say over a URL that begins with `https`, as in the original.
    ///
    /// # Errors
    /// When a file cannot be read or does not hold what it should.
    pub fn start(&self, workers: Option<Workers>) -> Result<HttpChannel, StartError> {
        let alpn: &'static [&'static str] = match self.http2 {
            true => &["h2", "http/1.1"],
            false => &["http/1.1"],
        };
        let identity = Arc::new(Identity::load(&self.tls, alpn)?);
        let proxies = match &self.proxy {
            Some(url) => Proxies::one(url).map_err(|fault| StartError {
                message: format!("proxy_url: {fault}"),
                source: None,
            })?,
            None if self.environment => Proxies::environment(),
            None => Proxies::None,
        };
        let connector = Connector {
            identity,
            proxies: Arc::new(proxies),
        };
        let count = workers.as_ref().map_or(0, Workers::count) + 1;
        Ok(HttpChannel {
            clients: (0..count).map(|_| self.client(connector.clone())).collect(),
            proxies: Arc::clone(&connector.proxies),
            workers,
            encoding: self.encoding,
            headers: self.headers.clone(),
            at_a_time: self.at_a_time.map(Semaphore::new),
            once: self.once,
            jar: self.cookies.then(Jar::default),
            redirections: self.redirections,
            signer: self.signer.clone(),
        })
    }

    fn client(&self, connector: Connector) -> Client {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(self.idle_timeout)
            .pool_max_idle_per_host(match self.once {
                true => 0,
                false => self.idle,
            })
            .http2_keep_alive_interval(self.ping_after)
            .http2_keep_alive_timeout(self.ping_timeout);
        builder.build(connector)
    }
}

type Client = legacy::Client<Connector, Pieces>;

/// An HTTP client that connects when first used.
pub struct HttpChannel {
    /// One per worker, and one for requests from elsewhere.
    clients: Box<[Client]>,
    workers: Option<Workers>,
    proxies: Arc<Proxies>,
    encoding: Option<Encoding>,
    headers: HeaderMap,
    at_a_time: Option<Semaphore>,
    once: bool,
    jar: Option<Jar>,
    redirections: bool,
    signer: Signer,
}

impl fmt::Debug for HttpChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpChannel")
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

/// A request, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Where to; absolute.
    pub uri: Uri,
    /// Headers beside those of the configuration.
    pub headers: HeaderMap,
    /// The body.
    pub body: Pieces,
}

/// An answer, its body read.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it was wanted.
    pub body: Bytes,
    /// Whether that is all of it.
    pub complete: bool,
}

/// Why there is no answer, with what a user may do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct HttpError(String);

impl HttpChannel {
    /// Compresses a body as the settings say; adds the header that tells so.
    ///
    /// # Errors
    /// When the codec fails.
    pub async fn encode(&self, body: Pieces, headers: &mut HeaderMap) -> Result<Pieces, HttpError> {
        let Some(encoding) = self.encoding else {
            return Ok(body);
        };
        headers.insert(
            header::CONTENT_ENCODING,
            HeaderValue::from_static(encoding.name),
        );
        let made = match body.len() < LONG_COMPRESSION {
            true => compressed(encoding, &body),
            false => tokio::task::spawn_blocking(move || compressed(encoding, &body))
                .await
                .unwrap_or_else(|error| {
                    Err(HttpError(format!("compression did not end: {error}")))
                }),
        };
        made.map(Pieces::from)
    }

    /// Sends a request, follows redirections, and reads up to `max` bytes of the answer.
    ///
    /// # Errors
    /// When no answer comes. A status that tells of an error is an answer.
    pub async fn send(&self, call: Call, max: usize) -> Result<Answer, HttpError> {
        self.carry(&Context::default(), call, max, &mut |_| true)
            .await
    }

    /// Does as [`HttpChannel::send`] for a body of which this is the context.
    ///
    /// # Errors
    /// The same, and when the request cannot be authenticated.
    pub async fn send_for(
        &self,
        context: &Context,
        call: Call,
        max: usize,
    ) -> Result<Answer, HttpError> {
        self.carry(context, call, max, &mut |_| true).await
    }

    /// Does as [`HttpChannel::send`] and asks for room as the answer grows: `room` hears how many
    /// bytes there are, and where it says no the answer is incomplete.
    ///
    /// # Errors
    /// When no answer comes. A status that tells of an error is an answer.
    pub async fn send_within(
        &self,
        call: Call,
        max: usize,
        room: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<Answer, HttpError> {
        self.carry(&Context::default(), call, max, room).await
    }

    async fn carry(
        &self,
        context: &Context,
        mut call: Call,
        max: usize,
        room: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<Answer, HttpError> {
        let _turn = match &self.at_a_time {
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        };
        let mut headers = self.headers.clone();
        headers.extend(std::mem::take(&mut call.headers));
        self.signer.sign(context, &mut headers).map_err(HttpError)?;
        call.headers = headers;
        for _ in 0..MAX_REDIRECTIONS {
            let answer = self.send_once(&call, max, room).await?;
            match redirected(&call, &answer) {
                Some(next) if self.redirections => call = next,
                _ => return Ok(answer),
            }
        }
        Err(HttpError(format!(
            "the server redirects more than {MAX_REDIRECTIONS} times, last to {}",
            call.uri
        )))
    }

    /// Sends a request and gives the answer as it comes: for those that have no end. Follows no
    /// redirections.
    ///
    /// # Errors
    /// When no answer comes. A status that tells of an error is an answer.
    pub async fn open(&self, mut call: Call) -> Result<Flow, HttpError> {
        let mut headers = self.headers.clone();
        headers.extend(std::mem::take(&mut call.headers));
        let context = Context::default();
        self.signer
            .sign(&context, &mut headers)
            .map_err(HttpError)?;
        call.headers = headers;
        let answer = self.client_here().request(self.request(&call)).await;
        answer
            .map(Flow::new)
            .map_err(|error| explain(&error, &call.uri))
    }

    /// The client of the worker at hand.
    fn client_here(&self) -> &Client {
        let worker = self.workers.as_ref().and_then(Workers::current);
        worker
            .and_then(|worker| self.clients.get(worker))
            .unwrap_or(&self.clients[self.clients.len() - 1])
    }

    async fn send_once(
        &self,
        call: &Call,
        max: usize,
        room: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<Answer, HttpError> {
        let answer = self
            .client_here()
            .request(self.request(call))
            .await
            .map_err(|error| explain(&error, &call.uri))?;
        let (head, body) = answer.into_parts();
        if let Some(jar) = &self.jar {
            jar.keep(&call.uri, &head.headers, SystemTime::now());
        }
        let (body, complete) = body::read(body, max, room)
            .await
            .map_err(|error| HttpError(format!("the answer broke off: {}", chain(&error))))?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            complete,
        })
    }

    fn request(&self, call: &Call) -> Request<Pieces> {
        let mut request = Request::new(call.body.clone());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        *request.headers_mut() = call.headers.clone();
        let headers = request.headers_mut();
        if self.once {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(cookies) = self
            .jar
            .as_ref()
            .and_then(|jar| jar.header(&call.uri, SystemTime::now()))
        {
            headers.insert(header::COOKIE, cookies);
        }
        // A tunnel's proxy was told when it was opened.
        if call.uri.scheme() == Some(&Scheme::HTTP)
            && let Way::Proxy(proxy) = self.proxies.way(&call.uri)
            && let Some(value) = proxy.authorization().and_then(|text| text.parse().ok())
        {
            headers.insert(header::PROXY_AUTHORIZATION, value);
        }
        request
    }
}

fn compressed(encoding: Encoding, body: &Pieces) -> Result<Bytes, HttpError> {
    let mut out = Vec::new();
    compress(
        encoding.codec,
        encoding.level,
        body.iter().map(|piece| &**piece),
        &mut out,
    )
    .map_err(|error| HttpError(error.to_string()))?;
    Ok(Bytes::from(out))
}

/// The request that an answer asks for in place of the one sent.
fn redirected(call: &Call, answer: &Answer) -> Option<Call> {
    let keeps = match answer.status {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
            call.method == Method::GET || call.method == Method::HEAD
        }
        _ => return None,
    };
    if !keeps {
        // Others would now be sent as GET, which loses what they carry.
        return None;
    }
    let to = answer.headers.get(header::LOCATION)?.to_str().ok()?;
    let uri = resolved(&call.uri, to)?;
    let mut headers = call.headers.clone();
    if uri.authority() != call.uri.authority() {
        headers.remove(header::AUTHORIZATION);
        headers.remove(header::COOKIE);
        headers.remove(header::HOST);
    }
    Some(Call {
        uri,
        headers,
        ..call.clone()
    })
}

/// A location relative to a URL (RFC 3986, section 5, for the forms that servers send).
fn resolved(base: &Uri, to: &str) -> Option<Uri> {
    let to: String = to.split('#').next()?.to_owned();
    let parsed: Uri = to.parse().ok()?;
    if parsed.scheme().is_some() {
        let known = matches!(parsed.scheme_str(), Some("http" | "https"));
        return known.then_some(parsed);
    }
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    if let Some(rest) = to.strip_prefix("//") {
        return format!("{scheme}://{rest}").parse().ok();
    }
    let path = match to.starts_with('/') {
        true => to,
        false => {
            let folder = base.path().rfind('/').map_or("/", |at| &base.path()[..=at]);
            format!("{folder}{to}")
        }
    };
    format!("{scheme}://{authority}{path}").parse().ok()
}

/// An error with what a user may do about it.
fn explain(error: &legacy::Error, uri: &Uri) -> HttpError {
    let text = chain(error);
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut parse = false;
    while let Some(inner) = cause {
        parse |= inner
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse);
        cause = inner.source();
    }
    let hint = match (parse, uri.scheme_str()) {
        (true, Some("http")) => {
            "; the peer does not speak HTTP/1: does it want `https://`, or is this the port of OTLP/gRPC?"
        }
        (true, _) => "; the peer does not speak HTTP",
        _ => "",
    };
    HttpError(format!("{text}{hint}"))
}

/// The innermost errors tell what happened; the outer ones that something did.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_resolved_against_the_url() {
        let base = Uri::from_static("http://a.example:4318/v1/traces?x=1");
        for (to, expected) in [
            ("https://b.example/c", "https://b.example/c"),
            ("//b.example/c", "http://b.example/c"),
            ("/c?d", "http://a.example:4318/c?d"),
            ("c#e", "http://a.example:4318/v1/c"),
        ] {
            assert_eq!(resolved(&base, to).unwrap(), expected);
        }
        assert_eq!(resolved(&base, "ftp://b.example/c"), None);
    }

    #[test]
    fn a_proxy_that_is_no_url_is_named() {
        let client = HttpClient {
            proxy_url: Some("proxy".to_owned()),
            ..HttpClient::default()
        };
        let error = client.build(HttpCompression::None).unwrap_err();
        assert_eq!(error.path, "proxy_url");
    }
}
