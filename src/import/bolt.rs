//! Reads databases of bbolt, in which the Collector's `file_storage` keeps what components note.
//!
//! ```text
//! meta, meta ─▶ root page ─▶ branch pages ─▶ leaf pages: keys with values, or with buckets of their own
//! ```
//!
//! A file is opened to be read, and nothing of it is trusted: every page is told by its number, every
//! offset is looked at before it is followed, and no page is read twice on one way through.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use rustix::fs::FlockOperation;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// Bytes of the head of a page, and of an element's entry in its list.
const HEAD: usize = 16;
/// Bytes of a meta page that mean something, with the checksum at their end.
const META: usize = 64;
/// Bytes before a bucket's inline page.
const BUCKET: usize = 16;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
/// The flag of an element that is a bucket.
const IS_BUCKET: u32 = 1;
/// The largest page, with those that belong to it: the largest value that is taken.
const LARGEST: u64 = 1 << 30;
/// Levels of pages; with two keys in each, as many as could ever be.
const DEEPEST: usize = 64;

/// A database that nobody writes to meanwhile.
#[derive(Debug)]
pub(crate) struct Database {
    file: File,
    page_size: u64,
    /// Pages in use are below this number.
    end: u64,
    root: u64,
}

/// A bucket: keys and values, in order.
#[derive(Debug)]
pub(crate) struct Bucket<'d> {
    database: &'d Database,
    root: Root,
}

#[derive(Debug)]
enum Root {
    Page(u64),
    Inline(Page),
}

/// A page with those that it runs over into, or the small one that a bucket's value holds.
#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    number: u64,
    flags: u16,
    count: usize,
}

/// An element of a page.
enum Element<'p> {
    Branch { key: &'p [u8], page: u64 },
    Bucket { key: &'p [u8], value: &'p [u8] },
    Value { key: &'p [u8], value: &'p [u8] },
}

impl Element<'_> {
    const fn key(&self) -> &[u8] {
        match self {
            Self::Branch { key, .. } | Self::Bucket { key, .. } | Self::Value { key, .. } => key,
        }
    }
}

/// What a meta page says.
struct Meta {
    page_size: u64,
    root: u64,
    end: u64,
    transaction: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// FNV-1a, by which a meta page is checked.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Database {
    /// Opens a database that no process writes to.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).context("it cannot be opened")?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                bail!("a process works on it; stop the Collector first")
            }
            Err(error) => return Err(io::Error::from(error)).context("it cannot be locked"),
        }
        let length = file.metadata().context("it cannot be looked at")?.len();
        let meta = meta(&file)?;
        let needed = meta.end.checked_mul(meta.page_size);
        let needed = needed.context("it says that it is larger than any file")?;
        ensure!(
            needed <= length,
            "it is cut off: it has {length} bytes and needs {needed}"
        );
        ensure!(
            (2..meta.end).contains(&meta.root),
            "its root is page {}, and there are {}",
            meta.root,
            meta.end
        );
        Ok(Self {
            file,
            page_size: meta.page_size,
            end: meta.end,
            root: meta.root,
        })
    }

    /// A bucket of the first level; none where there is none of the name.
    pub(crate) fn bucket(&self, name: &[u8]) -> anyhow::Result<Option<Bucket<'_>>> {
        let top = Bucket {
            database: self,
            root: Root::Page(self.root),
        };
        let mut found = None;
        top.walk(&mut |element| {
            if let Element::Bucket { key, value } = element
                && key == name
            {
                found = Some(self.bucket_of(value)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn bucket_of(&self, value: &[u8]) -> anyhow::Result<Bucket<'_>> {
        let root = u64_at(value, 0).filter(|_| value.len() >= BUCKET);
        let root = match root.context("a bucket is cut off")? {
            0 => Root::Inline(Page::of(value[BUCKET..].to_vec(), 0)?),
            page => Root::Page(page),
        };
        Ok(Bucket {
            database: self,
            root,
        })
    }

    /// Reads a page with those that it runs over into.
    fn page(&self, number: u64) -> anyhow::Result<Page> {
        ensure!(
            (2..self.end).contains(&number),
            "something leads to page {number}, and there are {}",
            self.end
        );
        let mut head = [0; HEAD];
        let at = number * self.page_size;
        let cannot_be_read = || format!("page {number} cannot be read");
        self.file
            .read_exact_at(&mut head, at)
            .with_context(cannot_be_read)?;
        ensure!(
            u64_at(&head, 0) == Some(number),
            "page {number} is not what it should be"
        );
        let more = u64::from(u32_at(&head, 12).unwrap_or_default());
        let size = (more + 1) * self.page_size;
        ensure!(
            number + more < self.end && size <= LARGEST,
            "page {number} runs over into {more} more, which are not there or too many"
        );
        let size = usize::try_from(size).with_context(cannot_be_read)?;
        let mut bytes = vec![0; size];
        self.file
            .read_exact_at(&mut bytes, at)
            .with_context(cannot_be_read)?;
        Page::of(bytes, number)
    }
}

/// The newer one of the two meta pages, or the one that is sound.
fn meta(file: &File) -> anyhow::Result<Meta> {
    let read = |at: u64| {
        let mut bytes = [0; HEAD + META];
        file.read_exact_at(&mut bytes, at).ok()?;
        Meta::of(&bytes[HEAD..])
    };
    let first = read(0);
    let second = match &first {
        Some(first) => read(first.page_size),
        // The size of pages is in the page that is not sound.
        None => {
            (9..=16).find_map(|power| read(1 << power).filter(|meta| meta.page_size == 1 << power))
        }
    };
    let newest = [first, second].into_iter().flatten();
    newest
        .max_by_key(|meta| meta.transaction)
        .context("it is no database of bbolt, or both pages that say what is in it are damaged")
}

impl Meta {
    fn of(bytes: &[u8]) -> Option<Self> {
        let sound = u32_at(bytes, 0)? == MAGIC
            && u32_at(bytes, 4)? == VERSION
            && u64_at(bytes, META - 8)? == checksum(&bytes[..META - 8]);
        let page_size = u64::from(u32_at(bytes, 8)?);
        let plausible = page_size.is_power_of_two() && (512..=1 << 16).contains(&page_size);
        (sound && plausible).then_some(())?;
        Some(Self {
            page_size,
            root: u64_at(bytes, 16)?,
            end: u64_at(bytes, 40)?,
            transaction: u64_at(bytes, 48)?,
        })
    }
}

impl Page {
    fn of(bytes: Vec<u8>, number: u64) -> anyhow::Result<Self> {
        let (flags, count) = (u16_at(&bytes, 8), u16_at(&bytes, 10));
        let (flags, count) = flags.zip(count).context("a page is cut off")?;
        let page = Self {
            number,
            flags,
            count: count.into(),
            bytes,
        };
        ensure!(
            flags == BRANCH || flags == LEAF,
            "page {number} is neither a branch nor a leaf"
        );
        Ok(page)
    }

    fn element(&self, index: usize) -> anyhow::Result<Element<'_>> {
        let damaged = || format!("element {index} of page {} is damaged", self.number);
        self.look_at(index).with_context(damaged)
    }

    fn look_at(&self, index: usize) -> Option<Element<'_>> {
        let at = HEAD + index * HEAD;
        let number = |offset: usize| u32_at(&self.bytes, at + offset);
        let part = |start: usize, length: u32| {
            let end = start.checked_add(length as usize)?;
            self.bytes.get(start..end)
        };
        if self.flags == BRANCH {
            let key = part(at.checked_add(number(0)? as usize)?, number(4)?)?;
            let page = u64_at(&self.bytes, at + 8)?;
            return Some(Element::Branch { key, page });
        }
        let start = at.checked_add(number(4)? as usize)?;
        let key = part(start, number(8)?)?;
        let value = part(start + key.len(), number(12)?)?;
        Some(match number(0)? {
            IS_BUCKET => Element::Bucket { key, value },
            _ => Element::Value { key, value },
        })
    }
}

