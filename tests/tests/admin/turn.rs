//! One member at a time.

use quorate_tests::{Server, Suite, eventually};
use serde_json::json;

use crate::ask::{admin, cluster_of};

pub fn add(suite: &mut Suite) {
    suite.on_ours("three_members_take_turns", None, three_members_take_turns);
    suite.on_ours(
        "a_turn_of_three_ends_with_its_holder",
        None,
        a_turn_of_three_ends_with_its_holder,
    );
}

async fn three_members_take_turns(server: Server) {
    let cluster = cluster_of(&server, 3).await;
    let [first, second, third] = &cluster.members[..] else { panic!("three members") };
    let taken = admin(&server, first, "turn take restart --ttl-s 60").await;
    assert_eq!((taken.code, &taken.json), (Some(0), &json!({ "holder": "m1" })));
    for waiting in [second, third] {
        for verb in ["take", "release"] {
            let refused = admin(&server, waiting, &format!("turn {verb} restart")).await;
            let expected = (Some(1), &json!("taken"), &json!("m1"));
            let found = (refused.code, &refused.json["code"], &refused.json["holder"]);
            assert_eq!(found, expected, "{verb} {refused:?}");
        }
    }
    assert_eq!(admin(&server, first, "turn take restart").await.code, Some(0), "renewed");
    assert_eq!(admin(&server, first, "turn release restart").await.code, Some(0));
    let taken = admin(&server, second, "turn take restart").await;
    assert_eq!(taken.json, json!({ "holder": "m2" }));
    let refused = admin(&server, first, "turn take restart").await;
    assert_eq!(refused.json["holder"], "m2");
}

async fn a_turn_of_three_ends_with_its_holder(server: Server) {
    let mut cluster = cluster_of(&server, 3).await;
    let holder = cluster.leader().await;
    let next = (holder + 1) % 3;
    let taken = admin(&server, &cluster.members[holder], "turn take restart --ttl-s 3").await;
    assert_eq!(taken.code, Some(0), "{taken:?}");
    cluster.members[holder].kill();
    eventually("the turn is free again", async || {
        let answer = admin(&server, &cluster.members[next], "turn take restart").await;
        (answer.code == Some(0)).then_some(())
    })
    .await;
}
