//! A small HTTP server for what people and probes read: metrics, health, status.
//!
//! It serves HTTP/1.1 only, reads no bodies, and bounds connections, headers and the time that a
//! client may take, so that a probe can neither hang it nor fill it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::crowd::Crowd;
use crate::server::{Address, Listener};
use crate::sockets::Entry;

/// The answer to one request.
pub type Page = Response<Bytes>;

/// What answers requests; it gets everything but the body.
pub type Handler = Arc<dyn Fn(Parts) -> Pin<Box<dyn Future<Output = Page> + Send>> + Send + Sync>;

/// Connections at a time; more are closed at once. Of these one client takes at most eight ninths.
const CONNECTIONS: usize = 256;
/// Time for a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of headers.
const HEADER_BYTES: usize = 16 * 1024;
/// Time for a whole connection that is kept open between requests.
const CONNECTION_LIFE: Duration = Duration::from_secs(600);

/// A running server; it ends when this is dropped or stopped.
#[derive(Debug)]
pub struct Pages {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Pages {
    /// Listens on `host:port` and answers requests on the runtime that calls this.
    ///
    /// # Errors
    /// The address cannot be resolved, or cannot be listened on.
    pub async fn serve(address: &str, handler: Handler) -> io::Result<Self> {
        let (listener, entry) = bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            accept(listener, handler, stopped).await;
            drop(entry);
        });
        Ok(Self {
            address,
            stop,
            task,
        })
    }

    /// The address that it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and tells open connections to end after their answer.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

/// A page of text.
#[must_use]
pub fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Page {
    let mut page = Response::new(body.into());
    *page.status_mut() = status;
    let value = header::HeaderValue::from_static(content_type);
    page.headers_mut().insert(header::CONTENT_TYPE, value);
    page
}

/// A page that says that there is none at this path.
#[must_use]
pub fn not_found() -> Page {
    text(
        StatusCode::NOT_FOUND,
        "text/plain; charset=utf-8",
        "404 page not found\n",
    )
}

async fn bind(address: &str) -> io::Result<(TcpListener, Entry)> {
    let wrong = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
    let address = Address::parse(address, "tcp").map_err(wrong)?;
    let listener = Listener::bind(&address).await?;
    let entry = listener.enter(&listener.local()?)?;
    match listener {
        Listener::Tcp(listener) => Ok((TcpListener::from_std(listener)?, entry)),
        Listener::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn accept(listener: TcpListener, handler: Handler, mut stopped: watch::Receiver<bool>) {
    let crowd = Crowd::new("connections", CONNECTIONS);
    loop {
        let (stream, peer) = tokio::select! {
            _ = stopped.changed() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => {
                    // Out of descriptors: the next attempt may find one.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let Some(place) = crowd.enter(Some(peer.ip())) else {
            continue;
        };
        let (handler, stopped) = (Arc::clone(&handler), stopped.clone());
        tokio::spawn(async move {
            converse(stream, handler, stopped).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, handler: Handler, mut stopped: watch::Receiver<bool>) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (parts, _) = request.into_parts();
        let answer = handler(parts);
        async move { Ok::<_, std::convert::Infallible>(answer.await.map(Full::new)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(HEADER_TIMEOUT, connection).await;
        }
        () = tokio::time::sleep(CONNECTION_LIFE) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_and_stops_listening() {
        let handler: Handler = Arc::new(|parts| {
            Box::pin(async move { text(StatusCode::OK, "text/plain", parts.uri.path().to_owned()) })
        });
        let pages = Pages::serve("127.0.0.1:0", handler).await.unwrap();
        let address = pages.address();
        let answer = ask(
            address,
            "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.ends_with("/x"), "{answer}");
        pages.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn one_client_cannot_take_every_connection() {
        let handler: Handler = Arc::new(|_| Box::pin(async { not_found() }));
        let pages = Pages::serve("127.0.0.1:0", handler).await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(TcpStream::connect(pages.address()).await.unwrap());
        }
        // The last of them was closed.
        let last = silent.last_mut().unwrap();
        assert_eq!(last.read(&mut [0; 8]).await.unwrap_or(0), 0);
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = socket.connect(pages.address()).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        other.write_all(request).await.unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }

    #[tokio::test]
    async fn cuts_off_headers_that_pass_the_bound() {
        let handler: Handler = Arc::new(|_| Box::pin(async { not_found() }));
        let pages = Pages::serve("127.0.0.1:0", handler).await.unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nx: {}\r\n\r\n",
            "a".repeat(4 * HEADER_BYTES)
        );
        let answer = ask(pages.address(), &request).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}
