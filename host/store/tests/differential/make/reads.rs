//! Questions.

use tombolo_core::id::{ContentHash, EventId, RunId, TenantId};
use tombolo_core::ports::store::{Cursor, LetterCursor, LetterFilter, Page, RunFilter};
use tombolo_core::run::RunState;

use super::{catalog, texts};
use crate::memory::Memory;
use crate::op::Read;

pub fn read(memory: &mut Memory) -> Read {
    match memory.dice.weighted(&[16, 20, 6, 6, 4, 8, 2, 5, 12]) {
        0 => runs(memory),
        1 => {
            let (tenant, run) = memory.any_run();
            Read::Run(tenant, run)
        }
        2 => {
            let (tenant, run) = memory.any_run();
            Read::Calls(tenant, run)
        }
        3 => event(memory),
        4 => {
            let dice = &mut memory.dice;
            let (limit, passed_over) = (dice.below(30) as u32, dice.below(40) as u32);
            Read::Audit(memory.tenant(), limit, passed_over)
        }
        5 => letters(memory),
        6 => Read::LetterCount(memory.tenant()),
        7 => {
            let (tenant, run) = memory.any_run();
            Read::Signals(tenant, run)
        }
        _ => read_rarely(memory),
    }
}

fn read_rarely(memory: &mut Memory) -> Read {
    match memory.dice.below(14) {
        0 => Read::CancelRequested(among(memory)),
        1 => Read::Signalled(among(memory)),
        2 | 3 => Read::NextDue,
        4 => {
            let tenant = memory.tenant();
            let flow = memory.flow_of(tenant);
            let node = (*memory.dice.pick(&["a", "käse"])).to_owned();
            let key = (*memory.dice.pick(&["a\0b", "ä", "cursor"])).to_owned();
            Read::NodeState(tenant, flow.id, node, key)
        }
        5 => Read::LiveWorkflows,
        6 => Read::LiveRevision,
        7 => Read::Workflows(memory.tenant()),
        8 => {
            let tenant = memory.tenant();
            let flow = memory.flow_of(tenant);
            let version = memory.dice.below(flow.version as usize + 2) as u32;
            if memory.dice.percent(50) {
                return Read::Versions(tenant, flow.name);
            }
            Read::Version(memory.tenant(), flow.id, version)
        }
        9 => Read::Connection(memory.tenant(), catalog::connection_name(&mut memory.dice)),
        10 => Read::Connections(memory.tenant()),
        11 => Read::Plugins(memory.tenant()),
        12 => match memory.dice.any(&memory.components) {
            Some(hash) => Read::Component(*hash),
            None => Read::Component(ContentHash([7; 32])),
        },
        _ => match memory.dice.any(&memory.tokens) {
            Some((_, hash)) => Read::Token(*hash),
            None => Read::Tenant(catalog::tenant_name(&mut memory.dice)),
        },
    }
}

fn among(memory: &mut Memory) -> Vec<RunId> {
    let dice = &mut memory.dice;
    memory.runs.iter().filter(|_| dice.percent(30)).map(|run| run.id).collect()
}

fn runs(memory: &mut Memory) -> Read {
    let tenant = memory.tenant();
    let flow = memory.flow_of(tenant);
    let after = memory.any_run().1;
    let age = memory.dice.within(0..300_000);
    let (since, until) = (memory.after(-age), memory.after(-age / 3));
    let dice = &mut memory.dice;
    let states = RunState::ALL.into_iter().filter(|_| dice.percent(35)).collect();
    let correlation_id = dice.any(&memory.correlations).cloned();
    let filter = RunFilter {
        workflow: dice.percent(30).then_some(flow.name),
        states: if dice.percent(50) { states } else { Vec::new() },
        since: dice.percent(20).then_some(since),
        until: dice.percent(20).then_some(until),
        correlation_id: correlation_id.filter(|_| dice.percent(20)),
    };
    let limit = if dice.percent(50) { dice.below(6) } else { dice.below(100) };
    let after = dice.percent(30).then_some(Cursor(after));
    Read::Runs(tenant, filter, Page { after, limit: limit as u32 })
}

fn event(memory: &mut Memory) -> Read {
    match memory.dice.any(&memory.events).copied() {
        Some((tenant, event)) if memory.dice.percent(95) => Read::Event(tenant, event),
        Some((_, event)) => Read::Event(memory.tenant(), event),
        None => Read::Event(TenantId(memory.id()), EventId(memory.id())),
    }
}

fn letters(memory: &mut Memory) -> Read {
    let tenant = memory.tenant();
    let flow = memory.flow_of(tenant);
    let run = memory.run_where(|run| !run.letters.is_empty()).map(|run| run.id);
    let age = memory.dice.within(0..300_000);
    let (since, until) = (memory.after(-age), memory.after(-age / 3));
    let dice = &mut memory.dice;
    let filter = LetterFilter {
        workflow: dice.percent(20).then_some(flow.name),
        run: run.filter(|_| dice.percent(20)),
        node: dice.maybe(20, |dice| texts::step_key(dice).node),
        class: dice.maybe(15, texts::class),
        code: dice.maybe(15, |dice| (*dice.pick(&["broken", "not-found"])).to_owned()),
        since: dice.percent(15).then_some(since),
        until: dice.percent(15).then_some(until),
        discarded: dice.percent(30),
    };
    let step = texts::step_key(dice);
    let after = run.filter(|_| dice.percent(30)).map(|run| LetterCursor { run, step });
    Read::Letters(tenant, filter, after, dice.below(40) as u32)
}
