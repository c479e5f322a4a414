//! Columns of a row of SQLite.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, TypeInfo, ValueRef};
use uuid::Uuid;

use crate::record::{Column, Damaged};
use crate::rows::{Columns, ReadFault};

impl Columns for SqliteRow {
    fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, ReadFault> {
        let id = |bytes: &[u8]| {
            Uuid::from_slice(bytes)
                .map_err(|_| Damaged(format!("an id has {} bytes, not 16", bytes.len())).into())
        };
        self.maybe_bytes(column)?.map(id).transpose()
    }

    fn maybe_number(&self, column: usize) -> Result<Option<i64>, ReadFault> {
        Ok(self.try_get(column)?)
    }

    fn maybe_text(&self, column: usize) -> Result<Option<&str>, ReadFault> {
        Ok(self.try_get(column)?)
    }

    fn maybe_bytes(&self, column: usize) -> Result<Option<&[u8]>, ReadFault> {
        Ok(self.try_get(column)?)
    }

    fn flag(&self, column: usize) -> Result<bool, ReadFault> {
        Ok(self.try_get(column)?)
    }

    fn any(&self, column: usize) -> Result<Column<'_>, ReadFault> {
        let value = self.try_get_raw(column)?;
        if value.is_null() {
            return Ok(Column::Null);
        }
        let value_type = value.type_info();
        Ok(match value_type.name() {
            "INTEGER" => Column::Number(self.try_get(column)?),
            "TEXT" => Column::Text(self.try_get(column)?),
            "BLOB" => Column::Bytes(self.try_get(column)?),
            other => return Err(Damaged(format!("a value of type {other} is none of ours")).into()),
        })
    }
}
