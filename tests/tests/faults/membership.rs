//! Members that are away, replaced, added, removed or wiped.

use std::time::Duration;

use quorate_tests::{Client, Cluster, Server, Shape, eventually, eventually_within, pb};

use crate::load::{Load, hashes_agree, judge};

const RESUME: Duration = Duration::from_secs(20);

fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ..Default::default()
    }
}

async fn id_of(client: &Client) -> u64 {
    client.status(pb::Empty {}).await.unwrap().header.unwrap().member_id
}

/// Adds a member and starts it; gives its index. Right after a start etcd may still refuse.
async fn join(cluster: &mut Cluster, through: usize, name: &str, is_learner: bool) -> (usize, u64) {
    let joiner = cluster.joiner(name);
    let peer_urls = vec![cluster.members[joiner].peer_url()];
    let request = pb::MemberAddRequest { peer_urls, is_learner };
    let client = cluster.members[through].client();
    let added =
        eventually("the member is added", async || client.member_add(request.clone()).await.ok())
            .await;
    let listed: Vec<usize> = (0..cluster.members.len())
        .filter(|&m| m == joiner || cluster.members[m].pid().is_some())
        .collect();
    cluster.list_for(joiner, &listed);
    cluster.members[joiner].start();
    (joiner, added.member.unwrap().id)
}

pub async fn snapshot_catch_up(server: Server) {
    let mut shape = Shape::of(3).flag("--snapshot-count=100");
    if server.at_least(3, 6) {
        shape = shape.flag("--snapshot-catchup-entries=50");
    }
    let mut cluster = Cluster::start(&server, shape).await;
    let away = cluster.follower().await;
    cluster.members[away].kill();
    let leader = cluster.leader().await;
    let client = cluster.members[leader].client();
    for number in 0..1_000 {
        client.put(put(&format!("k/{}", number % 300), &number.to_string())).await.unwrap();
    }
    client.compact(pb::CompactionRequest { revision: 500, physical: true }).await.unwrap();
    for number in 0..300 {
        client.put(put(&format!("k/{number}"), "late")).await.unwrap();
    }
    cluster.members[away].start();
    cluster.members[away].ready().await;
    hashes_agree(&cluster.clients()).await;
    // It is a full member again: the other follower may go.
    let other = (0..3).find(|&index| index != away && index != leader).unwrap();
    cluster.members[other].kill();
    let client = cluster.members[away].client();
    eventually("writes go on with it", async || client.put(put("last", "1")).await.ok()).await;
}

pub async fn replaced(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(3).flag("--snapshot-count=100")).await;
    let leader = cluster.leader().await;
    let gone = cluster.follower().await;
    let others: Vec<Client> =
        (0..3).filter(|&m| m != gone).map(|m| cluster.members[m].client()).collect();
    let load = Load::on(others, 2);
    load.more_acknowledged(200, RESUME).await;
    let gone_id = id_of(&cluster.members[gone].client()).await;
    cluster.members[gone].kill();
    let client = cluster.members[leader].client();
    let removal = pb::MemberIdRequest { id: gone_id };
    eventually("the dead member is removed", async || {
        client.member_remove(removal.clone()).await.ok()
    })
    .await;
    let (joiner, _) = join(&mut cluster, leader, "m4", false).await;
    cluster.members[joiner].ready().await;
    load.more_acknowledged(100, RESUME).await;
    let history = load.stop().await;
    judge(&cluster, &history).await;
}

pub async fn learner(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(3).flag("--snapshot-count=100")).await;
    let load = Load::start(&cluster, 1);
    load.more_acknowledged(300, RESUME).await;
    let leader = cluster.leader().await;
    let (joiner, id) = join(&mut cluster, leader, "m4", true).await;
    let client = cluster.members[leader].client();
    let promotion = pb::MemberIdRequest { id };
    eventually("the learner is promoted", async || {
        client.member_promote(promotion.clone()).await.ok()
    })
    .await;
    cluster.members[joiner].ready().await;
    let listed = client.member_list(pb::MemberListRequest { linearizable: true }).await.unwrap();
    assert!(listed.members.len() == 4 && listed.members.iter().all(|member| !member.is_learner));
    let history = load.stop().await;
    judge(&cluster, &history).await;
}

pub async fn removed(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(3)).await;
    let leader = cluster.leader().await;
    let gone = cluster.follower().await;
    let id = id_of(&cluster.members[gone].client()).await;
    let client = cluster.members[leader].client();
    let removal = pb::MemberIdRequest { id };
    eventually("the member is removed", async || client.member_remove(removal.clone()).await.ok())
        .await;
    // It learns of its removal and ends; started again, it does not come back. (etcd's exit status
    // is 0 both times.)
    cluster.members[gone].ends_within(Duration::from_secs(30)).await;
    cluster.members[gone].start();
    cluster.members[gone].ends_within(Duration::from_secs(30)).await;
    client.put(put("a", "1")).await.unwrap();
    let listed = client.member_list(pb::MemberListRequest { linearizable: true }).await.unwrap();
    assert_eq!(listed.members.len(), 2);
}

/// An empty disk under an old name forgot what it voted for: with it, a majority is none.
pub async fn wiped(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(3)).await;
    let leader = cluster.leader().await;
    cluster.members[leader].client().put(put("a", "1")).await.unwrap();
    let wiped = cluster.follower().await;
    let other = (0..3).find(|&index| index != leader && index != wiped).unwrap();
    cluster.members[wiped].kill();
    std::fs::remove_dir_all(cluster.members[wiped].data_dir()).unwrap();
    cluster.members[other].kill();
    cluster.members[wiped].start();
    // One valid disk of three: no write may be acknowledged, whatever the wiped one says.
    let client = cluster.members[leader].client();
    for _ in 0..2 {
        let answer = client.put(put("a", "must not be acknowledged")).await;
        answer.expect_err("a wiped member made up a majority");
    }
    // The valid majority comes back and has everything.
    cluster.members[other].start();
    eventually_within(Duration::from_secs(40), "the valid majority serves", async || {
        client.put(put("b", "2")).await.ok()
    })
    .await;
    let read = pb::RangeRequest { key: "a".into(), ..Default::default() };
    assert!(client.range(read).await.unwrap().kvs[0].version >= 1);
}
