//! Telling what is known.

use std::sync::Arc;

use tidegate_component::async_trait;
use tidegate_pdata::compose::{Kind as PointKind, number_point};

use super::Settings;
use super::metrics::Metrics;
use super::objects::{Container, Made, Number, Object, Point, Told};
use crate::host_metrics::now;
use crate::kubernetes::Shelf;
use crate::scrape::{Emit, Part, Scraper};

/// What the original calls itself: backends tell metrics apart by it.
const SCOPE: &str =
    "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/k8sclusterreceiver";

/// The states that a container may be in.
const STATES: [&str; 3] = ["terminated", "running", "waiting"];

/// Why it may be in them.
const REASONS: [&str; 9] = [
    "ContainerCreating",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "ErrImagePull",
    "ImagePullBackOff",
    "OOMKilled",
    "Completed",
    "Error",
    "ContainerCannotRun",
];

/// The metrics of the state of containers.
const OF_STATE: [Metrics; 2] = [Metrics::StatusReason, Metrics::StatusState];

/// Tells of all objects.
pub(super) struct Cluster {
    shelves: Vec<Arc<Shelf<Object>>>,
    settings: Settings,
    /// When it began.
    start: u64,
    round: Option<Round>,
}

/// What of a round is left.
struct Round {
    time: u64,
    shelf: usize,
    objects: std::vec::IntoIter<Arc<Object>>,
}

impl Cluster {
    pub(super) fn new(shelves: Vec<Arc<Shelf<Object>>>, settings: Settings) -> Self {
        Self {
            shelves,
            settings,
            start: now(),
            round: None,
        }
    }

    /// The objects of a shelf, in the order of their names.
    fn objects(&self, shelf: usize) -> std::vec::IntoIter<Arc<Object>> {
        let all = self.shelves.get(shelf).map(|shelf| shelf.all());
        let all = all.unwrap_or_default().into_iter();
        let mut all: Vec<_> = all.map(|(key, kept)| (key, kept.object)).collect();
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let objects: Vec<_> = all.into_iter().map(|(_, object)| object).collect();
        objects.into_iter()
    }

    fn tell(&self, object: &Object, time: u64, part: &mut Part) {
        let wanted = self.wants(&object.points) || !object.made.is_empty();
        if wanted && self.begin(&object.attributes, part) {
            self.points(&object.points, None, time, part);
            for made in &object.made {
                tell_made(made, time, part);
            }
        }
        for container in &object.containers {
            let wanted = self.wants(&container.points)
                || container.state.is_some() && self.settings.chosen.any(&OF_STATE);
            if wanted && self.begin(&container.attributes, part) {
                self.points(&container.points, Some(container), time, part);
            }
        }
    }

    /// Whether any of these points is told.
    fn wants(&self, points: &[Point]) -> bool {
        let mut metrics = points.iter().map(|point| point.metric);
        metrics.any(|metric| self.settings.chosen.has(metric))
    }

    /// Begins a resource, unless nobody wants it.
    fn begin(&self, attributes: &Told, part: &mut Part) -> bool {
        let attributes: Vec<(&'static str, &str)> = attributes
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let chosen = &self.settings.attributes;
        if !chosen.takes(&attributes) {
            return false;
        }
        part.request
            .resource(|resource| chosen.write(&attributes, resource));
        part.request.scope(SCOPE, env!("CARGO_PKG_VERSION"));
        true
    }

    fn points(&self, points: &[Point], container: Option<&Container>, time: u64, part: &mut Part) {
        let Part {
            request, metrics, ..
        } = part;
        let mut out = Emit::new(request, metrics, &self.settings.chosen, self.start, time);
        // Points of one metric stand side by side.
        for of_one in points.chunk_by(|one, other| one.metric == other.metric) {
            let Some(first) = of_one.first() else {
                continue;
            };
            out.metric(first.metric, |out| {
                for point in of_one {
                    let attributes: Vec<&str> =
                        point.attributes.iter().map(|value| &**value).collect();
                    match point.value {
                        Number::Int(value) => out.int(value as u64, &attributes),
                        Number::Double(value) => out.double(value, &attributes),
                    }
                }
            });
        }
        if let Some((state, reason)) = container.and_then(|one| one.state.as_ref()) {
            out.metric(Metrics::StatusReason, |out| {
                for one in REASONS {
                    out.int(u64::from(**reason == *one), &[one]);
                }
            });
            out.metric(Metrics::StatusState, |out| {
                for one in STATES {
                    out.int(u64::from(*state == one), &[one]);
                }
            });
        }
    }
}

/// Writes a metric that has a name of its own.
fn tell_made(made: &Made, time: u64, part: &mut Part) {
    let request = &mut part.request;
    request.metric(&made.name, &made.description, &made.unit, PointKind::Gauge);
    request.point(|point| {
        point.fixed64(number_point::TIME, time);
        match made.value {
            Number::Double(value) => point.double(number_point::AS_DOUBLE, value),
            Number::Int(value) => point.int(number_point::AS_INT, value),
        }
    });
    part.metrics += 1;
}

#[async_trait]
impl Scraper for Cluster {
    fn name(&self) -> &'static str {
        "k8s_cluster"
    }

    async fn scrape(&mut self) -> Part {
        let mut part = Part::new();
        let mut round = self.round.take().unwrap_or_else(|| Round {
            time: now(),
            shelf: 0,
            objects: self.objects(0),
        });
        while part.request.size() < Part::FULL {
            match round.objects.next() {
                Some(object) => self.tell(&object, round.time, &mut part),
                None => {
                    round.shelf += 1;
                    if round.shelf >= self.shelves.len() {
                        return part;
                    }
                    round.objects = self.objects(round.shelf);
                }
            }
        }
        part.more = true;
        self.round = Some(round);
        part
    }
}
