//! The data folder that each measurement starts with: all plugins compiled, the connection to the
//! sink set, the workflows applied, no run. Made once for each start of the benchmarks.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use super::place::Place;
use super::server::Server;
use super::settings::Settings;
use super::sinks::Sinks;
use super::workflows::{self, SINK, SLOW};

/// A prepared data folder.
#[derive(Debug)]
pub struct Template {
    prepared: PathBuf,
    copies: PathBuf,
}

/// A copy of it, which goes away with this value.
#[derive(Debug)]
pub struct Data(PathBuf);

impl Template {
    /// Prepares the folder.
    ///
    /// # Errors
    /// If the server does not start, or refuses something.
    pub async fn make(place: &Place, settings: &Settings, sinks: &Sinks) -> anyhow::Result<Self> {
        let (prepared, copies) = (place.work().join("prepared"), place.work().join("data"));
        for folder in [&prepared, &copies] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        let server = Server::start(place, settings, &prepared, sinks)?;
        let api = server.api()?;
        for path in place.plugins()? {
            let component = fs::read(&path)?;
            let added = api.add_plugin(component).await;
            added.with_context(|| format!("{}", path.display()))?;
        }
        for (name, sink) in [(SINK, &sinks.quick), (SLOW, &sinks.slow)] {
            let connection = json!({"base_url": sink.origin()});
            api.put(&format!("/api/v1/connections/{name}"), &connection).await?;
        }
        for workflow in workflows::all() {
            let name = workflow["name"].as_str().unwrap_or_default();
            api.put(&format!("/api/v1/workflows/{name}"), &workflow).await?;
        }
        server.stop()?;
        Ok(Self { prepared, copies })
    }

    /// A fresh copy.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn copy(&self) -> anyhow::Result<Data> {
        let data = Data(self.copies.clone());
        data.remove()?;
        copy(&self.prepared, &data.0).context("cannot copy the prepared data")?;
        Ok(data)
    }
}

impl Data {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes the compiled components away.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn without_compiled(self) -> anyhow::Result<Self> {
        fs::remove_dir_all(self.0.join("components"))?;
        Ok(self)
    }

    fn remove(&self) -> std::io::Result<()> {
        if self.0.exists() {
            fs::remove_dir_all(&self.0)?;
        }
        Ok(())
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // What stays behind is removed before the next copy.
        let _ = self.remove();
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
