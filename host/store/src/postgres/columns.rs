//! Columns of a row of PostgreSQL.

use sqlx::postgres::PgRow;
use sqlx::{Row, TypeInfo, ValueRef};
use uuid::Uuid;

use super::any;
use crate::record::Column;
use crate::rows::{Columns, ReadFault};

impl Columns for PgRow {
    fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, ReadFault> {
        Ok(self.try_get(column)?)
    }

    fn maybe_number(&self, column: usize) -> Result<Option<i64>, ReadFault> {
        let value = self.try_get_raw(column)?;
        if value.is_null() {
            return Ok(None);
        }
        let value_type = value.type_info();
        Ok(Some(match value_type.name() {
            "INT2" => self.try_get::<i16, _>(column)?.into(),
            "INT4" => self.try_get::<i32, _>(column)?.into(),
            _ => self.try_get(column)?,
        }))
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
        match self.maybe_bytes(column)? {
            Some(bytes) => Ok(any::read(bytes)?),
            None => Ok(Column::Null),
        }
    }
}
