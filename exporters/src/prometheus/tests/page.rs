//! The page, over sockets and without.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use tidegate_component::testing::HereWorkers;
use tidegate_component::{AnyExporter, ComponentConfig, ExporterContext, InlineExporter};
use tidegate_pdata::{Batch, Budget, Context, Receipt};
use tidegate_transport::compression::{Codec, decompress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::endpoint::{Endpoint, Settings};
use super::super::{Config, Prometheus};
use super::*;

fn endpoint(shown: &Shown) -> Endpoint {
    let settings = Settings {
        open_metrics: true,
        timestamps: false,
        response_headers: HeaderMap::new(),
        cors: None,
    };
    let cx = BuildContext::detached("exporter", "prometheus".parse().unwrap());
    Endpoint::new(Arc::clone(&shown.store), settings, &cx.metrics)
}

#[tokio::test]
async fn gzip_holds_the_same_as_the_plain_text() {
    let shown = Shown::new();
    for at in 0..2000 {
        let label = at.to_string();
        shown.take(&request(gauge(
            "m",
            &[(&[("x", &label)], f64::from(at), TIME)],
        )));
    }
    let page = endpoint(&shown);
    let mut headers = HeaderMap::new();
    let plain = page
        .answer("/metrics", &headers)
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    headers.insert("accept-encoding", "gzip".parse().unwrap());
    let response = page.answer("/metrics", &headers);
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let packed = response.into_body().collect().await.unwrap().to_bytes();
    assert!(packed.len() * 5 < plain.len());
    let unpacked = decompress(Codec::Gzip, &packed, plain.len(), &mut |_| true).unwrap();
    assert_eq!(unpacked, plain);
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let response = endpoint(&Shown::new()).answer("/", &HeaderMap::new());
    assert_eq!(response.status(), 404);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "404 page not found\n");
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{request}\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_a_started_exporter_takes_is_scraped_until_it_is_stopped() {
    let config = tidegate_component::testing::read::<Config>(
        "{endpoint: '127.0.0.1:0', response_headers: {x-a: b}, without_scope_info: true}",
    );
    let cx = BuildContext::detached("exporter", "prometheus".parse().unwrap());
    let exporter = config.exporter(&cx).unwrap();
    let context = ExporterContext {
        id: "prometheus".parse().unwrap(),
        workers: HereWorkers::workers(),
        budget: Budget::new(usize::MAX),
        timeout: None,
    };
    exporter.start(context).await.unwrap();
    let batch = Batch::new(
        payload(&request(gauge("m", &[(&[], 1.0, TIME)]))),
        Context::default(),
        Receipt::none(),
    );
    exporter.apply(&batch).unwrap();
    let address = address(&exporter).await;
    let answer = ask(address, "GET /metrics HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("\r\nx-a: b\r\n"), "{answer}");
    assert!(answer.contains("# TYPE m gauge\nm 1\n"), "{answer}");
    let head = ask(address, "HEAD /metrics HTTP/1.1").await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    exporter.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

async fn address(exporter: &Prometheus) -> SocketAddr {
    let running = exporter.running.lock().await;
    running
        .as_ref()
        .and_then(|running| running.server.address())
        .expect("it listens on TCP")
}

#[test]
fn an_endpoint_must_be_named() {
    let config = tidegate_component::testing::read::<Config>("{}");
    let cx = BuildContext::detached("exporter", "prometheus".parse().unwrap());
    let error = config.build(&cx).map(|_: AnyExporter| ()).unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.message.as_str()),
        ("endpoint", "there is no endpoint")
    );
    let config = tidegate_component::testing::read::<Config>("{endpoint: localhost}");
    assert_eq!(config.build(&cx).map(|_| ()).unwrap_err().path, "endpoint");
}
