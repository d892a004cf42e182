//! An API server for tests, which does what the documentation of the API says, and what it is told.
//!
//! Versions are one counter for all collections. A watch tells what happened since a version, as
//! seen through its selectors; versions older than what the server remembers are gone (410), and so
//! are places in lists that were read in pages. Answers come in chunks of any size.

mod selection;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tidegate_document::Secret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use self::selection::Asked;
use super::{Access, Token};
use crate::tls::{ClientTls, ServerIdentity, ServerTls};

/// Something that happened to an object.
#[derive(Clone)]
struct Change {
    version: u64,
    before: Option<Value>,
    after: Option<Value>,
}

#[derive(Default)]
struct Collection {
    /// By namespace and name.
    objects: BTreeMap<(String, String), Value>,
    history: Vec<Change>,
}

struct Refusal {
    status: u16,
    after: Option<u64>,
}

#[derive(Default)]
struct Inner {
    version: u64,
    /// The version before which nothing is remembered.
    oldest: u64,
    collections: BTreeMap<String, Collection>,
    token: Option<String>,
    /// What is no collection: documents by their paths.
    documents: BTreeMap<String, Value>,
    refusals: VecDeque<Refusal>,
    requests: Vec<String>,
    /// Raised to end all watches.
    cuts: u64,
    /// Raised to tell all watches that their version is gone.
    expiries: u64,
    /// Raised to send bookmarks.
    bookmarks: u64,
    /// The size of the chunks that watches come in; whole events where it is 0.
    chunk: usize,
}

/// The server.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    inner: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_replace(());
        result
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.address).finish()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// A server with nothing in it.
    ///
    /// # Panics
    /// When there is no port for it.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// A server with nothing in it that speaks TLS, with a certificate and its key in PEM.
    ///
    /// # Panics
    /// When there is no port for it, or the certificate cannot be used.
    pub async fn secured(certificate: &str, key: &str) -> Self {
        let tls = ServerTls {
            cert_pem: Some(Secret::new(certificate)),
            key_pem: Some(Secret::new(key)),
            ..ServerTls::default()
        };
        let identity = ServerIdentity::load(&tls, &["http/1.1"]);
        let identity = identity.expect("it is a certificate with its key");
        Self::listen(Some(TlsAcceptor::from(identity.current()))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("there is a port");
        let address = listener.local_addr().expect("it is bound");
        let inner = Arc::new(Shared {
            inner: Mutex::default(),
            changed: watch::channel(()).0,
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::clone(&inner);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &shared).await,
                        // Who does not trust the server goes.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &shared).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            scheme,
            inner,
            task,
        }
    }

    /// How to speak to it, with this token.
    #[must_use]
    pub fn access(&self, token: Token) -> Access {
        Access {
            base: self.url(),
            tls: ClientTls::default(),
            token,
            proxy: None,
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Writes a kubeconfig file for it into a folder.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let path = folder.join("kubeconfig");
        let text = format!(
            "current-context: test\n\
             contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n\
             clusters: [{{name: test, cluster: {{server: '{}'}}}}]\n\
             users: [{{name: test, user: {{token: secret}}}}]\n",
            self.url()
        );
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Answers with a document at a path that is no collection.
    pub fn document(&self, path: &str, document: Value) {
        self.inner
            .change(|inner| inner.documents.insert(path.to_owned(), document));
    }

    /// Puts an object into a collection, as `/api/v1/pods`.
    pub fn put(&self, collection: &str, mut object: Value) {
        self.inner.change(|inner| {
            inner.version += 1;
            object["metadata"]["resourceVersion"] = json!(inner.version.to_string());
            let text = |key: &str| object["metadata"][key].as_str().unwrap_or("").to_owned();
            let key = (text("namespace"), text("name"));
            let version = inner.version;
            let of = inner.collections.entry(collection.to_owned()).or_default();
            let before = of.objects.insert(key, object.clone());
            of.history.push(Change {
                version,
                before,
                after: Some(object),
            });
        });
    }

    /// Takes an object out of a collection.
    pub fn delete(&self, collection: &str, namespace: &str, name: &str) {
        self.inner.change(|inner| {
            inner.version += 1;
            let version = inner.version;
            let of = inner.collections.entry(collection.to_owned()).or_default();
            let key = (namespace.to_owned(), name.to_owned());
            if let Some(mut before) = of.objects.remove(&key) {
                before["metadata"]["resourceVersion"] = json!(version.to_string());
                of.history.push(Change {
                    version,
                    before: Some(before),
                    after: None,
                });
            }
        });
    }

    /// An object of a collection as it is now.
    #[must_use]
    pub fn object(&self, collection: &str, namespace: &str, name: &str) -> Option<Value> {
        let inner = self.inner.lock();
        let key = (namespace.to_owned(), name.to_owned());
        inner
            .collections
            .get(collection)?
            .objects
            .get(&key)
            .cloned()
    }

    /// Forgets what happened so far, as etcd does when it is compacted.
    pub fn compact(&self) {
        self.inner.change(|inner| {
            inner.version += 1;
            inner.oldest = inner.version;
            for collection in inner.collections.values_mut() {
                collection.history.clear();
            }
        });
    }

    /// Tells open watches that their version is gone.
    pub fn expire_watches(&self) {
        self.inner.change(|inner| inner.expiries += 1);
    }

    /// Ends open watches.
    pub fn cut_watches(&self) {
        self.inner.change(|inner| inner.cuts += 1);
    }

    /// Sends a bookmark to each open watch.
    pub fn bookmark(&self) {
        self.inner.change(|inner| inner.bookmarks += 1);
    }

    /// Takes requests with this token alone.
    pub fn require(&self, token: &str) {
        self.inner
            .change(|inner| inner.token = Some(token.to_owned()));
    }

    /// Answers the next so many requests with this status; asks to come back after some seconds.
    pub fn refuse(&self, times: usize, status: u16, after: Option<u64>) {
        self.inner.change(|inner| {
            let refusals = (0..times).map(|_| Refusal { status, after });
            inner.refusals.extend(refusals);
        });
    }

    /// Sends watches in chunks of so many bytes.
    pub fn chunks(&self, bytes: usize) {
        self.inner.change(|inner| inner.chunk = bytes);
    }

    /// The requests so far: method and path with its query.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.inner.lock().requests.clone()
    }

    /// How many requests had all of this in them.
    #[must_use]
    pub fn count(&self, parts: &[&str]) -> usize {
        let requests = self.requests();
        let all = |request: &&String| parts.iter().all(|part| request.contains(part));
        requests.iter().filter(all).count()
    }
}

/// A request.
struct Request {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length");
    let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = buffer.drain(..length).collect();
    Some(Request {
        method,
        target,
        headers,
        body,
    })
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        // Who asked may have gone.
        if answer(&mut stream, &request, shared).await.is_none() {
            return;
        }
    }
}

