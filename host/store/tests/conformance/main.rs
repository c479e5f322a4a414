//! The conformance suite of the store: what the port promises, on every database.
//!
//! A database is added by one line at the end of this file. A case is a function of a module here;
//! one that is not listed below is dead code, which does not compile without a warning.

mod accept;
mod access;
mod audit;
mod bounds;
mod cancel;
mod catalog;
mod children;
mod claim;
mod connections;
mod flow;
mod flow_random;
mod flow_starts;
mod letters;
mod loose;
mod model;
mod postgres;
mod reading;
mod repair;
mod retention;
mod settle;
mod signals;
mod sqlite;
mod state;
mod tenants;
mod turns;
mod waiting;
mod world;

/// Runs every case on one database; `$make` makes a fresh one.
macro_rules! conformance {
    ($database:ident, $make:path) => {
        conformance! { $database, $make;
            accept: [
                a_new_event_starts_its_runs,
                a_known_event_starts_nothing_and_names_the_first,
                the_first_of_a_batch_wins,
                fifty_at_once_are_one_event,
                keys_are_per_tenant_and_source,
                an_event_without_runs_is_kept,
                a_batch_is_stored_whole_or_not_at_all,
                texts_come_back_as_they_were,
                a_run_that_has_ended_is_stored_as_it_is_and_never_queued,
                an_empty_batch_is_answered,
            ],
            turns: [
                the_first_run_of_a_tenant_comes_before_anothers_backlog,
                who_has_its_share_gets_no_more,
                every_tenant_has_its_turn_however_many_there_are,
                tenants_with_nothing_due_keep_nobody_waiting,
            ],
            claim: [
                takes_what_is_due_in_order_and_no_more_than_asked,
                a_run_accepted_with_a_lease_is_not_due_until_it_ends,
                an_ended_lease_is_claimed_again_and_counted,
                every_claim_has_a_higher_epoch,
                two_workers_never_share_a_run,
                brings_event_and_steps,
                renewing_moves_the_end_and_names_the_lost,
                taking_over_makes_leased_runs_due,
                next_due_is_the_earliest_of_all,
                what_a_process_holds_is_not_claimed_by_it,
                suspects_are_claimed_apart,
                what_is_to_end_is_claimed_alone,
                a_clock_that_was_set_back_keeps_nothing_waiting,
            ],
            settle: [
                results_are_there_after_it,
                steps_are_replaced_whole,
                a_stale_epoch_writes_nothing,
                another_owner_writes_nothing,
                another_tenant_writes_nothing,
                an_ended_run_cannot_be_settled,
                parking_gives_the_lease_back,
                holding_keeps_the_lease,
                any_settle_resets_the_claims,
                of_settles_in_one_batch_the_lost_fail_alone,
                calls_are_kept_in_order,
                a_journal_comes_back_with_the_claim,
            ],
            state: [
                is_committed_with_the_settle,
                a_conflict_writes_nothing_at_all,
                a_settle_may_change_an_entry_twice,
                of_two_writers_of_a_version_one_wins,
                is_per_workflow_node_and_key,
            ],
            cancel: [
                an_unknown_run,
                a_park_does_not_hide_the_wish,
                a_queued_or_parked_run_is_due_at_once,
                a_leased_run_stays_leased_and_its_holder_can_see_it,
                an_ended_run_says_how,
            ],
            waiting: [
                without_a_time_nothing_is_due,
                a_wish_to_end_makes_it_due,
                a_deadline_is_replaced,
            ],
            signals: [
                a_run_that_waits_is_due_at_once,
                one_that_comes_early_is_there_when_its_step_waits,
                one_for_a_step_that_does_not_wait_hurries_nothing,
                what_is_used_is_gone,
                the_first_stays,
                of_many_at_once_one_is_kept,
                a_run_that_has_ended_takes_none,
                a_refused_settle_uses_none,
                a_long_body_comes_back,
            ],
            children: [
                a_settle_starts_runs,
                a_start_that_is_known_starts_nothing_more,
                a_refused_settle_starts_nothing,
                the_end_of_a_called_run_lets_its_caller_go_on,
                a_later_end_replaces_an_earlier_one,
                a_failed_run_whose_settle_says_nothing_tells_its_error,
                a_caller_that_needs_no_answer_is_told_nothing,
                a_wish_to_end_reaches_the_runs_that_are_waited_for,
                so_does_the_end_of_a_cancelled_run,
                a_called_run_that_has_ended_stays_as_it_is,
                a_replay_begins_with_the_steps_it_takes_over,
                what_starts_with_a_lease_is_leased,
            ],
            repair: [
                an_ended_run_comes_back_with_all_that_is_known,
                every_opening_fences_the_ones_before,
                a_run_that_waits_is_leased,
                somebody_works_on_it,
                an_unknown_run,
                after_a_crash_it_has_ended_as_before,
                calls_that_are_made_anew_leave_the_journal,
            ],
            letters: [
                they_come_with_a_settle,
                they_go_when_they_are_redriven_or_given_up,
                the_newest_runs_come_first_and_pages_meet,
                every_filter_narrows,
                a_refused_settle_leaves_none,
            ],
            connections: [
                a_pause_is_seen_at_once_and_the_first_reason_stays,
                a_refused_settle_pauses_nothing,
                its_end_makes_due_who_waits_for_it,
                new_credentials_end_it,
                what_is_mended_meanwhile_is_not_waited_for,
                who_does_not_wait_any_more_is_left_alone,
                an_unknown_one_has_no_pause_to_end,
            ],
            flow: [
                no_more_have_a_place_than_there_is_room,
                every_key_and_tenant_has_its_own_lane,
                a_run_needs_a_place_in_each_of_its_lanes,
                a_hot_key_holds_nobody_else_up,
                in_order_nobody_overtakes,
                in_order_even_who_waits_for_something_else_is_not_overtaken,
                in_order_with_two_places_the_second_follows_the_first,
                a_parked_head_holds_those_behind_it,
                a_parked_head_is_skipped_and_comes_back_first,
                who_could_go_on_at_once_keeps_its_place,
                the_higher_priority_gets_the_free_place,
                in_order_no_priority_overtakes,
                who_dies_keeps_its_place,
                who_waits_for_a_place_is_cancelled,
                who_waits_for_a_place_is_out_of_time,
                the_runs_of_one_batch_line_up,
                who_has_a_lease_waits_for_nothing,
                a_known_event_changes_nothing,
                a_run_that_is_opened_again_goes_on_without,
            ],
            flow_starts: [
                a_throttle_spreads_starts_evenly_after_a_burst,
                a_throttled_run_needs_its_place_too,
                a_throttled_run_is_cancelled_and_out_of_time,
                a_debounced_run_starts_after_the_last_event_and_has_it,
                the_longer_way_to_a_debounced_run_counts,
                who_is_to_end_gathers_no_more,
                a_debounced_run_waits_for_its_place_all_the_same,
                an_event_joins_the_singleton_that_goes,
                one_event_may_join_one_run_and_start_another,
                a_singleton_is_replaced,
                joined_events_go_with_their_run,
                the_higher_priority_is_claimed_first_and_the_lower_is_not_starved,
                what_is_held_is_not_claimed_whatever_its_priority,
            ],
            flow_random: [
                nothing_leaks_whoever_dies,
            ],
            audit: [
                the_newest_entries_come_first,
                a_refused_settle_is_not_on_record,
                every_tenant_has_a_chain_of_its_own,
                many_at_once_leave_no_gap,
                the_leaves_are_its_hashes,
                a_detail_keeps_its_digits_and_is_bounded,
                what_changes_the_catalog_is_on_record_with_what_was_before,
                what_a_person_asks_of_a_run_is_on_record_if_it_is_done,
                retention_leaves_it_as_it_is,
            ],
            retention: [
                what_is_old_goes_with_all_that_belongs_to_it,
                the_oldest_go_first_and_no_more_than_asked,
                what_has_not_ended_stays,
                a_dead_letter_keeps_its_run,
                a_run_that_was_called_keeps_its_caller,
                an_event_stays_while_a_run_of_it_is_left,
                nothing_of_another_tenant_goes,
                a_payload_goes_when_nobody_refers_to_it,
                what_a_run_has_had_stays_as_long_as_the_run,
                a_replay_keeps_what_it_took_over,
                the_disk_gets_its_room_back,
            ],
            loose: [
                old_events_without_runs_go_the_oldest_first,
                whoever_has_ended_waits_for_no_connection,
            ],
            catalog: [
                a_plugin_is_its_bytes,
                a_version_of_a_plugin_is_taken_once,
                plugins_are_listed_by_name_and_newest_first,
                versions_count_up_and_unchanged_is_said,
                a_changed_pin_is_a_new_version,
                live_workflows_are_of_all_tenants,
                a_connection_reads_back_and_is_replaced,
            ],
            access: [
                a_tenant_is_made_once,
                tenants_are_listed_by_name_and_pages_meet,
                a_token_is_found_by_its_hash,
                tokens_are_listed_newest_first_and_pages_meet,
                a_token_is_taken_back_once,
                the_latest_use_of_a_token_stays,
                quotas_are_replaced_whole,
                a_change_of_quotas_is_on_record_unless_another_one_came_first,
                what_a_tenant_uses_is_counted,
            ],
            reading: [
                the_list_is_newest_first_and_pages_meet,
                every_filter_narrows,
                a_run_shows_everything,
                long_json_comes_back,
                an_event_shows_its_runs,
                it_answers_a_ping,
            ],
            tenants: [
                never_see_each_others_rows,
            ],
            bounds: [
                one_more_than_may_wait_is_refused,
                more_bytes_than_may_wait_are_refused,
                a_bad_write_fails_alone,
                closing_finishes_what_waits,
                everything_is_there_after_reopening,
            ],
            model: [
                random_histories_agree_with_the_model,
            ],
        }
    };
    ($database:ident, $make:path; $($module:ident: [$($case:ident),* $(,)?],)*) => {
        mod $database {
            $(mod $module {
                $(#[tokio::test]
                async fn $case() {
                    let database = $make(tombolo_store::Bounds::default()).await;
                    let world = crate::world::World::new(Box::new(database)).await;
                    crate::$module::$case(world).await;
                })*
            })*
        }
    };
}

conformance!(on_sqlite, crate::sqlite::Sqlite::new);
conformance!(on_postgres, crate::postgres::Postgres::new);
