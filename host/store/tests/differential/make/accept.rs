//! Events with their runs.

use std::time::Duration;

use tombolo_core::id::{EventId, RunId, TenantId, WorkflowId};
use tombolo_core::ports::store::{
    Accept, Debounce, Ended, Lane, NewEvent, NewRun, Parent, Priority, RunLimits, Singleton,
    StepRow, Throttle, WhenBusy, WorkerId,
};
use tombolo_core::run::RunState;

use super::{settle, texts};
use crate::dice::Dice;
use crate::memory::{Known, Memory};

pub const WORKERS: [&str; 4] = ["a", "b", "c", "wörker-4"];

pub fn worker(dice: &mut Dice) -> WorkerId {
    WorkerId((*dice.pick(&WORKERS)).to_owned())
}

pub fn batch(memory: &mut Memory) -> Vec<Accept> {
    let count = if memory.dice.percent(2) { 0 } else { 1 + memory.dice.below(4) };
    let mut batch: Vec<Accept> = Vec::with_capacity(count);
    for _ in 0..count {
        let tenant = memory.tenant();
        let mut accept = event(memory, tenant);
        // Twice in one batch: the same key, or the same id.
        if let Some(first) = batch.first() {
            if memory.dice.percent(4) {
                accept.event.tenant = first.event.tenant;
                accept.event.source.clone_from(&first.event.source);
                accept.event.dedupe_key.clone_from(&first.event.dedupe_key);
                accept.runs.clear();
            }
            // Ids are unique over all tenants.
            if memory.dice.percent(2) && accept.event.tenant == first.event.tenant {
                accept.event.id = first.event.id;
                accept.runs.clear();
            }
        }
        batch.push(accept);
    }
    without_reach(&mut batch);
    batch
}

/// Whether a run that replaces another one reaches what that one calls in the same batch, is left open.
fn without_reach(batch: &mut [Accept]) {
    if batch.iter_mut().flat_map(|accept| &mut accept.runs).any(|run| replaces(run).is_some()) {
        batch.iter_mut().flat_map(|accept| &mut accept.runs).for_each(|run| run.parent = None);
    }
}

/// Whether what a run starts replaces the run before or after it is settled, is left open.
pub fn without_replacing(starts: &mut [Accept]) {
    for rule in starts.iter_mut().flat_map(|accept| &mut accept.runs).filter_map(replaces) {
        rule.when_busy = WhenBusy::Join;
    }
}

fn replaces(run: &mut NewRun) -> Option<&mut Singleton> {
    run.flow.singleton.as_mut().filter(|rule| rule.when_busy == WhenBusy::Replace)
}

/// An event of a tenant, usually new.
pub fn event(memory: &mut Memory, tenant: TenantId) -> Accept {
    let received_at = memory.now;
    let dice = &mut memory.dice;
    let mut source = (*dice.pick(&["hook:deals", "api:start", "cron:nächtlich"])).to_owned();
    let mut dedupe_key = match dice.percent(60) {
        true => format!("{:x}", dice.next()),
        false => texts::foreign(dice),
    };
    let of: Vec<_> = memory.keys.iter().filter(|(of, ..)| *of == tenant).collect();
    if dice.percent(10)
        && let Some((_, known_source, known_key)) = dice.any(&of)
    {
        source.clone_from(known_source);
        dedupe_key.clone_from(known_key);
    }
    let correlation_id = match dice.any(&memory.correlations) {
        Some(known) if memory.dice.percent(20) => known.clone(),
        _ => texts::foreign(&mut memory.dice),
    };
    let event = NewEvent {
        id: event_id(memory, tenant),
        tenant,
        source,
        dedupe_key,
        fingerprint: memory.dice.maybe(20, texts::hash),
        payload: texts::json(&mut memory.dice),
        correlation_id,
        received_at,
    };
    let count = *memory.dice.pick(&[0, 1, 1, 1, 1, 1, 1, 2, 3]);
    let runs = (0..count).map(|_| run(memory, tenant)).collect();
    Accept { event, runs, audit: None }
}

/// A new one nearly always.
fn event_id(memory: &mut Memory, tenant: TenantId) -> EventId {
    let new = EventId(memory.id());
    let of: Vec<_> = memory.events.iter().filter(|(of, _)| *of == tenant).collect();
    match memory.dice.any(&of) {
        Some((_, known)) if memory.dice.below(300) == 0 => *known,
        _ => new,
    }
}

