//! Stages, what became of them, and the table at the end.

use std::ops::AddAssign;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How many checks were fine and how many were not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Fine.
    pub passed: u64,
    /// Not fine.
    pub failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Whether what comes after a stage can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The stage was fine.
    Fine,
    /// It was not, or could not be done.
    Wrong,
}

#[derive(Debug)]
struct Stage {
    name: &'static str,
    tally: Tally,
    took: Duration,
    remark: String,
}

/// All stages so far. A stage of tests counts its tests, every other one counts as one check.
#[derive(Debug, Default)]
pub struct Report {
    stages: Vec<Stage>,
}

impl Report {
    /// A stage that is fine or not.
    pub fn check(
        &mut self,
        name: &'static str,
        stage: impl FnOnce() -> anyhow::Result<()>,
    ) -> Outcome {
        self.check_after(Outcome::Fine, name, stage)
    }

    /// The same, if what it needs was fine.
    pub fn check_after(
        &mut self,
        before: Outcome,
        name: &'static str,
        stage: impl FnOnce() -> anyhow::Result<()>,
    ) -> Outcome {
        let one = || stage().map(|()| Tally { passed: 1, failed: 0 });
        self.tests_after(before, name, one)
    }

    /// A stage that counts for itself, if what it needs was fine. An error counts as one failure.
    pub fn tests_after(
        &mut self,
        before: Outcome,
        name: &'static str,
        stage: impl FnOnce() -> anyhow::Result<Tally>,
    ) -> Outcome {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let done = match before {
            Outcome::Fine => stage(),
            Outcome::Wrong => Err(anyhow::anyhow!("not done: what it needs is missing")),
        };
        let (tally, remark) = match done {
            Ok(tally) => (tally, String::new()),
            Err(error) => {
                eprintln!("error: {error:#}");
                let text = format!("{error:#}");
                let remark = text.lines().next().unwrap_or_default().to_owned();
                (Tally { passed: 0, failed: 1 }, remark)
            }
        };
        self.stages.push(Stage { name, tally, took: start.elapsed(), remark });
        match tally.failed {
            0 => Outcome::Fine,
            _ => Outcome::Wrong,
        }
    }

    /// Prints the table and the sum.
    pub fn finish(self) -> ExitCode {
        let (lines, sum) = self.summary();
        println!("\n{lines}");
        println!("{} passed, {} failed", sum.passed, sum.failed);
        match sum.failed {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }

    fn summary(&self) -> (String, Tally) {
        let mut lines = String::new();
        let mut sum = Tally::default();
        let mut took = Duration::ZERO;
        for Stage { name, tally, took: stage_took, remark } in &self.stages {
            sum += *tally;
            took += *stage_took;
            let sign = if tally.failed == 0 { "ok" } else { "FAILED" };
            let time = minutes(*stage_took);
            let Tally { passed, failed } = tally;
            let line = format!("{name:<16} {sign:<7} {time:>7} {passed:>6} {failed:>5}  {remark}");
            lines.push_str(line.trim_end());
            lines.push('\n');
        }
        let head =
            format!("{:<16} {:<7} {:>7} {:>6} {:>5}\n", "stage", "", "time", "passed", "failed");
        lines.insert_str(0, &head);
        lines.push_str(&format!("{:<16} {:<7} {:>7}\n", "all", "", minutes(took)));
        (lines, sum)
    }
}

/// `3:05`, in minutes and seconds.
fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn what_needs_a_failed_stage_is_not_done_and_counts_as_failed() {
        let mut report = Report::default();
        let fine = report.check("a", || Ok(()));
        let wrong = report.check("b", || Err(anyhow!("b is wrong\nfor a reason")));
        assert_eq!((fine, wrong), (Outcome::Fine, Outcome::Wrong));
        let mut done = false;
        report.check_after(wrong, "c", || {
            done = true;
            Ok(())
        });
        assert!(!done);
        report.tests_after(fine, "d", || Ok(Tally { passed: 7, failed: 2 }));
        let (table, sum) = report.summary();
        assert_eq!(sum, Tally { passed: 8, failed: 4 });
        assert!(table.contains("b is wrong\n"), "{table}");
    }

    #[test]
    fn times_are_minutes_and_seconds() {
        assert_eq!(minutes(Duration::from_millis(185_900)), "3:05");
    }
}
