//! Text as PostgreSQL can hold it.

use std::borrow::Cow;

/// Stands for U+0000, which PostgreSQL's text cannot hold: U+2400, the picture of it. What has to come
/// back as it was is stored as bytes.
const NULL: &str = "\u{2400}";

/// The text, with every U+0000 replaced.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', NULL).into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_null_is_replaced() {
        assert_eq!(text("a\u{1}ä"), "a\u{1}ä");
        assert_eq!(text("a\0b\0"), "a\u{2400}b\u{2400}");
    }
}
