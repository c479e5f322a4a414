//! `tombolo store`: brings the database of the data folder to a server.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tombolo_store::{Begin, Copied, CopyProgress};

use super::Ending;
use super::terminal::Terminal;
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum StoreCommand {
    /// Copy the SQLite database of the data folder to the empty PostgreSQL database that DATABASE_URL
    /// names, and compare the two. No server may run on either meanwhile; the file stays as it is.
    Copy(CopyArgs),
}

#[derive(Args)]
pub(super) struct CopyArgs {
    /// Delete what an earlier copy that was cut off has left in the PostgreSQL database, and begin
    /// anew. A database that is in use is refused all the same.
    #[arg(long)]
    again: bool,
}

/// Copies.
pub(super) async fn run(
    command: StoreCommand,
    config: Option<&Path>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let StoreCommand::Copy(args) = command;
    let config = Config::load(config)?.config;
    let begin = if args.again { Begin::Again } else { Begin::Empty };
    let mut told = Told::new(terminal);
    let copied = crate::copying::copy_store(&config, begin, |progress| told.take(progress)).await?;
    let Told { times, written, .. } = told;
    written?;
    if terminal.json {
        terminal.print_json(&document(&copied, &times))?;
    } else {
        terminal.print(&summary(&copied))?;
    }
    if !copied.is_same() {
        return Ok(Ending::Wrong);
    }
    terminal.note(&format!(
        "Secrets are copied sealed: give each new process the same master key, in the variable {} or \
         in its file {}. The file of the old database is as it was; start no server on it any more.",
        config.vault.key_env,
        config.vault.key_file(&config.data).display(),
    ))?;
    Ok(Ending::Fine)
}

/// Tells how far the copy is: one line for each table.
struct Told<'a> {
    terminal: &'a mut Terminal,
    since: Instant,
    times: BTreeMap<&'static str, Duration>,
    /// The copy goes on if nobody can read this.
    written: io::Result<()>,
}

impl<'a> Told<'a> {
    fn new(terminal: &'a mut Terminal) -> Self {
        Self { terminal, since: Instant::now(), times: BTreeMap::new(), written: Ok(()) }
    }

    fn take(&mut self, progress: CopyProgress) {
        match progress {
            CopyProgress::Rows { .. } => {}
            CopyProgress::Table { table, rows } => {
                let took = self.since.elapsed();
                self.since = Instant::now();
                self.times.insert(table, took);
                self.say(&table_line(table, rows, took));
            }
            CopyProgress::Comparing => self.say("Everything is there; now it is compared."),
        }
    }

    fn say(&mut self, line: &str) {
        if !self.terminal.json && self.written.is_ok() {
            self.written = self.terminal.print(line);
        }
    }
}

fn table_line(table: &str, rows: u64, took: Duration) -> String {
    format!("{table:<16} {rows:>12} rows {:>8.1} s", took.as_secs_f64())
}

/// What the comparison found.
fn summary(copied: &Copied) -> String {
    let compared = &copied.compared;
    let read = format!(
        "{} of {} runs and {} of {} events",
        compared.runs, compared.all_runs, compared.events, compared.all_events
    );
    if copied.is_same() {
        return format!(
            "The same: the rows of {} tables by their number, and {read} as they are read.",
            copied.tables.len()
        );
    }
    let counts = copied.tables.iter().filter(|table| table.rows != table.found).map(|table| {
        format!(
            "\n  table {}: {} rows were copied, {} are there",
            table.table, table.rows, table.found
        )
    });
    let read_otherwise = copied.different.iter().map(|id| format!("\n  {id} reads otherwise"));
    format!(
        "The copy differs (compared: {read}):{}\nNo server starts on it. Keep the file, and report this; \
         `tombolo store copy --again` begins anew.",
        counts.chain(read_otherwise).collect::<String>()
    )
}

fn document(copied: &Copied, times: &BTreeMap<&'static str, Duration>) -> Value {
    let table = |table: &tombolo_store::CopiedTable| {
        let took = times.get(table.table).copied().unwrap_or_default();
        json!({
            "table": table.table, "rows": table.rows, "found": table.found,
            "ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        })
    };
    let compared = &copied.compared;
    json!({
        "same": copied.is_same(),
        "tables": copied.tables.iter().map(table).collect::<Vec<Value>>(),
        "compared": {
            "runs": compared.runs, "all_runs": compared.all_runs,
            "events": compared.events, "all_events": compared.all_events,
        },
        "different": copied.different,
    })
}

#[cfg(test)]
mod tests {
    use tombolo_store::{Compared, CopiedTable};

    use super::*;

    fn copied(found: u64, different: &[&str]) -> Copied {
        Copied {
            tables: vec![CopiedTable { table: "run", rows: 2, found }],
            compared: Compared { runs: 2, all_runs: 2, events: 1, all_events: 5 },
            different: different.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    #[test]
    fn each_table_has_a_line() {
        let line = table_line("workflow_version", 1_234_567, Duration::from_millis(4_250));
        assert_eq!(line, "workflow_version      1234567 rows      4.2 s");
    }

    #[test]
    fn it_says_how_much_was_compared_and_every_difference() {
        let same = summary(&copied(2, &[]));
        let expected = "The same: the rows of 1 tables by their number, and 2 of 2 runs and 1 of 5 \
                        events as they are read.";
        assert_eq!(same, expected);
        let other = summary(&copied(1, &["run_7"]));
        assert!(other.contains("\n  table run: 2 rows were copied, 1 are there\n"), "{other}");
        assert!(other.contains("\n  run_7 reads otherwise\n"), "{other}");
    }

    #[test]
    fn a_program_is_told_the_same() {
        let times = BTreeMap::from([("run", Duration::from_millis(7))]);
        let told = document(&copied(1, &[]), &times);
        assert_eq!(told["same"], false);
        assert_eq!(told["tables"][0], json!({"table": "run", "rows": 2, "found": 1, "ms": 7}));
        assert_eq!(told["compared"]["all_events"], 5);
    }
}
