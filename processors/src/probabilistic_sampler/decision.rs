//! The decision about one item, alike for spans and log records.

use super::threshold::{Randomness, Threshold};

/// How a percentage becomes decisions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    /// Nothing passes.
    Never,
    /// By a hash of 14 bits.
    HashSeed { seed: u32, threshold: Threshold },
    /// By 56 bits of randomness, up to one probability for all.
    Equalizing { threshold: Threshold },
    /// By 56 bits of randomness, whatever was sampled before.
    Proportional { ratio: f64, digits: u8 },
}

/// What decided, as the metric's label `policy` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    MissingRandomness,
    TraceIdHash,
    TraceIdW3c,
    SamplingRandomness,
    SamplingPriority,
    /// The attribute that was hashed.
    Attribute,
}

/// What an item says about its own sampling.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrived {
    /// Whether that could not be read.
    pub(super) is_faulty: bool,
    pub(super) randomness: Option<Randomness>,
    pub(super) threshold: Option<Threshold>,
}

/// What is drawn from the item's identity; `None` where it has none.
pub(super) type Drawn = Option<(Randomness, Policy)>;

/// What becomes of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) is_sampled: bool,
    pub(super) policy: Policy,
    /// What the item is to say about its sampling, if that may be changed.
    pub(super) tells: Option<Tells>,
}

/// What an item is to say about its sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tells {
    pub(super) randomness: Option<Randomness>,
    pub(super) threshold: Threshold,
}

impl Mode {
    /// Decides about an item; `forced` is the threshold that its priority demands.
    ///
    /// An item whose fault leaves the decision open passes unless `fail_closed` is set.
    pub(super) fn decide(
        self,
        mut arrived: Arrived,
        drawn: Drawn,
        forced: Option<Threshold>,
        fail_closed: bool,
    ) -> Decision {
        let (drawn, mut explicit, in_use) = self.randomness(&arrived, drawn);
        let may_tell = !arrived.is_faulty && !in_use;
        let randomness = drawn.map_or(Randomness::HIGHEST, |(randomness, _)| randomness);
        let mut is_faulty = !may_tell || drawn.is_none();
        if !is_faulty && !arrived.threshold.is_none_or(|th| th.samples(randomness)) {
            // By its own threshold the item should not be here: what it says cannot be trusted.
            arrived.threshold = None;
            is_faulty = true;
        }
        let threshold = match (forced, is_faulty, fail_closed) {
            (Some(threshold), ..) => threshold,
            (None, true, true) => Threshold::NEVER,
            (None, true, false) => Threshold::ALWAYS,
            (None, false, _) => self.threshold(arrived.threshold),
        };
        let policy = match (forced, drawn) {
            (Some(_), _) => Policy::SamplingPriority,
            (None, Some((_, policy))) => policy,
            (None, None) => Policy::MissingRandomness,
        };
        explicit = explicit.or(arrived.randomness);
        Decision {
            is_sampled: threshold.samples(randomness),
            policy,
            tells: may_tell.then(|| Tells {
                randomness: explicit,
                // Probabilities only ever fall.
                threshold: arrived.threshold.map_or(threshold, |th| th.max(threshold)),
            }),
        }
    }

    /// What decides, what of it the item does not say yet, and whether the item was sampled in a
    /// way that this mode knows nothing of.
    fn randomness(self, arrived: &Arrived, drawn: Drawn) -> (Drawn, Option<Randomness>, bool) {
        match self {
            Self::Never => {
                let any = (Randomness::HIGHEST, Policy::SamplingPriority);
                (Some(any), None, false)
            }
            Self::HashSeed { .. } => {
                let in_use = arrived.randomness.is_some() || arrived.threshold.is_some();
                (drawn, drawn.map(|(randomness, _)| randomness), in_use)
            }
            Self::Equalizing { .. } | Self::Proportional { .. } => {
                let said = (arrived.randomness).map(|said| (said, Policy::SamplingRandomness));
                (said.or(drawn), None, false)
            }
        }
    }

    /// The threshold for an item that arrives with one.
    fn threshold(self, arrived: Option<Threshold>) -> Threshold {
        match self {
            Self::Never => Threshold::NEVER,
            Self::HashSeed { threshold, .. } => threshold,
            Self::Equalizing { threshold } => arrived.map_or(threshold, |th| th.max(threshold)),
            Self::Proportional { ratio, digits } => {
                let before = arrived.map_or(1.0, Threshold::probability);
                Threshold::of_probability(before * ratio, digits).unwrap_or(Threshold::NEVER)
            }
        }
    }
}
