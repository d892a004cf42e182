//! A lane: one request in flight at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::answer::Answer;
use super::channel::Connection;
use super::report::Outcome;
use super::{Protocol, Settings};
use crate::compression::Compression;
use crate::corpus::{Ring, Stamper};
use crate::count::Tally;

/// What a receiver that names no delay is given before the next attempt.
const PATIENCE: Duration = Duration::from_millis(100);

/// What is to be sent, shared by the lanes.
pub(super) struct Work {
    protocol: Protocol,
    seed: u64,
    retry: bool,
    /// Time between the starts of two requests.
    spacing: Duration,
    requests: u64,
    taken: AtomicU64,
    material: Material,
}

/// Requests as they lie ready.
enum Material {
    /// To be stamped as they go out.
    Plain(Ring),
    /// Stamped and compressed already.
    Packed(Vec<(Bytes, Tally)>),
}

impl Work {
    pub(super) fn prepare(settings: &Settings) -> anyhow::Result<Self> {
        let ring = Ring::encode(&settings.shape, settings.way.ring);
        let material = match settings.way.compression {
            Compression::None => Material::Plain(ring),
            compression => {
                let mut stamper = Stamper::new(settings.seed);
                let packed = (0..ring.len()).map(|n| {
                    let mut plain = Vec::new();
                    let tally = stamper.stamp(ring.at(n), &mut plain);
                    let body = compression.compress(&plain)?;
                    Ok((framed(settings.way.protocol, compression, &body), tally))
                });
                Material::Packed(packed.collect::<std::io::Result<_>>()?)
            }
        };
        let per_request = u64::from(settings.shape.items_per_request);
        let requests = match settings.seconds {
            Some(_) => u64::MAX,
            None => settings.items.div_ceil(per_request),
        };
        let spacing = match settings.way.rate {
            Some(rate) if rate > 0.0 => Duration::from_secs_f64(per_request as f64 / rate),
            _ => Duration::ZERO,
        };
        Ok(Self {
            protocol: settings.way.protocol,
            seed: settings.seed,
            retry: !settings.way.no_retry,
            spacing,
            requests,
            taken: AtomicU64::new(0),
            material,
        })
    }

    /// Hands out the number of the next request.
    fn take(&self) -> Option<u64> {
        let n = self.taken.fetch_add(1, Ordering::Relaxed);
        (n < self.requests).then_some(n)
    }

    /// When a request is to start, if a rate was asked for.
    pub(super) fn due(&self, start: Instant, n: u64) -> Option<Instant> {
        let paced = !self.spacing.is_zero();
        paced.then(|| start + self.spacing.mul_f64(n as f64))
    }

    fn request(&self, n: u64, stamper: &mut Stamper) -> (Bytes, Tally) {
        match &self.material {
            Material::Packed(packed) => packed[(n % packed.len() as u64) as usize].clone(),
            Material::Plain(ring) => {
                let template = ring.at(n);
                let mut body = Vec::with_capacity(5 + template.len());
                if self.protocol == Protocol::Grpc {
                    body.push(0);
                    body.extend_from_slice(&(template.len() as u32).to_be_bytes());
                }
                let tally = stamper.stamp(template, &mut body);
                (body.into(), tally)
            }
        }
    }
}

/// Puts gRPC's five bytes before a compressed message.
fn framed(protocol: Protocol, compression: Compression, body: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(5 + body.len());
    if protocol == Protocol::Grpc {
        framed.push(u8::from(compression != Compression::None));
        framed.extend_from_slice(&(body.len() as u32).to_be_bytes());
    }
    framed.extend_from_slice(body);
    framed.into()
}

pub(super) struct Lane {
    work: Arc<Work>,
    connection: Arc<Connection>,
    stamper: Stamper,
    outcome: Outcome,
}

impl Lane {
    pub(super) fn new(work: Arc<Work>, connection: Arc<Connection>, number: u64) -> Self {
        let stamper = Stamper::new(work.seed ^ (number + 1) << 40);
        Self {
            work,
            connection,
            stamper,
            outcome: Outcome::default(),
        }
    }

    /// Sends until the work is done or the deadline has passed.
    pub(super) async fn run(mut self, start: Instant, deadline: Option<Instant>) -> Outcome {
        while deadline.is_none_or(|deadline| Instant::now() < deadline) {
            let Some(n) = self.work.take() else {
                break;
            };
            if let Some(due) = self.work.due(start, n) {
                tokio::time::sleep_until(due).await;
            }
            let (body, tally) = self.work.request(n, &mut self.stamper);
            self.deliver(body, tally, deadline).await;
        }
        self.outcome
    }

    /// Sends one request until it is accepted or given up.
    async fn deliver(&mut self, body: Bytes, tally: Tally, deadline: Option<Instant>) {
        loop {
            let sent = Instant::now();
            let pause = match self.connection.send(body.clone()).await {
                Ok(Answer::Accepted { rejected }) => {
                    self.outcome.accept(tally, rejected, sent.elapsed());
                    return;
                }
                Ok(Answer::Failed { reason }) => {
                    self.outcome.give_up(tally, reason);
                    return;
                }
                Ok(Answer::Refused { after }) => {
                    self.outcome.refused_requests += 1;
                    after.unwrap_or(PATIENCE)
                }
                Err(error) => {
                    self.outcome.unanswered(tally, &error);
                    PATIENCE
                }
            };
            let next = Instant::now() + pause;
            if !self.work.retry || deadline.is_some_and(|deadline| next > deadline) {
                self.outcome
                    .give_up(tally, "refused, not sent again".to_owned());
                return;
            }
            tokio::time::sleep_until(next).await;
        }
    }
}
