//! Packs of texts: appended, and deleted with the run or event that they were written for.

use std::ops::Range;

use sqlx::PgConnection;

use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::record::Pack;

/// Numbers in a block.
const BLOCK: i64 = 1024;

/// Numbers for packs. A writer takes them from the database in blocks, so that it need not ask for
/// each; what it does not use is lost.
#[derive(Debug, Default)]
pub(in crate::postgres) struct Numbers {
    left: Range<i64>,
}

impl Numbers {
    /// So many of them.
    async fn take(&mut self, tx: &mut TenantTx<'_>, count: usize) -> Result<Vec<i64>, Fault> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            if self.left.is_empty() {
                let block: i64 =
                    sqlx::query_scalar("SELECT nextval('pack_block')").fetch_one(tx.sql()).await?;
                self.left = block * BLOCK..(block + 1) * BLOCK;
            }
            taken.extend(self.left.by_ref().take(count - taken.len()));
        }
        Ok(taken)
    }
}

/// Lets the blocks begin after this number, which another database has given.
pub(crate) async fn number_after(sql: &mut PgConnection, last: i64) -> Result<(), Fault> {
    let block = last / BLOCK;
    // The first block is 1, so that numbers below it are given by nobody.
    if block > 0 {
        sqlx::query("SELECT setval('pack_block', $1)").bind(block).execute(sql).await?;
    }
    Ok(())
}

/// The numbers of the packs of one write, in its order.
#[derive(Debug, Clone, Default)]
pub(in crate::postgres) struct Numbered(Vec<i64>);

impl Numbered {
    /// The number of one of them, as a row's column.
    pub(super) fn of(&self, pack: Option<usize>) -> Result<Option<i64>, Fault> {
        let missing = || Fault::Refused("a text is in none of the write's packs".to_owned());
        pack.map(|pack| self.0.get(pack).copied().ok_or_else(missing)).transpose()
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<i64> {
        self.0.last().copied()
    }
}

/// Packs of one write, and the last that the run had before it.
pub(super) struct Packs<'a> {
    pub(super) packs: &'a [Pack],
    pub(super) before: Option<i64>,
}

/// Gives numbers to the packs of several writes.
pub(super) async fn number(
    tx: &mut TenantTx<'_>,
    numbers: &mut Numbers,
    counts: impl Iterator<Item = usize>,
) -> Result<Vec<Numbered>, Fault> {
    let counts: Vec<usize> = counts.collect();
    let mut taken = numbers.take(tx, counts.iter().sum()).await?.into_iter();
    Ok(counts.into_iter().map(|count| Numbered(taken.by_ref().take(count).collect())).collect())
}

/// Appends the packs of several writes under their numbers.
pub(super) async fn insert(
    tx: &mut TenantTx<'_>,
    writes: &[(Packs<'_>, &Numbered)],
) -> Result<(), Fault> {
    let (mut ids, mut befores) = (Vec::new(), Vec::new());
    let (mut encodings, mut bytes) = (Vec::new(), Vec::new());
    for (packs, numbered) in writes {
        let mut before = packs.before;
        for (pack, id) in packs.packs.iter().zip(&numbered.0) {
            ids.push(*id);
            befores.push(before);
            encodings.push(pack.encoding as i16);
            bytes.push(pack.bytes.as_slice());
            before = Some(*id);
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO pack (tenant_id, id, before, encoding, bytes)
         SELECT $1, id, before, encoding, bytes
         FROM UNNEST($2::bigint[], $3::bigint[], $4::smallint[], $5::bytea[])
           AS u (id, before, encoding, bytes)",
    )
    .bind(tx.tenant().0)
    .bind(ids)
    .bind(befores)
    .bind(encodings)
    .bind(bytes)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Deletes packs and those before them.
pub(in crate::postgres) async fn delete(
    tx: &mut TenantTx<'_>,
    mut last: Vec<i64>,
) -> Result<(), Fault> {
    while !last.is_empty() {
        let before: Vec<Option<i64>> = sqlx::query_scalar(
            "DELETE FROM pack WHERE tenant_id = $1 AND id = ANY($2) RETURNING before",
        )
        .bind(tx.tenant().0)
        .bind(&last)
        .fetch_all(tx.sql())
        .await?;
        last = before.into_iter().flatten().collect();
    }
    Ok(())
}
