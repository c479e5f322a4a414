//! Accept: events, each once, with their runs and their places in the queue.

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use tombolo_core::audit::runs_started;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::store::Accepted;
use uuid::Uuid;

use super::pack::{self, Numbered, Numbers, Packs};
use super::{payload, run};
use crate::postgres::error::Fault;
use crate::postgres::flow;
use crate::postgres::scope::TenantTx;
use crate::postgres::text::text;
use crate::postgres::{any, audit};
use crate::record::{AcceptItem, Damaged, hash_bytes, join_ids, split_ids, waits};

/// Names an event: unlike its id, which somebody may give to two, it is new once.
type KeyHash = [u8; 16];

/// An event that is new, with the numbers of its packs.
struct Stored<'a> {
    item: &'a AcceptItem,
    packs: Numbered,
}

/// Stores those that are new; of several events of one key the first.
pub(super) async fn apply(
    tx: &mut TenantTx<'_>,
    numbers: &mut Numbers,
    items: &[&AcceptItem],
) -> Result<Vec<Accepted>, Fault> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let counts = items.iter().map(|item| item.texts.packs.len());
    let packs = pack::number(tx, numbers, counts).await?;
    let all: Vec<Stored<'_>> =
        items.iter().zip(packs).map(|(item, packs)| Stored { item, packs }).collect();
    // Of two of one key, the first.
    let mut new = insert_events(tx, &all).await?;
    let stored: Vec<Stored<'_>> =
        all.into_iter().filter(|one| new.remove(&one.item.key.hash)).collect();
    insert_texts(tx, &stored).await?;
    let runs = start(tx, &stored).await?;
    answers(tx, items, runs).await
}

/// Stores the events that are new, and gives the hashes of their keys.
async fn insert_events(
    tx: &mut TenantTx<'_>,
    all: &[Stored<'_>],
) -> Result<HashSet<KeyHash>, Fault> {
    // In the order of their keys, so that two writers don't wait for each other.
    let mut sorted: Vec<(&AcceptItem, Option<i64>)> =
        all.iter().map(|one| (one.item, one.packs.last())).collect();
    sorted.sort_by_key(|(item, _)| item.key.hash);
    let (sorted, last): (Vec<&AcceptItem>, Vec<Option<i64>>) = sorted.into_iter().unzip();
    let column = |of: fn(&AcceptItem) -> &[u8]| -> Vec<&[u8]> {
        sorted.iter().map(|item| of(item)).collect()
    };
    let ids: Vec<Uuid> = sorted.iter().map(|item| item.event.id.0).collect();
    let sources: Vec<_> = sorted.iter().map(|item| text(&item.event.source)).collect();
    let keys: Vec<Vec<u8>> = sorted.iter().map(|item| any::shortened(&item.key.key)).collect();
    let received: Vec<i64> = sorted.iter().map(|item| item.event.received_at.0).collect();
    let runs: Vec<Vec<u8>> =
        sorted.iter().map(|item| join_ids(item.runs.iter().map(|one| one.run.id.0))).collect();
    let payloads: Vec<Option<Vec<u8>>> =
        sorted.iter().map(|item| item.body.text.as_ref().map(any::text)).collect();
    let hashes: Vec<Option<&[u8]>> =
        sorted.iter().map(|item| hash_bytes(item.body.hash.as_ref())).collect();
    let fingerprints: Vec<Option<&[u8]>> =
        sorted.iter().map(|item| item.event.fingerprint.as_ref().map(|hash| &hash[..])).collect();
    let new: Vec<Vec<u8>> = sqlx::query_scalar(
        "INSERT INTO event (tenant_id, id, key_hash, source, dedupe_key, received_at, run_ids, pack,
           payload, payload_hash, fingerprint)
         SELECT $1, u.* FROM UNNEST($2::uuid[], $3::bytea[], $4::text[], $5::bytea[], $6::bigint[],
           $7::bytea[], $8::bigint[], $9::bytea[], $10::bytea[], $11::bytea[]) AS u
         ON CONFLICT (tenant_id, key_hash) DO NOTHING RETURNING key_hash",
    )
    .bind(tx.tenant().0)
    .bind(ids)
    .bind(column(|item| &item.key.hash))
    .bind(sources.iter().map(|source| &**source).collect::<Vec<&str>>())
    .bind(keys)
    .bind(received)
    .bind(runs)
    .bind(last)
    .bind(payloads)
    .bind(hashes)
    .bind(fingerprints)
    .fetch_all(tx.sql())
    .await?;
    let hash = |hash: Vec<u8>| {
        KeyHash::try_from(hash).map_err(|_| Damaged("a key's hash has not 16 bytes".to_owned()))
    };
    Ok(new.into_iter().map(hash).collect::<Result<_, _>>()?)
}

