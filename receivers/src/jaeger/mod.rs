//! Jaeger: spans of its clients and agents, over gRPC, HTTP and UDP.
//!
//! A batch is read span by span: what protobuf or thrift say fills one span that borrows from the
//! message, and that is written as OTLP where its resource and scope are collected.

mod config;
mod grpc;
mod http;
pub(crate) mod protobuf;
mod span;
pub(crate) mod thrift;
mod translate;
mod udp;

#[cfg(test)]
mod tests;

use tidegate_component::metrics::Metrics;
use tidegate_component::{Receiver, ReceiverContext, StartError, async_trait};
use tidegate_pdata::{Payload, Reservation};
use tidegate_transport::grpc::{Code, Status};
use tidegate_transport::server::config::Prepared;
use tidegate_transport::server::{BodyError, Grpc, Pace, Server};

pub use config::Config;

use crate::doors::Doors;
use crate::grouped::{Grouped, NoRoom, payload};
use crate::servers::listen;
use crate::web::Web;
use grpc::Calls;
use http::Http;
use udp::{Agent, UdpSettings};

/// Why a message is not read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is not what it should be; the text says where.
    Malformed(String),
    /// It asks for what there is not.
    Unsupported(String),
    NoRoom,
}

impl From<NoRoom> for Stop {
    fn from(_: NoRoom) -> Self {
        Self::NoRoom
    }
}

/// The spans of a message as OTLP.
fn received(
    message: &[u8],
    mut hold: Reservation,
    translate: impl FnOnce(&[u8], &mut Grouped<'_>) -> Result<(), Stop>,
) -> Result<Payload, Status> {
    let mut room = |bytes: usize| hold.try_resize(message.len() + bytes);
    let mut spans = Grouped::new(&mut room);
    translate(message, &mut spans).map_err(|stop| match stop {
        Stop::NoRoom => Status::from(BodyError::no_room()),
        Stop::Malformed(what) => {
            let text = format!("the message is no batch of Jaeger's: {what}");
            Status::new(Code::InvalidArgument, text)
        }
        Stop::Unsupported(what) => Status::new(Code::Unimplemented, what),
    })?;
    let request = spans.finish();
    payload(request, hold)
}

/// The receiver.
struct Jaeger {
    /// The server, its largest message, and whether metadata is kept.
    grpc: Option<(Prepared, usize, bool)>,
    http: Option<(Prepared, Web)>,
    agents: Vec<UdpSettings>,
    metrics: Metrics,
    servers: Vec<Server>,
    reading: Vec<Agent>,
}

impl Jaeger {
    const fn new(metrics: Metrics) -> Self {
        Self {
            grpc: None,
            http: None,
            agents: Vec::new(),
            metrics,
            servers: Vec::new(),
            reading: Vec::new(),
        }
    }

    /// Whether no protocol is served.
    const fn is_idle(&self) -> bool {
        self.grpc.is_none() && self.http.is_none() && self.agents.is_empty()
    }

    async fn serve(&mut self, cx: &ReceiverContext) -> Result<(), StartError> {
        if let Some((prepared, max_message, include_metadata)) = &self.grpc {
            let doors = Doors::new(cx, "grpc", &self.metrics);
            let calls = Calls::new(doors, *include_metadata);
            let service = Grpc::new(calls, *max_message, Pace::default());
            self.servers
                .push(listen(prepared, service, cx, "grpc").await?);
        }
        if let Some((prepared, web)) = &self.http {
            let doors = Doors::new(cx, "collector_http", &self.metrics);
            let service = Http::new(doors, web.clone());
            self.servers
                .push(listen(prepared, service, cx, "thrift_http").await?);
        }
        for settings in &self.agents {
            let agent = Agent::start(settings, cx, &self.metrics).await?;
            self.reading.push(agent);
        }
        Ok(())
    }
}

#[async_trait]
impl Receiver for Jaeger {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let served = self.serve(&cx).await;
        if served.is_err() {
            self.stop().await;
        }
        served
    }

    async fn stop(&mut self) {
        let servers = self.servers.drain(..).map(Server::stop);
        let agents = self.reading.drain(..).map(Agent::stop);
        let servers = futures_util::future::join_all(servers);
        futures_util::future::join(servers, futures_util::future::join_all(agents)).await;
    }
}
