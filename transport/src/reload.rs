//! A value made from files, and made again when they change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::Instant;

/// What tells a file from its successor, also where a symbolic link was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &PathBuf) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&metadata),
            #[cfg(not(unix))]
            inode: 0,
        })
    }
}

struct Watch {
    next: Instant,
    seen: Vec<Option<Stamp>>,
}

/// Makes the value anew.
type Make<T, E> = Box<dyn Fn() -> Result<T, E> + Send + Sync>;

/// A value that follows its files, looked at no more often than every interval.
///
/// A file that cannot be used leaves the value as it is and is told of once: what is served goes on
/// being served.
pub struct Reloading<T, E> {
    current: ArcSwap<T>,
    files: Vec<PathBuf>,
    interval: Duration,
    watch: Mutex<Watch>,
    make: Make<T, E>,
    tell: fn(&E),
}

impl<T, E> std::fmt::Debug for Reloading<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloading")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl<T, E> Reloading<T, E> {
    /// Makes the value; it follows the files unless the interval is zero. Changed files that cannot
    /// be used are for `tell`.
    ///
    /// # Errors
    /// When the value cannot be made.
    pub fn new(
        files: Vec<PathBuf>,
        interval: Duration,
        make: impl Fn() -> Result<T, E> + Send + Sync + 'static,
        tell: fn(&E),
    ) -> Result<Self, E> {
        let seen = files.iter().map(Stamp::of).collect();
        Ok(Self {
            current: ArcSwap::from_pointee(make()?),
            watch: Mutex::new(Watch {
                next: Instant::now() + interval,
                seen,
            }),
            files,
            interval,
            make: Box::new(make),
            tell,
        })
    }

    /// The value, after a look at its files where one is due.
    pub fn current(&self) -> Arc<T> {
        if !self.interval.is_zero() && !self.files.is_empty() {
            self.look();
        }
        self.current.load_full()
    }

    fn look(&self) {
        // Whoever finds another one looking takes the value as it is.
        let Ok(mut watch) = self.watch.try_lock() else {
            return;
        };
        if Instant::now() < watch.next {
            return;
        }
        watch.next = Instant::now() + self.interval;
        let seen: Vec<_> = self.files.iter().map(Stamp::of).collect();
        if seen == watch.seen {
            return;
        }
        watch.seen = seen;
        match (self.make)() {
            Ok(value) => self.current.store(Arc::new(value)),
            Err(error) => (self.tell)(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(path: &std::path::Path, interval: Duration) -> Reloading<String, &'static str> {
        let file = path.to_owned();
        Reloading::new(
            vec![path.to_owned()],
            interval,
            move || {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                if text == "bad" {
                    return Err("bad");
                }
                Ok(text)
            },
            |error| assert_eq!(*error, "bad"),
        )
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn follows_a_file_once_the_interval_has_passed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        std::fs::write(&path, "one").unwrap();
        let value = follow(&path, Duration::from_secs(10));
        std::fs::write(&path, "second").unwrap();
        assert_eq!(*value.current(), "one");
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(*value.current(), "second");
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_what_it_has_when_the_file_turns_bad_and_recovers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        std::fs::write(&path, "one").unwrap();
        let value = follow(&path, Duration::from_secs(1));
        for (text, expected) in [("bad", "one"), ("fourth", "fourth")] {
            std::fs::write(&path, text).unwrap();
            tokio::time::advance(Duration::from_secs(2)).await;
            assert_eq!(*value.current(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_interval_reads_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        std::fs::write(&path, "one").unwrap();
        let value = follow(&path, Duration::ZERO);
        std::fs::write(&path, "second").unwrap();
        tokio::time::advance(Duration::from_secs(100_000)).await;
        assert_eq!(*value.current(), "one");
    }
}
