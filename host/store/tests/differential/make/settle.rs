//! Results of runs.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, RunId, TenantId};
use tombolo_core::ports::egress::{CallRecord, InboundResponse};
use tombolo_core::ports::journal::{JournalEntry, Kept};
use tombolo_core::ports::sandbox::{LogLine, StateWrite};
use tombolo_core::ports::store::{
    Call, Journaled, Lease, Letters, NewLetter, Next, Parent, Pause, Settle, Signal, StateChange,
    StepKey, StepRow,
};
use tombolo_core::run::{RunState, StepState};

use super::{accept, catalog, texts};
use crate::dice::Dice;
use crate::memory::{Known, Memory};

const STATES: [StepState; 8] = [
    StepState::Pending,
    StepState::Running,
    StepState::Waiting,
    StepState::Waiting,
    StepState::Succeeded,
    StepState::Skipped,
    StepState::Dead,
    StepState::Unknown,
];

/// Of a run that is held nearly always, under its lease nearly always.
pub fn settle(memory: &mut Memory) -> Option<Settle> {
    let usual = memory.dice.percent(92);
    let known = memory.run_where(|run| run.held || !usual)?;
    let (tenant, lease) = claimed_by(memory, &known);
    let next = next(memory);
    let mut settle = Settle::new(tenant, lease, next, memory.now);
    // A barrier, or an end that brings nothing.
    if memory.dice.percent(15) {
        return Some(settle);
    }
    settle.steps = steps(memory, tenant);
    settle.used = keys(&mut memory.dice, &known, 2);
    settle.calls = calls(memory);
    settle.journal = memory.dice.few(2, journaled);
    settle.forgets =
        if memory.dice.percent(20) { keys(&mut memory.dice, &known, 2) } else { vec![] };
    settle.state = if memory.dice.percent(25) { state(memory, &known) } else { vec![] };
    settle.letters = letters(memory, &known);
    if memory.dice.percent(10) {
        let count = 1 + memory.dice.below(2);
        settle.starts = (0..count).map(|_| start(memory, &known)).collect();
        accept::without_replacing(&mut settle.starts);
    }
    settle.signal = end_of_call(memory, &known);
    if memory.dice.percent(6) {
        settle.pauses = pauses(&mut memory.dice);
    }
    let now = memory.now;
    settle.audit =
        if memory.dice.percent(10) { memory.dice.few(2, |dice| audit(dice, now)) } else { vec![] };
    let deadline = memory.dice.within(1..300_000);
    settle.deadline = memory.dice.percent(10).then(|| memory.after(deadline));
    Some(settle)
}

/// Under its lease, an older one, somebody else's, or one of another tenant.
fn claimed_by(memory: &mut Memory, known: &Known) -> (TenantId, Lease) {
    let owner = accept::worker(&mut memory.dice);
    let mut lease = known.lease.clone().unwrap_or(Lease { run: known.id, owner, epoch: 1 });
    let mut tenant = known.tenant;
    match memory.dice.below(40) {
        0 | 1 => lease.epoch -= 1,
        2 => lease.epoch += 1,
        3 => lease.owner = accept::worker(&mut memory.dice),
        4 => tenant = memory.tenant(),
        _ => {}
    }
    (tenant, lease)
}

fn next(memory: &mut Memory) -> Next {
    let soon = memory.dice.within(0..3_000);
    let late = memory.dice.within(3_000..60_000);
    let dice = &mut memory.dice;
    let ms = match dice.below(10) {
        0..=5 => Some(soon),
        6..=8 => Some(late),
        _ => None,
    };
    match dice.weighted(&[16, 15, 9, 60]) {
        0 => Next::Hold,
        1 => Next::Park {
            state: RunState::Waiting,
            connections: if dice.percent(25) { connections(dice) } else { BTreeSet::new() },
            available_at: ms.map(|ms| memory.after(ms)),
        },
        2 => Next::Park {
            state: RunState::Queued,
            connections: BTreeSet::new(),
            available_at: Some(memory.after(if ms.is_some() { soon } else { 0 })),
        },
        _ => {
            let state = *dice.pick(&[RunState::Succeeded, RunState::Failed, RunState::Cancelled]);
            Next::End {
                state,
                output: dice.maybe(60, texts::json),
                error: dice.maybe(50, texts::error),
            }
        }
    }
}

