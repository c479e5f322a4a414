//! Who has which run, what comes for it from outside, and what the clock does.

use tombolo_core::ports::store::{Claim, Lease, Open, Shares, Signal, Turns, Wanted};

use super::{accept, settle, texts};
use crate::memory::Memory;
use crate::op::Write;

/// More than there are: which of them a claim of fewer takes is left open for [`Wanted::Ending`].
const ALL: usize = 1_000;

pub fn claim(memory: &mut Memory) -> Write {
    let held: Vec<_> = memory.runs.iter().filter(|run| run.held).map(|run| run.id).collect();
    let (short, long) = (memory.dice.within(0..100), memory.dice.within(5_000..40_000));
    let ms = if memory.dice.percent(5) { short } else { long };
    let until = memory.after(ms);
    let dice = &mut memory.dice;
    let held = held.into_iter().filter(|_| dice.percent(20)).collect();
    let (limit, wanted) = match dice.below(8) {
        0 => (ALL, Wanted::Ending),
        // All of those that are suspects or none.
        1 => (1 + dice.below(20), Wanted::Due { suspects: ALL }),
        _ => (dice.below(12), Wanted::Due { suspects: dice.below(3) }),
    };
    let worker = accept::worker(dice);
    let turns = if dice.percent(40) { turns(memory) } else { None };
    Write::Claim(Claim { worker, limit, now: memory.now, until, held, wanted, turns })
}

/// Slots of which anybody may have any number.
fn turns(memory: &mut Memory) -> Option<Turns> {
    let tenants = memory.tenants.clone();
    let dice = &mut memory.dice;
    let mut shares = Shares::new(1 + dice.below(16));
    for _ in 0..dice.below(12) {
        shares.take(*dice.any(&tenants)?);
    }
    Some(Turns { shares, first: *dice.any(&tenants)? })
}

/// Held ones and others.
pub fn renew(memory: &mut Memory) -> Write {
    let mut leases: Vec<Lease> = Vec::new();
    for _ in 0..memory.dice.below(5) {
        let held = memory.dice.percent(80);
        let run = memory.run_where(|run| run.lease.is_some() && (run.held || !held));
        let Some(mut lease) = run.and_then(|run| run.lease) else { continue };
        match memory.dice.below(12) {
            0 => lease.epoch -= 1,
            1 => lease.owner = accept::worker(&mut memory.dice),
            _ => {}
        }
        if leases.iter().all(|other| other.run != lease.run) {
            leases.push(lease);
        }
    }
    let ms = memory.dice.within(0..40_000);
    Write::Renew(leases, memory.after(ms))
}

pub fn open(memory: &mut Memory) -> Write {
    let (mut tenant, mut run) = memory.any_run();
    if memory.dice.percent(60)
        && let Some(ended) = memory.run_where(|run| run.ended)
    {
        (tenant, run) = (ended.tenant, ended.id);
    }
    let ms = memory.dice.within(0..40_000);
    let until = memory.after(ms);
    let worker = accept::worker(&mut memory.dice);
    Write::Open(Open { tenant, run, worker, now: memory.now, until })
}

pub fn cancel(memory: &mut Memory) -> Write {
    let (tenant, run) = memory.any_run();
    Write::Cancel(tenant, run)
}

pub fn signal(memory: &mut Memory) -> Write {
    let (tenant, run) = memory.any_run();
    let known = memory.runs.iter().find(|known| known.id == run);
    let steps: Vec<_> = known.iter().flat_map(|known| known.steps.iter().cloned()).collect();
    let dice = &mut memory.dice;
    let step = match dice.any(&steps) {
        Some(step) if dice.percent(80) => step.clone(),
        _ => texts::step_key(dice),
    };
    let body = texts::json(dice);
    Write::Signal(Signal { tenant, run, step, body, at: memory.now })
}

/// A step is given up: one that is dead usually.
pub fn discard(memory: &mut Memory) -> Write {
    let dead = memory.run_where(|run| !run.letters.is_empty());
    let (mut tenant, mut run) = memory.any_run();
    let mut step = texts::step_key(&mut memory.dice);
    if let Some(dead) = dead.filter(|_| memory.dice.percent(90)) {
        let letters: Vec<_> = dead.letters.iter().cloned().collect();
        (tenant, run) = (dead.tenant, dead.id);
        step = memory.dice.pick(&letters).clone();
    }
    let reason = texts::sentence(&mut memory.dice);
    let audit = settle::audit(&mut memory.dice, memory.now);
    Write::Discard(tenant, run, step, reason, audit)
}

pub fn take_over(memory: &mut Memory) -> Write {
    Write::TakeOver(memory.now)
}

/// The clock jumps back.
pub fn set_back(memory: &mut Memory) -> Write {
    let from = memory.now;
    let ms = memory.dice.within(-1_000..60_000);
    memory.now = memory.after(-ms);
    Write::SetBack(from, memory.now)
}
