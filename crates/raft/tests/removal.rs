//! A member that is removed learns of it, ends, and stays out.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::Plan;
use common::{
    Member, Recorder, cluster, config, get, leader, listeners, publish, put, start, until,
};
use quorate_raft::{Node, StartError};

async fn three_started() -> (Plan, Vec<Member>) {
    let (plan, members) = cluster(3, 100_000, 100_000).await;
    for (number, member) in members.iter().enumerate() {
        put(&member.node, "k", "v").await;
        publish(&member.node, &format!("m{number}")).await;
    }
    (plan, members)
}

async fn ends(member: &Member) {
    until("the end of the removed member", || {
        member.hooks.fatal().is_some_and(|reason| reason.contains("removed from the cluster"))
    })
    .await;
}

async fn others_go_on(members: &[Member], removed: usize) {
    for (number, member) in members.iter().enumerate().filter(|(number, _)| *number != removed) {
        put(&member.node, "after", &number.to_string()).await;
        assert_eq!(get(&member.node, "after").await, Some(number.to_string()));
        assert_eq!(member.hooks.fatal(), None);
        assert_eq!(member.node.members().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_follower_ends_and_does_not_start_again() {
    let (plan, mut members) = three_started().await;
    let leader = leader(&members);
    let gone = (leader + 1) % 3;
    let id = members[gone].node.member_id();
    members[leader].node.member_remove(id).await.expect("two of two started members are left");
    ends(&members[gone]).await;
    others_go_on(&members, gone).await;
    let gone = members.remove(gone);
    gone.node.shutdown().await;
    drop(gone.node);
    // It may not have heard of its removal through the log; then its peers tell it.
    let (listener, _) = listeners(1).await.pop().expect("one socket");
    let hooks = Arc::<Recorder>::default();
    let config = config(&plan, gone.directory.path(), listener, &gone.url);
    match Node::start(config, hooks.clone()).await {
        Err(StartError::Removed) => {}
        Err(error) => panic!("{error}"),
        Ok(again) => {
            until("the second end", || hooks.fatal().is_some()).await;
            assert!(!again.status().is_leader);
            again.shutdown().await;
        }
    }
    for member in &members {
        member.node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_removes_itself_answers_and_ends() {
    let (_, members) = three_started().await;
    let gone = leader(&members);
    let id = members[gone].node.member_id();
    members[gone].node.member_remove(id).await.expect("two started members are left");
    ends(&members[gone]).await;
    others_go_on(&members, gone).await;
    for member in &members {
        member.node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_learner_that_nobody_talks_to_any_more_finds_out() {
    let (plan, mut members) = cluster(1, 100_000, 100_000).await;
    let first = members[0].node.clone();
    put(&first, "k", "v").await;
    publish(&first, "m0").await;
    let (listener, url) = listeners(1).await.pop().expect("one socket");
    let added = first.member_add(vec![url.clone()], true).await.expect("a new learner");
    members.push(start(&Plan { join: true, ..plan }, listener, url).await);
    let learner = members[1].node.clone();
    until("catching up", || learner.store().current_revision() == 2).await;
    first.member_remove(added.id).await.expect("a learner can go at any time");
    ends(&members[1]).await;
    tokio::time::timeout(Duration::from_secs(20), put(&first, "after", "v")).await.expect("alone");
    for member in &members {
        member.node.shutdown().await;
    }
}
