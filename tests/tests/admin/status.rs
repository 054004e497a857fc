//! What a member tells of itself and of the others.

use quorate_tests::{Server, Suite};
use serde_json::{Value, json};

use crate::ask::{admin, cluster_of, status, status_when};

pub fn add(suite: &mut Suite) {
    suite.on_ours("a_lone_member_is_ready_and_leads", None, a_lone_member_is_ready_and_leads);
    suite.on_ours("operators_compact_and_defragment", None, operators_compact_and_defragment);
    suite.on_ours(
        "three_members_see_each_other_and_who_is_gone",
        None,
        three_members_see_each_other_and_who_is_gone,
    );
}

async fn a_lone_member_is_ready_and_leads(server: Server) {
    let cluster = cluster_of(&server, 1).await;
    let status = status_when(&server, &cluster.members[0], "it serves", |status| {
        status["state"] == "member"
    })
    .await;
    for (key, expected) in [
        ("name", json!("m1")),
        ("is_ready", json!(true)),
        ("is_leader", json!(true)),
        ("leader", status["member_id"].clone()),
        ("operation", Value::Null),
    ] {
        assert_eq!(status[key], expected, "{key} in {status}");
    }
    assert_eq!(status["members"][0]["peer_urls"], json!([cluster.members[0].peer_url()]));
    assert_eq!(status["members"][0]["is_alive"], true);
}

async fn operators_compact_and_defragment(server: Server) {
    let cluster = cluster_of(&server, 1).await;
    let client = cluster.client();
    for _ in 0..3 {
        let put = quorate_tests::pb::PutRequest { key: "k".into(), ..Default::default() };
        client.put(put).await.unwrap();
    }
    let member = &cluster.members[0];
    let compacted = admin(&server, member, "compact --physical").await;
    assert_eq!((compacted.code, &compacted.json), (Some(0), &json!({ "revision": 4 })));
    let again = admin(&server, member, "compact --revision 3").await;
    assert_eq!((again.code, &again.json["code"]), (Some(1), &json!("out-of-range")));
    let line = "quorate: etcdserver: mvcc: required revision has been compacted\n";
    assert_eq!(again.stderr, line);
    let defragmented = admin(&server, member, "defragment").await;
    assert!(defragmented.json["bytes_after"].as_u64() > Some(0), "{defragmented:?}");
    assert_eq!(admin(&server, member, "disarm").await.json, json!({ "disarmed": [] }));
}

async fn three_members_see_each_other_and_who_is_gone(server: Server) {
    let mut cluster = cluster_of(&server, 3).await;
    let leader = cluster.leader().await;
    let gone = (leader + 1) % 3;
    let seen = |status: &Value, name: &str| {
        let members = status["members"].as_array().cloned().unwrap_or_default();
        members.into_iter().find(|member| member["name"] == name).map(|it| it["is_alive"].clone())
    };
    let gone_name = cluster.members[gone].name().to_owned();
    status_when(&server, &cluster.members[leader], "all are alive", |status| {
        ["m1", "m2", "m3"].iter().all(|name| seen(status, name) == Some(json!(true)))
    })
    .await;
    cluster.members[gone].kill();
    let status_of_leader =
        status_when(&server, &cluster.members[leader], "one is gone", |status| {
            seen(status, &gone_name) == Some(json!(false))
        })
        .await;
    assert_eq!(status_of_leader["is_ready"], true);
    let other = 3 - leader - gone;
    cluster.members[other].kill();
    status_when(&server, &cluster.members[leader], "it is not ready alone", |status| {
        status["is_ready"] == false
    })
    .await;
    let refused = admin(&server, &cluster.members[leader], "compact").await;
    assert_eq!((refused.code, &refused.json["code"]), (Some(1), &json!("no-quorum")));
    assert_eq!(status(&server, &cluster.members[leader]).await["state"], "member");
}