async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    request: &Request,
    shared: &Shared,
) -> Option<()> {
    let (refusal, asked) = {
        let mut inner = shared.lock();
        let line = format!("{} {}", request.method, request.target);
        inner.requests.push(line);
        let said = request.headers.get("authorization");
        let bearer = inner.token.as_ref().map(|token| format!("Bearer {token}"));
        let known = bearer.is_none_or(|bearer| said == Some(&bearer));
        let refusal = inner.refusals.pop_front();
        let refusal = refusal.or((!known).then_some(Refusal {
            status: 401,
            after: None,
        }));
        (refusal, Asked::of(&request.target))
    };
    if let Some(refusal) = refusal {
        return send(
            stream,
            refusal.status,
            refusal.after,
            &failure(refusal.status),
        )
        .await;
    }
    let document = shared.lock().documents.get(&request.target).cloned();
    if let Some(document) = document {
        return send(stream, 200, None, &document).await;
    }
    let accept = request.headers.get("accept").map_or("", String::as_str);
    let partial = accept.contains("as=PartialObjectMetadata");
    if asked.watch {
        return follow(stream, &asked, partial, shared).await;
    }
    let (status, body) = match request.method.as_str() {
        "GET" => shared.lock().get(&asked, partial),
        method => {
            let document = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            shared.change(|inner| inner.write(method, &asked, document))
        }
    };
    send(stream, status, None, &body).await
}

/// What the API says where it refuses.
fn failure(code: u16) -> Value {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("as told: {reason}"), "reason": reason, "code": code,
    })
}

async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    status: u16,
    after: Option<u64>,
    body: &Value,
) -> Option<()> {
    let body = body.to_string();
    let mut head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    if let Some(seconds) = after {
        let _ = write!(head, "retry-after: {seconds}\r\n");
    }
    let text = format!("{head}\r\n{body}");
    stream.write_all(text.as_bytes()).await.ok()
}

/// An object as it was asked for.
fn shown(object: &Value, partial: bool) -> Value {
    match partial {
        false => object.clone(),
        true => json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"],
        }),
    }
}

