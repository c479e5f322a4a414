//! Who may depend on whom, and that nobody depends on what is not used.

use super::Issue;
use super::files::File;
use crate::metadata::{Metadata, Package};
use crate::place::Place;

/// The crate of the laws.
const CORE: &str = "tombolo-core";

/// The crate that wires the others.
const WIRING: &str = "tombolo-server";

/// What plugins are written with.
const SDK: &str = "tombolo-sdk";

/// The jq that plugins share.
const EVALUATOR: &str = "tombolo-jq";

/// The components that the tests of the sandbox run.
const GUESTS: &str = "host/sandbox/guests/";

/// What must not end up in the core: it does no I/O and knows no runtime.
const NOT_IN_CORE: &[&str] =
    &["tokio", "sqlx", "sqlx-core", "wasmtime", "axum", "hyper", "reqwest"];

/// Checks all crates of this repository.
pub fn check(place: &Place, metadata: &Metadata, files: &[File], issues: &mut Vec<Issue>) {
    for package in metadata.ours() {
        let manifest = place.shown(&package.manifest);
        let Some(folder) = manifest.strip_suffix("Cargo.toml") else {
            continue;
        };
        let mut complain = |text: String| {
            issues.push(Issue { path: manifest.clone(), line: None, text });
        };
        wrong_directions(metadata, package, folder).into_iter().for_each(&mut complain);
        unused(package, folder, files).into_iter().for_each(&mut complain);
        let text = files.iter().find(|file| file.path == manifest);
        if !text.is_some_and(|file| file.lines().any(|(_, line)| line.starts_with("[lints"))) {
            complain("has no `[lints]`: write `workspace = true` under it".to_owned());
        }
    }
}

/// All arrows point at the core; the crates around it don't see each other, only the server wires
/// them. Tests may use what they like.
fn wrong_directions(metadata: &Metadata, package: &Package, folder: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if package.name == CORE {
        let contained = metadata.contained(package);
        for name in NOT_IN_CORE.iter().filter(|name| contained.contains(*name)) {
            wrong.push(format!("contains {name}: the core does no I/O and knows no runtime"));
        }
    }
    let own: Vec<&str> = metadata.linked(package).filter(|name| is_ours(metadata, name)).collect();
    for name in own {
        let fine = match folder.split('/').next() {
            _ if package.name == WIRING => true,
            _ if folder.starts_with(GUESTS) => name == SDK,
            Some("host") => name == CORE,
            Some("plugins") => name == SDK || name == EVALUATOR,
            Some("tests") => true,
            _ => false,
        };
        if !fine {
            wrong.push(format!("depends on {name}: only {WIRING} wires crates to each other"));
        }
    }
    wrong
}

fn is_ours(metadata: &Metadata, name: &str) -> bool {
    metadata.ours().any(|package| package.name == name)
}

/// Dependencies whose names stand nowhere in the crate's sources.
fn unused(package: &Package, folder: &str, files: &[File]) -> Vec<String> {
    let sources: Vec<&str> = files
        .iter()
        .filter(|file| file.is_rust() && file.path.starts_with(folder))
        .filter_map(|file| file.text.as_deref())
        .collect();
    let mut unused: Vec<&String> = package
        .declared
        .iter()
        .filter(|name| !sources.iter().any(|source| names(source, &name.replace('-', "_"))))
        .collect();
    unused.dedup();
    unused.into_iter().map(|name| format!("{name} is not used: take it out")).collect()
}

/// True if `name` stands in a source as a word of its own.
fn names(source: &str, name: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    source.match_indices(name).any(|(at, _)| {
        !source[..at].chars().next_back().is_some_and(in_word)
            && !source[at + name.len()..].chars().next().is_some_and(in_word)
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_crate_is_used_where_its_name_is_a_word() {
        assert!(names("use sha1::Sha1;", "sha1"));
        assert!(!names("use my_sha1::Sha1;", "sha1"));
        assert!(!names("let sha1_sum = 1;", "sha1"));
    }
}
