//! A plain HTTP/1.1 call, for the sink's counts and for scrapes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::sink::{Counts, Faults};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Makes one call on a connection of its own; any status but 2xx is an error.
pub(crate) async fn call(
    method: Method,
    address: SocketAddr,
    path: &str,
    body: Bytes,
) -> anyhow::Result<Bytes> {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(driver);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, address.to_string())
            .body(Full::new(body))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        driver.abort();
        ensure!(status.is_success(), "{path} answered {status}");
        Ok(body)
    };
    tokio::time::timeout(TIMEOUT, exchange).await?
}

pub(crate) async fn counts(sink: SocketAddr) -> anyhow::Result<Counts> {
    let json = call(Method::GET, sink, "/count", Bytes::new()).await?;
    Ok(serde_json::from_slice(&json)?)
}

pub(crate) async fn set_faults(sink: SocketAddr, faults: &Faults) -> anyhow::Result<()> {
    let json = serde_json::to_vec(faults)?;
    call(Method::POST, sink, "/faults", json.into()).await?;
    Ok(())
}
