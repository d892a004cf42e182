//! The detection: every detector at a time, again where one fails, and what all of them found.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tidegate_component::metrics::Gauge;
use tidegate_component::{BuildContext, BuildError, StartError};
use tidegate_transport::client::{HttpClient, HttpCompression, HttpSettings};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::detectors::Detector;
use super::found::{Chosen, Found, Value};
use super::world::World;
use crate::literal::Literal;

/// What is to be detected, and how patiently.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) detectors: Vec<Named>,
    /// The attributes that count; all where there are none.
    pub(super) only: Vec<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) refresh: Option<Duration>,
    pub(super) retry: Option<Retry>,
}

/// A detector with its name and what of it is wanted.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) detector: Detector,
    pub(super) chosen: Chosen,
    /// Whether it is a fault that there is nothing to be found.
    pub(super) must: bool,
}

/// How a detector that fails tries again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    pub(super) first: Duration,
    pub(super) spread: f64,
    pub(super) multiplier: f64,
    pub(super) longest: Duration,
    /// How long it tries; where it is given, the timeout is that of an attempt.
    pub(super) total: Option<Duration>,
}

/// The attributes that were found.
pub(super) type Snapshot = Vec<(Box<str>, Literal)>;

/// One detection for all instances of the processor.
pub(super) struct Detection {
    plan: Plan,
    found: ArcSwap<Snapshot>,
    size: Gauge,
}

impl Detection {
    /// The one of this component, which is made and put on its way by the first who asks.
    pub(super) fn of(plan: Plan, cx: &BuildContext) -> Result<Arc<Self>, BuildError> {
        let settings = HttpClient::default().build(HttpCompression::None)?;
        let begin = || {
            let detection = Arc::new(Self {
                plan,
                found: ArcSwap::default(),
                size: cx.metrics.gauge(
                    "otelcol_resourcedetection_attributes_detected",
                    "Attributes of resources that were detected.",
                    &[],
                ),
            });
            let own = Arc::clone(&detection);
            cx.preparations
                .add(cx.kind, cx.id.clone(), move |workers| async move {
                    let world = world(&settings)?;
                    own.renew(&world).await?;
                    if let Some(every) = own.plan.refresh {
                        let detection = Arc::downgrade(&own);
                        workers.spawn(0, refresh(detection, world, every));
                    }
                    Ok(())
                });
            detection
        };
        Ok(Arc::clone(&cx.shared.value(begin)))
    }

    /// What was found last.
    pub(super) fn found(&self) -> Arc<Snapshot> {
        self.found.load_full()
    }

    /// Detects, and takes what is found.
    pub(super) async fn renew(&self, world: &World) -> Result<(), StartError> {
        let detectors = self.plan.detectors.iter();
        let all = detectors.map(|named| self.plan.detect(named, world));
        let mut found: Vec<(String, Value)> = Vec::new();
        let mut faults = Vec::new();
        for (named, result) in self.plan.detectors.iter().zip(join_all(all).await) {
            match result {
                // Of an attribute that several know the first counts.
                Ok(attributes) => attributes.into_iter().for_each(|(name, value)| {
                    if self.plan.wants(&name) && !found.iter().any(|(known, _)| *known == name) {
                        found.push((name, value));
                    }
                }),
                Err(fault) => faults.push(format!("{}: {fault}", named.name)),
            }
        }
        if !faults.is_empty() {
            return Err(StartError {
                message: format!("detectors fail: {}", faults.join("; ")),
                source: None,
            });
        }
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        tracing::info!(
            attributes = names.join(" "),
            "resource attributes were detected"
        );
        let snapshot = found.iter().map(|(name, value)| {
            let literal = value.literal().map_err(|error| {
                StartError::new(format!("the value of {name} cannot be kept"), error)
            })?;
            Ok((name.as_str().into(), literal))
        });
        let snapshot: Snapshot = snapshot.collect::<Result<_, StartError>>()?;
        self.size
            .set(i64::try_from(snapshot.len()).unwrap_or(i64::MAX));
        self.found.store(Arc::new(snapshot));
        Ok(())
    }
}

impl std::fmt::Debug for Detection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detection")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

fn world(settings: &HttpSettings) -> Result<World, StartError> {
    settings.start(None).map(World::new)
}

/// Detects again and again, for as long as somebody uses what is found.
async fn refresh(detection: Weak<Detection>, world: World, every: Duration) {
    loop {
        sleep(every).await;
        let Some(detection) = detection.upgrade() else {
            return;
        };
        if let Err(error) = detection.renew(&world).await {
            tracing::warn!(%error, "resource detection failed, going on with what was found before");
        }
    }
}

impl Plan {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// Has a detector look until it succeeds or the time is over.
    async fn detect(&self, named: &Named, world: &World) -> Result<Vec<(String, Value)>, String> {
        let total = self.retry.and_then(|retry| retry.total);
        let (attempt, session) = match total {
            Some(total) => (self.timeout, Some(total)),
            None => (None, self.timeout),
        };
        let end = session.map(|time| Instant::now() + time);
        let mut wait = self.retry.map(|retry| retry.first);
        let mut first = None;
        loop {
            let fault = match within(attempt, end, look(named, world)).await {
                Some(Ok(found)) => return Ok(found),
                Some(Err(fault)) => fault,
                None => "it takes too long".to_owned(),
            };
            tracing::warn!(
                detector = named.name,
                error = fault,
                "resource detection failed"
            );
            // The first fault is the cause; the last may be that time is up.
            let cause = first.get_or_insert(fault);
            let (Some(retry), Some(pause)) = (self.retry, wait) else {
                return Err(cause.clone());
            };
            let pause = spread(pause, retry.spread);
            if end.is_some_and(|end| Instant::now() + pause >= end) {
                return Err(cause.clone());
            }
            sleep(pause).await;
            wait = wait.map(|wait| wait.mul_f64(retry.multiplier).min(retry.longest));
        }
    }
}

async fn look(named: &Named, world: &World) -> Result<Vec<(String, Value)>, String> {
    let mut found = Found::new(&named.chosen);
    named.detector.detect(world, named.must, &mut found).await?;
    Ok(found.attributes)
}

/// Bounds a step by a time and by an instant; none where either passes.
async fn within<T>(
    time: Option<Duration>,
    end: Option<Instant>,
    step: impl Future<Output = T>,
) -> Option<T> {
    let step = async {
        match time {
            Some(time) => timeout(time, step).await.ok(),
            None => Some(step.await),
        }
    };
    match end {
        Some(end) => timeout_at(end, step).await.ok().flatten(),
        None => step.await,
    }
}

/// A wait that is longer or shorter by up to this part of it.
fn spread(wait: Duration, part: f64) -> Duration {
    let random = RandomState::new().hash_one(0) % 2001;
    let random = f64::from(u16::try_from(random).unwrap_or(1000)) / 1000.0 - 1.0;
    wait.mul_f64(1.0 + part * random)
}
