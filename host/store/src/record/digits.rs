//! Names that are hexadecimal digits, stored as the bytes that they stand for: half as long, in the
//! row and in its indexes.

/// A column of text, or of the bytes that stand for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shortened {
    Text(String),
    Bytes(Vec<u8>),
}

/// Digits of the correlation ids that we make.
const CORRELATION_DIGITS: usize = 32;

/// A correlation id as its column.
pub(crate) fn correlation_id(text: &str) -> Shortened {
    let bytes = (text.len() == CORRELATION_DIGITS).then(|| bytes_of(text)).flatten();
    bytes.map_or_else(|| Shortened::Text(text.to_owned()), Shortened::Bytes)
}

/// The bytes of such digits; None if the text would not come back from them.
pub(super) fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let upper = digits.bytes().any(|digit| digit.is_ascii_uppercase());
    if upper { None } else { hex::decode(digits).ok() }
}

impl Shortened {
    /// The text whose bytes [`correlation_id`] stored.
    pub(crate) fn correlation_id(bytes: &[u8]) -> String {
        hex::encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_back_is_shortened() {
        let id = "01a21a5f7ba27461b072a87cdc4a52e0";
        let Shortened::Bytes(bytes) = correlation_id(id) else {
            panic!("it has 32 digits");
        };
        assert_eq!((bytes.len(), Shortened::correlation_id(&bytes)), (16, id.to_owned()));
        let upper = id.to_uppercase();
        let other = id.replace('e', "x");
        for text in ["", "mine-1", "01a2", &id[2..], &upper, &other, &format!("{id}00")] {
            assert_eq!(correlation_id(text), Shortened::Text(text.to_owned()));
        }
    }
}
