//! The catalog, who may, and housekeeping.

use bytes::Bytes;
use serde_json::json;
use tombolo_core::id::{ConnectionId, ContentHash, TenantId, TokenId, WorkflowId};
use tombolo_core::ports::egress::{Auth, CallLimits, Connection, Paused};
use tombolo_core::ports::store::{NewPlugin, NewVersion, Scope, Tenant, Token};
use tombolo_core::secret::Sealed;
use tombolo_store::INLINE_LIMIT_BYTES;

use super::{settle, texts};
use crate::dice::Dice;
use crate::memory::Memory;
use crate::op::Write;

pub fn connection_name(dice: &mut Dice) -> String {
    texts::name(dice, "crm", 5)
}

pub fn tenant_name(dice: &mut Dice) -> String {
    texts::name(dice, "tenant", 3)
}

pub fn put_connection(memory: &mut Memory) -> Write {
    let id = ConnectionId(memory.id());
    let (tenant, updated_at) = (memory.tenant(), memory.now);
    let dice = &mut memory.dice;
    let sealed = |dice: &mut Dice| Sealed(texts::hash(dice)[..dice.below(32)].to_vec());
    let auth = match dice.below(5) {
        0 => Auth::None,
        1 => Auth::Bearer { token: sealed(dice) },
        2 => Auth::Basic { user: texts::sentence(dice), password: sealed(dice) },
        3 => Auth::Header { name: "x-key".to_owned(), value: sealed(dice) },
        _ => Auth::Query { name: "key".to_owned(), value: sealed(dice) },
    };
    Write::PutConnection(Box::new(Connection {
        id,
        tenant,
        name: connection_name(dice),
        base_url: dice.maybe(70, |_| "https://api.example.com".to_owned()),
        auth,
        signing: dice.maybe(40, sealed),
        allowed_hosts: dice.few(2, |dice| texts::name(dice, "host", 5)),
        limits: CallLimits { total_timeout_ms: dice.below(99) as u64, ..CallLimits::default() },
        updated_at,
        paused: dice.maybe(20, |_| Paused { at: updated_at, reason: "never kept".to_owned() }),
    }))
}

pub fn resume(memory: &mut Memory) -> Write {
    let (tenant, now) = (memory.tenant(), memory.now);
    let name = connection_name(&mut memory.dice);
    Write::Resume(tenant, name, now, settle::audit(&mut memory.dice, now))
}

/// A new workflow, a new version, or the live one again.
pub fn apply_workflow(memory: &mut Memory) -> Write {
    let (id, tenant) = (WorkflowId(memory.id()), memory.tenant());
    version(memory, id, tenant)
}

pub fn version(memory: &mut Memory, id: WorkflowId, tenant: TenantId) -> Write {
    let dice = &mut memory.dice;
    let pin =
        |dice: &mut Dice| (texts::name(dice, "plugin", 2), ContentHash::of(&[dice.below(2) as u8]));
    let version = NewVersion {
        tenant,
        id,
        name: texts::name(dice, "flow", 4),
        definition: json!({ "n": dice.below(3), "null": "\0" }).into(),
        pins: dice.few(2, pin).into_iter().collect(),
        now: memory.now,
        audit: None,
    };
    Write::ApplyWorkflow(version)
}

pub fn add_plugin(memory: &mut Memory) -> Write {
    let (tenant, now) = (memory.tenant(), memory.now);
    let dice = &mut memory.dice;
    let length = if dice.percent(50) { 3 } else { 2 * INLINE_LIMIT_BYTES };
    let component = vec![dice.below(9) as u8; length];
    let descriptor = json!({
        "contract": "1.0", "name": texts::name(dice, "plugin", 4), "version": dice.below(3).to_string(),
        "summary": texts::sentence(dice), "world": "connector",
        "operations": [{ "name": "get", "effect": "read", "params": {}, "output": {} }],
    });
    let hash = ContentHash::of(&component);
    memory.components.push(hash);
    Write::AddPlugin(NewPlugin {
        tenant,
        hash,
        component: Bytes::from(component),
        descriptor: serde_json::from_value(descriptor).unwrap(),
        now,
        audit: None,
    })
}

pub fn put_token(memory: &mut Memory) -> Write {
    let (id, tenant, created_at) = (TokenId(memory.id()), memory.tenant(), memory.now);
    let expires_at = memory.after(memory.tokens.len() as i64);
    let dice = &mut memory.dice;
    // A token of another tenant has another hash.
    let known: Vec<_> = memory.tokens.iter().filter(|(of, _)| *of == tenant).collect();
    let hash = match dice.any(&known) {
        Some((_, known)) if dice.percent(10) => *known,
        _ => texts::hash(dice),
    };
    let scopes = Scope::ALL.into_iter().filter(|_| dice.percent(40)).collect();
    let token = Token {
        id,
        tenant,
        name: texts::sentence(dice),
        hash,
        scopes,
        created_at,
        expires_at: dice.percent(50).then_some(expires_at),
        prefix: dice.percent(50).then(|| texts::sentence(dice)),
        last_used_at: None,
        revoked_at: None,
    };
    memory.tokens.push((tenant, hash));
    Write::PutToken(token)
}

pub fn ensure_tenant(memory: &mut Memory) -> Write {
    let id = TenantId(memory.id());
    Write::EnsureTenant(Tenant { id, name: tenant_name(&mut memory.dice) }, memory.now)
}

pub fn record(memory: &mut Memory) -> Write {
    let tenant = memory.tenant();
    Write::Record(tenant, settle::audit(&mut memory.dice, memory.now))
}

pub fn housekeeping(memory: &mut Memory) -> Write {
    let age = memory.dice.within(0..120_000);
    let before = memory.after(-age);
    let limit = 1 + memory.dice.below(60) as u32;
    match memory.dice.weighted(&[50, 15, 10, 25]) {
        0 => {
            let tenant = memory.tenant();
            Write::Forget((tenant, memory.flow_of(tenant).id), before, limit)
        }
        1 => Write::ForgetEvents(before, 1_000),
        2 => Write::ForgetWaits(1_000),
        _ => Write::Sweep(memory.sweep.clone(), limit),
    }
}
