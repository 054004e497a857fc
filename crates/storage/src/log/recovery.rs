//! Reading a log back: what is in force, where writing goes on, and whether what is missing at the
//! end was torn or damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::error::LogError;
use super::format::{
    ALIGNMENT, HEADER_BYTES, Header, Kind, Summary, SummaryError, is_intact, segment_sequence,
};
use super::view::{MARK_DISTANCE_BYTES, Mark, Segment, View};
use super::window::Window;
use crate::files::{File, Fs};
use crate::position::LogPosition;

/// A log as it was found.
pub(super) struct Recovered {
    /// Votes and positions in force.
    pub summary: Summary,
    /// Segments and marks.
    pub view: View,
    /// Checksum of the last record.
    pub checksum: u32,
    /// The last segment ends with a seal, or has no usable header: writing goes on in a new one.
    pub end: End,
    /// Segments that a purge which was interrupted left behind; nothing in them is needed.
    pub leftover: Vec<PathBuf>,
}

/// How the last segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Room for more.
    Open,
    /// A seal: the next segment had not come into being.
    Sealed,
    /// Not even its header was synced: it is to be written again.
    Empty,
}

/// The segment files of a directory, ascending by sequence number.
pub(super) fn segment_files(
    fs: &dyn Fs,
    directory: &Path,
) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let names = fs.list(directory).map_err(|error| LogError::io("listing", directory, error))?;
    let mut files: Vec<_> = names
        .iter()
        .filter_map(|name| Some((segment_sequence(name)?, directory.join(name))))
        .collect();
    files.sort();
    Ok(files)
}

/// Reads the segments, which are not none.
///
/// # Errors
/// When a record that had been synced is damaged, or a segment that is needed is gone. Nothing on
/// disk is changed.
pub(super) fn recover(
    fs: &dyn Fs,
    files: &[(u64, PathBuf)],
    tail_bytes_max: usize,
) -> Result<Recovered, LogError> {
    let mut scan = Scan {
        summary: Summary::default(),
        view: View::new(None, None, tail_bytes_max),
        chain: None,
        last_mark: 0,
        first_header: None,
    };
    // Segments before a gap are left over from a purge that was interrupted, or the segments in
    // the gap are lost; `check_start` tells.
    let run = files.windows(2).rposition(|pair| pair[0].0 + 1 != pair[1].0).map_or(0, |at| at + 1);
    let mut end = End::Empty;
    let mut before = None;
    for (at, (sequence, path)) in files.iter().enumerate().skip(run) {
        let file = fs.open(path).map_err(|error| LogError::io("opening", path, error))?;
        let is_last = at + 1 == files.len();
        end = scan.segment(*sequence, path, file, is_last)?;
        before = before.or(scan.first_header);
    }
    scan.check_start(&files[run].1, before.flatten())?;
    scan.view.purged = scan.summary.purged;
    scan.view.last = scan.summary.last;
    Ok(Recovered {
        summary: scan.summary,
        view: scan.view,
        checksum: scan.chain.unwrap_or_default(),
        end,
        leftover: files[..run].iter().map(|(_, path)| path.clone()).collect(),
    })
}

struct Scan {
    summary: Summary,
    view: View,
    /// Checksum of the record before; `None` at the start of the first segment that is left.
    chain: Option<u32>,
    last_mark: u64,
    /// `last` of the first header: what stood in segments that are gone.
    first_header: Option<Option<LogPosition>>,
}

/// A record as it stands in a segment.
struct Found {
    header: Header,
    payload: Bytes,
    offset: u64,
}

