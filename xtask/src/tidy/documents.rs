//! Rules for documents: links lead somewhere, decisions are numbered, the architecture stays one
//! reading.

use std::collections::BTreeSet;

use super::Issue;
use super::files::File;

/// The folder of decisions.
const DECISIONS: &str = "docs/adr/";

/// Most lines of `ARCHITECTURE.md`.
const MAX_ARCHITECTURE_LINES: usize = 300;

/// Checks all documents.
pub fn check(files: &[File], issues: &mut Vec<Issue>) {
    for file in files.iter().filter(|file| file.is_markdown()) {
        check_links(file, files, issues);
        let lines = file.lines().count();
        if file.path == "ARCHITECTURE.md" && lines > MAX_ARCHITECTURE_LINES {
            let text = format!("{lines} lines, {MAX_ARCHITECTURE_LINES} is the bound");
            issues.push(Issue::file(file, text));
        }
    }
    check_decisions(files, issues);
}

fn check_links(file: &File, files: &[File], issues: &mut Vec<Issue>) {
    for (number, link) in links(file) {
        let elsewhere = ["http://", "https://", "mailto:"];
        if elsewhere.iter().any(|scheme| link.starts_with(scheme)) {
            continue;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let path = match path {
            "" => file.path.clone(),
            path => resolve(&file.path, path),
        };
        let target = files.iter().find(|file| file.path == path);
        let folder = files.iter().any(|file| file.path.starts_with(&format!("{path}/")));
        let leads = match target {
            Some(target) => {
                anchor.is_empty() || !target.is_markdown() || has_anchor(target, anchor)
            }
            None => folder && anchor.is_empty(),
        };
        if !leads {
            issues.push(Issue::line(file, number, format!("the link `{link}` leads nowhere")));
        }
    }
}

/// The targets of all `[..](target)` outside code.
fn links(file: &File) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Every second part is between backticks.
        for text in line.split('`').step_by(2) {
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            found
                .extend(targets.filter_map(|target| target.split(' ').next()).map(|t| (number, t)));
        }
    }
    found
}

/// A relative link as a path from the root.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether a heading has this anchor, as GitHub makes them: lower case, spaces become hyphens,
/// other signs go.
fn has_anchor(file: &File, anchor: &str) -> bool {
    file.lines().filter(|(_, line)| line.starts_with('#')).any(|(_, line)| {
        let heading = line.trim_start_matches('#').trim();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let made: String = kept.flat_map(char::to_lowercase).collect();
        made.replace(' ', "-") == anchor
    })
}

/// Decisions are `NNNN-title.md`, counted from 0001 without gaps.
fn check_decisions(files: &[File], issues: &mut Vec<Issue>) {
    let mut numbers = BTreeSet::new();
    for file in files.iter().filter(|file| file.path.starts_with(DECISIONS)) {
        match number(file.name()) {
            _ if file.name() == "README.md" => {}
            None => issues.push(Issue::file(file, "a decision is named `NNNN-title.md`")),
            Some(number) if !numbers.insert(number) => {
                issues.push(Issue::file(file, format!("there are two decisions {number:04}")));
            }
            Some(_) => {}
        }
    }
    for (number, expected) in numbers.iter().zip(1..) {
        if *number != expected {
            let text = format!("decision {expected:04} is missing before {number:04}");
            issues.push(Issue { path: DECISIONS.to_owned(), line: None, text });
            break;
        }
    }
}

fn number(name: &str) -> Option<u32> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let fine = number.len() == 4 && !title.is_empty();
    fine.then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::files::example;

    fn found(files: &[File]) -> Vec<String> {
        let mut issues = Vec::new();
        check(files, &mut issues);
        issues.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_lead_to_files_folders_and_headings() {
        let readme = "# Two words, `x`\n[a](docs/a.md) [b](docs) [c](#two-words-x) [d](docs/a.md#here)\n\
                      [`e`](docs/a.md \"title\") [f](https://example.com/x)\n```\n[g](nowhere)\n```\n`[h](nowhere)`\n";
        let files =
            [example("README.md", readme), example("docs/a.md", "## Here\n[up](../README.md)\n")];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let readme = "[a](docs/b.md)\n[b](#no)\n[`c`](../x)\n";
        assert_eq!(
            found(&[example("README.md", readme)]),
            [
                "README.md:1: the link `docs/b.md` leads nowhere",
                "README.md:2: the link `#no` leads nowhere",
                "README.md:3: the link `../x` leads nowhere",
            ]
        );
    }

    #[test]
    fn decisions_are_counted() {
        let decision = |name: &str| example(&format!("docs/adr/{name}"), "");
        assert_eq!(
            found(&[decision("0001-a.md"), decision("0002-b.md"), decision("README.md")]),
            Vec::<String>::new()
        );
        assert_eq!(
            found(&[decision("0001-a.md"), decision("0003-c.md"), decision("1-d.md")]),
            [
                "docs/adr/1-d.md: a decision is named `NNNN-title.md`",
                "docs/adr/: decision 0002 is missing before 0003"
            ]
        );
        assert_eq!(found(&[decision("0001-a.md"), decision("0001-b.md")]).len(), 1);
    }
}
