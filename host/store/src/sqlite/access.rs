//! Tenants, tokens and quotas.

use async_trait::async_trait;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{TenantId, TokenId};
use tombolo_core::ports::store::{
    Access, QuotaChange, StoreError, Tenant, Token, TokenPage, TokenUse,
};
use tombolo_core::quota::Quotas;

use super::SqliteStore;
use super::ids::id_bytes;
use crate::group::{Command, Rare, Revoke, SetQuotas};
use crate::rows::{self, token_columns};

/// Narrower than the table by the texts: see the index `payload_size`.
const STORAGE: &str =
    "SELECT tenant_id, sum(length(bytes)) FROM payload WHERE tenant_id = ?1 GROUP BY tenant_id";

/// By the index of whose turn it is.
const OPEN_RUNS: &str = "SELECT ?1, count(*) FROM (
       SELECT 1 FROM queue WHERE priority IN (0, 1, 2) AND tenant_id = ?1 LIMIT ?2)";

#[async_trait]
impl Access for SqliteStore {
    async fn ensure_tenant(&self, tenant: Tenant, now: Timestamp) -> Result<Tenant, StoreError> {
        self.writes
            .write((tenant, now), |pending| Command::Rare(Box::new(Rare::Tenant(pending))))
            .await
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, StoreError> {
        let query = sqlx::query("SELECT id, name FROM tenant WHERE name = ?").bind(name.to_owned());
        self.read_one(query, rows::tenant).await
    }

    async fn tenants(&self, after: Option<&str>, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        // No name is empty.
        let query = sqlx::query("SELECT id, name FROM tenant WHERE name > ? ORDER BY name LIMIT ?")
            .bind(after.unwrap_or_default().to_owned())
            .bind(limit);
        self.read_all(query, rows::tenant).await
    }

    async fn put_token(&self, token: Token, audit: Option<AuditEntry>) -> Result<(), StoreError> {
        self.writes
            .write((token, audit), |pending| Command::Rare(Box::new(Rare::Token(pending))))
            .await
    }

    async fn token(&self, hash: [u8; 32]) -> Result<Option<Token>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", token_columns!(), " FROM token WHERE hash = ?"))
            .bind(hash.to_vec());
        self.read_one(query, rows::token).await
    }

    async fn tokens(&self, tenant: TenantId, page: TokenPage) -> Result<Vec<Token>, StoreError> {
        // Ids are UUIDs of version 7: they sort by time.
        let before = page.before.map_or_else(|| vec![0xff; 17], |before| id_bytes(before.0));
        let query = sqlx::query(concat!(
            "SELECT ",
            token_columns!(),
            " FROM token WHERE tenant_id = ? AND id < ? ORDER BY id DESC LIMIT ?"
        ))
        .bind(id_bytes(tenant.0))
        .bind(before)
        .bind(page.limit);
        self.read_all(query, rows::token).await
    }

    async fn revoke_token(
        &self,
        tenant: TenantId,
        wanted: TokenId,
        audit: AuditEntry,
    ) -> Result<Option<Token>, StoreError> {
        let revoke = Revoke { tenant, token: wanted, audit };
        let found = self
            .writes
            .write(revoke, |pending| Command::Rare(Box::new(Rare::Revoke(pending))))
            .await?;
        if !found {
            return Ok(None);
        }
        let query = sqlx::query(concat!(
            "SELECT ",
            token_columns!(),
            " FROM token WHERE tenant_id = ? AND id = ?"
        ))
        .bind(id_bytes(tenant.0))
        .bind(id_bytes(wanted.0));
        self.read_one(query, rows::token).await
    }

    async fn touch_tokens(&self, uses: Vec<TokenUse>) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        self.writes.write(uses, |pending| Command::Rare(Box::new(Rare::Touch(pending)))).await
    }

    async fn set_quotas(
        &self,
        tenant: TenantId,
        change: QuotaChange,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        let change = SetQuotas { tenant, change, audit };
        self.writes.write(change, |pending| Command::Rare(Box::new(Rare::Quotas(pending)))).await
    }

    async fn quotas(&self) -> Result<Vec<(TenantId, Quotas)>, StoreError> {
        let query = sqlx::query(
            "SELECT tenant_id, runs_per_minute, concurrent_runs, storage_bytes, connections
             FROM quota ORDER BY tenant_id",
        );
        self.read_all(query, rows::quotas).await
    }

    async fn open_runs(&self, of: &[(TenantId, u64)]) -> Result<Vec<(TenantId, u64)>, StoreError> {
        let mut counted = Vec::with_capacity(of.len());
        for (tenant, most) in of {
            let most = i64::try_from(*most).unwrap_or(i64::MAX);
            let query = sqlx::query(OPEN_RUNS).bind(id_bytes(tenant.0)).bind(most);
            counted.extend(self.read_all(query, rows::counted).await?);
        }
        counted.retain(|(_, runs)| *runs > 0);
        Ok(counted)
    }

    async fn storage_bytes(&self, of: &[TenantId]) -> Result<Vec<(TenantId, u64)>, StoreError> {
        let mut counted = Vec::with_capacity(of.len());
        for tenant in of {
            let query = sqlx::query(STORAGE).bind(id_bytes(tenant.0));
            counted.extend(self.read_all(query, rows::counted).await?);
        }
        Ok(counted)
    }

    async fn record(&self, tenant: TenantId, entry: AuditEntry) -> Result<(), StoreError> {
        self.writes
            .write((tenant, entry), |pending| Command::Rare(Box::new(Rare::Record(pending))))
            .await
    }
}

#[cfg(test)]
mod tests {
    use crate::sqlite::plans::{database, explain};

    #[test]
    fn what_is_stored_is_counted_without_the_texts() {
        let plan = explain(&database(), super::STORAGE);
        assert_eq!(plan, ["SEARCH payload USING COVERING INDEX payload_size (tenant_id=?)"]);
    }

    #[test]
    fn open_runs_are_counted_without_those_of_others() {
        let plan = explain(&database(), super::OPEN_RUNS).join("\n");
        let expected = "SEARCH queue USING COVERING INDEX queue_turn (priority=? AND tenant_id=?)";
        assert!(plan.contains(expected) && !plan.contains("SCAN queue"), "{plan}");
    }

    #[test]
    fn a_page_of_tokens_does_not_pass_over_other_tenants() {
        let query =
            "SELECT name FROM token WHERE tenant_id = x'01' AND id < x'02' ORDER BY id DESC";
        let plan = explain(&database(), query).join("\n");
        assert!(plan.contains("(tenant_id=? AND id<?)") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
