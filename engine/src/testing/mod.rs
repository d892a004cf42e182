//! Fakes for the engine's own tests: a rig that wires them into a graph and runs it.

mod parts;
mod queue;
mod rig;

use bytes::Bytes;
use tidegate_component::status::LedgerRow;
use tidegate_component::{BuildContext, BuildError, ComponentId, Factory};
use tidegate_pdata::{Payload, Segment, Signal};

pub(crate) use parts::{Hold, Idle, ProcessorFake, Quiet, Still};
pub(crate) use queue::{Bin, FakeSink, Script};
pub(crate) use rig::{Rig, Run};

pub(crate) fn id(text: &str) -> ComponentId {
    text.parse().unwrap()
}

/// A payload that claims to hold this many items.
pub(crate) fn payload(signal: Signal, items: usize) -> Payload {
    let bytes = Bytes::from(vec![0; items]);
    Payload::from_segment(signal, Segment::new(bytes, items, None))
}

/// A factory made of a closure.
pub(crate) struct Make<F>(pub(crate) F);

impl<T, F> Factory<T> for Make<F>
where
    F: Fn(&BuildContext) -> Result<T, BuildError> + Send + Sync,
{
    fn build(&self, cx: &BuildContext) -> Result<T, BuildError> {
        (self.0)(cx)
    }

    fn listens(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// The row of a component in a ledger.
pub(crate) fn row<'a>(rows: &'a [LedgerRow], component: &str, signal: Signal) -> &'a LedgerRow {
    let mut found = rows
        .iter()
        .filter(|row| row.component == component && row.signal == signal.name());
    let row = found.next().unwrap();
    assert_eq!(found.next(), None, "{component} has several rows");
    row
}
