//! A member gives its place up, or is taken out.

use std::fs;
use std::time::Duration;

use quorate_tests::{Member, Server, Suite};
use serde_json::{Value, json};

use crate::ask::{admin, cluster_of, status, status_when};

pub fn add(suite: &mut Suite) {
    suite.on_ours("the_last_member_does_not_leave", None, the_last_member_does_not_leave);
    suite.on_ours(
        "a_leader_of_three_leaves_and_its_process_stays_idle",
        None,
        a_leader_of_three_leaves_and_its_process_stays_idle,
    );
    suite.on_ours("a_dead_member_of_three_is_removed", None, a_dead_member_of_three_is_removed);
}

async fn the_last_member_does_not_leave(server: Server) {
    let cluster = cluster_of(&server, 1).await;
    let refused = admin(&server, &cluster.members[0], "leave").await;
    assert_eq!((refused.code, &refused.json["code"]), (Some(1), &json!("last-voter")));
    let status = status(&server, &cluster.members[0]).await;
    assert_eq!((&status["state"], &status["is_ready"]), (&json!("member"), &json!(true)));
    let removed = admin(&server, &cluster.members[0], "remove m1").await;
    assert_eq!((removed.code, &removed.json["code"]), (Some(1), &json!("last-voter")));
}

async fn a_leader_of_three_leaves_and_its_process_stays_idle(server: Server) {
    let mut cluster = cluster_of(&server, 3).await;
    let leaver = cluster.leader().await;
    let name = cluster.members[leaver].name().to_owned();
    let client = cluster.members[(leaver + 1) % 3].client();
    let put = quorate_tests::pb::PutRequest { key: "k".into(), ..Default::default() };
    client.put(put).await.unwrap();

    let left = admin(&server, &cluster.members[leaver], "leave").await;
    assert_eq!((left.code, &left.json), (Some(0), &json!({ "state": "left" })), "{left:?}");
    let idle = status(&server, &cluster.members[leaver]).await;
    assert_eq!((&idle["state"], &idle["member_id"]), (&json!("left"), &Value::Null));
    let again = admin(&server, &cluster.members[leaver], "leave").await;
    assert_eq!(again.code, Some(0), "it has left already: {again:?}");
    let address = cluster.members[leaver].client_address();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "no client is served");
    assert_eq!(open_below_data_dir(&cluster.members[leaver]), Vec::<String>::new());

    let rest = &cluster.members[(leaver + 1) % 3];
    let seen = status_when(&server, rest, "two are left", |status| {
        status["members"].as_array().is_some_and(|members| members.len() == 2)
            && status["is_ready"] == true
    })
    .await;
    assert_eq!(seen["tombstones"][0]["name"], name.as_str());
    assert_eq!(seen["tombstones"][0]["reason"], "scale-in");

    cluster.members[leaver].terminate();
    let ended = cluster.members[leaver].ends_within(Duration::from_secs(10)).await;
    assert!(ended.success(), "{ended}");

    // Started again with nobody to ask, it has still left, and says so instead of ending.
    let leaver = &mut cluster.members[leaver];
    let seeds = leaver.data_dir().with_file_name("seeds");
    fs::write(&seeds, "# nobody\n").unwrap();
    leaver.flags_mut().extra.push(format!("--join-seeds-file={}", seeds.display()));
    leaver.start();
    status_when(&server, leaver, "it is idle again", |status| status["state"] == "left").await;
    leaver.terminate();
    assert!(leaver.ends_within(Duration::from_secs(10)).await.success());
}

/// What the process still holds open of its data: storage that is to go must not be busy.
fn open_below_data_dir(member: &Member) -> Vec<String> {
    let data_dir = member.data_dir();
    let links = fs::read_dir(format!("/proc/{}/fd", member.pid().unwrap())).unwrap();
    links
        .filter_map(|link| fs::read_link(link.ok()?.path()).ok())
        .filter(|target| target.starts_with(&data_dir))
        .map(|target| target.display().to_string())
        .collect()
}

async fn a_dead_member_of_three_is_removed(server: Server) {
    let mut cluster = cluster_of(&server, 3).await;
    let leader = cluster.leader().await;
    let dead = (leader + 1) % 3;
    let name = cluster.members[dead].name().to_owned();
    let nobody = admin(&server, &cluster.members[leader], "remove m9").await;
    assert_eq!((nobody.code, &nobody.json["code"]), (Some(1), &json!("not-found")));
    cluster.members[dead].kill();
    let words = format!("remove {name} --reason scale-in");
    let removed = admin(&server, &cluster.members[leader], &words).await;
    assert_eq!(removed.code, Some(0), "{removed:?}");
    let status = status(&server, &cluster.members[leader]).await;
    assert_eq!(status["members"].as_array().map(Vec::len), Some(2));
    let tombstone = &status["tombstones"][0];
    assert_eq!((&tombstone["id"], &tombstone["name"]), (&removed.json["removed"], &json!(name)));
    assert_eq!(tombstone["reason"], "scale-in");
}
