//! `tombolo audit export`: a record as lines of JSON.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use tombolo_core::audit::Summary;
use tombolo_engine::export_record;

use super::Ending;
use super::terminal::Terminal;
use crate::config::Config;
use crate::database::RecordOf;

#[derive(Args)]
pub(super) struct ExportArgs {
    /// Whose record.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// A new file; without it, standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the export.
pub(super) async fn run(
    args: &ExportArgs,
    config: Option<&Path>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let config = Config::load(config)?.config;
    let trail = RecordOf::open(&config).await?;
    let tenant = trail.tenant(&args.tenant).await?;
    let tenant = tenant.with_context(|| format!("there is no tenant `{}`", args.tenant))?;
    let summary = match &args.output {
        None => export_record(trail.trail(), tenant, |line| terminal.print(line)).await?,
        Some(path) => {
            let what = || format!("{} cannot be made", path.display());
            let mut file = BufWriter::new(File::create_new(path).with_context(what)?);
            let summary =
                export_record(trail.trail(), tenant, |line| writeln!(file, "{line}")).await?;
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            summary
        }
    };
    terminal.note(&told(&summary))?;
    Ok(Ending::Fine)
}

fn told(summary: &Summary) -> String {
    match (summary.first_seq, summary.last_seq) {
        (Some(first), Some(last)) => {
            let (count, head) = (summary.count, summary.head_hash);
            format!("{count} entries, {first} to {last}; the last has the hash {head}")
        }
        _ => "there are no entries".to_owned(),
    }
}
