//! The files that are followed: which is which, whatever they are called and wherever they are moved.
//!
//! A file is known by its number in the file system and by its fingerprint. Moved, it is read on under
//! its new name. Emptied and begun anew (`copytruncate`), it is a new file, and the copy of what it was
//! is read on from where the original was. What is gone is read to its end while it is still open, and
//! its place is remembered.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::about::Labels;
use super::config::{Compression, Settings, StartAt};
use super::find::{About, Found};
use super::fingerprint::{Fingerprint, read_at};
use super::place::Place;
use super::source::Source;
use crate::operators::Map;

/// Places remembered of files that are gone.
const MOST_ORPHANS: usize = 10_000;
/// How long a file that is gone is still watched while it is open.
const LINGER: Duration = Duration::from_secs(5);
/// How often the log tells of a file that cannot be read.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// A file that is followed.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) path: PathBuf,
    pub(crate) place: Place,
    pub(crate) labels: Labels,
    /// How it was at the last look.
    pub(crate) about: About,
    /// How it was when it was last read to its end.
    pub(crate) read: Option<About>,
    /// Since when it has ended in what may be part of an entry.
    pub(crate) partial_since: Option<Instant>,
    /// Since when no path leads to it.
    pub(crate) gone_since: Option<Instant>,
    pub(crate) source: Option<Source>,
    gzip: bool,
    /// The turn in which it was last found, and that in which it was last read.
    seen: u64,
    used: u64,
    /// Whether its header has been read.
    pub(crate) has_header: bool,
}

/// What is followed, and what was.
#[derive(Debug)]
pub(crate) struct Tracker {
    settings: Arc<Settings>,
    own: Map,
    pub(crate) files: HashMap<u64, Tracked>,
    paths: HashMap<PathBuf, u64>,
    ids: HashMap<(u64, u64), u64>,
    /// The places in files that are gone, by their numbers here.
    orphans: BTreeMap<u64, Place>,
    next: u64,
    turn: u64,
    /// Whether files that are found now were there before anything was read.
    first: bool,
    /// Places that were forgotten.
    pub(crate) forgotten: Vec<u64>,
    /// Files whose place is new.
    pub(crate) begun: Vec<u64>,
    told: HashMap<PathBuf, Instant>,
}

impl Tracker {
    /// A tracker that knows these places from an earlier life.
    pub(crate) fn new(settings: Settings, own: Map, places: Vec<(u64, Place)>) -> Self {
        let next = places
            .iter()
            .map(|(number, _)| number + 1)
            .max()
            .unwrap_or(1);
        let first = places.is_empty() && settings.keys.start_at == StartAt::End;
        Self {
            settings: Arc::new(settings),
            own,
            files: HashMap::new(),
            paths: HashMap::new(),
            ids: HashMap::new(),
            orphans: places.into_iter().collect(),
            next,
            turn: 0,
            first,
            forgotten: Vec::new(),
            begun: Vec::new(),
            told: HashMap::new(),
        }
    }

    /// Takes in what has been found now.
    pub(crate) fn look(&mut self, found: Vec<Found>, now: Instant) {
        self.turn += 1;
        for file in found {
            if let Err(error) = self.see(&file) {
                self.tell(&file.path, &error, now);
            }
        }
        self.first = false;
        let gone = self.files.iter().filter(|(_, file)| file.seen != self.turn);
        let gone: Vec<u64> = gone.map(|(number, _)| *number).collect();
        for number in gone {
            self.miss(number, now);
        }
        self.close_some();
        self.told.retain(|_, told| *told + TELL_EVERY > now);
    }

    /// Says that a file cannot be read, now and then.
    pub(crate) fn tell(&mut self, path: &Path, error: &io::Error, now: Instant) {
        // What goes between being found and being opened is nobody's fault.
        if error.kind() != io::ErrorKind::NotFound && !self.told.contains_key(path) {
            tracing::warn!(file = %path.display(), %error, "a file cannot be read");
            self.told.insert(path.to_owned(), now);
        }
    }

