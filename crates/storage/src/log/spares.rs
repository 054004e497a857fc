//! Files made ready before they are needed: zero-written and synced, so that a sync of the log
//! never has to record a new file size or extent, and so that a full disk is noticed while there
//! is still room in the active segment.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::format::SPARE_SUFFIX;
use crate::files::{File, Fs};

/// Most spares kept; purged segments beyond that are deleted.
const SPARES_MAX: usize = 2;
/// One step of zero-writing, bytes.
const FILL_STEP_BYTES: usize = 256 << 10;
/// Pause before the next attempt while the disk is full.
const FULL_RETRY: Duration = Duration::from_millis(500);
/// A spare that is still being filled.
const UNFINISHED_SUFFIX: &str = ".filling";

/// A file of zeros, or of records of an earlier life, that waits to become a segment.
pub(super) struct Spare {
    pub file: Arc<dyn File>,
    pub path: PathBuf,
    pub capacity: u64,
}

/// The stock of spares and the thread that fills it up.
pub(super) struct Spares {
    state: Mutex<State>,
    /// The thread waits here for work.
    work: Condvar,
    /// The log's writer waits here for a spare.
    ready: Condvar,
    fs: Arc<dyn Fs>,
    directory: PathBuf,
    /// Size at which files are worth keeping, bytes.
    segment_bytes: u64,
}

struct State {
    ready: Vec<Spare>,
    /// Files of purged segments, to be kept or deleted.
    retired: VecDeque<Spare>,
    /// Capacity the next spare must have, bytes; 0 before the first request.
    wanted: u64,
    next_number: u64,
    disk_full: bool,
    failed: Option<(io::ErrorKind, String)>,
    /// The writer is to end: it no longer waits for room on a full disk.
    draining: bool,
    closing: bool,
}

enum Work {
    Retire(Spare),
    Fill { number: u64, capacity: u64 },
    Stop,
}

