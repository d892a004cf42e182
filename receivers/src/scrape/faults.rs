//! What a scrape could not read.

/// One way in which a scrape failed in part.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What failed, in the same words whenever it does.
    pub(crate) what: &'static str,
    /// How often it did.
    pub(crate) times: usize,
    /// Metrics that are missing for it.
    pub(crate) metrics: usize,
    /// The first of them, with its cause.
    pub(crate) example: String,
}

/// The faults of a scrape by what failed: as many as there are ways to fail, whatever is read.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one for which so many metrics are missing; `example` is asked for the first of a kind.
    pub(crate) fn add(
        &mut self,
        what: &'static str,
        metrics: usize,
        example: impl FnOnce() -> String,
    ) {
        match self.0.iter_mut().find(|fault| fault.what == what) {
            Some(fault) => {
                fault.times += 1;
                fault.metrics += metrics;
            }
            None => self.0.push(Fault {
                what,
                times: 1,
                metrics,
                example: example(),
            }),
        }
    }

    /// Metrics that are missing.
    pub(crate) fn metrics(&self) -> usize {
        self.0.iter().map(|fault| fault.metrics).sum()
    }

    /// Each kind once.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}
