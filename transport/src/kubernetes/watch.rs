//! Collections that are listed and then watched, for as long as somebody cares.
//!
//! The rules are those of the API: a list has a version, a watch goes on from it, bookmarks move the
//! version on without an event, and a version that the server has forgotten (410) means to list
//! again. Watches end whenever the server wants; they go on where they were.

use std::fmt::Write;
use std::time::Duration;

use bytes::BytesMut;
use rand::RngExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout};

use super::api::{Api, ApiError};
use crate::client::Flow;
use crate::query::escape;

/// The objects of a page of a list.
const PAGE: usize = 500;
/// The most bytes of a page; objects of 1.5 MiB each are the most that etcd takes.
const PAGE_BYTES: usize = 256 << 20;
/// The most bytes of an event.
const EVENT_BYTES: usize = 16 << 20;
/// The first wait after a fault, and the longest.
const FIRST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_secs(30);
/// A watch that brought nothing and ended sooner than this counts as a fault.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long a server keeps a watch open, in seconds; up to twice as long, so that not all end at once.
const OPEN: u64 = 300;
/// How much longer than that it may stay silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a fault that was told is not told again.
const QUIET: Duration = Duration::from_secs(600);

/// What a collection is.
#[derive(Clone, Debug, Default)]
pub struct Collection {
    /// Its path, as `/api/v1/namespaces/shop/pods`.
    pub path: String,
    /// The fields that its objects must have, as the API has it.
    pub fields: String,
    /// The labels that its objects must have, as the API has it.
    pub labels: String,
    /// Whether the metadata of objects is all that is wanted.
    pub metadata_only: bool,
    /// Whether lists must come in pages, however many objects there are: the server then asks etcd,
    /// where else it gives what it has at hand, all at once.
    pub in_pages: bool,
}

/// How an object came to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was there when the collection was listed.
    Listed,
    /// It is new.
    Added,
    /// It was changed.
    Changed,
}

/// What happens to a collection. An object is its JSON, whose fields `kind` and `apiVersion` may be
/// absent.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// It is listed from its beginning.
    Begun,
    /// An object is there.
    Put(&'e str, Came),
    /// An object is gone; this is how it was.
    Gone(&'e str),
    /// All that was listed has been told: what was not put since the beginning is gone.
    Listed,
    /// A watch has told all that it had for now.
    Idle,
}

/// Follows one collection.
#[derive(Debug)]
pub struct Watch<'a> {
    api: &'a Api,
    collection: Collection,
    /// The version up to which everything is known; none before the first list.
    version: Option<String>,
    /// Where the next page of a list begins that is being read; nowhere for its first.
    place: Option<String>,
    /// The answer that is being read.
    open: Option<Open>,
    /// Whether a list must be as new as can be, since an older one has been seen already.
    fresh: bool,
    faults: u32,
    told: Option<(String, Instant)>,
}

/// An answer that tells changes as they come.
#[derive(Debug)]
struct Open {
    flow: Flow,
    buffer: BytesMut,
    began: Instant,
    patience: Duration,
    came: bool,
}

#[derive(Deserialize)]
struct List<'l> {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(borrow, default)]
    items: Option<Vec<&'l RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
    r#continue: String,
}

#[derive(Deserialize)]
struct Change<'c> {
    r#type: &'c str,
    #[serde(borrow)]
    object: &'c RawValue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: ObjectMetadata,
    code: u16,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectMetadata {
    resource_version: String,
}

impl<'a> Watch<'a> {
    /// A watch that has not begun.
    #[must_use]
    pub const fn new(api: &'a Api, collection: Collection) -> Self {
        Self {
            api,
            collection,
            version: None,
            place: None,
            open: None,
            fresh: false,
            faults: 0,
            told: None,
        }
    }

    /// A watch of what came after a version, without a list before it.
    #[must_use]
    pub fn since(api: &'a Api, collection: Collection, version: String) -> Self {
        Self {
            version: Some(version),
            ..Self::new(api, collection)
        }
    }

