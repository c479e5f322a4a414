//! Ten thousand random histories: the laws driven by a virtual clock and a seed, through failures,
//! waits, deaths of the worker, cancels and repairs. The same seed gives the same history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::effect::Effect;
use crate::error::{ErrorClass, StepError};
use crate::ports::sandbox::Outcome;
use crate::ports::store::StepRow;
use crate::workflow::Plan;

/// In an ordinary run of the tests; `TOMBOLO_FAULT_HISTORIES` overrides it, and
/// `TOMBOLO_FAULT_SEED` says which seed is the first.
const HISTORIES: u64 = 10_000;

/// Most moves of one history: it has to come to an end before.
const MAX_MOVES: usize = 3_000;

/// A generator that needs no crate: splitmix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom
/// Number Generators", 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// True so many times of a hundred.
    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

fn random_plan(dice: &mut Dice) -> Plan {
    let count = 1 + dice.below(7);
    let mut nodes = Map::new();
    for at in 0..count {
        let after: Vec<String> =
            (0..at).filter(|_| dice.percent(40)).map(|other| format!("n{other}")).collect();
        let mut node = json!({
            "after": after,
            "join": if dice.percent(20) { "any" } else { "all" },
            "on_error": if dice.percent(20) { "continue" } else { "fail" },
            "retry": {"attempts": 1 + dice.below(3), "backoff": {"first": "10s"}},
        });
        if dice.percent(20) {
            let policy = ["fail", "skip", "collect"][dice.below(3) as usize];
            node["each"] = json!({"items": "${ .trigger }", "limit": 1 + dice.below(3), "on_item_error": policy});
        }
        nodes.insert(format!("n{at}"), node);
    }
    let mut plan = testing::plan(Value::Object(nodes));
    for node in &mut plan.nodes {
        node.effect =
            [Effect::Pure, Effect::Read, Effect::Keyed, Effect::Unsafe][dice.below(4) as usize];
        node.connection = dice.percent(30).then(|| "crm".to_owned());
    }
    plan
}

