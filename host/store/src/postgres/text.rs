//! Text as a parameter. PostgreSQL's text cannot hold U+0000.

use std::borrow::Cow;

/// Stands for U+0000: its picture, SYMBOL FOR NULL.
const PICTURE: &str = "\u{2400}";

/// The text with what cannot be stored replaced: the same for whoever writes and whoever looks for
/// it.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', PICTURE).into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_stored_is_replaced() {
        assert_eq!(text("a\0b\0"), "a\u{2400}b\u{2400}");
        assert!(matches!(text("ä\u{1}"), Cow::Borrowed("ä\u{1}")));
    }
}
