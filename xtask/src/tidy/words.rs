//! The words of the house: other names for a run, a step or a workflow appear in no type, no table
//! and no route.

use super::Issue;
use super::files::File;

/// What is never said, and what is said for it.
const NEVER: &[(&str, &str)] = &[
    ("task", "step"),
    ("job", "run"),
    ("activity", "step"),
    ("action", "operation or node"),
    ("execution", "run"),
    ("flow", "workflow"),
];

/// What begins the definition of a type.
const TYPES: &[&str] = &["struct", "enum", "trait", "type", "union"];

/// What stands before a route where it is defined.
const ROUTES: &[&str] = &["path = \"", ".route(\""];

/// Paths with this in them speak of another system in its own words.
const FOREIGN: &[&str] = &["asana"];

/// Checks one Rust file.
pub fn check(file: &File, issues: &mut Vec<Issue>) {
    if FOREIGN.iter().any(|name| file.path.contains(name)) {
        return;
    }
    for (number, line) in file.lines() {
        let names = defined_type(line).into_iter().chain(routes(line));
        for (word, instead) in names.flat_map(|name| unwanted(name).collect::<Vec<_>>()) {
            let text = format!("`{word}` is not our word, say {instead}");
            issues.push(Issue::line(file, number, text));
        }
    }
}

/// The name of the type that a line defines: one of the words of [`TYPES`], with nothing but its
/// visibility before it, and then the name.
fn defined_type(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let mut word = words.next()?;
    if word.starts_with("pub") {
        word = words.find(|word| !word.ends_with(')'))?;
    }
    if !TYPES.contains(&word) {
        return None;
    }
    words.next()?.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// The routes that a line defines, as axum and as the descriptions of the API write them.
fn routes(line: &str) -> impl Iterator<Item = &str> {
    ROUTES.iter().filter_map(|before| line.split_once(before)?.1.split('"').next())
}

/// The unwanted words in a name, whether `CamelCase`, `snake_case` or a path.
fn unwanted(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let parts: Vec<String> = parts(name);
    let is_part = move |word: &str| {
        parts.iter().any(|part| part == word || part.strip_suffix('s') == Some(word))
    };
    NEVER.iter().copied().filter(move |(word, _)| is_part(word))
}

fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in name.chars() {
        if c.is_uppercase() || !c.is_alphanumeric() {
            parts.push(String::new());
        }
        if let (true, Some(part)) = (c.is_alphanumeric(), parts.last_mut()) {
            part.extend(c.to_lowercase());
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::files::example;

    fn found(path: &str, line: &str) -> usize {
        let mut issues = Vec::new();
        check(&example(path, line), &mut issues);
        issues.len()
    }

    #[test]
    fn types_and_routes_use_our_words() {
        for line in [
            "pub(crate) struct RunTask {",
            "pub(in crate::a) struct RunTask;",
            "enum Jobs<T> {",
            "type TaskId = Uuid;",
            concat!("    pa", r#"th = "/api/v1/executions/{id}","#),
            concat!(".rou", r#"te("/jobs", get(a))"#),
        ] {
            assert_eq!(found("a.rs", line), 1, "{line}");
        }
    }

    #[test]
    fn other_words_prose_and_other_systems_are_left_alone() {
        for line in [
            "pub struct Workflow {",
            "struct Overflow;",
            "use tokio_util::task::TaskTracker;",
            "// This type Task is of another crate.",
            r#"client.get("/workflows/flow")"#,
            "pub struct Transaction;",
        ] {
            assert_eq!(found("a.rs", line), 0, "{line}");
        }
        assert_eq!(found("plugins/asana/src/model.rs", "struct Task {"), 0);
    }
}
