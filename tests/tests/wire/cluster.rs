//! Membership RPCs: etcd-surface 1.13.

use std::time::Duration;

use quorate_tests::{Answer, Cluster, Port, Server, Shape, eventually, pb};
use tonic::Code;

use crate::ask::{get, one, put_at, refused};

fn urls(urls: &[&str]) -> Vec<String> {
    urls.iter().map(|url| (*url).to_owned()).collect()
}

/// Repeats a membership change until it is decided: etcd drops one that is proposed while the one
/// before is not applied yet, and its caller runs into the timeout.
async fn settled<T>(ask: impl AsyncFn() -> Answer<T>) -> Answer<T> {
    eventually("the membership change is decided", async || match ask().await {
        Err(status) if status.code() == Code::DeadlineExceeded => None,
        answer => Some(answer),
    })
    .await
}

pub async fn cluster_headers_have_no_revision(server: Server) {
    let (cluster, client) = one(&server).await;
    put_at(&client, "a", "1").await;
    let listed = client.member_list(pb::MemberListRequest { linearizable: true }).await.unwrap();
    let header = listed.header.unwrap();
    assert_eq!(header.revision, 0);
    let [member] = listed.members.as_slice() else { panic!("one member") };
    assert_eq!((member.id, member.name.as_str()), (header.member_id, "m1"));
    assert_eq!(member.peer_urls, [cluster.members[0].peer_url()]);
    assert_eq!(member.client_urls, [cluster.members[0].client_url()]);
    assert!(!member.is_learner);
}

pub async fn bad_member_urls_and_ids_are_refused(server: Server) {
    let (cluster, client) = one(&server).await;
    let text = "etcdserver: given member URLs are invalid";
    for bad in ["nonsense", "127.0.0.1:2380", "http://127.0.0.1", "http://127.0.0.1:1/path", ""] {
        let add = pb::MemberAddRequest { peer_urls: urls(&[bad]), is_learner: false };
        refused(client.member_add(add).await, Code::InvalidArgument, text);
    }
    let none = pb::MemberAddRequest::default();
    refused(client.member_add(none).await, Code::InvalidArgument, text);
    let not_found = "etcdserver: member not found";
    let unknown = pb::MemberIdRequest { id: 4_660 };
    let hasty = client.with_timeout(Duration::from_secs(3));
    let remove = settled(async || hasty.member_remove(unknown.clone()).await).await;
    refused(remove, Code::NotFound, not_found);
    let promote = settled(async || hasty.member_promote(unknown.clone()).await).await;
    refused(promote, Code::NotFound, not_found);
    let update = pb::MemberUpdateRequest { id: 4_660, peer_urls: urls(&["http://127.0.0.1:9"]) };
    let update = settled(async || hasty.member_update(update.clone()).await).await;
    refused(update, Code::NotFound, not_found);
    // etcd does not look at the URLs of an update, so there is no text to compare for bad ones.
    let own = client.member_list(pb::MemberListRequest::default()).await.unwrap().members.remove(0);
    let promote = client.member_promote(pb::MemberIdRequest { id: own.id }).await;
    let text = "etcdserver: can only promote a learner member";
    refused(promote, Code::FailedPrecondition, text);
    let taken = vec![cluster.members[0].peer_url()];
    let add = pb::MemberAddRequest { peer_urls: taken, is_learner: true };
    let text = "etcdserver: Peer URLs already exists";
    // A fresh cluster refuses learners until its version is decided; that answer is not meant here.
    let answer = eventually("the cluster version is decided", async || {
        let answer = settled(async || hasty.member_add(add.clone()).await).await;
        let undecided =
            matches!(&answer, Err(status) if status.message() == "etcdserver: not capable");
        (!undecided).then_some(answer)
    })
    .await;
    refused(answer, Code::FailedPrecondition, text);
}

