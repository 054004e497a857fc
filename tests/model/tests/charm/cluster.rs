//! What a cluster goes through under the charm: it is deployed, grows, shrinks, loses leaders, hooks
//! and machines. Real hooks and members in a stand-in for Juju.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, unused_imports, reason = "each suite takes from it what it needs")]
mod common;
mod deploy;
mod faults;
mod leaders;
mod scale;
mod seeds;

use std::process::ExitCode;

use common::{Suite, is_extended};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.case("one_unit_becomes_a_cluster", deploy::one);
    suite.case("three_units_at_deploy_become_one_cluster", deploy::three);
    suite.case("two_units_added_at_once_join", deploy::two_added);
    suite.case("scale_1_3_5_3_1_under_load", scale::to_five_and_back);
    suite.case("the_juju_leader_is_removed", scale::without_juju_leader);
    suite.case("the_raft_leader_is_removed_under_load", scale::without_raft_leader);
    suite.case("juju_leader_moves_inside_leader_elected", leaders::in_the_middle_of_leader_elected);
    suite.case("juju_leader_moves_between_hooks", leaders::between_hooks);
    suite.case("juju_leader_moves_after_every_hook", leaders::after_every_hook);
    suite.case("the_founder_is_removed_while_it_founds", leaders::founder_removed);
    suite.case("a_dead_raft_leader_is_replaced_and_cleaned_up", faults::dead_raft_leader);
    suite.case("a_dead_juju_leader_is_replaced_and_cleaned_up", faults::dead_juju_leader);
    suite.case("a_member_goes_on_when_power_comes_back", faults::power_comes_back);
    suite.case("all_members_go_on_when_power_comes_back", faults::power_fails_everywhere);
    for place in faults::places() {
        let name = format!("hooks_killed_after_{place:02}_tool_calls_are_repeated");
        suite.case(name, move || faults::killed_hooks(place));
    }
    if !is_extended() {
        let why = "long: set QUORATE_EXTENDED=1";
        suite.skipped("hooks_killed_at_every_place_are_repeated", why);
    }
    for seed in 0..seeds::SEEDS {
        suite.case(format!("seed_{seed:02}"), move || seeds::life(seed));
    }
    if let Some(seed) = seeds::asked() {
        suite.case(format!("seed_asked_{seed}"), move || seeds::life(seed));
    }
    suite.main()
}
