//! The objects of one collection, kept as they are now by a watch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_transport::kubernetes::Event;

/// What an object is called in its collection.
pub(crate) type ObjectKey = Arc<str>;

/// The objects of one collection, each as far as it is of use.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    objects: Mutex<Objects<T>>,
    /// Raised whenever anything is another; 0 until the collection has been listed.
    version: AtomicU64,
}

#[derive(Debug)]
struct Objects<T> {
    objects: HashMap<ObjectKey, Kept<T>>,
    stamps: u64,
    listed: bool,
}

/// An object, and what tells whether it is still the same.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    pub(crate) object: Arc<T>,
    /// Another one whenever the object changes.
    pub(crate) stamp: u64,
    /// The list that it was seen in last.
    list: u64,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self {
            object: Arc::clone(&self.object),
            ..*self
        }
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            objects: Mutex::new(Objects {
                objects: HashMap::new(),
                stamps: 0,
                listed: false,
            }),
            version: AtomicU64::new(0),
        }
    }
}

impl<T> Shelf<T> {
    fn lock(&self) -> MutexGuard<'_, Objects<T>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is raised whenever anything is another; 0 until the collection has been listed.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(SeqCst)
    }

    /// An object.
    pub(crate) fn get(&self, key: &str) -> Option<Kept<T>> {
        self.lock().objects.get(key).cloned()
    }

    /// All objects.
    pub(crate) fn all(&self) -> Vec<(ObjectKey, Kept<T>)> {
        let objects = self.lock();
        let all = objects.objects.iter();
        all.map(|(key, kept)| (Arc::clone(key), kept.clone()))
            .collect()
    }
}

impl<T: PartialEq> Objects<T> {
    /// Puts an object there; says whether that changes anything.
    fn put(&mut self, key: ObjectKey, object: T, list: u64) -> bool {
        self.stamps += 1;
        let stamp = self.stamps;
        match self.objects.entry(key) {
            Entry::Occupied(known) if *known.get().object == object => {
                known.into_mut().list = list;
                false
            }
            entry => {
                entry.insert_entry(Kept {
                    object: Arc::new(object),
                    stamp,
                    list,
                });
                true
            }
        }
    }
}

/// Reads objects of a collection.
pub(crate) trait Read: Send {
    /// What is kept of one.
    type Object: PartialEq + Send + Sync;

    /// What an object is called, and what is kept of it.
    ///
    /// # Errors
    /// When it is no object of the API.
    fn read(&mut self, json: &str) -> Result<(ObjectKey, Self::Object), serde_json::Error>;

    /// What an object is called.
    ///
    /// # Errors
    /// The same.
    fn key(&self, json: &str) -> Result<ObjectKey, serde_json::Error>;

    /// Is called when the shelf is another.
    fn changed(&mut self) {}
}

/// Keeps a shelf by what a watch tells.
pub(crate) struct Keeper<R: Read> {
    shelf: Arc<Shelf<R::Object>>,
    reader: R,
    /// The collection's path, for what is logged.
    path: String,
    list: u64,
    /// Whether something changed that nobody was told of.
    news: bool,
    /// Whether an object that makes no sense was told of.
    told: bool,
}

impl<R: Read> Keeper<R> {
    pub(crate) const fn new(shelf: Arc<Shelf<R::Object>>, reader: R, path: String) -> Self {
        Self {
            shelf,
            reader,
            path,
            list: 0,
            news: false,
            told: false,
        }
    }

    pub(crate) fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Begun => self.list += 1,
            Event::Put(json, _) => match self.reader.read(json) {
                Ok((key, object)) => {
                    self.news |= self.shelf.lock().put(key, object, self.list);
                }
                Err(fault) => self.tell(&fault),
            },
            Event::Gone(json) => match self.reader.key(json) {
                Ok(key) => self.news |= self.shelf.lock().objects.remove(&key).is_some(),
                Err(fault) => self.tell(&fault),
            },
            Event::Listed => {
                let list = self.list;
                let mut objects = self.shelf.lock();
                let before = objects.objects.len();
                objects.objects.retain(|_, kept| kept.list == list);
                self.news |= objects.objects.len() != before || !objects.listed;
                objects.listed = true;
                drop(objects);
                self.publish();
            }
            Event::Idle => self.publish(),
        }
    }

    fn publish(&mut self) {
        // Half a list is told to nobody.
        if std::mem::take(&mut self.news) {
            self.shelf.version.fetch_add(1, SeqCst);
            self.reader.changed();
        }
    }

    fn tell(&mut self, fault: &serde_json::Error) {
        if !self.told {
            self.told = true;
            tracing::warn!(path = self.path, %fault, "an object of Kubernetes makes no sense and is left out");
        }
    }
}