impl Scan {
    fn segment(
        &mut self,
        sequence: u64,
        path: &Path,
        file: Arc<dyn File>,
        is_last: bool,
    ) -> Result<End, LogError> {
        let capacity = file.len().map_err(|error| LogError::io("measuring", path, error))?;
        let segment = Segment {
            file: file.clone(),
            path: path.to_owned(),
            capacity,
            end: 0,
            index_max: None,
        };
        self.view.segments.insert(sequence, segment);
        let mut window = Window::new(file.as_ref(), capacity);
        let mut offset = 0;
        loop {
            let found = read_record(&mut window, sequence, offset)
                .map_err(|error| LogError::io("reading", path, error))?
                .filter(|found| self.continues(found));
            let Some(found) = found else {
                return self.ending(sequence, path, offset, is_last, &mut window);
            };
            offset += found.header.record_bytes() as u64;
            self.chain = Some(found.header.checksum);
            self.view.segments.get_mut(&sequence).expect("inserted above").end = offset;
            if found.header.kind == Kind::Seal {
                return Ok(End::Sealed);
            }
            self.take(sequence, path, &found)?;
        }
    }

    fn continues(&self, found: &Found) -> bool {
        (found.header.kind == Kind::Header) == (found.offset == 0)
            && self.chain.is_none_or(|chain| chain == found.header.previous)
            && u64::from(found.header.batch) <= found.offset
    }

    /// Decides what it means that no record stands at `offset`.
    fn ending(
        &self,
        sequence: u64,
        path: &Path,
        offset: u64,
        is_last: bool,
        window: &mut Window<'_>,
    ) -> Result<End, LogError> {
        let corrupt = |reason: &str| LogError::Corrupt {
            path: path.to_owned(),
            offset,
            reason: reason.to_owned(),
        };
        if !is_last {
            return Err(corrupt("no valid record, but the log goes on in a later segment"));
        }
        let capacity = self.view.segments[&sequence].capacity;
        match synced_record_after(window, sequence, offset, capacity)
            .map_err(|error| LogError::io("reading", path, error))?
        {
            Later::None if offset == 0 => Ok(End::Empty),
            Later::None => Ok(End::Open),
            Later::At(later) => Err(corrupt(&format!(
                "no valid record, but one that was written later stands at byte {later}"
            ))),
            Later::Unsure => {
                Err(corrupt("no valid record, and what follows looks like records too often"))
            }
        }
    }

    fn take(&mut self, sequence: u64, path: &Path, found: &Found) -> Result<(), LogError> {
        let position = found.header.position;
        match found.header.kind {
            Kind::Header => self.take_header(sequence, path, found)?,
            Kind::Entry => self.take_entry(sequence, path, found)?,
            Kind::Vote => self.summary.vote = Some(found.payload.clone()),
            Kind::Committed => self.summary.committed = Some(position),
            Kind::Purged => self.summary.purge(position),
            Kind::TruncateAfter => {
                let keep = (found.header.tag == 0).then_some(position);
                self.view.drop_marks_after(keep);
                self.last_mark = 0;
                self.summary.truncate_after(keep);
            }
            Kind::Opened | Kind::Seal => {}
        }
        Ok(())
    }

    fn take_header(&mut self, sequence: u64, path: &Path, found: &Found) -> Result<(), LogError> {
        self.last_mark = 0;
        let summary = match Summary::decode(&found.payload, sequence) {
            Ok(summary) => summary,
            Err(SummaryError::Newer(version)) => {
                return Err(LogError::Version { path: path.to_owned(), version });
            }
            Err(SummaryError::Foreign) => {
                return Err(LogError::Corrupt {
                    path: path.to_owned(),
                    offset: 0,
                    reason: "not a segment of this log".to_owned(),
                });
            }
        };
        let is_first = self.view.segments.len() == 1;
        if is_first {
            self.first_header = Some(summary.last);
        } else if summary != self.summary {
            return Err(LogError::Corrupt {
                path: path.to_owned(),
                offset: 0,
                reason: "the header contradicts the segments before".to_owned(),
            });
        }
        self.summary = summary;
        Ok(())
    }

