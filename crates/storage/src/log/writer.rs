//! Takes what is queued, writes it with one write, syncs once, tells the callers in order.
//!
//! The log's thread does that. A caller that has nothing else to do may do it in the thread's place
//! ([`Writer::can_append_here`]): whoever holds the writer is the one who takes from the queue.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::format::{Draft, Kind, SEAL_BYTES, Summary, encode, record_bytes, segment_name};
use super::queue::{Job, Taken};
use super::recovery::{End, Recovered};
use super::spares::{Spare, write_zeros};
use super::view::{MARK_DISTANCE_BYTES, Mark, Segment};
use super::{FIRST_SEGMENT_BYTES, LogOptions, Shared, SyncObserver};
use crate::files::{File, Fs};
use crate::position::LogPosition;

/// The buffer is given back to the allocator when a batch made it longer than this, bytes.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// A caller waits for a sync itself only while they are quicker than this: its thread has other
/// work, which must not stand still with a disk that does.
const SYNC_MAX_HERE: Duration = Duration::from_millis(5);

/// Largest write of a caller that does it itself, bytes.
const WRITE_BYTES_MAX_HERE: usize = 64 << 10;

/// The segment being written.
struct Active {
    file: Arc<dyn File>,
    path: PathBuf,
    sequence: u64,
    capacity: u64,
    /// End of what is synced, bytes: the next write begins here.
    written: u64,
    index_max: Option<u64>,
    /// Where the last mark stands; 0 when the next entry needs one.
    last_mark: u64,
}

/// A change of the marks, made visible when the batch is synced.
enum MarkChange {
    Add(Mark),
    DropAfter(Option<LogPosition>),
}

pub(super) struct Writer {
    fs: Arc<dyn Fs>,
    shared: Arc<Shared>,
    directory: PathBuf,
    segment_bytes: u64,
    sync_observer: Option<SyncObserver>,
    active: Active,
    /// What the next segment header repeats.
    summary: Summary,
    /// Checksum of the last record.
    checksum: u32,
    /// Records that are not written yet; they go to `active.written`.
    buffer: Vec<u8>,
    mark_changes: Vec<MarkChange>,
    /// How long the last sync took.
    last_sync: Duration,
    /// Set for ever by the first failed write or sync: the state of the file is unknown then.
    poison: Option<(io::ErrorKind, String)>,
}

impl Writer {
    pub fn new(
        fs: Arc<dyn Fs>,
        shared: Arc<Shared>,
        options: &LogOptions,
        recovered: &Recovered,
    ) -> Self {
        let active = match shared.view.read().segments.last_key_value() {
            Some((&sequence, segment)) => Active {
                file: segment.file.clone(),
                path: segment.path.clone(),
                sequence,
                capacity: segment.capacity,
                written: segment.end,
                index_max: segment.index_max,
                last_mark: 0,
            },
            // Stands for the segment before the first one; `start` replaces it.
            None => Active {
                file: Arc::new(NoFile),
                path: PathBuf::new(),
                sequence: 0,
                capacity: 0,
                written: 0,
                index_max: None,
                last_mark: 0,
            },
        };
        Self {
            fs,
            shared,
            directory: options.directory.clone(),
            segment_bytes: options.segment_bytes,
            sync_observer: options.sync_observer.clone(),
            active,
            summary: recovered.summary.clone(),
            checksum: recovered.checksum,
            buffer: Vec::new(),
            mark_changes: Vec::new(),
            last_sync: Duration::MAX,
            poison: None,
        }
    }

    /// Makes the log ready to write and syncs what was found, so that nothing is reported that a
    /// power cut could still take away.
    pub fn start(&mut self, end: End) -> io::Result<()> {
        match end {
            End::Open => {}
            End::Empty => self.put_header()?,
            End::Sealed => self.make_segment()?,
        }
        let mut nonce = [0; 16];
        rustix::rand::getrandom(&mut nonce, rustix::rand::GetRandomFlags::empty())?;
        let (term, index) = nonce.split_at(8);
        let draft = Draft {
            kind: Kind::Opened,
            tag: 0,
            position: LogPosition::new(
                u64::from_le_bytes(term.try_into().expect("eight bytes")),
                u64::from_le_bytes(index.try_into().expect("eight bytes")),
            ),
            payload: &[],
        };
        // When there is no room for it the chain goes on in a new segment, which is as good.
        if self.fits(record_bytes(0)) {
            self.put(&draft)?;
        }
        self.write_and_sync()?;
        self.publish(None);
        self.want_spare();
        if let Some(purged) = self.summary.purged {
            self.recycle(purged.index);
        }
        Ok(())
    }

