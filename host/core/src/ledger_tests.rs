//! Attempts of one step, one after the other.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::ports::journal::add;

const ROOM: usize = 1_000;

fn answer(status: u16) -> InboundResponse {
    let status = StatusCode::from_u16(status).unwrap();
    InboundResponse { status, headers: HeaderMap::new(), body: Bytes::new() }
}

/// Asks, and answers with the status if it is sent.
fn call(ledger: &mut Ledger, request: u8, status: u16) -> Ask {
    let ask = ledger.ask([request; 32]);
    if let Ask::Send(place) = ask {
        ledger.answered(place, &answer(status), ROOM);
    }
    ask
}

fn close(ledger: &mut Ledger) -> Vec<JournalEntry> {
    ledger.close(Effect::Keyed)
}

#[test]
fn a_failure_that_was_worked_around_does_not_shift_what_comes_after_it() {
    let mut first = Ledger::default();
    let (update, create, link) = (1, 2, 3);
    assert_eq!(call(&mut first, update, 404), Ask::Send(0));
    assert_eq!(call(&mut first, create, 201), Ask::Send(1));
    assert_eq!(call(&mut first, link, 503), Ask::Send(2));
    let left = close(&mut first);
    // The update finds now what was created, and the link follows at once.
    let mut second = Ledger::new(&left);
    assert_eq!(call(&mut second, update, 200), Ask::Send(0));
    assert_eq!(call(&mut second, link, 200), Ask::Send(2), "under its own key");
    // Or it does not: then the creation is not made again.
    let mut second = Ledger::new(&left);
    assert_eq!(call(&mut second, update, 404), Ask::Send(0));
    assert_eq!(call(&mut second, create, 500), Ask::Given(answer(201)));
    assert_eq!(call(&mut second, link, 200), Ask::Send(2));
}

#[test]
fn a_call_tried_again_within_an_attempt_is_the_same_call() {
    let mut first = Ledger::default();
    assert_eq!(call(&mut first, 1, 503), Ask::Send(0));
    assert_eq!(call(&mut first, 1, 201), Ask::Send(0), "under the same key");
    assert_eq!(call(&mut first, 2, 503), Ask::Send(1));
    let mut second = Ledger::new(&close(&mut first));
    assert_eq!(call(&mut second, 1, 500), Ask::Given(answer(201)));
    assert_eq!(call(&mut second, 2, 200), Ask::Send(1));
}

#[test]
fn the_same_request_twice_on_purpose_is_two_calls() {
    let mut first = Ledger::default();
    assert_eq!(call(&mut first, 1, 201), Ask::Send(0));
    assert_eq!(call(&mut first, 1, 202), Ask::Send(1));
    assert_eq!(first.ask([1; 32]), Ask::Send(2));
    assert_eq!(first.ask([1; 32]), Ask::Send(3), "the other is under way");
    let mut second = Ledger::new(&close(&mut first));
    assert_eq!(call(&mut second, 1, 500), Ask::Given(answer(201)));
    assert_eq!(call(&mut second, 1, 500), Ask::Given(answer(202)));
    assert_eq!(call(&mut second, 1, 200), Ask::Send(2), "it had no answer");
}

#[test]
fn another_request_is_a_mismatch_until_all_answers_were_given() {
    let mut first = Ledger::default();
    call(&mut first, 1, 201);
    call(&mut first, 2, 503);
    let left = close(&mut first);
    assert_eq!(call(&mut Ledger::new(&left), 9, 200), Ask::Mismatch);
    let mut second = Ledger::new(&left);
    assert_eq!(call(&mut second, 1, 500), Ask::Given(answer(201)));
    assert_eq!(call(&mut second, 9, 503), Ask::Send(1), "in the place of what failed");
    assert_eq!(close(&mut second).iter().map(|entry| entry.place).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_journal_costs_nothing_where_nothing_went_well_or_nothing_is_new() {
    let mut first = Ledger::default();
    call(&mut first, 1, 503);
    assert_eq!(close(&mut first), []);
    call(&mut first, 1, 201);
    assert_eq!(first.close(Effect::Read), []);
    call(&mut first, 1, 201);
    call(&mut first, 2, 503);
    let left = close(&mut first);
    let mut second = Ledger::new(&left);
    call(&mut second, 1, 500);
    call(&mut second, 2, 503);
    assert_eq!(close(&mut second), []);
}

proptest! {
    /// A node asks for the same in every attempt; each answer may go wrong, and in the last attempt
    /// none does. However the failures fall, each request is well answered once, at one place. A
    /// node that goes on after a failure asks for nothing twice: that would be the same call.
    #[test]
    fn whatever_fails_each_call_goes_well_once(
        mut requests in prop::collection::vec(0_u8..6, 1..8),
        failures in prop::collection::vec(any::<bool>(), 0..40),
        goes_on in any::<bool>(),
    ) {
        if goes_on {
            requests.sort_unstable();
            requests.dedup();
        }
        let (mut journal, mut places) = (Vec::new(), Vec::new());
        let mut failures = failures.into_iter();
        loop {
            let (mut ledger, mut failed) = (Ledger::new(&journal), false);
            for request in &requests {
                let status = if failures.next().unwrap_or(false) { 503 } else { 201 };
                match call(&mut ledger, *request, status) {
                    Ask::Send(_) if status == 503 => failed = true,
                    Ask::Send(place) => {
                        prop_assert!(!places.contains(&place), "a second time at place {place}");
                        places.push(place);
                    }
                    Ask::Given(_) => {}
                    other => prop_assert!(false, "{other:?}"),
                }
                if failed && !goes_on {
                    break;
                }
            }
            add(&mut journal, close(&mut ledger));
            if !failed {
                break;
            }
        }
        prop_assert_eq!(places.len(), requests.len());
    }
}
