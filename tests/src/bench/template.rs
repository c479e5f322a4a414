//! The data folder that each measurement starts with: all plugins compiled, the connection to the
//! sink set, the workflows applied, no run; and the database, where it is PostgreSQL. Made once for each start of the benchmarks.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use tombolo_test_postgres::Database;

use super::api::Api;
use super::place::Place;
use super::server::Server;
use super::settings::Settings;
use super::sinks::Sinks;
use super::workflows::{self, SINK, SLOW};

/// A prepared data folder, and its database.
#[derive(Debug)]
pub struct Template {
    prepared: Data,
    copies: PathBuf,
}

/// A data folder, and the database that goes with it unless that is a file in it. Goes away with this
/// value.
#[derive(Debug)]
pub struct Data {
    folder: PathBuf,
    database: Option<Database>,
}

impl Template {
    /// Prepares the folder.
    ///
    /// # Errors
    /// If the server does not start, or refuses something.
    pub async fn make(
        place: &Place,
        settings: &Settings,
        sinks: &Sinks,
        database: Option<Database>,
    ) -> anyhow::Result<Self> {
        let name = if database.is_some() { "-postgres" } else { "" };
        let folder = |kind: &str| place.work().join(format!("{kind}{name}"));
        let (prepared, copies) = (Data { folder: folder("prepared"), database }, folder("data"));
        prepared.remove()?;
        let server = Server::start(place, settings, &prepared, sinks)?;
        let api = server.api()?;
        prepare(place, &api, sinks).await?;
        server.stop()?;
        Ok(Self { prepared, copies })
    }

    /// A fresh copy.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn copy(&self) -> anyhow::Result<Data> {
        let mut data = Data { folder: self.copies.clone(), database: None };
        data.remove()?;
        copy(&self.prepared.folder, &data.folder).context("cannot copy the prepared data")?;
        if let Some(database) = &self.prepared.database {
            data.database = Some(database.copy().await?);
        }
        Ok(data)
    }
}

/// Gives a tenant the plugins, connections and workflows that are measured.
///
/// # Errors
/// If the server refuses something.
pub async fn prepare(place: &Place, api: &Api, sinks: &Sinks) -> anyhow::Result<()> {
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
    Ok(())
}

impl Data {
    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The database, if it is not a file in the folder.
    pub fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// A folder for another process on the same database, with the compiled components.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn beside(&self, name: &str) -> anyhow::Result<PathBuf> {
        const COMPILED: &str = "components";
        let folder = self.folder.join(name.replace(',', "-"));
        DirBuilder::new().mode(0o700).create(&folder)?;
        copy(&self.folder.join(COMPILED), &folder.join(COMPILED))?;
        Ok(folder)
    }

    /// The same folder with another database.
    pub fn moved_to(mut self, database: Database) -> Self {
        self.database = Some(database);
        self
    }

    /// Takes the compiled components away.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn without_compiled(self) -> anyhow::Result<Self> {
        fs::remove_dir_all(self.folder.join("components"))?;
        Ok(self)
    }

    fn remove(&self) -> std::io::Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
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