    fn take_entry(&mut self, sequence: u64, path: &Path, found: &Found) -> Result<(), LogError> {
        let position = found.header.position;
        if let Some(last) = self.summary.last.filter(|last| last.index + 1 != position.index) {
            return Err(LogError::Corrupt {
                path: path.to_owned(),
                offset: found.offset,
                reason: format!("entry {position} follows entry {last}"),
            });
        }
        self.summary.last = Some(position);
        let segment = self.view.segments.get_mut(&sequence).expect("being read");
        segment.index_max = segment.index_max.max(Some(position.index));
        if self.last_mark == 0 || found.offset >= self.last_mark + MARK_DISTANCE_BYTES {
            self.last_mark = found.offset;
            let mark = Mark { index: position.index, sequence, offset: found.offset };
            self.view.marks.push_back(mark);
        }
        Ok(())
    }

    /// Entries that stood before the first segment must all have been purged.
    fn check_start(&self, path: &Path, before: Option<LogPosition>) -> Result<(), LogError> {
        let Some(before) = before.filter(|before| Some(before.index) > self.purged_index()) else {
            return Ok(());
        };
        Err(LogError::Corrupt {
            path: path.to_owned(),
            offset: 0,
            reason: format!(
                "entries up to {before} should stand in earlier segments, which are gone"
            ),
        })
    }

    fn purged_index(&self) -> Option<u64> {
        self.summary.purged.map(|purged| purged.index)
    }
}

fn read_record(
    window: &mut Window<'_>,
    sequence: u64,
    offset: u64,
) -> std::io::Result<Option<Found>> {
    let Some(bytes) = window.get(offset, HEADER_BYTES)? else { return Ok(None) };
    let header_bytes: [u8; HEADER_BYTES] = bytes.try_into().expect("the length asked for");
    let Some(header) = Header::parse(&header_bytes) else { return Ok(None) };
    let payload = window.get(offset + HEADER_BYTES as u64, header.length as usize)?;
    Ok(payload.filter(|payload| is_intact(sequence, &header_bytes, payload)).map(|payload| Found {
        header,
        payload: keep(header.kind, payload),
        offset,
    }))
}

/// Entries' payloads stay on disk.
fn keep(kind: Kind, payload: &[u8]) -> Bytes {
    match kind {
        Kind::Header | Kind::Vote => Bytes::copy_from_slice(payload),
        _ => Bytes::new(),
    }
}

/// Whether a record that was written after `offset` had been synced stands behind it.
#[derive(Debug, PartialEq, Eq)]
enum Later {
    None,
    At(u64),
    /// Too much looks like records to find out in reasonable time.
    Unsure,
}

/// Checksums are computed over at most this many times the segment's size.
const CANDIDATE_ROUNDS_MAX: u64 = 8;

/// Looks for a record whose write began after `offset`. Records of the torn write itself began
/// before it, records of the file's earlier lives fail their checksum.
fn synced_record_after(
    window: &mut Window<'_>,
    sequence: u64,
    offset: u64,
    capacity: u64,
) -> std::io::Result<Later> {
    let mut budget = capacity.saturating_mul(CANDIDATE_ROUNDS_MAX);
    let mut at = offset + ALIGNMENT as u64;
    while let Some(bytes) = window.get(at, HEADER_BYTES)? {
        let header_bytes: [u8; HEADER_BYTES] = bytes.try_into().expect("the length asked for");
        let candidate = Header::parse(&header_bytes).filter(|header| {
            let batch = u64::from(header.batch);
            header.kind != Kind::Header && batch > offset && batch <= at
        });
        if let Some(header) = candidate
            && let Some(payload) = window.get(at + HEADER_BYTES as u64, header.length as usize)?
        {
            let Some(left) = budget.checked_sub(payload.len() as u64) else {
                return Ok(Later::Unsure);
            };
            budget = left;
            if is_intact(sequence, &header_bytes, payload) {
                return Ok(Later::At(at));
            }
        }
        at += ALIGNMENT as u64;
    }
    Ok(Later::None)
}

/// The state that a fresh log starts from.
pub(super) fn nothing(tail_bytes_max: usize) -> Recovered {
    Recovered {
        summary: Summary::default(),
        view: View::new(None, None, tail_bytes_max),
        checksum: 0,
        end: End::Sealed,
        leftover: Vec::new(),
    }
}
