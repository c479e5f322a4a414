//! Where a JSON pointer (RFC 6901) points to in a text: what turns the server's answer about a
//! value into a line of the file.
//!
//! Never judges the text: it was read by a real parser, and whatever is odd here ends at the
//! innermost value that was found.

use std::ops::Range;

/// What a pointer found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The name of the member, with its quotes; none for items and for the whole text.
    pub(super) key: Option<Range<usize>>,
    /// The value.
    pub(super) value: Range<usize>,
    /// False if only a part of the pointer exists: then this is the innermost value that does.
    pub(super) complete: bool,
}

/// Looks for the value.
pub(super) fn find(text: &str, pointer: &str) -> Found {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0 };
    scanner.space();
    let mut found = Found { key: None, value: scanner.at..scanner.at, complete: true };
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        match scanner.enter(text, &token) {
            Some(key) => found = Found { key, value: scanner.at..scanner.at, complete: true },
            None => {
                found.complete = false;
                break;
            }
        }
        // The next step starts from this value.
        scanner.at = found.value.start;
    }
    scanner.at = found.value.start;
    scanner.value();
    found.value.end = scanner.at.max(found.value.start);
    found
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// Goes from the start of a value to the start of the member or item of that name. The name's
    /// place, if it has one.
    fn enter(&mut self, text: &str, token: &str) -> Option<Option<Range<usize>>> {
        match self.peek()? {
            b'{' => self.member(text, token).map(Some),
            b'[' => self.item(token.parse().ok()?).then_some(None),
            _ => None,
        }
    }

    fn member(&mut self, text: &str, token: &str) -> Option<Range<usize>> {
        self.at += 1;
        loop {
            self.space();
            if self.peek()? != b'"' {
                return None;
            }
            let start = self.at;
            self.value();
            let key = start..self.at;
            self.space();
            if self.peek()? != b':' {
                return None;
            }
            self.at += 1;
            self.space();
            // The name may be written with escapes.
            let name: Option<String> = serde_json::from_str(text.get(key.clone())?).ok();
            if name.as_deref() == Some(token) {
                return Some(key);
            }
            self.value();
            if !self.comma() {
                return None;
            }
        }
    }

    fn item(&mut self, index: usize) -> bool {
        self.at += 1;
        for _ in 0..index {
            self.space();
            self.value();
            if !self.comma() {
                return false;
            }
        }
        self.space();
        !matches!(self.peek(), None | Some(b']'))
    }

    /// Goes behind the value that starts here.
    fn value(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth == 0 => return,
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' if depth == 0 => return,
                _ if depth == 0 => self.word(),
                _ => self.at += 1,
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
        self.at = self.at.min(self.text.len());
    }

    fn word(&mut self) {
        let ends = |byte: u8| byte.is_ascii_whitespace() || b",:]}".contains(&byte);
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
    }

    fn comma(&mut self) -> bool {
        self.space();
        let comma = self.peek() == Some(b',');
        self.at += usize::from(comma);
        comma
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::place::Place;

    const TEXT: &str = r#"{
  "name": "x",
  "nodes": {
    "d\u0065al": { "use": "hubspot.get-deal", "after": ["a", "b.c" ] },
    "a/b~c": [1, {"k": "}\""}, [true,null]],
    "": -1.5e3
  }
}
"#;

    #[track_caller]
    fn value(pointer: &str) -> &'static str {
        let found = find(TEXT, pointer);
        assert!(found.complete, "{pointer}");
        &TEXT[found.value]
    }

    #[test]
    fn values_are_found_wherever_they_are() {
        assert_eq!(value("/name"), r#""x""#);
        assert_eq!(value("/nodes/deal/use"), r#""hubspot.get-deal""#);
        assert_eq!(value("/nodes/deal/after/1"), r#""b.c""#);
        assert_eq!(value("/nodes/a~1b~0c/1/k"), r#""}\"""#);
        assert_eq!(value("/nodes/a~1b~0c/1"), r#"{"k": "}\""}"#);
        assert_eq!(value("/nodes/a~1b~0c/2/0"), "true");
        assert_eq!(value("/nodes/"), "-1.5e3");
        assert_eq!(value(""), TEXT.trim_end());
    }

    #[test]
    fn names_are_found_with_their_values() {
        let found = find(TEXT, "/nodes/deal");
        assert_eq!(&TEXT[found.key.unwrap()], r#""d\u0065al""#);
        assert_eq!(Place::of(TEXT, found.value.start).to_string(), "4:18");
    }

    #[test]
    fn what_does_not_exist_is_found_where_it_would_be() {
        for (pointer, innermost) in [
            ("/nodes/deal/with", r#"{ "use""#),
            ("/nodes/deal/after/2", r#"["a""#),
            ("/nodes/deal/after/x", r#"["a""#),
            ("/name/x", r#""x""#),
        ] {
            let found = find(TEXT, pointer);
            assert!(!found.complete, "{pointer}");
            assert!(TEXT[found.value.start..].starts_with(innermost), "{pointer}");
        }
    }

    #[test]
    fn broken_text_ends_the_search_and_not_the_program() {
        for text in [
            "",
            "{",
            "{\"a",
            "{\"a\":",
            "{\"a\" 1}",
            "[1,",
            "\"\\",
            "{a}",
            "]",
            "[1 2]",
            "{\"a\":}",
        ] {
            for pointer in ["", "/a", "/0", "/1/a", "/a/b"] {
                let found = find(text, pointer);
                assert!(text.get(found.value).is_some(), "{text} {pointer}");
            }
        }
    }
}
