//! The gRPC surface, byte by byte: every case is one function over a server, run against ours and
//! against every real etcd that is installed, so a wrong expectation fails on etcd itself.
//!
//! Where releases of etcd differ, the case says so with `server.at_least(major, minor)`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod ask;
mod cluster;
mod kubernetes;
mod kv;
mod lease;
mod limits;
mod maintenance;
mod txn;
mod watch;

use std::process::ExitCode;

use quorate_tests::Suite;

macro_rules! cases {
    ($suite:ident, $($module:ident: $($case:ident)*;)*) => {
        $($($suite.on_each(
            concat!(stringify!($module), "::", stringify!($case)),
            $module::$case,
        );)*)*
    };
}

fn main() -> ExitCode {
    let mut suite = Suite::new();
    cases! { suite,
        kv: headers_follow_the_revision_rules
            range_ends_select_what_etcd_selects
            limit_count_and_more_agree
            sorting_and_filters_come_before_the_limit
            reads_at_revisions_are_bounded_by_compaction_and_present
            puts_are_refused_with_etcds_texts
            previous_values_are_returned_when_asked_for
            deletions_share_one_revision
            unknown_methods_are_unimplemented
            a_range_stream_is_one_pinned_range;
        txn: compares_see_the_state_before
            an_absent_key_compares_as_zero_but_never_by_value
            range_compares_need_every_key
            later_operations_see_earlier_ones
            nested_headers_carry_only_the_revision
            duplicate_keys_are_refused
            overlaps_that_are_allowed
            the_operations_budget_is_shared_with_nested_transactions
            nothing_happens_when_one_operation_is_invalid
            a_transaction_that_changes_nothing_takes_no_revision;
        limits: requests_over_the_limit_are_refused
            requests_over_the_transport_limit_never_arrive
            a_value_just_below_the_limit_fits;
        lease: grants_have_a_floor_and_a_ceiling
            a_lease_id_is_granted_once
            unknown_leases_are_answered_differently_by_each_call
            keep_alive_restarts_the_clock_of_several_leases
            revoking_deletes_all_keys_in_one_revision
            keys_move_between_leases
            an_expired_lease_deletes_its_keys;
        watch: a_watch_starts_after_its_created_header
            watch_ids_count_from_zero_and_skip_used_ones
            a_used_watch_id_is_refused
            ranges_are_normalised_or_refused
            a_replay_equals_what_was_seen_live
            a_compacted_start_is_created_then_cancelled
            a_negative_start_is_handled_as_etcd_does
            a_future_start_delivers_nothing_earlier
            filters_drop_silently
            previous_values_are_those_one_revision_before
            cancelling_answers_once_and_unknown_ids_stay_silent
            manual_progress_comes_on_watch_id_minus_one
            periodic_progress_carries_the_current_revision
            large_responses_are_fragmented_only_when_asked
            a_transaction_arrives_as_one_response
            a_compaction_cancels_only_watchers_behind_it;
        cluster: cluster_headers_have_no_revision
            bad_member_urls_and_ids_are_refused
            an_added_member_is_nameless_until_it_starts
            learners_are_limited_and_promoted_when_ready
            an_added_member_is_listed_by_whoever_answered_on_three;
        maintenance: status_describes_the_member
            hash_kv_follows_the_content
            compaction_is_refused_with_etcds_texts
            alarms_are_listed_raised_and_cleared
            defragmentation_keeps_everything_and_has_no_header
            move_leader_checks_its_target
            the_health_service_answers_for_the_empty_name
            a_full_quota_refuses_writes_and_says_so;
        kubernetes: an_object_lives_through_create_update_delete
            pages_are_pinned_to_the_first_revision
            a_watch_cache_starts_without_a_gap
            the_compactor_races_itself_safely
            a_lease_is_shared_and_never_kept_alive;
    }
    suite.main()
}
