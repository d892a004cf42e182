//! One connection to the receiver, opened anew when it breaks.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::answer::{self, Answer};
use super::body::Framed;
use super::{Protocol, Settings};
use crate::tls::{self, Stream};

/// Windows of the client side: answers are small, the defaults would do; the receiver's rule what is sent.
const WINDOW: u32 = 1 << 20;

enum Sender {
    H1(http1::SendRequest<Framed>),
    H2(http2::SendRequest<Framed>),
}

/// A connection that lanes share (HTTP/2) or a lane owns (HTTP/1.1).
pub(super) struct Connection {
    endpoint: String,
    protocol: Protocol,
    uri: String,
    headers: HeaderMap,
    frame_size: usize,
    timeout: Duration,
    tls: Option<TlsConnector>,
    sender: Mutex<Option<Sender>>,
}

impl Connection {
    pub(super) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let connection = Self::closed(settings)?;
        let sender = connection.dial().await?;
        *connection.sender.lock().await = Some(sender);
        Ok(connection)
    }

    fn closed(settings: &Settings) -> anyhow::Result<Self> {
        let path = match settings.way.protocol {
            Protocol::Grpc => settings.shape.signal.grpc_path(),
            Protocol::Http => settings.shape.signal.http_path(),
        };
        // Over HTTP/1.1 the target is the path alone.
        let uri = match settings.way.protocol {
            Protocol::Grpc => {
                let scheme = if settings.tls_ca.is_some() {
                    "https"
                } else {
                    "http"
                };
                format!("{scheme}://{}{path}", settings.endpoint)
            }
            Protocol::Http => path.to_owned(),
        };
        let alpn: &[u8] = match settings.way.protocol {
            Protocol::Grpc => b"h2",
            Protocol::Http => b"http/1.1",
        };
        let authority = settings.tls_ca.as_deref();
        let tls = authority.map(|authority| tls::connector(authority, alpn));
        let tls = tls.transpose()?;
        Ok(Self {
            endpoint: settings.endpoint.clone(),
            protocol: settings.way.protocol,
            uri,
            headers: headers(settings)?,
            frame_size: settings.way.frame_size as usize,
            timeout: Duration::from_secs_f64(settings.way.timeout),
            tls,
            sender: Mutex::new(None),
        })
    }

    async fn dial(&self) -> anyhow::Result<Sender> {
        let stream = TcpStream::connect(&self.endpoint)
            .await
            .with_context(|| format!("cannot connect to {}", self.endpoint))?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(connector) => tls::connect(connector, self.host(), stream).await?,
            None => Box::new(stream),
        };
        let io = TokioIo::new(stream);
        match self.protocol {
            Protocol::Grpc => {
                let (sender, driver) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW)
                    .handshake(io)
                    .await?;
                tokio::spawn(driver);
                Ok(Sender::H2(sender))
            }
            Protocol::Http => {
                let (sender, driver) = http1::handshake(io).await?;
                tokio::spawn(driver);
                Ok(Sender::H1(sender))
            }
        }
    }

    fn host(&self) -> &str {
        let host = self.endpoint.rsplit_once(':').map_or("", |(host, _)| host);
        host.trim_matches(['[', ']'])
    }

    /// Sends one request and reads its answer; an error means that none came.
    pub(super) async fn send(&self, body: Bytes) -> anyhow::Result<Answer> {
        tokio::time::timeout(self.timeout, self.exchange(body)).await?
    }

    async fn exchange(&self, body: Bytes) -> anyhow::Result<Answer> {
        let mut request = Request::new(Framed::new(body, self.frame_size));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.parse()?;
        *request.headers_mut() = self.headers.clone();
        let mut held = self.sender.lock().await;
        let mut sender = match held.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.dial().await?,
        };
        match &mut sender {
            Sender::H2(shared) => {
                let mut own = shared.clone();
                *held = Some(sender);
                drop(held);
                own.ready().await?;
                let (head, body) = own.send_request(request).await?.into_parts();
                let body = body.collect().await?;
                let trailers = body.trailers().cloned().unwrap_or(head.headers);
                Ok(answer::of_grpc(&trailers, &body.to_bytes()))
            }
            Sender::H1(own) => {
                own.ready().await?;
                let (head, body) = own.send_request(request).await?.into_parts();
                let body = body.collect().await?.to_bytes();
                *held = Some(sender);
                Ok(answer::of_http(head.status, &head.headers, &body))
            }
        }
    }
}

impl Sender {
    fn is_closed(&self) -> bool {
        match self {
            Sender::H1(sender) => sender.is_closed(),
            Sender::H2(sender) => sender.is_closed(),
        }
    }
}

fn headers(settings: &Settings) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let encoding = settings.way.compression.header();
    match settings.way.protocol {
        Protocol::Grpc => {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/grpc"),
            );
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
            if let Some(encoding) = encoding {
                headers.insert("grpc-encoding", HeaderValue::from_static(encoding));
            }
        }
        Protocol::Http => {
            headers.insert(header::HOST, settings.endpoint.parse()?);
            let protobuf = HeaderValue::from_static("application/x-protobuf");
            headers.insert(header::CONTENT_TYPE, protobuf);
            if let Some(encoding) = encoding {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
        }
    }
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static("tidegate-benches"),
    );
    Ok(headers)
}
