//! Tenants, tokens and quotas.

use tombolo_core::id::{TenantId, TokenId};
use tombolo_core::ports::store::{Tenant, Token};
use tombolo_core::quota::Quotas;

use super::{Columns, ReadFault};
use crate::record::{content_hash, from_json, unsigned};

/// Reads a tenant's id and name.
pub(crate) fn tenant(row: &impl Columns) -> Result<Tenant, ReadFault> {
    Ok(Tenant { id: TenantId(row.id(0)?), name: row.text(1)?.to_owned() })
}

/// The columns of a token, in the order that [`token`] reads them in.
macro_rules! token_columns {
    () => {
        "id, tenant_id, name, hash, scopes, created_at, expires_at, prefix, last_used_at, revoked_at"
    };
}

pub(crate) use token_columns;

/// Reads the [`token_columns`].
pub(crate) fn token(row: &impl Columns) -> Result<Token, ReadFault> {
    Ok(Token {
        id: TokenId(row.id(0)?),
        tenant: TenantId(row.id(1)?),
        name: row.text(2)?.to_owned(),
        hash: content_hash(row.bytes(3)?)?.0,
        scopes: from_json(row.text(4)?, "a token's scopes")?,
        created_at: row.time(5)?,
        expires_at: row.maybe_time(6)?,
        prefix: row.maybe_text(7)?.map(str::to_owned),
        last_used_at: row.maybe_time(8)?,
        revoked_at: row.maybe_time(9)?,
    })
}

/// Reads a tenant and its bounds, in the order of `record::quota_columns`.
pub(crate) fn quotas(row: &impl Columns) -> Result<(TenantId, Quotas), ReadFault> {
    let bound = |column| -> Result<Option<u64>, ReadFault> {
        Ok(row.maybe_number(column)?.map(unsigned).transpose()?)
    };
    let narrow = |bound: Option<u64>| bound.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let quotas = Quotas {
        runs_per_minute: narrow(bound(1)?),
        concurrent_runs: bound(2)?,
        storage_bytes: bound(3)?,
        connections: narrow(bound(4)?),
    };
    Ok((TenantId(row.id(0)?), quotas))
}

/// Reads a tenant and how much it has of something.
pub(crate) fn counted(row: &impl Columns) -> Result<(TenantId, u64), ReadFault> {
    Ok((TenantId(row.id(0)?), unsigned(row.number(1)?)?))
}