/// A way through a bucket.
struct Walk<'w> {
    /// Pages that may still be read.
    left: u64,
    last: Option<Vec<u8>>,
    each: &'w mut dyn FnMut(Element<'_>) -> anyhow::Result<()>,
}

impl Bucket<'_> {
    /// Gives every key with its value, in order; buckets within it are passed over.
    pub(crate) fn each(
        &self,
        mut each: impl FnMut(&[u8], &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.walk(&mut |element| match element {
            Element::Value { key, value } => each(key, value),
            Element::Bucket { .. } | Element::Branch { .. } => Ok(()),
        })
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let mut page = match &self.root {
            Root::Inline(page) => return value_in(page, key),
            Root::Page(number) => self.database.page(*number)?,
        };
        for _ in 0..DEEPEST {
            if page.flags == LEAF {
                return value_in(&page, key);
            }
            // The last branch whose first key is not beyond this one.
            let mut next = None;
            for index in 0..page.count {
                match page.element(index)? {
                    Element::Branch { key: first, page } if first <= key || index == 0 => {
                        next = Some(page);
                    }
                    _ => break,
                }
            }
            let Some(next) = next else {
                return Ok(None);
            };
            page = self.database.page(next)?;
        }
        bail!("its pages are nested deeper than {DEEPEST} levels")
    }

    fn walk(&self, each: &mut dyn FnMut(Element<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut walk = Walk {
            left: self.database.end,
            last: None,
            each,
        };
        match &self.root {
            Root::Inline(page) => walk.page(self.database, page, DEEPEST),
            Root::Page(number) => walk.number(self.database, *number, DEEPEST),
        }
    }
}

impl Walk<'_> {
    fn number(&mut self, database: &Database, number: u64, deeper: usize) -> anyhow::Result<()> {
        let page = database.page(number)?;
        let size = page.bytes.len() as u64 / database.page_size;
        self.left = self
            .left
            .checked_sub(size)
            .context("its pages lead to each other in a circle")?;
        self.page(database, &page, deeper)
    }

    fn page(&mut self, database: &Database, page: &Page, deeper: usize) -> anyhow::Result<()> {
        let deeper = deeper
            .checked_sub(1)
            .context("its pages are nested too deeply")?;
        for index in 0..page.count {
            let element = page.element(index)?;
            if let Element::Branch { page, .. } = element {
                self.number(database, page, deeper)?;
                continue;
            }
            let key = element.key();
            ensure!(
                self.last.as_deref().is_none_or(|last| last < key),
                "the keys of page {} are out of order",
                page.number
            );
            self.last = Some(key.to_vec());
            (self.each)(element)?;
        }
        Ok(())
    }
}

fn value_in(page: &Page, wanted: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    for index in 0..page.count {
        if let Element::Value { key, value } = page.element(index)?
            && key == wanted
        {
            return Ok(Some(value.to_vec()));
        }
    }
    Ok(None)
}
