//! Ranges: which rows, in which order, encoded as a `RangeResponse` without building one.

mod candidate;
mod chunks;
mod output;
mod sorted;
mod view;
mod walk;

use api::Error;
use api::etcdserverpb::range_request::{SortOrder, SortTarget};
use api::etcdserverpb::{RangeRequest, RangeResponse, ResponseHeader};
use bytes::Bytes;
pub use chunks::RangeChunks;
use output::Output;
use prost::Message;
pub(crate) use view::{Direct, Shared, View};
use walk::Walk;

use crate::apply::header;
use crate::history::HistoryError;
use crate::read_error::ReadError;
use crate::store::Store;

/// Most rows copied under one hold of the lock.
pub(crate) const CHUNK_ROWS_MAX: usize = 1000;

/// Why a range stops.
pub(crate) enum Stop {
    /// It failed.
    Failed(ReadError),
    /// It needs more than a quick read may take.
    NotQuick,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(ReadError::Etcd(error))
    }
}

impl From<HistoryError> for Stop {
    fn from(error: HistoryError) -> Self {
        Self::Failed(ReadError::History(error))
    }
}

impl Stop {
    /// For reads that are not limited to be quick.
    pub fn into_error(self) -> ReadError {
        match self {
            Self::Failed(error) => error,
            Self::NotQuick => unreachable!("only quick reads have a limit"),
        }
    }
}

/// Answers a request on its own: at the revision it names, or now.
pub(crate) fn respond<V: View>(
    view: &V,
    request: &RangeRequest,
    header: &ResponseHeader,
) -> Result<Bytes, Stop> {
    encode(view, request, header, |store| {
        let main = readable_revision(store, request)?;
        Ok((main, store.current))
    })
}

/// Answers a request inside a transaction: as of `main`, with `now` in the header.
pub(crate) fn response_at<V: View>(
    view: &V,
    request: &RangeRequest,
    main: i64,
    now: i64,
) -> Result<RangeResponse, ReadError> {
    let header = header(now).expect("always made");
    let encoded = encode(view, request, &header, |_| Ok((main, now))).map_err(Stop::into_error)?;
    Ok(RangeResponse::decode(encoded).expect("encoded above"))
}

/// The revision to read at; 0 and below mean now.
pub(crate) fn readable_revision(store: &Store, request: &RangeRequest) -> Result<i64, Error> {
    store.alarms.check_read()?;
    match request.revision {
        ..=0 => Ok(store.current),
        revision if revision > store.current => Err(Error::FutureRevision),
        revision if revision < store.compacted => Err(Error::Compacted),
        revision => Ok(revision),
    }
}

fn encode<V: View>(
    view: &V,
    request: &RangeRequest,
    header: &ResponseHeader,
    when: impl FnOnce(&Store) -> Result<(i64, i64), Error>,
) -> Result<Bytes, Stop> {
    let mut output = Output::new();
    let mut walk = view.with(|store| {
        let (main, now) = when(store)?;
        output.header(header, now);
        let mut walk = Walk::start(store, request, main);
        if walk.rows_left() > view.rows_max() {
            return Err(Stop::NotQuick);
        }
        if is_custom(request) {
            view.pin(main)?;
        } else {
            let first_rows = walk.rows_left().min(CHUNK_ROWS_MAX as u64);
            output.expect_first_rows(first_rows, store.index.mean_record_bytes());
            walk.fill(store, CHUNK_ROWS_MAX, &mut output);
            if walk.rows_left() > 0 || output.has_cold() {
                view.pin(main)?;
            }
        }
        Ok(walk)
    })?;
    let more = if is_custom(request) {
        sorted::append(view, request, walk.main(), &mut output)?
    } else {
        output.load_cold(view)?;
        if walk.rows_left() > 0 {
            output.expect_rows(walk.rows_left());
        }
        while walk.rows_left() > 0 {
            walk.fill_through(view, CHUNK_ROWS_MAX, &mut output)?;
        }
        walk.more()
    };
    output.end(more, walk.count());
    Ok(output.into_bytes())
}

/// Whether rows do not simply come in order of key up to the limit.
pub(crate) fn is_custom(request: &RangeRequest) -> bool {
    !request.count_only && (has_custom_order(request) || has_filters(request))
}

fn has_custom_order(request: &RangeRequest) -> bool {
    request.sort_target != SortTarget::Key as i32 || request.sort_order == SortOrder::Descend as i32
}

fn has_filters(request: &RangeRequest) -> bool {
    [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ]
    .iter()
    .any(|bound| *bound != 0)
}

/// What a stream cannot do: it would have to hold all rows before it sends the first.
pub(crate) fn check_streamable(request: &RangeRequest) -> Result<(), Error> {
    if has_custom_order(request) {
        return Err(Error::Unimplemented(
            "range stream: a sort order other than ascending keys is not supported; use Range"
                .to_owned(),
        ));
    }
    if has_filters(request) {
        return Err(Error::Unimplemented(
            "range stream: minimum and maximum revisions are not supported; use Range".to_owned(),
        ));
    }
    Ok(())
}