    /// Works until the log is closed.
    pub fn run(writer: &Mutex<Self>) {
        let shared = writer.lock().shared.clone();
        while shared.queue.wait() {
            let mut writer = writer.lock();
            let taken = shared.queue.take();
            writer.batch(taken);
        }
    }

    /// Whether a caller may append these itself: it waits for one sync of a quick disk, and for
    /// nothing else.
    pub fn can_append_here(&self, records: &[super::LogRecord]) -> bool {
        let sizes = records.iter().map(|record| record_bytes(record.payload.len()));
        // A committed position may come along.
        let size = sizes.sum::<usize>() + record_bytes(0);
        self.poison.is_none()
            && self.last_sync <= SYNC_MAX_HERE
            && size <= WRITE_BYTES_MAX_HERE
            && self.fits(size)
            && self.shared.queue.is_empty()
    }

    /// Writes, syncs and tells.
    pub fn batch(&mut self, taken: Taken) {
        if taken.is_empty() {
            return;
        }
        if self.poison.is_none()
            && let Err(error) = self.write_batch(&taken)
        {
            self.poison = Some((error.kind(), error.to_string()));
        }
        let mut purged = None;
        for job in taken.jobs {
            if let Job::Purge { upto, .. } = &job {
                purged = purged.max(Some(upto.index));
            }
            job.finish(self.outcome());
        }
        if let Some(upto) = purged.filter(|_| self.poison.is_none()) {
            self.recycle(upto);
        }
    }

    fn outcome(&self) -> io::Result<()> {
        match &self.poison {
            None => Ok(()),
            Some((kind, text)) => {
                Err(io::Error::new(*kind, format!("raft log has stopped: {text}")))
            }
        }
    }

    fn write_batch(&mut self, taken: &Taken) -> io::Result<()> {
        if let Some(position) = taken.committed {
            self.put(&Draft { kind: Kind::Committed, tag: 0, position, payload: &[] })?;
            self.summary.committed = Some(position);
        }
        let mut last_job = None;
        for job in &taken.jobs {
            last_job = self.put_job(job)?.or(last_job);
        }
        self.write_and_sync()?;
        self.publish(last_job);
        Ok(())
    }

    fn put_job(&mut self, job: &Job) -> io::Result<Option<u64>> {
        match job {
            Job::Append { job, records, .. } => {
                for record in records {
                    self.put_entry(record)?;
                }
                Ok(Some(*job))
            }
            Job::Vote { vote, .. } => {
                let position = LogPosition::default();
                self.put(&Draft { kind: Kind::Vote, tag: 0, position, payload: vote })?;
                self.summary.vote = Some(vote.clone());
                Ok(None)
            }
            Job::TruncateAfter { job, keep, .. } => {
                let position = keep.unwrap_or_default();
                let tag = u8::from(keep.is_none());
                self.put(&Draft { kind: Kind::TruncateAfter, tag, position, payload: &[] })?;
                self.summary.truncate_after(*keep);
                self.mark_changes.push(MarkChange::DropAfter(*keep));
                self.active.last_mark = 0;
                Ok(Some(*job))
            }
            Job::Purge { job, upto, .. } => {
                self.put(&Draft { kind: Kind::Purged, tag: 0, position: *upto, payload: &[] })?;
                self.summary.purge(*upto);
                Ok(Some(*job))
            }
            Job::Refused(..) => Ok(None),
        }
    }

    fn put_entry(&mut self, record: &super::LogRecord) -> io::Result<()> {
        let index = record.position.index;
        let offset = self.put(&Draft {
            kind: Kind::Entry,
            tag: record.kind,
            position: record.position,
            payload: &record.payload,
        })?;
        self.summary.last = Some(record.position);
        self.active.index_max = self.active.index_max.max(Some(index));
        let last_mark = self.active.last_mark;
        if last_mark == 0 || offset >= last_mark + MARK_DISTANCE_BYTES {
            self.active.last_mark = offset;
            let mark = Mark { index, sequence: self.active.sequence, offset };
            self.mark_changes.push(MarkChange::Add(mark));
        }
        Ok(())
    }

    /// Adds a record to the buffer, in a new segment if it does not fit; returns its offset.
    fn put(&mut self, draft: &Draft<'_>) -> io::Result<u64> {
        let size = record_bytes(draft.payload.len());
        if !self.fits(size) {
            self.roll(size)?;
        }
        Ok(self.put_here(draft))
    }

