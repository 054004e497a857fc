//! What must hold while things break: ours only, real processes, every wait with a deadline.
//!
//! The judge of all crash cases is the same: each acknowledged write is there with its value, the
//! history has an order that explains it ([`quorate_tests::History`]), and all members hash equal.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod crash;
mod disks;
mod leaders;
mod load;
mod membership;
mod refusals;
mod strangers;

use std::process::ExitCode;

use quorate_tests::{Server, Suite};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.on_ours("members_killed_in_a_loop_lose_nothing", None, crash::members_killed_in_a_loop);
    suite.on_ours("a_single_member_killed_under_load_loses_nothing", None, crash::single_member);
    suite.on_ours("all_members_killed_at_once_come_back", None, crash::all_at_once);
    suite.on_ours("a_killed_leader_is_replaced", None, leaders::killed);
    suite.on_ours("five_members_go_on_without_two", None, leaders::five_lose_two);
    suite.on_ours("a_paused_leader_is_replaced_and_steps_down", None, leaders::paused);
    suite.on_ours("a_terminated_leader_hands_over_at_once", None, leaders::terminated);
    suite.on_ours("without_a_majority_nothing_is_acknowledged", None, leaders::no_majority);
    suite.on_ours("a_follower_that_was_away_gets_a_snapshot", None, membership::snapshot_catch_up);
    suite.on_ours("a_member_is_replaced_under_load", None, membership::replaced);
    suite.on_ours("a_learner_joins_under_load_and_is_promoted", None, membership::learner);
    suite.on_ours("a_removed_member_ends_and_stays_out", None, membership::removed);
    suite.on_ours("a_follower_with_a_wiped_disk_does_not_vote", None, membership::wiped);
    suite.on_ours("a_member_of_another_cluster_does_not_join", None, strangers::other_cluster);
    suite.on_ours("garbage_on_both_ports_does_no_harm", None, strangers::garbage);
    suite.on_ours("half_a_frame_holds_nobody_up", None, strangers::half_a_frame);
    suite.on_ours("wrong_flags_and_variables_are_named", None, refusals::flags);
    suite.on_ours(
        "a_founder_that_is_not_in_the_initial_cluster_is_refused",
        None,
        refusals::wrong_initial_cluster,
    );
    suite.on_ours("a_port_in_use_is_named", None, refusals::port_in_use);
    suite.on_ours(
        "a_second_process_on_a_data_directory_is_refused",
        None,
        refusals::second_process,
    );
    let no_etcd = Server::references().is_empty().then(|| "no real etcd installed".to_owned());
    suite.on_ours("a_data_directory_of_real_etcd_is_refused", no_etcd, refusals::etcds_directory);
    suite.on_ours("a_torn_end_of_the_log_is_dropped", None, disks::torn_end);
    suite.on_ours(
        "a_corrupt_middle_of_the_log_is_refused_with_advice",
        None,
        disks::corrupt_middle,
    );
    suite.on_ours("a_read_only_directory_is_named", disks::cannot_mount(), disks::read_only);
    suite.on_ours("a_full_disk_loses_nothing", disks::cannot_mount(), disks::full);
    suite.main()
}
