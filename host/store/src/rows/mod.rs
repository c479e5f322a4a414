//! Rows as types of the port, the same for every database: which columns a row has to have, and how
//! they are read. Never talks to a database: its folder fetches the rows.

mod access;
mod audit;
mod below;
mod body;
mod catalog;
mod claimed;
mod columns;
mod connection;
mod journal;
mod letter;
mod packs;
mod run;
mod signal;
mod state;
mod step;
mod view;

pub(crate) use access::{counted, quotas, tenant, token, token_columns};
pub(crate) use audit::{
    audit_after, audit_columns, audit_end, audit_entry, audit_leaf, audit_stored,
};
pub(crate) use below::{Below, below};
pub(crate) use body::{BODY, BODY_PACK};
pub(crate) use catalog::{component, plugin, version, versions};
pub(crate) use claimed::{Fetched, leases};
pub(crate) use columns::{Columns, ReadFault};
pub(crate) use connection::{connection, connections};
pub(crate) use journal::{journal_columns, journaled};
pub(crate) use letter::{letter, letter_columns};
pub(crate) use packs::{Packs, numbers};
pub(crate) use run::{
    RUN_PACKS, RUN_WITH_EVENT, event_payload, loaded, output_columns, output_payload,
    payload_columns, run_columns, run_with_event, summary,
};
pub(crate) use signal::{signal, signals};
pub(crate) use state::node_state;
pub(crate) use step::{STEP_PACK, step, step_columns, step_payloads};
pub(crate) use view::{CALL_PACK, EVENT_PACK, call, call_columns, event_columns, event_view};
