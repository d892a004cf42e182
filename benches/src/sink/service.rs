//! Reads a request, counts it, answers it.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::counts::Counts;
use super::faults::{Failure, Faults, Misbehaviour};
use super::reply::{self, Reply};
use crate::compression::Compression;
use crate::count::{self, Tally};
use crate::signal::Signal;

/// Longest body, before and after decompression.
const MAX_BODY: usize = 256 << 20;

pub(super) struct Service {
    counts: Mutex<Counts>,
    misbehaviour: Misbehaviour,
}

impl Service {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            counts: Mutex::default(),
            misbehaviour: Misbehaviour::new(faults),
        }
    }

    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Reply>, Infallible> {
        match Signal::of_path(request.uri().path()) {
            Some(signal) => Ok(self.export(signal, request).await),
            None => Ok(self.control(request).await),
        }
    }

    async fn export(&self, signal: Signal, request: Request<Incoming>) -> Response<Reply> {
        let (head, body) = request.into_parts();
        let grpc = head.uri.path() == signal.grpc_path();
        let read = read(signal, grpc, &head.headers, body).await;
        let (wait, failure) = self.misbehaviour.judge(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match (read, failure) {
            (Err(_), _) => {
                counts.malformed += 1;
                reply::failed(grpc, Failure::Invalid)
            }
            (Ok(_), Some(failure)) => {
                counts.failed += 1;
                reply::failed(grpc, failure)
            }
            (Ok((tally, wire_bytes)), None) => {
                counts.add(signal, tally, wire_bytes);
                reply::taken(grpc)
            }
        }
    }

    async fn control(&self, request: Request<Incoming>) -> Response<Reply> {
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/count" => {}
            "/reset" => {
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                *counts = Counts::default();
            }
            "/faults" => match read_faults(request).await {
                Ok(faults) => self.misbehaviour.set(faults),
                Err(error) => {
                    let why = Bytes::from(format!("{error:#}"));
                    return reply::http(StatusCode::BAD_REQUEST, "text/plain", why);
                }
            },
            _ => return reply::http(StatusCode::NOT_FOUND, "text/plain", Bytes::new()),
        }
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match serde_json::to_vec(&*counts) {
            Ok(json) => reply::http(StatusCode::OK, "application/json", json.into()),
            Err(_) => reply::http(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain",
                Bytes::new(),
            ),
        }
    }
}

/// Reads a whole export request; returns its tally and its length on the wire.
async fn read(
    signal: Signal,
    grpc: bool,
    headers: &HeaderMap,
    body: Incoming,
) -> anyhow::Result<(Tally, usize)> {
    let mut body = collect(body).await?;
    let wire_bytes = body.len();
    let encoding = if grpc {
        headers.get("grpc-encoding")
    } else {
        headers.get(header::CONTENT_ENCODING)
    };
    let encoding = encoding.map(|value| value.as_bytes()).unwrap_or_default();
    let mut compression = Compression::of_header(encoding).context("an unknown compression")?;
    if grpc {
        ensure!(body.len() >= 5, "no message");
        let frame = body.split_to(5);
        let length = u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]);
        ensure!(body.len() == length as usize, "not one whole message");
        if frame[0] == 0 {
            compression = Compression::None;
        }
    }
    let plain = compression.decompress(body, MAX_BODY as u64)?;
    Ok((count::tally(signal, &plain)?, wire_bytes))
}

async fn collect(body: Incoming) -> anyhow::Result<Bytes> {
    let body = Limited::new(body, MAX_BODY).collect().await;
    Ok(body.map_err(anyhow::Error::from_boxed)?.to_bytes())
}

async fn read_faults(request: Request<Incoming>) -> anyhow::Result<Faults> {
    let body = collect(request.into_body()).await?;
    Ok(serde_json::from_slice(&body)?)
}
