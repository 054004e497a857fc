//! Checks of a request that need no state: made once, before it is proposed or read
//! (etcd-surface 1.4 to 1.7).

use std::collections::BTreeSet;

use api::Error;
use api::etcdserverpb::range_request::{SortOrder, SortTarget};
use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};

/// Checks a range.
///
/// # Errors
/// `EmptyKey`, `InvalidSortOption`.
pub fn check_range(request: &RangeRequest) -> Result<(), Error> {
    if request.key.is_empty() {
        return Err(Error::EmptyKey);
    }
    if SortOrder::try_from(request.sort_order).is_err()
        || SortTarget::try_from(request.sort_target).is_err()
    {
        return Err(Error::InvalidSortOption);
    }
    Ok(())
}

/// Checks a put.
///
/// # Errors
/// `EmptyKey`, `ValueProvided`, `LeaseProvided`.
pub fn check_put(request: &PutRequest) -> Result<(), Error> {
    if request.key.is_empty() {
        return Err(Error::EmptyKey);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(Error::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Error::LeaseProvided);
    }
    Ok(())
}

/// Checks a deletion.
///
/// # Errors
/// `EmptyKey`.
pub fn check_delete_range(request: &DeleteRangeRequest) -> Result<(), Error> {
    if request.key.is_empty() { Err(Error::EmptyKey) } else { Ok(()) }
}

/// Checks a transaction with everything in it: at most `max_txn_ops` comparisons, and operations
/// in each branch; nested transactions have what the longest list of their parent leaves.
///
/// # Errors
/// `TooManyOps`, `EmptyKey`, `KeyNotFound` for an operation that is none, `DuplicateKey`, and those
/// of the operations.
pub fn check_txn(request: &TxnRequest, max_txn_ops: usize) -> Result<(), Error> {
    check_shape(request, max_txn_ops)?;
    for ops in [&request.success, &request.failure] {
        touched(ops)?;
    }
    Ok(())
}

fn check_shape(request: &TxnRequest, ops_max: usize) -> Result<(), Error> {
    let longest = request.compare.len().max(request.success.len()).max(request.failure.len());
    let left = ops_max.checked_sub(longest).ok_or(Error::TooManyOps)?;
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(Error::EmptyKey);
    }
    request.success.iter().chain(&request.failure).try_for_each(|op| check_op(op, left))
}

fn check_op(op: &RequestOp, ops_max: usize) -> Result<(), Error> {
    match &op.request {
        Some(Request::RequestRange(range)) => check_range(range),
        Some(Request::RequestPut(put)) => check_put(put),
        Some(Request::RequestDeleteRange(delete)) => check_delete_range(delete),
        Some(Request::RequestTxn(nested)) => check_shape(nested, ops_max),
        None => Err(Error::KeyNotFound),
    }
}

/// What a list of operations writes and deletes.
#[derive(Default)]
struct Touched<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletes: Vec<Deleted<'a>>,
}

struct Deleted<'a> {
    key: &'a [u8],
    range_end: &'a [u8],
}

impl Deleted<'_> {
    /// As etcd sees it: a range_end of one zero byte is compared like any other here, so that a
    /// deletion "from this key on" never conflicts with a put (observed on 3.4).
    fn contains(&self, key: &[u8]) -> bool {
        if self.range_end.is_empty() {
            return key == self.key;
        }
        self.key <= key && key < self.range_end
    }
}

/// Refuses keys that would be changed twice. The order matters, it is etcd's: deletions of this
/// level, then nested transactions one by one, then puts of this level. So a put in one nested
/// transaction and a deletion in a later one pass, the other way round they do not.
fn touched(ops: &[RequestOp]) -> Result<Touched<'_>, Error> {
    let mut level = Touched { puts: BTreeSet::new(), deletes: deletes(ops).collect() };
    for op in ops {
        if let Some(Request::RequestTxn(nested)) = &op.request {
            level.take_in(nested)?;
        }
    }
    for op in ops {
        if let Some(Request::RequestPut(put)) = &op.request {
            level.put(&put.key)?;
        }
    }
    Ok(level)
}

fn deletes(ops: &[RequestOp]) -> impl Iterator<Item = Deleted<'_>> {
    ops.iter().filter_map(|op| match &op.request {
        Some(Request::RequestDeleteRange(delete)) => {
            Some(Deleted { key: &delete.key, range_end: &delete.range_end })
        }
        _ => None,
    })
}

impl<'a> Touched<'a> {
    fn put(&mut self, key: &'a [u8]) -> Result<(), Error> {
        let deleted = self.deletes.iter().any(|deleted| deleted.contains(key));
        if deleted || !self.puts.insert(key) {
            return Err(Error::DuplicateKey);
        }
        Ok(())
    }

