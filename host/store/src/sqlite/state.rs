//! State of nodes: compare and set, committed with the step's result or not at all.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection};
use tombolo_core::ports::store::StoreError;

use super::bulk::{Bulk, Part, insert};
use super::error::Fault;
use crate::group::Pending;
use crate::record::{SettleItem, StateKey, unsigned};

static VERSIONS: Bulk = Bulk::new(&[Part::list(
    "WITH v (n, tenant_id, workflow_id, node, key) AS (",
    5,
    ") SELECT v.n, s.version FROM v CROSS JOIN state s ON s.tenant_id = v.tenant_id
         AND s.workflow_id = v.workflow_id AND s.node = v.node AND s.key = v.key",
)]);

static CHANGED: Bulk = Bulk::new(&[insert!(
    "state (tenant_id, workflow_id, node, key, version, value)",
    6,
    "ON CONFLICT (tenant_id, workflow_id, node, key)
       DO UPDATE SET version = excluded.version, value = excluded.value"
)]);

/// The entries that the settles of a batch want to change: versions as stored, then as changed by
/// the settles that passed.
#[derive(Default)]
pub(super) struct States {
    entries: HashMap<StateKey, Entry>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    version: u64,
    value: Option<String>,
}

impl States {
    /// Reads the versions of all entries that the batch wants to change; none means 0.
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        settles: &[Pending<Box<SettleItem>, ()>],
    ) -> Result<Self, Fault> {
        let mut keys: Vec<StateKey> =
            settles.iter().flat_map(|pending| keys(&pending.ask)).collect();
        keys.sort_unstable_by(|a, b| (&a.node, &a.key).cmp(&(&b.node, &b.key)));
        keys.dedup();
        let numbered: Vec<_> = keys.iter().enumerate().collect();
        let rows = VERSIONS
            .run(connection, &numbered, |_, args, (n, key)| {
                args.number(*n as i64)
                    .id(key.tenant.0)
                    .id(key.workflow.0)
                    .text(&key.node)
                    .text(&key.key);
            })
            .await?;
        let mut versions = vec![0; keys.len()];
        for row in &rows {
            let n: usize = unsigned(row.try_get(0)?)?;
            if let Some(version) = versions.get_mut(n) {
                *version = unsigned(row.try_get(1)?)?;
            }
        }
        let entry = |version| Entry { version, value: None };
        let entries = keys.into_iter().zip(versions.into_iter().map(entry)).collect();
        Ok(Self { entries })
    }

    /// Applies all changes of a settle, or none if one of them expected another version.
    pub(super) fn change(&mut self, item: &SettleItem) -> Result<(), StoreError> {
        let mut changed: HashMap<StateKey, Entry> = HashMap::new();
        for (key, change) in keys(item).zip(&item.state) {
            let now = changed.get(&key).or_else(|| self.entries.get(&key));
            let version = now.map_or(0, |entry| entry.version);
            if version != change.write.expected {
                return Err(StoreError::StateConflict { node: key.node, key: key.key });
            }
            let value = Some(change.write.value.text().to_owned());
            changed.insert(key, Entry { version: version + 1, value });
        }
        self.entries.extend(changed);
        Ok(())
    }

    /// Writes the entries that were changed.
    pub(super) async fn write(&self, connection: &mut SqliteConnection) -> Result<(), Fault> {
        let changed: Vec<(&StateKey, u64, &str)> = self
            .entries
            .iter()
            .filter_map(|(key, entry)| Some((key, entry.version, entry.value.as_deref()?)))
            .collect();
        CHANGED
            .run(connection, &changed, |_, args, (key, version, value)| {
                args.id(key.tenant.0)
                    .id(key.workflow.0)
                    .text(&key.node)
                    .text(&key.key)
                    .number(version.cast_signed())
                    .text(value);
            })
            .await?;
        Ok(())
    }
}

fn keys(item: &SettleItem) -> impl Iterator<Item = StateKey> {
    item.state.iter().map(|change| StateKey {
        tenant: item.tenant,
        workflow: item.workflow,
        node: change.node.clone(),
        key: change.write.key.clone(),
    })
}