pub async fn an_added_member_is_nameless_until_it_starts(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(1)).await;
    let client = cluster.client();
    let joiner = cluster.joiner("m2");
    let peer_urls = vec![cluster.members[joiner].peer_url()];
    let request = pb::MemberAddRequest { peer_urls: peer_urls.clone(), is_learner: true };
    let added = eventually("a learner can be added", async || {
        client.member_add(request.clone()).await.ok()
    })
    .await;
    let member = added.member.unwrap();
    assert_eq!(
        (member.name.as_str(), &member.client_urls, &member.peer_urls),
        ("", &vec![], &peer_urls)
    );
    assert!(member.is_learner && added.members.len() == 2);
    assert_eq!(added.header.unwrap().revision, 0);

    cluster.list_for(joiner, &[0, joiner]);
    cluster.members[joiner].start();
    let listed = eventually("the joiner has published its name", async || {
        let listed = client.member_list(pb::MemberListRequest::default()).await.ok()?;
        listed.members.into_iter().find(|member| member.name == "m2")
    })
    .await;
    assert_eq!(listed.client_urls, [cluster.members[joiner].client_url()]);
    assert!(listed.is_learner);
    // Kept until the end: the joiner must not outlive the assertion on its cluster.
    put_at(&client, "still", "works").await;
}

pub async fn learners_are_limited_and_promoted_when_ready(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(1)).await;
    let client = cluster.client();
    put_at(&client, "a", "1").await;
    let joiner = cluster.joiner("m2");
    let peer_urls = vec![cluster.members[joiner].peer_url()];
    let request = pb::MemberAddRequest { peer_urls, is_learner: true };
    let added = eventually("a learner can be added", async || {
        client.member_add(request.clone()).await.ok()
    })
    .await;
    let id = added.member.unwrap().id;
    let other = Port::claim();
    let second = pb::MemberAddRequest { peer_urls: vec![other.url()], is_learner: true };
    let text = "etcdserver: too many learner members in cluster";
    refused(client.member_add(second).await, Code::FailedPrecondition, text);
    let early = client.member_promote(pb::MemberIdRequest { id }).await;
    let text = "etcdserver: can only promote a learner member which is in sync with leader";
    refused(early, Code::FailedPrecondition, text);

    cluster.list_for(joiner, &[0, joiner]);
    cluster.members[joiner].start();
    let learner = cluster.members[joiner].client().with_timeout(Duration::from_secs(2));
    let local = pb::RangeRequest { serializable: true, ..get("a") };
    eventually("the learner has caught up", async || {
        learner.range(local.clone()).await.ok().filter(|answer| answer.count == 1)
    })
    .await;
    let unsupported =
        if server.at_least(3, 6) { Code::FailedPrecondition } else { Code::Unavailable };
    refused(
        learner.range(get("a")).await,
        unsupported,
        "etcdserver: rpc not supported for learner",
    );
    let status = learner.status(pb::Empty {}).await.unwrap();
    assert!(status.is_learner, "{status:?}");
    let promoted = eventually("the learner is promoted", async || {
        client.member_promote(pb::MemberIdRequest { id }).await.ok()
    })
    .await;
    assert!(promoted.members.iter().all(|member| !member.is_learner), "{promoted:?}");
    cluster.members[joiner].ready().await;
    assert_eq!(cluster.members[joiner].client().range(get("a")).await.unwrap().count, 1);
}

/// etcdctl prints the cluster after `member add` from a list it asks the same member for.
pub async fn an_added_member_is_listed_by_whoever_answered_on_three(server: Server) {
    let cluster = Cluster::start(&server, Shape::of(3)).await;
    for client in cluster.clients() {
        let port = Port::claim();
        let request = pb::MemberAddRequest { peer_urls: vec![port.url()], is_learner: true };
        let added = eventually("a learner can be added", async || {
            client.member_add(request.clone()).await.ok()
        })
        .await;
        let id = added.member.unwrap().id;
        for linearizable in [false, true] {
            let listed = client.member_list(pb::MemberListRequest { linearizable }).await.unwrap();
            assert_eq!(listed.header.unwrap().member_id, added.header.as_ref().unwrap().member_id);
            let ids: Vec<u64> = listed.members.iter().map(|member| member.id).collect();
            assert!(ids.contains(&id), "{id} was added and is not in {ids:?}");
        }
        client.member_remove(pb::MemberIdRequest { id }).await.unwrap();
        if server.at_least(3, 5) {
            // Linearizable lists came with 3.5.
            for other in cluster.clients() {
                let request = pb::MemberListRequest { linearizable: true };
                let listed = other.member_list(request).await.unwrap();
                assert!(listed.members.iter().all(|member| member.id != id), "removed, but listed");
            }
        }
    }
}
