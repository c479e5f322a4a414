//! Single columns of a row, whichever database it is of.

use std::fmt;

use tombolo_core::clock::Timestamp;
use uuid::Uuid;

use crate::record::{Column, Damaged};

/// Why a row could not be read.
#[derive(Debug)]
pub(crate) enum ReadFault {
    /// The database gave something else than was asked for.
    Database(sqlx::Error),
    /// What was read makes no sense.
    Damaged(Damaged),
}

impl fmt::Display for ReadFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(formatter),
            Self::Damaged(damaged) => damaged.fmt(formatter),
        }
    }
}

impl From<sqlx::Error> for ReadFault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Damaged> for ReadFault {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

/// A row's columns, counted from 0. Those that are not `maybe` are damaged if there is no value.
pub(crate) trait Columns {
    /// An id, if there is one.
    fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, ReadFault>;

    /// A number of any size, if there is one.
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, ReadFault>;

    /// Text, if there is any.
    fn maybe_text(&self, column: usize) -> Result<Option<&str>, ReadFault>;

    /// Bytes, if there are any.
    fn maybe_bytes(&self, column: usize) -> Result<Option<&[u8]>, ReadFault>;

    /// True or false.
    fn flag(&self, column: usize) -> Result<bool, ReadFault>;

    /// A value of one of several types.
    fn any(&self, column: usize) -> Result<Column<'_>, ReadFault>;

    /// An id.
    fn id(&self, column: usize) -> Result<Uuid, ReadFault> {
        self.maybe_id(column)?.ok_or_else(|| missing("an id", column))
    }

    /// A number of any size.
    fn number(&self, column: usize) -> Result<i64, ReadFault> {
        self.maybe_number(column)?.ok_or_else(|| missing("a number", column))
    }

    /// Text.
    fn text(&self, column: usize) -> Result<&str, ReadFault> {
        self.maybe_text(column)?.ok_or_else(|| missing("a text", column))
    }

    /// Bytes.
    fn bytes(&self, column: usize) -> Result<&[u8], ReadFault> {
        self.maybe_bytes(column)?.ok_or_else(|| missing("bytes", column))
    }

    /// A time.
    fn time(&self, column: usize) -> Result<Timestamp, ReadFault> {
        self.number(column).map(Timestamp)
    }

    /// A time, if there is one.
    fn maybe_time(&self, column: usize) -> Result<Option<Timestamp>, ReadFault> {
        Ok(self.maybe_number(column)?.map(Timestamp))
    }
}

fn missing(what: &str, column: usize) -> ReadFault {
    Damaged(format!("{what} is missing in column {column}")).into()
}
