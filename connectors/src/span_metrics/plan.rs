//! What spans are told apart by, checked and laid out for reading.

use smallvec::SmallVec;
use tidegate_component::BuildError;
use tidegate_pdata::series::{SeriesHash, SeriesId};
use tidegate_pdata::view::Attributes;
use tidegate_pdata::wire::put_bytes;

use super::config::{Config, Dimension, Temporality};
use crate::aggregate::Shape;

/// The value of an attribute that is looked for, as an `AnyValue` message.
pub(super) type Found<'a> = Option<&'a [u8]>;
/// Values of all that are looked for, each at its name's place.
pub(super) type Values<'a> = SmallVec<[Found<'a>; 8]>;

/// Which metrics a family of series is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The count of spans, and how long they took.
    Both,
    Calls,
    Duration,
    Events,
}

impl Role {
    pub(super) const fn is_of_calls(self) -> bool {
        matches!(self, Self::Both | Self::Calls)
    }

    pub(super) const fn is_of_durations(self) -> bool {
        matches!(self, Self::Both | Self::Duration)
    }
}

/// An attribute of a family's series.
#[derive(Debug)]
pub(super) struct Looked {
    /// The place of its name.
    pub(super) at: usize,
    default: Option<Box<[u8]>>,
}

impl Looked {
    /// Its value: the span's, else the resource's, else the one that is written down.
    pub(super) fn value<'a>(
        &'a self,
        span: &[Found<'a>],
        resource: &[Found<'a>],
    ) -> Option<&'a [u8]> {
        span[self.at]
            .or(resource[self.at])
            .or(self.default.as_deref())
    }
}

/// Series that are told apart by the same attributes.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) role: Role,
    pub(super) looked: Vec<Looked>,
    pub(super) shape: Shape,
}

/// What spans are told apart by, and what is made of them.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) service_name: bool,
    pub(super) span_name: bool,
    pub(super) span_kind: bool,
    pub(super) status_code: bool,
    pub(super) sampling_method: bool,
    /// Scopes that series tell.
    scopes: Vec<Box<[u8]>>,
    /// Attributes that tell resources apart; all of them where there is none.
    resource_keys: Vec<Box<[u8]>>,
    /// All names that are looked for.
    pub(super) names: Vec<Box<[u8]>>,
    pub(super) families: Vec<Family>,
    pub(super) unit_nanos: f64,
    pub(super) unit: &'static str,
    pub(super) calls: String,
    pub(super) duration: String,
    pub(super) events: String,
    pub(super) is_delta: bool,
    /// How many examples a point has at most; none where there are no examples.
    pub(super) exemplars: usize,
    /// How many series a family of a resource has at most.
    pub(super) most_of_family: usize,
    /// How many there are at most together.
    pub(super) most: usize,
    pub(super) most_resources: usize,
    pub(super) most_starts: usize,
    pub(super) expiration: Option<std::time::Duration>,
}

fn boxed(texts: &[String]) -> Vec<Box<[u8]>> {
    texts.iter().map(|text| text.as_bytes().into()).collect()
}

impl Plan {
    pub(super) fn new(config: &Config) -> Result<Self, BuildError> {
        config.check()?;
        let expiration: std::time::Duration = config.metrics_expiration.into();
        let named = |name: &str| match config.namespace.as_str() {
            "" => name.to_owned(),
            namespace => format!("{namespace}.{name}"),
        };
        let mut plan = Self {
            service_name: config.has("service.name"),
            span_name: config.has("span.name"),
            span_kind: config.has("span.kind"),
            status_code: config.has("status.code"),
            sampling_method: config.enable_metrics_sampling_method,
            scopes: boxed(&config.include_instrumentation_scope),
            resource_keys: boxed(&config.resource_metrics_key_attributes),
            names: Vec::new(),
            families: Vec::new(),
            unit_nanos: config.histogram.unit.nanos(),
            unit: config.histogram.unit.name(),
            calls: named("calls"),
            duration: named("duration"),
            events: named("events"),
            is_delta: config.aggregation_temporality == Temporality::Delta,
            exemplars: match config.exemplars.enabled {
                true => config.exemplars.max_per_data_point,
                false => 0,
            },
            most_of_family: match config.aggregation_cardinality_limit {
                0 => usize::MAX,
                most => most,
            },
            most: config.max_series.get(),
            most_resources: config.resource_metrics_cache_size.get(),
            most_starts: config.metric_timestamp_cache_size.get(),
            expiration: (!expiration.is_zero()).then_some(expiration),
        };
        plan.add_families(config)?;
        Ok(plan)
    }

