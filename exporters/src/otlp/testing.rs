//! Peers for tests, and what an exporter needs to run.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tidegate_component::testing::HereWorkers;
use tidegate_component::{AnyExporter, BuildContext, ComponentConfig, Exporter, ExporterContext};
use tidegate_pdata::{Batch, Budget, Context, Payload, Receipt, Segment, Signal};
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// What an exporter of this name is started with.
pub(crate) fn context(name: &str) -> ExporterContext {
    ExporterContext {
        id: name.parse().unwrap(),
        workers: HereWorkers::workers(),
        budget: Budget::new(usize::MAX),
        timeout: Some(Duration::from_secs(5)),
    }
}

/// Reads a configuration.
pub(crate) fn config<C: ComponentConfig>(yaml: &str) -> C {
    let node = tidegate_document::yaml::parse_str(yaml).unwrap();
    tidegate_document::read(&node).unwrap()
}

/// Builds and starts an exporter that delivers to a peer.
pub(crate) async fn remote<C: ComponentConfig<Builds = AnyExporter>>(
    yaml: &str,
) -> Arc<dyn Exporter> {
    let cx = BuildContext::detached("exporter", C::TYPE.parse().unwrap());
    let AnyExporter::Remote(exporter) = config::<C>(yaml).build(&cx).unwrap() else {
        panic!("{} delivers to no peer", C::TYPE)
    };
    exporter.start(context(C::TYPE)).await.unwrap();
    exporter
}

/// A batch of requests in protobuf, with the records that each has.
pub(crate) fn batch(signal: Signal, requests: &[(Vec<u8>, usize)]) -> Batch {
    let mut payload = Payload::empty(signal);
    for (request, items) in requests {
        payload.push(Segment::new(Bytes::from(request.clone()), *items, None));
    }
    Batch::new(payload, Context::default(), Receipt::default())
}

type Answer<T> = Result<T, Status>;

/// A collector of traces and logs whose answers are scripted.
#[derive(Clone, Default)]
pub(crate) struct Collector {
    pub(crate) traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    pub(crate) logs: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
    pub(crate) answers: Arc<Mutex<VecDeque<Answer<ExportTraceServiceResponse>>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Answer<Response<ExportTraceServiceResponse>> {
        self.traces.lock().unwrap().push(request.into_inner());
        let answer = self.answers.lock().unwrap().pop_front();
        answer
            .unwrap_or_else(|| Ok(ExportTraceServiceResponse::default()))
            .map(Response::new)
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Answer<Response<ExportLogsServiceResponse>> {
        self.logs.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

impl Collector {
    /// Serves traces and logs, but no metrics, on a free port for as long as the test runs.
    pub(crate) async fn serve(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let traces = TraceServiceServer::new(self.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(100_000);
        let logs =
            LogsServiceServer::new(self.clone()).accept_compressed(CompressionEncoding::Gzip);
        let server = Server::builder().add_service(traces).add_service(logs);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        port
    }
}
