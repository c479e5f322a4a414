//! Writes that are few: plugins, workflows, taking over leases. Others have a file of
//! their own.

use rusqlite::{Connection as Sqlite, OptionalExtension, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::WorkflowId;
use tombolo_core::ports::store::{Added, Applied, NewVersion};
use uuid::Uuid;

use super::{
    access, audit, claim, connection, forget, letter, loose, open, pause, payload, set_back,
    signal, vacuum,
};
use crate::group::Rare;
use crate::record::{
    LiveVersion, PluginItem, applied_entry, content_hash, from_json, id, to_json, unsigned,
};
use crate::sqlite::error::Fault;

/// Writes one of them.
pub(super) fn apply(sqlite: &Sqlite, write: &mut Rare) -> Result<(), Fault> {
    match write {
        Rare::Probe(pending) => pending.set(Ok(())),
        Rare::GiveBack(pending) => pending.set(Ok(claim::give_back(sqlite, &pending.ask)?)),
        Rare::TakeOver(pending) => pending.set(Ok(take_over(sqlite, pending.ask)?)),
        Rare::SetBack(pending) => pending.set(Ok(set_back::apply(sqlite, pending.ask)?)),
        Rare::Open(pending) => pending.set(Ok(open::apply(sqlite, &pending.ask)?)),
        Rare::Signal(pending) => pending.set(Ok(signal::keep(sqlite, &pending.ask)?)),
        Rare::Tenant(pending) => {
            let (tenant, now) = &pending.ask;
            let outcome = access::ensure_tenant(sqlite, tenant, *now)?;
            pending.set(Ok(outcome));
        }
        Rare::Token(pending) => {
            let (token, entry) = &pending.ask;
            access::put_token(sqlite, token, entry.as_ref())?;
            pending.set(Ok(()));
        }
        Rare::Revoke(pending) => pending.set(Ok(access::revoke(sqlite, &pending.ask)?)),
        Rare::Touch(pending) => pending.set(Ok(access::touch(sqlite, &pending.ask)?)),
        Rare::Quotas(pending) => pending.set(Ok(access::set_quotas(sqlite, &pending.ask)?)),
        Rare::Plugin(pending) => pending.set(Ok(add_plugin(sqlite, &pending.ask)?)),
        Rare::Workflow(pending) => pending.set(Ok(apply_workflow(sqlite, &pending.ask)?)),
        Rare::Connection(pending) => {
            let (connection, entry) = &pending.ask;
            connection::put(sqlite, connection, entry.as_ref())?;
            pending.set(Ok(()));
        }
        Rare::Resume(pending) => pending.set(Ok(pause::end(sqlite, &pending.ask)?)),
        Rare::Discard(pending) => pending.set(Ok(letter::discard(sqlite, &pending.ask)?)),
        Rare::Record(pending) => {
            let (tenant, entry) = &pending.ask;
            audit::append(sqlite, *tenant, [entry])?;
            pending.set(Ok(()));
        }
        Rare::Forget(pending) => pending.set(Ok(forget::runs(sqlite, &pending.ask)?)),
        Rare::LooseEvents(pending) => pending.set(Ok(loose::events(sqlite, &pending.ask)?)),
        Rare::Waits(pending) => pending.set(Ok(loose::waits(sqlite, &pending.ask)?)),
        Rare::Sweep(pending) => pending.set(Ok(forget::payloads(sqlite, &pending.ask)?)),
        Rare::Vacuum(pending) => pending.set(Ok(vacuum::apply(sqlite, pending.ask)?)),
    }
    Ok(())
}

/// The owner stays until the next claim, whose epoch fences it.
fn take_over(sqlite: &Sqlite, now: Timestamp) -> Result<u64, Fault> {
    let due = sqlite.execute(
        "UPDATE queue SET available_at = min(available_at, ?) WHERE lease_owner IS NOT NULL",
        [now.0],
    )?;
    // It may have died before its clock was set back.
    if let Some(latest) = set_back::latest_known(sqlite)? {
        set_back::apply(sqlite, (latest, now))?;
    }
    Ok(due as u64)
}

fn add_plugin(sqlite: &Sqlite, item: &PluginItem) -> Result<Added, Fault> {
    let PluginItem { plugin, payload } = item;
    let (name, version) = (&plugin.descriptor.name, &plugin.descriptor.version);
    let tenant = id(&plugin.tenant.0);
    let taken: Option<Vec<u8>> = sqlite
        .query_row(
            "SELECT hash FROM plugin
             WHERE tenant_id = ?1 AND (hash = ?2 OR (name = ?3 AND version = ?4))
             ORDER BY hash <> ?2 LIMIT 1",
            params![tenant, plugin.hash.0.as_slice(), name, version],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(taken) = taken {
        let by = content_hash(&taken)?;
        return Ok(if by == plugin.hash { Added::Same } else { Added::VersionTaken { by } });
    }
    payload::store(sqlite, payload)?;
    sqlite.execute(
        "INSERT INTO plugin (tenant_id, hash, name, version, descriptor, size, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            tenant,
            plugin.hash.0.as_slice(),
            name,
            version,
            to_json(&plugin.descriptor),
            i64::try_from(plugin.component.len()).unwrap_or(i64::MAX),
            plugin.now.0,
        ],
    )?;
    audit::append(sqlite, plugin.tenant, &plugin.audit)?;
    Ok(Added::New)
}

fn live_version(sqlite: &Sqlite, new: &NewVersion) -> Result<Option<LiveVersion>, Fault> {
    let row = sqlite
        .query_row(
            "SELECT w.id, v.version, v.definition, v.pins FROM workflow w
             JOIN workflow_version v ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id
               AND v.version = w.live_version
             WHERE w.tenant_id = ? AND w.name = ?",
            params![id(&new.tenant.0), new.name],
            |row| {
                let pins: String = row.get(3)?;
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, pins))
            },
        )
        .optional()?;
    row.map(|(id, version, definition, pins)| {
        Ok(LiveVersion {
            id: WorkflowId(Uuid::from_bytes(id)),
            version,
            definition,
            pins: from_json(&pins, "a version's pins")?,
        })
    })
    .transpose()
}

