//! A range as a stream of messages.

use std::sync::Arc;

use api::etcdserverpb::{RangeRequest, ResponseHeader};
use bytes::Bytes;

use super::output::Output;
use super::walk::Walk;
use super::{CHUNK_ROWS_MAX, Shared, Stop, View, check_streamable, readable_revision};
use crate::pins::Pin;
use crate::read_error::ReadError;
use crate::shared::SharedStore;

/// Rows in the first message: something to work on arrives at once.
const FIRST_CHUNK_ROWS: u64 = 10;

/// Most rows in a message, however small they are.
const CHUNK_ROWS_CEILING: u64 = 1 << 16;

/// Encoded `RangeResponse` messages that together are the answer, all of one revision. The last one
/// carries header, `more` and `count`. Ends after the first error.
///
/// Holds back physical compaction while it lives, but not for ever: after two more compactions a
/// stream that is still not read to its end fails with `Compacted`.
pub struct RangeChunks {
    shared: Arc<SharedStore>,
    header: ResponseHeader,
    walk: Walk,
    /// Revision of the store when the stream began.
    now: i64,
    pin: Option<Pin>,
    chunk_rows: u64,
    chunk_bytes_max: usize,
    done: bool,
}

impl RangeChunks {
    pub(crate) fn start(
        shared: &Arc<SharedStore>,
        request: &RangeRequest,
        header: ResponseHeader,
        chunk_bytes_max: usize,
    ) -> Result<Self, ReadError> {
        check_streamable(request)?;
        let view = Shared::new(shared, None);
        let (walk, now) = view
            .with(|store| {
                let walk = Walk::start(store, request, readable_revision(store, request)?);
                view.pin(walk.main())?;
                Ok((walk, store.current))
            })
            .map_err(Stop::into_error)?;
        Ok(Self {
            shared: shared.clone(),
            header,
            walk,
            now,
            pin: view.into_pin(),
            chunk_rows: FIRST_CHUNK_ROWS,
            chunk_bytes_max,
            done: false,
        })
    }

    fn chunk(&mut self) -> Result<Bytes, Stop> {
        let mut output = Output::new();
        let last = self.walk.rows_left() <= self.chunk_rows;
        if last {
            output.header(&self.header, self.now);
        }
        let pin = self.pin.take();
        let view = Shared::new(&self.shared, pin);
        let mut rows = self.chunk_rows.min(self.walk.rows_left());
        while rows > 0 {
            let before = self.walk.rows_left();
            let rows_max = rows.min(CHUNK_ROWS_MAX as u64) as usize;
            self.walk.fill_through(&view, rows_max, &mut output)?;
            rows -= (before - self.walk.rows_left()).min(rows);
        }
        if last {
            output.end(self.walk.more(), self.walk.count());
            self.done = true;
        } else {
            self.pin = view.into_pin();
        }
        self.adapt(output.len());
        Ok(output.into_bytes())
    }

    /// Twice the rows while that would still fit, half when it did not.
    fn adapt(&mut self, bytes: usize) {
        if bytes > self.chunk_bytes_max {
            self.chunk_rows = (self.chunk_rows / 2).max(1);
        } else if bytes.saturating_mul(2) <= self.chunk_bytes_max {
            self.chunk_rows = (self.chunk_rows * 2).min(CHUNK_ROWS_CEILING);
        }
    }
}

impl Iterator for RangeChunks {
    type Item = Result<Bytes, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let chunk = self.chunk().map_err(Stop::into_error);
        self.done |= chunk.is_err();
        Some(chunk)
    }
}
