//! Rules for a Rust file: its length, what it starts with, and what must not be left in it.

use super::Issue;
use super::files::File;

/// Most lines of one file. Usually it is 100 to 300; beyond this the subject was two.
const MAX_LINES: usize = 600;

/// What must not stand in a file, and why. Written in two parts, or this file would break its rules.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("todo", "!(", "do it, or open an issue"),
    ("unimplemented", "!(", "do it, or leave the code path out"),
    ("TO", "DO", "do it, or open an issue"),
    ("FIX", "ME", "do it, or open an issue"),
    ("#[igno", "re", "an ignored test proves nothing: make it fast, or delete it"),
    ("```igno", "re", "an example that does not compile proves nothing: use `no_run` or `text`"),
    (
        "#[all",
        "ow(",
        "use `#[expect(.., reason = \"..\")]`, which says when it is not needed any more",
    ),
    (
        "#![all",
        "ow(",
        "use `#[expect(.., reason = \"..\")]`, which says when it is not needed any more",
    ),
];

/// Checks one Rust file.
pub fn check(file: &File, issues: &mut Vec<Issue>) {
    check_length(file, issues);
    check_beginning(file, issues);
    check_forbidden(file, issues);
    check_reasons(file, issues);
}

fn check_length(file: &File, issues: &mut Vec<Issue>) {
    let lines = file.lines().count();
    if lines > MAX_LINES {
        let text = format!("{lines} lines, {MAX_LINES} is the bound: split it by subject");
        issues.push(Issue::file(file, text));
    }
}

/// A file says first what it owns.
fn check_beginning(file: &File, issues: &mut Vec<Issue>) {
    if !file.lines().any(|(_, line)| line.starts_with("//! ")) {
        let text = "starts with no `//!`: say in two lines what it owns and what it never does";
        issues.push(Issue::line(file, 1, text));
    }
}

fn check_forbidden(file: &File, issues: &mut Vec<Issue>) {
    for (number, line) in file.lines() {
        for (head, tail, advice) in FORBIDDEN {
            let what = format!("{head}{tail}");
            if has_word(line, &what) {
                issues.push(Issue::line(file, number, format!("`{what}`: {advice}")));
            }
        }
    }
}

/// True if `what` is there, and is no part of a longer word.
fn has_word(line: &str, what: &str) -> bool {
    line.match_indices(what).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + what.len()..].chars().next();
        let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let begins_inside = what.starts_with(char::is_alphanumeric) && in_word(before);
        let ends_inside = what.ends_with(char::is_alphanumeric) && in_word(after);
        !begins_inside && !ends_inside
    })
}

/// An exception from a lint carries its reason, within the lines of the attribute.
fn check_reasons(file: &File, issues: &mut Vec<Issue>) {
    let lines: Vec<&str> = file.lines().map(|(_, line)| line).collect();
    for (index, line) in lines.iter().enumerate() {
        let attribute = line.trim_start();
        if !(attribute.starts_with("#[expect(") || attribute.starts_with("#![expect(")) {
            continue;
        }
        let rest = lines[index..].iter().take_while(|line| !line.trim_end().ends_with(")]"));
        let last = lines[index..].iter().find(|line| line.trim_end().ends_with(")]"));
        if !rest.chain(last).any(|line| line.contains("reason = ")) {
            let text = "`#[expect(..)]` without `reason = \"..\"`";
            issues.push(Issue::line(file, index + 1, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::files::example;

    fn found(text: &str) -> Vec<(Option<usize>, String)> {
        let mut issues = Vec::new();
        check(&example("a.rs", text), &mut issues);
        issues.into_iter().map(|issue| (issue.line, issue.text)).collect()
    }

    #[test]
    fn a_file_in_order_breaks_nothing() {
        let text = "//! Owns a.\n\n#[expect(\n    dead_code,\n    reason = \"b\"\n)]\nfn a() {}\n";
        assert_eq!(found(text), []);
    }

    #[test]
    fn a_file_says_what_it_owns() {
        assert_eq!(found("fn a() {}\n").len(), 1);
    }

    #[test]
    fn a_file_has_a_bound() {
        let text = format!("//! Owns a.\n{}", "\n".repeat(MAX_LINES));
        assert!(found(&text)[0].1.starts_with("601 lines"));
    }

    #[test]
    fn what_was_left_for_later_is_found_with_its_line() {
        for (head, tail, _) in FORBIDDEN {
            let issues = found(&format!("//! Owns a.\n    {head}{tail} x\n"));
            assert_eq!(issues.len(), 1, "{head}{tail}");
            assert_eq!(issues[0].0, Some(2));
        }
        assert_eq!(found(concat!("//! Owns a.\nlet auto", "FIX", "MEs = 1;\n")), []);
    }

    #[test]
    fn an_exception_without_reason_is_found() {
        let text = "//! Owns a.\n#[expect(dead_code)]\nfn a() {}\n// reason = \"of b\"\n";
        assert_eq!(found(text), [(Some(2), "`#[expect(..)]` without `reason = \"..\"`".into())]);
    }
}
