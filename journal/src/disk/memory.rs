//! A file system in memory that crashes where it is told to and forgets what was not synced.
//!
//! It is as unkind as the rules allow: of what was not synced, any subset survives a crash of
//! the machine, block by block and name by name.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, Entry, File};

/// Writes survive a crash in pieces of this size.
const BLOCK: usize = 512;

/// What the file system is to do wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Changes until the process dies: that one and all later calls fail. None is never.
    pub dies_after: Option<u64>,
    /// Bytes that all files together may have.
    pub capacity: Option<u64>,
    /// Whether syncs of files fail.
    pub syncs_fail: bool,
    /// Whether reads of files fail.
    pub reads_fail: bool,
}

/// A file system in memory. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    /// Names as the process sees them.
    names: BTreeMap<PathBuf, usize>,
    /// Names as they are on stable storage.
    kept: BTreeMap<PathBuf, usize>,
    /// Changes of names that are not.
    pending: Vec<(PathBuf, Option<usize>)>,
    directories: Vec<PathBuf>,
    faults: Faults,
    changes: u64,
    locked: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    bytes: Vec<u8>,
    stable: Vec<u8>,
    /// Writes and sizes since the last sync.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Size(usize),
}

impl MemoryDisk {
    /// Says what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.state();
        state.changes = 0;
        state.faults = faults;
    }

    /// Changes since the faults were set.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// What a machine that loses its power now finds when it comes back: all that was synced,
    /// and of the rest what `survives` says, change by change.
    #[must_use]
    pub fn after_power_loss(&self, survives: &mut dyn FnMut() -> bool) -> Self {
        let state = self.state();
        let mut names = state.kept.clone();
        for (path, node) in &state.pending {
            if survives() {
                match node {
                    Some(node) => _ = names.insert(path.clone(), *node),
                    None => _ = names.remove(path),
                }
            }
        }
        let nodes = state.nodes.iter().map(|node| node.survivor(survives));
        let nodes = nodes.collect();
        Self::of(names, nodes, state.directories.clone())
    }

    /// What the next process finds when this one is killed: every change that was made.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let state = self.state();
        let mut nodes = state.nodes.clone();
        for node in &mut nodes {
            node.stable.clone_from(&node.bytes);
            node.unsynced.clear();
        }
        Self::of(state.names.clone(), nodes, state.directories.clone())
    }

    fn of(names: BTreeMap<PathBuf, usize>, nodes: Vec<Node>, directories: Vec<PathBuf>) -> Self {
        Self(Arc::new(Mutex::new(State {
            nodes,
            kept: names.clone(),
            names,
            directories,
            ..State::default()
        })))
    }

    /// Changes the bytes of a file behind everybody's back.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.state();
        let node = state.node(path)?;
        let node = &mut state.nodes[node];
        change(&mut node.bytes);
        node.stable.clone_from(&node.bytes);
        node.unsynced.clear();
        Ok(())
    }

    /// Every file, with its size.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state();
        let size = |node: usize| state.nodes[node].bytes.len() as u64;
        let names = state.names.iter();
        names
            .map(|(path, node)| (path.clone(), size(*node)))
            .collect()
    }

    /// Takes a directory and all in it away, as somebody else would.
    pub fn remove_directory(&self, path: &Path) {
        let mut state = self.state();
        state.names.retain(|name, _| !name.starts_with(path));
        state.directories.retain(|name| !name.starts_with(path));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn survivor(&self, survives: &mut dyn FnMut() -> bool) -> Self {
        let mut bytes = self.stable.clone();
        for change in &self.unsynced {
            match change {
                Change::Size(size) if survives() => bytes.resize(*size, 0),
                Change::Size(_) => {}
                Change::Write { offset, bytes: new } => {
                    for (at, block) in (*offset..).step_by(BLOCK).zip(new.chunks(BLOCK)) {
                        if survives() {
                            overwrite(&mut bytes, at, block);
                        }
                    }
                }
            }
        }
        Self {
            stable: bytes.clone(),
            bytes,
            unsynced: Vec::new(),
        }
    }
}

fn overwrite(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}

impl State {
    /// Counts a change, or finds that the process is dead by now.
    fn change(&mut self) -> io::Result<()> {
        self.alive()?;
        self.changes += 1;
        self.alive()
    }

    fn alive(&self) -> io::Result<()> {
        let dead = |after| self.changes > after;
        if self.faults.dies_after.is_some_and(dead) {
            return Err(io::Error::other("the process is dead"));
        }
        Ok(())
    }