/// One history, and what it leaves behind.
struct History {
    dice: Dice,
    now: Timestamp,
    run: Run,
    /// As the store has it.
    stored: BTreeMap<(String, u32), StepRow>,
    /// Starts of every step that are not known to have come to nothing.
    starts: BTreeMap<StepAt, u32>,
    trace: String,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let plan = Arc::new(random_plan(&mut dice));
        let run = Run::restore(plan, Vec::new()).unwrap();
        let (stored, starts) = (BTreeMap::new(), BTreeMap::new());
        Self { dice, now: Timestamp(0), run, stored, starts, trace: String::new() }
    }

    fn note(&mut self, what: &str, at: StepAt) {
        let _ = write!(self.trace, "{}:{what}@{}.{};", self.now.0, at.node, at.item);
    }

    fn settle(&mut self) {
        let rows = self.run.take_changes();
        for row in &rows {
            let key = (row.node.clone(), row.item);
            if let Some(before) = self.stored.get(&key)
                && before.state == StepState::Succeeded
            {
                assert_eq!(before.output, row.output, "a recorded result changed");
                assert_eq!(row.state, StepState::Succeeded, "a recorded result went");
            }
            self.stored.insert(key, row.clone());
        }
        self.run.slim(&rows);
    }

    /// Starts what is ready, and what that makes ready.
    fn start(&mut self) {
        loop {
            let ready = self.run.ready(self.now).unwrap();
            if ready.is_empty() {
                return;
            }
            ready.into_iter().for_each(|at| self.begin(at));
        }
    }

    /// Starts one step. An unsafe effect is settled first.
    fn begin(&mut self, at: StepAt) {
        let node = self.run.node(at).clone();
        if node.each.is_some() && !at.is_item() {
            let list: Vec<u64> = (0..self.dice.below(4)).collect();
            self.note("list", at);
            self.run.expand(at.node, json!(list).into(), self.now).unwrap();
            return;
        }
        if self.dice.percent(5) && self.run.step(at).state == StepState::Pending {
            self.note("skip", at);
            self.run.skip(at, self.now).unwrap();
            return;
        }
        self.note("start", at);
        self.run.start(at, Some(json!(at.item).into()), self.now).unwrap();
        *self.starts.entry(at).or_default() += 1;
        if node.effect.needs_intent() {
            self.settle();
        }
    }

    fn running(&self) -> Vec<StepAt> {
        self.run.places().filter(|at| self.run.step(*at).state == StepState::Running).collect()
    }

    /// One attempt comes to its end.
    fn finish(&mut self, at: StepAt) {
        let classes = [
            ErrorClass::Transient,
            ErrorClass::RateLimited,
            ErrorClass::Permanent,
            ErrorClass::Auth,
            ErrorClass::Conflict,
            ErrorClass::UnknownOutcome,
        ];
        if self.dice.percent(65) {
            self.note("done", at);
            let outcome = Outcome { output: json!([at.node, at.item]).into(), ports: Vec::new() };
            self.run.succeed(at, outcome, Vec::new(), self.now).unwrap();
        } else {
            let class = classes[self.dice.below(6) as usize];
            self.note(class.name(), at);
            let jitter = self.dice.below(1_000) as f64 / 1_000.0;
            let failed = Failed { judged: None, now: self.now, jitter };
            let error = StepError::new(class, "random", "as the dice say");
            self.run.fail(at, error, Vec::new(), failed).unwrap();
            if class != ErrorClass::UnknownOutcome {
                // It says that it did nothing.
                self.starts.remove(&at);
            }
        }
        if self.run.node(at).effect.needs_intent() {
            self.settle();
        }
    }

    /// The worker dies; another one has what was stored.
    fn die(&mut self) {
        self.note("die", StepAt::from(0));
        let rows = self.stored.values().cloned().collect();
        self.run = Run::restore(self.run.plan().clone(), rows).unwrap();
        self.run.recover(self.now).unwrap();
        for at in self.run.places() {
            let repeatable = self.run.node(at).effect.repeatable();
            // What is repeatable may be started again; what is not must be unknown now.
            if repeatable && self.run.step(at).state == StepState::Pending {
                self.starts.remove(&at);
            }
        }
        self.settle();
    }

    /// Runs to the end; gives the state it ended with.
    fn play(&mut self) -> RunState {
        for _ in 0..MAX_MOVES {
            self.start();
            self.check();
            let running = self.running();
            if self.dice.percent(4) {
                self.die();
            } else if self.dice.percent(1) {
                self.run.cancel(self.now).unwrap();
                self.settle();
                return RunState::Cancelled;
            } else if !running.is_empty() {
                let at = running[self.dice.below(running.len() as u64) as usize];
                self.finish(at);
            } else if let Some(ended) = self.rest() {
                return ended;
            }
        }
        panic!("no end after {MAX_MOVES} moves: {}", self.trace);
    }

    /// Nothing is under way: time goes on, or the run has ended.
    fn rest(&mut self) -> Option<RunState> {
        self.settle();
        match self.run.standing() {
            Standing::Busy => None,
            Standing::Parked { due: Some(due), .. } => {
                self.now = self.now.max(due);
                None
            }
            Standing::Parked { due: None, connections } => {
                assert_eq!(connections.len(), 1, "nothing else waits for a person here");
                // Somebody mends the connection: the run is claimed again.
                self.now = self.now.plus(Duration::from_secs(3600));
                let waiting: Vec<StepAt> = self
                    .run
                    .places()
                    .filter(|at| self.run.step(*at).state == StepState::Waiting)
                    .collect();
                self.run.release(self.now, |connection| connection == "crm");
                self.note("mended", waiting[0]);
                None
            }
            Standing::Ended { state: RunState::Failed, .. } if self.dice.percent(60) => {
                self.repair();
                None
            }
            Standing::Ended { state, .. } => Some(state),
        }
    }

    fn repair(&mut self) {
        let repeat_unknown = self.dice.percent(30);
        let redrive = Redrive { repeat_unknown, ..Redrive::default() };
        match self.run.redrive(&redrive, &BTreeSet::new()) {
            Ok(repaired) => {
                for at in repaired.chosen {
                    self.note("redrive", at);
                    self.starts.remove(&at);
                }
            }
            Err(CannotRepair::Unknown { node }) => {
                let unknown = |at: &StepAt| self.run.step(*at).state == StepState::Unknown;
                let at = self.run.dead_letters().into_iter().find(unknown).expect("a letter");
                assert!(!self.run.node(at).effect.repeatable(), "{node}");
                let key = self.run.step(at).key();
                let outcome = Outcome { output: json!("looked up").into(), ports: Vec::new() };
                self.note("resolve", at);
                self.run.resolve(&key, outcome, self.now).unwrap();
                self.starts.remove(&at);
            }
            Err(other) => panic!("{other}: {}", self.trace),
        }
    }

    fn check(&self) {
        for (at, starts) in &self.starts {
            let effect = self.run.node(*at).effect;
            assert!(
                effect.repeatable() || *starts <= 1,
                "an unsafe step started {starts} times: {}",
                self.trace
            );
        }
    }
}

/// A number that somebody gave for a longer test.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment how long it may be"
)]
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn ten_thousand_random_histories_end_and_keep_the_laws() {
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    let mut moves = 0;
    let histories = number("TOMBOLO_FAULT_HISTORIES", HISTORIES);
    let first = number("TOMBOLO_FAULT_SEED", 0);
    for seed in (0..histories).map(|at| first.wrapping_add(at)) {
        let mut history = History::new(seed);
        let end = history.play();
        moves += history.trace.matches(';').count();
        *ends.entry(end.name()).or_default() += 1;
    }
    assert_eq!(ends.len(), 3, "all ends were met: {ends:?}");
    // Said even where the output of a test that passes is not shown.
    let counts = format!(
        "histories: {histories} with {moves} moves, ends {ends:?} (seed {first}), lost=0, doubled=0"
    );
    std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{counts}\n")).unwrap();
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..200 {
        let play = |seed| {
            let mut history = History::new(seed);
            history.play();
            (history.trace, history.stored)
        };
        assert_eq!(play(seed), play(seed));
    }
}
