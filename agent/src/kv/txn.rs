//! Txn: compare, then act. One that only reads does not enter the log.

use api::etcdserverpb::TxnRequest;
use api::etcdserverpb::request_op::Request;
use bytes::Bytes;
use store::{Command, CommandKind, Op, Reply};

use crate::member::Member;
use crate::server::frame::Frame;
use crate::server::status::Failure;
use crate::{fault, gate, quota};

/// Answers a `TxnRequest`.
///
/// # Errors
/// Those of etcd-surface 1.6, `RequestTooLarge`, `NoSpace`, and those of a proposal.
pub async fn txn(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let command = member.command(CommandKind::Txn, &raw)?;
    drop(raw);
    let Op::Txn(request) = command.op() else { return Err(fault::mismatched_reply().into()) };
    store::check_txn(request, member.limits.txn_ops_max)?;
    member.metrics.store.txn();
    if let Some(serializable) = read_only(request) {
        return Box::pin(read(member, command, serializable)).await;
    }
    let cost = store::txn_cost(request);
    if cost > 0 {
        quota::admit(member, cost).await?;
    }
    match member.propose(command).await? {
        Reply::Txn(mut response) => {
            member.complete(&mut response.header);
            Ok(Frame::encode(&response))
        }
        _ => Err(fault::mismatched_reply().into()),
    }
}

/// Whether a transaction only reads, and if so whether all its reads are serializable. A nested
/// transaction makes it a write even when it reads only (etcd-surface 1.6).
fn read_only(request: &TxnRequest) -> Option<bool> {
    let mut serializable = true;
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(range)) => serializable &= range.serializable,
            _ => return None,
        }
    }
    Some(serializable)
}

async fn read(member: &Member, command: Command, serializable: bool) -> Result<Frame, Failure> {
    gate::admit_read(member, serializable)?;
    if !serializable {
        member.node.read_index().await?;
    }
    let permit = member.long_reads.clone().acquire_owned().await;
    let (store, header) = (member.store.clone(), member.header());
    let response = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        match command.op() {
            Op::Txn(request) => store.txn_read_only(request, &header),
            _ => unreachable!("the caller looked"),
        }
    });
    let response = response.await.map_err(|_| api::Error::Stopped)??;
    Ok(Frame::encode(&response))
}

#[cfg(test)]
mod tests {
    use api::etcdserverpb::{PutRequest, RangeRequest, RequestOp};

    use super::*;

    fn op(request: Request) -> RequestOp {
        RequestOp { request: Some(request) }
    }

    fn range(serializable: bool) -> RequestOp {
        op(Request::RequestRange(RangeRequest { serializable, ..Default::default() }))
    }

    fn txn(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> TxnRequest {
        TxnRequest { success, failure, ..Default::default() }
    }

    #[test]
    fn one_linearizable_range_makes_the_whole_transaction_linearizable() {
        assert_eq!(read_only(&txn(vec![range(true)], vec![range(true)])), Some(true));
        assert_eq!(read_only(&txn(vec![range(true)], vec![range(false)])), Some(false));
    }

    #[test]
    fn anything_but_a_range_goes_through_the_log() {
        let put = op(Request::RequestPut(PutRequest::default()));
        let nested = op(Request::RequestTxn(txn(vec![range(true)], vec![])));
        for other in [put, nested, RequestOp::default()] {
            assert_eq!(read_only(&txn(vec![range(true)], vec![other])), None);
        }
    }

    #[test]
    fn an_empty_transaction_reads_nothing_and_writes_nothing() {
        assert_eq!(read_only(&TxnRequest::default()), Some(true));
    }
}
