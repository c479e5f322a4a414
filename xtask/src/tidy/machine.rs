//! Nothing of the machine that a file was written on stays in it.

use std::path::Path;

use super::Issue;
use super::files::File;
use crate::place::Place;

/// Home folders, wherever they are. Written in two parts, or this file would break its rule.
const HOMES: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
    concat!(r"C:\Us", "ers"),
];

/// Looks for absolute paths of this machine in all files.
pub fn check(place: &Place, files: &[File], issues: &mut Vec<Issue>) {
    let mut paths: Vec<String> = HOMES.iter().map(|home| (*home).to_owned()).collect();
    let around = place.root().parent().into_iter();
    paths.extend(around.chain([place.root()]).filter_map(telling));
    for file in files {
        for (number, line) in file.lines() {
            if let Some(path) = paths.iter().find(|path| has_path(line, path)) {
                let text = format!("`{path}` is a path of one machine: say it from the root");
                issues.push(Issue::line(file, number, text));
            }
        }
    }
}

/// A folder as text that is its own and no other's: `/` and `/tmp` would be found everywhere.
fn telling(folder: &Path) -> Option<String> {
    let common = ["", "/", "/tmp", "/src", "/build", "/repo", "/app"];
    let text = folder.to_str()?;
    (!common.contains(&text)).then(|| format!("{text}/"))
}

/// True if the path begins there, not inside a longer one, and not inside a URL.
fn has_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "-_./}".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_where_it_begins() {
        let home = HOMES[0];
        assert!(has_path(&format!("see {home}ada/x"), home));
        assert!(has_path(&format!("\"{home}ada\""), home));
        assert!(!has_path(&format!("https://example.com{home}page"), home));
        assert!(!has_path(&format!("var{home}x"), home));
    }

    #[test]
    fn folders_that_everybody_has_do_not_tell() {
        assert_eq!(telling(Path::new("/tmp")), None);
        assert_eq!(telling(Path::new("/srv/ada")), Some("/srv/ada/".to_owned()));
    }
}
