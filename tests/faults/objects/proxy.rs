//! Stands between the collector and a store of objects, and stops or breaks puts where it is told to.
//!
//! It reads HTTP/1.1 itself, a request on each connection, so that half of a body can be passed on.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::gate::{Deed, Gate, Place};
use crate::RUNTIME;

/// What a head may have at most.
const LONGEST_HEAD: usize = 64 << 10;

/// What is to happen to puts, until another order comes.
struct Order {
    place: Place,
    deed: Deed,
    /// Puts that came to that place.
    reached: AtomicU64,
    /// Whether those that stand there may go on; nothing before that is said.
    goes_on: watch::Sender<Option<bool>>,
}

struct Shared {
    upstream: String,
    order: Mutex<Option<Arc<Order>>>,
    /// Puts that the store has answered.
    puts: AtomicU64,
}

pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
    /// The order whose puts may still stand somewhere.
    last: Mutex<Option<Arc<Order>>>,
}

impl Proxy {
    /// Listens on loopback and passes everything on to `upstream`.
    pub fn start(upstream: &str) -> Self {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a loopback port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let shared = Arc::new(Shared {
            upstream,
            order: Mutex::default(),
            puts: AtomicU64::new(0),
        });
        let of_connections = Arc::clone(&shared);
        let listener = RUNTIME.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&of_connections);
                // What breaks is the client's to notice.
                tokio::spawn(async move { shared.serve(stream).await });
            }
        });
        Self {
            address,
            shared,
            listener,
            last: Mutex::default(),
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.let_pass();
        self.release(false);
    }
}

impl Gate for Proxy {
    fn arm(&self, place: Place, deed: Deed) {
        let order = Arc::new(Order {
            place,
            deed,
            reached: AtomicU64::new(0),
            goes_on: watch::Sender::new(None),
        });
        *lock(&self.last) = Some(Arc::clone(&order));
        *lock(&self.shared.order) = Some(order);
    }

    fn reached(&self) -> u64 {
        let last = lock(&self.last);
        last.as_ref().map_or(0, |order| order.reached.load(Relaxed))
    }

    fn let_pass(&self) {
        *lock(&self.shared.order) = None;
    }

    fn release(&self, goes_on: bool) {
        if let Some(order) = lock(&self.last).take() {
            order.goes_on.send_replace(Some(goes_on));
        }
    }

    fn puts(&self) -> u64 {
        self.shared.puts.load(Relaxed)
    }
}

impl Shared {
    /// Passes a request on and its answer back; none where the connection is to break, or breaks.
    async fn serve(&self, mut client: TcpStream) -> Option<()> {
        let (mut head, mut body) = read_head(&mut client).await?;
        let length = header(&head, "content-length").and_then(|length| length.parse().ok());
        read_to_length(&mut client, &mut body, length.unwrap_or(0)).await?;
        let is_put = head.starts_with("PUT ");
        if is_put {
            self.pass(Place::Before).await?;
        }
        let mut store = TcpStream::connect(&self.upstream).await.ok()?;
        close_after(&mut head);
        store.write_all(head.as_bytes()).await.ok()?;
        let (first, rest) = body.split_at(body.len() / 2);
        store.write_all(first).await.ok()?;
        if is_put {
            store.flush().await.ok()?;
            self.pass(Place::In).await?;
        }
        store.write_all(rest).await.ok()?;
        let (mut head, mut answer) = read_head(&mut store).await?;
        store.read_to_end(&mut answer).await.ok()?;
        if is_put {
            self.puts.fetch_add(1, Relaxed);
            self.pass(Place::After).await?;
        }
        close_after(&mut head);
        client.write_all(head.as_bytes()).await.ok()?;
        client.write_all(&answer).await.ok()?;
        client.shutdown().await.ok()
    }

    /// Waits at a place while that is ordered; none where the connection is to break.
    async fn pass(&self, place: Place) -> Option<()> {
        let order = lock(&self.order).clone();
        let Some(order) = order.filter(|order| order.place == place) else {
            return Some(());
        };
        let mut goes_on = order.goes_on.subscribe();
        order.reached.fetch_add(1, Relaxed);
        if order.deed == Deed::Fail {
            return None;
        }
        let told = goes_on.wait_for(Option::is_some).await.ok()?;
        (*told == Some(true)).then_some(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The head of a message with its empty line, and what came behind it.
async fn read_head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Some((String::from_utf8(read).ok()?, rest));
        }
        let got = stream.read_buf(&mut read).await.ok()?;
        if got == 0 || read.len() > LONGEST_HEAD {
            return None;
        }
    }
}

async fn read_to_length(stream: &mut TcpStream, body: &mut Vec<u8>, length: usize) -> Option<()> {
    while body.len() < length {
        if stream.read_buf(body).await.ok()? == 0 {
            return None;
        }
    }
    Some(())
}

fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(found.1.trim().to_owned())
}

/// Says that nothing follows on this connection.
fn close_after(head: &mut String) {
    let first = head.find("\r\n").map_or(0, |end| end + 2);
    head.insert_str(first, "connection: close\r\n");
}
