//! Ranges with a sort order or revision bounds: everything is gathered, filtered, sorted and cut,
//! in that order (etcd-surface 1.4).

use api::etcdserverpb::RangeRequest;
use api::etcdserverpb::range_request::{SortOrder, SortTarget};

use super::candidate::Candidate;
use super::output::Output;
use super::walk::CHUNK_KEYS_MAX;
use super::{Stop, View};
use crate::index::Bounds;

/// Appends the rows of the answer; returns whether the limit cut some off.
pub(super) fn append<V: View>(
    view: &V,
    request: &RangeRequest,
    main: i64,
    output: &mut Output,
) -> Result<bool, Stop> {
    let mut rows = gather(view, request, main)?;
    sort(&mut rows, request);
    let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
    let more = limit.is_some_and(|limit| rows.len() > limit);
    rows.truncate(limit.unwrap_or(usize::MAX));
    for row in rows {
        match row.record {
            Some(record) => output.record(&record, request.keys_only),
            None => output.record(&view.load(row.revision)?, request.keys_only),
        }
    }
    Ok(more)
}

/// The rows that pass the filters, in order of key.
fn gather<V: View>(view: &V, request: &RangeRequest, main: i64) -> Result<Vec<Candidate>, Stop> {
    let by_value = request.sort_target == SortTarget::Value as i32;
    let rows_max = rows_max(request);
    let mut rest = Some(Bounds::new(&request.key, &request.range_end));
    let mut gathered = Vec::new();
    while let Some(bounds) = rest {
        let (rows, next) = view.with(|store| {
            view.check()?;
            Ok::<_, Stop>(candidates(store, &bounds, main))
        })?;
        for mut row in rows {
            if gathered.len() >= rows_max {
                return Ok(gathered);
            }
            row.complete(view, by_value)?;
            if passes(&row, request) {
                gathered.push(row);
            }
        }
        rest = next;
    }
    Ok(gathered)
}

/// Without an order and without filters, etcd takes the first rows in order of key up to the limit,
/// one more to know whether there are more, and sorts only those (observed on 3.4, same in 3.7).
fn rows_max(request: &RangeRequest) -> usize {
    let ordered = request.sort_order != SortOrder::None as i32;
    match usize::try_from(request.limit) {
        Ok(limit @ 1..) if !ordered && !super::has_filters(request) => limit.saturating_add(1),
        _ => usize::MAX,
    }
}

/// One hold of the lock; returns what is left.
fn candidates(
    store: &crate::store::Store,
    bounds: &Bounds,
    main: i64,
) -> (Vec<Candidate>, Option<Bounds>) {
    let mut rows = Vec::new();
    let mut rest = None;
    for (seen, entry) in store.index.entries(bounds).enumerate() {
        rows.extend(Candidate::new(store, entry, main));
        if rows.len() >= super::CHUNK_ROWS_MAX || seen >= CHUNK_KEYS_MAX {
            rest = (!bounds.single).then(|| bounds.after(entry.key()));
            break;
        }
    }
    (rows, rest)
}

fn passes(row: &Candidate, request: &RangeRequest) -> bool {
    let below = |value: i64, max: i64| max == 0 || value <= max;
    let above = |value: i64, min: i64| min == 0 || value >= min;
    below(row.revision.main, request.max_mod_revision)
        && above(row.revision.main, request.min_mod_revision)
        && below(row.create, request.max_create_revision)
        && above(row.create, request.min_create_revision)
}

/// Sorts; equal ones stay in order of key in both directions.
fn sort(rows: &mut [Candidate], request: &RangeRequest) {
    let descending = request.sort_order == SortOrder::Descend as i32;
    match SortTarget::try_from(request.sort_target) {
        Ok(SortTarget::Key) | Err(_) => {
            if descending {
                rows.reverse();
            }
        }
        Ok(SortTarget::Version) => order(rows, descending, |row| row.version),
        Ok(SortTarget::Create) => order(rows, descending, |row| row.create),
        Ok(SortTarget::Mod) => order(rows, descending, |row| row.revision.main),
        Ok(SortTarget::Value) => rows.sort_by(|a, b| {
            let ascending = a.value().cmp(b.value());
            if descending { ascending.reverse() } else { ascending }
        }),
    }
}

fn order(rows: &mut [Candidate], descending: bool, by: impl Fn(&Candidate) -> i64) {
    rows.sort_by(|a, b| {
        let ascending = by(a).cmp(&by(b));
        if descending { ascending.reverse() } else { ascending }
    });
}