    fn see(&mut self, found: &Found) -> io::Result<()> {
        if let Some(number) = self.paths.get(&found.path).copied() {
            let same = self
                .files
                .get(&number)
                .is_some_and(|file| file.about.id() == found.about.id());
            if same && self.confirm(number, found)? {
                return Ok(());
            }
            self.paths.remove(&found.path);
            if same {
                self.orphan(number);
            }
        }
        if let Some(number) = self.ids.get(&found.about.id()).copied() {
            let file = self.files.get(&number);
            if file.is_some_and(|file| file.seen == self.turn) {
                // Another name of a file that has been seen.
                return Ok(());
            }
            if file.is_some() && self.confirm(number, found)? {
                self.rename(number, found);
                return Ok(());
            }
            self.orphan(number);
        }
        self.register(found)
    }

    /// Whether a file still is what it was, grown or not; notes that it is there.
    fn confirm(&mut self, number: u64, found: &Found) -> io::Result<bool> {
        let fingerprint_size = self.settings.keys.fingerprint_size.as_usize();
        let turn = self.turn;
        let Some(file) = self.files.get_mut(&number) else {
            return Ok(false);
        };
        if file.about != found.about {
            let cut = if file.gzip {
                file.about.size
            } else {
                file.place.offset
            };
            if found.about.size < cut {
                return Ok(false);
            }
            let source = match &mut file.source {
                Some(source) => source,
                closed => closed.insert(open(&found.path, &found.about, file.gzip)?),
            };
            let mut first = vec![0; fingerprint_size];
            let length = source.read(&mut first, 0)?;
            first.truncate(length);
            if !file.place.fingerprint.begins(&first) {
                return Ok(false);
            }
            file.place.fingerprint = Fingerprint::of(&first);
            file.about = found.about;
        }
        file.seen = turn;
        file.gone_since = None;
        Ok(true)
    }

    fn rename(&mut self, number: u64, found: &Found) {
        let labels = self.labels(&found.path);
        if let Some(file) = self.files.get_mut(&number) {
            self.paths.retain(|_, known| *known != number);
            self.paths.insert(found.path.clone(), number);
            file.path.clone_from(&found.path);
            // What a header told stays true.
            file.labels = match file.has_header {
                true => labels.and(std::mem::take(&mut file.labels.map)),
                false => labels,
            };
        }
    }

    fn labels(&self, path: &Path) -> Labels {
        let metadata = std::fs::metadata(path).ok();
        Labels::of(&self.settings.keys, &self.own, path, metadata.as_ref())
    }

    /// Follows a file that is not known.
    fn register(&mut self, found: &Found) -> io::Result<()> {
        if found.about.size == 0 {
            return Ok(());
        }
        let file = File::open(&found.path)?;
        let about = About::of(&file.metadata()?);
        if about.id() != found.about.id() {
            // Another one has just taken its place.
            return Ok(());
        }
        let gzip = match self.settings.keys.compression {
            Compression::None => false,
            Compression::Gzip => true,
            Compression::Auto => Source::is_gzip(&file)?,
        };
        let mut source = if gzip {
            Source::gzip(file)?
        } else {
            Source::plain(file)
        };
        let mut first = vec![0; self.settings.keys.fingerprint_size.as_usize()];
        let length = source.read(&mut first, 0)?;
        first.truncate(length);
        if first.is_empty() || self.is_copy(&first, &about, gzip) || !self.release(&first) {
            return Ok(());
        }
        let fingerprint = Fingerprint::of(&first);
        let (number, place) = match self.adopt(&first, &about, gzip) {
            Some((number, mut place)) => {
                place.id = about.id();
                place.fingerprint = fingerprint;
                (number, place)
            }
            None => {
                let offset = match (self.first, gzip) {
                    (false, _) => 0,
                    (true, false) => about.size,
                    (true, true) => inflated_size(&mut source)?,
                };
                self.next += 1;
                (self.next - 1, Place::at(fingerprint, about.id(), offset))
            }
        };
        self.begun.push(number);
        self.paths.insert(found.path.clone(), number);
        self.ids.insert(about.id(), number);
        let tracked = Tracked {
            path: found.path.clone(),
            place,
            labels: self.labels(&found.path),
            about,
            read: self.first.then_some(about),
            partial_since: None,
            gone_since: None,
            source: Some(source),
            gzip,
            seen: self.turn,
            used: self.turn,
            has_header: false,
        };
        self.files.insert(number, tracked);
        Ok(())
    }

