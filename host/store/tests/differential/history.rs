//! One history: operations of one seed, on two fresh databases.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tombolo_store::{PostgresSettings, PostgresStore, SqliteSettings, SqliteStore, Synchronous};
use tombolo_test_postgres::Database;

use crate::answer::Answer;
use crate::memory::Memory;
use crate::op::{Op, first_word};
use crate::side::Side;
use crate::{everything, make};

/// Operations after which everything is compared.
const INTERVAL: usize = 2_000;

/// How much of an answer that differs is shown, in characters.
const SHOWN: usize = 6_000;

/// How often each kind of operation was asked for, and how often both stores refused it, by why.
#[derive(Default)]
pub struct Counts(BTreeMap<String, usize>);

impl Counts {
    fn count(&mut self, op: &Op, answer: &Answer) {
        let kind = match answer {
            Answer::Failed(error) => format!("{} {}", op.kind(), first_word(error)),
            _ => op.kind(),
        };
        *self.0.entry(kind).or_default() += 1;
    }

    pub fn add(&mut self, other: Self) {
        for (kind, count) in other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} operations", self.0.values().sum::<usize>())?;
        self.0.iter().try_for_each(|(kind, count)| write!(f, ", {kind} {count}"))
    }
}

/// Two stores.
struct Pair {
    sqlite: Side,
    postgres: Side,
}

impl Pair {
    /// SQLite's answer, if PostgreSQL's is the same.
    async fn ask(&self, op: &Op) -> Result<Answer, String> {
        let (one, other) = tokio::join!(self.sqlite.perform(op), self.postgres.perform(op));
        if one.agrees(&other) {
            return Ok(one);
        }
        Err(format!(
            "{op:#?}\nSQLite: {}\nPostgreSQL: {}",
            shown(&one, &other),
            shown(&other, &one)
        ))
    }
}

/// Runs that only one has claimed; of another answer what stands around the first difference.
fn shown(answer: &Answer, other: &Answer) -> String {
    if let (Answer::Claimed(told), Answer::Claimed(of_other)) = (answer, other) {
        let others: Vec<_> = of_other.iter().map(|told| told.run.id).collect();
        let alone: Vec<_> = told.iter().filter(|told| !others.contains(&told.run.id)).collect();
        if told.len() != others.len() || !alone.is_empty() {
            return format!("{} runs, these alone: {alone:#?}", told.len());
        }
    }
    let (text, other) = (format!("{answer:#?}"), format!("{other:#?}"));
    let same = text.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    text.chars().skip(same.saturating_sub(SHOWN / 4)).take(SHOWN).collect()
}

/// Says where the stores differ first, if they do.
pub async fn history(seed: u64, operations: usize) -> Result<Counts, String> {
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings { synchronous: Synchronous::Normal, ..SqliteSettings::default() };
    let sqlite =
        Arc::new(SqliteStore::open(&folder.path().join("tombolo.db"), settings).await.unwrap());
    let database = Database::fresh().await.unwrap();
    let settings =
        PostgresSettings { writers: 1, connections: 4, ..PostgresSettings::new(database.url()) };
    let postgres = Arc::new(PostgresStore::open(settings).await.unwrap());
    let pair = Pair { sqlite: Side::new(sqlite.clone()), postgres: Side::new(postgres.clone()) };
    let told = tell(&pair, seed, operations).await;
    sqlite.close().await;
    postgres.close().await;
    told
}

async fn tell(pair: &Pair, seed: u64, operations: usize) -> Result<Counts, String> {
    let (mut memory, mut counts) = (Memory::new(seed), Counts::default());
    for number in 1..=operations {
        let op = make::op(&mut memory);
        let answer = pair
            .ask(&op)
            .await
            .map_err(|difference| format!("operation {number}: {difference}"))?;
        counts.count(&op, &answer);
        memory.learn(&op, &answer);
        if number % INTERVAL == 0 || number == operations {
            for question in everything::questions(&memory) {
                pair.ask(&Op::Read(question))
                    .await
                    .map_err(|difference| format!("after operation {number}: {difference}"))?;
            }
        }
    }
    Ok(counts)
}
