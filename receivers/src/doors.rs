//! What every receiver that clients send to does with a request: in through the door, and out with an answer.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use bytes::Bytes;
use tidegate_component::metrics::Metrics;
use tidegate_component::{Intake, ReceiverContext};
use tidegate_pdata::{Budget, Context, Outcome, Payload, Refusal, Reservation, Signal};
use tidegate_transport::grpc::{Code, Status};
use tidegate_transport::server::Peer;
use tokio::time::Instant;

/// When to send a batch again of which nobody knows what became.
const AGAIN: Duration = Duration::from_secs(1);

/// The doors of the signals that are received.
pub(crate) struct Doors {
    budget: Arc<Budget>,
    intakes: [Option<Intake>; 3],
    transport: &'static str,
    metrics: Metrics,
}

impl Doors {
    pub(crate) fn new(cx: &ReceiverContext, transport: &'static str, metrics: &Metrics) -> Self {
        let over = |intake: &Intake| intake.over(transport);
        Self {
            budget: Arc::clone(&cx.budget),
            intakes: Signal::ALL.map(|signal| cx.intake(signal).map(over)),
            transport,
            metrics: metrics.clone(),
        }
    }

    /// Whether a pipeline of this signal is fed.
    pub(crate) const fn takes(&self, signal: Signal) -> bool {
        self.intakes[signal.index()].is_some()
    }

    /// The context of a client's requests: its address, and its account with the budget.
    pub(crate) fn greet(&self, address: Option<SocketAddr>) -> Context {
        let client = self.budget.client(address.map(|address| address.ip()));
        let context = Context::builder().client(client);
        match address {
            Some(address) => context.peer(address).build(),
            None => context.build(),
        }
    }

    /// Asks for room for a body.
    pub(crate) async fn admit(
        &self,
        signal: Signal,
        bytes: usize,
        sender: &Context,
        until: Option<Instant>,
    ) -> Result<Reservation, Refusal> {
        match &self.intakes[signal.index()] {
            Some(intake) => intake.admit(bytes, sender, until).await,
            None => Err(Refusal::new("no pipeline takes this signal", AGAIN)),
        }
    }

    /// Brings a request in and waits for what becomes of it.
    pub(crate) async fn deliver(
        &self,
        signal: Signal,
        message: Bytes,
        hold: Reservation,
        context: Context,
        until: Option<Instant>,
    ) -> Result<(), Status> {
        if !self.takes(signal) {
            return Err(no_pipeline());
        }
        let admitted = Payload::admit(signal, message, Some(hold)).map_err(|fault| {
            let status = Status::new(
                Code::InvalidArgument,
                format!("the request is not OTLP: {fault}"),
            );
            self.failed(Some(signal), &status);
            status
        })?;
        if admitted.rewritten {
            self.rewritten(signal);
        }
        self.bring(admitted.payload, context, until).await
    }

    /// Brings a payload in and waits for what becomes of it.
    pub(crate) async fn bring(
        &self,
        payload: Payload,
        context: Context,
        until: Option<Instant>,
    ) -> Result<(), Status> {
        let Some(intake) = &self.intakes[payload.signal().index()] else {
            return Err(no_pipeline());
        };
        if payload.is_empty() {
            return Ok(());
        }
        answer(intake.bring(payload, context, until).await?)
    }

    /// Counts a request that was turned away for its own fault.
    ///
    /// Refusals are the door's to count.
    pub(crate) fn failed(&self, signal: Option<Signal>, status: &Status) {
        let reason = match status.code {
            Code::ResourceExhausted if status.retry_after.is_some() => return,
            Code::ResourceExhausted => "too_large",
            Code::DeadlineExceeded => "too_slow",
            Code::Cancelled => "cut_off",
            Code::Aborted => "queue_full",
            Code::Unimplemented => "unsupported",
            Code::InvalidArgument => "malformed",
            Code::Unauthenticated => "unauthenticated",
            _ => "internal",
        };
        let labels = [
            ("transport", self.transport),
            ("signal", signal.map_or("", Signal::name)),
            ("reason", reason),
        ];
        self.metrics
            .counter(
                "tidegate_receiver_failed_requests",
                "Requests turned away for what they are, before their items were counted.",
                &labels,
            )
            .add(1);
    }

    fn rewritten(&self, signal: Signal) {
        let labels = [("transport", self.transport), ("signal", signal.name())];
        self.metrics
            .counter(
                "tidegate_receiver_rewritten_requests",
                "Requests that came in an odd form and were written anew.",
                &labels,
            )
            .add(1);
    }
}

fn no_pipeline() -> Status {
    Status::new(Code::Unimplemented, "no pipeline takes this signal")
}

/// What a client is told of an outcome.
fn answer(outcome: Outcome) -> Result<(), Status> {
    let status = match outcome {
        Outcome::Delivered | Outcome::Durable | Outcome::TakenOver => return Ok(()),
        Outcome::Refused(refusal) => {
            Status::new(Code::Unavailable, refusal.reason).retry_after(refusal.after)
        }
        Outcome::Rejected(message) => {
            Status::new(Code::InvalidArgument, Cow::Owned(message.to_string()))
        }
        // Nobody has it: sent again it may yet be kept.
        Outcome::Lost => {
            Status::new(Code::Unavailable, "the batch was lost on its way").retry_after(AGAIN)
        }
    };
    Err(status)
}

/// What is known of a request's sender.
pub(crate) fn context(peer: &Peer, headers: Option<(&HeaderMap, Option<&str>)>) -> Context {
    let Some((headers, host)) = headers else {
        return peer.context.clone();
    };
    let mut builder = peer.context.extend();
    for (name, value) in headers {
        let is_transports = name == "te" || name.as_str().starts_with("grpc-");
        if !is_transports && let Ok(value) = value.to_str() {
            builder = builder.metadata(name.as_str(), value);
        }
    }
    if let Some(host) = host {
        builder = builder.metadata(":authority", host);
        if !headers.contains_key("host") {
            builder = builder.metadata("host", host);
        }
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_says_whether_to_send_again() {
        for kept in [Outcome::Delivered, Outcome::Durable, Outcome::TakenOver] {
            assert_eq!(answer(kept), Ok(()));
        }
        let refusal = Refusal::new("no answer in time", Duration::from_secs(3));
        let status = answer(Outcome::Refused(refusal)).unwrap_err();
        assert_eq!(status.code, Code::Unavailable);
        assert_eq!(status.retry_after, Some(Duration::from_secs(3)));
        let status = answer(Outcome::Rejected("no such tenant".into())).unwrap_err();
        assert_eq!(
            (status.code, status.retry_after),
            (Code::InvalidArgument, None)
        );
        let status = answer(Outcome::Lost).unwrap_err();
        assert!(status.code.is_retryable() && status.retry_after.is_some());
    }
}