    /// Whether these first bytes are those of a file that is followed and still has them: a copy of it,
    /// perhaps one that is being made.
    fn is_copy(&self, first: &[u8], about: &About, gzip: bool) -> bool {
        self.files.values().any(|file| {
            let known = &file.place.fingerprint;
            if file.gone_since.is_some() || !known.may_begin_with(first) {
                return false;
            }
            // What is longer than a file is no copy of it; of one that has just moved nobody knows yet.
            let size = match std::fs::metadata(&file.path) {
                Ok(now) if About::of(&now).id() == file.place.id => now.len(),
                _ => u64::MAX,
            };
            if !gzip && !file.gzip && about.size > size {
                return false;
            }
            if first.len() >= known.length as usize {
                return known.begins(first);
            }
            let mut own = vec![0; first.len()];
            let opened = match &file.source {
                Some(Source::Plain(open)) => read_at(open, &mut own, 0),
                _ => open(&file.path, &file.about, file.gzip)
                    .and_then(|mut open| open.read(&mut own, 0)),
            };
            opened.is_ok_and(|length| own[..length] == *first)
        })
    }

    /// Lets go of files that are gone and began like this, so that their places can be taken up; false where
    /// one is still to be read to its end.
    fn release(&mut self, first: &[u8]) -> bool {
        let gone = self
            .files
            .iter()
            .filter(|(_, file)| file.gone_since.is_some() && file.place.fingerprint.begins(first));
        let gone: Vec<(u64, bool)> = gone
            .map(|(number, file)| {
                (
                    *number,
                    file.read == Some(file.about) && file.partial_since.is_none(),
                )
            })
            .collect();
        if gone.iter().any(|(_, done)| !done) {
            return false;
        }
        gone.into_iter().for_each(|(number, _)| self.orphan(number));
        true
    }

    /// Takes up the place of a file that is gone and began like this.
    fn adopt(&mut self, first: &[u8], about: &About, gzip: bool) -> Option<(u64, Place)> {
        let fits =
            |place: &Place| place.fingerprint.begins(first) && (gzip || place.offset <= about.size);
        let orphans = self.orphans.iter().filter(|(_, place)| fits(place));
        let best = orphans.max_by_key(|(number, place)| {
            (place.id == about.id(), place.fingerprint.length, **number)
        });
        let number = *best?.0;
        let place = self.orphans.remove(&number)?;
        Some((number, place))
    }

    /// Follows a file no more, and remembers its place.
    fn orphan(&mut self, number: u64) {
        let Some(file) = self.files.remove(&number) else {
            return;
        };
        if self.paths.get(&file.path) == Some(&number) {
            self.paths.remove(&file.path);
        }
        if self.ids.get(&file.place.id) == Some(&number) {
            self.ids.remove(&file.place.id);
        }
        self.orphans.insert(number, file.place);
        while self.orphans.len() > MOST_ORPHANS {
            if let Some((number, _)) = self.orphans.pop_first() {
                self.forgotten.push(number);
            }
        }
    }

    /// Goes on with a file that no path leads to any more, while it is open and changes.
    fn miss(&mut self, number: u64, now: Instant) {
        let flushes = !self.settings.keys.force_flush_period.is_zero();
        let Some(file) = self.files.get_mut(&number) else {
            return;
        };
        let Some(source) = &file.source else {
            return self.orphan(number);
        };
        let since = *file.gone_since.get_or_insert(now);
        let unread = file.read != Some(file.about) || flushes && file.partial_since.is_some();
        match source.file().metadata() {
            Ok(metadata) if About::of(&metadata) != file.about => {
                file.about = About::of(&metadata);
                file.gone_since = Some(now);
                if file.about.size < file.place.offset {
                    self.orphan(number);
                }
            }
            Ok(_) if now < since + LINGER || unread => {}
            _ => self.orphan(number),
        }
    }

