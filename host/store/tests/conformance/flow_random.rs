//! Flow control: nothing leaks, whatever becomes of runs and of those who work on them.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Lane, Lease, Next, Priority, RunLimits};
use tombolo_core::run::RunState;

use crate::flow::{lane, order};
use crate::world::{World, after, ended, parked, queued, succeeded, waiting};

const RUNS: usize = 250;
const WIDE: u32 = 4;

/// Numbers in no order, the same for every test run: Marsaglia's xorshift (2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}

/// Two keys of which runs go in order, one place for each of two others, and four for all.
fn flow(dice: &mut Dice) -> RunLimits {
    let keeps_place = dice.below(2) == 0;
    let mut lanes = vec![lane("wide", WIDE)];
    match dice.below(4) {
        0 => lanes.push(order("kept")),
        1 => lanes.push(Lane { keeps_place: false, ..order("skipped") }),
        2 => lanes.push(Lane { keeps_place: false, ..lane("narrow", 1) }),
        _ if keeps_place => lanes.clear(),
        _ => {}
    }
    let priority = [Priority::High, Priority::Normal, Priority::Low][dice.below(3) as usize];
    RunLimits { lanes, priority, ..RunLimits::default() }
}

/// What a worker does with a run; None if it dies.
fn next(dice: &mut Dice, ms: i64) -> Option<Next> {
    Some(match dice.below(8) {
        0 => return None,
        1 => parked(after(ms + 5_000)),
        2 => waiting(Some(after(ms + 20_000))),
        3 => queued(after(ms)),
        4 => ended(RunState::Failed),
        _ => succeeded(),
    })
}

/// Runs of a history, by what the test knows of them.
#[derive(Default)]
struct History {
    flows: BTreeMap<RunId, RunLimits>,
    ended: BTreeSet<RunId>,
    /// Runs that are to be ended, and so need no place.
    wanted: BTreeSet<RunId>,
}

impl History {
    /// No lane has more runs at work than it has places.
    fn check(&self, at_work: &[Lease]) {
        let mut places: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for lease in at_work.iter().filter(|lease| !self.wanted.contains(&lease.run)) {
            for lane in &self.flows[&lease.run].lanes {
                let place = places.entry(&lane.name).or_insert((0, lane.limit));
                place.0 += 1;
                assert!(place.0 <= place.1, "{}: {places:?}", lane.name);
            }
        }
    }
}

pub async fn nothing_leaks_whoever_dies(world: World) {
    for seed in [7, 11, 0x9E37_79B9_7F4A_7C15] {
        let world = World::new(world.database.fresh().await).await;
        history(&world, &mut Dice(seed)).await;
        for name in ["wide", "kept", "skipped", "narrow"] {
            let flow = RunLimits { lanes: vec![lane(name, 1)], ..RunLimits::default() };
            let fresh = world.accept_unnamed(world.flowing("", flow)).await;
            let due = world.view(fresh).await.available_at;
            assert_eq!(due, Some(after(0)), "{name} is free, seed {seed}");
        }
    }
}

async fn history(world: &World, dice: &mut Dice) {
    let (mut known, mut ms) = (History::default(), 0_i64);
    // A round is a claim; whoever is not settled in it has died by the next.
    for round in 0.. {
        assert!(round < 20 * RUNS, "{} of {} have ended", known.ended.len(), known.flows.len());
        if known.flows.len() < RUNS {
            for _ in 0..dice.below(4) {
                let accept = world.flowing("", flow(dice));
                let flow = accept.runs[0].flow.clone();
                let run = world.accept_unnamed(accept).await;
                known.flows.insert(run, flow);
            }
        } else if known.ended.len() == known.flows.len() {
            break;
        }
        let claimed = world.claim("w", 1 + dice.below(20) as usize, after(ms)).await;
        let leases: Vec<Lease> = claimed.into_iter().map(|run| run.lease).collect();
        known.check(&leases);
        for lease in leases {
            let wanted = known.wanted.contains(&lease.run);
            let next = if wanted { Some(ended(RunState::Cancelled)) } else { next(dice, ms) };
            let Some(next) = next else { continue };
            if matches!(next, Next::End { .. }) {
                known.ended.insert(lease.run);
            }
            world.settle(&lease, next).await.unwrap();
        }
        if dice.below(5) == 0 {
            let index = dice.below(known.flows.len().max(1) as u64) as usize;
            if let Some(run) = known.flows.keys().nth(index).copied() {
                world.store.request_cancel(world.tenant, run, None).await.unwrap();
                known.wanted.insert(run);
            }
        }
        ms += dice.below(8_000) as i64;
    }
}
