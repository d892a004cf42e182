//! Connectors: both sides used, and no way back to where a batch came from.

use tidegate_document::{ComponentId, Diagnostic, Kind as Fault};

use super::Description;
use crate::settings::{Pipeline, PipelineId, Reference, Settings};
use crate::{Kind, canonical};

impl Description<'_> {
    pub(super) fn connectors(&mut self, settings: &Settings) {
        self.one_sided(settings);
        self.cycles(settings);
    }

    fn one_sided(&mut self, settings: &Settings) {
        for (id, connector) in &settings.connectors {
            let names = |list: &[Reference]| list.iter().any(|reference| reference.id == *id);
            let pipelines = || settings.service.pipelines.iter();
            let fed = pipelines().find(|(_, p)| names(&p.exporters));
            let feeds = pipelines().find(|(_, p)| names(&p.receivers));
            let (message, help) = match (fed, feeds) {
                (Some((from, _)), None) => (
                    format!("`{from}` exports to the connector, but no pipeline receives from it"),
                    format!("name `{id}` in the `receivers` of a pipeline"),
                ),
                (None, Some((to, _))) => (
                    format!("`{to}` receives from the connector, but no pipeline exports to it"),
                    format!("name `{id}` in the `exporters` of a pipeline"),
                ),
                _ => continue,
            };
            self.found.push(
                Diagnostic::error(Fault::Conflict, message)
                    .path(format!("connectors::{id}"))
                    .at(connector.span)
                    .help(help),
            );
        }
    }

    fn cycles(&mut self, settings: &Settings) {
        let pipelines = &settings.service.pipelines;
        let mut done = vec![false; pipelines.len()];
        for from in 0..pipelines.len() {
            if let Some(way) = self.way_back(settings, from, &mut done) {
                self.report(settings, &way);
            }
        }
    }

    /// Walks from a pipeline along connectors until it meets one that it came through; gives that circle.
    fn way_back(&self, settings: &Settings, from: usize, done: &mut [bool]) -> Option<Vec<Step>> {
        let mut way: Vec<Step> = Vec::new();
        let mut open = vec![self.next(settings, from).into_iter()];
        let mut through = vec![from];
        if done[from] {
            return None;
        }
        while let Some(steps) = open.last_mut() {
            let Some(step) = steps.next() else {
                open.pop();
                way.pop();
                if let Some(left) = through.pop() {
                    done[left] = true;
                }
                continue;
            };
            if let Some(start) = through.iter().position(|p| *p == step.to) {
                for pipeline in &through {
                    done[*pipeline] = true;
                }
                way.push(step);
                return Some(way.split_off(start));
            }
            if !done[step.to] {
                through.push(step.to);
                open.push(self.next(settings, step.to).into_iter());
                way.push(step);
            }
        }
        None
    }

    /// Gives the steps from a pipeline through its connectors to the pipelines these feed.
    fn next(&self, settings: &Settings, from: usize) -> Vec<Step> {
        let pipelines = &settings.service.pipelines;
        let Some((id, pipeline)) = pipelines.get_index(from) else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        for connector in self.connectors_of(settings, pipeline) {
            let kind = canonical(Kind::Connector, connector.kind());
            for (to, (other, fed)) in pipelines.iter().enumerate() {
                let named = fed.receivers.iter().any(|r| r.id == *connector);
                if named && (self.options.joins)(kind, id.signal, other.signal) {
                    steps.push(Step {
                        from,
                        connector: connector.clone(),
                        to,
                    });
                }
            }
        }
        steps
    }

    fn connectors_of<'s>(
        &self,
        settings: &'s Settings,
        pipeline: &'s Pipeline,
    ) -> impl Iterator<Item = &'s ComponentId> {
        pipeline
            .exporters
            .iter()
            .map(|reference| &reference.id)
            .filter(|id| settings.connectors.contains_key(*id))
    }

    fn report(&mut self, settings: &Settings, way: &[Step]) {
        let name = |index: usize| -> String {
            let pipeline = settings.service.pipelines.get_index(index);
            pipeline
                .map(|(id, _): (&PipelineId, _)| id.to_string())
                .unwrap_or_default()
        };
        let Some(first) = way.first() else { return };
        let mut text = name(first.from);
        for step in way {
            text.push_str(&format!(" -> {} -> {}", step.connector, name(step.to)));
        }
        let span = settings.connectors[&first.connector].span;
        let mut fault = Diagnostic::error(
            Fault::Cycle,
            format!("connectors join into a circle: {text}"),
        )
        .path("service::pipelines")
        .at(span)
        .help("take one of these connectors out of the `exporters` or `receivers` on this way");
        for step in way {
            let pipeline = settings.service.pipelines.get_index(step.from);
            let exporters = pipeline.into_iter().flat_map(|(_, p)| &p.exporters);
            if let Some(reference) = exporters.into_iter().find(|r| r.id == step.connector) {
                fault = fault.related(
                    reference.span,
                    format!("`{}` goes on here", name(step.from)),
                );
            }
        }
        self.found.push(fault);
    }
}

#[derive(Clone)]
struct Step {
    from: usize,
    connector: ComponentId,
    to: usize,
}
