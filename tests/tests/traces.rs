//! Golden traces: one for each thing a user can see the broker do, each a test of its own. The
//! files in `tests/traces` say what goes in and every effect that comes out; `FANLIGHT_BLESS=1`
//! writes the effects anew, for review.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fanlight_tests::trace::play;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("traces")
}

fn check(test: &str) {
    let file = directory().join(test.replace('_', "-")).with_extension("trace");
    let wanted = std::fs::read_to_string(&file).expect("each trace has its file");
    let played = play(&wanted).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    if std::env::var_os("FANLIGHT_BLESS").is_some() {
        std::fs::write(&file, played).expect("a trace can be written");
        return;
    }
    if wanted != played {
        panic!("{} is not what happens; {}", file.display(), difference(&wanted, &played));
    }
}

/// The first lines that differ, with what comes before them.
fn difference(wanted: &str, played: &str) -> String {
    let (wanted, played): (Vec<_>, Vec<_>) = (wanted.lines().collect(), played.lines().collect());
    let same = wanted.iter().zip(&played).take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(4);
    let show = |mark: &str, lines: &[&str], from: usize, to: usize| -> String {
        let lines = lines.iter().skip(from).take(to.saturating_sub(from));
        lines.map(|line| format!("{mark} {line}\n")).collect()
    };
    format!(
        "from line {}:\n{}{}{}to take what happens: FANLIGHT_BLESS=1 cargo test --test traces",
        same + 1,
        show(" ", &wanted, from, same),
        show("-", &wanted, same, same + 4),
        show("+", &played, same, same + 4),
    )
}

macro_rules! traces {
    ($($name:ident)*) => {
        const TRACES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*
    };
}

