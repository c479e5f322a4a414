//! Rows of `connection`.

use tombolo_core::id::{ConnectionId, TenantId};
use tombolo_core::ports::egress::{Connection, Paused};
use tombolo_core::secret::Sealed;

use super::{Columns, ReadFault};
use crate::record::{auth_from_columns, from_json};

/// The columns that [`connection`] reads, and their table.
macro_rules! connections {
    ($rest:literal) => {
        concat!(
            "SELECT id, tenant_id, name, base_url, auth_kind, auth_name, auth_secret, signing,
               allowed_hosts, limits, updated_at, paused_at, paused_reason FROM connection ",
            $rest
        )
    };
}

pub(crate) use connections;

/// Reads one.
pub(crate) fn connection(row: &impl Columns) -> Result<Connection, ReadFault> {
    let name = row.maybe_text(5)?.map(str::to_owned);
    let secret = row.maybe_bytes(6)?.map(<[u8]>::to_vec);
    Ok(Connection {
        id: ConnectionId(row.id(0)?),
        tenant: TenantId(row.id(1)?),
        name: row.text(2)?.to_owned(),
        base_url: row.maybe_text(3)?.map(str::to_owned),
        auth: auth_from_columns(row.text(4)?, name, secret)?,
        signing: row.maybe_bytes(7)?.map(|sealed| Sealed(sealed.to_vec())),
        allowed_hosts: from_json(row.text(8)?, "a connection's hosts")?,
        limits: from_json(row.text(9)?, "a connection's limits")?,
        updated_at: row.time(10)?,
        paused: match row.maybe_time(11)? {
            Some(at) => Some(Paused { at, reason: row.text(12)?.to_owned() }),
            None => None,
        },
    })
}
