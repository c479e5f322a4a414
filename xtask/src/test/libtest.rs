//! Runs `cargo test` and counts what its programs say, while their output goes through.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::stage::Tally;
use crate::program::shown;

/// Runs the tests. A failed test is counted; an error is whatever kept tests from running.
pub fn run(command: &mut Command) -> anyhow::Result<Tally> {
    eprintln!("$ {}", shown(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let output = child.stdout.take().context("the output of cargo is not ours")?;
    let mut tally = Tally::default();
    let mut out = std::io::stdout();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read the output of cargo")?;
        out.write_all(&line).and_then(|()| out.write_all(b"\n"))?;
        if let Some(result) = result(&String::from_utf8_lossy(&line)) {
            tally += result;
        }
    }
    let status = child.wait()?;
    // With no failed test the reason is another one: a crash, or a test that does not compile.
    ensure!(status.success() || tally.failed > 0, "cargo test failed: {status}");
    Ok(tally)
}

/// Reads `test result: ok. 3 passed; 1 failed; 0 ignored; 0 measured; ..`. An ignored test proves
/// nothing, and counts as failed.
fn result(line: &str) -> Option<Tally> {
    let rest = line.trim().strip_prefix("test result: ")?;
    let (_, counts) = rest.split_once(". ")?;
    let count = |name: &str| {
        let part = counts.split("; ").find_map(|part| part.strip_suffix(name))?;
        part.trim().parse::<u64>().ok()
    };
    Some(Tally { passed: count("passed")?, failed: count("failed")? + count("ignored")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_and_ignored_tests_are_failures() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 5 filtered out; finished in 0.00s";
        assert_eq!(result(line), Some(Tally { passed: 3, failed: 3 }));
        assert_eq!(result("test a::b ... ok"), None);
    }
}
