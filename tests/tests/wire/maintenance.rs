//! Status, compaction, hashes, alarms, defragmentation, leadership, health: etcd-surface 1.8, 1.12.

use bytes::Bytes;
use quorate_tests::{Cluster, Server, Shape, eventually, pb};
use tonic::Code;

use crate::ask::{compact, delete, everything, get, keys, one, one_with, put, put_at, refused};

pub async fn status_describes_the_member(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "a", "1").await;
    let status = client.status(pb::Empty {}).await.unwrap();
    let header = status.header.unwrap();
    assert_eq!(header.revision, 2);
    assert_eq!((status.leader, status.raft_term), (header.member_id, header.raft_term));
    assert!(status.raft_index >= status.raft_applied_index && status.raft_applied_index > 0);
    assert!(status.db_size >= status.db_size_in_use && status.db_size_in_use > 0);
    assert!(!status.is_learner && status.errors.is_empty(), "{:?}", status.errors);
    let version = server.version;
    assert_eq!(status.version, format!("{}.{}.{}", version.major, version.minor, version.patch));
}

pub async fn hash_kv_follows_the_content(server: Server) {
    let (_cluster, client) = one(&server).await;
    let hash = async |revision| {
        client.hash_kv(pb::HashKvRequest { revision }).await.map(|answer| answer.hash)
    };
    put_at(&client, "a", "1").await;
    let at_two = hash(2).await.unwrap();
    put_at(&client, "b", "2").await;
    assert_eq!(hash(2).await.unwrap(), at_two, "history does not change");
    assert_ne!(hash(3).await.unwrap(), at_two);
    assert_eq!(hash(0).await.unwrap(), hash(3).await.unwrap(), "0 is the current revision");
    let text = "etcdserver: mvcc: required revision is a future revision";
    refused(hash(9).await, Code::OutOfRange, text);
    put_at(&client, "a", "3").await;
    client.compact(pb::CompactionRequest { revision: 3, physical: true }).await.unwrap();
    let text = "etcdserver: mvcc: required revision has been compacted";
    refused(hash(2).await, Code::OutOfRange, text);
    let answer = client.hash_kv(pb::HashKvRequest { revision: 0 }).await.unwrap();
    assert_eq!(answer.compact_revision, 3);
    assert_eq!(answer.header.unwrap().revision, 4);
    if server.at_least(3, 6) {
        assert_eq!(answer.hash_revision, 4);
    }
}

pub async fn compaction_is_refused_with_etcds_texts(server: Server) {
    let (_cluster, client) = one(&server).await;
    for value in ["1", "2", "3"] {
        put_at(&client, "a", value).await;
    }
    client.delete_range(delete("a")).await.unwrap();
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    let future = "etcdserver: mvcc: required revision is a future revision";
    refused(client.compact(compact(6)).await, Code::OutOfRange, future);
    let answer = client.compact(compact(3)).await.unwrap();
    assert_eq!(answer.header.unwrap().revision, 5);
    for revision in [3, 2, 0, -1] {
        refused(client.compact(compact(revision)).await, Code::OutOfRange, compacted);
    }
    assert_eq!(client.range(pb::RangeRequest { revision: 3, ..get("a") }).await.unwrap().count, 1);
    client.compact(pb::CompactionRequest { revision: 5, physical: true }).await.unwrap();
    assert_eq!(client.range(everything()).await.unwrap().count, 0);
    assert_eq!(put_at(&client, "a", "new").await, 6);
}