    /// Adds a nested transaction. Only one of its branches runs, so what both write is no conflict.
    fn take_in(&mut self, nested: &'a TxnRequest) -> Result<(), Error> {
        let success = touched(&nested.success)?;
        let failure = touched(&nested.failure)?;
        for key in &success.puts {
            self.put(key)?;
        }
        for key in failure.puts {
            if !success.puts.contains(key) {
                self.put(key)?;
            }
        }
        self.deletes.extend(success.deletes);
        self.deletes.extend(failure.deletes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use api::etcdserverpb::Compare;

    use super::*;

    fn op(request: Request) -> RequestOp {
        RequestOp { request: Some(request) }
    }

    fn put(key: &'static str) -> RequestOp {
        op(Request::RequestPut(PutRequest { key: key.into(), ..Default::default() }))
    }

    fn delete(key: &'static str, range_end: &'static str) -> RequestOp {
        let (key, range_end) = (key.into(), range_end.into());
        op(Request::RequestDeleteRange(DeleteRangeRequest { key, range_end, prev_kv: false }))
    }

    fn get(key: &'static str) -> RequestOp {
        op(Request::RequestRange(RangeRequest { key: key.into(), ..Default::default() }))
    }

    fn nested(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
        op(Request::RequestTxn(TxnRequest { compare: vec![], success, failure }))
    }

    fn check(success: Vec<RequestOp>) -> Result<(), Error> {
        check_txn(&TxnRequest { success, ..Default::default() }, 128)
    }

    const DUPLICATE: Result<(), Error> = Err(Error::DuplicateKey);

    #[test]
    fn keys_changed_twice_are_refused_as_etcd_refuses_them() {
        assert_eq!(check(vec![put("a"), put("a")]), DUPLICATE);
        assert_eq!(check(vec![put("b"), delete("a", "c")]), DUPLICATE);
        assert_eq!(check(vec![delete("a", ""), put("a")]), DUPLICATE);
        assert_eq!(check(vec![nested(vec![delete("s", "")], vec![]), put("s")]), DUPLICATE);
        assert_eq!(check(vec![delete("s", ""), nested(vec![put("s")], vec![])]), DUPLICATE);
        assert_eq!(check(vec![put("s"), nested(vec![], vec![put("s")])]), DUPLICATE);
        let siblings = |first, second| check(vec![nested(first, vec![]), nested(second, vec![])]);
        assert_eq!(siblings(vec![put("s")], vec![put("s")]), DUPLICATE);
        assert_eq!(siblings(vec![delete("s", "")], vec![put("s")]), DUPLICATE);
        assert_eq!(
            check(vec![nested(vec![], vec![put("s")]), nested(vec![put("s")], vec![])]),
            DUPLICATE
        );
    }

    #[test]
    fn what_is_no_conflict_passes() {
        assert_eq!(check(vec![delete("a", "c"), delete("b", "")]), Ok(()));
        assert_eq!(check(vec![put("a"), get("a"), delete("b", "")]), Ok(()));
        assert_eq!(check(vec![nested(vec![put("s")], vec![put("s")])]), Ok(()));
        assert_eq!(check(vec![put("b"), delete("c", "a")]), Ok(()));
        let branches =
            TxnRequest { success: vec![put("s")], failure: vec![put("s")], ..Default::default() };
        assert_eq!(check_txn(&branches, 128), Ok(()));
    }

    /// Two gaps in etcd's check that clients may have come to rely on (observed on 3.4).
    #[test]
    fn what_slips_through_in_etcd_slips_through_here() {
        assert_eq!(check(vec![put("a"), delete("a", "\0")]), Ok(()));
        let put_then_delete =
            vec![nested(vec![put("s")], vec![]), nested(vec![delete("s", "")], vec![])];
        assert_eq!(check(put_then_delete), Ok(()));
    }

    #[test]
    fn nested_transactions_have_what_the_longest_list_leaves() {
        let txn = |compares: usize, inner: usize| TxnRequest {
            compare: vec![Compare { key: "k".into(), ..Default::default() }; compares],
            success: vec![nested(vec![get("k"); inner], vec![])],
            failure: vec![],
        };
        assert_eq!(check_txn(&txn(3, 2), 5), Ok(()));
        assert_eq!(check_txn(&txn(3, 3), 5), Err(Error::TooManyOps));
        assert_eq!(check_txn(&txn(6, 0), 5), Err(Error::TooManyOps));
        assert_eq!(check_txn(&txn(1, 4), 5), Ok(()));
    }

    #[test]
    fn every_part_of_a_transaction_is_checked() {
        assert_eq!(check(vec![RequestOp { request: None }]), Err(Error::KeyNotFound));
        for empty in [get(""), put(""), delete("", "")] {
            assert_eq!(check(vec![nested(vec![], vec![empty])]), Err(Error::EmptyKey));
        }
        let compare = TxnRequest { compare: vec![Compare::default()], ..TxnRequest::default() };
        assert_eq!(check_txn(&compare, 128), Err(Error::EmptyKey));
    }

    #[test]
    fn single_requests_are_checked() {
        let put = PutRequest { key: "k".into(), ..Default::default() };
        assert_eq!(check_put(&put), Ok(()));
        let value = PutRequest { ignore_value: true, value: "v".into(), ..put.clone() };
        assert_eq!(check_put(&value), Err(Error::ValueProvided));
        let lease = PutRequest { ignore_lease: true, lease: 1, ..put };
        assert_eq!(check_put(&lease), Err(Error::LeaseProvided));
        assert_eq!(check_put(&PutRequest::default()), Err(Error::EmptyKey));
        let range = RangeRequest { key: "k".into(), sort_order: 2, ..Default::default() };
        assert_eq!(check_range(&range), Ok(()));
        let order = RangeRequest { sort_order: 3, ..range.clone() };
        assert_eq!(check_range(&order), Err(Error::InvalidSortOption));
        let target = RangeRequest { sort_target: 5, ..range };
        assert_eq!(check_range(&target), Err(Error::InvalidSortOption));
    }
}
