//! Makes operations: from a seed, and from what SQLite answered to those before.

mod accept;
mod catalog;
mod leases;
mod reads;
mod settle;
mod texts;

use tombolo_core::id::{TenantId, WorkflowId};
use tombolo_core::ports::store::Tenant;

use crate::memory::Memory;
use crate::op::{Op, Write};

/// Tenants of a history.
const TENANTS: usize = 3;

/// What every history begins with: tenants, each with a workflow of its own. None if it has begun.
pub fn beginning(memory: &mut Memory) -> Option<Op> {
    if memory.tenants.len() < TENANTS {
        let id = TenantId(memory.id());
        let name = format!("first-{}", memory.tenants.len());
        return Some(Op::Write(Write::EnsureTenant(Tenant { id, name }, memory.now)));
    }
    let without = |tenant: &&TenantId| memory.flows.iter().all(|flow| flow.tenant != **tenant);
    let tenant = *memory.tenants.iter().find(without)?;
    let id = WorkflowId(memory.id());
    Some(Op::Write(catalog::version(memory, id, tenant)))
}

/// The next operation.
pub fn op(memory: &mut Memory) -> Op {
    if let Some(op) = beginning(memory) {
        return op;
    }
    memory.pass();
    if memory.dice.percent(30) {
        return Op::Read(reads::read(memory));
    }
    let live = memory.runs.iter().filter(|run| !run.ended).count();
    // Of many that go on, some are to end first.
    let accepts = if live > 120 { 4 } else { 20 };
    let held = memory.runs.iter().filter(|run| run.held).count();
    let claims = if held > 40 { 4 } else { 12 };
    Op::Write(match memory.dice.weighted(&[accepts, claims, 34, 3, 3, 6, 5, 3, 9]) {
        0 => Write::Accept(accept::batch(memory)),
        1 => leases::claim(memory),
        2 => match settle::settle(memory) {
            Some(settle) => Write::Settle(Box::new(settle)),
            None => leases::claim(memory),
        },
        3 => leases::renew(memory),
        4 => leases::cancel(memory),
        5 => leases::signal(memory),
        6 => leases::open(memory),
        7 => catalog::housekeeping(memory),
        _ => rare(memory),
    })
}

fn rare(memory: &mut Memory) -> Write {
    match memory.dice.weighted(&[20, 16, 14, 10, 8, 8, 3, 6, 3, 2]) {
        0 => catalog::put_connection(memory),
        1 => catalog::resume(memory),
        2 => leases::discard(memory),
        3 => catalog::apply_workflow(memory),
        4 => catalog::add_plugin(memory),
        5 => catalog::record(memory),
        6 => catalog::put_token(memory),
        7 => leases::set_back(memory),
        8 => leases::take_over(memory),
        _ => catalog::ensure_tenant(memory),
    }
}
