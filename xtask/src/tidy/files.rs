//! The files of the repository: what git tracks, or would if it were added.

use std::process::Command;

use anyhow::Context;

use crate::place::Place;
use crate::program::output;

/// One file.
#[derive(Debug, Clone)]
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    /// None for a file that is not text, and for a link.
    pub text: Option<String>,
}

impl File {
    /// True for Rust source.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// True for a document.
    pub fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// Its lines with their numbers, counted from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let text = self.text.as_deref().unwrap_or_default();
        text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The file's name without its folders.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Reads all files that git knows or does not ignore.
pub fn tracked(place: &Place) -> anyhow::Result<Vec<File>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = output(git.current_dir(place.root())).context("cannot list the files")?;
    let mut files = Vec::new();
    for path in list.split_terminator('\0') {
        let full = place.root().join(path);
        // Deleted and not yet committed.
        if !full.is_file() {
            continue;
        }
        let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        files.push(File { path: path.to_owned(), text });
    }
    Ok(files)
}

#[cfg(test)]
pub fn example(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: Some(text.to_owned()) }
}
