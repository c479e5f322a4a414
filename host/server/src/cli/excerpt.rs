//! What is wrong with a workflow file, shown as a compiler does: the place, the line, the help.

use std::ops::Range;

use tombolo_core::json::InvalidJson;
use tombolo_core::workflow::Issue;

use super::pointer;
use super::terminal::{Colour, Style, harmless};
use crate::place::Place;

/// Longest piece of a line that is shown, in characters.
const MAX_LINE: usize = 120;

/// A file with its text.
pub(super) struct SourceFile<'a> {
    /// As it was named.
    pub(super) name: &'a str,
    /// Its text.
    pub(super) text: &'a str,
}

impl SourceFile<'_> {
    /// An issue of this file.
    pub(super) fn show_issue(&self, issue: &Issue, style: Style) -> String {
        let found = pointer::find(self.text, &issue.pointer);
        // What is wrong with a name is shown at the name.
        let span = match found.key {
            Some(key) if issue.code.ends_with("-key") || issue.code.ends_with("-name") => key,
            _ => found.value,
        };
        let message = format!("{} [{}]", harmless(&issue.message), harmless(&issue.code));
        self.show(&message, span, issue.suggestion.as_deref(), style)
    }

    /// Why the text is not JSON.
    pub(super) fn show_syntax(&self, error: &InvalidJson, style: Style) -> String {
        let (message, start) = match error {
            InvalidJson::Syntax { message, line, column } => {
                (format!("not JSON: {message}"), offset(self.text, *line, *column))
            }
            InvalidJson::DuplicateKey { key, line, column } => {
                let message = format!("the key `{key}` stands twice in one object");
                (message, offset(self.text, *line, *column))
            }
            // Up to the first bad byte, text with replacements is as long as what it stands for.
            InvalidJson::NotUtf8 { offset } => ("not UTF-8".to_owned(), *offset),
            InvalidJson::TooDeep => (error.to_string(), 0),
        };
        self.show(&harmless(&message), start..start, None, style)
    }

    fn show(&self, message: &str, span: Range<usize>, help: Option<&str>, style: Style) -> String {
        let place = Place::of(self.text, span.start);
        let line = self.text.lines().nth(place.line - 1).unwrap_or_default();
        let (line, column) = clip(line, place.column);
        let width = self.marked(&span).min(line.chars().count().saturating_sub(column)).max(1);
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let bar = style.paint(Colour::Blue, "|");
        let marks =
            format!("{}{}", " ".repeat(column), style.paint(Colour::Red, &"^".repeat(width)));
        let mut text = format!(
            "{}: {message}\n{margin}{} {}:{place}\n{margin} {bar}\n{} {bar} {}\n{margin} {bar} {marks}",
            style.paint(Colour::Red, "error"),
            style.paint(Colour::Blue, "-->"),
            self.name,
            style.paint(Colour::Blue, &number),
            harmless(&line),
        );
        if let Some(help) = help {
            let help = harmless(help);
            text.push_str(&format!("\n{margin} {} {help}", style.paint(Colour::Blue, "= help:")));
        }
        text
    }

    /// How many characters of the span are in its first line.
    fn marked(&self, span: &Range<usize>) -> usize {
        let text = self.text.get(span.clone()).unwrap_or_default();
        text.lines().next().unwrap_or_default().chars().count()
    }
}

/// A piece of a long line around the column (counted from 1), and the position in it, from 0.
fn clip(line: &str, column: usize) -> (String, usize) {
    let line = line.replace('\t', " ");
    let start = column.saturating_sub(MAX_LINE / 2);
    let start = if line.chars().count() <= MAX_LINE { 0 } else { start };
    (line.chars().skip(start).take(MAX_LINE).collect(), column - 1 - start)
}

/// The byte at a line and a column in bytes, both from 1, as `serde_json` counts.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::SourceFile;
    use crate::cli::terminal::Style;
    use tombolo_core::workflow::Issue;

    const PLAIN: Style = Style { enabled: false };
    const TEXT: &str = "{\n  \"nodes\": {\n    \"tier\": { \"use\": \"switch\", \"after\": [\"dael\"], \"wiht\": {} }\n  }\n}\n";

    fn show(issue: &Issue) -> String {
        SourceFile { name: "w.json", text: TEXT }.show_issue(issue, PLAIN)
    }

    #[test]
    fn an_issue_is_shown_with_its_line_and_what_to_write_instead() {
        let issue = Issue::new("/nodes/tier/after/0", "unknown-node", "there is no node `dael`")
            .suggest(Some("did you mean `deal`?".into()));
        assert_eq!(
            show(&issue),
            r#"error: there is no node `dael` [unknown-node]
 --> w.json:3:42
  |
3 |     "tier": { "use": "switch", "after": ["dael"], "wiht": {} }
  |                                          ^^^^^^
  = help: did you mean `deal`?"#
        );
    }

    #[test]
    fn a_wrong_name_is_marked_at_the_name_and_a_missing_one_at_what_lacks_it() {
        let unknown = show(&Issue::new("/nodes/tier/wiht", "unknown-key", "unknown key `wiht`"));
        assert!(unknown.contains("w.json:3:51"), "{unknown}");
        let missing = show(&Issue::new("/name", "missing", "`name` is missing"));
        assert!(missing.contains("w.json:1:1\n"), "{missing}");
    }

    #[test]
    fn a_long_line_is_shown_in_part() {
        let text = format!("{{\"a\": \"{}\", \"b\": 1}}", "x".repeat(4_000));
        let issue = Issue::new("/b", "wrong", "wrong");
        let shown = SourceFile { name: "w.json", text: &text }.show_issue(&issue, PLAIN);
        assert!(shown.contains("w.json:1:4016"), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        let marked = lines[4].find('^').unwrap();
        assert_eq!(&lines[3][marked..=marked], "1");
        assert!(lines[3].len() < 200);
    }

    /// What is said of a file with these bytes, which are not JSON.
    #[track_caller]
    fn syntax(bytes: &[u8]) -> String {
        let error = tombolo_core::json::parse(bytes).expect_err("this is not JSON");
        let text = String::from_utf8_lossy(bytes);
        SourceFile { name: "w.json", text: &text }.show_syntax(&error, PLAIN)
    }

    #[test]
    fn text_that_is_not_json_is_shown_where_it_breaks() {
        let shown = syntax(b"{\n  \"name\": x\n}\n");
        assert!(shown.contains(" --> w.json:2:11\n"), "{shown}");
        assert!(shown.contains("2 |   \"name\": x\n"), "{shown}");
        let shown = syntax(b"{\n \"a\": 1,\n \"a\": 2 }");
        assert!(shown.starts_with("error: the key `a` stands twice"), "{shown}");
        assert!(shown.contains(" --> w.json:3:"), "{shown}");
    }

    #[test]
    fn text_that_is_not_utf8_is_shown_at_the_first_bad_byte() {
        let shown = syntax(b"{\n  \"name\": \"Z\xfcrich\"\n}\n");
        assert!(shown.starts_with("error: not UTF-8\n --> w.json:2:13\n"), "{shown}");
        assert!(shown.contains("2 |   \"name\": \"Z\u{fffd}rich\"\n"), "{shown}");
    }
}
