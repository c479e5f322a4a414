//! The conformance suite of the store: what the port promises, on every database.
//!
//! A database is added by one line at the end of this file. A case is a function of a module here;
//! one that is not listed below is dead code, which does not compile without a warning.

mod accept;
mod access;
mod bounds;
mod cancel;
mod catalog;
mod claim;
mod model;
mod reading;
mod settle;
mod sqlite;
mod state;
mod tenants;
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
                an_empty_batch_is_answered,
            ],
            claim: [
                takes_what_is_due_in_order_and_no_more_than_asked,
                a_run_accepted_with_a_lease_is_not_due_until_it_ends,
                an_ended_lease_is_claimed_again_and_counted,
                two_workers_never_share_a_run,
                brings_event_and_steps,
                renewing_moves_the_end_and_names_the_lost,
                taking_over_makes_leased_runs_due,
                next_due_is_the_earliest_of_all,
                what_a_process_holds_is_not_claimed_by_it,
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
                a_token_is_found_by_its_hash,
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
