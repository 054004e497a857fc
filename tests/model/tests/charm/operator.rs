//! What an operator asks of the charm: options, releases, storage, relations, actions. Real hooks and
//! members in a stand-in for Juju.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod actions;
#[allow(dead_code, unused_imports, reason = "each suite takes from it what it needs")]
mod common;
mod config;
mod config_watch;
mod packed;
mod relations;
mod storage;
mod upgrade;
mod upgrade_archive;
mod upgrade_server;

use std::process::ExitCode;

use common::Suite;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.case("config_change_rolls_one_by_one_and_never_stops_writing", config::change_rolls);
    suite.case("config_each_bad_value_is_named_with_its_fix_and_forgiven", config::bad_values);
    suite.case("config_bad_at_deploy_waits_for_a_good_one", config::bad_at_deploy);
    suite.case("config_extra_args_reach_the_member_or_change_nothing", config::extra_arguments);
    suite.case("config_new_ports_are_served_opened_and_published", config::ports);
    suite.case("config_port_that_is_taken_is_rolled_back", config::taken_port);
    suite.case("config_more_room_for_a_full_store_rolls_one_by_one", config::more_room);
    suite.case("config_machine_addresses_change_one_after_another", config::addresses);
    suite.case("config_juju_without_leader_election_is_refused_by_name", config::old_juju);
    suite.case("upgrade_good_release_rolls_and_data_are_intact", upgrade::good);
    suite.case("upgrade_wrong_sum_blocks_with_both_sums_and_changes_nothing", upgrade::bad_sum);
    suite.case("upgrade_damaged_and_harmful_archives_change_nothing", upgrade::bad_archives);
    suite.case("upgrade_release_that_ends_at_once_is_rolled_back_everywhere", upgrade::crashing);
    suite.extended("upgrade_release_that_is_never_ready_is_rolled_back", upgrade::silent);
    suite.case("upgrade_release_that_refuses_the_options_is_not_started", upgrade::unwilling);
    suite.case("upgrade_resource_release_is_taken_and_given_back", upgrade::resource);
    suite.case("upgrade_charm_brings_its_store_and_the_same_one_restarts_nobody", upgrade::refresh);
    suite.case("storage_of_one_unit_is_taken_over_with_its_data", storage::one_unit);
    suite.case("storage_scale_to_zero_and_back_keeps_the_data", storage::to_zero_and_back);
    suite.case("storage_all_units_removed_at_once_come_back", storage::all_at_once);
    suite.case("storage_of_a_member_that_left_is_put_aside", storage::one_of_three);
    suite.case("storage_that_is_forgotten_is_asked_for", storage::forgotten);
    suite.case("relations_proxy_text_leads_to_the_cluster_and_follows_it", relations::proxy);
    suite.case("relations_client_and_db_have_the_ancestors_keys", relations::client_and_db);
    suite.case("relations_that_end_leave_nothing_behind", relations::broken);
    suite.case("actions_on_a_healthy_cluster_answer_by_key_and_text", actions::healthy_cluster);
    suite.case("actions_compact_and_what_it_refuses", actions::compact);
    suite.case("actions_refuse_what_is_not_described", actions::parameters);
    suite.case("actions_with_members_down_say_why_and_what_to_do", actions::members_down);
    suite.case("actions_show_and_take_back_the_alarm_of_a_full_store", actions::alarms);
    suite.case("actions_rollback_release_stays_back", actions::rollback);
    suite.case_with("packed_charm_deploys_from_its_own_files", packed::archive(), packed::deploys);
    suite.main()
}
