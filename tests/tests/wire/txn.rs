//! Transactions: etcd-surface 1.6.

use bytes::Bytes;
use quorate_tests::{Client, Server, pb};
use tonic::Code;

use crate::ask::{
    always, between, compare, delete, delete_between, everything, get, one, op, put, put_at,
    refused,
};
use pb::CompareResult::{Equal, Greater, Less, NotEqual};
use pb::CompareWith::{CreateRevision, Lease, ModRevision, Value, Version};

async fn succeeds(client: &Client, compare: Vec<pb::Compare>) -> bool {
    client.txn(pb::TxnRequest { compare, ..Default::default() }).await.unwrap().succeeded
}

pub async fn compares_see_the_state_before(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "a", "1").await;
    put_at(&client, "a", "2").await;
    let holds = [
        compare("a", Equal, Value(b"2".into())),
        compare("a", Greater, Value(b"1".into())),
        compare("a", Less, Value(b"3".into())),
        compare("a", NotEqual, Value(b"1".into())),
        compare("a", Equal, Version(2)),
        compare("a", Equal, CreateRevision(2)),
        compare("a", Equal, ModRevision(3)),
        compare("a", Equal, Lease(0)),
        compare("a", Greater, Version(1)),
        compare("a", Less, ModRevision(4)),
    ];
    assert!(succeeds(&client, holds.to_vec()).await);
    assert!(succeeds(&client, Vec::new()).await, "no compare holds");
    for failing in [
        compare("a", Equal, Value(b"1".into())),
        compare("a", NotEqual, Version(2)),
        compare("a", Greater, ModRevision(3)),
    ] {
        assert!(!succeeds(&client, vec![failing.clone()]).await, "{failing:?}");
        let mut mixed = holds.to_vec();
        mixed.push(failing);
        assert!(!succeeds(&client, mixed).await, "one failure fails all");
    }
    // A nested compare is evaluated before its parent's writes.
    let nested = pb::TxnRequest {
        compare: vec![compare("a", Equal, Value(b"2".into()))],
        success: vec![op(put("saw", "before"))],
        failure: vec![op(put("saw", "after"))],
    };
    client.txn(always(vec![op(put("a", "3")), op(nested)])).await.unwrap();
    assert_eq!(client.range(get("saw")).await.unwrap().kvs[0].value, "before");
}

pub async fn an_absent_key_compares_as_zero_but_never_by_value(server: Server) {
    let (_cluster, client) = one(&server).await;
    let zero = vec![
        compare("x", Equal, Version(0)),
        compare("x", Equal, CreateRevision(0)),
        compare("x", Equal, ModRevision(0)),
        compare("x", Equal, Lease(0)),
        compare("x", Less, ModRevision(1)),
    ];
    assert!(succeeds(&client, zero).await);
    for result in [Equal, NotEqual, Less, Greater] {
        for value in [b"".as_ref(), b"v".as_ref()] {
            let by_value = compare("x", result, Value(value.into()));
            assert!(!succeeds(&client, vec![by_value]).await, "{result:?} {value:?}");
        }
    }
}

pub async fn range_compares_need_every_key(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "k/1", "same").await;
    put_at(&client, "k/2", "same").await;
    let over =
        |compare: pb::Compare| pb::Compare { range_end: Bytes::from_static(b"k0"), ..compare };
    let same = over(compare("k/", Equal, Value(b"same".into())));
    assert!(succeeds(&client, vec![same.clone()]).await);
    put_at(&client, "k/2", "other").await;
    assert!(!succeeds(&client, vec![same]).await);
    let nowhere =
        |compare: pb::Compare| pb::Compare { range_end: Bytes::from_static(b"z0"), ..compare };
    assert!(succeeds(&client, vec![nowhere(compare("z/", Equal, Version(0)))]).await);
    assert!(!succeeds(&client, vec![nowhere(compare("z/", Equal, Value(b"".into())))]).await);
}

