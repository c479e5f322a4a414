//! Transactions that are begun again where they met another one.
//!
//! Macros and no functions: a function would take the statements as a closure that gives a future,
//! and the compiler does not see that such a future can be sent to another thread.

/// Tries of a transaction that meets others.
pub(super) const MEETINGS: u32 = 20;

/// Writes something of one tenant: `write_tenant!(store, tenant, |tx| statements(tx, ..))`.
macro_rules! write_tenant {
    ($store:expr, $tenant:expr, |$tx:ident| $statements:expr) => {{
        let tenant: tombolo_core::id::TenantId = $tenant;
        $crate::postgres::retried::again!({
            let pool = &$store.pool;
            let kind = $crate::postgres::scope::Kind::Write;
            let mut tx = $crate::postgres::scope::Tx::of_tenant(pool, kind, tenant).await?;
            let $tx = &mut tx.began_as(tenant);
            let answer = $statements.await?;
            tx.commit().await?;
            Ok(answer)
        })
    }};
}

/// Writes something of the host's: `write_host!(store, |tx| statements(tx, ..))`.
macro_rules! write_host {
    ($store:expr, |$tx:ident| $statements:expr) => {
        $crate::postgres::retried::again!({
            let pool = &$store.pool;
            let kind = $crate::postgres::scope::Kind::Write;
            let mut tx = $crate::postgres::scope::Tx::of_host(pool, kind).await?;
            let $tx = &mut tx.began_as_host();
            let answer = $statements.await?;
            tx.commit().await?;
            Ok(answer)
        })
    };
}

/// Does something again as long as it meets another transaction.
macro_rules! again {
    ($transaction:block) => {{
        let mut meetings = 0;
        loop {
            let written: Result<_, $crate::postgres::error::Fault> = async $transaction.await;
            match written {
                Err(fault)
                    if fault.may_go_again()
                        && meetings < $crate::postgres::retried::MEETINGS =>
                {
                    meetings += 1;
                }
                other => break other.map_err(tombolo_core::ports::store::StoreError::from),
            }
        }
    }};
}

pub(super) use {again, write_host, write_tenant};