    /// Closes files that have not been read for longest, where too many are open.
    fn close_some(&mut self) {
        let open = self.files.iter().filter(|(_, file)| file.source.is_some());
        // What is gone can never be opened again.
        let key = |file: &Tracked| (file.gone_since.is_some(), file.used);
        let mut open: Vec<_> = open.map(|(number, file)| (key(file), *number)).collect();
        let most = self.settings.keys.max_concurrent_files;
        if open.len() <= most {
            return;
        }
        open.sort_unstable();
        for (_, number) in &open[..open.len() - most] {
            if let Some(file) = self.files.get_mut(number) {
                file.source = None;
            }
        }
    }

    /// Files that have something to be read, those first that have waited for longest.
    pub(crate) fn ready(&self, now: Instant) -> Vec<u64> {
        let flush = self.settings.keys.force_flush_period;
        let ready = self.files.iter().filter(|(_, file)| {
            let waited = |since: Instant| !flush.is_zero() && now >= since + *flush;
            file.read != Some(file.about) || file.partial_since.is_some_and(waited)
        });
        let mut ready: Vec<(u64, u64)> = ready.map(|(number, file)| (file.used, *number)).collect();
        ready.sort_unstable();
        let keys = &self.settings.keys;
        if keys.max_batches > 0 {
            ready.truncate((keys.max_concurrent_files / 2).saturating_mul(keys.max_batches));
        }
        ready.into_iter().map(|(_, number)| number).collect()
    }

    /// Opens a file to read on; false where it cannot be.
    pub(crate) fn open(&mut self, number: u64, now: Instant) -> bool {
        let turn = self.turn;
        let opened = match self.files.get_mut(&number) {
            None => return false,
            Some(file) => {
                file.used = turn;
                if file.source.is_some() {
                    return true;
                }
                open(&file.path, &file.about, file.gzip).map(|source| file.source = Some(source))
            }
        };
        if let Err(error) = opened {
            let path = self.files.get(&number).map(|file| file.path.clone());
            self.tell(&path.unwrap_or_default(), &error, now);
            return false;
        }
        self.close_some();
        self.files
            .get(&number)
            .is_some_and(|file| file.source.is_some())
    }

    /// How many files are open.
    pub(crate) fn open_files(&self) -> usize {
        self.files
            .values()
            .filter(|file| file.source.is_some())
            .count()
    }

    /// The place in a file, followed or gone.
    pub(crate) fn place_mut(&mut self, number: u64) -> Option<&mut Place> {
        match self.files.get_mut(&number) {
            Some(file) => Some(&mut file.place),
            None => self.orphans.get_mut(&number),
        }
    }

    /// The note of a place, for the next process.
    pub(crate) fn note(&self, number: u64) -> Option<Vec<u8>> {
        match self.files.get(&number) {
            Some(file) => Some(file.place.note(&file.path.to_string_lossy())),
            None => self.orphans.get(&number).map(|place| place.note("")),
        }
    }

    /// Removes a file that has been read, and all that is known of it.
    pub(crate) fn delete(&mut self, number: u64, now: Instant) {
        let Some(file) = self.files.get(&number) else {
            return;
        };
        let path = file.path.clone();
        if let Err(error) = std::fs::remove_file(&path) {
            self.tell(&path, &error, now);
            return;
        }
        self.orphan(number);
        self.orphans.remove(&number);
        self.forgotten.push(number);
    }
}

/// Opens a file that must still be the one that was found.
fn open(path: &Path, about: &About, gzip: bool) -> io::Result<Source> {
    let file = File::open(path)?;
    if About::of(&file.metadata()?).id() != about.id() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if gzip {
        Source::gzip(file)
    } else {
        Ok(Source::plain(file))
    }
}

fn inflated_size(source: &mut Source) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        match source.read(&mut buffer, size)? {
            0 => return Ok(size),
            read => size += read as u64,
        }
    }
}

impl Tracker {
    /// How files are read.
    pub(crate) const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }
}
