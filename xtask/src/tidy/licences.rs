//! Every crate that we build with has a licence that `deny.toml` allows.
//!
//! The list is the one that `cargo deny` reads; the check is our own, so that a fresh machine needs
//! nothing more than cargo.

use super::Issue;
use super::files::File;
use crate::metadata::{Metadata, Package};

/// Where the list is.
const LIST: &str = "deny.toml";

/// Checks all crates that are not ours.
pub fn check(metadata: &Metadata, files: &[File], issues: &mut Vec<Issue>) {
    let list = files.iter().find(|file| file.path == LIST);
    let allowed = list.and_then(|file| file.text.as_deref()).map(allowed).unwrap_or_default();
    let mut complain = |text: String| {
        issues.push(Issue { path: LIST.to_owned(), line: None, text });
    };
    if allowed.is_empty() {
        complain("no list `allow` under `[licenses]`".to_owned());
    }
    for package in metadata.all().filter(|package| !package.ours) {
        let Package { name, version, license, .. } = package;
        match license {
            None => complain(format!("{name} {version} names no licence")),
            Some(license) if !is_allowed(license, &allowed) => {
                complain(format!("{name} {version} is under `{license}`, which is not allowed"));
            }
            Some(_) => {}
        }
    }
}

/// The strings of `allow = [..]` under `[licenses]`.
fn allowed(text: &str) -> Vec<&str> {
    let section = text.split("\n[").find(|section| section.starts_with("licenses]"));
    let list = section.and_then(|section| section.split_once("\nallow = [")?.1.split_once(']'));
    let lines = list.map_or("", |(list, _)| list).lines();
    lines
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .collect()
}

/// Whether an SPDX expression can be met with the allowed licences. `AND` binds closer than `OR`;
/// the old form `MIT/Apache-2.0` means `OR`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest, allowed) == Some(true) && rest.is_empty()
}

/// None if the expression cannot be read, here and below.
fn any_of(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut met = all_of(rest, allowed)?;
    while rest.first() == Some(&"OR") {
        *rest = &rest[1..];
        // Read in any case, as the rest is behind it.
        met |= all_of(rest, allowed)?;
    }
    Some(met)
}

fn all_of(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut met = one(rest, allowed)?;
    while rest.first() == Some(&"AND") {
        *rest = &rest[1..];
        met &= one(rest, allowed)?;
    }
    Some(met)
}

fn one(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    if *first == "(" {
        let met = any_of(rest, allowed)?;
        let (closing, behind) = rest.split_first()?;
        *rest = behind;
        return (*closing == ")").then_some(met);
    }
    if let ["WITH", exception, behind @ ..] = *rest {
        *rest = behind;
        return Some(allowed.contains(&format!("{first} WITH {exception}").as_str()));
    }
    Some(allowed.contains(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_or_not() {
        let allowed = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
        for (expression, met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0 OR MIT", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0", false),
            ("GPL-3.0 AND MIT OR MIT", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(GPL-3.0 OR Apache-2.0) AND Unicode-3.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), met, "{expression}");
        }
    }

    #[test]
    fn the_list_is_read_from_its_section() {
        let text = "[bans]\nallow = [\"x\"]\n\n[licenses]\n# why\nallow = [\n    \"MIT\", # a\n    \"ISC\",\n]\n";
        assert_eq!(allowed(text), ["MIT", "ISC"]);
        assert_eq!(allowed("[bans]\nallow = [\"x\"]\n"), Vec::<&str>::new());
    }
}