pub fn run(memory: &mut Memory, tenant: TenantId) -> NewRun {
    let flow = memory.flow_of(tenant);
    let parent = memory.run_where(|run| run.tenant == tenant && !run.ended);
    let replayed = memory.run_where(|run| run.tenant == tenant);
    let workflow = match memory.dice.below(400) {
        0 => WorkflowId(memory.id()),
        _ => flow.id,
    };
    let id = run_id(memory, replayed.as_ref());
    let now = memory.now;
    let version = 1 + memory.dice.below(flow.version as usize) as u32;
    let (deadline, lease_ms) = (memory.dice.within(1_000..600_000), memory.dice.within(1..40_000));
    let (deadline, until) = (memory.after(deadline), memory.after(lease_ms));
    let dice = &mut memory.dice;
    let ended = dice.maybe(6, |dice| Ended {
        state: RunState::Succeeded,
        output: dice.maybe(70, texts::json),
        at: now,
    });
    NewRun {
        id,
        workflow,
        version,
        trigger: (*dice.pick(&["api", "deal_changed", "ä"])).to_owned(),
        deadline: dice.percent(50).then_some(deadline),
        lease: dice.maybe(30, |dice| (worker(dice), until)),
        parent: parent.filter(|_| dice.percent(15)).map(|parent| caller(dice, &parent)),
        depth: dice.below(3) as u32,
        replay_of: replayed.filter(|_| dice.percent(10)).map(|run| run.id),
        steps: if dice.percent(25) { steps(memory, tenant) } else { Vec::new() },
        ended,
        flow: limits(&mut memory.dice),
    }
}

/// A new one nearly always.
fn run_id(memory: &mut Memory, known: Option<&Known>) -> RunId {
    let new = RunId(memory.id());
    match known {
        Some(known) if memory.dice.below(400) == 0 => known.id,
        _ => new,
    }
}

fn caller(dice: &mut Dice, parent: &Known) -> Parent {
    let step = texts::step_key(dice);
    Parent { run: parent.id, node: step.node, item: step.item }
}

fn steps(memory: &mut Memory, tenant: TenantId) -> Vec<StepRow> {
    settle::steps(memory, tenant)
}

/// Most runs wait for nothing; the others for anything.
fn limits(dice: &mut Dice) -> RunLimits {
    let priority = match dice.below(8) {
        0 => Priority::High,
        1 => Priority::Low,
        _ => Priority::Normal,
    };
    if dice.percent(55) {
        return RunLimits { priority, ..RunLimits::default() };
    }
    let mut lanes: Vec<Lane> = Vec::new();
    for _ in 0..dice.below(3) {
        let lane = lane(dice);
        if lanes.iter().all(|other| other.name != lane.name) {
            lanes.push(lane);
        }
    }
    RunLimits {
        lanes,
        throttle: dice.maybe(20, throttle),
        debounce: dice.maybe(15, debounce),
        singleton: dice.maybe(20, singleton),
        priority,
    }
}

/// Of the same name usually the same lane; not after a new version of the workflow.
fn lane(dice: &mut Dice) -> Lane {
    let number = dice.below(6);
    let mut lane = Lane {
        name: format!("lane-{number}"),
        limit: 1 + number as u32 % 3,
        in_order: number.is_multiple_of(2),
        keeps_place: number < 3,
    };
    match dice.below(40) {
        0 => lane.limit = 1 + dice.below(4) as u32,
        1 => lane.in_order = !lane.in_order,
        2 => lane.keeps_place = !lane.keeps_place,
        _ => {}
    }
    lane
}

fn throttle(dice: &mut Dice) -> Throttle {
    let name = format!("throttle-{}", dice.below(3));
    let per = Duration::from_millis(*dice.pick(&[1, 999, 10_000, 60_000]));
    Throttle { name, runs: 1 + dice.below(3) as u32, per }
}

fn debounce(dice: &mut Dice) -> Debounce {
    let ms = |dice: &mut Dice, most| Duration::from_millis(dice.below(most) as u64);
    let name = format!("debounce-{}", dice.below(3));
    Debounce { name, wait: ms(dice, 20_000), max: ms(dice, 90_000) }
}

fn singleton(dice: &mut Dice) -> Singleton {
    let when_busy = if dice.percent(50) { WhenBusy::Join } else { WhenBusy::Replace };
    Singleton { name: format!("singleton-{}", dice.below(3)), when_busy }
}