pub async fn later_operations_see_earlier_ones(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "old", "1").await;
    let answer = client
        .txn(always(vec![
            op(put("new", "1")),
            op(get("new")),
            op(delete("old")),
            op(everything()),
            op(pb::RangeRequest { revision: 2, ..everything() }),
        ]))
        .await
        .unwrap();
    assert_eq!(answer.header.as_ref().unwrap().revision, 3);
    let ranges: Vec<_> = answer
        .responses
        .iter()
        .filter_map(|response| match &response.response {
            Some(pb::Response::Range(range)) => Some(crate::ask::keys(range)),
            _ => None,
        })
        .collect();
    assert_eq!(ranges, [vec!["new"], vec!["new"], vec!["old"]]);
    let kv = client.range(get("new")).await.unwrap().kvs.remove(0);
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (3, 3, 1));
}

pub async fn nested_headers_carry_only_the_revision(server: Server) {
    let (_cluster, client) = one(&server).await;
    let nested = always(vec![op(get("a"))]);
    let request =
        always(vec![op(get("a")), op(put("a", "1")), op(delete("b")), op(nested), op(get("a"))]);
    let answer = client.txn(request).await.unwrap();
    let outer = answer.header.unwrap();
    assert!(
        outer.cluster_id != 0
            && outer.member_id != 0
            && outer.raft_term != 0
            && outer.revision == 2
    );
    let revisions: Vec<i64> = answer
        .responses
        .into_iter()
        .map(|response| {
            let header = match response.response.unwrap() {
                pb::Response::Range(range) => range.header,
                pb::Response::Put(put) => put.header,
                pb::Response::DeleteRange(delete) => delete.header,
                pb::Response::Txn(txn) => txn.header,
            };
            let header = header.unwrap_or_default();
            assert_eq!((header.cluster_id, header.member_id, header.raft_term), (0, 0, 0));
            header.revision
        })
        .collect();
    // Each says the revision so far; a nested transaction's own header is left empty or at it.
    assert_eq!((revisions[0], revisions[1], revisions[2], revisions[4]), (1, 2, 2, 2));
}

pub async fn duplicate_keys_are_refused(server: Server) {
    let (_cluster, client) = one(&server).await;
    let nested = |operations| op(always(operations));
    let cases = [
        vec![op(put("a", "1")), op(put("a", "2"))],
        vec![op(put("a", "1")), op(delete("a"))],
        vec![op(delete("a")), op(put("a", "1"))],
        vec![op(put("b", "1")), op(delete_between("a", "c"))],
        vec![op(put("a", "1")), nested(vec![op(put("a", "2"))])],
        vec![nested(vec![op(put("a", "2"))]), op(put("a", "1"))],
        vec![op(delete("a")), nested(vec![op(put("a", "2"))])],
        vec![op(put("a", "1")), nested(vec![op(delete("a"))])],
        vec![nested(vec![op(put("a", "2"))]), nested(vec![op(put("a", "1"))])],
        vec![nested(vec![nested(vec![op(put("a", "2"))])]), op(put("a", "1"))],
    ];
    let text = "etcdserver: duplicate key given in txn request";
    for (number, success) in cases.into_iter().enumerate() {
        let branches = [
            pb::TxnRequest { success: success.clone(), ..Default::default() },
            pb::TxnRequest { failure: success, ..Default::default() },
        ];
        for request in branches {
            let Err(status) = client.txn(request).await else { panic!("case {number} passed") };
            let seen = (status.code(), status.message());
            assert_eq!(seen, (Code::InvalidArgument, text), "case {number}");
        }
    }
}

pub async fn overlaps_that_are_allowed(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "a", "0").await;
    let nested = pb::TxnRequest {
        compare: vec![],
        success: vec![op(put("n", "then"))],
        failure: vec![op(put("n", "else"))],
    };
    let cases = [
        vec![op(delete("a")), op(delete("a"))],
        vec![op(delete_between("a", "c")), op(delete("b"))],
        vec![op(get("a")), op(put("a", "1")), op(get("a")), op(between("a", "z"))],
        vec![op(nested)],
        // The check reads a range end of one zero byte as that very key, not as "from key".
        vec![op(delete_between("a", "\0")), op(put("z", "1"))],
    ];
    for (number, success) in cases.into_iter().enumerate() {
        client
            .txn(always(success))
            .await
            .unwrap_or_else(|status| panic!("case {number}: {status:?}"));
        if number == 3 {
            assert_eq!(client.range(get("n")).await.unwrap().kvs[0].value, "then");
        }
    }
    let both = pb::TxnRequest {
        compare: vec![compare("a", Equal, Version(9))],
        success: vec![op(put("a", "then"))],
        failure: vec![op(put("a", "else"))],
    };
    assert!(!client.txn(both).await.unwrap().succeeded);
    assert_eq!(client.range(get("a")).await.unwrap().kvs[0].value, "else");
}

