//! What is too long for its row, by its hash.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::record::Payload;

/// Stores those that are not there yet, and notes which run or event needs them.
///
/// Whoever names a payload gives its bytes along, in the same transaction, so that none can be swept
/// away in between.
pub(in crate::postgres) async fn insert(
    tx: &mut TenantTx<'_>,
    payloads: &[(Uuid, &Payload)],
) -> Result<(), Fault> {
    if payloads.is_empty() {
        return Ok(());
    }
    store(tx, payloads.iter().map(|(_, payload)| *payload)).await?;
    let owners: Vec<Uuid> = payloads.iter().map(|(owner, _)| *owner).collect();
    let hashes: Vec<&[u8]> = payloads.iter().map(|(_, payload)| &payload.hash.0[..]).collect();
    sqlx::query(
        "INSERT INTO payload_use (tenant_id, owner_id, hash)
         SELECT $1, owner, hash FROM UNNEST($2::uuid[], $3::bytea[]) AS u (owner, hash)
         ON CONFLICT DO NOTHING",
    )
    .bind(tx.tenant().0)
    .bind(owners)
    .bind(hashes)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Stores those that are not there yet.
pub(in crate::postgres) async fn store(
    tx: &mut TenantTx<'_>,
    payloads: impl Iterator<Item = &Payload>,
) -> Result<(), Fault> {
    // In order, and each once.
    let payloads: BTreeMap<[u8; 32], &Payload> =
        payloads.map(|payload| (payload.hash.0, payload)).collect();
    let hashes: Vec<&[u8]> = payloads.keys().map(|hash| &hash[..]).collect();
    let encodings: Vec<i16> = payloads.values().map(|payload| payload.encoding as i16).collect();
    let bytes: Vec<&[u8]> = payloads.values().map(|payload| payload.bytes.as_slice()).collect();
    sqlx::query(
        "INSERT INTO payload (hash, tenant_id, encoding, bytes)
         SELECT hash, $1, encoding, bytes
         FROM UNNEST($2::bytea[], $3::smallint[], $4::bytea[]) AS u (hash, encoding, bytes)
         ON CONFLICT DO NOTHING",
    )
    .bind(tx.tenant().0)
    .bind(&hashes)
    .bind(encodings)
    .bind(bytes)
    .execute(tx.sql())
    .await?;
    hold(tx, &hashes).await
}

/// Keeps those that were there from being swept away before we are done.
async fn hold(tx: &mut TenantTx<'_>, hashes: &[&[u8]]) -> Result<(), Fault> {
    let held: Vec<i32> = sqlx::query_scalar(
        "SELECT 1 FROM payload WHERE tenant_id = $1 AND hash = ANY($2) ORDER BY hash FOR SHARE",
    )
    .bind(tx.tenant().0)
    .bind(hashes)
    .fetch_all(tx.sql())
    .await?;
    // One was swept away since we saw it.
    if held.len() == hashes.len() { Ok(()) } else { Err(Fault::Again) }
}
