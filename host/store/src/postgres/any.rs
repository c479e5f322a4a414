//! Columns that hold values of several types, as SQLite's do by nature: bytes, of which the first
//! says what the others are. So text with U+0000 can be stored, which PostgreSQL's own text cannot be.

use crate::record::{Column, Damaged, Shortened, Text};

/// The rest is a number of up to 8 bytes, the highest first, without leading zeros.
const NUMBER: u8 = 0;
/// The rest is UTF-8.
const TEXT: u8 = 1;
/// The rest is what it is.
const BYTES: u8 = 2;

/// A text that stands in the row, or its position in the row's pack.
pub(super) fn text(text: &Text) -> Vec<u8> {
    match text {
        Text::InRow(text) => tagged(TEXT, text.as_bytes()),
        Text::Packed { position, .. } => number((*position).into()),
    }
}

fn number(number: u64) -> Vec<u8> {
    let zeros = number.leading_zeros() as usize / 8;
    tagged(NUMBER, &number.to_be_bytes()[zeros..])
}

/// A value as SQLite has it. None for no value.
pub(crate) fn of(column: Column<'_>) -> Option<Vec<u8>> {
    match column {
        Column::Null => None,
        // None is negative; one that is reads as damage there and here.
        Column::Number(value) => Some(number(value.cast_unsigned())),
        Column::Text(value) => Some(tagged(TEXT, value.as_bytes())),
        Column::Bytes(value) => Some(tagged(BYTES, value)),
    }
}

/// A text, or the bytes that stand for it.
pub(super) fn shortened(column: &Shortened) -> Vec<u8> {
    match column {
        Shortened::Text(text) => tagged(TEXT, text.as_bytes()),
        Shortened::Bytes(bytes) => tagged(BYTES, bytes),
    }
}

fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut column = Vec::with_capacity(1 + value.len());
    column.push(tag);
    column.extend_from_slice(value);
    column
}

/// Reads a column back.
pub(super) fn read(column: &[u8]) -> Result<Column<'_>, Damaged> {
    let damaged = |what: &str| Damaged(format!("a value of {} bytes {what}", column.len()));
    let (tag, value) = column.split_first().ok_or_else(|| damaged("has no type"))?;
    match *tag {
        NUMBER if value.len() <= 8 => {
            let number = value.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            let number = i64::try_from(number).map_err(|_| damaged("is too large a number"))?;
            Ok(Column::Number(number))
        }
        TEXT => {
            let text = std::str::from_utf8(value).map_err(|_| damaged("is no text"))?;
            Ok(Column::Text(text))
        }
        BYTES => Ok(Column::Bytes(value)),
        tag => Err(damaged(&format!("has the unknown type {tag}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_reads_back() {
        for position in [0, 1, 255, 256, 65_535, 65_536, u32::MAX] {
            let column = text(&Text::Packed { pack: 3, position });
            assert_eq!(read(&column).unwrap(), Column::Number(position.into()));
        }
        for value in ["", "a\u{0}b", "ä"] {
            assert_eq!(read(&text(&Text::InRow(value.into()))).unwrap(), Column::Text(value));
            let column = shortened(&Shortened::Text(value.to_owned()));
            assert_eq!(read(&column).unwrap(), Column::Text(value));
        }
        let column = shortened(&Shortened::Bytes(vec![0, 1]));
        assert_eq!(read(&column).unwrap(), Column::Bytes(&[0, 1]));
        assert_eq!(text(&Text::Packed { pack: 0, position: 7 }), [NUMBER, 7]);
        for value in [Column::Number(256), Column::Text("a\u{0}b"), Column::Bytes(&[0, 1])] {
            assert_eq!(read(&of(value).unwrap()).unwrap(), value);
        }
        assert_eq!(of(Column::Null), None);
        assert!(read(&of(Column::Number(-1)).unwrap()).is_err());
    }

    #[test]
    fn what_is_none_of_ours_is_damage() {
        for column in
            [&[][..], &[3], &[TEXT, 0xff], &[NUMBER; 10], &[NUMBER, 255, 1, 1, 1, 1, 1, 1, 1]]
        {
            assert!(read(column).is_err(), "{column:?}");
        }
    }
}
