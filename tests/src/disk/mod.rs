//! A disk that loses its power, fills up and fails to flush on command: a file system in memory,
//! mounted over FUSE by a process of its own, so that whoever uses it can be killed.
//!
//! `file` and `names` know what was flushed and what was not, `survival` says what of the latter a
//! cut leaves, `image` is the whole disk, `machine` what is to go wrong with it. `filesystem` speaks
//! to the kernel and `server` to the test. [`Disk`] is the test's end.

mod file;
mod filesystem;
mod image;
mod machine;
mod names;
mod order;
mod server;
mod survival;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use tempfile::TempDir;

use order::Order;
pub use order::{DiskState, Leaves, Spell};
pub use server::serve;

/// A mounted disk; it goes away with this handle.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    process: Mutex<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    /// None once it is told to end.
    orders: Option<ChildStdin>,
    reports: BufReader<ChildStdout>,
}

impl Disk {
    /// Mounts an empty disk, served by this program (`src/bin/disk.rs`).
    ///
    /// # Errors
    /// If it cannot be mounted: this needs `/dev/fuse` and the right to mount.
    pub fn start(program: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(program)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let orders = child.stdin.take();
        let reports = BufReader::new(child.stdout.take().context("the disk says nothing")?);
        let mut process = Process { child, orders, reports };
        process.report().context("is there a /dev/fuse, and may this user mount?")?;
        Ok(Self { folder, process: Mutex::new(process) })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A place on it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// How it stands.
    ///
    /// # Errors
    /// As with all orders, if the disk's process is gone.
    pub fn look(&self) -> anyhow::Result<DiskState> {
        self.order(&Order::Look)
    }

    /// Makes everything durable: where a test begins.
    ///
    /// # Errors
    /// If the disk's process is gone.
    pub fn flush_all(&self) -> anyhow::Result<DiskState> {
        self.order(&Order::FlushAll)
    }

    /// Cuts the power now. Reading goes on as if from memory, everything else fails.
    ///
    /// # Errors
    /// If the disk's process is gone.
    pub fn cut(&self, leaves: Leaves) -> anyhow::Result<DiskState> {
        self.cut_after(0, leaves)
    }

    /// Cuts the power after so many more writes, flushes and changes of names.
    ///
    /// # Errors
    /// If the disk's process is gone.
    pub fn cut_after(&self, steps: u64, leaves: Leaves) -> anyhow::Result<DiskState> {
        self.order(&Order::CutAfter { steps, leaves })
    }

    /// Mounts it anew, with what the cut has left, and without any fault.
    ///
    /// # Errors
    /// If it cannot be mounted.
    pub fn remount(&self) -> anyhow::Result<DiskState> {
        self.order(&Order::Remount)
    }

    /// Sets how many bytes there are in all; None for as many as are wanted.
    ///
    /// # Errors
    /// If the disk's process is gone.
    pub fn space(&self, bytes: Option<u64>) -> anyhow::Result<DiskState> {
        self.order(&Order::Space { bytes })
    }

    /// Has no space for a write, after so many more that it takes.
    ///
    /// # Errors
    /// If the disk's process is gone.
    pub fn refuse_writes(&self, after: u64, spell: Spell) -> anyhow::Result<DiskState> {
        self.order(&Order::RefuseWrites { after, spell })
    }

    /// Fails one flush with an I/O error, after so many more that it does. What it was to make
    /// durable is left or not, and no later flush makes it so.
    ///
    /// # Errors
    /// If the disk's process is gone.
    pub fn fail_flush(&self, after: u64, leaves: Leaves) -> anyhow::Result<DiskState> {
        self.order(&Order::FailFlush { after, leaves })
    }

    /// Takes all faults back but a cut.
    ///
    /// # Errors
    /// If the disk's process is gone.
    pub fn heal(&self) -> anyhow::Result<DiskState> {
        self.order(&Order::Heal)
    }

    fn order(&self, order: &Order) -> anyhow::Result<DiskState> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = process.orders.as_mut().context("the disk has ended")?;
        writeln!(orders, "{}", serde_json::to_string(order)?)?;
        orders.flush()?;
        process.report()
    }
}

impl Process {
    fn report(&mut self) -> anyhow::Result<DiskState> {
        let mut line = String::new();
        self.reports.read_line(&mut line)?;
        serde_json::from_str(&line).context("the disk's process has ended")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        // It unmounts and ends when there are no more orders.
        process.orders = None;
        let _ = process.child.wait();
    }
}
