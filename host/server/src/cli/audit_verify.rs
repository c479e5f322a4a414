//! `tombolo audit verify`: has anybody changed the record of what people did?

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use tombolo_core::audit::{CheckpointHistory, ExportWalk, Finding, PublicKey, Signs, Verdict};
use tombolo_engine::verify_record;
use tombolo_vault::AuditKey;

use super::Ending;
use super::terminal::{Colour, Terminal, harmless};
use crate::checkpoint_file;
use crate::config::Config;
use crate::database::RecordOf;

#[derive(Args)]
pub(super) struct VerifyArgs {
    /// An export to check; without it, the database of the configuration.
    #[arg(value_name = "EXPORT")]
    export: Option<PathBuf>,
    /// The file of checkpoints; without it, that of the configuration, if it is there.
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
    /// The public key, as `tombolo audit key` prints it; without it, that of this machine.
    #[arg(long, value_name = "KEY")]
    key: Option<PublicKey>,
}

/// Checks, and says what is wrong.
pub(super) async fn run(
    args: VerifyArgs,
    config: Option<&Path>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let config = Config::load(config)?.config;
    let history = history(&args, &config)?;
    let verdicts = match &args.export {
        Some(export) => vec![walk(export, history.as_ref())?],
        None => {
            let trail = RecordOf::open(&config).await?;
            let none = CheckpointHistory::default();
            let tenants = trail.tenants().await?;
            verify_record(trail.trail(), tenants, history.as_ref().unwrap_or(&none)).await?
        }
    };
    let checkpoints = history.as_ref().is_some_and(|history| history.newest().next().is_some());
    if !checkpoints {
        terminal.note("There are no checkpoints here: a chain that was made anew is not found.")?;
    }
    report(&verdicts, history.as_ref(), terminal)
}

/// None if no file is named and there is none.
fn history(args: &VerifyArgs, config: &Config) -> anyhow::Result<Option<CheckpointHistory>> {
    let usual = config.audit.file(&config.data);
    let path = match &args.checkpoints {
        Some(path) => path,
        None if usual.exists() => &usual,
        None => return Ok(None),
    };
    let key = match &args.key {
        Some(key) => key.clone(),
        None => {
            let file = config.audit.key_file(&config.data);
            let help =
                "name the public key with --key; `tombolo audit key` prints it on the server";
            AuditKey::load(&file).context(help)?.public_key()
        }
    };
    let lines = File::open(path).with_context(|| path.display().to_string())?;
    let history = checkpoint_file::read(BufReader::new(lines), &key);
    Ok(Some(history.with_context(|| path.display().to_string())?))
}

/// Checks an export.
fn walk(export: &Path, history: Option<&CheckpointHistory>) -> anyhow::Result<Verdict> {
    let what = || export.display().to_string();
    let none = CheckpointHistory::default();
    let mut walk = ExportWalk::new(history.unwrap_or(&none));
    let lines = BufReader::new(File::open(export).with_context(what)?).split(b'\n');
    for line in lines {
        // What is no text is no entry, either.
        let line = line.with_context(what)?;
        walk.read(&String::from_utf8_lossy(&line)).with_context(what)?;
    }
    walk.end().with_context(what)
}

/// Says what was found. Anything is wrong, or all is fine.
fn report(
    verdicts: &[Verdict],
    history: Option<&CheckpointHistory>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let of_checkpoints = history.map(CheckpointHistory::findings).unwrap_or_default();
    let bad_lines = history.map(CheckpointHistory::bad_lines).unwrap_or_default();
    let found = of_checkpoints.len() + bad_lines.len();
    let wrong = found > 0 || verdicts.iter().any(|verdict| !verdict.findings.is_empty());
    if terminal.json {
        let bad: Vec<Value> = bad_lines
            .iter()
            .map(|(line, why)| json!({"line": line, "why": why.to_string()}))
            .collect();
        terminal.print_json(&json!({
            "fine": !wrong,
            "records": verdicts.iter().map(record).collect::<Vec<_>>(),
            "checkpoints": { "findings": findings(of_checkpoints), "bad_lines": bad },
        }))?;
    } else {
        for verdict in verdicts {
            tell(verdict, terminal)?;
        }
        for finding in of_checkpoints {
            terminal.print(&sentence(finding, "checkpoint over"))?;
        }
        for (line, why) in bad_lines {
            terminal.print(&format!("  checkpoints, line {line}: {why}"))?;
        }
    }
    Ok(if wrong { Ending::Wrong } else { Ending::Fine })
}

fn tell(verdict: &Verdict, terminal: &mut Terminal) -> std::io::Result<()> {
    let Verdict { tenant, entries, head, roots_checked, findings } = verdict;
    let word = match findings.len() {
        0 => terminal.style.paint(Colour::Green, "fine"),
        count => terminal.style.paint(Colour::Red, &format!("{count} finding(s)")),
    };
    terminal.print(&format!(
        "{tenant}: {entries} entries, {roots_checked} checkpoint(s) fit, head {}: {word}",
        head.hash
    ))?;
    findings.iter().try_for_each(|finding| terminal.print(&sentence(finding, "entry")))
}

/// What, where, and what it means.
fn sentence(finding: &Finding, what: &str) -> String {
    let place = finding.seq.map_or_else(String::new, |seq| format!(", {what} {seq}"));
    let (trouble, meaning) = (&finding.trouble, finding.trouble.meaning());
    harmless(&format!("  {}{place}: {trouble}: {meaning}", finding.tenant))
}

fn record(verdict: &Verdict) -> Value {
    json!({
        "tenant": verdict.tenant,
        "entries": verdict.entries,
        "last_seq": verdict.head.seq,
        "head_hash": verdict.head.hash,
        "checkpoints": verdict.roots_checked,
        "findings": findings(&verdict.findings),
    })
}

fn findings(findings: &[Finding]) -> Vec<Value> {
    let told = |finding: &Finding| {
        json!({
            "tenant": finding.tenant,
            "seq": finding.seq,
            "trouble": finding.trouble,
            "message": finding.trouble.to_string(),
            "meaning": finding.trouble.meaning(),
        })
    };
    findings.iter().map(told).collect()
}

#[cfg(test)]
mod tests;
