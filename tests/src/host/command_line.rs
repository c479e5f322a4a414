//! The binary as a command.

use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::{Host, binary};

/// What a command left with.
#[derive(Debug, Clone)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// The output, if the command left with this code.
    ///
    /// # Errors
    /// If it left with another, with all that it said.
    pub fn expect(&self, code: i32) -> anyhow::Result<&str> {
        ensure!(self.code == code, "not {code} but {}\n{}\n{}", self.code, self.out, self.err);
        Ok(&self.out)
    }

    /// The output as JSON, if the command left with this code.
    ///
    /// # Errors
    /// If it left with another, or said something else.
    pub fn json(&self, code: i32) -> anyhow::Result<Value> {
        let text = self.expect(code)?;
        serde_json::from_str(text).with_context(|| format!("this is no JSON: {text}"))
    }
}

impl Host {
    /// Runs `tombolo` against this host, in its folder, with the token of the data folder.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn tombolo(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        self.tombolo_with(arguments, &[]).await
    }

    /// The same with these variables.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn tombolo_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Said> {
        let mut command = Command::new(binary::tombolo()?);
        command
            .args(arguments)
            .current_dir(self.folder())
            .env_clear()
            .env("TOMBOLO_URL", self.origin())
            .env("TOMBOLO_DATA__DIR", self.data())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.context("tombolo cannot be started")?;
        Ok(Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