    fn add_families(&mut self, config: &Config) -> Result<(), BuildError> {
        let histogram = &config.histogram;
        let shape = match histogram.exponential {
            Some(exponential) if exponential.max_size == 0 => Shape::Exponential(160),
            Some(exponential) => Shape::Exponential(exponential.max_size.into()),
            None => Shape::Explicit(config.bounds()?.into()),
        };
        let apart = !config.calls_dimensions.is_empty() || !histogram.dimensions.is_empty();
        if histogram.disable {
            self.add(
                Role::Calls,
                [&config.dimensions, &config.calls_dimensions],
                Shape::None,
            );
        } else if apart {
            self.add(
                Role::Calls,
                [&config.dimensions, &config.calls_dimensions],
                Shape::None,
            );
            self.add(
                Role::Duration,
                [&config.dimensions, &histogram.dimensions],
                shape,
            );
        } else {
            self.add(Role::Both, [&config.dimensions, &[]], shape);
        }
        if config.events.enabled {
            self.add(
                Role::Events,
                [&config.dimensions, &config.events.dimensions],
                Shape::None,
            );
        }
        Ok(())
    }

    fn add(&mut self, role: Role, dimensions: [&[Dimension]; 2], shape: Shape) {
        let mut looked: Vec<Looked> = Vec::new();
        for Dimension { name, default } in dimensions.into_iter().flatten() {
            let name = name.as_bytes();
            let known = self.names.iter().position(|known| **known == *name);
            let at = known.unwrap_or_else(|| {
                self.names.push(name.into());
                self.names.len() - 1
            });
            let default = default.as_ref().map(|text| {
                let mut value = Vec::new();
                put_bytes(&mut value, 1, text.as_bytes());
                value.into_boxed_slice()
            });
            // One that is named for all metrics and again for this one keeps its place.
            match looked.iter_mut().find(|looked| looked.at == at) {
                Some(looked) => looked.default = default.or(looked.default.take()),
                None => looked.push(Looked { at, default }),
            }
        }
        self.families.push(Family {
            role,
            looked,
            shape,
        });
    }

    /// What tells a resource from others.
    pub(super) fn resource(&self, hash: &SeriesHash, attributes: Attributes<'_>) -> SeriesId {
        if self.resource_keys.is_empty() {
            return hash.attributes(attributes);
        }
        let is_key = |key: &[u8]| self.resource_keys.iter().any(|known| **known == *key);
        let entries = attributes
            .entries()
            .filter(|entry| is_key(entry.key().as_bytes()));
        let entries = entries.map(|entry| hash.bytes(entry.bytes()));
        entries.fold(SeriesId::default(), SeriesId::plus)
    }

    /// No values yet.
    pub(super) fn no_values<'a>(&self) -> Values<'a> {
        SmallVec::from_elem(None, self.names.len())
    }

    /// Finds what is not found yet.
    pub(super) fn find<'a>(&self, attributes: Attributes<'a>, values: &mut Values<'a>) {
        let mut missing = values.iter().filter(|value| value.is_none()).count();
        if missing == 0 {
            return;
        }
        for entry in attributes.entries() {
            let key = entry.key();
            let Some(at) = self.names.iter().position(|name| **name == *key.as_bytes()) else {
                continue;
            };
            if values[at].is_none() {
                values[at] = Some(entry.value_bytes());
                missing -= 1;
                if missing == 0 {
                    return;
                }
            }
        }
    }

    /// Whether series tell a scope.
    pub(super) fn tells(&self, scope: &[u8]) -> bool {
        !scope.is_empty() && self.scopes.iter().any(|known| **known == *scope)
    }
}

/// The name of a `SpanKind`.
pub(super) const fn kind(kind: i32) -> &'static str {
    match kind {
        0 => "SPAN_KIND_UNSPECIFIED",
        1 => "SPAN_KIND_INTERNAL",
        2 => "SPAN_KIND_SERVER",
        3 => "SPAN_KIND_CLIENT",
        4 => "SPAN_KIND_PRODUCER",
        5 => "SPAN_KIND_CONSUMER",
        _ => "",
    }
}

/// The name of a `StatusCode`.
pub(super) const fn status(code: i32) -> &'static str {
    match code {
        0 => "STATUS_CODE_UNSET",
        1 => "STATUS_CODE_OK",
        2 => "STATUS_CODE_ERROR",
        _ => "",
    }
}
