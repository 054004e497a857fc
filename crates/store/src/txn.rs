//! Transactions: all comparisons first, then everything that can be refused, then the operations
//! in order (etcd-surface 1.6).

use std::cmp::Ordering;

use api::Error;
use api::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::response_op::Response;
use api::etcdserverpb::{
    Compare, RangeRequest, RangeResponse, RequestOp, ResponseHeader, ResponseOp, TxnRequest,
    TxnResponse,
};

use crate::apply::{Failure, header};
use crate::change::Change;
use crate::history::{History, HistoryError};
use crate::index::Bounds;
use crate::range::{self, Direct};
use crate::read_error::ReadError;
use crate::record::RecordView;
use crate::store::Store;
use crate::transaction::Transaction;

/// Which branch each transaction takes: the outer one first, then those nested in the branch
/// taken, in order.
pub(crate) type Path = Vec<bool>;

impl Store {
    pub(crate) fn apply_txn(
        &mut self,
        request: &TxnRequest,
        history: &dyn History,
        changes: &mut Vec<Change>,
    ) -> Result<TxnResponse, Failure> {
        let mut path = Path::new();
        self.choose(request, history, &mut path)?;
        self.check_branch(request, &mut path.iter(), &Self::check_put_op)?;
        self.check_branch(request, &mut path.iter(), &Self::check_range_op)?;
        let mut transaction = Transaction::begin(self, history, changes);
        let mut response = execute(&mut transaction, request, &mut path.iter())?;
        response.header = header(transaction.end());
        Ok(response)
    }

    /// Evaluates the comparisons of a transaction and of those nested in the branch it takes.
    pub(crate) fn choose(
        &self,
        request: &TxnRequest,
        history: &dyn History,
        path: &mut Path,
    ) -> Result<(), HistoryError> {
        let mut holds = true;
        for compare in &request.compare {
            holds = holds && self.compare_holds(compare, history)?;
        }
        path.push(holds);
        for op in branch(request, holds) {
            if let Some(Request::RequestTxn(nested)) = &op.request {
                self.choose(nested, history, path)?;
            }
        }
        Ok(())
    }

    /// Every key of the range must match. A range without keys is compared as one key that does
    /// not exist: all its numbers are 0, and its value equals and differs from nothing.
    fn compare_holds(
        &self,
        compare: &Compare,
        history: &dyn History,
    ) -> Result<bool, HistoryError> {
        let bounds = Bounds::new(&compare.key, &compare.range_end);
        let by_value = compare.target == CompareTarget::Value as i32;
        let mut found = false;
        for entry in self.index.entries(&bounds).filter(|entry| entry.is_live()) {
            found = true;
            let holds = if by_value {
                compare_matches(compare, &self.load(entry, history)?.view())
            } else {
                compare_matches(compare, &entry.view_without_value())
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(found || (!by_value && compare_matches(compare, &RecordView::default())))
    }

    fn check_branch(
        &self,
        request: &TxnRequest,
        path: &mut std::slice::Iter<'_, bool>,
        check: &dyn Fn(&Self, &Request) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let holds = *path.next().expect("one step per transaction on the way");
        for op in branch(request, holds) {
            match &op.request {
                Some(Request::RequestTxn(nested)) => self.check_branch(nested, path, check)?,
                Some(op) => check(self, op)?,
                None => {}
            }
        }
        Ok(())
    }

    fn check_put_op(&self, op: &Request) -> Result<(), Error> {
        match op {
            Request::RequestPut(put) => self.check_put_against_state(put),
            _ => Ok(()),
        }
    }

    fn check_range_op(&self, op: &Request) -> Result<(), Error> {
        match op {
            Request::RequestRange(range) => self.check_range_in_txn(range),
            _ => Ok(()),
        }
    }

    /// Unlike a range on its own, one inside a transaction takes only 0 for "now": etcd compares
    /// negative revisions with the compacted one, which is -1 at first (observed on 3.4).
    pub(crate) fn check_range_in_txn(&self, range: &RangeRequest) -> Result<(), Error> {
        match range.revision {
            0 => Ok(()),
            revision if revision > self.current => Err(Error::FutureRevision),
            revision if revision < self.compacted => Err(Error::Compacted),
            _ => Ok(()),
        }
    }
}

pub(crate) fn branch(request: &TxnRequest, holds: bool) -> &[RequestOp] {
    if holds { &request.success } else { &request.failure }
}

fn execute(
    transaction: &mut Transaction<'_>,
    request: &TxnRequest,
    path: &mut std::slice::Iter<'_, bool>,
) -> Result<TxnResponse, Failure> {
    let succeeded = *path.next().expect("one step per transaction on the way");
    let ops = branch(request, succeeded);
    let mut responses = Vec::with_capacity(ops.len());
    for op in ops {
        let response = match &op.request {
            Some(Request::RequestRange(range)) => {
                Some(Response::ResponseRange(execute_range(transaction, range)?))
            }
            Some(Request::RequestPut(put)) => Some(Response::ResponsePut(transaction.put(put)?)),
            Some(Request::RequestDeleteRange(delete)) => {
                Some(Response::ResponseDeleteRange(transaction.delete_range(delete)?))
            }
            Some(Request::RequestTxn(nested)) => {
                Some(Response::ResponseTxn(execute(transaction, nested, path)?))
            }
            None => None,
        };
        responses.push(ResponseOp { response });
    }
    // The header of a nested response stays empty, as etcd leaves it (observed on 3.4).
    Ok(TxnResponse { header: Some(ResponseHeader::default()), succeeded, responses })
}

fn execute_range(
    transaction: &Transaction<'_>,
    range: &RangeRequest,
) -> Result<RangeResponse, Failure> {
    let now = transaction.revision();
    let view = Direct::new(transaction.store, Some(transaction.history), usize::MAX);
    let main = if range.revision > 0 { range.revision } else { now };
    range::response_at(&view, range, main, now).map_err(|error| match error {
        ReadError::Etcd(error) => Failure::Rejected(error),
        ReadError::History(error) => Failure::History(error),
    })
}

fn compare_matches(compare: &Compare, view: &RecordView<'_>) -> bool {
    let ordering = compare_with(compare, view);
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering == Ordering::Equal,
        Ok(CompareResult::NotEqual) => ordering != Ordering::Equal,
        Ok(CompareResult::Greater) => ordering == Ordering::Greater,
        Ok(CompareResult::Less) => ordering == Ordering::Less,
        // What etcd does with a comparison it does not know.
        Err(_) => true,
    }
}

/// How the key compares to the operand; an operand of another kind counts as zero or empty.
fn compare_with(compare: &Compare, view: &RecordView<'_>) -> Ordering {
    let union = compare.target_union.as_ref();
    match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => view.version.cmp(&match union {
            Some(TargetUnion::Version(version)) => *version,
            _ => 0,
        }),
        Ok(CompareTarget::Create) => view.create_revision.cmp(&match union {
            Some(TargetUnion::CreateRevision(revision)) => *revision,
            _ => 0,
        }),
        Ok(CompareTarget::Mod) => view.mod_revision.cmp(&match union {
            Some(TargetUnion::ModRevision(revision)) => *revision,
            _ => 0,
        }),
        Ok(CompareTarget::Lease) => view.lease.0.cmp(&match union {
            Some(TargetUnion::Lease(lease)) => *lease,
            _ => 0,
        }),
        Ok(CompareTarget::Value) => match union {
            Some(TargetUnion::Value(value)) => view.value.cmp(value.as_ref()),
            _ => view.value.cmp(&[]),
        },
        Err(_) => Ordering::Equal,
    }
}
