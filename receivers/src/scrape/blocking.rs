//! Scrapers that block, kept off the workers.

use tidegate_component::async_trait;
use tokio::task::JoinHandle;

use super::{Part, Scraper};

/// Reads something by calls that block.
pub(crate) trait Reader: Send + 'static {
    /// Reads into a part; a reader that sets `more` is called again.
    fn read(&mut self, part: &mut Part);
}

/// A reader as a scraper: each call runs on a thread for such work.
///
/// Where a call does not come back in time, as from a file system whose server is gone, it is left
/// to itself; the next scrape waits for it, so that there is never more than one.
pub(crate) struct Blocking<R> {
    name: &'static str,
    make: Box<dyn Fn() -> R + Send + Sync>,
    idle: Option<R>,
    reading: Option<JoinHandle<(R, Part)>>,
}

impl<R: Reader> Blocking<R> {
    /// A scraper of what `make` makes: once, and again should it panic.
    pub(crate) fn new(name: &'static str, make: impl Fn() -> R + Send + Sync + 'static) -> Self {
        Self {
            name,
            make: Box::new(make),
            idle: None,
            reading: None,
        }
    }

    fn begin(&mut self) -> JoinHandle<(R, Part)> {
        let mut reader = self.idle.take().unwrap_or_else(|| (self.make)());
        tokio::task::spawn_blocking(move || {
            let mut part = Part::new();
            reader.read(&mut part);
            (reader, part)
        })
    }
}

#[async_trait]
impl<R: Reader> Scraper for Blocking<R> {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn scrape(&mut self) -> Part {
        let reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.begin(),
        };
        // It stays here while it is waited for, so that whoever stops waiting loses nothing.
        let ended = self.reading.insert(reading).await;
        self.reading = None;
        match ended {
            Ok((reader, part)) => {
                self.idle = Some(reader);
                part
            }
            Err(error) => {
                let mut part = Part::new();
                part.faults
                    .add("a scraper broke and begins anew", 1, || error.to_string());
                part
            }
        }
    }
}

impl<R> std::fmt::Debug for Blocking<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Blocking").field(&self.name).finish()
    }
}
