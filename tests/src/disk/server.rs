//! The process of a disk: mounts it, does what it is told on its standard input, and ends with it.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use fuser::{BackgroundSession, Config, MountOption};
use nix::mount::{MntFlags, umount2};

use super::filesystem::{Mounted, Shared, lock};
use super::image::Image;
use super::machine::Machine;
use super::order::{DiskState, Order};

/// Serves an empty disk at a folder until standard input ends.
///
/// # Errors
/// If the folder cannot be mounted: this needs `/dev/fuse` and the right to mount.
pub fn serve(folder: &Path) -> anyhow::Result<()> {
    let mut server = Server::mount(folder, Image::new())?;
    let mut output = std::io::stdout().lock();
    tell(&mut output, server.look())?;
    for line in std::io::stdin().lock().lines() {
        let report = match serde_json::from_str(&line?)? {
            Order::Remount => server.remount()?,
            order => server.obey(order),
        };
        tell(&mut output, report)?;
    }
    server.detach();
    Ok(())
}

fn tell(output: &mut impl Write, report: DiskState) -> anyhow::Result<()> {
    writeln!(output, "{}", serde_json::to_string(&report)?)?;
    Ok(output.flush()?)
}

struct Server {
    folder: PathBuf,
    machine: Shared,
    session: Option<BackgroundSession>,
}

impl Server {
    fn mount(folder: &Path, image: Image) -> anyhow::Result<Self> {
        let machine = Arc::new(Mutex::new(Machine::new(image)));
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("tombolo-disk".to_owned()),
            MountOption::NoAtime,
            MountOption::DefaultPermissions,
        ];
        let session = fuser::spawn_mount(Mounted(machine.clone()), folder, &config)
            .with_context(|| format!("{} cannot be mounted (FUSE, as root)", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), machine, session: Some(session) })
    }

    /// Takes the mount out of sight. What still uses it goes on with the disk as it was.
    fn detach(&mut self) {
        // It may have been taken away from outside, which is as good.
        let _ = umount2(&self.folder, MntFlags::MNT_DETACH);
        // Unmounts whatever is at the folder when it goes: it has to go before the next mount.
        self.session = None;
    }

    fn remount(&mut self) -> anyhow::Result<DiskState> {
        self.detach();
        let left = lock(&self.machine).take_left();
        *self = Self::mount(&self.folder, left)?;
        Ok(self.look())
    }

    fn look(&self) -> DiskState {
        lock(&self.machine).state()
    }

    fn obey(&self, order: Order) -> DiskState {
        let mut machine = lock(&self.machine);
        match order {
            Order::Look | Order::Remount => {}
            Order::FlushAll => machine.flush_all(),
            Order::CutAfter { steps, leaves } => machine.cut_after(steps, leaves),
            Order::Space { bytes } => machine.set_space(bytes),
            Order::RefuseWrites { after, spell } => machine.refuse_writes(after, spell),
            Order::FailFlush { after, leaves } => machine.fail_flush(after, leaves),
            Order::Heal => machine.heal(),
        }
        machine.state()
    }
}
