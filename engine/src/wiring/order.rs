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
    let mut units = Vec::new();
    for pipeline in 0..parts.pipelines.len() {
        visit(parts, &Unit::Pipeline(pipeline), &mut units);
    }
    units.reverse();
    units
}

/// Puts a unit behind all that it feeds. Connectors form no circle, so this ends.
fn visit(parts: &Parts, unit: &Unit, done: &mut Vec<Unit>) {
    if done.contains(unit) {
        return;
    }
    match unit {
        Unit::Pipeline(at) => {
            let pipeline = &parts.pipelines[*at];
            let connectors = pipeline.exporters.iter();
            for id in connectors.filter(|id| parts.connectors.contains_key(id)) {
                visit(parts, &Unit::Connector(id.clone(), pipeline.signal), done);
            }
        }
        Unit::Connector(id, signal) => {
            for route in parts.routes(id, *signal) {
                visit(parts, &Unit::Pipeline(route), done);
            }
        }
    }
    done.push(unit.clone());
}