fn connections(dice: &mut Dice) -> BTreeSet<String> {
    (0..1 + dice.below(2)).map(|_| catalog::connection_name(dice)).collect()
}

/// Steps, none twice.
pub fn steps(memory: &mut Memory, tenant: TenantId) -> Vec<StepRow> {
    let child = memory.run_where(|run| run.tenant == tenant).map(|run| run.id);
    let now = memory.now;
    let mut keys = BTreeSet::new();
    let mut steps = memory.dice.few(5, |dice| step(dice, now, child));
    steps.retain(|step| keys.insert(step.key()));
    steps
}

fn step(dice: &mut Dice, now: Timestamp, child: Option<RunId>) -> StepRow {
    let StepKey { node, item } = texts::step_key(dice);
    let time = |dice: &mut Dice| Timestamp(now.0 + dice.within(-5_000..60_000));
    let log =
        |dice: &mut Dice| LogLine { level: "info".to_owned(), message: texts::sentence(dice) };
    StepRow {
        node,
        item,
        state: *dice.pick(&STATES),
        attempt: dice.below(4) as u32,
        spent: dice.below(3) as u32,
        input: dice.maybe(60, texts::json),
        output: dice.maybe(60, texts::json),
        ports: dice.few(2, |dice| texts::name(dice, "port", 5)),
        error: dice.maybe(25, texts::error),
        due_at: dice.maybe(25, time),
        started_at: dice.maybe(60, time),
        ended_at: dice.maybe(50, time),
        plugin: dice.maybe(40, |dice| ContentHash(texts::hash(dice))),
        logs: dice.few(2, log),
        child: child.filter(|_| dice.percent(10)),
        edits: dice.below(3) as u32,
        redriven_after: dice.below(2) as u32,
    }
}

/// Steps of the run usually.
fn keys(dice: &mut Dice, known: &Known, most: usize) -> Vec<StepKey> {
    let steps: Vec<StepKey> = known.steps.iter().cloned().collect();
    dice.few(most, |dice| match dice.any(&steps) {
        Some(step) if dice.percent(80) => step.clone(),
        _ => texts::step_key(dice),
    })
}

fn calls(memory: &mut Memory) -> Vec<Call> {
    let now = memory.now;
    let mut calls = memory.dice.few(3, |dice| call(dice, now));
    let mut places = BTreeSet::new();
    calls.retain(|call| {
        places.insert((call.node.clone(), call.item, call.attempt, call.record.sequence))
    });
    calls
}

fn call(dice: &mut Dice, started_at: Timestamp) -> Call {
    let StepKey { node, item } = texts::step_key(dice);
    let record = CallRecord {
        sequence: dice.below(3) as u32,
        method: (*dice.pick(&["GET", "POST"])).to_owned(),
        url: format!("https://api.example.com/{}", dice.below(9)),
        request_headers: dice.few(2, |dice| ("x-a".to_owned(), texts::sentence(dice))),
        request_body: dice.maybe(30, |dice| texts::json(dice).text().to_owned()),
        request_hash: format!("{:x}", dice.next()),
        idempotency_key: dice.maybe(30, texts::foreign),
        status: dice.maybe(70, |dice| *dice.pick(&[200, 404, 503])),
        response_headers: dice.few(2, |dice| ("x-b".to_owned(), texts::foreign(dice))),
        response_body: dice.maybe(30, texts::foreign),
        error: dice.maybe(20, texts::sentence),
        from_journal: dice.percent(10),
        started_at,
        duration_ms: dice.below(30_000) as u64,
    };
    Call { node, item, attempt: dice.below(3) as u32, record }
}

