//! Long texts by their hash.

use sqlx::SqliteConnection;

use super::bulk::{Bulk, insert};
use crate::record::Payload;

static PAYLOADS: Bulk =
    Bulk::new(&[insert!("payload (hash, tenant_id, bytes)", 3, "ON CONFLICT DO NOTHING")]);

/// Stores those that are not there yet.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    payloads: &[&Payload],
) -> Result<(), sqlx::Error> {
    PAYLOADS
        .run(connection, payloads, |_, args, payload| {
            args.hash(Some(payload.hash)).id(payload.tenant.0).bytes(Some(&payload.bytes));
        })
        .await?;
    Ok(())
}
