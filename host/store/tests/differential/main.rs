//! The two stores are one: the same random operations, applied to a store on SQLite and to one on
//! PostgreSQL, are answered alike, and leave the same behind.
//!
//! `DIFFERENTIAL_OPERATIONS=100000` makes longer histories, `DIFFERENTIAL_SEEDS=3,17` others, or one
//! that failed again.

mod answer;
mod dice;
mod everything;
mod history;
mod make;
mod memory;
mod op;
mod side;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write as _;
use std::str::FromStr;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::history::{Counts, history};

/// Histories at the same time.
const AT_ONCE: usize = 5;

/// The value of an environment variable, with commas between several.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
fn named<T: FromStr<Err: Display>>(
    variable: &str,
    otherwise: impl IntoIterator<Item = T>,
) -> Vec<T> {
    let Ok(text) = std::env::var(variable) else {
        return otherwise.into_iter().collect();
    };
    let parse = |value: &str| match value.trim().parse() {
        Ok(value) => value,
        Err(error) => panic!("{variable}: `{value}`: {error}"),
    };
    text.split(',').map(parse).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_stores_answer_alike() {
    let seeds: Vec<u64> = named("DIFFERENTIAL_SEEDS", 1..=10);
    let operations = named("DIFFERENTIAL_OPERATIONS", [10_000])[0];
    let (started, mut left) = (Instant::now(), seeds.clone());
    let (mut counts, mut differences) = (Counts::default(), BTreeMap::new());
    let mut histories = JoinSet::new();
    left.reverse();
    loop {
        while histories.len() < AT_ONCE
            && let Some(seed) = left.pop()
        {
            histories.spawn(async move { (seed, history(seed, operations).await) });
        }
        let Some(ended) = histories.join_next().await else { break };
        match ended.unwrap() {
            (_, Ok(of_history)) => counts.add(of_history),
            (seed, Err(difference)) => {
                differences.insert(seed, difference);
            }
        }
    }
    // Past the harness, which keeps what a test that passes prints to itself.
    writeln!(std::io::stderr(), "{counts}; seeds {seeds:?}; {:?}", started.elapsed()).unwrap();
    for (seed, difference) in &differences {
        println!("seed {seed}: {difference}\n");
    }
    assert!(differences.is_empty(), "they differ with the seeds {:?}", differences.keys());
}
