//! Jaeger over gRPC: `PostSpans`, as its agents and clients call it.

use std::net::SocketAddr;

use ::http::HeaderMap;
use ::http::uri::Authority;
use bytes::Bytes;
use tidegate_pdata::{Context, Refusal, Reservation, Signal};
use tidegate_transport::grpc::Status;
use tidegate_transport::server::{Call, Peer, Unary};
use tokio::time::Instant;

use super::{protobuf, received};
use crate::doors::{Doors, context};

/// The one call of the service.
#[derive(Clone, Copy, Debug)]
pub(super) struct PostSpans;

/// The service.
pub(super) struct Calls {
    doors: Doors,
    include_metadata: bool,
}

impl Calls {
    pub(super) const fn new(doors: Doors, include_metadata: bool) -> Self {
        Self {
            doors,
            include_metadata,
        }
    }
}

impl Unary for Calls {
    type Method = PostSpans;

    fn method(&self, path: &str) -> Option<PostSpans> {
        (path == "/jaeger.api_v2.CollectorService/PostSpans").then_some(PostSpans)
    }

    fn greet(&self, address: Option<SocketAddr>) -> Context {
        self.doors.greet(address)
    }

    fn sender(&self, peer: &Peer, headers: &HeaderMap, authority: Option<&Authority>) -> Context {
        let kept = self.include_metadata;
        context(
            peer,
            kept.then(|| (headers, authority.map(Authority::as_str))),
        )
    }

    async fn admit(
        &self,
        _: PostSpans,
        bytes: usize,
        sender: &Context,
        until: Option<Instant>,
    ) -> Result<Reservation, Refusal> {
        self.doors.admit(Signal::Traces, bytes, sender, until).await
    }

    async fn call(&self, call: Call<PostSpans>) -> Result<Bytes, Status> {
        let payload = received(&call.message, call.hold, protobuf::translate);
        let payload = payload.inspect_err(|status| self.failed(Some(PostSpans), status))?;
        drop(call.message);
        self.doors.bring(payload, call.sender, call.until).await?;
        Ok(Bytes::new())
    }

    fn failed(&self, method: Option<PostSpans>, status: &Status) {
        self.doors.failed(method.map(|_| Signal::Traces), status);
    }
}
