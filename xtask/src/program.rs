//! Running other programs to their end: said beforehand, named when they fail.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::place::Place;

/// What the names of the variables begin with that `cargo run` sets for the crate it runs.
const ABOUT_US: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// Cargo at the root of the repository: the one that runs us, so that it is the same toolchain.
pub fn cargo<A: AsRef<OsStr>>(place: &Place, arguments: impl IntoIterator<Item = A>) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(place.root());
    // What cargo told us about this crate is no part of what it tells others. Build scripts that look
    // at these variables, such as ring's, would run anew, and all above them be built again.
    for (name, _) in std::env::vars_os() {
        let about_us =
            name.to_str().is_some_and(|name| ABOUT_US.iter().any(|start| name.starts_with(start)));
        if about_us {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program whose output goes straight through.
///
/// # Errors
/// If it cannot be started, or says by its exit code that it failed.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    eprintln!("$ {}", shown(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    ensure!(status.success(), "`{}` failed: {status}", shown(command));
    Ok(())
}

/// Runs a program quietly and gives its standard output.
///
/// # Errors
/// As [`run`]; what it wrote to standard error is part of the error.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    ensure!(
        output.status.success(),
        "`{}` failed: {}\n{}",
        shown(command),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote something that is not text", shown(command)))
}

/// A command as it would be typed: the program without its folder, and its arguments.
pub fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_stem().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("some/folder/tombolo");
        command.args(["run", "show", "it's", "", "a b", "http://127.0.0.1:80"]);
        assert_eq!(shown(&command), r"tombolo run show 'it'\''s' '' 'a b' http://127.0.0.1:80");
    }
}