pub async fn alarms_are_listed_raised_and_cleared(server: Server) {
    let (_cluster, client) = one(&server).await;
    let ask = |action, member_id, alarm| pb::AlarmRequest { action, member_id, alarm };
    assert_eq!(client.alarm(ask(0, 0, 0)).await.unwrap().alarms, []);
    let id = client.status(pb::Empty {}).await.unwrap().leader;
    let no_space = vec![pb::AlarmMember { member_id: id, alarm: 1 }];
    let raised = client.alarm(ask(1, id, 1)).await.unwrap();
    assert_eq!(raised.alarms, no_space);
    assert_eq!(client.alarm(ask(0, 0, 1)).await.unwrap().alarms, no_space);
    let text = "etcdserver: mvcc: database space exceeded";
    refused(client.put(put("a", "1")).await, Code::ResourceExhausted, text);
    let grant = pb::LeaseGrantRequest { ttl: 100, id: 0 };
    refused(client.lease_grant(grant).await, Code::ResourceExhausted, text);
    let txn = crate::ask::always(vec![crate::ask::op(put("a", "1"))]);
    refused(client.txn(txn).await, Code::ResourceExhausted, text);
    client.delete_range(delete("a")).await.unwrap();
    client.range(everything()).await.unwrap();
    let status = client.status(pb::Empty {}).await.unwrap();
    assert!(status.errors.iter().any(|error| error.contains("NOSPACE")), "{:?}", status.errors);
    assert_eq!(client.alarm(ask(2, id, 1)).await.unwrap().alarms, no_space);
    assert_eq!(client.alarm(ask(0, 0, 0)).await.unwrap().alarms, []);
    client.put(put("a", "1")).await.unwrap();
}

pub async fn defragmentation_keeps_everything_and_has_no_header(server: Server) {
    let (_cluster, client) = one(&server).await;
    for number in 0..50 {
        put_at(&client, &format!("k{number}"), "v").await;
    }
    let before = client.range(everything()).await.unwrap();
    assert_eq!(client.defragment(pb::Empty {}).await.unwrap().header, None);
    assert_eq!(client.range(everything()).await.unwrap(), before);
}

pub async fn move_leader_checks_its_target(server: Server) {
    let cluster = Cluster::start(&server, Shape::of(3)).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let id = async |index: usize| {
        let status = cluster.members[index].client().status(pb::Empty {}).await.unwrap();
        status.header.unwrap().member_id
    };
    let (leader_id, follower_id) = (id(leader).await, id(follower).await);
    let to = |target_id| pb::MoveLeaderRequest { target_id };
    let at_leader = cluster.members[leader].client();
    let answer = cluster.members[follower].client().move_leader(to(leader_id)).await;
    refused(answer, Code::FailedPrecondition, "etcdserver: not leader");
    let text = "etcdserver: bad leader transferee";
    refused(at_leader.move_leader(to(77)).await, Code::FailedPrecondition, text);
    assert_eq!(at_leader.move_leader(to(follower_id)).await.unwrap().header, None);
    eventually("the follower leads", async || (cluster.leader().await == follower).then_some(()))
        .await;
    put_at(&cluster.members[leader].client(), "a", "1").await;
}

pub async fn the_health_service_answers_for_the_empty_name(server: Server) {
    let (_cluster, client) = one(&server).await;
    let answer = client.health(pb::HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.status, 1);
    let unknown = pb::HealthCheckRequest { service: "nothing".to_owned() };
    assert_eq!(client.health(unknown).await.unwrap_err().code(), Code::NotFound);
}

pub async fn a_full_quota_refuses_writes_and_says_so(server: Server) {
    // 2 MiB: more than an empty database of either system takes.
    let (_cluster, client) = one_with(&server, &["--quota-backend-bytes=2097152"]).await;
    let value = Bytes::from(vec![b'v'; 400_000]);
    let mut written = 0;
    let refusal = loop {
        let request = pb::PutRequest { value: value.clone(), ..put(&format!("k{written}"), "") };
        match client.put(request).await {
            Ok(_) => written += 1,
            Err(status) => break status,
        }
        // etcd learns the size of its file when a batch is committed, so some more fit.
        assert!(written < 200, "a quota of 2 MiB took 80 MB");
    };
    let text = "etcdserver: mvcc: database space exceeded";
    assert_eq!((refusal.code(), refusal.message()), (Code::ResourceExhausted, text));
    assert!(written > 0);
    let present = keys(&client.range(everything()).await.unwrap());
    assert!(present.len() >= written, "{present:?}");
    eventually("the NOSPACE alarm is raised", async || {
        let alarms = client.alarm(pb::AlarmRequest::default()).await.ok()?.alarms;
        alarms.iter().map(|alarm| alarm.alarm).eq([1]).then_some(())
    })
    .await;
    // Making room is always possible.
    client.delete_range(crate::ask::delete_between("k", "l")).await.unwrap();
    client
        .compact(compact(client.range(get("k")).await.unwrap().header.unwrap().revision))
        .await
        .unwrap();
}
