//! The real binary with its data on the disk, and what it is given to do.

use tombolo_tests::host::poll;
use tombolo_tests::load::Load;
use tombolo_tests::{Disk, Host, HostOptions};

/// A server, its disk and what it is given to do.
pub struct Server {
    pub host: Host,
    pub disk: Disk,
    pub load: Load,
}

impl Server {
    /// A server with a workflow of three steps behind the webhook `load`: one that computes, a call
    /// that may be repeated with its key, and one that may not.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|options| options).await
    }

    /// The same with other settings.
    pub async fn start_with(
        settings: impl FnOnce(HostOptions) -> HostOptions,
    ) -> anyhow::Result<Self> {
        let disk = crate::place::disk()?;
        let load = Load::start()?;
        let options = load.allowed(HostOptions::new()).data(disk.join("data"));
        let host = Host::start(settings(options)).await?;
        // What was installed by copying files; from here on the server sees to it.
        disk.flush_all()?;
        load.prepare(&host).await?;
        Ok(Self { host, disk, load })
    }

    /// Waits for the disk to lose its power.
    pub async fn wait_for_cut(&self) -> anyhow::Result<()> {
        poll("the cut", async || Ok(self.disk.look()?.cut.then_some(()))).await
    }
}
