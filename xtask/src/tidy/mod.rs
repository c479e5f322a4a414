//! Rules that a reviewer would forget. Each looks at the tracked files or at the crates, and adds
//! what it finds; none compiles or changes anything.

mod crates;
mod documents;
mod features;
mod files;
mod licences;
mod machine;
mod source;
mod words;

use std::fmt;

use anyhow::bail;

use self::files::File;
use crate::metadata::Metadata;
use crate::place::Place;

/// A broken rule and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Issue {
    path: String,
    /// Counted from 1; None for the file as a whole.
    line: Option<usize>,
    text: String,
}

impl Issue {
    fn file(file: &File, text: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line: None, text: text.into() }
    }

    fn line(file: &File, line: usize, text: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line: Some(line), text: text.into() }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.text),
            None => write!(f, "{}: {}", self.path, self.text),
        }
    }
}

/// Checks all rules and prints what breaks them.
///
/// # Errors
/// If anything does.
pub fn run(place: &Place) -> anyhow::Result<()> {
    let files = files::tracked(place)?;
    let metadata = Metadata::read(place)?;
    let mut issues = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        source::check(file, &mut issues);
        words::check(file, &mut issues);
    }
    machine::check(place, &files, &mut issues);
    documents::check(&files, &mut issues);
    crates::check(place, &metadata, &files, &mut issues);
    features::check(place, &mut issues)?;
    licences::check(&metadata, &files, &mut issues);

    issues.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for issue in &issues {
        eprintln!("{issue}");
    }
    match issues.len() {
        0 => {
            let crates = metadata.all().count();
            eprintln!("tidy: {} files and {crates} crates, all in order", files.len());
            Ok(())
        }
        1 => bail!("tidy: 1 rule is broken, see above"),
        broken => bail!("tidy: rules are broken in {broken} places, see above"),
    }
}
