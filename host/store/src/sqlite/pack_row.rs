//! Rows of `pack`, and the texts of other rows that are in them.

use std::collections::{BTreeSet, HashMap};

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::error::Fault;
use super::row::{Column, bytes, column};
use crate::record::{Damaged, Unpacked};

/// The packs of some rows, by number. What cannot be read is damage only to the rows that need it.
#[derive(Debug, Default)]
pub(super) struct Packs(HashMap<i64, Result<Unpacked, Damaged>>);

impl Packs {
    /// Reads the packs that these rows name in these columns, each once.
    pub(super) async fn of(
        connection: &mut SqliteConnection,
        rows: &[SqliteRow],
        columns: &[usize],
    ) -> Result<Self, Fault> {
        let mut numbers = BTreeSet::new();
        for row in rows {
            for column in columns {
                numbers.extend(row.try_get::<Option<i64>, _>(*column)?);
            }
        }
        if numbers.is_empty() {
            return Ok(Self::default());
        }
        let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let rows = sqlx::query(
            "SELECT id, encoding, bytes FROM pack WHERE id IN (SELECT value FROM json_each(?))",
        )
        .bind(format!("[{}]", numbers.join(",")))
        .fetch_all(connection)
        .await?;
        let unpack = |row: &SqliteRow| {
            let (number, stored): (i64, _) = (row.try_get(0)?, bytes(row, 2)?.unwrap_or_default());
            let unpacked = Unpacked::new(row.try_get(1)?, stored);
            Ok((number, unpacked.map_err(|Damaged(why)| Damaged(format!("pack {number}: {why}")))))
        };
        Ok(Self(rows.iter().map(unpack).collect::<Result<_, Fault>>()?))
    }

    /// The text of a column, in the row itself or in the pack that the row names.
    pub(super) fn text<'a>(
        &'a self,
        row: &'a SqliteRow,
        at: usize,
        pack: usize,
    ) -> Result<Option<&'a str>, Fault> {
        match column(row, at)? {
            Column::Null => Ok(None),
            Column::Text(text) => Ok(Some(text)),
            Column::Number(position) => {
                let pack: Option<i64> = row.try_get(pack)?;
                Ok(Some(self.find(pack)?.text(position)?))
            }
            Column::Bytes(_) => Err(Damaged("bytes stand where a text should".to_owned()).into()),
        }
    }

    fn find(&self, pack: Option<i64>) -> Result<&Unpacked, Damaged> {
        let number = pack.ok_or_else(|| Damaged("a text is in no pack".to_owned()))?;
        match self.0.get(&number) {
            Some(unpacked) => unpacked.as_ref().map_err(Damaged::clone),
            None => Err(Damaged(format!("pack {number}, which holds a text, is missing"))),
        }
    }
}
