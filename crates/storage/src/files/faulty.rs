//! A file system in memory that knows what a power cut would leave, and fails on demand.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{File, Fs};

/// What reaches the disk in one piece.
const SECTOR_BYTES: usize = 512;

/// The file system; cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct Faulty(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Steps taken that change something.
    steps: u64,
    /// From this step on nothing works: the machine is off.
    crash_at: Option<u64>,
    fail_syncs: bool,
    /// Bytes by which files may still grow.
    room: Option<u64>,
}

#[derive(Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
}

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unsynced {
    /// Nothing.
    Lost,
    /// All of it, as after a kill of the process only.
    Kept,
    /// Some sectors, chosen by this seed; names as after a kill.
    Torn(u64),
}

impl Faulty {
    /// The machine goes off at step `step`.
    pub fn crash_at(&self, step: u64) {
        self.0.lock().crash_at = Some(step);
    }

    pub fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    pub fn fail_syncs(&self, fail: bool) {
        self.0.lock().fail_syncs = fail;
    }

    pub fn set_room(&self, bytes: Option<u64>) {
        self.0.lock().room = bytes;
    }

    /// What is found after the power is back.
    pub fn after_crash(&self, unsynced: Unsynced) -> Self {
        let state = self.0.lock();
        let names = match unsynced {
            Unsynced::Lost => state.durable_names.clone(),
            _ => state.names.clone(),
        };
        let inodes = state.inodes.iter().enumerate();
        let inodes = inodes.map(|(number, inode)| inode.after_crash(unsynced, number)).collect();
        Self(Arc::new(Mutex::new(State {
            inodes,
            durable_names: names.clone(),
            names,
            ..State::default()
        })))
    }

    /// The files whose names end so, in order.
    pub fn paths(&self, suffix: &str) -> Vec<PathBuf> {
        let state = self.0.lock();
        state
            .names
            .keys()
            .filter(|path| path.to_string_lossy().ends_with(suffix))
            .cloned()
            .collect()
    }

    pub fn contents(&self, path: &Path) -> Vec<u8> {
        let state = self.0.lock();
        state.inodes[state.names[path]].live.clone()
    }

    pub fn set_contents(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.0.lock();
        let number = state.names[path];
        state.inodes[number] = Inode { live: bytes.clone(), durable: bytes };
    }

    pub fn remove_now(&self, path: &Path) {
        let mut state = self.0.lock();
        state.names.remove(path);
        state.durable_names.remove(path);
    }
}

impl Inode {
    fn after_crash(&self, unsynced: Unsynced, number: usize) -> Self {
        let bytes = match unsynced {
            Unsynced::Lost => self.durable.clone(),
            Unsynced::Kept => self.live.clone(),
            Unsynced::Torn(seed) => self.torn(seed ^ (number as u64) << 32),
        };
        Self { live: bytes.clone(), durable: bytes }
    }

    fn torn(&self, mut seed: u64) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        bytes.resize(self.live.len(), 0);
        for (kept, live) in bytes.chunks_mut(SECTOR_BYTES).zip(self.live.chunks(SECTOR_BYTES)) {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if seed >> 63 == 1 {
                kept.copy_from_slice(live);
            }
        }
        bytes
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        self.steps += 1;
        if self.crash_at.is_some_and(|at| self.steps >= at) {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Fs for Faulty {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let inside = state.names.keys().filter(|path| path.parent() == Some(directory));
        let name =
            |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(inside.filter_map(name).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.0.lock();
        state.step()?;
        state.inodes.push(Inode::default());
        let number = state.inodes.len() - 1;
        state.names.insert(path.to_owned(), number);
        Ok(Arc::new(FaultyFile { state: self.0.clone(), number }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let number = self.0.lock().inode(path)?;
        Ok(Arc::new(FaultyFile { state: self.0.clone(), number }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        let number = state.inode(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), number);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.names.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.durable_names = state.names.clone();
        Ok(())
    }
}

struct FaultyFile {
    state: Arc<Mutex<State>>,
    number: usize,
}

impl File for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state.lock();
        let bytes = &state.inodes[self.number].live;
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step()?;
        let end = offset as usize + bytes.len();
        let grown = end.saturating_sub(state.inodes[self.number].live.len()) as u64;
        if let Some(room) = &mut state.room {
            *room = room.checked_sub(grown).ok_or(io::ErrorKind::StorageFull)?;
        }
        let live = &mut state.inodes[self.number].live;
        live.resize(live.len().max(end), 0);
        live[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step()?;
        if state.fail_syncs {
            return Err(io::Error::other("the disk does not answer"));
        }
        let inode = &mut state.inodes[self.number];
        inode.durable = inode.live.clone();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().inodes[self.number].live.len() as u64)
    }
}
