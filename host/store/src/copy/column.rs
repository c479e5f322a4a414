//! Columns: what a value of SQLite becomes in PostgreSQL.

use rusqlite::Row;
use rusqlite::types::ValueRef;
use sqlx::postgres::Postgres;
use sqlx::query::Query;
use tombolo_core::id::TenantId;
use uuid::Uuid;

use crate::postgres::any;
use crate::postgres::text::text;
use crate::record::{Column as Any, Damaged, dedupe_hash};
use crate::sqlite::dedupe::stored_key;
use crate::sqlite::error::Fault;

/// A column of the target.
#[derive(Debug)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: &'static str,
    /// What becomes of a value.
    pub(super) kind: Kind,
    /// What is read from the source.
    pub(super) from: &'static str,
}

/// What becomes of a value. NULL stays NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 16 bytes: a UUID.
    Id,
    /// A number of any size.
    Number,
    /// A number of 16 bits.
    Small,
    /// 0 or 1: false or true.
    Flag,
    /// Text, as PostgreSQL can hold it.
    Text,
    /// Text: its bytes.
    Utf8,
    /// Bytes.
    Bytes,
    /// A number, text or bytes: with a first byte that says which.
    Any,
    /// The hash of the tenant, and of the source and the key of an event: of the two columns after it.
    KeyHash,
}

impl Column {
    /// A column that has the same name in both databases.
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, from: name }
    }

    /// The same, read from this expression.
    pub(super) const fn of(self, from: &'static str) -> Self {
        Self { from, ..self }
    }
}

/// Values of one column.
#[derive(Debug)]
pub(super) enum Values {
    Ids(Vec<Option<Uuid>>),
    Numbers(Vec<Option<i64>>),
    Small(Vec<Option<i16>>),
    Flags(Vec<Option<bool>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Values {
    /// None yet.
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Id => Self::Ids(Vec::new()),
            Kind::Number => Self::Numbers(Vec::new()),
            Kind::Small => Self::Small(Vec::new()),
            Kind::Flag => Self::Flags(Vec::new()),
            Kind::Text => Self::Texts(Vec::new()),
            Kind::Utf8 | Kind::Bytes | Kind::Any | Kind::KeyHash => Self::Bytes(Vec::new()),
        }
    }

    /// The type of an array of them.
    pub(super) fn array(&self) -> &'static str {
        match self {
            Self::Ids(_) => "uuid[]",
            Self::Numbers(_) => "bigint[]",
            Self::Small(_) => "smallint[]",
            Self::Flags(_) => "boolean[]",
            Self::Texts(_) => "text[]",
            Self::Bytes(_) => "bytea[]",
        }
    }

    /// Adds the value that stands in the row at this position, and gives its bytes.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        tenant: TenantId,
        (row, at): (&Row<'_>, usize),
    ) -> Result<usize, Fault> {
        if kind == Kind::KeyHash {
            let (source, key): (String, rusqlite::types::Value) =
                (row.get(at + 1)?, row.get(at + 2)?);
            let hash = dedupe_hash(tenant, &source, &stored_key(key)?);
            return self.push_bytes(Some(hash.to_vec()));
        }
        let value = row.get_ref(at)?;
        match self {
            Self::Ids(ids) => ids.push(id(value)?),
            Self::Numbers(numbers) => numbers.push(number(value)?),
            Self::Small(numbers) => {
                let small = |number| {
                    i16::try_from(number)
                        .map_err(|_| Damaged(format!("{number} is too large a number")))
                };
                numbers.push(number(value)?.map(small).transpose()?);
            }
            Self::Flags(flags) => flags.push(number(value)?.map(|number| number != 0)),
            Self::Texts(texts) => {
                let value = utf8(value)?.map(|value| text(value).into_owned());
                let bytes = value.as_ref().map_or(0, String::len);
                texts.push(value);
                return Ok(bytes);
            }
            Self::Bytes(_) => {
                let bytes = match kind {
                    Kind::Utf8 => utf8(value)?.map(|value| value.as_bytes().to_vec()),
                    Kind::Any => any::of(any(value)?),
                    _ => bytes(value)?,
                };
                return self.push_bytes(bytes);
            }
        }
        Ok(size_of::<Uuid>())
    }

    fn push_bytes(&mut self, value: Option<Vec<u8>>) -> Result<usize, Fault> {
        let Self::Bytes(values) = self else {
            return Err(Damaged("bytes in a column of something else".to_owned()).into());
        };
        let bytes = value.as_ref().map_or(0, Vec::len);
        values.push(value);
        Ok(bytes)
    }

    /// Gives them to a statement, as an array.
    pub(super) fn bind<'q>(
        &'q self,
        query: Query<'q, Postgres, sqlx::postgres::PgArguments>,
    ) -> Query<'q, Postgres, sqlx::postgres::PgArguments> {
        match self {
            Self::Ids(values) => query.bind(values),
            Self::Numbers(values) => query.bind(values),
            Self::Small(values) => query.bind(values),
            Self::Flags(values) => query.bind(values),
            Self::Texts(values) => query.bind(values),
            Self::Bytes(values) => query.bind(values),
        }
    }
}

/// The id of 16 bytes.
pub(super) fn id(value: ValueRef<'_>) -> Result<Option<Uuid>, Damaged> {
    let id = |bytes: &[u8]| {
        Uuid::from_slice(bytes)
            .map_err(|_| Damaged(format!("an id has {} bytes, not 16", bytes.len())))
    };
    bytes(value)?.as_deref().map(id).transpose()
}

fn number(value: ValueRef<'_>) -> Result<Option<i64>, Damaged> {
    match any(value)? {
        Any::Null => Ok(None),
        Any::Number(number) => Ok(Some(number)),
        other => Err(unexpected("a number", other)),
    }
}

fn utf8(value: ValueRef<'_>) -> Result<Option<&str>, Damaged> {
    match any(value)? {
        Any::Null => Ok(None),
        Any::Text(text) => Ok(Some(text)),
        other => Err(unexpected("a text", other)),
    }
}

fn bytes(value: ValueRef<'_>) -> Result<Option<Vec<u8>>, Damaged> {
    match any(value)? {
        Any::Null => Ok(None),
        Any::Bytes(bytes) => Ok(Some(bytes.to_vec())),
        other => Err(unexpected("bytes", other)),
    }
}

fn any(value: ValueRef<'_>) -> Result<Any<'_>, Damaged> {
    match value {
        ValueRef::Null => Ok(Any::Null),
        ValueRef::Integer(number) => Ok(Any::Number(number)),
        ValueRef::Text(text) => std::str::from_utf8(text)
            .map(Any::Text)
            .map_err(|_| Damaged(format!("a text of {} bytes is no UTF-8", text.len()))),
        ValueRef::Blob(bytes) => Ok(Any::Bytes(bytes)),
        ValueRef::Real(_) => Err(Damaged("a value of type REAL is none of ours".to_owned())),
    }
}

fn unexpected(expected: &str, found: Any<'_>) -> Damaged {
    let found = match found {
        Any::Null => "nothing",
        Any::Number(_) => "a number",
        Any::Text(_) => "a text",
        Any::Bytes(_) => "bytes",
    };
    Damaged(format!("{found} stands where {expected} should"))
}
