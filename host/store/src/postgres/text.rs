//! Text as PostgreSQL can hold it.

pub(crate) use crate::record::text;