impl Inner {
    fn get(&self, asked: &Asked, partial: bool) -> (u16, Value) {
        let nothing = Collection::default();
        let collection = self.collections.get(&asked.collection).unwrap_or(&nothing);
        if let Some(name) = &asked.name {
            let key = (asked.namespace.clone(), name.clone());
            return match collection.objects.get(&key) {
                Some(object) => (200, shown(object, partial)),
                None => (404, failure(404)),
            };
        }
        let matching = collection
            .objects
            .values()
            .filter(|object| asked.selection.takes(object));
        // A place in a list is the version of the list and how far it was read.
        let (version, skip) = match &asked.next {
            Some(next) => {
                let (version, skip) = next.split_once(':').unwrap_or(("0", "0"));
                let number = |text: &str| text.parse::<u64>().unwrap_or(0);
                if number(version) < self.oldest {
                    return (410, failure(410));
                }
                (number(version), usize::try_from(number(skip)).unwrap_or(0))
            }
            None => (self.version, 0),
        };
        let all: Vec<&Value> = matching.skip(skip).collect();
        // From its cache a server gives whole lists.
        let limit = asked
            .limit
            .filter(|_| asked.version.as_deref() != Some("0"));
        let page = all.len().min(limit.unwrap_or(usize::MAX));
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if page < all.len() {
            metadata["continue"] = json!(format!("{version}:{}", skip + page));
            metadata["remainingItemCount"] = json!(all.len() - page);
        }
        let items: Vec<Value> = all[..page]
            .iter()
            .map(|object| shown(object, partial))
            .collect();
        let list =
            json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items});
        (200, list)
    }

    /// Creates or replaces an object, unless somebody else was faster.
    fn write(&mut self, method: &str, asked: &Asked, mut document: Value) -> (u16, Value) {
        let name = document["metadata"]["name"]
            .as_str()
            .unwrap_or("")
            .to_owned();
        let key = (asked.namespace.clone(), name);
        let version = self.version + 1;
        let collection = self
            .collections
            .entry(asked.collection.clone())
            .or_default();
        let before = collection.objects.get(&key).cloned();
        match (method, &before) {
            ("POST", Some(_)) => return (409, failure(409)),
            ("PUT", None) => return (404, failure(404)),
            ("PUT", Some(before)) => {
                let known = &document["metadata"]["resourceVersion"];
                if !known.is_null() && *known != before["metadata"]["resourceVersion"] {
                    return (409, failure(409));
                }
            }
            _ => {}
        }
        document["metadata"]["namespace"] = json!(asked.namespace);
        document["metadata"]["resourceVersion"] = json!(version.to_string());
        collection.objects.insert(key, document.clone());
        collection.history.push(Change {
            version,
            before,
            after: Some(document.clone()),
        });
        self.version = version;
        (if method == "POST" { 201 } else { 200 }, document)
    }

    /// The events of a watch after a version, and the version up to which they are told.
    fn since(&self, asked: &Asked, version: u64, partial: bool) -> Vec<(u64, Value)> {
        let history = self.collections.get(&asked.collection);
        let history = history.map_or(&[][..], |collection| &collection.history);
        let later = history.iter().filter(|change| change.version > version);
        let told = later.filter_map(|change| {
            let seen = |object: &Option<Value>| {
                object
                    .clone()
                    .filter(|object| asked.selection.takes(object))
            };
            let (kind, object) = match (seen(&change.before), seen(&change.after)) {
                (None, Some(after)) => ("ADDED", after),
                (Some(_), Some(after)) => ("MODIFIED", after),
                (Some(mut before), None) => {
                    before["metadata"]["resourceVersion"] = json!(change.version.to_string());
                    ("DELETED", before)
                }
                (None, None) => return None,
            };
            let event = json!({"type": kind, "object": shown(&object, partial)});
            Some((change.version, event))
        });
        told.collect()
    }
}

/// Keeps a watch.
async fn follow(
    stream: &mut (impl AsyncWrite + Unpin),
    asked: &Asked,
    partial: bool,
    shared: &Shared,
) -> Option<()> {
    let mut changed = shared.changed.subscribe();
    let (mut version, cuts, expiries, mut bookmarks, chunk) = {
        let inner = shared.lock();
        let version = asked.version.as_deref().unwrap_or("");
        let version: u64 = version.parse().unwrap_or(inner.version);
        (
            version,
            inner.cuts,
            inner.expiries,
            inner.bookmarks,
            inner.chunk,
        )
    };
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    let end = b"0\r\n\r\n";
    loop {
        changed.mark_unchanged();
        let (events, over) = {
            let inner = shared.lock();
            let gone = version < inner.oldest || inner.expiries > expiries;
            if gone {
                let error = json!({"type": "ERROR", "object": failure(410)});
                (vec![(version, error)], true)
            } else {
                let mut events = inner.since(asked, version, partial);
                if inner.bookmarks > bookmarks && asked.bookmarks {
                    bookmarks = inner.bookmarks;
                    let metadata = json!({"resourceVersion": inner.version.to_string()});
                    let object = json!({"kind": "Bookmark", "metadata": metadata});
                    events.push((inner.version, json!({"type": "BOOKMARK", "object": object})));
                }
                (events, inner.cuts > cuts)
            }
        };
        for (at, event) in events {
            version = at;
            let line = format!("{event}\n");
            let size = if chunk == 0 { line.len() } else { chunk };
            for piece in line.as_bytes().chunks(size) {
                let head = format!("{:x}\r\n", piece.len());
                stream.write_all(head.as_bytes()).await.ok()?;
                stream.write_all(piece).await.ok()?;
                stream.write_all(b"\r\n").await.ok()?;
            }
        }
        if over {
            return stream.write_all(end).await.ok();
        }
        changed.changed().await.ok()?;
    }
}
