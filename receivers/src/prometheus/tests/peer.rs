//! A target that answers as it is told, and remembers what it was asked.

use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::PATIENCE;

/// What a request is answered with; a request's body is kept behind its head.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, and others again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// Nothing, while the connection stays.
    Silence,
    /// The end of the connection.
    Hangup,
}

impl Reply {
    /// A page of the text format.
    pub(super) fn page(page: &str) -> Self {
        Self::of("text/plain; version=0.0.4", page.as_bytes())
    }

    /// A page of any content.
    pub(super) fn of(content_type: &str, page: &[u8]) -> Self {
        Self::with(&format!("content-type: {content_type}\r\n"), page)
    }

    /// A page with these headers.
    pub(super) fn with(headers: &str, page: &[u8]) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
            page.len()
        );
        Self::Bytes([head.as_bytes(), page].concat())
    }

    /// A page that is compressed.
    pub(super) fn gzip(page: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(page).unwrap();
        let bytes = encoder.finish().unwrap();
        Self::with(
            "content-type: text/plain\r\ncontent-encoding: gzip\r\n",
            &bytes,
        )
    }

    /// An answer without a page.
    pub(super) fn status(status: &str, headers: &str) -> Self {
        let text =
            format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n");
        Self::Bytes(text.into_bytes())
    }
}

/// A target.
pub(super) struct Peer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Peer {
    /// A target whose answers are made of the number of the request, from 1.
    pub(super) async fn serving(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (known, reply) = (Arc::clone(&requests), Arc::new(reply));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (known, reply) = (Arc::clone(&known), Arc::clone(&reply));
                tokio::spawn(async move {
                    // Who asked may have gone.
                    let _ = serve(stream, &known, &*reply).await;
                });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many requests there were.
    pub(super) fn count(&self) -> usize {
        self.requests().len()
    }

    /// The last request, its names in lower case.
    pub(super) fn request(&self) -> String {
        self.requests().pop().unwrap_or_default()
    }

    /// Whether a request had this in it.
    pub(super) fn has(&self, part: &str) -> bool {
        self.requests().iter().any(|request| request.contains(part))
    }

    /// Waits for a request with this in it.
    pub(super) async fn wait_for(&self, part: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.has(part) {
            assert!(
                Instant::now() < until,
                "{part} was not asked for: {:?}",
                self.requests()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    known: &Mutex<Vec<String>>,
    reply: &(dyn Fn(usize) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    for _ in 0..length {
        head.push(stream.read_u8().await?);
    }
    let count = {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push(String::from_utf8_lossy(&head).into_owned());
        known.len()
    };
    match reply(count) {
        Reply::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Endless(head, piece) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&piece).await?;
            }
        }
        Reply::Silence => {
            // Until the other side goes.
            stream.read_u8().await.map(drop)
        }
        Reply::Hangup => Ok(()),
    }
}
