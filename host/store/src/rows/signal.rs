//! Rows of `signal`.

use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Signal, StepKey};

use super::body::body;
use super::{BODY, Columns, Packs, ReadFault};
use crate::record::{Damaged, unsigned};

/// The columns that [`signal`] reads, of a signal `g`, and its tables. No signal has a pack.
macro_rules! signals {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT g.run_id, g.tenant_id, g.node, g.item, g.body, g.body_hash, gp.bytes,
               gp.encoding, NULL, g.at FROM ",
            $from,
            " LEFT JOIN payload gp ON gp.hash = g.body_hash AND gp.tenant_id = g.tenant_id ",
            $rest
        )
    };
}

pub(crate) use signals;

/// Reads one.
pub(crate) fn signal(row: &impl Columns) -> Result<Signal, ReadFault> {
    let missing = || Damaged("a signal has no body".to_owned());
    Ok(Signal {
        run: RunId(row.id(0)?),
        tenant: TenantId(row.id(1)?),
        step: StepKey { node: row.text(2)?.to_owned(), item: unsigned(row.number(3)?)? },
        body: body(row, 4, &Packs::default(), "a signal's body")?.ok_or_else(missing)?,
        at: row.time(4 + BODY)?,
    })
}
