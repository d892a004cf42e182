//! The HTTP client against scripted servers.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use support::pki::Pki;
use tidegate_transport::client::{
    Answer, Call, CompressionParams, CookieKeys, HttpChannel, HttpClient, HttpCompression,
    HttpError, Pieces,
};
use tidegate_transport::compression::{Codec, decompress};
use tidegate_transport::tls::{ClientTls, ServerIdentity, ServerTls};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
struct Seen {
    method: Method,
    uri: Uri,
    version: http::Version,
    headers: HeaderMap,
    body: Bytes,
}

/// A server that answers by a script, then with an empty 200.
#[derive(Clone, Default)]
struct Script {
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Arc<Mutex<VecDeque<Response<Full<Bytes>>>>>,
    connections: Arc<Mutex<usize>>,
}

impl Script {
    fn answer(&self, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let answer = answer.body(Full::new(body.into())).unwrap();
        self.answers.lock().unwrap().push_back(answer);
    }

    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    async fn handle(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.seen.lock().unwrap().push(Seen {
            method: head.method,
            uri: head.uri,
            version: head.version,
            headers: head.headers,
            body,
        });
        let answer = self.answers.lock().unwrap().pop_front();
        Ok(answer.unwrap_or_default())
    }

    /// Serves on a free port, with TLS where an identity is given.
    async fn serve(&self, tls: Option<ServerIdentity>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *script.connections.lock().unwrap() += 1;
                let script = script.clone();
                let service = service_fn(move |request| script.clone().handle(request));
                let tls = tls.as_ref().map(|tls| TlsAcceptor::from(tls.current()));
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    // How a connection ends is the client's affair.
                    let _ = match tls {
                        None => server.serve_connection(TokioIo::new(stream), service).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => {
                                server.serve_connection(TokioIo::new(stream), service).await
                            }
                            Err(_) => Ok(()),
                        },
                    };
                });
            }
        });
        port
    }
}

fn open(client: &HttpClient) -> HttpChannel {
    client
        .build(HttpCompression::None)
        .unwrap()
        .start(None)
        .unwrap()
}