traces! {
    a_fetch_waits_at_several_partitions
    a_journey_says_how_it_ended
    the_sources_of_a_dead_letter_queue_are_listed
    open_transactions_are_listed
    a_purge_may_take_what_is_in_hand
    an_exclusive_consumer_is_alone
    a_redrive_keeps_to_the_bounds_of_where_it_goes
    a_work_group_gets_its_dead_letters_back
    a_work_group_counts_delays_from_when_each_batch_came
    a_delivery_says_how_it_came
    members_bring_proposals_and_a_leader_assigns
    a_member_that_comes_makes_the_others_join_again
    what_most_members_like_best_is_chosen
    who_does_not_join_again_in_time_is_put_out
    a_static_member_comes_back_without_a_rebalance
    a_member_speaks_through_another_connection
    members_are_removed_by_an_administrator
    a_member_reads_other_topics
    offsets_of_a_group_without_members_expire
    a_watcher_sees_members_assign_in_sentences
    what_members_propose_has_a_bound
    a_transaction_commits_for_members_that_assign
    a_work_group_loses_what_its_topic_lets_go
    where_nothing_is_left_nobody_lags
    a_deleted_record_is_not_brought_back
    a_work_group_counts_delays_from_the_publish
    old_records_go_by_time
    a_partition_keeps_so_many_bytes
    compaction_keeps_the_newest_of_each_key
    a_tombstone_goes_after_its_time
    a_compacted_topic_takes_no_record_without_a_key
    a_topic_gets_another_policy
    partitions_are_added_and_shared_out
    records_are_deleted_before_an_offset
    a_read_waits_until_its_budget_ends
    a_poll_waits_for_so_many_bytes
    records_are_found_by_their_timestamps
    the_broker_may_write_the_timestamps
    batches_without_keys_change_partitions
    publishers_are_told_to_slow_down_and_to_go_on
    a_message_tells_its_journey
    a_record_tells_who_read_it
    what_is_due_is_shown_with_its_reason
    a_connection_shows_what_it_holds
    lists_come_in_pages
    a_connection_holds_only_so_many
    a_topic_is_worked_like_a_queue
    a_consumer_of_a_work_group_gets_its_parts_in_turn
    a_work_group_begins_where_it_is_told
    a_topic_takes_its_work_groups_with_it
    work_survives_a_restart
    a_queue_that_keeps_is_read_again
    a_redrive_passes_over_what_has_no_origin
    a_queue_gets_another_policy
    a_record_brings_its_options
    a_message_with_the_same_id_is_stored_once
    a_message_with_the_same_body_is_stored_once
    what_is_remembered_has_a_bound
    a_message_expires_after_its_time_to_live
    an_expired_message_is_dead_lettered
    a_time_to_live_of_zero_is_now_or_never
    a_message_waits_its_delay
    urgent_messages_go_first
    a_queue_that_is_full_drops_its_oldest
    a_queue_that_is_full_dead_letters_its_oldest
    a_queue_that_is_full_of_bytes_refuses_a_publish
    an_unused_queue_expires
    an_exclusive_queue_is_its_connections_alone
    a_queue_goes_with_its_last_consumer
    a_queue_is_deleted_if_it_is_empty_or_unused
    only_one_consumer_is_active
    a_connection_has_a_prefetch_of_its_own
    what_is_settled_automatically_is_delivered_at_most_once
    retries_back_off
    a_message_group_is_worked_in_order
    settings_that_contradict_each_other_are_refused
    a_late_tick_serves_who_waited_in_time
    a_direct_exchange_routes_by_the_whole_key
    a_topic_exchange_routes_by_words
    a_fanout_exchange_copies_to_every_binding
    the_default_exchange_routes_by_queue_name
    exchanges_bound_to_exchanges_deliver_once
    a_fan_out_is_stored_everywhere_or_nowhere
    what_no_binding_takes_is_refused
    a_full_queue_refuses_a_publish
    an_unconfirmed_publish_is_answered_only_if_refused
    prefetch_bounds_what_a_consumer_holds
    consumers_take_turns
    an_ack_removes_the_message
    a_nack_brings_the_message_back_after_its_delay
    a_queue_waits_its_retry_delay_after_a_failed_attempt
    a_reject_drops_or_dead_letters
    a_release_counts_no_attempt
    a_lease_can_be_extended
    a_lease_that_ends_is_attempt_two_for_another
    a_disconnect_gives_back_what_was_held
    a_cancelled_consumer_keeps_its_leases
    a_stale_lease_settles_nothing
    the_last_attempt_goes_to_the_dead_letter_queue
    a_dead_letter_is_mended_and_redriven
    dead_letters_are_redriven_all_or_elsewhere
    a_purge_removes_what_is_ready
    a_queue_in_use_is_not_deleted
    a_deleted_queue_cancels_its_consumers
    a_deleted_exchange_loses_its_bindings
    a_receive_waits_for_the_first_message
    a_receive_takes_several
    keys_pick_partitions_as_kafka_does
    a_partition_is_read_from_any_offset
    range_gives_each_member_a_run_of_partitions
    round_robin_deals_partitions_out
    a_rebalance_keeps_positions_that_stay
    a_poll_waits_for_the_first_record
    polls_take_turns_between_partitions
    a_commit_is_where_the_next_member_begins
    a_crash_between_poll_and_commit_repeats_the_span
    a_member_without_its_partition_is_fenced
    committed_offsets_do_not_go_back_by_themselves
    a_seek_reads_again
    offsets_of_an_idle_group_are_reset
    a_silent_member_is_expelled
    a_waiting_member_is_not_silent
    a_deleted_topic_expels_its_readers
    inspect_shows_lag
    inspect_shows_everything
    names_are_checked
    sizes_are_checked
    numbers_are_checked
    there_are_only_so_many
    declaring_again_is_no_mistake_but_otherwise_is
    a_protocol_that_is_not_spoken_is_closed
    attempts_survive_a_restart
    offsets_survive_a_restart
    a_death_says_how_often_and_how_it_came
    a_redrive_runs_as_a_job
    dead_letters_go_through_an_exchange
    a_dead_letter_that_goes_round_by_itself_is_dropped
    a_headers_exchange_sends_each_record_its_own_way
    what_no_binding_takes_comes_back_or_is_dropped
    an_alternate_exchange_takes_what_no_binding_takes
    an_exchange_goes_with_its_last_binding
    only_exchanges_publish_to_an_internal_exchange
    a_watcher_sees_a_queue_in_sentences
    a_watcher_sees_a_group_in_sentences
    a_batch_sent_again_is_stored_once
    each_partition_has_a_count_of_its_own
    a_name_taken_over_fences_its_older_life
    an_idle_producer_is_forgotten
    sticky_moves_as_little_as_it_can
    what_is_committed_together_is_one_fact
    a_reset_can_be_tried_first
    a_group_without_members_commits_for_itself
    groups_are_listed_and_their_offsets_deleted
    messages_of_a_transaction_wait_for_its_end
    a_transaction_has_its_time
    transactions_have_rules
    transactions_have_limits
    offsets_are_committed_in_a_transaction
    readers_of_what_is_committed
    a_zombie_may_still_commit
    work_groups_see_what_is_committed
    what_moves_is_given_up_first
    who_gives_nothing_up_in_time_is_put_out
    a_static_member_comes_back_to_what_it_had
    two_cannot_run_under_one_instance_name
    a_heartbeat_of_a_generation_to_come_is_refused
}

#[test]
fn every_trace_is_run() {
    let files = std::fs::read_dir(directory()).expect("there are traces");
    let files: BTreeSet<_> = files
        .map(|file| file.expect("it can be listed").path())
        .map(|file| file.file_stem().expect("it has a name").to_string_lossy().replace('-', "_"))
        .collect();
    let run: BTreeSet<_> = TRACES.iter().map(|name| (*name).to_string()).collect();
    assert_eq!(files, run);
}

#[test]
fn a_trace_that_is_not_what_happens_is_told_with_its_line() {
    let text = "c1 open ann\n----\nfact started epoch=1\nc1 opened as c1 epoch=2 now=0ms\n";
    let played = play(text).expect("it can be played");
    assert_ne!(text, played);
    assert!(difference(text, &played).contains("from line 4:"));
}
