//! What a request may add to the store, for the quota check before it is proposed (etcd-surface
//! 1.12). Estimates on etcd's terms: the sum of the parts, the greater branch of a transaction.

use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::{PutRequest, RequestOp, TxnRequest};

/// Bytes a row costs beside key and value.
const ROW_OVERHEAD_BYTES: u64 = 256;

/// Bytes a lease costs.
pub const LEASE_COST_BYTES: u64 = 64;

/// Bytes a put may add.
pub fn put_cost(request: &PutRequest) -> u64 {
    ROW_OVERHEAD_BYTES + request.key.len() as u64 + request.value.len() as u64
}

/// Bytes a transaction may add: those of its greater branch, nested ones included.
pub fn txn_cost(request: &TxnRequest) -> u64 {
    branch_cost(&request.success).max(branch_cost(&request.failure))
}

fn branch_cost(ops: &[RequestOp]) -> u64 {
    let cost = |op: &RequestOp| match &op.request {
        Some(Request::RequestPut(put)) => put_cost(put),
        Some(Request::RequestTxn(nested)) => txn_cost(nested),
        _ => 0,
    };
    ops.iter().map(cost).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &'static str) -> RequestOp {
        let put = PutRequest { key: key.into(), value: "12".into(), ..Default::default() };
        RequestOp { request: Some(Request::RequestPut(put)) }
    }

    #[test]
    fn a_transaction_costs_its_greater_branch() {
        let nested = TxnRequest { failure: vec![put("abc")], ..Default::default() };
        let nested = RequestOp { request: Some(Request::RequestTxn(nested)) };
        let txn = TxnRequest {
            success: vec![put("a"), nested],
            failure: vec![put("b")],
            ..Default::default()
        };
        assert_eq!(txn_cost(&txn), (256 + 1 + 2) + (256 + 3 + 2));
        assert_eq!(txn_cost(&TxnRequest::default()), 0);
    }
}
