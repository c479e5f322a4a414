//! Breadth first over all states that can be reached.

use std::collections::HashMap;
use std::fmt;

use crate::model::{Move, State};

/// Everything that can be reached.
pub struct Explored<State> {
    pub states: Vec<State>,
    /// From which state, by what, to which.
    steps: Vec<(u32, Move, u32)>,
}

/// The shortest way to a state that must not be.
pub struct Counterexample<State> {
    pub what: &'static str,
    pub path: Vec<Move>,
    state: State,
}

impl<State: fmt::Debug> fmt::Display for Counterexample<State> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, by {:?}, in {:#?}", self.what, self.path, self.state)
    }
}

/// Looks at every state once; ends at the first that is not safe.
pub fn explore<const WORKERS: usize, const RUNS: usize>(
    start: State<WORKERS, RUNS>,
    is_safe: impl Fn(&State<WORKERS, RUNS>) -> Result<(), &'static str>,
) -> Result<Explored<State<WORKERS, RUNS>>, Box<Counterexample<State<WORKERS, RUNS>>>> {
    let mut numbers = HashMap::from([(start, 0_u32)]);
    let (mut states, mut steps) = (vec![start], Vec::new());
    // How each state was reached first; the start by nothing.
    let mut reached: Vec<Option<(u32, Move)>> = vec![None];
    let mut from = 0;
    while from < states.len() {
        let state = states[from];
        if let Err(what) = is_safe(&state) {
            let path = path(&reached, from);
            return Err(Box::new(Counterexample { what, path, state }));
        }
        for (made, next) in state.nexts() {
            let number = *numbers.entry(next).or_insert_with(|| {
                states.push(next);
                reached.push(Some((from as u32, made)));
                (states.len() - 1) as u32
            });
            steps.push((from as u32, made, number));
        }
        from += 1;
    }
    Ok(Explored { states, steps })
}

fn path(reached: &[Option<(u32, Move)>], mut to: usize) -> Vec<Move> {
    let mut path = Vec::new();
    while let Some((from, made)) = reached[to] {
        path.push(made);
        to = from as usize;
    }
    path.reverse();
    path
}

impl<State> Explored<State> {
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// For each state, whether moves of that kind lead from it to one for which that is so.
    pub fn can_reach(
        &self,
        is_so: impl Fn(&State) -> bool,
        of_kind: impl Fn(&Move) -> bool,
    ) -> Vec<bool> {
        let mut before: Vec<Vec<u32>> = vec![Vec::new(); self.states.len()];
        for (from, _, to) in self.steps.iter().filter(|(_, made, _)| of_kind(made)) {
            before[*to as usize].push(*from);
        }
        let mut can: Vec<bool> = self.states.iter().map(is_so).collect();
        let mut left: Vec<usize> = (0..can.len()).filter(|state| can[*state]).collect();
        while let Some(state) = left.pop() {
            for from in &before[state] {
                if !std::mem::replace(&mut can[*from as usize], true) {
                    left.push(*from as usize);
                }
            }
        }
        can
    }
}