    fn fits(&self, record_bytes: usize) -> bool {
        self.end() + (record_bytes + SEAL_BYTES) as u64 <= self.active.capacity
    }

    fn end(&self) -> u64 {
        self.active.written + self.buffer.len() as u64
    }

    fn put_here(&mut self, draft: &Draft<'_>) -> u64 {
        let offset = self.end();
        let batch = u32::try_from(self.active.written).expect("segments are at most 1 GiB");
        self.checksum = encode(&mut self.buffer, self.active.sequence, self.checksum, batch, draft);
        offset
    }

    fn put_header(&mut self) -> io::Result<()> {
        let payload = self.summary.encode(self.active.sequence);
        let position = LogPosition::default();
        if !self.fits(record_bytes(payload.len())) {
            return Err(io::Error::other("the segment is too short for its header"));
        }
        self.put_here(&Draft { kind: Kind::Header, tag: 0, position, payload: &payload });
        Ok(())
    }

    /// Seals the active segment and goes on in a spare that has room for the record.
    fn roll(&mut self, record: usize) -> io::Result<()> {
        let position = self.summary.last.unwrap_or_default();
        self.put_here(&Draft { kind: Kind::Seal, tag: 0, position, payload: &[] });
        self.write_and_sync()?;
        self.publish(None);
        let header = record_bytes(self.summary.encode(0).len());
        let needed = (header + record + SEAL_BYTES) as u64;
        let spare = self.shared.spares.take(needed)?;
        self.activate(spare)?;
        self.put_header()?;
        self.want_spare();
        Ok(())
    }

    /// Gives the spare its name as the next segment. The header is synced with what follows it:
    /// until then recovery takes the segment for empty.
    fn activate(&mut self, spare: Spare) -> io::Result<()> {
        let sequence = self.active.sequence + 1;
        let first_index = self.summary.last.map_or(0, |last| last.index + 1);
        let path = self.directory.join(segment_name(sequence, first_index));
        self.fs.rename(&spare.path, &path)?;
        self.fs.sync_dir(&self.directory)?;
        self.active = Active {
            file: spare.file,
            path,
            sequence,
            capacity: spare.capacity,
            written: 0,
            index_max: None,
            last_mark: 0,
        };
        Ok(())
    }

    /// Makes the first segment of a log, or the one after a seal, before the threads run.
    fn make_segment(&mut self) -> io::Result<()> {
        let header = record_bytes(self.summary.encode(0).len());
        let capacity = FIRST_SEGMENT_BYTES
            .min(self.segment_bytes)
            .max((header + record_bytes(0) + SEAL_BYTES) as u64);
        let path = self.directory.join("first.filling");
        let file = write_zeros(self.fs.as_ref(), &path, capacity, &|| false)?;
        self.activate(Spare { file, path, capacity })?;
        self.put_header()
    }

    fn want_spare(&self) {
        let doubled = (self.active.capacity * 2).max(FIRST_SEGMENT_BYTES);
        self.shared.spares.want(doubled.min(self.segment_bytes));
    }

    fn write_and_sync(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.active.file.write_at(&self.buffer, self.active.written)?;
        }
        let begin = Instant::now();
        self.active.file.sync()?;
        self.last_sync = begin.elapsed();
        if let Some(observer) = &self.sync_observer {
            observer(self.last_sync);
        }
        self.active.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        Ok(())
    }

    /// Lets readers find on disk what was synced, and lets it leave memory.
    fn publish(&mut self, last_job: Option<u64>) {
        let mut view = self.shared.view.write();
        let segment = Segment {
            file: self.active.file.clone(),
            path: self.active.path.clone(),
            capacity: self.active.capacity,
            end: self.active.written,
            index_max: self.active.index_max,
        };
        view.segments.insert(self.active.sequence, segment);
        for change in self.mark_changes.drain(..) {
            match change {
                MarkChange::Add(mark) => view.marks.push_back(mark),
                MarkChange::DropAfter(keep) => view.drop_marks_after(keep),
            }
        }
        if let Some(job) = last_job {
            view.synced(job);
        }
    }

    fn recycle(&self, upto: u64) {
        let purged = self.shared.view.write().take_purged(upto);
        let spares = purged.into_iter().map(|segment| Spare {
            file: segment.file,
            path: segment.path,
            capacity: segment.capacity,
        });
        self.shared.spares.retire(spares);
    }
}

/// Stands where no segment exists yet; it is never written to.
struct NoFile;

impl File for NoFile {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(0)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::Error::other("no segment is open"))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }
}