/// Stores what stands beside the events' rows: of their runs' steps, too, because an event stays as
/// long as its runs.
async fn insert_texts(tx: &mut TenantTx<'_>, stored: &[Stored<'_>]) -> Result<(), Fault> {
    let packs: Vec<(Packs<'_>, &Numbered)> = stored
        .iter()
        .map(|one| (Packs { packs: &one.item.texts.packs, before: None }, &one.packs))
        .collect();
    pack::insert(tx, &packs).await?;
    let payloads: Vec<_> = stored
        .iter()
        .flat_map(|one| {
            let owner = one.item.event.id.0;
            one.item.texts.payloads.iter().map(move |payload| (owner, payload))
        })
        .collect();
    payload::insert(tx, &payloads).await
}

/// Starts the runs of the events, and gives their ids by the events' keys: another one's, where the
/// event joins a run that is there.
async fn start(
    tx: &mut TenantTx<'_>,
    stored: &[Stored<'_>],
) -> Result<HashMap<KeyHash, Vec<RunId>>, Fault> {
    let all = stored.iter().flat_map(|one| {
        let (event, packs) = (&one.item.event, &one.packs);
        one.item.runs.iter().map(move |item| run::New { event, packs, item })
    });
    let (waiting, free): (Vec<_>, Vec<_>) = all.partition(|new| waits(&new.item.run));
    run::insert(tx, &free).await?;
    let mut joined = HashMap::new();
    for new in waiting {
        if let Some(other) = flow::join(tx, new.event, &new.item.run).await? {
            joined.insert(new.item.run.id, other);
            continue;
        }
        run::insert(tx, std::slice::from_ref(&new)).await?;
        flow::line_up(tx, new.event, &new.item.run).await?;
    }
    let mut runs = HashMap::with_capacity(stored.len());
    for one in stored {
        let (event, own) = (one.item.event.id, one.item.runs.iter().map(|item| item.run.id));
        let started: Vec<RunId> =
            own.clone().map(|run| joined.get(&run).copied().unwrap_or(run)).collect();
        if own.ne(started.iter().copied()) {
            set_runs(tx, event, &started).await?;
        }
        if let Some(entry) = &one.item.audit {
            audit::append(tx, [&runs_started(entry.clone(), &started)]).await?;
        }
        runs.insert(one.item.key.hash, started);
    }
    Ok(runs)
}

async fn set_runs(tx: &mut TenantTx<'_>, event: EventId, runs: &[RunId]) -> Result<(), Fault> {
    sqlx::query("UPDATE event SET run_ids = $3 WHERE tenant_id = $1 AND id = $2")
        .bind(tx.tenant().0)
        .bind(event.0)
        .bind(join_ids(runs.iter().map(|run| run.0)))
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// What became of each item, in their order.
async fn answers(
    tx: &mut TenantTx<'_>,
    items: &[&AcceptItem],
    mut new: HashMap<KeyHash, Vec<RunId>>,
) -> Result<Vec<Accepted>, Fault> {
    let started: Vec<Option<Vec<RunId>>> =
        items.iter().map(|item| new.remove(&item.key.hash)).collect();
    let known = items.iter().zip(&started).filter(|(_, started)| started.is_none());
    let known: Vec<&[u8]> = known.map(|(item, _)| &item.key.hash[..]).collect();
    let first = if known.is_empty() { HashMap::new() } else { find_first(tx, known).await? };
    let answer = |(item, started): (&&AcceptItem, Option<Vec<RunId>>)| match started {
        Some(runs) => Ok(Accepted::New { event: item.event.id, runs }),
        // Forgotten since we met it: it is new.
        None => first.get(&item.key.hash[..]).cloned().ok_or(Fault::Again),
    };
    items.iter().zip(started).map(answer).collect()
}

/// The events that were first with these keys.
async fn find_first(
    tx: &mut TenantTx<'_>,
    keys: Vec<&[u8]>,
) -> Result<HashMap<Vec<u8>, Accepted>, Fault> {
    let rows = sqlx::query(
        "SELECT key_hash, id, fingerprint, run_ids FROM event
         WHERE tenant_id = $1 AND key_hash = ANY($2)",
    )
    .bind(tx.tenant().0)
    .bind(keys)
    .fetch_all(tx.sql())
    .await?;
    let mut first = HashMap::with_capacity(rows.len());
    for row in rows {
        let fingerprint: Option<&[u8]> = row.try_get(2)?;
        let accepted = Accepted::Duplicate {
            event: EventId(row.try_get(1)?),
            runs: split_ids(row.try_get(3)?)?.into_iter().map(RunId).collect(),
            fingerprint: fingerprint
                .map(<[u8; 32]>::try_from)
                .transpose()
                .map_err(|_| Damaged("a fingerprint has not 32 bytes".to_owned()))?,
        };
        first.insert(row.try_get(0)?, accepted);
    }
    Ok(first)
}
