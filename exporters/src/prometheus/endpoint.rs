//! The page that is scraped.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use tidegate_component::metrics::{Counter, Metrics};
use tidegate_transport::compression::GzipStream;
use tidegate_transport::server::{Cors, Peer, Reply, Response, Service, discard};

use super::exposition::{Exposition, Scrape, Style, accepts_gzip};
use super::store::Store;

const PATH: &str = "/metrics";
/// The cheapest level: the text shrinks to less than a tenth at any.
const GZIP_LEVEL: u32 = 1;

/// What is configured of the page.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) open_metrics: bool,
    pub(super) timestamps: bool,
    pub(super) response_headers: HeaderMap,
    pub(super) cors: Option<Cors>,
}

/// The page.
#[derive(Debug)]
pub(super) struct Endpoint {
    store: Arc<Store>,
    settings: Settings,
    scrapes: Counter,
    bytes: Counter,
}

impl Endpoint {
    pub(super) fn new(store: Arc<Store>, settings: Settings, metrics: &Metrics) -> Self {
        Self {
            store,
            settings,
            scrapes: metrics.counter("tidegate_prometheus_scrapes", "Scrapes answered.", &[]),
            bytes: metrics.counter(
                "tidegate_prometheus_scrape_bytes",
                "Bytes of scrapes, before compression.",
                &[],
            ),
        }
    }

    /// Answers a request for a path.
    pub(super) fn answer(&self, path: &str, headers: &HeaderMap) -> Response {
        if path != PATH {
            return text(StatusCode::NOT_FOUND, "404 page not found\n");
        }
        self.scrapes.add(1);
        let exposition = Exposition::negotiate(headers, self.settings.open_metrics);
        let style = Style {
            exposition,
            timestamps: self.settings.timestamps,
        };
        let mut scrape = Scrape::new(Arc::clone(&self.store), style);
        let bytes = self.bytes.clone();
        let next = move || {
            let piece = scrape.piece()?;
            bytes.add(piece.len() as u64);
            Some(piece)
        };
        let gzip = accepts_gzip(headers);
        let mut response = Response::new(if gzip {
            Reply::pieces(compressed(next))
        } else {
            Reply::pieces(next)
        });
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, exposition.content_type());
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// Compresses pieces; the result comes in pieces that are not empty.
fn compressed(
    mut next: impl FnMut() -> Option<Bytes> + Send + 'static,
) -> impl FnMut() -> Option<Bytes> + Send + 'static {
    let mut gzip = Some(GzipStream::new(GZIP_LEVEL));
    move || {
        let mut out = Vec::new();
        while out.is_empty() {
            match next() {
                Some(piece) => gzip.as_mut()?.push(&piece, &mut out),
                None => gzip.take()?.finish(&mut out),
            }
        }
        Some(Bytes::from(out))
    }
}

fn text(status: StatusCode, text: &'static str) -> Response {
    let mut response = Reply::text(status, text);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

impl Service for Endpoint {
    async fn call(&self, request: Request<Incoming>, _: &Arc<Peer>) -> Response {
        let (parts, body) = request.into_parts();
        discard(parts.version, body);
        let cors = self.settings.cors.as_ref();
        let preflight = cors.and_then(|cors| cors.preflight(&parts));
        let mut response = preflight.unwrap_or_else(|| {
            let mut response = self.answer(parts.uri.path(), &parts.headers);
            if let Some(cors) = cors {
                cors.decorate(&parts.method, &parts.headers, response.headers_mut());
            }
            response
        });
        for (name, value) in &self.settings.response_headers {
            let headers = response.headers_mut();
            headers.entry(name).or_insert_with(|| value.clone());
        }
        response
    }

    fn panicked(&self) -> Response {
        text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the scrape made the server panic\n",
        )
    }
}