impl Spares {
    /// Takes over the spares an earlier process left and removes unfinished ones.
    pub fn open(fs: Arc<dyn Fs>, directory: &Path, segment_bytes: u64) -> io::Result<Arc<Self>> {
        let mut state = State {
            ready: Vec::new(),
            retired: VecDeque::new(),
            wanted: 0,
            next_number: 1,
            disk_full: false,
            failed: None,
            draining: false,
            closing: false,
        };
        for name in fs.list(directory)? {
            let path = directory.join(&name);
            if name.ends_with(UNFINISHED_SUFFIX) {
                fs.remove(&path)?;
            } else if let Some(number) = name.strip_suffix(SPARE_SUFFIX) {
                let number = number.parse().unwrap_or(0);
                state.next_number = state.next_number.max(number + 1);
                let file = fs.open(&path)?;
                let capacity = file.len()?;
                state.ready.push(Spare { file, path, capacity });
            }
        }
        Ok(Arc::new(Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            ready: Condvar::new(),
            fs,
            directory: directory.to_owned(),
            segment_bytes,
        }))
    }

    /// Starts the thread.
    pub fn start(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let spares = self.clone();
        std::thread::Builder::new().name("log-spares".to_owned()).spawn(move || spares.run())
    }

    /// Asks for a spare of at least `capacity` bytes to be ready some time later.
    pub fn want(&self, capacity: u64) {
        self.state.lock().wanted = capacity;
        self.work.notify_one();
    }

    /// Takes a spare of at least `capacity` bytes, waiting until there is one: while the disk is
    /// full the log stands still rather than fails.
    ///
    /// # Errors
    /// When making one failed for another reason than a full disk, or the log is being closed.
    pub fn take(&self, capacity: u64) -> io::Result<Spare> {
        let mut state = self.state.lock();
        loop {
            if let Some(at) = state.ready.iter().position(|spare| spare.capacity >= capacity) {
                return Ok(state.ready.swap_remove(at));
            }
            if let Some((kind, text)) = &state.failed {
                return Err(io::Error::new(*kind, text.clone()));
            }
            if state.closing || (state.draining && state.disk_full) {
                return Err(io::Error::other("the log was closed while the disk was full"));
            }
            state.wanted = state.wanted.max(capacity);
            self.work.notify_one();
            self.ready.wait(&mut state);
        }
    }

    /// Gives back the files of purged segments, oldest first.
    pub fn retire(&self, files: impl Iterator<Item = Spare>) {
        self.state.lock().retired.extend(files);
        self.work.notify_one();
    }

    /// Whether the next segment is there or can be made.
    pub fn has_room(&self) -> bool {
        !self.state.lock().disk_full
    }

    /// Bytes the waiting spares take on disk.
    pub fn bytes(&self) -> u64 {
        self.state.lock().ready.iter().map(|spare| spare.capacity).sum()
    }

    /// Ends waiting for room on a full disk; other waits go on.
    pub fn drain(&self) {
        self.state.lock().draining = true;
        self.ready.notify_all();
    }

    /// Makes the thread end and [`Self::take`] fail.
    pub fn close(&self) {
        self.state.lock().closing = true;
        self.work.notify_all();
        self.ready.notify_all();
    }

    fn run(&self) {
        loop {
            match self.next_work() {
                Work::Stop => return,
                Work::Retire(file) => {
                    if let Err(error) = self.keep_or_delete(file) {
                        self.fail("recycling a segment", &error);
                    }
                }
                Work::Fill { number, capacity } => self.fill(number, capacity),
            }
        }
    }

    fn next_work(&self) -> Work {
        let mut state = self.state.lock();
        loop {
            if state.closing || state.failed.is_some() {
                return Work::Stop;
            }
            if let Some(file) = state.retired.pop_front() {
                return Work::Retire(file);
            }
            let wanted = state.wanted;
            if wanted > 0 && !state.ready.iter().any(|spare| spare.capacity >= wanted) {
                state.next_number += 1;
                return Work::Fill { number: state.next_number - 1, capacity: wanted };
            }
            self.work.wait(&mut state);
        }
    }

    fn keep_or_delete(&self, file: Spare) -> io::Result<()> {
        let number = {
            let mut state = self.state.lock();
            let keep = file.capacity == self.segment_bytes && state.ready.len() < SPARES_MAX;
            state.next_number += u64::from(keep);
            keep.then(|| state.next_number - 1)
        };
        let Some(number) = number else {
            self.fs.remove(&file.path)?;
            return self.fs.sync_dir(&self.directory);
        };
        let path = self.spare_path(number);
        self.fs.rename(&file.path, &path)?;
        self.fs.sync_dir(&self.directory)?;
        self.add(Spare { path, ..file });
        Ok(())
    }

    fn fill(&self, number: u64, capacity: u64) {
        let path = self.spare_path(number);
        let unfinished = path.with_extension(&UNFINISHED_SUFFIX[1..]);
        match write_zeros(self.fs.as_ref(), &unfinished, capacity, &|| self.state.lock().closing)
            .and_then(|file| self.fs.rename(&unfinished, &path).map(|()| file))
            .and_then(|file| self.fs.sync_dir(&self.directory).map(|()| file))
        {
            Ok(file) => self.add(Spare { file, path, capacity }),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.wait_for_room(&unfinished);
            }
            // Closing while filling: the next process removes the unfinished file.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.fail("preparing a segment", &error),
        }
    }

    /// Gives the bytes back, so that the database beside the log can use what is left, and pauses.
    fn wait_for_room(&self, unfinished: &Path) {
        // The file may not even have been made; another attempt empties it anyway.
        let _ = self.fs.remove(unfinished);
        let mut state = self.state.lock();
        state.disk_full = true;
        self.ready.notify_all();
        if !state.closing && state.retired.is_empty() {
            self.work.wait_for(&mut state, FULL_RETRY);
        }
    }

    fn add(&self, spare: Spare) {
        let mut state = self.state.lock();
        state.ready.push(spare);
        state.disk_full = false;
        drop(state);
        self.ready.notify_all();
    }

    fn fail(&self, doing: &str, error: &io::Error) {
        self.state.lock().failed = Some((error.kind(), format!("{doing}: {error}")));
        self.ready.notify_all();
    }

    fn spare_path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:010}{SPARE_SUFFIX}"))
    }
}

/// Makes a file of `capacity` zero bytes and syncs it.
///
/// # Errors
/// When the disk refuses; `Interrupted` when `stop` says so.
pub(super) fn write_zeros(
    fs: &dyn Fs,
    path: &Path,
    capacity: u64,
    stop: &dyn Fn() -> bool,
) -> io::Result<Arc<dyn File>> {
    let file = fs.create(path)?;
    let zeros = vec![0; FILL_STEP_BYTES.min(usize::try_from(capacity).unwrap_or(FILL_STEP_BYTES))];
    let mut offset = 0;
    while offset < capacity {
        if stop() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let step = usize::try_from(capacity - offset).unwrap_or(usize::MAX).min(zeros.len());
        file.write_at(&zeros[..step], offset)?;
        offset += step as u64;
    }
    file.sync()?;
    Ok(file)
}
