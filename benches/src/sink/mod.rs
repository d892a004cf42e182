//! A server that takes OTLP by gRPC and HTTP on one port, counts what arrives and throws it away.
//!
//! It can be slow and it can fail, so that runs under overload and with faults have an end to deliver to.
//! Its counts are read and its behaviour is changed over HTTP on the same port:
//! `GET /count`, `POST /reset`, `POST /faults` (a JSON object of [`Faults`]).

mod counts;
mod faults;
mod reply;
mod service;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub(crate) use counts::Counts;
#[cfg(test)]
pub(crate) use faults::Failure;
pub(crate) use faults::Faults;
use service::Service;

use crate::tls;

/// Windows wide enough that the sink never holds a sender back by them.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Where to listen, and how to behave.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) faults: Faults,
    /// Longest DATA frame to accept; Go's gRPC servers stay at 16 KiB
    #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(16_384..=16_777_215))]
    pub(crate) frame_size: u32,
    /// Certificate to show to clients that begin with a TLS handshake
    #[arg(long, requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Key of the certificate
    #[arg(long, requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// End when standard input does, as it does when the starting process is gone
    #[arg(long)]
    pub(crate) until_stdin_closes: bool,
}

/// A sink that is bound but does not serve yet.
pub(crate) struct Sink {
    listener: TcpListener,
    service: Arc<Service>,
    frame_size: u32,
    tls: Option<TlsAcceptor>,
    until_stdin_closes: bool,
}

impl Sink {
    pub(crate) async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let tls = match (&settings.tls_certificate, &settings.tls_key) {
            (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key)?),
            _ => None,
        };
        Ok(Self {
            listener: TcpListener::bind(settings.listen).await?,
            service: Arc::new(Service::new(settings.faults.clone())),
            frame_size: settings.frame_size,
            tls,
            until_stdin_closes: settings.until_stdin_closes,
        })
    }

    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process is told to end.
    pub(crate) async fn serve(self) -> anyhow::Result<()> {
        let Self {
            listener,
            service,
            frame_size,
            tls,
            until_stdin_closes,
        } = self;
        let accept = async move {
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(connection(stream, tls.clone(), service.clone(), frame_size));
            }
        };
        tokio::select! {
            result = accept => result,
            () = stdin_closed(until_stdin_closes) => Ok(()),
            signal = tokio::signal::ctrl_c() => Ok(signal?),
        }
    }
}

async fn stdin_closed(watch: bool) {
    if !watch {
        return std::future::pending().await;
    }
    let (closed, notice) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: one of the runtime's would hold up its end.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(closed);
    });
    let _ = notice.await;
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    frame_size: u32,
) {
    // Without it answers of a few bytes would wait for the peer's delayed ACK.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(stream) = tls::accept(tls.as_ref(), stream).await else {
        return;
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(frame_size)
        .max_concurrent_streams(1000);
    builder.http1().timer(TokioTimer::new());
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move { service.answer(request).await }
    });
    // A connection that breaks is the peer's affair: what arrived whole is counted, the rest is not.
    let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
}

#[cfg(test)]
mod tests;
