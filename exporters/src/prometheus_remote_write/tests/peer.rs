//! A peer whose answers are scripted; then it answers 204.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

#[derive(Clone, Default)]
pub(super) struct Script {
    pub(super) seen: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
    pub(super) answers: Arc<Mutex<VecDeque<Response<Full<Bytes>>>>>,
}

impl Script {
    pub(super) fn answer(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        let mut answers = self.answers.lock().unwrap();
        answers.push_back(answer.body(body).unwrap());
    }

    pub(super) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let script = script.clone();
                let service = service_fn(move |request| script.clone().handle(request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        format!("http://127.0.0.1:{port}/api/v1/write")
    }

    async fn handle(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let seen = (head.uri.to_string(), head.headers, body);
        self.seen.lock().unwrap().push(seen);
        let answer = self.answers.lock().unwrap().pop_front();
        Ok(answer.unwrap_or_else(|| {
            let empty = Response::builder().status(204);
            empty.body(Full::default()).unwrap()
        }))
    }
}