fn call(method: Method, uri: &str, body: &[&'static str]) -> Call {
    Call {
        method,
        uri: uri.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Pieces::new(
            body.iter()
                .map(|piece| Bytes::from_static(piece.as_bytes())),
        ),
    }
}

async fn post(
    channel: &HttpChannel,
    uri: &str,
    body: &[&'static str],
) -> Result<Answer, HttpError> {
    channel.send(call(Method::POST, uri, body), 1 << 16).await
}

#[tokio::test]
async fn segments_arrive_as_one_body_of_known_length() {
    let script = Script::default();
    let port = script.serve(None).await;
    let channel = open(&HttpClient {
        headers: [("X-Tenant", "a"), ("Host", "gateway.example")]
            .into_iter()
            .collect(),
        ..HttpClient::default()
    });
    script.answer(202, &[("x-id", "7")], "fine");
    let uri = format!("http://127.0.0.1:{port}/v1/traces");
    let answer = post(&channel, &uri, &["ab", "", "cde"]).await.unwrap();
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.headers["x-id"], "7");
    assert_eq!(
        (answer.body.as_ref(), answer.complete),
        (&b"fine"[..], true)
    );
    let seen = script.take().remove(0);
    assert_eq!(seen.body, "abcde");
    assert_eq!(seen.headers["content-length"], "5");
    assert_eq!(seen.headers["x-tenant"], "a");
    assert_eq!(seen.headers["host"], "gateway.example");
    assert_eq!(seen.uri, "/v1/traces");
}

#[tokio::test]
async fn bodies_are_compressed_as_told() {
    let script = Script::default();
    let port = script.serve(None).await;
    let text = "telemetry ".repeat(50_000);
    for (compression, name, codec) in [
        (HttpCompression::Gzip, "gzip", Codec::Gzip),
        (HttpCompression::Zstd, "zstd", Codec::Zstd),
        (HttpCompression::Snappy, "snappy", Codec::Snappy),
        (
            HttpCompression::SnappyFramed,
            "x-snappy-framed",
            Codec::SnappyFramed,
        ),
        (HttpCompression::Zlib, "zlib", Codec::Zlib),
        (HttpCompression::Deflate, "deflate", Codec::Zlib),
        (HttpCompression::Lz4, "lz4", Codec::Lz4),
    ] {
        let channel = open(&HttpClient {
            compression: Some(compression),
            compression_params: CompressionParams {
                level: i32::from(compression == HttpCompression::Gzip),
            },
            ..HttpClient::default()
        });
        for length in [10, text.len()] {
            let mut headers = HeaderMap::new();
            let body = Pieces::new([Bytes::from(text[..length].to_owned())]);
            let body = channel.encode(body, &mut headers).await.unwrap();
            let request = Call {
                headers,
                body,
                ..call(Method::POST, &format!("http://127.0.0.1:{port}/"), &[])
            };
            channel.send(request, 0).await.unwrap();
            let seen = script.take().remove(0);
            assert_eq!(seen.headers["content-encoding"], name);
            let read = decompress(codec, &seen.body, 1 << 20, &mut |_| true).unwrap();
            assert!(read == text.as_bytes()[..length], "{name}");
        }
    }
}

#[tokio::test]
async fn connections_are_kept_unless_told_otherwise() {
    let script = Script::default();
    let port = script.serve(None).await;
    let uri = format!("http://127.0.0.1:{port}/");
    let channel = open(&HttpClient::default());
    for _ in 0..3 {
        post(&channel, &uri, &["x"]).await.unwrap();
    }
    assert_eq!(script.connections(), 1);
    let channel = open(&HttpClient {
        disable_keep_alives: true,
        ..HttpClient::default()
    });
    for _ in 0..3 {
        post(&channel, &uri, &["x"]).await.unwrap();
    }
    assert_eq!(script.connections(), 4);
    assert_eq!(script.take()[3].headers["connection"], "close");
}

#[tokio::test]
async fn an_answer_is_read_no_further_than_wanted() {
    let script = Script::default();
    let port = script.serve(None).await;
    script.answer(200, &[], vec![b'x'; 1 << 20]);
    let channel = open(&HttpClient::default());
    let answer = post(&channel, &format!("http://127.0.0.1:{port}/"), &[])
        .await
        .unwrap();
    assert_eq!((answer.body.len(), answer.complete), (1 << 16, false));
}

#[tokio::test]
async fn redirections_are_followed_without_changing_what_is_sent() {
    let script = Script::default();
    let port = script.serve(None).await;
    let uri = format!("http://127.0.0.1:{port}/a");
    let channel = open(&HttpClient::default());
    script.answer(307, &[("location", "/b")], "");
    post(&channel, &uri, &["body"]).await.unwrap();
    let seen = script.take();
    assert_eq!((seen[1].uri.path(), &seen[1].method), ("/b", &Method::POST));
    assert_eq!(seen[1].body, "body");
    // Sent as GET the body would be lost: the answer stands.
    script.answer(302, &[("location", "/b")], "");
    assert_eq!(post(&channel, &uri, &["body"]).await.unwrap().status, 302);
    script.answer(302, &[("location", "/b")], "");
    let answer = channel.send(call(Method::GET, &uri, &[]), 0).await.unwrap();
    assert_eq!(answer.status, 200);
    for _ in 0..20 {
        script.answer(308, &[("location", "/a")], "");
    }
    let error = post(&channel, &uri, &[]).await.unwrap_err();
    assert!(error.to_string().contains("redirects more than"), "{error}");
}

#[tokio::test]
async fn cookies_go_back_where_they_are_kept() {
    let script = Script::default();
    let port = script.serve(None).await;
    let uri = format!("http://127.0.0.1:{port}/v1/logs");
    for (cookies, expected) in [(None, None), (Some(CookieKeys::default()), Some("lb=a1"))] {
        let channel = open(&HttpClient {
            cookies,
            ..HttpClient::default()
        });
        script.answer(200, &[("set-cookie", "lb=a1; Path=/")], "");
        post(&channel, &uri, &[]).await.unwrap();
        post(&channel, &uri, &[]).await.unwrap();
        let seen = script.take();
        let sent = seen[1]
            .headers
            .get("cookie")
            .map(|value| value.to_str().unwrap());
        assert_eq!(sent, expected);
    }
}

fn secure(pki: &Pki, alpn: &[&str]) -> ServerIdentity {
    let tls = ServerTls {
        cert_file: Some(pki.text("server.pem")),
        key_file: Some(pki.text("server.key")),
        ..ServerTls::default()
    };
    ServerIdentity::load(&tls, alpn).unwrap()
}

fn trusting(pki: &Pki) -> HttpClient {
    HttpClient {
        tls: ClientTls {
            ca_file: Some(pki.text("ca.pem")),
            ..ClientTls::default()
        },
        ..HttpClient::default()
    }
}

#[tokio::test]
async fn http2_is_spoken_where_tls_agrees_on_it() {
    let pki = Pki::new();
    for (alpn, force, version) in [
        (&["h2", "http/1.1"][..], None, http::Version::HTTP_2),
        (&["http/1.1"][..], None, http::Version::HTTP_11),
        (&["h2", "http/1.1"][..], Some(false), http::Version::HTTP_11),
    ] {
        let script = Script::default();
        let port = script.serve(Some(secure(&pki, alpn))).await;
        let channel = open(&HttpClient {
            force_attempt_http2: force,
            ..trusting(&pki)
        });
        let uri = format!("https://localhost:{port}/");
        let large = vec!["0123456789"; 100_000];
        post(&channel, &uri, &large).await.unwrap();
        let seen = script.take().remove(0);
        assert_eq!(seen.version, version);
        assert_eq!(seen.body.len(), 1_000_000);
    }
}

#[tokio::test]
async fn a_failure_says_what_to_do() {
    let pki = Pki::new();
    let secured = Script::default().serve(Some(secure(&pki, &[]))).await;
    let plain = Script::default().serve(None).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let absent = free.local_addr().unwrap().port();
    drop(free);
    let channel = open(&HttpClient::default());
    for (uri, expected) in [
        (format!("http://127.0.0.1:{absent}/"), "is the peer running"),
        (
            format!("http://127.0.0.1:{secured}/"),
            "does it want `https://`",
        ),
        (
            format!("https://127.0.0.1:{secured}/"),
            "name its CA in `tls.ca_file`",
        ),
        (format!("https://127.0.0.1:{plain}/"), "does not speak TLS"),
        ("http://no-such-host.invalid/".to_owned(), "cannot resolve"),
    ] {
        let error = post(&channel, &uri, &["x"]).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{uri}: {error}");
    }
}

#[tokio::test]
async fn a_proxy_is_told_the_whole_url_or_asked_for_a_tunnel() {
    let (script, pki) = (Script::default(), Pki::new());
    let proxy = script.serve(None).await;
    let channel = open(&HttpClient {
        proxy_url: Some(format!("http://user:secret@127.0.0.1:{proxy}")),
        ..trusting(&pki)
    });
    post(&channel, "http://gateway.example:4318/v1/traces", &["x"])
        .await
        .unwrap();
    let seen = script.take().remove(0);
    assert_eq!(seen.uri, "http://gateway.example:4318/v1/traces");
    assert_eq!(
        seen.headers["proxy-authorization"],
        "Basic dXNlcjpzZWNyZXQ="
    );
    script.answer(407, &[], "");
    let error = post(&channel, "https://gateway.example/v1/traces", &["x"]).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("407 Proxy Authentication Required"),
        "{error}"
    );
    assert_eq!(script.take()[0].method, Method::CONNECT);
}

#[tokio::test]
async fn requests_at_a_time_are_limited_as_told() {
    let script = Script::default();
    let port = script.serve(None).await;
    let channel = open(&HttpClient {
        max_conns_per_host: Some(1),
        ..HttpClient::default()
    });
    let uri = format!("http://127.0.0.1:{port}/");
    let (a, b, c) = tokio::join!(
        post(&channel, &uri, &["a"]),
        post(&channel, &uri, &["b"]),
        post(&channel, &uri, &["c"]),
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(script.connections(), 1);
}