fn apply_workflow(sqlite: &Sqlite, new: &NewVersion) -> Result<Applied, Fault> {
    let tenant = id(&new.tenant.0);
    let Some(live) = live_version(sqlite, new)? else {
        sqlite.execute(
            "INSERT INTO workflow (tenant_id, id, name, live_version) VALUES (?, ?, ?, 1)",
            params![tenant, id(&new.id.0), new.name],
        )?;
        insert_version(sqlite, new, new.id, 1)?;
        audit::append(sqlite, new.tenant, &applied_entry(new, None, 1))?;
        return Ok(Applied::Created { id: new.id, version: 1 });
    };
    let workflow = live.id;
    if live.is(new) {
        return Ok(Applied::Unchanged { id: workflow, version: live.version });
    }
    let last: i64 = sqlite.query_row(
        "SELECT max(version) FROM workflow_version WHERE tenant_id = ? AND workflow_id = ?",
        [tenant, id(&workflow.0)],
        |row| row.get(0),
    )?;
    let version = unsigned::<u32>(last)?.saturating_add(1);
    insert_version(sqlite, new, workflow, version)?;
    sqlite.execute(
        "UPDATE workflow SET live_version = ? WHERE tenant_id = ? AND id = ?",
        params![version, tenant, id(&workflow.0)],
    )?;
    audit::append(sqlite, new.tenant, &applied_entry(new, Some(&live), version))?;
    Ok(Applied::Created { id: workflow, version })
}

fn insert_version(
    sqlite: &Sqlite,
    new: &NewVersion,
    workflow: WorkflowId,
    version: u32,
) -> Result<(), Fault> {
    sqlite.execute(
        "INSERT INTO workflow_version
           (tenant_id, workflow_id, version, definition, pins, created_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![
            id(&new.tenant.0),
            id(&workflow.0),
            version,
            new.definition.text(),
            to_json(&new.pins),
            new.now.0,
        ],
    )?;
    Ok(())
}