pub async fn the_operations_budget_is_shared_with_nested_transactions(server: Server) {
    let (_cluster, client) = one(&server).await;
    let puts =
        |count: usize| (0..count).map(|n| op(put(&format!("k{n}"), "v"))).collect::<Vec<_>>();
    let reads = |count: usize| (0..count).map(|_| op(get("x"))).collect::<Vec<_>>();
    let text = "etcdserver: too many operations in txn request";
    client.txn(always(puts(128))).await.unwrap();
    refused(client.txn(always(puts(129))).await, Code::InvalidArgument, text);
    let compares = vec![compare("a", Equal, Version(0)); 129];
    let request = pb::TxnRequest { compare: compares, ..Default::default() };
    refused(client.txn(request).await, Code::InvalidArgument, text);
    let failure = pb::TxnRequest { failure: reads(129), ..Default::default() };
    refused(client.txn(failure).await, Code::InvalidArgument, text);
    // Three lists of 128 each are fine: the limit is for each list.
    let full = pb::TxnRequest {
        compare: vec![compare("a", Equal, Version(0)); 128],
        success: reads(128),
        failure: reads(128),
    };
    client.txn(full).await.unwrap();
    // A nested transaction has what its parent's longest list leaves.
    let with_nested = |outer: usize, inner: usize| {
        let mut operations = reads(outer - 1);
        operations.push(op(always(reads(inner))));
        always(operations)
    };
    client.txn(with_nested(100, 28)).await.unwrap();
    refused(client.txn(with_nested(100, 29)).await, Code::InvalidArgument, text);
}

pub async fn nothing_happens_when_one_operation_is_invalid(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "a", "1").await;
    client.compact(crate::ask::compact(2)).await.unwrap();
    let bad = Code::InvalidArgument;
    let cases = [
        (op(put("", "x")), bad, "etcdserver: key is not provided"),
        (op(get("")), bad, "etcdserver: key is not provided"),
        (op(delete("")), bad, "etcdserver: key is not provided"),
        (pb::RequestOp { request: None }, bad, "etcdserver: key not found"),
        (
            op(pb::PutRequest { ignore_value: true, ..put("c", "") }),
            bad,
            "etcdserver: key not found",
        ),
        (
            op(pb::PutRequest { ignore_value: true, ..put("c", "x") }),
            bad,
            "etcdserver: value is provided",
        ),
        (
            op(pb::PutRequest { ignore_lease: true, lease: 1, ..put("c", "x") }),
            bad,
            "etcdserver: lease is provided",
        ),
        (
            op(pb::PutRequest { lease: 99, ..put("c", "x") }),
            Code::NotFound,
            "etcdserver: requested lease not found",
        ),
        (
            op(pb::RangeRequest { revision: 1, ..get("a") }),
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted",
        ),
        (
            op(pb::RangeRequest { revision: 99, ..get("a") }),
            Code::OutOfRange,
            "etcdserver: mvcc: required revision is a future revision",
        ),
    ];
    for (operation, code, text) in cases {
        refused(client.txn(always(vec![op(put("b", "1")), operation.clone()])).await, code, text);
        let nested = always(vec![op(put("b", "1")), op(always(vec![operation]))]);
        refused(client.txn(nested).await, code, text);
    }
    // A compare without a key is refused, too.
    let request =
        pb::TxnRequest { compare: vec![compare("", Equal, Version(0))], ..Default::default() };
    refused(client.txn(request).await, bad, "etcdserver: key is not provided");
    let present = client.range(everything()).await.unwrap();
    assert_eq!((present.count, present.header.unwrap().revision), (1, 2), "nothing happened");
}

pub async fn a_transaction_that_changes_nothing_takes_no_revision(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "a", "1").await;
    for request in [
        pb::TxnRequest::default(),
        always(vec![op(get("a"))]),
        always(vec![op(delete("absent"))]),
        always(vec![op(always(vec![op(get("a"))]))]),
    ] {
        let answer = client.txn(request).await.unwrap();
        assert!(answer.succeeded);
        assert_eq!(answer.header.unwrap().revision, 2);
    }
}