fn journaled(dice: &mut Dice) -> Journaled {
    let StepKey { node, item } = texts::step_key(dice);
    let kept = match dice.below(4) {
        0 => Kept::Failed,
        1 => Kept::TooLarge,
        _ => Kept::Answer(response(dice)),
    };
    let entry = JournalEntry { place: dice.below(3) as u32, request_hash: texts::hash(dice), kept };
    Journaled { node, item, entry }
}

fn response(dice: &mut Dice) -> InboundResponse {
    let mut headers = HeaderMap::new();
    for _ in 0..dice.below(3) {
        headers.append("x-name", HeaderValue::from_static("two"));
        headers.append("x-byte", HeaderValue::from_bytes(b"caf\xe9 \"1\"").unwrap());
    }
    let body = match dice.below(3) {
        0 => Bytes::new(),
        1 => Bytes::from_static(&[0, 255, 1]),
        _ => Bytes::from(texts::json(dice).text().to_owned()),
    };
    InboundResponse { status: *dice.pick(&[StatusCode::OK, StatusCode::CREATED]), headers, body }
}

/// Of what is known the right version usually. Sometimes an entry twice.
fn state(memory: &mut Memory, known: &Known) -> Vec<StateChange> {
    let mut changes = Vec::new();
    let node = (*memory.dice.pick(&["a", "käse"])).to_owned();
    let key = match memory.dice.below(6) {
        0 => "a\0b".to_owned(),
        1 => "ä".to_owned(),
        _ => "cursor".to_owned(),
    };
    let entry = (known.tenant, known.workflow, node.clone(), key.clone());
    let mut expected = memory.entries.get(&entry).copied().unwrap_or_default();
    let dice = &mut memory.dice;
    if dice.percent(15) {
        expected = dice.below(5) as u64;
    }
    for _ in 0..1 + dice.below(2) {
        let write = StateWrite { key: key.clone(), expected, value: texts::json(dice) };
        changes.push(StateChange { workflow: known.workflow, node: node.clone(), write });
        expected += u64::from(dice.percent(95));
    }
    changes
}

fn letters(memory: &mut Memory, known: &Known) -> Letters {
    let mut letters = Letters::default();
    let dice = &mut memory.dice;
    if dice.percent(12) {
        let mut keys = BTreeSet::new();
        let opened = |dice: &mut Dice| NewLetter {
            step: texts::step_key(dice),
            workflow: known.workflow,
            state: if dice.percent(70) { StepState::Dead } else { StepState::Unknown },
            error: texts::error(dice),
        };
        letters.opened = dice.few(3, opened);
        letters.opened.retain(|letter| keys.insert(letter.step.clone()));
    }
    if dice.percent(25) {
        letters.closed = known.letters.iter().cloned().collect();
    }
    if dice.percent(5) {
        letters.closed.push(texts::step_key(dice));
    }
    letters
}

/// An event that the run publishes, or a run that a step of it calls.
fn start(memory: &mut Memory, known: &Known) -> tombolo_core::ports::store::Accept {
    let mut start = accept::event(memory, known.tenant);
    if memory.dice.percent(70) {
        for run in &mut start.runs {
            let StepKey { node, item } = texts::step_key(&mut memory.dice);
            run.parent = Some(Parent { run: known.id, node, item });
        }
    }
    start
}

/// What the run's end tells its caller.
fn end_of_call(memory: &mut Memory, known: &Known) -> Option<Signal> {
    let parent = known.parent.as_ref()?;
    let at = memory.now;
    let dice = &mut memory.dice;
    let step = StepKey { node: parent.node.clone(), item: parent.item };
    let tell = |dice: &mut Dice| Signal {
        tenant: known.tenant,
        run: parent.run,
        step,
        body: texts::json(dice),
        at,
    };
    dice.maybe(50, tell)
}

fn pauses(dice: &mut Dice) -> Vec<Pause> {
    dice.few(2, |dice| Pause {
        connection: catalog::connection_name(dice),
        reason: texts::sentence(dice),
    })
}

pub fn audit(dice: &mut Dice, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: Actor("token:ada".to_owned()),
        action: "step-redriven".to_owned(),
        subject: texts::name(dice, "step", 9),
        detail: texts::json(dice).value().clone(),
        correlation_id: None,
    }
}
