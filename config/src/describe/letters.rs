//! Exporters that name another one for what they give up: it is there, and no way leads back.

use std::collections::HashSet;

use tidegate_document::{ComponentId, Diagnostic, Kind as Fault};

use super::Description;
use crate::Kind;
use crate::settings::{DEAD_LETTERS, Settings};

impl Description<'_> {
    /// Reports dead-letter exporters that are not defined or that a way leads back from, and adds
    /// those to `used` that get the letters of one that is used.
    pub(super) fn dead_letters<'s>(
        &mut self,
        settings: &'s Settings,
        used: &mut HashSet<(Kind, &'s ComponentId)>,
    ) {
        for id in settings.exporters.keys() {
            let Some(reference) = settings.dead_letters(id) else {
                continue;
            };
            if !settings.exporters.contains_key(&reference.id) {
                let path = format!("exporters::{id}::{DEAD_LETTERS}");
                self.undefined(settings, &reference, &[Kind::Exporter], &path);
            }
            let mut from = id;
            while used.contains(&(Kind::Exporter, from))
                && let Some((to, _)) = next(settings, from)
                && used.insert((Kind::Exporter, to))
            {
                from = to;
            }
        }
        self.letters_that_go_round(settings);
    }

    fn letters_that_go_round(&mut self, settings: &Settings) {
        let mut done: HashSet<&ComponentId> = HashSet::new();
        for id in settings.exporters.keys() {
            let mut way = vec![id];
            while let Some((to, _)) = next(settings, way[way.len() - 1]) {
                if let Some(start) = way.iter().position(|passed| *passed == to) {
                    if !done.contains(to) {
                        self.report_circle(settings, &way[start..]);
                    }
                    break;
                }
                way.push(to);
            }
            done.extend(way);
        }
    }

    fn report_circle(&mut self, settings: &Settings, circle: &[&ComponentId]) {
        let Some((first, others)) = circle.split_first() else {
            return;
        };
        let message = match others {
            [] => "an exporter cannot keep its own dead letters".to_owned(),
            _ => {
                let names: Vec<_> = circle.iter().map(|id| id.as_str()).collect();
                format!("dead letters go round: {} -> {first}", names.join(" -> "))
            }
        };
        let span = |id| settings.dead_letters(id).map(|reference| reference.span);
        let mut fault = Diagnostic::error(Fault::Cycle, message)
            .path(format!("exporters::{first}::{DEAD_LETTERS}"))
            .help("name an exporter that gives nothing back, for example a `file`");
        if let Some(span) = span(first) {
            fault = fault.at(span);
        }
        for id in others {
            if let Some(span) = span(id) {
                fault = fault.related(span, format!("`{id}` goes on here"));
            }
        }
        self.found.push(fault);
    }
}

/// The exporter that gets the dead letters of another one, as it is defined.
fn next<'s>(
    settings: &'s Settings,
    from: &ComponentId,
) -> Option<(&'s ComponentId, &'s crate::Component)> {
    let reference = settings.dead_letters(from)?;
    settings.exporters.get_key_value(&reference.id)
}
