//! Rows of `pack`, and the texts of other rows that are in them.

use std::collections::{BTreeSet, HashMap};

use super::{Columns, ReadFault};
use crate::record::{Column, Damaged, Unpacked};

/// The packs of some rows, by number. What cannot be read is damage only to the rows that need it.
#[derive(Debug, Default)]
pub(crate) struct Packs(HashMap<i64, Result<Unpacked, Damaged>>);

/// The packs that these rows name in these columns.
pub(crate) fn numbers<R: Columns>(
    rows: &[R],
    columns: &[usize],
) -> Result<BTreeSet<i64>, ReadFault> {
    let mut numbers = BTreeSet::new();
    for row in rows {
        for column in columns {
            numbers.extend(row.maybe_number(*column)?);
        }
    }
    Ok(numbers)
}

impl Packs {
    /// Reads the number, the encoding and the bytes of each.
    pub(crate) fn read<R: Columns>(rows: &[R]) -> Result<Self, ReadFault> {
        let unpack = |row: &R| {
            let (number, stored) = (row.number(0)?, row.maybe_bytes(2)?.unwrap_or_default());
            let unpacked = Unpacked::new(row.number(1)?, stored);
            Ok((number, unpacked.map_err(|Damaged(why)| Damaged(format!("pack {number}: {why}")))))
        };
        Ok(Self(rows.iter().map(unpack).collect::<Result<_, ReadFault>>()?))
    }

    /// The text of a column, in the row itself or in the pack that the row names.
    pub(super) fn text<'a>(
        &'a self,
        row: &'a impl Columns,
        at: usize,
        pack: usize,
    ) -> Result<Option<&'a str>, ReadFault> {
        match row.any(at)? {
            Column::Null => Ok(None),
            Column::Text(text) => Ok(Some(text)),
            Column::Number(position) => {
                Ok(Some(self.find(row.maybe_number(pack)?)?.text(position)?))
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