    fn node(&self, path: &Path) -> io::Result<usize> {
        self.alive()?;
        let node = self.names.get(path).copied();
        node.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn room_for(&self, more: usize) -> io::Result<()> {
        let used: usize = self
            .names
            .values()
            .map(|node| self.nodes[*node].bytes.len())
            .sum();
        let fits = |most| (used + more) as u64 <= most;
        if self.faults.capacity.is_none_or(fits) || more == 0 {
            return Ok(());
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    fn name(&mut self, path: &Path, node: Option<usize>) {
        match node {
            Some(node) => _ = self.names.insert(path.to_owned(), node),
            None => _ = self.names.remove(path),
        }
        self.pending.push((path.to_owned(), node));
    }

    fn create(&mut self, path: &Path) -> io::Result<usize> {
        self.change()?;
        let parent = path.parent().unwrap_or(Path::new(""));
        if !self.directories.iter().any(|known| known == parent) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.nodes.push(Node::default());
        let node = self.nodes.len() - 1;
        self.name(path, Some(node));
        Ok(node)
    }
}

impl Disk for MemoryDisk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        // Directories are made once and not worth losing: a queue without one starts anew.
        if !state.directories.iter().any(|known| known == path) {
            state.directories.push(path.to_owned());
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let state = self.state();
        state.alive()?;
        if !state.directories.iter().any(|known| known == path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let inside = |other: &&PathBuf| other.parent() == Some(path);
        let directories = state.directories.iter().filter(inside).map(|path| Entry {
            name: name(path),
            is_directory: true,
            size: 0,
        });
        let files = state.names.iter().filter(|(path, _)| inside(path));
        let files = files.map(|(path, node)| Entry {
            name: name(path),
            is_directory: false,
            size: state.nodes[*node].bytes.len() as u64,
        });
        Ok(directories.chain(files).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let node = self.state().create(path)?;
        Ok(Arc::new(MemoryFile(self.clone(), node)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let node = self.state().node(path)?;
        Ok(Arc::new(MemoryFile(self.clone(), node)))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.open(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Arc<dyn File>>> {
        let mut state = self.state();
        let node = match state.node(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => state.create(path)?,
            found => found?,
        };
        if state.locked.contains(&node) {
            return Ok(None);
        }
        state.locked.push(node);
        drop(state);
        Ok(Some(Arc::new(MemoryFile(self.clone(), node))))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.node(path)?;
        state.name(path, None);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let node = state.node(from)?;
        // The new name and the end of the old one may each survive alone; the new name is whole.
        state.name(to, Some(node));
        state.name(from, None);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let pending = std::mem::take(&mut state.pending);
        for (name, node) in pending {
            if name.parent() != Some(path) {
                state.pending.push((name, node));
                continue;
            }
            match node {
                Some(node) => _ = state.kept.insert(name, node),
                None => _ = state.kept.remove(&name),
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile(MemoryDisk, usize);

impl MemoryFile {
    fn resize(&self, size: u64, shrink: bool) -> io::Result<()> {
        let mut state = self.0.state();
        state.change()?;
        let size = usize::try_from(size).map_err(io::Error::other)?;
        let now = state.nodes[self.1].bytes.len();
        if size < now && !shrink {
            return Ok(());
        }
        state.room_for(size.saturating_sub(now))?;
        let node = &mut state.nodes[self.1];
        node.bytes.resize(size, 0);
        node.unsynced.push(Change::Size(size));
        Ok(())
    }
}

impl File for MemoryFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.0.state();
        state.alive()?;
        if state.faults.reads_fail {
            return Err(io::Error::other("the device reports an error"));
        }
        let held = &state.nodes[self.1].bytes;
        let start = usize::try_from(offset).map_or(held.len(), |start| start.min(held.len()));
        let some = bytes.len().min(held.len() - start);
        bytes[..some].copy_from_slice(&held[start..start + some]);
        Ok(some)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut state = self.0.state();
        state.change()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let now = state.nodes[self.1].bytes.len();
        state.room_for((offset + bytes.len()).saturating_sub(now))?;
        let node = &mut state.nodes[self.1];
        overwrite(&mut node.bytes, offset, &bytes);
        let written = bytes.len();
        node.unsynced.push(Change::Write { offset, bytes });
        Ok(written)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        self.resize(size, false)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.resize(size, true)
    }

    fn size(&self) -> io::Result<u64> {
        let state = self.0.state();
        state.alive()?;
        Ok(state.nodes[self.1].bytes.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.state();
        state.change()?;
        if state.faults.syncs_fail {
            // As kernels do: what could not be written counts as written from here on.
            state.nodes[self.1].unsynced.clear();
            return Err(io::Error::other("the device reports an error"));
        }
        let node = &mut state.nodes[self.1];
        node.stable.clone_from(&node.bytes);
        node.unsynced.clear();
        Ok(())
    }

    fn is_linked(&self) -> io::Result<bool> {
        let state = self.0.state();
        state.alive()?;
        Ok(state.names.values().any(|node| *node == self.1))
    }

    fn unlock(&self) {
        self.0.state().locked.retain(|node| *node != self.1);
    }
}