    /// The version up to which everything has been told.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Follows the collection for ever; ends when it is dropped.
    pub async fn follow(mut self, sink: &mut (dyn FnMut(Event<'_>) + Send)) {
        loop {
            self.advance(sink).await;
        }
    }

    /// Goes on by a page of a list, or by what a watch tells at once; after a fault by the time that
    /// has to be waited.
    pub async fn advance(&mut self, sink: &mut (dyn FnMut(Event<'_>) + Send)) {
        let result = match (self.version.is_some(), self.open.is_some()) {
            (false, _) => self.page(sink).await,
            (true, false) => self.begin().await,
            (true, true) => self.read(sink).await,
        };
        if let Err(error) = result {
            self.open = None;
            self.place = None;
            self.recover(&error).await;
        }
    }

    /// Lists the collection once, without following it.
    ///
    /// # Errors
    /// When that fails.
    pub async fn list_once(
        mut self,
        sink: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<(), ApiError> {
        while self.version.is_none() {
            self.page(sink).await?;
        }
        Ok(())
    }

    async fn page(&mut self, sink: &mut (dyn FnMut(Event<'_>) + Send)) -> Result<(), ApiError> {
        if self.place.is_none() {
            sink(Event::Begun);
        }
        let accept = match self.collection.metadata_only {
            true => {
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
            }
            false => "application/json",
        };
        let mut path = self.selected(&format!("limit={PAGE}"));
        match &self.place {
            Some(place) => add(&mut path, "continue", place),
            // What the server has at hand is good enough, and spares etcd.
            None if !self.fresh && !self.collection.in_pages => {
                add(&mut path, "resourceVersion", "0");
            }
            None => {}
        }
        let page = self.api.get_as(&path, accept, PAGE_BYTES).await?;
        let list: List<'_> = serde_json::from_str(text(&page)?).map_err(senseless)?;
        for item in list.items.iter().flatten() {
            sink(Event::Put(item.get(), Came::Listed));
        }
        let ListMetadata {
            resource_version,
            r#continue: next,
        } = list.metadata;
        if !next.is_empty() {
            self.place = Some(next);
            return Ok(());
        }
        if resource_version.is_empty() {
            return Err(ApiError::Senseless("a list without a version".to_owned()));
        }
        self.place = None;
        self.version = Some(resource_version);
        self.faults = 0;
        sink(Event::Listed);
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), ApiError> {
        let accept = match self.collection.metadata_only {
            true => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
            false => "application/json",
        };
        let open = rand::rng().random_range(OPEN..OPEN * 2);
        let mut path = self.selected(&format!(
            "watch=1&allowWatchBookmarks=true&timeoutSeconds={open}"
        ));
        let version = self.version.clone().unwrap_or_default();
        add(&mut path, "resourceVersion", &version);
        self.open = Some(Open {
            began: Instant::now(),
            flow: self.api.open(&path, accept).await?,
            buffer: BytesMut::new(),
            patience: Duration::from_secs(open) + SILENCE,
            came: false,
        });
        Ok(())
    }

    async fn read(&mut self, sink: &mut (dyn FnMut(Event<'_>) + Send)) -> Result<(), ApiError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let bit = match timeout(open.patience, open.flow.next()).await {
            Ok(Ok(bit)) => bit,
            Ok(Err(error)) if open.came => {
                tracing::debug!(%error, path = self.collection.path, "a watch ended");
                None
            }
            Ok(Err(error)) => return Err(ApiError::Unreachable(error.to_string())),
            Err(_) => return Err(ApiError::Unreachable("the watch is silent".to_owned())),
        };
        let Some(bit) = bit else {
            let short = !open.came && open.began.elapsed() < SHORTEST;
            self.open = None;
            if short {
                let short = "the server ends watches as soon as they are opened";
                return Err(ApiError::Unreachable(short.to_owned()));
            }
            self.faults = 0;
            return Ok(());
        };
        open.buffer.extend_from_slice(&bit);
        // A document may end where a bit does, or where a line does.
        if !bit.ends_with(b"}") && !bit.contains(&b'\n') {
            return bounded(&open.buffer);
        }
        let mut buffer = std::mem::take(&mut open.buffer);
        let told = self.changes(&mut buffer, sink)?;
        bounded(&buffer)?;
        if let Some(open) = &mut self.open {
            open.buffer = buffer;
            open.came |= told;
        }
        if told {
            sink(Event::Idle);
            self.faults = 0;
        }
        Ok(())
    }

    /// Tells the whole changes at the front of a buffer, and takes them off; says whether there were any.
    fn changes(
        &mut self,
        buffer: &mut BytesMut,
        sink: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<bool, ApiError> {
        let whole = std::mem::take(buffer).freeze();
        let mut documents = serde_json::Deserializer::from_slice(&whole).into_iter::<Change<'_>>();
        let mut end = 0;
        let mut any = false;
        loop {
            match documents.next() {
                Some(Ok(change)) => {
                    end = documents.byte_offset();
                    any = true;
                    self.change(&change, sink)?;
                }
                None => break,
                Some(Err(error)) if error.is_eof() => break,
                Some(Err(error)) => return Err(senseless(error)),
            }
        }
        *buffer = BytesMut::from(&whole[end..]);
        Ok(any)
    }

    fn change(
        &mut self,
        change: &Change<'_>,
        sink: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<(), ApiError> {
        let json = change.object.get();
        let object: Object = serde_json::from_str(json).map_err(senseless)?;
        match change.r#type {
            "ADDED" => sink(Event::Put(json, Came::Added)),
            "MODIFIED" => sink(Event::Put(json, Came::Changed)),
            "DELETED" => sink(Event::Gone(json)),
            "BOOKMARK" => {}
            "ERROR" => {
                return Err(ApiError::Status {
                    status: http::StatusCode::from_u16(object.code)
                        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR),
                    message: object.message,
                    after: None,
                });
            }
            other => {
                let fault = format!("an event of type {other:?}");
                return Err(ApiError::Senseless(fault));
            }
        }
        if !object.metadata.resource_version.is_empty() {
            self.version = Some(object.metadata.resource_version);
        }
        Ok(())
    }

    /// Waits as long as a fault asks for, and says what it is if that was not said yet.
    async fn recover(&mut self, error: &ApiError) {
        if error.is_gone() {
            // That is how it should be after a while; only if it goes on so it is a fault.
            self.version = None;
            self.fresh = true;
            self.faults += 1;
            if self.faults == 1 {
                return;
            }
        } else {
            if matches!(error, ApiError::Senseless(_) | ApiError::TooLarge(_)) {
                self.version = None;
            }
            // A list that is too large to come all at once may come in pages.
            self.collection.in_pages |= matches!(error, ApiError::TooLarge(_));
            self.faults += 1;
        }
        let text = error.to_string();
        let told = self.told.as_ref();
        if told.is_none_or(|(known, at)| *known != text || at.elapsed() > QUIET) {
            tracing::warn!(
                path = self.collection.path,
                error = text,
                "the Kubernetes API does not answer as it should; it is asked again"
            );
            self.told = Some((text, Instant::now()));
        }
        let wait = FIRST.saturating_mul(1 << self.faults.saturating_sub(1).min(6));
        let wait = wait.min(LONGEST);
        let wait = wait.mul_f64(rand::rng().random_range(0.5..1.5));
        sleep(error.after().unwrap_or_default().max(wait)).await;
    }

    fn selected(&self, query: &str) -> String {
        let mut path = format!("{}?{query}", self.collection.path);
        for (key, value) in [
            ("fieldSelector", &self.collection.fields),
            ("labelSelector", &self.collection.labels),
        ] {
            if !value.is_empty() {
                add(&mut path, key, value);
            }
        }
        path
    }
}

fn add(path: &mut String, key: &str, value: &str) {
    // Writing to a text cannot fail.
    let _ = write!(path, "&{key}={}", escape(value));
}

fn text(bytes: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(bytes).map_err(|error| ApiError::Senseless(error.to_string()))
}

fn bounded(buffer: &[u8]) -> Result<(), ApiError> {
    match buffer.len() > EVENT_BYTES {
        true => Err(ApiError::TooLarge(EVENT_BYTES)),
        false => Ok(()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn senseless(error: serde_json::Error) -> ApiError {
    ApiError::Senseless(error.to_string())
}
