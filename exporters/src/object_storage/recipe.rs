//! Objects that a former life sealed: what they are made of, and how they are made again.
//!
//! A seal has an object's name and its items; the recipe beside it has what else its bytes come
//! of, so that a changed configuration changes no object that was sealed before.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidegate_component::{ExportError, Items, Position, Sealed};
use tidegate_pdata::Payload;
use tokio::time::Instant;

use super::fill::{Wanted, select};
use super::lake::{Format, Lake};
use super::layout::Key;
use super::open::{Content, Open};
use super::parquet::{Encoders, Settings, Source, Table, walk};

/// The version of recipes, the first of their keys.
const VERSION: u32 = 1;

/// How an object is written, as JSON beside its seal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Recipe {
    version: u32,
    format: Format,
    /// What its rows are of, where it has rows.
    table: Option<Table>,
}

impl Recipe {
    pub(super) const fn new(format: Format, table: Option<Table>) -> Self {
        Self {
            version: VERSION,
            format,
            table,
        }
    }

    pub(super) fn encode(&self) -> Bytes {
        // Nothing in it can fail to be JSON.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let recipe: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("its seal has no recipe that this version knows: {error}"))?;
        if recipe.version != VERSION {
            return Err(format!(
                "its recipe has version {}; this one writes {VERSION}",
                recipe.version
            ));
        }
        Ok(recipe)
    }
}

impl Lake {
    /// Makes an object again that was sealed before, ready to be committed.
    pub(super) fn make_again(
        &self,
        sealed: &Sealed,
        fetch: &mut dyn FnMut(Position) -> Result<Payload, ExportError>,
    ) -> Result<(), ExportError> {
        let wrong = |reason| self.target.refused(reason);
        let recipe = Recipe::decode(&sealed.recipe).map_err(wrong)?;
        let path = self.target.path(&sealed.name)?;
        let mut encoders = Encoders::new(match &recipe.format {
            Format::Parquet(settings) => settings.clone(),
            Format::Lines { .. } => Settings::default(),
        });
        let mut open: Option<Open> = None;
        for part in &sealed.parts {
            let payload = fetch(part.position)?;
            let open = open.get_or_insert_with(|| {
                let key = Key {
                    signal: payload.signal(),
                    table: recipe.table,
                    slot: 0,
                    group: None,
                };
                let content = recipe.format.content(recipe.table);
                Open::new(key, content, part.position, Instant::now())
            });
            self.put_again(open, &payload, &part.items);
            open.settle(&mut encoders);
        }
        let content = open.map_or(Content::Failed("it holds nothing".to_owned()), |open| {
            open.content
        });
        let content = self.finish(content, &mut encoders);
        self.keep(sealed.ordinal, path, content, true);
        Ok(())
    }

    /// Puts items into an object that held them before.
    fn put_again(&self, open: &mut Open, payload: &Payload, items: &Items) {
        match &mut open.content {
            Content::Parquet(file) => {
                let source = std::sync::Arc::new(Source::new(payload.clone(), &self.held));
                let mut wanted = Wanted::new(Some(items));
                walk(payload, &mut |place| {
                    if wanted.next() {
                        file.add(&source, &place, place.time());
                    }
                });
            }
            Content::Lines(lines) => {
                if let Err(error) = lines.add(&select(payload, items)) {
                    open.fail(&error);
                }
            }
            Content::Failed(_) => {}
        }
    }
}
