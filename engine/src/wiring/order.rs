//! The order in which data passes pipelines and connectors.

use tidegate_component::ComponentId;
use tidegate_pdata::Signal;

use super::Parts;

/// A part of the graph that data passes as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// The processors of a pipeline, by its position.
    Pipeline(usize),
    /// A connector, for one of the signals that it takes.
    Connector(ComponentId, Signal),
}

/// Every pipeline and connector, each after all that feed it.
pub(super) fn order(parts: &Parts) -> Vec<Unit> {
    let mut way = Way::default();
    for pipeline in 0..parts.pipelines.len() {
        way.visit(parts, &Unit::Pipeline(pipeline));
    }
    way.done.reverse();
    way.done
}

#[derive(Default)]
struct Way {
    seen: Vec<Unit>,
    done: Vec<Unit>,
}

impl Way {
    /// Puts a unit behind all that it feeds. In a circle, which only parts on trial have, some unit comes first.
    fn visit(&mut self, parts: &Parts, unit: &Unit) {
        if self.seen.contains(unit) {
            return;
        }
        self.seen.push(unit.clone());
        match unit {
            Unit::Pipeline(at) => {
                let pipeline = &parts.pipelines[*at];
                let connectors = pipeline.exporters.iter();
                for id in connectors.filter(|id| parts.connectors.contains_key(id)) {
                    self.visit(parts, &Unit::Connector(id.clone(), pipeline.signal));
                }
            }
            Unit::Connector(id, signal) => {
                for route in parts.routes(id, *signal) {
                    self.visit(parts, &Unit::Pipeline(route));
                }
            }
        }
        self.done.push(unit.clone());
    }
}
